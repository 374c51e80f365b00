"""The server's part in break-glass calls: every half a minute it looks which call is due and was not made, and notes it for experts.

The note is what alerts tell of. It keeps nothing in memory that a restart would miss.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from expertmail.rounds import Rounds
from outbound.call_sheet import Turn
from outbound.store.call_sheets import (
    due_to_tell,
    open_sheets,
    tell_of_call,
)
from threads.store import Connection
from threads.store.engine import Database
from threads.store.writer import Writer

LOOK_SECONDS: Final = 30.0
"""Between two looks: the shortest time that a call may be late is five minutes."""

_log = structlog.get_logger("expertmail")


class CallKeeper:
    """Run it as one task of one process; ``stop`` it and await ``run``."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        *,
        clock: Callable[[], datetime],
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._database = database
        self._writer = writer
        self._clock = clock
        self._rounds = Rounds(look_seconds)

    async def run(self) -> None:
        """Look, note, wait, and again, until stopped."""
        await self._rounds.run(
            self.step,
            waits=lambda why: _log.warning("break-glass calls wait", why=why),
            failed=lambda: _log.exception("break-glass calls failed"),
        )

    def stop(self) -> None:
        """Begin nothing new."""
        self._rounds.stop()

    async def step(self) -> None:
        """One look, and a note for each call that is late: a transaction each."""
        now = self._clock()
        late = await asyncio.to_thread(self._late, now)
        await self._rounds.each(
            late,
            lambda number: self._tell(number, now),
            failed=lambda number: _log.exception("break-glass calls failed", thread=number),
        )

    async def _tell(self, thread_id: int, now: datetime) -> None:
        def work(conn: Connection) -> Turn | None:
            return tell_of_call(conn, thread_id, now)

        if await self._writer.submit(work) is not None:
            _log.warning("a break-glass call is due and was not made", thread=thread_id)

    def _late(self, now: datetime) -> tuple[int, ...]:
        with self._database.reading() as conn:
            return due_to_tell(conn, open_sheets(conn, now), now)
