"""The server's part in retention: every hour it removes the content of mail whose time is over, and tells of it before.

Nothing is done by halves or in silence: each copy that expires is a line of the log, a count and a trace on record; from
some days before its end on, what is about to expire is told once a day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import date, datetime
from typing import Any, Final

import structlog

from expertmail.metrics import Metrics
from expertmail.watching import or_nothing
from threads.model import Disposition, StoredCopy
from threads.retention import Retention
from threads.store import Connection
from threads.store.engine import Database
from threads.store.errors import RefusedRecord, StoreError
from threads.store.expiry import AT_ONCE, due, expire, forget_traces
from threads.store.held import WAITING, count_waiting, oldest_waiting
from threads.store.row_reading import Key
from threads.store.thread_retention import empty_thread, threads_past_time
from threads.store.writer import Writer

ROUND_SECONDS: Final = 3_600.0
"""Retention counts in days, so an hour more is nothing. Nothing expires in the first hour after a start: a machine whose
clock is wrong until the network is there must not empty its record."""
ACTOR: Final = "gateway"

_log = structlog.get_logger("expertmail")


class RetentionKeeper:
    """Run it as one task of one process; ``stop`` it and await ``run``. ``retention`` gives what is in force."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        metrics: Metrics,
        *,
        retention: Callable[[], Retention],
        clock: Callable[[], datetime],
        round_seconds: float = ROUND_SECONDS,
    ) -> None:
        self._database = database
        self._writer = writer
        self._metrics = metrics
        self._retention = retention
        self._clock = clock
        self._round_seconds = round_seconds
        self._told: date | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Tell, wait, expire, and again, until stopped. What is under way ends first."""
        while not self._stopping.is_set():
            await self._guarded(self._tell_of_what_comes)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._round_seconds)
            if not self._stopping.is_set():
                await self._guarded(self._expire)

    def stop(self) -> None:
        """Begin nothing new."""
        self._stopping.set()

    async def _guarded(self, step: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await step()
        except StoreError as error:
            _log.warning("retention waits", why=str(error))
        except Exception:  # noqa: BLE001 - mail goes on, the next round tries again, and it is told
            _log.exception("retention failed")

    async def _tell_of_what_comes(self) -> None:
        now, retention = self._clock(), self._retention()
        before = retention.notice_limit(now)
        if before is None or self._told == now.date():
            return
        counts, oldest = await asyncio.to_thread(self._waiting, before)
        self._told = now.date()
        if any(counts.values()):
            _log.warning(
                "held mail is about to expire",
                within_days=retention.notice_days,
                oldest=min(oldest.values()).isoformat() if oldest else None,
                **{word.value: number for word, number in counts.items()},
            )

    def _waiting(self, before: datetime) -> tuple[Mapping[Disposition, int], Mapping[Disposition, datetime]]:
        with self._database.reading() as conn:
            return count_waiting(conn, before), oldest_waiting(conn)

    async def _expire(self) -> None:
        now = self._clock()
        limit = self._retention().limit(now)
        if limit is not None:
            keys = await asyncio.to_thread(self._due, limit)
            for start in range(0, len(keys), AT_ONCE):
                if self._stopping.is_set():
                    return
                await self._expire_each(keys[start : start + AT_ONCE], limit, now)
        await self._empty_threads(now)
        forgotten = 0
        while number := await self._writer.submit(lambda conn: forget_traces(conn, now)):
            forgotten += number
        if forgotten:
            _log.info("traces of expired mail forgotten", number=forgotten)

    async def _empty_threads(self, now: datetime) -> None:
        """Remove the content of resolved threads whose customer's time for it is over, a step at a time."""
        for thread_id in await asyncio.to_thread(self._past_time, now):
            await self._empty_one(thread_id, now)

    async def _empty_one(self, thread_id: int, now: datetime) -> None:
        def work(conn: Connection) -> bool:
            return empty_thread(conn, thread_id, now, by=ACTOR)

        while not self._stopping.is_set():
            try:
                done = await self._writer.submit(work)
            except StoreError as error:  # it keeps its content; the others have their turn
                _log.warning(
                    "content of a resolved thread cannot be removed", thread=thread_id, why=str(error)
                )
                return
            if done:
                _log.info("content of a resolved thread removed", thread=thread_id)
                return

    def _past_time(self, now: datetime) -> tuple[int, ...]:
        with self._database.reading() as conn:
            return threads_past_time(conn, now)

    def _due(self, limit: datetime) -> tuple[Key, ...]:
        with self._database.reading() as conn:
            return due(conn, limit)

    async def _expire_each(self, keys: tuple[Key, ...], limit: datetime, now: datetime) -> None:
        """Those of a batch, one by one where the batch is refused: a row that cannot go stops no other."""
        try:
            await self._expire_some(keys, limit, now)
        except StoreError as error:
            if len(keys) > 1 and isinstance(error, RefusedRecord):
                for key in keys:
                    await self._expire_each((key,), limit, now)
            else:
                _log.warning("held mail cannot expire", number=len(keys), row=keys[0], why=str(error))

    async def _expire_some(self, keys: tuple[Key, ...], limit: datetime, now: datetime) -> None:
        def work(conn: Connection) -> tuple[StoredCopy, ...]:
            return expire(conn, keys, limit, now, by=ACTOR)

        for copy in await self._writer.submit(work):
            self._metrics.expired.labels(disposition=copy.disposition.value).inc()
            _log.info(
                "held mail expired",
                message=copy.id,
                disposition=copy.disposition.value,
                verdict=copy.verdict,
                received=copy.received_at.isoformat(),
            )


def watch_held(
    metrics: Metrics, database: Database, retention: Callable[[], Retention], clock: Callable[[], datetime]
) -> None:
    """Export how long mail waits and how much is about to expire; in one process of a gateway only."""

    def oldest() -> dict[str, float]:
        now = clock()
        with database.reading() as conn:
            found = oldest_waiting(conn)
        return {w.value: (now - found[w]).total_seconds() if w in found else 0.0 for w in WAITING}

    def expiring() -> dict[str, float]:
        before = retention().notice_limit(clock())
        if before is None:
            return {word.value: 0.0 for word in WAITING}
        with database.reading() as conn:
            return {word.value: float(count) for word, count in count_waiting(conn, before).items()}

    metrics.watch(
        "expertmail_held_oldest_seconds",
        "Age of the oldest message that waits for an expert.",
        "disposition",
        or_nothing(oldest),
    )
    metrics.watch(
        "expertmail_held_expiring",
        "Messages whose content is removed within held.notice_days unless an expert decides.",
        "disposition",
        or_nothing(expiring),
    )
