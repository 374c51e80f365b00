"""Work of the server that comes again and again, as a task of one process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from threads.store.errors import StorageFull, StoreError, StoreUnavailable


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

    async def run(
        self, one: Callable[[], Awaitable[None]], waits: Callable[[str], None], failed: Callable[[], None]
    ) -> None:
        """One round, the pause, and again; a round that raises ends no other.

        ``waits`` hears why the record could not be asked, ``failed`` is called where the fault was not foreseen.
        """
        while not self.stopping:
            try:
                await one()
            except StoreError as error:
                waits(str(error))
            except Exception:  # noqa: BLE001 - mail goes on, the next round tries again, and it is told
                failed()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._seconds)

    async def each(
        self, numbers: Iterable[int], one: Callable[[int], Awaitable[None]], failed: Callable[[int], None]
    ) -> None:
        """Each by itself: a row that cannot be read, of which ``failed`` hears, keeps no other from its turn.

        Raises StorageFull and StoreUnavailable, which meet all alike.
        """
        for number in numbers:
            if self.stopping:
                return
            try:
                await one(number)
            except (StorageFull, StoreUnavailable):
                raise
            except Exception:  # noqa: BLE001 - see above
                failed(number)
