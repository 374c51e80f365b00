"""The MIME parts of a message as spans of its bytes (RFC 2045, RFC 2046 5.1).

One pass over the bytes with a stack of open boundaries: linear whatever the nesting, byte-exact, lenient
about a missing final boundary. Nothing is reserialised; a part is where it stands in ``raw``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from verifier.charset import to_text
from verifier.message import Field, Message, by_name, read_clean_fields
from verifier.part import MESSAGE_TYPES, Part, PartDefect, describe
from verifier.transfer import IDENTITY, decode_transfer

__all__ = [
    "MAX_DEPTH",
    "MAX_PARTS",
    "Part",
    "PartDefect",
    "attached_messages",
    "body_bytes",
    "body_text",
    "is_attached_message",
    "raw_body",
    "walk",
]

MAX_PARTS = 1_000  # the fattest real message known (a digest) has under 300
MAX_DEPTH = 50  # multiparts inside multiparts that are opened; real mail stays under 10
MAX_HEADER_BYTES = 65_536  # of one part's header
MAX_USUAL_HEADER = 4_096  # of one part's header that is read in one go
MAX_HEADER_FIELDS = 100  # of one part's header that are kept
MAX_BOUNDARY = 200  # RFC 2046 5.1.1 says 70; some mailers write more

_Head = tuple[tuple[Field, ...], Mapping[bytes, Sequence[Field]]]
"""The fields of a header, in order and by name."""
_Header = tuple[_Head, int, int, PartDefect | None]
"""A part's fields, where its header ends, where its body begins, and a defect."""

_PART = tuple.__new__  # what Part() does, without its Python call
_BODY_END = Part._fields.index("body_end")
_EML = re.compile(r"\.eml\s*$", re.IGNORECASE)


@dataclass(slots=True)
class _Open:
    """A part while its end is not known."""

    index: int
    boundary: bytes | None


def walk(message: Message) -> tuple[Part, ...]:
    """All parts in the order of the message, the message itself first. Never raises."""
    return _Walker(message).walk()


def raw_body(message: Message, part: Part) -> bytes:
    """The part's body as it stands, still encoded."""
    return message.raw[part.body_start : part.body_end]


def body_bytes(message: Message, part: Part, limit: int | None = None) -> bytes:
    """The part's body with base64 or quoted-printable undone; ``limit`` caps the encoded bytes that are read."""
    end = part.body_end if limit is None else min(part.body_end, part.body_start + limit)
    return decode_transfer(message.raw[part.body_start : end], part.encoding)


def body_text(message: Message, part: Part) -> tuple[str, bool]:
    """The part's body as text, and whether its charset had to be guessed."""
    return to_text(body_bytes(message, part), part.charset)


def is_attached_message(part: Part) -> bool:
    """Whether a part holds a whole message: message/rfc822, message/global, or a file named *.eml."""
    if part.number == 0 and part.parent is None and part.content_type not in MESSAGE_TYPES:
        return False
    if part.content_type in MESSAGE_TYPES:
        return True
    kind = part.content_type.partition("/")[0]
    return kind in ("text", "application") and part.filename is not None and bool(_EML.search(part.filename))


def attached_messages(
    message: Message, parts: tuple[Part, ...] | None = None, limit: int | None = None
) -> tuple[bytes, ...]:
    """The bytes of the first ``limit`` attached messages: exact as they stand, or decoded where encoded.

    RFC 2046 5.2.1 allows 7bit, 8bit and binary only, but Exchange and Outlook send base64 too.
    """
    known = walk(message) if parts is None else parts
    holding = [part for part in known if is_attached_message(part)]
    return tuple(body_bytes(message, part) for part in holding[:limit])


class _Walker:
    """The one pass. ``stack`` holds the open multiparts, outermost first; ``active`` finds one by boundary."""

    def __init__(self, message: Message) -> None:
        self.raw = message.raw
        self.message = message
        self.parts: list[Part] = []
        self.ends: dict[int, int] = {}
        self.defects: dict[int, list[PartDefect]] = {}
        self.stack: list[_Open] = []
        self.active: dict[bytes, int] = {}  # boundary -> position in stack
        self.leaf: int | None = None  # the open part that is no multipart

    def walk(self) -> tuple[Part, ...]:
        raw, end = self.raw, len(self.raw)
        message = self.message
        header_end = message.body_start
        head = message.fields, message.by_name
        self._open(None, 0, "text/plain", head, (0, header_end, header_end))
        position = header_end
        while self.stack and position < end:
            line = raw.find(b"\n--", position - 1) + 1  # a line begins at ``position``, so a line end is before it
            if not line:
                break
            line_end = raw.find(b"\n", line)
            after = end if line_end < 0 else line_end + 1
            found = self._delimiter(line, end if line_end < 0 else line_end)
            if found is None:
                position = after
                continue
            level, closing = found
            self._close_down_to(level, _before(raw, line, self._start_of(level)))
            if closing:
                self._retire(level)
                position = after
                continue
            if len(self.parts) >= MAX_PARTS:
                self.defects.setdefault(self.stack[level].index, []).append(PartDefect.TOO_MANY_PARTS)
                break
            position = self._part_at(after, level)
        self._close_down_to(0, end)
        for still_open in self.stack:
            self.defects.setdefault(still_open.index, []).append(PartDefect.NO_FINAL_BOUNDARY)
        return tuple([self._finished(part) for part in self.parts])

    def _finished(self, part: Part) -> Part:
        end = self.ends.get(part.number)
        if end is None:
            end = len(self.raw)
        elif end < part.body_start:
            end = part.body_start
        defects = part.defects
        more = self.defects.get(part.number)
        if more is not None:
            defects += tuple(dict.fromkeys(more))
        return _PART(Part, (*part[:_BODY_END], end, defects))

    def _delimiter(self, start: int, end: int) -> tuple[int, bool] | None:
        """Which open multipart a line belongs to and whether it closes it (RFC 2046 5.1.1)."""
        if end - start > MAX_BOUNDARY + 80:  # trailing blanks are allowed, but not endlessly
            return None
        content = self.raw[start + 2 : end].rstrip(b" \t\r")
        level = self.active.get(content)
        if level is not None:
            return level, False
        if content.endswith(b"--"):
            level = self.active.get(content[:-2])
            if level is not None:
                return level, True
        return None

    def _start_of(self, level: int) -> int:
        return self.parts[self.stack[level].index].body_start

    def _close_down_to(self, level: int, end: int) -> None:
        """End the open leaf and every multipart inside ``level``; RFC 2046 5.1.2 lets an outer boundary do so."""
        if self.leaf is not None:
            self.ends[self.leaf] = end
            self.leaf = None
        while len(self.stack) > level + 1:
            inner = self.stack.pop()
            if inner.boundary is not None:
                self.active.pop(inner.boundary, None)
                self.defects.setdefault(inner.index, []).append(PartDefect.NO_FINAL_BOUNDARY)
            self.ends[inner.index] = end

    def _retire(self, level: int) -> None:
        """The multipart's final boundary was seen: it stays open for its epilogue, its boundary is done."""
        entry = self.stack[level]
        if entry.boundary is not None:
            self.active.pop(entry.boundary, None)
            entry.boundary = None
        if not self.active:
            self.stack.clear()  # nothing can end a part any more: all that follows is epilogue

    def _part_at(self, start: int, level: int) -> int:
        """Read the header of a part that begins at ``start``; returns where its body begins."""
        head, header_end, body_start, defect = self._read_header(start)
        parent = self.parts[self.stack[level].index]
        default = "message/rfc822" if parent.content_type == "multipart/digest" else "text/plain"  # 5.1.5
        self._open(parent.number, parent.depth + 1, default, head, (start, header_end, body_start))
        if defect is not None:
            self.defects.setdefault(len(self.parts) - 1, []).append(defect)
        return body_start

    def _usual_header(self, start: int) -> _Header | None:
        """A header that ends with an empty line and holds nothing odd, in one go; None to read it line by line."""
        end = self.raw.find(b"\r\n\r\n", start, start + MAX_USUAL_HEADER)
        if end <= start:
            return None
        head = self.raw[start:end]
        if head[:1] in (b"\r", b" ", b"\t", b"-") or head.find(b"\n-") >= 0:
            return None
        read = read_clean_fields(head)
        if read is None or len(read[0]) > MAX_HEADER_FIELDS:
            return None
        return read, end + 2, end + 4, None

    def _read_header(self, start: int) -> _Header:
        usual = self._usual_header(start)
        if usual is not None:
            return usual
        raw, size = self.raw, len(self.raw)
        fields: list[Field] = []
        position = start
        field_start = -1
        defect: PartDefect | None = None
        while True:
            found = raw.find(b"\n", position)
            after = size if found < 0 else found + 1
            line_end = _line_end(raw, position, after)
            blank = line_end == position
            first = raw[position : position + 1]
            continued = first in (b" ", b"\t") and field_start >= 0
            stop = blank or position >= size
            if not stop and not continued and first == b"-" and raw.startswith(b"--", position):
                stop = self._delimiter(position, size if found < 0 else found) is not None
            if not stop and not continued and raw.find(b":", position, line_end) < 0:
                stop, defect = True, PartDefect.BAD_HEADER
            if not stop and after - start > MAX_HEADER_BYTES:
                stop, defect = True, PartDefect.HEADER_TOO_LARGE
            if not continued or stop:
                if field_start >= 0 and len(fields) < MAX_HEADER_FIELDS:
                    fields.append(_field(raw[field_start:position]))
                field_start = position
            if stop:
                head = tuple(fields), by_name(fields)
                return head, position, after if blank else position, defect
            position = after

    def _open(
        self,
        parent: int | None,
        depth: int,
        default: str,
        head: _Head,
        spans: tuple[int, int, int],
    ) -> None:
        index = len(self.parts)
        fields, named = head
        values, defects = describe(named, default)
        part = _PART(Part, (index, parent, depth, *values, fields, *spans, 0, defects))
        self.parts.append(part)
        if not values[0].startswith("multipart/"):
            self.leaf = index
            return
        boundary, defect = self._boundary(part)
        if defect is not None:
            self.defects.setdefault(index, []).append(defect)
        if boundary is None:
            self.leaf = index
            return
        self.active[boundary] = len(self.stack)
        self.stack.append(_Open(index, boundary))

    def _boundary(self, part: Part) -> tuple[bytes | None, PartDefect | None]:
        text = part.parameter("boundary")
        boundary = (text or "").encode("utf-8", "surrogateescape").rstrip(b" \t")
        if not boundary or len(boundary) > MAX_BOUNDARY:
            return None, PartDefect.NO_BOUNDARY
        if part.depth >= MAX_DEPTH:
            return None, PartDefect.TOO_DEEP
        if boundary in self.active:
            return None, PartDefect.BOUNDARY_IN_USE
        return boundary, PartDefect.ENCODED_MULTIPART if part.encoding not in IDENTITY else None


def _field(raw: bytes) -> Field:
    stop = _line_end(raw, 0, len(raw))
    name, _, value = raw[:stop].partition(b":")
    name = name.rstrip(b" \t")
    return Field(name, name.lower(), value, raw[:stop], raw[stop:])


def _line_end(raw: bytes, start: int, after: int) -> int:
    """Where a line's text ends, given where the next line starts."""
    end = after
    if end > start and raw[end - 1 : end] == b"\n":
        end -= 1
        if end > start and raw[end - 1 : end] == b"\r":
            end -= 1
    return end


def _before(raw: bytes, line: int, least: int) -> int:
    """The end of what precedes a boundary line: its CRLF is the boundary's (RFC 2046 5.1.1)."""
    return max(least, _line_end(raw, least, line)) if line > least else least
