"""The list of names in an archive, read from its directory; nothing is unpacked. Pure, linear, and capped.

ZIP by its central directory (APPNOTE 4.3.12 to 4.3.16), tar by its headers (POSIX.1 ustar), gzip by the one name in its
header (RFC 1952 2.3). RAR and 7z are only asked whether they are encrypted. No input raises; what does not add up is told.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from threads.attachment_type import GZIP, RAR, SEVEN_ZIP, TAR, ZIP

MAX_ENTRIES: Final = 10_000
"""Names that are read of one archive; a person's has some hundred, and this many take 50 ms."""
MAX_ENTRY_NAME: Final = 1_000
"""Octets of one name that are kept; paths of 260 are the usual limit."""
EXPANDED_BYTES: Final = 1_000_000_000
EXPANSION: Final = 100
"""An archive that says it unpacks to over a gigabyte and over a hundred times its size is a bomb or a lie."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in an archive, as it is written there, and the size that the archive claims for it."""

    name: str
    size: int
    encrypted: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """What an archive says it holds. ``cut``: more than ``MAX_ENTRIES``; ``damaged``: what it says does not add up."""

    entries: tuple[Entry, ...] = ()
    cut: bool = False
    damaged: bool = False
    encrypted: bool = False
    expands: bool = False


def listing_of(data: bytes, found: str) -> Listing:
    """The listing of a file of the type ``found``; an empty one for what is not listed."""
    reader = _READERS.get(found)
    return Listing() if reader is None else reader(data)


def _listing(
    entries: list[Entry], size: int, *, cut: bool = False, damaged: bool = False, encrypted: bool = False
) -> Listing:
    total = sum(entry.size for entry in entries)
    return Listing(
        tuple(entries),
        cut=cut,
        damaged=damaged,
        encrypted=encrypted or any(entry.encrypted for entry in entries),
        expands=total > EXPANDED_BYTES and total > size * EXPANSION,
    )


# -- ZIP
_END: Final = b"PK\x05\x06"
_END_SIZE: Final = 22
_MAX_COMMENT: Final = 65_535
_LOCATOR, _LOCATOR_SIZE = b"PK\x06\x07", 20
_END_64, _END_64_SIZE = b"PK\x06\x06", 56
_ENTRY: Final = b"PK\x01\x02"
_ENTRY_FORM: Final = struct.Struct("<4s6H3I5H2I")
_ENCRYPTED, _UTF8, _MASKED = 0x0001, 0x0800, 0x2000  # APPNOTE 4.4.4
_IN_ZIP64: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class _Directory:
    start: int
    entries: int


def _zip(data: bytes) -> Listing:
    directory = _directory(data)
    if directory is None:
        return Listing(damaged=True)
    entries: list[Entry] = []
    at, packed = directory.start, 0
    while data.startswith(_ENTRY, at) and at + _ENTRY_FORM.size <= len(data):
        if len(entries) >= MAX_ENTRIES:
            return _listing(entries, len(data), cut=True)
        field = _ENTRY_FORM.unpack_from(data, at)
        flags, packed_size, size = field[3], field[8], field[9]
        name_size, extra_size, comment_size = field[10], field[11], field[12]
        name = data[at + _ENTRY_FORM.size : at + _ENTRY_FORM.size + min(name_size, MAX_ENTRY_NAME)]
        if packed_size != _IN_ZIP64:
            packed += packed_size
        entries.append(
            Entry(_zip_name(name, flags), 0 if size == _IN_ZIP64 else size, bool(flags & (_ENCRYPTED | _MASKED)))
        )
        at += _ENTRY_FORM.size + name_size + extra_size + comment_size
    # The old field counts to 65,535 only, and writers without zip64 let it overflow.
    wrong = len(entries) % 65_536 != directory.entries % 65_536
    return _listing(entries, len(data), damaged=wrong or packed > len(data))


def _directory(data: bytes) -> _Directory | None:
    """Where the central directory begins, also behind a program that was put before it; None where none is found."""
    end = data.rfind(_END, max(0, len(data) - _END_SIZE - _MAX_COMMENT))
    if end < 0 or end + _END_SIZE > len(data):
        return None
    number, size, offset = struct.unpack_from("<HII", data, end + 10)
    last = end
    locator = end - _LOCATOR_SIZE
    if locator >= 0 and data.startswith(_LOCATOR, locator):
        (record,) = struct.unpack_from("<Q", data, locator + 8)
        if record + _END_64_SIZE > len(data) or not data.startswith(_END_64, record):
            record = locator - _END_64_SIZE  # something was put before the archive
        if record >= 0 and data.startswith(_END_64, record):
            number, size, offset = struct.unpack_from("<QQQ", data, record + 32)
            last = record
    for start in (last - size, offset):
        if 0 <= start <= len(data) and (number == 0 or data.startswith(_ENTRY, start)):
            return _Directory(start, number)
    return None


def _zip_name(name: bytes, flags: int) -> str:
    if flags & _UTF8:
        return name.decode("utf-8", "replace")
    try:
        return name.decode("utf-8")  # what most programs write without saying so
    except UnicodeDecodeError:
        return name.decode("cp437")  # APPNOTE D.1


# -- tar
_BLOCK: Final = 512
_LONG_NAME: Final = b"L"[0]  # GNU: the next header's name is this one's content
_REAL_FILES: Final = frozenset(b"0\x007S")


def _tar(data: bytes) -> Listing:
    entries: list[Entry] = []
    at, long_name = 0, b""
    while at + _BLOCK <= len(data) and data[at]:
        if len(entries) >= MAX_ENTRIES:
            return _listing(entries, len(data), cut=True)
        size = _tar_number(data[at + 124 : at + 136])
        kind = data[at + 156]
        if size is None or data[at + 257 : at + 262] != b"ustar":
            return _listing(entries, len(data), damaged=True)
        body = at + _BLOCK
        if kind == _LONG_NAME:
            long_name = data[body : body + min(size, MAX_ENTRY_NAME)].rstrip(b"\0")
        elif kind in _REAL_FILES or chr(kind) in "125":
            name = data[at : at + 100].partition(b"\0")[0]
            prefix = data[at + 345 : at + 500].partition(b"\0")[0]
            if data[at + 262 : at + 263] == b"\0" and prefix:  # POSIX; GNU keeps times there
                name = prefix + b"/" + name
            entries.append(Entry((long_name or name).decode("utf-8", "replace"), size))
            long_name = b""
        at = body + -(-size // _BLOCK) * _BLOCK
    return _listing(entries, len(data), damaged=at > len(data))


def _tar_number(field: bytes) -> int | None:
    """Octal digits, or (GNU) a binary number that its first bit marks; None for anything else."""
    if field[:1] >= b"\x80":
        return int.from_bytes(field[1:])
    text = field.strip(b" \0")
    if not text:
        return 0
    if any(octet not in b"01234567" for octet in text):
        return None
    return int(text, 8)


# -- gzip
_HAS_EXTRA, _HAS_NAME = 0x04, 0x08


def _gzip(data: bytes) -> Listing:
    if len(data) < 18:  # noqa: PLR2004 - RFC 1952 2.2: header and trailer
        return Listing(damaged=True)
    if not data[3] & _HAS_NAME:
        return Listing()
    at = 10
    if data[3] & _HAS_EXTRA:
        at += 2 + int.from_bytes(data[10:12], "little")
    name, end, _ = data[at : at + MAX_ENTRY_NAME].partition(b"\0")
    size = int.from_bytes(data[-4:], "little")
    return _listing([Entry(name.decode("latin-1"), size)], len(data)) if end else Listing(damaged=True)


# -- RAR: only whether it is encrypted
_RAR5: Final = b"Rar!\x1a\x07\x01\x00"
_RAR4_HEADER, _RAR4_FILE = 0x73, 0x74
_RAR4_HEADERS_ENCRYPTED, _RAR4_FILE_ENCRYPTED, _RAR4_HAS_DATA = 0x0080, 0x0004, 0x8000
_RAR5_ENCRYPTION, _RAR5_FILE = 4, 2
_RAR5_HAS_EXTRA, _RAR5_HAS_DATA = 1, 2
_RAR5_RECORDS: Final = 20  # of one header; seven kinds are defined


def _rar(data: bytes) -> Listing:
    return Listing(encrypted=(_rar5_encrypted if data.startswith(_RAR5) else _rar4_encrypted)(data))


def _rar4_encrypted(data: bytes) -> bool:
    """By the flags of its headers (RAR 4 technote); each header says how long it and its data are."""
    at = 7
    for _ in range(MAX_ENTRIES):
        if at + 11 > len(data):
            return False
        kind, flags, size = struct.unpack_from("<BHH", data, at + 2)
        if kind == _RAR4_HEADER and flags & _RAR4_HEADERS_ENCRYPTED:
            return True
        if kind == _RAR4_FILE and flags & _RAR4_FILE_ENCRYPTED:
            return True
        if size < 7:  # noqa: PLR2004 - the fields that each header has
            return False
        more = struct.unpack_from("<I", data, at + 7)[0] if flags & _RAR4_HAS_DATA or kind == _RAR4_FILE else 0
        at += size + more
    return False


def _rar5_encrypted(data: bytes) -> bool:
    """By an encryption header, or a file's encryption record (RAR 5.0 archive format)."""
    at = len(_RAR5)
    for _ in range(MAX_ENTRIES):
        size, body = _variable(data, at + 4)
        if size == 0 or body > len(data):
            return False
        end = body + size
        kind, place = _variable(data, body)
        flags, place = _variable(data, place)
        extra, place = _variable(data, place) if flags & _RAR5_HAS_EXTRA else (0, place)
        more = _variable(data, place)[0] if flags & _RAR5_HAS_DATA else 0
        if kind == _RAR5_ENCRYPTION:
            return True
        if kind == _RAR5_FILE and 0 < extra <= size and _rar5_record(data, end - extra, end):
            return True
        at = end + more
    return False


def _rar5_record(data: bytes, at: int, end: int) -> bool:
    """Whether one of the extra records is that of encryption."""
    end = min(end, len(data))
    for _ in range(_RAR5_RECORDS):
        if at >= end:
            return False
        size, body = _variable(data, at)
        if _variable(data, body)[0] == 1:
            return True
        if size == 0:
            return False
        at = body + size
    return False


def _variable(data: bytes, at: int) -> tuple[int, int]:
    """A number of up to ten octets, seven bits in each, and where it ends."""
    value = 0
    for place, octet in enumerate(data[at : at + 10]):
        value |= (octet & 0x7F) << (7 * place)
        if octet < 0x80:  # noqa: PLR2004 - the bit that says that more follow
            return value, at + place + 1
    return 0, len(data) + 1


# -- 7z: only whether it is encrypted
_7Z_START: Final = 32
_7Z_AES: Final = b"\x06\xf1\x07\x01"  # 7zFormat.txt, method ids: AES-256 with SHA-256
_7Z_MAX_HEADER: Final = 1_000_000


def _seven_zip(data: bytes) -> Listing:
    """By the method that its last header names; that header is not unpacked, so that encryption may stay unseen."""
    if len(data) < _7Z_START:
        return Listing(damaged=True)
    offset, size = struct.unpack_from("<QQ", data, 12)
    start = _7Z_START + offset
    header = data[start : start + min(size, _7Z_MAX_HEADER)]
    return Listing(encrypted=_7Z_AES in header, damaged=start + size > len(data))


_READERS: Final[dict[str, Callable[[bytes], Listing]]] = {
    ZIP: _zip,
    TAR: _tar,
    GZIP: _gzip,
    RAR: _rar,
    SEVEN_ZIP: _seven_zip,
}
