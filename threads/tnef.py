"""Outlook's winmail.dat (MS-OXTNEF): the text and the files that it holds. Pure.

Outlook writes the text plain, as HTML, or only as RTF (MS-OXRTFCP), which is read where nothing else says it.

An attribute that is not understood is passed over, and what is cut off ends the reading: whatever came until there is told.
Never raises; linear in the bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from threads import rtf_text
from threads.charset_guess import text_of
from threads.compressed_rtf import RtfError, decompress

MAX_FILES: Final = 500  # in one such file
MAX_PROPERTIES: Final = 2_000  # of the message or of one file; Outlook writes under 200
MAX_RTF_READ: Final = 256 * 1024  # octets once decompressed, which take 0.3 s; letters hold under 50,000
MAX_NAME: Final = 500  # characters of a file's name

_SIGNATURE: Final = 0x223E9F78
# Attributes (MS-OXTNEF 2.1.3.3).
_BODY: Final = 0x0002800C
_MESSAGE_PROPERTIES: Final = 0x00069003
_CODE_PAGE: Final = 0x00069007
_NEXT_FILE: Final = 0x00069002
_FILE_NAME: Final = 0x00018010
_FILE_DATA: Final = 0x0006800F
_FILE_PROPERTIES: Final = 0x00069005
# Properties (MS-OXPROPS): a message's text, and a file's name, type and content.
_TEXT, _HTML, _CODE_PAGE_OF_HTML, _RTF = 0x1000, 0x1013, 0x3FDE, 0x1009
_LONG_NAME, _SHORT_NAME, _MIME_TYPE, _CONTENT = 0x3707, 0x3704, 0x370E, 0x3701
# Sizes of values (MS-OXCDATA 2.11.1), padded to four octets; the others carry their own length.
_FIXED: Final = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 0xA: 4, 0xB: 4, 0x14: 8, 0x40: 8, 0x48: 16}
_STRING8, _UNICODE, _BINARY, _OBJECT = 0x1E, 0x1F, 0x102, 0x0D
_NAMED: Final = 0x8000  # a property from here on carries its name
_MANY: Final = 0x1000  # set in a type: several values
_UTF_8: Final = 65001


@dataclass(frozen=True, slots=True)
class TnefFile:
    """A file inside: its name and media type as the sender wrote them, and its octets."""

    name: str | None
    type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Tnef:
    """What is inside; ``html`` and ``text`` are empty where there is none. ``rtf`` is compressed, as it came."""

    text: str
    html: str
    files: tuple[TnefFile, ...]
    rtf: bytes = b""

    @property
    def rtf_text(self) -> str:
        """The text of the RTF, as far as it is read; empty where there is none, or it is damaged."""
        try:
            return rtf_text.text_of(decompress(self.rtf, MAX_RTF_READ, cut=True)).strip()
        except RtfError:
            return ""

    @property
    def rtf_is_cut(self) -> bool:
        """Whether the RTF says that it is larger than what is read: pictures, or what was put above the end."""
        return len(self.rtf) >= 8 and struct.unpack_from("<I", self.rtf, 4)[0] > MAX_RTF_READ  # noqa: PLR2004 -- two numbers


@dataclass(slots=True)
class _Reading:
    code_page: str | None = None
    body: bytes = b""
    message: dict[int, bytes | str] = field(default_factory=dict)
    files: list[dict[int, bytes | str]] = field(default_factory=list)


def read_tnef(data: bytes) -> Tnef | None:
    """The content of such a file; None where the bytes are none."""
    if len(data) < 6 or struct.unpack_from("<I", data)[0] != _SIGNATURE:  # noqa: PLR2004 -- signature and key
        return None
    found = _Reading()
    position = 6
    while position + 9 <= len(data):
        name, length = struct.unpack_from("<II", data, position + 1)
        start = position + 9
        if start + length > len(data):
            break
        _attribute(found, name, data[start : start + length])
        position = start + length + 2  # its checksum
    html = found.message.get(_HTML, "")
    if isinstance(html, bytes):
        html = text_of(html.rstrip(b"\0"), _charset_of(found.message.get(_CODE_PAGE_OF_HTML)))[0]
    text = found.message.get(_TEXT, "") or found.body.rstrip(b"\0")
    rtf = found.message.get(_RTF)
    return Tnef(
        _as_text(text, found.code_page),
        html,
        tuple(_file(one, found.code_page) for one in found.files),
        rtf if isinstance(rtf, bytes) else b"",
    )


def _attribute(found: _Reading, name: int, value: bytes) -> None:
    if name == _CODE_PAGE and len(value) >= 4:  # noqa: PLR2004 -- a 32-bit number
        found.code_page = f"cp{struct.unpack_from('<I', value)[0]}"
    elif name == _BODY:
        found.body = value
    elif name == _MESSAGE_PROPERTIES:
        found.message.update(_properties(value))
    elif name == _NEXT_FILE:
        if len(found.files) < MAX_FILES:
            found.files.append({})
    elif not found.files:
        return
    elif name == _FILE_NAME:
        found.files[-1].setdefault(_SHORT_NAME, value.rstrip(b"\0"))
    elif name == _FILE_DATA:
        found.files[-1][_CONTENT] = value
    elif name == _FILE_PROPERTIES:
        found.files[-1].update(_properties(value))


def _properties(data: bytes) -> dict[int, bytes | str]:
    found: dict[int, bytes | str] = {}
    try:
        (count,) = struct.unpack_from("<I", data)
        position = 4
        for _ in range(min(count, MAX_PROPERTIES)):
            kind, name = struct.unpack_from("<HH", data, position)
            position += 4
            if name >= _NAMED:
                position = _after_name(data, position)
            value, position = _value(data, position, kind)
            if value is not None and position <= len(data):
                found[name] = value
    except struct.error:
        pass  # cut off: what came before holds
    return found


def _after_name(data: bytes, position: int) -> int:
    (by_string,) = struct.unpack_from("<I", data, position + 16)
    if not by_string:
        return position + 24
    (length,) = struct.unpack_from("<I", data, position + 20)
    return position + 24 + _padded(length)


def _value(data: bytes, position: int, kind: int) -> tuple[bytes | str | None, int]:
    """The first value, and the position behind all of them."""
    many = bool(kind & _MANY)
    kind &= ~_MANY
    size = _FIXED.get(kind)
    if size is not None and not many:
        return data[position : position + size], position + size
    (count,) = struct.unpack_from("<I", data, position)
    position += 4
    if size is not None:
        return None, position + size * count
    first: bytes | str | None = None
    for number in range(count):
        (length,) = struct.unpack_from("<I", data, position)
        raw = data[position + 4 : position + 4 + length]
        position += 4 + _padded(length)
        if number == 0:
            first = _decoded(raw, kind)
        if position > len(data):
            break
    return first, position


def _decoded(raw: bytes, kind: int) -> bytes | str | None:
    if kind == _UNICODE:
        return raw.decode("utf-16-le", "replace").rstrip("\0")
    if kind == _STRING8:
        return raw.rstrip(b"\0")
    if kind == _OBJECT:
        return raw[16:]  # behind the interface's identifier
    return raw if kind == _BINARY else None


def _padded(length: int) -> int:
    return (length + 3) & ~3


def _charset_of(code_page: bytes | str | None) -> str | None:
    if not isinstance(code_page, bytes) or len(code_page) < 4:  # noqa: PLR2004 -- a 32-bit number
        return None
    number: int = struct.unpack_from("<I", code_page)[0]
    return "utf-8" if number == _UTF_8 else f"cp{number}"


def _as_text(value: bytes | str, charset: str | None) -> str:
    return value if isinstance(value, str) else text_of(value, charset)[0]


def _file(properties: dict[int, bytes | str], charset: str | None) -> TnefFile:
    name = _as_text(properties.get(_LONG_NAME) or properties.get(_SHORT_NAME) or "", charset)[:MAX_NAME]
    kind = _as_text(properties.get(_MIME_TYPE) or "", None).strip().lower()
    data = properties.get(_CONTENT, b"")
    return TnefFile(
        name or None, kind or "application/octet-stream", data if isinstance(data, bytes) else data.encode()
    )
