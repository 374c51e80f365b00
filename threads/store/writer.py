"""The one writer of a process: many small works, few commits.

A thread takes everything that waits (capped in works and bytes), runs it in ONE transaction and tells
each waiter after the COMMIT, never before. When a batch fails, each of its works is run again alone, so
that only the bad one's waiter sees an error. A work may therefore run more than once and must touch
nothing but its connection; only a run that was committed is reported.

A waiter that is cancelled loses the answer, not the work: what was submitted is committed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from threads.store.engine import Database
from threads.store.errors import StoreUnavailable
from threads.store.works import Done, Work, Works, tell

T = TypeVar("T")

# One sync of the disk serves this many messages at most; more would only delay the first one's answer.
MAX_BATCH_WORKS = 100
# Large messages are committed in smaller groups, so that a small one does not wait for them.
MAX_BATCH_BYTES = 32 * 1024 * 1024
# In a burst the first work waits so long for the others: fewer commits, and clients that are answered together come
# together with their next messages, whose judging then finds the processor's caches warm.
GATHER_SECONDS = 0.003
# Works that may wait; beyond it `submit` answers StoreUnavailable at once, which the edge tells as 451.
MAX_WAITING_WORKS = 10_000
# What a work without a hint is taken for.
DEFAULT_SIZE = 8 * 1024
# PostgreSQL's word for it (its manual, appendix A): it ends one of the transactions, and the other one goes on.
_DEADLOCK = "40P01"


class Writer:
    """Runs works on the database in its own thread; see the module. Close it to end the thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._works = Works()
        self.commits = 0
        self.works = 0
        self._thread = threading.Thread(target=self._serve, name="store-writer", daemon=True)
        self._thread.start()

    async def submit(self, work: Callable[[Connection], T], *, size_hint: int = DEFAULT_SIZE) -> T:
        """Run ``work`` in a transaction; returns its value once that is committed.

        ``size_hint`` is about how many bytes it writes. Raises what the work raised, StorageFull or
        StoreUnavailable from the database, StoreUnavailable when the writer is closed or too much waits.
        """
        return await self._works.done(work, size_hint, MAX_WAITING_WORKS)

    def close(self) -> None:
        """Commit what waits, then end the thread. Blocks until that is done; may be called again."""
        self._works.close()
        self._thread.join()

    @property
    def waiting(self) -> int:
        """How many works wait for their transaction."""
        return len(self._works)

    def _serve(self) -> None:
        while batch := self._works.batch(MAX_BATCH_WORKS, MAX_BATCH_BYTES, GATHER_SECONDS):
            tell(batch, self._together(batch))
            del batch  # its bytes are not kept while nothing comes

    def _together(self, batch: list[Work[Any]], *, again: bool = True) -> list[Done]:
        """One transaction. A work that lost a race against another node runs once more, and then finds what that one wrote."""
        begun = False
        try:
            with self._database.writing() as connection:
                begun = True
                values = [work.run(connection) for work in batch]
        except BaseException as error:  # noqa: BLE001 -- whatever it is belongs to a waiter; the thread lives on
            if len(batch) == 1:
                if again and _lost_a_race(error):
                    return self._together(batch, again=False)
                if isinstance(error, StopIteration):  # no future carries that one
                    error = RuntimeError("a work raised StopIteration")
                return [Done(error=error)]
            if not begun:  # locked or gone: alone each would only wait as long again
                return [Done(error=error) for _ in batch]
            return self._alone(batch)
        self.commits += 1
        self.works += len(batch)
        return [Done(value) for value in values]

    def _alone(self, batch: list[Work[Any]]) -> list[Done]:
        """Each in its own transaction; once none can be begun any more, the rest is not tried."""
        done: list[Done] = []
        for number, work in enumerate(batch):
            outcome = self._together([work])[0]
            done.append(outcome)
            if isinstance(outcome.error, StoreUnavailable):
                done += [outcome] * (len(batch) - number - 1)
                break
        return done


def _lost_a_race(error: BaseException) -> bool:
    """Whether another node wrote the same row first, or each waited for a thread that the other one had filed on."""
    cause = error.__cause__
    if isinstance(cause, IntegrityError):
        return True
    return isinstance(cause, DBAPIError) and getattr(cause.orig, "sqlstate", None) == _DEADLOCK
