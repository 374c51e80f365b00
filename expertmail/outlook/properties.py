"""MAPI properties in a storage of a .msg file ([MS-OXMSG] 2.2, 2.4; numbers and types: [MS-OXPROPS], [MS-OXCDATA] 2.11.1).

A property of variable length is a stream whose name tells its number and type, such as ``__substg1.0_0037001F``; one
of fixed length stands in the stream ``__properties_version1.0``.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import Final

from expertmail.outlook.container import Storage
from threads.code_pages import DEFAULT, charset_of
from verifier.charset import to_text

MAX_SHORT_TEXT: Final = 64 * 1024  # bytes of a name, an address, a subject; Outlook stops at 32 KB
MAX_FIXED: Final = 4_096  # fixed properties of one storage; messages have about 150

_STRING, _STRING8, _BINARY, _OBJECT = "001F", "001E", "0102", "000D"
_LONG, _TIME = 0x0003, 0x0040
_FIXED_STREAM: Final = "__properties_version1.0"
_FIXED: Final = struct.Struct("<HHI8s")  # type, number, flags, value: [MS-OXMSG] 2.4.2
_INTERNET_CODE_PAGE: Final = 0x3FDE
_MESSAGE_CODE_PAGE: Final = 0x3FFD
_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)  # of FILETIME, in units of 100 ns

# Octets before the first property: [MS-OXMSG] 2.4.1.
HEADER_OF_MESSAGE: Final = 32
HEADER_OF_EMBEDDED: Final = 24
HEADER_OF_PART: Final = 8  # a recipient or an attachment


class Properties:
    """The properties of one storage; what is absent, too large or of another type is None. Never raises but for overlap.

    ``left_out`` turns True when a property was too large to be read.
    """

    def __init__(self, storage: Storage, header: int, charset: str | None = None) -> None:
        """``header`` is the size before the fixed properties, ``charset`` the message's own for its parts."""
        self.storage = storage
        self.left_out = False
        self._fixed: dict[tuple[int, int], bytes] = {}
        size = storage.size(_FIXED_STREAM)
        if size is not None and size <= header + MAX_FIXED * _FIXED.size:
            data = storage.stream(_FIXED_STREAM) or b""
            for place in range(header, len(data) - _FIXED.size + 1, _FIXED.size):
                kind, number, _, value = _FIXED.unpack_from(data, place)
                self._fixed.setdefault((number, kind), value)
        self.html_charset = charset_of(self.integer(_INTERNET_CODE_PAGE))
        self.charset = charset or charset_of(self.integer(_MESSAGE_CODE_PAGE)) or self.html_charset or DEFAULT

    def octets(self, number: int, most: int) -> bytes | None:
        """A binary property."""
        return self._stream(number, _BINARY, most)

    def text(self, number: int, most: int = MAX_SHORT_TEXT) -> str | None:
        """A text: Unicode, or 8-bit in the message's code page; without the zero that some writers end it with."""
        found = self._stream(number, _STRING, most)
        if found is not None:
            return found[: len(found) & ~1].decode("utf-16-le", "replace").rstrip("\0")
        found = self._stream(number, _STRING8, most)
        return None if found is None else to_text(found, self.charset)[0].rstrip("\0")

    def octets_of_text(self, number: int, most: int) -> bytes | None:
        """A text as bytes: 8-bit as it stands, Unicode as UTF-8."""
        if self.storage.size(_name(number, _STRING)) is None:
            found = self._stream(number, _STRING8, most)
            return None if found is None else found.rstrip(b"\0")
        text = self.text(number, most)
        return None if text is None else text.encode("utf-8", "replace")

    def integer(self, number: int) -> int | None:
        """A 32-bit number."""
        found = self._fixed.get((number, _LONG))
        return None if found is None else int.from_bytes(found[:4], "little")

    def time(self, number: int) -> datetime | None:
        """A time (UTC)."""
        found = self._fixed.get((number, _TIME))
        if found is None:
            return None
        try:
            return _EPOCH + timedelta(microseconds=int.from_bytes(found, "little") // 10)
        except OverflowError:
            return None

    def object(self, number: int) -> Storage | None:
        """An object: a storage of its own."""
        return self.storage.storage(_name(number, _OBJECT))

    def _stream(self, number: int, kind: str, most: int) -> bytes | None:
        name = _name(number, kind)
        size = self.storage.size(name)
        if size is None:
            return None
        if size > most:
            self.left_out = True
            return None
        return self.storage.stream(name)


def _name(number: int, kind: str) -> str:
    return f"__substg1.0_{number:04X}{kind}"
