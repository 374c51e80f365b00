"""Who of the large messages has a thread. One that waits long for others (DNS, say) gives its thread away meanwhile.

So a dead resolver, or a sender whose name servers are slow, keeps no thread from anybody. Messages that have begun go
before those that have not: what waits for its beginning does not count as a message's own time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Final, Self, TypeVar

KEPT_SECONDS: Final = 0.05
"""A thread is kept for an answer that comes within this, as most do: the next message would take it for longer."""

T = TypeVar("T")


class Turns:
    """The threads. ``close`` them."""

    def __init__(self, threads: int, octets: int) -> None:
        """At most ``octets`` of messages that have begun at one time, or a single one that is larger."""
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix="judge")
        self._octets = octets
        self._idle = threads
        self._going_on: deque[asyncio.Future[None]] = deque()
        self._new: deque[asyncio.Future[None]] = deque()
        self._line = asyncio.Lock()  # held by the first of those that have not begun
        self._room = asyncio.Event()
        self._in_hand = 0

    async def begin(self, size: int) -> None:
        """Wait for room and for a thread."""
        async with self._line:
            while self._in_hand and self._in_hand + size > self._octets:
                self._room.clear()
                await self._room.wait()
            await self._wait(self._new)
        self._in_hand += size

    def end(self, size: int) -> None:
        """A message is done with."""
        self._in_hand -= size
        self._room.set()

    async def again(self) -> None:
        """Wait for a thread to go on with."""
        await self._wait(self._going_on)

    async def _wait(self, queue: deque[asyncio.Future[None]]) -> None:
        if self._idle:
            self._idle -= 1
            return
        waiting = asyncio.get_running_loop().create_future()
        queue.append(waiting)
        try:
            await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled():  # it was given at this very moment
                self.give()
            raise

    def give(self) -> None:
        """A thread is free."""
        for queue in (self._going_on, self._new):
            while queue:
                waiting = queue.popleft()
                if not waiting.done():
                    waiting.set_result(None)
                    return
        self._idle += 1

    def close(self) -> None:
        """End the threads, once they have done what they are at."""
        self.threads.shutdown()


class Turn:
    """One message's: ``begin`` it, then use it as a context."""

    def __init__(self, turns: Turns, size: int) -> None:
        self._turns = turns
        self._size = size
        self._has_thread = False
        self._running: Future[Any] | None = None

    async def begin(self) -> None:
        """Wait for it."""
        await self._turns.begin(self._size)
        self._has_thread = True

    async def run(self, step: Callable[[], T], /) -> T:
        """Run a step in the thread."""
        running = self._running = self._turns.threads.submit(step)
        return await asyncio.wrap_future(running)

    async def heard(self, answer: Awaitable[T]) -> T:
        """Wait for somebody else's answer, without the thread if that takes long."""
        asked = asyncio.ensure_future(answer)
        try:
            done, _ = await asyncio.wait((asked,), timeout=KEPT_SECONDS)
            if not done:
                self._has_thread = False
                self._turns.give()
                await asyncio.wait((asked,))
                await self._turns.again()
                self._has_thread = True
            return asked.result()
        finally:
            asked.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._turns.end(self._size)
        if not self._has_thread:
            return
        if self._running is None or self._running.done():
            self._turns.give()
            return
        # A thread is free when its work has ended, not when nobody waits for it any more.
        loop = asyncio.get_running_loop()
        self._running.add_done_callback(lambda _: _told(loop, self._turns.give))


def _told(loop: asyncio.AbstractEventLoop, give: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed, and with it everybody who waited
        loop.call_soon_threadsafe(give)
