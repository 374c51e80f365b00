"""The container of an Outlook .msg file ([MS-CFB]): storages that hold streams, read by olefile within bounds.

olefile follows what the file says of itself. What could make it work without end is bounded here before it
begins: the sizes in the header, the number of directory entries, and all bytes that streams are read with, which
together are never more than the file has, unless streams overlap.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any, Final

from olefile import STGTY_STORAGE, STGTY_STREAM, OleFileIO

MAX_ENTRIES: Final = 50_000  # streams and storages; a message with 1,000 recipients has some 25,000
MIN_FILE: Final = 1_536  # olefile takes fewer bytes for a file's name: a header and two sectors are the least

_NO_ENTRY: Final = 0xFFFFFFFF  # NOSTREAM, [MS-CFB] 2.6.1
_ENTRY_BYTES: Final = 128  # of one directory entry, [MS-CFB] 2.6.1
# [MS-CFB] 2.2 from octet 0x1E: sector shift, mini sector shift, six reserved octets, directory and FAT sectors, three
# fields that say nothing about size, first mini FAT sector, mini FAT sectors, first DIFAT sector, DIFAT sectors.
_HEADER: Final = struct.Struct("<HH6xII12xIIII")
_HEADER_AT: Final = 0x1E
_SECTOR_SHIFTS: Final = (9, 12)
_MINI_SECTOR_SHIFT: Final = 6
_SPARE_FAT: Final = 16  # FAT sectors more than twice the needed: some writers keep room


class ContainerError(Exception):
    """The container cannot be read; the text goes on after "the file" and holds nothing of the library's."""


class _BoundedOle(OleFileIO):  # type: ignore[misc]
    """olefile without its two steps that are not linear: the search for doubles, and the tree by recursion."""

    def _check_duplicate_stream(self, first_sect: int, minifat: bool = False) -> None:
        """Streams that share sectors are caught by the budget of bytes."""

    def loaddirectory(self, sect: int) -> None:
        self.directory_fp = self._open(sect, force_FAT=True)
        count = self.directory_fp.size // _ENTRY_BYTES
        if not count:
            raise ContainerError("has no directory")
        if count > MAX_ENTRIES:
            raise ContainerError(f"has more than {MAX_ENTRIES:,} entries")
        self.direntries = [None] * count
        self.root = self._load_direntry(0)


class Container:
    """A .msg file's storages and streams. ``damaged`` turns True when something that was asked for is not whole."""

    def __init__(self, data: bytes) -> None:
        """Read the directory; raises ContainerError for what is no container or lies about its size."""
        _check_header(data)
        try:
            self._ole: Any = _BoundedOle(io.BytesIO(data))
        except ContainerError:
            raise
        except Exception:  # noqa: BLE001 - olefile leaks OSError, IndexError, struct.error and more
            raise ContainerError("is damaged, or is cut off") from None
        if self._ole.root.size > len(data):
            raise ContainerError("gives a size for its small streams that is beyond its own")
        self._left = len(data)
        self._seen: set[int] = {0}
        self.damaged = False

    def root(self) -> Storage:
        """The outermost storage."""
        return Storage(self, self._ole.root)

    def children(self, entry: Any) -> Iterator[Any]:
        """The directory entries in a storage, in no order ([MS-CFB] 2.6.4). One that is met again is damage."""
        waiting = [entry.sid_child]
        while waiting:
            number = waiting.pop()
            if number == _NO_ENTRY:
                continue
            if number >= len(self._ole.direntries) or number in self._seen:
                self.damaged = True
                continue
            self._seen.add(number)
            try:
                child = self._ole._load_direntry(number)  # noqa: SLF001 - olefile's own way takes recursion
            except Exception:  # noqa: BLE001 - as above
                self.damaged = True
                continue
            waiting += (child.sid_right, child.sid_left)
            yield child

    def read(self, entry: Any) -> bytes:
        """A stream's bytes: fewer than it declares, and ``damaged``, where the file does not hold them."""
        size = entry.size
        if size > self._left:
            raise ContainerError("says that it holds more than it has")
        self._left -= size
        if not size:
            return b""
        try:
            found: bytes = self._ole._open(entry.isectStart, size).read()  # noqa: SLF001 - by entry, not by a search
        except Exception:  # noqa: BLE001 - as above
            found = b""
        if len(found) != size:
            self.damaged = True
        return found


class Storage:
    """One storage: its streams and storages by name. Names are compared without regard to case ([MS-CFB] 2.6.4)."""

    def __init__(self, container: Container, entry: Any) -> None:
        self.container = container
        self._streams: dict[str, Any] = {}
        self._storages: dict[str, Any] = {}
        for child in container.children(entry):
            if child.entry_type == STGTY_STREAM:
                self._streams.setdefault(child.name.upper(), child)
            elif child.entry_type == STGTY_STORAGE:
                self._storages.setdefault(child.name.upper(), child)

    def size(self, name: str) -> int | None:
        """The size that a stream declares; None if there is no such stream."""
        entry = self._streams.get(name.upper())
        return None if entry is None else int(entry.size)

    def stream(self, name: str) -> bytes | None:
        """A stream's bytes, each time counted against the file's size; None if there is no such stream."""
        entry = self._streams.get(name.upper())
        return None if entry is None else self.container.read(entry)

    def storage(self, name: str) -> Storage | None:
        """A storage inside; to be asked for once, since its entries count as seen then."""
        entry = self._storages.get(name.upper())
        return None if entry is None else Storage(self.container, entry)

    def storages(self, prefix: str) -> list[str]:
        """The names of the storages inside that begin so, in upper case and in their order."""
        return sorted(name for name in self._storages if name.startswith(prefix.upper()))


def _check_header(data: bytes) -> None:
    """[MS-CFB] 2.2: what the header counts must be within the file, since olefile takes it as given."""
    if len(data) < MIN_FILE:
        raise ContainerError("is cut off")
    sector, mini, directory, fat, _, mini_fat, _, difat = _HEADER.unpack_from(data, _HEADER_AT)
    if sector not in _SECTOR_SHIFTS or mini != _MINI_SECTOR_SHIFT:
        raise ContainerError("is not written as such a file must be")
    sectors = len(data) >> sector
    needed = sectors // ((1 << sector) // 4) + 1
    if fat > 2 * needed + _SPARE_FAT or max(directory, mini_fat, difat) > sectors:
        raise ContainerError("counts more sectors than it has")
