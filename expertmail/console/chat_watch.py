"""Who waits for news of a thread: all readers of a process together ask the record once each half a second, however many they are."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from starlette.exceptions import HTTPException

from threads.store.errors import StoreError

LOOK_SECONDS: Final = 0.5
"""Between two looks: nobody who chats notices it."""
MAX_READERS: Final = 200
"""Who waits at one time: each holds a connection, and a few entries while it reads slowly."""
MAX_OF_ONE: Final = 100
"""Of them by one token, so that one portal leaves room for another."""

Latest = Callable[[Collection[int]], Mapping[int, int]]
"""The number of each thread's last entry; blocks, and raises StoreError."""


@dataclass(eq=False, slots=True)
class _Waiter:
    thread_id: int
    seen: int
    told: asyncio.Event = field(default_factory=asyncio.Event)


class ChatWatch:
    """Tells readers that there is something after what they have seen. ``stop`` it, and nobody waits any more."""

    def __init__(self, latest: Latest, look_seconds: float = LOOK_SECONDS) -> None:
        self._latest = latest
        self._look_seconds = look_seconds
        self._waiters: set[_Waiter] = set()
        self._looking: asyncio.Task[None] | None = None
        self._readers: Counter[str] = Counter()
        self.stopped = False

    @staticmethod
    def clock() -> float:
        """Seconds, for how long somebody waits."""
        return time.monotonic()

    def stop(self) -> None:
        """Wake everybody up; from now on nobody waits."""
        self.stopped = True
        for one in self._waiters:
            one.told.set()

    @contextmanager
    def place(self, whose: str) -> Iterator[None]:
        """A place among the readers of ``whose`` token; HTTPException 503 where there is none."""
        if self._readers.total() >= MAX_READERS or self._readers[whose] >= MAX_OF_ONE:
            raise HTTPException(
                503, "Too many readers of chats at one time; try again.", {"Retry-After": "5"}
            )
        self._readers[whose] += 1
        try:
            yield
        finally:
            self._readers[whose] -= 1
            if not self._readers[whose]:
                del self._readers[whose]

    async def news(self, thread_id: int, seen: int, seconds: float) -> bool:
        """Wait until the thread has an entry above ``seen``, for so many seconds at most; whether it has, or all is to end."""
        if self.stopped:
            return True
        one = _Waiter(thread_id, seen)
        self._waiters.add(one)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(one.told.wait(), seconds)
            return one.told.is_set()
        finally:
            self._waiters.discard(one)

    async def _look(self) -> None:
        """While anybody waits."""
        while self._waiters and not self.stopped:
            await asyncio.sleep(self._look_seconds)
            threads = {one.thread_id for one in self._waiters}
            try:
                latest = await asyncio.to_thread(self._latest, threads)
            except StoreError:  # whoever waits asks itself when its time is over, and is told
                continue
            for one in self._waiters:
                # A thread whose entries went to another one is news as well. Who came meanwhile is looked for at the next look.
                if one.thread_id in threads and latest.get(one.thread_id, 0) != one.seen:
                    one.told.set()
