"""Canonical forms of header fields and bodies (RFC 6376 3.4), in linear time.

A body is canonicalised and hashed in chunks, so that no single call holds the interpreter for more than a
millisecond or so, and a large body is never copied as a whole.
"""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum
from typing import Final, NamedTuple

from verifier.interpreter_turn import let_others_run
from verifier.message import Defect, Message

CHUNK: Final = 1 << 18  # bytes of body per step: 0.2 to 1 ms of work

_CRLF_OCTETS: Final = 2
# Octets are looked for as numbers and pairs by find(): "in" with bytes raises and drops a TypeError each time.
_SPACE: Final = 0x20
_VT: Final = 0x0B
_FF: Final = 0x0C
_WSP_RUN: Final = re.compile(rb"[ \t]+")


class Canonicalization(StrEnum):
    """The two algorithms (RFC 6376 3.4)."""

    SIMPLE = "simple"
    RELAXED = "relaxed"


_RELAXED: Final = Canonicalization.RELAXED  # read once: a look at an Enum class takes as long as a call


class BodyHash(NamedTuple):
    """SHA-256 of a canonical body, or of its first octets, and how many octets the whole one has."""

    digest: bytes
    length: int


def has_odd_blanks(message: Message) -> bool:
    """Whether the header holds octets that bytes.split() takes for blanks and RFC 6376 does not."""
    defects = message.defects
    if defects and (Defect.BARE_CR in defects or Defect.BARE_LF in defects):
        return True
    find, end = message.raw.find, message.body_start
    return find(_VT, 0, end) >= 0 or find(_FF, 0, end) >= 0


def relaxed_value(value: bytes, *, odd_blanks: bool = True) -> bytes:
    """The value of a field under "relaxed" (RFC 6376 3.4.2), without its line end; see ``has_odd_blanks``."""
    if not odd_blanks:
        return b" ".join(value.split())
    return _WSP_RUN.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ")


class BodyHashes:
    """The body hashes of one message: each (canonicalization, length) is computed once."""

    def __init__(self, message: Message) -> None:
        self._message = message
        self._known: dict[tuple[Canonicalization, int | None], BodyHash] = {}

    def get(self, method: Canonicalization, length: int | None = None) -> BodyHash:
        """SHA-256 over the first ``length`` octets of the canonical body, or all of it (RFC 6376 3.7)."""
        key = (method, length)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = hash_body(self._message.raw, self._message.body_start, method, length)
        return found


def hash_body(raw: bytes, start: int, method: Canonicalization, length: int | None = None) -> BodyHash:
    """Canonicalise ``raw[start:]`` and hash its first ``length`` octets, or all of them."""
    if length is None and len(raw) - start <= CHUNK:
        return _hash_small_body(raw[start:], method)
    sink = _Sink(length)
    relaxed = method is _RELAXED
    size = len(raw)
    carry = b""
    for at in range(start, size, CHUNK):
        let_others_run()
        piece = carry + raw[at : at + CHUNK]
        last = at + CHUNK >= size
        if not last:
            piece, carry = _cut(piece, relaxed=relaxed)
        if relaxed:
            piece = _relaxed_lines(piece)
            if last and piece.endswith(b" "):
                piece = piece[:-1]  # the end of the body ends its last line
        sink.add(piece)
    if relaxed:
        sink.end_relaxed()
    else:
        sink.end_simple()
    return BodyHash(sink.sha.digest(), sink.length)


def _hash_small_body(body: bytes, method: Canonicalization) -> BodyHash:
    """The same for a body of one chunk, without the bookkeeping: most mail is that small."""
    relaxed = method is _RELAXED
    if relaxed:
        body = _relaxed_lines(body)
        if body.endswith(b" "):
            body = body[:-1]
    ends = _trailing_line_ends(body)
    if len(body) > ends == _CRLF_OCTETS:
        form = body
    elif len(body) > ends or not relaxed:
        form = body[: len(body) - ends] + b"\r\n"
    else:
        form = b""
    return BodyHash(hashlib.sha256(form).digest(), len(form))


def _cut(piece: bytes, *, relaxed: bool) -> tuple[bytes, bytes]:
    """Carry what the next chunk gives its meaning to: a CR, and under "relaxed" the blanks before it, as one."""
    end = len(piece) - 1 if piece.endswith(b"\r") else len(piece)
    carry = piece[end:]
    if relaxed and piece[end - 1 : end] in (b" ", b"\t"):
        end = len(piece[:end].rstrip(b" \t"))
        carry = b" " + carry
    return piece[:end], carry


def _relaxed_lines(piece: bytes) -> bytes:
    """RFC 6376 3.4.4 (a): runs of WSP become one space, and none is left before CRLF."""
    piece = piece.replace(b"\t", b" ")
    # Base64 holds no space: nothing behind the last one needs the dear search for two octets.
    last = piece.rfind(_SPACE)
    if last < 0:
        return piece
    # With each CR as one more space, one search finds runs of spaces and spaces at the end of a line.
    if piece[: last + 2].replace(b"\r", b" ").find(b"  ") < 0:
        return piece
    if piece.find(b"  ") >= 0:
        # Each pass shortens every run at least by half; the long steps first keep hostile runs to a few passes.
        if piece.find(b" " * 8) >= 0:
            piece = piece.replace(b" " * 64, b" ").replace(b" " * 8, b" ")
        while piece.find(b"  ") >= 0:
            piece = piece.replace(b"  ", b" ")
    return piece.replace(b" \r\n", b"\r\n")


def has_bare_line_ends(raw: bytes, start: int) -> bool:
    """Whether a CR or LF stands alone in ``raw[start:]`` (RFC 5322 2.3), which readers take differently."""
    # Without any CR, and then with one before each LF, only clean line ends come out as they were. Two searches for
    # one octet are twice as fast as one for a pair.
    if len(raw) - start <= CHUNK:
        piece = raw[start:]
        return piece.replace(b"\r", b"").replace(b"\n", b"\r\n") != piece
    carry = b""
    for at in range(start, len(raw), CHUNK):
        let_others_run()
        piece = carry + raw[at : at + CHUNK]
        carry = b"\r" if piece.endswith(b"\r") else b""
        if piece.replace(b"\r", b"").replace(b"\n", b"\r\n") + carry != piece:
            return True
    return bool(carry)


class _Sink:
    """Takes canonical octets; holds back empty lines, which count only when something follows."""

    def __init__(self, limit: int | None) -> None:
        self.sha = hashlib.sha256()
        self.length = 0
        self._left = limit
        self._held = 0  # CRLFs seen since the last octet that was not part of one

    def add(self, piece: bytes) -> None:
        end = len(piece) - _trailing_line_ends(piece)
        if end:
            self._end_lines()
            self._put(memoryview(piece)[:end])
        self._held += (len(piece) - end) // 2

    def end_relaxed(self) -> None:
        """RFC 6376 3.4.4 (b): empty lines at the end go; a body that is not empty ends with CRLF."""
        if self.length:
            self._put(b"\r\n")

    def end_simple(self) -> None:
        """RFC 6376 3.4.3: one CRLF at the end, even of an empty body."""
        self._put(b"\r\n")

    def _end_lines(self) -> None:
        while self._held:
            count = min(self._held, CHUNK)
            self._put(b"\r\n" * count)
            self._held -= count

    def _put(self, octets: bytes | memoryview) -> None:
        self.length += len(octets)
        if self._left is not None:
            octets = octets[: self._left]
            self._left -= len(octets)
        self.sha.update(octets)


def _trailing_line_ends(piece: bytes) -> int:
    """How many octets of CRLF CRLF … a piece ends with."""
    if not piece.endswith(b"\r\n"):
        return 0
    if not piece.endswith(b"\n\r\n"):
        return 2
    tail = piece[len(piece.rstrip(b"\r\n")) :]
    # The pairs start after the last place where two equal ones meet.
    start = max(tail.rfind(b"\n\n") + 2 if b"\n\n" in tail else 0, tail.rfind(b"\r\r") + 1)
    if tail[start : start + 1] == b"\n":
        start += 1
    return len(tail) - start
