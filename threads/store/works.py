"""Works that tasks of event loops wait for while a thread of the store carries them out."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from threads.store.errors import StoreUnavailable

T = TypeVar("T")


@dataclass(slots=True)
class Work(Generic[T]):
    """What to run, about how many bytes it writes, and who waits for its value on which loop."""

    run: Callable[[Connection], T]
    size: int
    waiter: asyncio.Future[T]
    loop: asyncio.AbstractEventLoop


@dataclass(slots=True)
class Done:
    """What a work came to: a value, or the error."""

    value: Any = None
    error: BaseException | None = None


class Works:
    """What waits for one thread, in the order in which it came. Closed once; what waited then is still carried out."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Work[Any] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._carried: Work[Any] | None = None  # taken from the queue, too large for the batch before
        self._several = False  # whether the batch before held more than one

    def __len__(self) -> int:
        """How many wait."""
        return self._waiting.qsize()

    async def done(self, run: Callable[[Connection], T], size: int, most: int) -> T:
        """The value of ``run``. Raises what it raised, and StoreUnavailable when closed or when ``most`` wait already."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[T] = loop.create_future()
        with self._lock:
            if self._closed:
                raise StoreUnavailable("The program is stopping; try again when it is back.")
            if len(self) >= most:
                raise StoreUnavailable("The database cannot keep up; try again later.")
            self._waiting.put(Work(run, size, waiter, loop))
        return await waiter

    def close(self) -> None:
        """Take nothing more; ``batch`` is empty after what waits. May be called again."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._waiting.put(None)

    def batch(self, works: int, octets: int, gather: float = 0.0) -> list[Work[Any]]:
        """For the thread: what waits, at most so many works and octets; blocks while nothing does. Empty at the end.

        Where works come in company, wait ``gather`` seconds for the others; one that comes alone never waits.
        """
        first, self._carried = self._carried or self._waiting.get(), None
        if first is None:
            return []
        if gather and self._several and len(self) < works:
            time.sleep(gather)
        batch, size = [first], first.size
        while len(batch) < works and size < octets:
            try:
                following = self._waiting.get_nowait()
            except queue.Empty:
                break
            if following is None:
                self._waiting.put(None)  # for the next call
                break
            if size + following.size > octets:
                self._carried = following
                break
            batch.append(following)
            size += following.size
        self._several = len(batch) > 1
        return batch


def tell(batch: list[Work[Any]], done: list[Done]) -> None:
    """Wake the waiters; one call for each event loop, however many of its tasks wait."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Done]]] = {}
    for work, outcome in zip(batch, done, strict=True):
        loops.setdefault(work.loop, []).append((work.waiter, outcome))
    for loop, waiters in loops.items():
        try:
            loop.call_soon_threadsafe(_settle, waiters)
        except RuntimeError:
            # The loop was closed while its works were being committed: nobody is left to be told.
            continue


def _settle(waiters: list[tuple[asyncio.Future[Any], Done]]) -> None:
    for waiter, outcome in waiters:
        if waiter.done():  # cancelled meanwhile; the work is committed all the same
            continue
        if outcome.error is not None:
            waiter.set_exception(outcome.error)
        else:
            waiter.set_result(outcome.value)
