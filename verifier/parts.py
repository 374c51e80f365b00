"""The MIME parts of a message as spans of its bytes (RFC 2045, RFC 2046 5.1).

One pass over the bytes with a stack of open boundaries: linear whatever the nesting, byte-exact, lenient
about a missing final boundary. Nothing is reserialised; a part is where it stands in ``raw``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from verifier.charset import to_text
from verifier.message import Field, Message, by_name, clean_values
from verifier.part import MESSAGE_TYPES, Described, Part, PartDefect, describe
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

_Contents = tuple[Sequence[bytes], Sequence[bytes], Sequence[bytes]]
"""The values of Content-Type, Content-Disposition and Content-Transfer-Encoding in a header, in their order."""
_Header = tuple[_Contents, int, int, PartDefect | None]
"""What a part's header says of it, where the header ends, where the body begins, and a defect."""

_PART = tuple.__new__  # what Part() does, without its Python call
_CONTENT_TYPE, _DISPOSITION, _ENCODING = b"content-type", b"content-disposition", b"content-transfer-encoding"
_NONE: Final[tuple[bytes, ...]] = ()
_DASH: Final = 0x2D
_LF: Final = 0x0A
# No header begins so: its empty line, a fold of nothing, and what may be a boundary.
_NO_FIELD: Final = frozenset(b"\r \t-")
_DASHES_TRIED: Final = 16  # that begin no line, before the dearer search is the faster one
_EML = re.compile(r"\.eml\s*$", re.IGNORECASE)


class _Open:
    """A part while its end is not known; ``boundary`` only while a line may still be it."""

    __slots__ = ("boundary", "defects", "depth", "end", "number", "parent", "spans", "values")

    def __init__(
        self, number: int, parent: int | None, depth: int, described: Described, spans: tuple[int, int, int]
    ) -> None:
        self.number = number
        self.parent = parent
        self.depth = depth
        self.values, self.defects = described
        self.spans = spans
        self.end = -1
        self.boundary: bytes | None = None

    def finished(self, size: int) -> Part:
        """The part as a value; one that was never ended runs to the end of the message."""
        end = size if self.end < 0 else max(self.end, self.spans[2])
        defects = tuple(dict.fromkeys(self.defects)) if self.defects else self.defects
        return _PART(Part, (self.number, self.parent, self.depth, *self.values, *self.spans, end, defects))


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
        self.parts: list[_Open] = []
        self.stack: list[_Open] = []
        self.active: dict[bytes, int] = {}  # boundary -> position in stack
        self.leaf: _Open | None = None  # the open part that is no multipart

    def walk(self) -> tuple[Part, ...]:
        raw, end = self.raw, len(self.raw)
        header_end = self.message.body_start
        self._open(None, 0, "text/plain", _contents(self.message.by_name), (0, header_end, header_end))
        position = header_end
        while self.stack and position < end:
            line = self._dashes(position)
            if line < 0:
                break
            line_end = raw.find(_LF, line)
            after = end if line_end < 0 else line_end + 1
            found = self._delimiter(line, end if line_end < 0 else line_end)
            if found is None:
                position = after
                continue
            level, closing = found
            owner = self.stack[level]
            self._close_down_to(level, _before(raw, line, owner.spans[2]))
            if closing:
                self._retire(owner)
                position = after
                continue
            if len(self.parts) >= MAX_PARTS:
                owner.defects += (PartDefect.TOO_MANY_PARTS,)
                break
            position = self._part_at(after, owner)
        self._close_down_to(0, end)
        for still_open in self.stack:
            still_open.defects += (PartDefect.NO_FINAL_BOUNDARY,)
        return tuple([part.finished(end) for part in self.parts])

    def _dashes(self, position: int) -> int:
        """Where the next line begins with two hyphens, from the line that begins at ``position``; -1 for nowhere.

        One octet is looked for fifty times as fast as three, and base64 holds no hyphen.
        """
        raw = self.raw
        at = position
        for _ in range(_DASHES_TRIED):
            at = raw.find(_DASH, at)
            if at < 0:
                return -1
            if raw[at - 1] == _LF and raw.startswith(b"--", at):  # a line is never the first of a message
                return at
            at += 1
        return raw.find(b"\n--", at - 1) + 1 or -1

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

    def _close_down_to(self, level: int, end: int) -> None:
        """End the open leaf and every multipart inside ``level``; RFC 2046 5.1.2 lets an outer boundary do so."""
        if self.leaf is not None:
            self.leaf.end = end
            self.leaf = None
        while len(self.stack) > level + 1:
            inner = self.stack.pop()
            if inner.boundary is not None:
                self.active.pop(inner.boundary, None)
                inner.defects += (PartDefect.NO_FINAL_BOUNDARY,)
            inner.end = end

    def _retire(self, owner: _Open) -> None:
        """The multipart's final boundary was seen: it stays open for its epilogue, its boundary is done."""
        if owner.boundary is not None:
            self.active.pop(owner.boundary, None)
            owner.boundary = None
        if not self.active:
            self.stack.clear()  # nothing can end a part any more: all that follows is epilogue

    def _part_at(self, start: int, parent: _Open) -> int:
        """Read the header of a part that begins at ``start``; returns where its body begins."""
        contents, header_end, body_start, defect = self._usual_header(start) or self._read_header(start)
        default = "message/rfc822" if parent.values[0] == "multipart/digest" else "text/plain"  # 5.1.5
        opened = self._open(parent.number, parent.depth + 1, default, contents, (start, header_end, body_start))
        if defect is not None:
            opened.defects += (defect,)
        return body_start

    def _usual_header(self, start: int) -> _Header | None:
        """A header that ends with an empty line and holds nothing odd, in one go; None to read it line by line."""
        raw = self.raw
        end = raw.find(b"\r\n\r\n", start, start + MAX_USUAL_HEADER)
        if end <= start or raw[start] in _NO_FIELD:
            return None
        head = raw[start:end]
        if head.find(b"\n-") >= 0:
            return None
        values = clean_values(head, MAX_HEADER_FIELDS)
        if values is None:
            return None
        get = values.get
        return (get(_CONTENT_TYPE, _NONE), get(_DISPOSITION, _NONE), get(_ENCODING, _NONE)), end + 2, end + 4, None

    def _read_header(self, start: int) -> _Header:
        """A header whatever it holds, line by line."""
        raw, size = self.raw, len(self.raw)
        fields: list[Field] = []
        position = start
        field_start = -1
        defect: PartDefect | None = None
        while True:
            found = raw.find(_LF, position)
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
                return _contents(by_name(fields)), position, after if blank else position, defect
            position = after

    def _open(
        self, parent: int | None, depth: int, default: str, contents: _Contents, spans: tuple[int, int, int]
    ) -> _Open:
        opened = _Open(len(self.parts), parent, depth, describe(*contents, default), spans)
        self.parts.append(opened)
        if not opened.values[0].startswith("multipart/"):
            self.leaf = opened
            return opened
        boundary, defect = self._boundary(opened)
        if defect is not None:
            opened.defects += (defect,)
        if boundary is None:
            self.leaf = opened
            return opened
        self.active[boundary] = len(self.stack)
        opened.boundary = boundary
        self.stack.append(opened)
        return opened

    def _boundary(self, opened: _Open) -> tuple[bytes | None, PartDefect | None]:
        _, parameters, _, _, _, encoding = opened.values
        text = next((value for key, value in parameters if key == "boundary"), "")
        boundary = text.encode("utf-8", "surrogateescape").rstrip(b" \t")
        if not boundary or len(boundary) > MAX_BOUNDARY:
            return None, PartDefect.NO_BOUNDARY
        if opened.depth >= MAX_DEPTH:
            return None, PartDefect.TOO_DEEP
        if boundary in self.active:
            return None, PartDefect.BOUNDARY_IN_USE
        return boundary, PartDefect.ENCODED_MULTIPART if encoding not in IDENTITY else None


def _contents(named: Mapping[bytes, Sequence[Field]]) -> _Contents:
    """What a header's fields, by their lower-case name, say of the content."""
    kinds = [
        [field.value for field in named[name]] if name in named else _NONE
        for name in (_CONTENT_TYPE, _DISPOSITION, _ENCODING)
    ]
    return kinds[0], kinds[1], kinds[2]


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
