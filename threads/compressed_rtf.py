"""RTF as Outlook compresses it ([MS-OXRTFCP]): LZ77 in a window of 4,096 octets that begins with usual words of RTF."""

from __future__ import annotations

import struct
import zlib
from typing import Final

MAX_RTF: Final = 2 * 1024 * 1024  # octets after decompression; larger ones hold pictures, and take seconds

_HEADER: Final = struct.Struct("<IIII")  # size of what follows this field, size decompressed, kind, checksum
_COMPRESSED: Final = 0x75465A4C  # "LZFu"
_PLAIN: Final = 0x414C454D  # "MELA"
_WINDOW: Final = 4_096
_LONGEST: Final = 17  # octets that one reference repeats
_START: Final = (  # 2.1.2.1: what the window holds at first
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor "
    rb"MS Sans SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)


class RtfError(ValueError):
    """The compressed text is damaged, or larger than what is read."""


def decompress(data: bytes, most: int = MAX_RTF, *, cut: bool = False) -> bytes:
    """The RTF, of ``most`` octets; raises RtfError. Linear in what comes out, which has a cap ([MS-OXRTFCP] 2.2, 3.1.3).

    With ``cut``, what is larger is no error, and its beginning comes out.
    """
    if len(data) < _HEADER.size:
        raise RtfError("it is cut off")
    size, raw_size, kind, checksum = _HEADER.unpack_from(data)
    content = data[_HEADER.size : size + 4]
    if raw_size > most:
        if not cut:
            raise RtfError("it is too large")
        raw_size = most
    if kind == _PLAIN:
        return content[:raw_size]
    if kind != _COMPRESSED:
        raise RtfError("its kind is not known")
    # The checksum is CRC-32 without the inversions at its start and end (2.1.3.2).
    if zlib.crc32(content, 0xFFFFFFFF) ^ 0xFFFFFFFF != checksum:
        raise RtfError("its checksum is wrong")
    return _expanded(content, raw_size)


def _expanded(content: bytes, raw_size: int) -> bytes:
    """The window is the last 4,096 octets of ``out``, which begins with the window's first content."""
    out = bytearray(_START)
    end = len(_START) + raw_size + _LONGEST
    position, size = 0, len(content)
    while position < size and len(out) < end:
        control = content[position]
        position += 1
        for bit in range(8):
            if not control >> bit & 1:
                if position >= size:
                    break
                out.append(content[position])
                position += 1
                continue
            if position + 2 > size:
                raise RtfError("it is cut off")
            reference = content[position] << 8 | content[position + 1]
            position += 2
            write = len(out) % _WINDOW
            back = (write - (reference >> 4)) % _WINDOW
            if not back:  # a reference to where is written next: the end
                return bytes(out[len(_START) :])
            start = len(out) - back
            if start < 0:
                raise RtfError("it refers to what is not there")
            for place in range(start, start + (reference & 15) + 2):  # may repeat what it is writing
                out.append(out[place])
    return bytes(out[len(_START) :])
