"""What retires when the settings were read anew: what it gives up at once, and what it serves to the end."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any, cast

from expertmail.generation import Generation


class Gateway:
    """Has a client that stays until it is told to go."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def start(self) -> None:
        """Take it."""

    async def retire(self) -> None:
        """Serve it to its end."""
        await self.left.wait()

    async def stop(self, _handshakes: float) -> None:
        """Send it away."""
        self.left.set()


class Delivery:
    """Has a try under way that ends with ``stop`` alone."""

    def __init__(self) -> None:
        self.retired = False
        self.stopped = asyncio.Event()

    async def run(self) -> None:
        await self.stopped.wait()

    def retire(self) -> None:
        self.retired = True

    def stop(self) -> None:
        self.stopped.set()


def test_no_mail_goes_out_by_old_settings_while_an_old_client_stays_and_a_stop_hurries_all() -> None:
    async def scenario() -> None:
        gateway, delivery, stack = Gateway(), Delivery(), AsyncExitStack()
        nothing: Any = None
        old = Generation(
            nothing,
            values=nothing,
            judging=nothing,
            gateway=cast("Any", gateway),
            delivery=cast("Any", delivery),
            stack=stack,
        )
        await old.start()
        retiring = old.retire()
        await asyncio.sleep(0)
        assert delivery.retired
        assert not delivery.stopped.is_set(), "its tries end by themselves"
        assert not gateway.left.is_set()
        gateway.left.set()
        await asyncio.sleep(0.01)
        assert not retiring.done()
        await asyncio.wait_for(old.stop(), 5)
        assert delivery.stopped.is_set()
        assert retiring.done()

    asyncio.run(scenario())
