"""Work of the server that comes again and again, as a task of one process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress


class Rounds:
    """Rounds with a pause between them, until stopped: what is under way ends first, and nothing new begins."""

    def __init__(self, seconds: float) -> None:
        """``seconds`` are the pause between two rounds."""
        self._seconds = seconds
        self._stopping = asyncio.Event()

    @property
    def stopping(self) -> bool:
        """Whether nothing new is to begin."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Begin nothing new."""
        self._stopping.set()

    async def run(self, one: Callable[[], Awaitable[None]]) -> None:
        """One round, which raises nothing, the pause, and again."""
        while not self.stopping:
            await one()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._seconds)
