"""Content-Transfer-Encoding undone (RFC 2045 6). Linear, lenient, never raises."""

from __future__ import annotations

import binascii

import pybase64

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64))
_PAD = 0x3D

IDENTITY = frozenset({"7bit", "8bit", "binary"})


def decode_base64(data: bytes) -> bytes:
    """RFC 2045 6.8: characters outside the alphabet are ignored, a broken tail is dropped.

    Nearly all are whole: those are decoded in one pass, line ends and all, an eighth of what taking these out first costs.
    """
    end = data.find(_PAD)
    if end >= 0:
        data = data[: end + 2] if data[end + 1 : end + 2] == b"=" else data[: end + 1]
    try:
        return pybase64.b64decode(data)
    except binascii.Error:
        return _decode_broken_base64(data)


def _decode_broken_base64(data: bytes) -> bytes:
    kept = data.translate(None, _NOT_BASE64)
    end = kept.find(b"=")
    if end >= 0:
        kept = kept[:end]
    if len(kept) % 4 == 1:
        kept = kept[:-1]
    return pybase64.b64decode(kept + b"=" * (-len(kept) % 4))


def decode_quoted_printable(data: bytes) -> bytes:
    """RFC 2045 6.7; what is not an escape stays as it is."""
    return binascii.a2b_qp(data)


def decode_transfer(data: bytes, encoding: str) -> bytes:
    """Undo ``encoding`` (lower case); an unknown one leaves the bytes as they are (RFC 2045 6.4)."""
    if encoding == "base64":
        return decode_base64(data)
    if encoding == "quoted-printable":
        return decode_quoted_printable(data)
    return data
