"""The message inside an opaque S/MIME signature ("smime.p7m", RFC 8551 3.5.2): CMS SignedData (RFC 5652 5). Pure.

Only the content is taken out; whether the signature holds is not looked at. BER with indefinite lengths is read as well,
since programs that stream write it. Never raises; linear in the octets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_DEPTH: Final = 20  # values inside each other; SignedData has seven above its content
MAX_CHUNKS: Final = 100_000  # of a content that was streamed; programs write 1 KB or more at a time

_SIGNED_DATA: Final = bytes.fromhex("2a864886f70d010702")  # 1.2.840.113549.1.7.2
_SEQUENCE, _OCTETS, _OCTETS_IN_CHUNKS, _OBJECT, _EXPLICIT = 0x30, 0x04, 0x24, 0x06, 0xA0


class _MalformedError(ValueError):
    """Not what it should be; never leaves this module."""


@dataclass(frozen=True, slots=True)
class _Value:
    """A BER value: its tag octet, where its content stands, and where the next value begins."""

    tag: int
    start: int
    end: int
    after: int


def signed_content(data: bytes) -> bytes | None:
    """The signed octets, a MIME entity of its own; None where there are none (detached) or the bytes are no SignedData."""
    try:
        outer = _expect(data, 0, len(data), _SEQUENCE)
        kind = _expect(data, outer.start, outer.end, _OBJECT)
        if data[kind.start : kind.end] != _SIGNED_DATA:
            return None
        signed = _inside(data, _expect(data, kind.after, outer.end, _EXPLICIT), _SEQUENCE)
        version = _value(data, signed.start, signed.end)
        algorithms = _value(data, version.after, signed.end)
        content = _expect(data, algorithms.after, signed.end, _SEQUENCE)
        inner_kind = _expect(data, content.start, content.end, _OBJECT)
        if inner_kind.after >= content.end:
            return None
        octets = _value(
            data, (explicit := _expect(data, inner_kind.after, content.end, _EXPLICIT)).start, explicit.end
        )
        return _octets(data, octets)
    except _MalformedError:
        return None


def _octets(data: bytes, value: _Value) -> bytes:
    if value.tag == _OCTETS:
        return data[value.start : value.end]
    if value.tag != _OCTETS_IN_CHUNKS:
        raise _MalformedError
    chunks: list[bytes] = []
    position = value.start
    while position < value.end and len(chunks) < MAX_CHUNKS:
        chunk = _expect(data, position, value.end, _OCTETS)
        chunks.append(data[chunk.start : chunk.end])
        position = chunk.after
    return b"".join(chunks)


def _inside(data: bytes, value: _Value, tag: int) -> _Value:
    return _expect(data, value.start, value.end, tag)


def _expect(data: bytes, position: int, end: int, tag: int) -> _Value:
    found = _value(data, position, end)
    if found.tag != tag:
        raise _MalformedError
    return found


def _value(data: bytes, position: int, end: int, depth: int = 0) -> _Value:
    """The value that begins here (X.690 8.1); one of indefinite length is walked to its end."""
    if position + 2 > end or depth > MAX_DEPTH:
        raise _MalformedError
    tag, length = data[position], data[position + 1]
    start = position + 2
    if length == 0x80:  # noqa: PLR2004 -- X.690 8.1.3.6: until two zero octets
        inner = start
        while data[inner : inner + 2] != b"\0\0":
            inner = _value(data, inner, end, depth + 1).after
        return _Value(tag, start, inner, inner + 2)
    if length > 0x80:  # noqa: PLR2004 -- X.690 8.1.3.5: so many octets of length follow
        size = length & 0x7F
        length = int.from_bytes(data[start : start + size], "big")
        start += size
    if start + length > end:
        raise _MalformedError
    return _Value(tag, start, start + length, start + length)
