"""A message as its bytes: header fields with order and folding kept, and the body. Nothing is reserialised."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from verifier.interpreter_turn import let_others_run

MAX_HEADER_BYTES: Final = 1 << 20  # the largest real headers (long To lists, ARC chains) stay under 200 KB
MAX_FIELDS: Final = 2_000  # a message that passed a hundred relays with ARC at each has about 600
MAX_LINE: Final = 998  # RFC 5322 2.1.1, without its CRLF


class Defect(StrEnum):
    """What is wrong with the bytes of a header (RFC 5322 2.2, 2.3)."""

    NO_HEADER = "no-header"
    LEADING_WSP = "leading-wsp"  # the first line is a continuation of nothing
    NOT_A_FIELD = "not-a-field"  # a line without a colon, or a name with forbidden characters
    WSP_BEFORE_COLON = "wsp-before-colon"  # obsolete; still read as that field
    NUL = "nul"
    BARE_CR = "bare-cr"
    BARE_LF = "bare-lf"
    LINE_TOO_LONG = "line-too-long"
    NON_ASCII_HEADER = "non-ascii-header"
    TOO_MANY_FIELDS = "too-many-fields"
    HEADER_TOO_LARGE = "header-too-large"


class Field(NamedTuple):
    """One header field as it stands.

    A named tuple, since twenty to a hundred are made for each message and a frozen dataclass takes three times as long.
    """

    name: bytes  # as written, without blanks before the colon
    lower: bytes
    value: bytes  # after the colon, folding kept, without the final line end
    line: bytes  # name, colon and folded value, exact
    end: bytes = (
        b"\r\n"  # the final line end, exact; only a last field that is cut off before its own gets a CRLF
    )

    @property
    def raw(self) -> bytes:
        """The whole field, exact."""
        return self.line + self.end


@dataclass(frozen=True, slots=True)
class Message:
    """A message: ``raw`` bytes, header ``fields`` top first, and where the body starts in ``raw``.

    ``by_name`` holds the same fields by their lower-case name, names in order of appearance.
    """

    raw: bytes
    fields: tuple[Field, ...]
    body_start: int
    defects: tuple[Defect, ...]
    by_name: Mapping[bytes, Sequence[Field]] = dataclasses.field(repr=False, compare=False)

    def named(self, name: bytes) -> tuple[Field, ...]:
        """Fields of that lower-case name, top first."""
        return tuple(self.by_name.get(name, ()))


_FTEXT: Final = bytes(c for c in range(33, 127) if c != ord(":"))  # RFC 5322 3.6.8
_BLANKS: Final = b" \t\r\n"
# Names that nearly all fields have, to spare them the look at their characters.
_USUAL_NAMES: Final = {
    name: name.lower()
    for name in (
        b"ARC-Authentication-Results ARC-Message-Signature ARC-Seal Authentication-Results Auto-Submitted CC Cc "
        b"Content-Description Content-Disposition Content-ID Content-Id Content-Language Content-Location "
        b"Content-Transfer-Encoding Content-Type Content-type Content-transfer-encoding DKIM-Signature Date "
        b"Delivered-To Feedback-ID From In-Reply-To List-Id List-Unsubscribe List-Unsubscribe-Post MIME-Version "
        b"Message-ID Message-Id Mime-Version Precedence Received Received-SPF References Reply-To Return-Path "
        b"Sender Subject Thread-Index Thread-Topic To User-Agent X-Attachment-Id X-Mailer X-Originating-IP X-Priority"
    ).split()
}
_FIELD_END: Final = re.compile(rb"\r\n(?![ \t])")
_LENIENT_FIELD_END: Final = re.compile(rb"\r?\n(?![ \t])")
_LF: Final = 0x0A
_CR: Final = 0x0D
_STEP: Final = (
    1 << 18
)  # octets of an endless header that are searched by one call: at most a millisecond or so


def read_message(raw: bytes) -> Message:
    """Read the header of a message; never raises, linear, and the body is neither looked at nor copied.

    A line ends at CRLF (RFC 5322 2.1). A bare LF is read as a line end too, as most programs behind us do,
    so that no field can hide behind one; it is a defect. A line that is no field is left out, and the
    fields before and after it stay readable. Fields past the limits are left unread, a defect as well.
    """
    if not raw or raw.startswith((b"\r\n", b"\n")):
        return Message(raw, (), raw.find(_LF) + 1, (Defect.NO_HEADER,), {})
    defects: set[Defect] = set()
    end = raw.find(b"\r\n\r\n", 0, MAX_HEADER_BYTES + 4)
    head = raw[: max(end, 0)]
    # Without any CR, and then with one before each LF, only clean line ends come out as they were.
    clean = end >= 0 and head.replace(b"\r", b"").replace(b"\n", b"\r\n") == head
    if clean:
        body_start = end + 4
    else:
        end, body_start = _lenient_end(raw)
        head = raw[: min(end, MAX_HEADER_BYTES)]
        if end > MAX_HEADER_BYTES:
            head = head[: max(head.rfind(b"\n"), 0)]  # a field cut in two would say something else
            defects.add(Defect.HEADER_TOO_LARGE)
        defects |= _bare_line_ends(raw, body_start)
    if 0 in head:
        defects.add(Defect.NUL)
    if not head.isascii():
        defects.add(Defect.NON_ASCII_HEADER)  # allowed by RFC 6532; told, since not every reader can
    if head[:1] in (b" ", b"\t"):
        defects.add(Defect.LEADING_WSP)
    lines = (_FIELD_END if clean else _LENIENT_FIELD_END).split(head, MAX_FIELDS + 1)
    if len(lines) > MAX_FIELDS + 1:
        del lines[MAX_FIELDS:]
        defects.add(Defect.TOO_MANY_FIELDS)
    fields, named = _read_fields(lines, None if clean else raw, defects)
    return Message(raw, fields, body_start, tuple(sorted(defects)) if defects else (), named)


def clean_values(head: bytes, most: int) -> dict[bytes, list[bytes]] | None:
    """The values of a header's fields by lower-case name, in order; the header is given without its empty line.

    None where anything is odd: a line end, a name that is not a usual one, a long line, or over ``most`` fields.
    """
    if head.replace(b"\r", b"").replace(b"\n", b"\r\n") != head:
        return None
    folded = head.find(b"\n ") >= 0 or head.find(b"\n\t") >= 0
    lines = _FIELD_END.split(head) if folded else head.split(b"\r\n")
    if len(lines) > most:
        return None
    values: dict[bytes, list[bytes]] = {}
    usual = _USUAL_NAMES.get
    for line in lines:
        name, colon, value = line.partition(b":")
        lower = usual(name)
        if lower is None or not colon or len(line) > MAX_LINE:
            return None
        if lower in values:
            values[lower].append(value)
        else:
            values[lower] = [value]
    return values


def by_name(fields: Iterable[Field]) -> dict[bytes, list[Field]]:
    """Fields by their lower-case name, names in order of appearance."""
    named: dict[bytes, list[Field]] = {}
    for field in fields:
        named.setdefault(field.lower, []).append(field)
    return named


def _lenient_end(raw: bytes) -> tuple[int, int]:
    """Where the header ends and the body starts, whichever line ends there are; without an empty line, the end."""
    for at in range(0, len(raw), _STEP):
        let_others_run()
        stop = at + _STEP + 2  # so that both searches see what begins before at + _STEP, and little more
        ends = [found for found in (raw.find(b"\n\n", at, stop), raw.find(b"\n\r\n", at, stop)) if found >= 0]
        if ends:
            end = min(ends)
            body_start = raw.index(_LF, end + 1) + 1
            return (end - 1 if raw[end - 1] == _CR else end), body_start
    return len(raw), len(raw)


def _bare_line_ends(raw: bytes, stop: int) -> set[Defect]:
    """Which line ends stand alone in ``raw[:stop]``; in steps, since a header may be as long as the message."""
    defects: set[Defect] = set()
    at = 0
    while at < stop and len(defects) < 2:  # noqa: PLR2004 - both
        let_others_run()
        end = min(at + _STEP, stop)
        if end < stop and raw[end - 1] == _CR and raw[end] == _LF:
            end += 1  # a line end is not cut in two
        piece = raw[at:end]
        if piece.replace(b"\r", b"").replace(b"\n", b"\r\n") != piece:
            rest = piece.replace(b"\r\n", b"")
            if _LF in rest:
                defects.add(Defect.BARE_LF)
            if _CR in rest:
                defects.add(Defect.BARE_CR)
        at = end
    return defects


def _read_fields(
    lines: list[bytes], message: bytes | None, defects: set[Defect]
) -> tuple[tuple[Field, ...], dict[bytes, list[Field]]]:
    """The fields of a header split into lines; ``message`` is given where not all line ends are CRLF."""
    fields: list[Field] = []
    named: dict[bytes, list[Field]] = {}
    new = tuple.__new__  # what Field() does, without its Python call
    usual = _USUAL_NAMES.get
    start = 0
    end = b"\r\n"
    for line in lines:
        name, colon, value = line.partition(b":")
        lower = usual(name)
        if message is not None:
            # A CR before the LF is part of the line end, else the pattern would not have matched there.
            start += len(line)
            end = b"\n" if message[start : start + 1] == b"\n" else b"\r\n"
            start += len(end)
        if lower is None or not colon:
            found = _odd_name(name, defects) if colon else None
            if found is None:
                if line:
                    defects.add(Defect.NOT_A_FIELD)
                continue
            name, lower = found, found.lower()
        if len(line) > MAX_LINE and any(len(part) > MAX_LINE for part in line.split(b"\r\n")):
            defects.add(Defect.LINE_TOO_LONG)
        field = new(Field, (name, lower, value, line, end))
        fields.append(field)
        if lower in named:
            named[lower].append(field)
        else:
            named[lower] = [field]
    return tuple(fields), named


def _odd_name(name: bytes, defects: set[Defect]) -> bytes | None:
    """The name without obsolete blanks before the colon (RFC 5322 4.5.8), or None if it is no name."""
    if not name or name.translate(None, _FTEXT):
        name = name.rstrip(_BLANKS)  # folded ones too
        if not name or name.translate(None, _FTEXT):
            return None
        defects.add(Defect.WSP_BEFORE_COLON)
    return name
