"""A file's octets out of its message, piece by piece, so that no single step keeps other threads waiting. Pure.

Undoing base64 of 35 MB in one step takes some 50 ms, in which nothing else of the process runs. The pieces give the same
octets as ``verifier.transfer``.
"""

from __future__ import annotations

from typing import Final

from verifier.message import Message
from verifier.parts import Part, body_bytes
from verifier.transfer import decode_transfer

PIECE: Final = 2_000_000
"""Octets that are decoded in one step: some 6 ms."""
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_NOT_BASE64: Final = bytes(set(range(256)) - set(_BASE64))


def octets_of(message: Message, part: Part) -> bytes:
    """The part's body with its transfer encoding undone (RFC 2045 6)."""
    if part.body_end - part.body_start <= PIECE:
        return body_bytes(message, part)
    if part.encoding == "base64":
        return _from_base64(message.raw, part.body_start, part.body_end)
    if part.encoding == "quoted-printable":
        return _from_quoted_printable(message.raw, part.body_start, part.body_end)
    return body_bytes(message, part)


def _from_base64(raw: bytes, start: int, end: int) -> bytes:
    pieces: list[bytes] = []
    rest = b""
    for at in range(start, end, PIECE):
        letters = rest + raw[at : min(at + PIECE, end)].translate(None, _NOT_BASE64)
        if b"=" in letters:  # the end, whatever follows
            return b"".join((*pieces, decode_transfer(letters, "base64")))
        whole = len(letters) - len(letters) % 4
        pieces.append(decode_transfer(letters[:whole], "base64"))
        rest = letters[whole:]
    return b"".join((*pieces, decode_transfer(rest, "base64")))


def _from_quoted_printable(raw: bytes, start: int, end: int) -> bytes:
    """Cut behind line ends only: an escape never goes across one but as the soft line break that ends there."""
    pieces: list[bytes] = []
    while start < end:
        cut = end if end - start <= PIECE else raw.find(b"\n", start + PIECE, end) + 1 or end
        pieces.append(decode_transfer(raw[start:cut], "quoted-printable"))
        start = cut
    return b"".join(pieces)
