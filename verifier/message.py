"""A message as its bytes: header fields with order and folding kept, and the body. Nothing is reserialised."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

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
    """One header field as it stands. ``raw`` holds name, colon, folded value and the final line end.

    A named tuple, since twenty to a hundred are made for each message and a frozen dataclass takes three times as long.
    """

    name: bytes  # as written, without blanks before the colon
    lower: bytes
    value: bytes  # after the colon, folding kept, without the final line end
    raw: bytes  # exact; only a last field that is cut off before its line end gets a CRLF


@dataclass(frozen=True, slots=True)
class Message:
    """A message: ``raw`` bytes, header ``fields`` top first, and where the body starts in ``raw``."""

    raw: bytes
    fields: tuple[Field, ...]
    body_start: int
    defects: tuple[Defect, ...] = ()

    def named(self, name: bytes) -> tuple[Field, ...]:
        """Fields of that lower-case name, top first."""
        return tuple([f for f in self.fields if f.lower == name])


_FTEXT: Final = bytes(c for c in range(33, 127) if c != ord(":"))  # RFC 5322 3.6.8
_BLANKS: Final = b" \t\r\n"
# Names that nearly all fields have, to spare them the look at their characters.
_USUAL_NAMES: Final = {
    name: name.lower()
    for name in (
        b"ARC-Authentication-Results ARC-Message-Signature ARC-Seal Authentication-Results Auto-Submitted CC Cc "
        b"Content-Disposition Content-Language Content-Transfer-Encoding Content-Type DKIM-Signature Date "
        b"Delivered-To Feedback-ID From In-Reply-To List-Id List-Unsubscribe List-Unsubscribe-Post MIME-Version "
        b"Message-ID Message-Id Mime-Version Precedence Received Received-SPF References Reply-To Return-Path "
        b"Sender Subject Thread-Index Thread-Topic To User-Agent X-Mailer X-Originating-IP X-Priority"
    ).split()
}
_FIELD_END: Final = re.compile(rb"\r\n(?![ \t])")
_LENIENT_FIELD_END: Final = re.compile(rb"\r?\n(?![ \t])")
_LENIENT_HEADER_END: Final = re.compile(rb"\r?\n\r?\n")


def read_message(raw: bytes) -> Message:
    """Read the header of a message; never raises, linear, and the body is neither looked at nor copied.

    A line ends at CRLF (RFC 5322 2.1). A bare LF is read as a line end too, as most programs behind us do,
    so that no field can hide behind one; it is a defect. A line that is no field is left out, and the
    fields before and after it stay readable. Fields past the limits are left unread, a defect as well.
    """
    if not raw or raw.startswith((b"\r\n", b"\n")):
        return Message(raw, (), raw.find(b"\n") + 1, (Defect.NO_HEADER,))
    defects: set[Defect] = set()
    end = raw.find(b"\r\n\r\n")
    head = raw[:end] if end >= 0 else raw
    # Without any CR, and then with one before each LF, only clean line ends come out as they were.
    if end >= 0 and head.replace(b"\r", b"").replace(b"\n", b"\r\n") == head:
        body_start = end + 4
        field_end = _FIELD_END
    else:
        found = _LENIENT_HEADER_END.search(raw)
        head, body_start = (raw[: found.start()], found.end()) if found else (raw, len(raw))
        field_end = _LENIENT_FIELD_END
        rest = raw[:body_start].replace(b"\r\n", b"")
        if b"\n" in rest:
            defects.add(Defect.BARE_LF)
        if b"\r" in rest:
            defects.add(Defect.BARE_CR)
    if len(head) > MAX_HEADER_BYTES:
        head = head[:MAX_HEADER_BYTES]
        head = head[: max(head.rfind(b"\n"), 0)]  # a field cut in two would say something else
        defects.add(Defect.HEADER_TOO_LARGE)
    if b"\0" in head:
        defects.add(Defect.NUL)
    if not head.isascii():
        defects.add(Defect.NON_ASCII_HEADER)  # allowed by RFC 6532; told, since not every reader can
    fields = _read_fields(raw, head, field_end, defects)
    return Message(raw, fields, body_start, tuple(sorted(defects)) if defects else ())


def _read_fields(
    message: bytes, head: bytes, field_end: re.Pattern[bytes], defects: set[Defect]
) -> tuple[Field, ...]:
    if head[:1] in (b" ", b"\t"):
        defects.add(Defect.LEADING_WSP)
    lines = field_end.split(head, MAX_FIELDS + 1)
    if len(lines) > MAX_FIELDS + 1:
        del lines[MAX_FIELDS:]
        defects.add(Defect.TOO_MANY_FIELDS)
    crlf_only = field_end is _FIELD_END
    fields: list[Field] = []
    new = tuple.__new__  # what Field() does, without its Python call
    start = 0
    for line in lines:
        if crlf_only:
            raw = line + b"\r\n"
        else:
            stop = start + len(line)
            # A CR before the LF is part of the line end, else the pattern would not have matched there.
            after = stop + (1 if message[stop : stop + 1] == b"\n" else 2)
            raw = message[start:after] if after <= len(message) else line + b"\r\n"
            start = after
        name, colon, value = line.partition(b":")
        lower = _USUAL_NAMES.get(name)
        if lower is None or not colon:
            found = _odd_name(name, defects) if colon else None
            if found is None:
                if line:
                    defects.add(Defect.NOT_A_FIELD)
                continue
            name, lower = found, found.lower()
        if len(line) > MAX_LINE and any(len(part) > MAX_LINE for part in line.split(b"\r\n")):
            defects.add(Defect.LINE_TOO_LONG)
        fields.append(new(Field, (name, lower, value, raw)))
    return tuple(fields)


def _odd_name(name: bytes, defects: set[Defect]) -> bytes | None:
    """The name without obsolete blanks before the colon (RFC 5322 4.5.8), or None if it is no name."""
    if not name or name.translate(None, _FTEXT):
        name = name.rstrip(_BLANKS)  # folded ones too
        if not name or name.translate(None, _FTEXT):
            return None
        defects.add(Defect.WSP_BEFORE_COLON)
    return name
