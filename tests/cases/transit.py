"""What honest programs do to a message on its way, and whether a signature survives it (RFC 6376 3.4, 5.3)."""

from __future__ import annotations

import base64
import quopri
import re
from collections.abc import Callable
from typing import Final, NamedTuple

from tests.cases.genuine import Genuine
from verifier.message import read_message


class Change(NamedTuple):
    """``survives``: the canonicalisations of header and body under which a signature still holds."""

    change: Callable[[bytes], bytes]
    header: tuple[str, ...]
    body: tuple[str, ...]

    def holds(self, message: Genuine) -> bool:
        """Whether the signature of ``message`` survives."""
        return message.header_method in self.header and message.body_method in self.body


_ANY: Final = ("relaxed", "simple")
_RELAXED: Final = ("relaxed",)


def _split(raw: bytes) -> tuple[bytes, bytes]:
    start = read_message(raw).body_start
    return raw[: start - 2], raw[start:]


def _fields(raw: bytes, edit: Callable[[list[bytes]], list[bytes]]) -> bytes:
    _, body = _split(raw)
    return b"".join(edit([field.raw for field in read_message(raw).fields])) + b"\r\n" + body


def _body(raw: bytes, edit: Callable[[bytes], bytes]) -> bytes:
    head, body = _split(raw)
    return head + b"\r\n" + edit(body)


def trace_fields(raw: bytes) -> bytes:
    """Three relays, a filter's results, and the delivery."""
    return (
        b"Return-Path: <defender-experts@experts.test>\r\nDelivered-To: dana.reyes@contoso.test\r\n"
        b"Received: from mx.contoso.test (mx [192.0.2.9])\r\n\tby store.contoso.test with LMTP;\r\n\tWed, 25 Nov 2026 09:01:00 +0000\r\n"
        b"Authentication-Results: mx.contoso.test; dkim=pass header.d=experts.test; dmarc=pass header.from=experts.test\r\n"
        b"X-Spam-Status: No, score=-1.2\r\nReceived: from out.experts.test by mx.contoso.test; Wed, 25 Nov 2026 09:00:59 +0000\r\n"
    ) + raw


def other_order(raw: bytes) -> bytes:
    """Fields of different names change places; a signature chooses them by name."""
    return _fields(raw, lambda fields: [fields[0], *reversed(fields[1:])])


def unsigned_field_refolded(raw: bytes) -> bytes:
    """A trace field that nobody signed is folded anew."""
    return b"Received: from a by b;\r\n\tWed, 25 Nov 2026\r\n 09:00:00 +0000\r\n" + raw


def signed_field_refolded(raw: bytes) -> bytes:
    """To is folded after its display name."""
    return raw.replace(b"\r\nTo: Dana Reyes <", b"\r\nTo: Dana Reyes\r\n <", 1)


def names_in_capitals(raw: bytes) -> bytes:
    """A relay writes the names of fields its own way."""
    return _fields(
        raw, lambda fields: [f.split(b":", 1)[0].upper() + b":" + f.split(b":", 1)[1] for f in fields]
    )


def blanks_after_colons(raw: bytes) -> bytes:
    """Two blanks where one was."""
    return _fields(
        raw, lambda fields: [f.replace(b": ", b":  ", 1) if f.startswith(b"Date") else f for f in fields]
    )


def empty_lines_at_the_end(raw: bytes) -> bytes:
    """A store adds empty lines."""
    return raw + b"\r\n\r\n"


def blanks_at_line_ends(raw: bytes) -> bytes:
    """A gateway pads lines."""
    return _body(raw, lambda body: body.replace(b"\r\n", b" \r\n"))


def wider_gaps(raw: bytes) -> bytes:
    """Blanks between words are doubled, as justified text is."""
    return _body(raw, lambda body: body.replace(b" ", b"  "))


def list_footer(raw: bytes) -> bytes:
    """A mailing list signs off below."""
    return raw + b"-- \r\nTo leave this list write to leave@lists.test\r\n"


def subject_tag(raw: bytes) -> bytes:
    """A mailing list marks the subject."""
    return re.sub(rb"(?m)^Subject: ", b"Subject: [contoso-soc] ", raw, count=1)


def reencoded(raw: bytes) -> bytes:
    """A server writes each readable part anew in base64, and a base64 one as it is."""
    head, body = _split(raw)
    if b"multipart" in head:
        return head + b"\r\n" + _READABLE_PART.sub(_part_in_base64, body)
    if b"Content-Transfer-Encoding: base64\r\n" in head:
        plain = base64.b64decode(body).replace(b"\n", b"\r\n").replace(b"\r\r\n", b"\r\n")
        return head.replace(b"base64", b"8bit") + b"\r\n" + plain
    encoding = b"quoted-printable" if b": quoted-printable\r\n" in head else b"7bit"
    return head.replace(encoding, b"base64") + b"\r\n" + _in_base64(body, encoding)


_READABLE_PART: Final = re.compile(
    rb"(Content-Transfer-Encoding: )(7bit|quoted-printable)(\r\n(?:[^\r\n]+\r\n)*\r\n)(.*?)(?=\r\n--=_)",
    re.DOTALL,
)


def _part_in_base64(part: re.Match[bytes]) -> bytes:
    return part[1] + b"base64" + part[3] + _in_base64(part[4], part[2]).removesuffix(b"\r\n")


def _in_base64(body: bytes, encoding: bytes) -> bytes:
    content = quopri.decodestring(body) if encoding == b"quoted-printable" else body
    return base64.encodebytes(content).replace(b"\n", b"\r\n")


def exchange(raw: bytes) -> bytes:
    """A server that takes messages apart writes new boundaries, its own charset names and its own fields."""
    head, body = _split(raw)
    boundaries = set(re.findall(rb'boundary="([^"]+)"', head + body))
    whole = head + b"X-MS-Exchange-Organization-AuthAs: Anonymous\r\nThread-Topic: x\r\n\r\n" + body
    for number, boundary in enumerate(sorted(boundaries)):
        whole = whole.replace(boundary, b"_00%d_EXCH01_" % number)
    return whole.replace(b'charset="utf-8"', b'charset="us-ascii"')


def outlook(raw: bytes) -> bytes:
    """A saved copy whose header was rebuilt: fields of its own, and parameters that were not there."""
    typed = re.sub(rb"(?m)^(Content-Type: [^;\r]+)", rb"\1; reply-type=original", raw, count=1)
    return b"X-Mailer: Microsoft Outlook 16.0\r\n" + typed


CHANGES: Final = {
    "trace fields": Change(trace_fields, _ANY, _ANY),
    "other order": Change(other_order, _ANY, _ANY),
    "unsigned field refolded": Change(unsigned_field_refolded, _ANY, _ANY),
    "signed field refolded": Change(signed_field_refolded, _RELAXED, _ANY),
    "names in capitals": Change(names_in_capitals, _RELAXED, _ANY),
    "blanks after colons": Change(blanks_after_colons, _RELAXED, _ANY),
    "empty lines at the end": Change(empty_lines_at_the_end, _ANY, _ANY),
    "blanks at line ends": Change(blanks_at_line_ends, _ANY, _RELAXED),
    "wider gaps": Change(wider_gaps, _ANY, _RELAXED),
    "list footer": Change(list_footer, (), ()),
    "subject tag": Change(subject_tag, (), ()),
    "re-encoded": Change(reencoded, (), ()),
    "Exchange": Change(exchange, (), ()),
    "Outlook": Change(outlook, (), ()),
}
