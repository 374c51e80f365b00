"""The server's part in search: takes what was stored into the index, while nobody waits for anything else.

Mail comes first. While much of it comes in, the index waits; ``expertmail search`` takes the last messages in by itself, so what it
shows is complete at any time. Any number of servers may do this on one database: one is at it at a time.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Final

import structlog

from threads.store.engine import Database
from threads.store.errors import StoreError
from threads.store.search_index import Backlog, backlog, index_some, see_to_gaps

_log = structlog.get_logger("expertmail")

ROUND_SECONDS: Final = 2.0
"""Between two looks. Nobody waits for it: see above."""
BUSY_RATE: Final = 50.0
"""Judgements a second from which on the index waits: below it, less than a tenth of one processor takes mail."""
MAX_WAITING: Final = 50_000
"""From so many on some are taken in all the same, a few each round, so that a search does not have to for minutes."""


class SearchIndexer:
    """Run it as one task of one process; ``stop`` it and await ``run``."""

    def __init__(self, database: Database, *, round_seconds: float = ROUND_SECONDS) -> None:
        self._database = database
        self._round_seconds = round_seconds
        self._stopping = asyncio.Event()
        self._before: tuple[float, int] | None = None  # when we looked, and the newest judgement then

    async def run(self) -> None:
        """Look, and index, until stopped. What is under way ends first."""
        await self._guarded(first=True)
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._round_seconds)
            if not self._stopping.is_set():
                await self._guarded(first=False)

    def stop(self) -> None:
        """Begin nothing new."""
        self._stopping.set()

    async def _guarded(self, *, first: bool) -> None:
        try:
            if first and await asyncio.to_thread(see_to_gaps, self._database):
                _log.warning("search index made anew", why="messages were missing in it")
            await self._round()
        except StoreError as error:
            _log.warning("search index waits", why=str(error))
        except Exception:  # noqa: BLE001 - mail goes on, the next round tries again, and it is told
            _log.exception("search index failed")

    async def _round(self) -> None:
        left = await asyncio.to_thread(self._backlog)
        busy = self._is_busy(left)
        if busy and left.waiting < MAX_WAITING:
            return
        while left.waiting and not self._stopping.is_set():
            begun = time.monotonic()
            done = await asyncio.to_thread(index_some, self._database)
            took = time.monotonic() - begun
            left = await asyncio.to_thread(self._backlog)
            if not done or busy:
                return
            # As long as it worked: others have the processor, and SQLite's one writer, in between.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), took)
            busy = self._is_busy(left)
            if busy:
                return

    def _is_busy(self, left: Backlog) -> bool:
        """Whether mail has come in fast since the last look."""
        at, before = time.monotonic(), self._before
        self._before = at, left.newest
        if before is None or at <= before[0]:
            return False
        return (left.newest - before[1]) / (at - before[0]) > BUSY_RATE

    def _backlog(self) -> Backlog:
        with self._database.reading() as conn:
            return backlog(conn)
