"""Where a large message waits until it is complete: a file without a name, gone with its last user."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class Spool:
    """Octets on disk. The disk is touched in a thread, so that a slow one holds up no other session.

    The file has mode 0600 and no name from the start, so nobody else reads it and none is left behind.
    Every method raises OSError for what the disk does.
    """

    def __init__(self, folder: Path | None) -> None:
        """``folder`` is where the disk space is; None for the system's place for temporary files."""
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by close()
        self._work: asyncio.Future[Any] | None = None
        self.size = 0

    async def write(self, octets: bytes) -> None:
        """Add octets at the end."""
        await self._in_thread(lambda: self._write(octets))
        self.size += len(octets)

    def _write(self, octets: bytes) -> None:
        view = memoryview(octets)
        while view:
            view = view[self._file.write(view) :]

    async def read(self) -> bytes:
        """All octets."""
        return await self._in_thread(self._read)

    def _read(self) -> bytes:
        self._file.seek(0)
        octets: bytes = self._file.readall()
        if len(octets) != self.size:
            raise OSError("the spool is not what was written")
        return octets

    async def _in_thread(self, work: Callable[[], T]) -> T:
        # Shielded, so that ``close`` knows of a thread that is still at it when its session has been cancelled.
        future = asyncio.get_running_loop().run_in_executor(None, work)
        self._work = future
        return await asyncio.shield(future)

    def close(self) -> None:
        """Give the disk space back, once no thread uses the file: its number could be another file's by then."""
        if self._work is None or self._work.done():
            self._file.close()
        else:
            self._work.add_done_callback(self._closed)

    def _closed(self, work: asyncio.Future[Any]) -> None:
        if not work.cancelled():
            work.exception()  # nobody waits for it any more
        self._file.close()
