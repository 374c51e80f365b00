"""A relaying gateway that is killed in the middle of its work: what it said 250 to is at the next hop, and on record."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable

from tests.proofs.served import Served
from tests.smtp_gateway.scripted_hop import Hop, in_a_loop, scripted_hop
from tests.smtp_gateway.world import client, message

CLIENTS = 8
BEFORE_THE_KILL = 20  # messages that the next hop has by then


async def _sends(port: int, name: int, heard: list[str]) -> None:
    """Send one message after another until the gateway is gone; keep the ids of those that it said 250 to."""
    with contextlib.suppress(ConnectionError, AssertionError, OSError):
        async with client(port) as talk:
            number = 0
            while True:
                await talk.begin(rcpt="bob@customer.test")
                said = await talk.data(message(f"{name}-{number}\r\n"))
                if said.startswith("250 "):
                    heard.append(said.split()[-1])
                number += 1


def _ids(hop: Hop) -> list[str]:
    return [re.search(rb"\r\n\tid=([0-9A-Z]{26})\r\n", taken.raw)[1].decode() for taken in hop.taken]


@in_a_loop
async def test_what_was_said_250_to_is_at_the_next_hop_whenever_the_gateway_is_killed(
    serve: Callable[..., Served],
) -> None:
    async with scripted_hop() as hop:
        served = serve(
            '[[routes.table]]\nrecipient = "*@customer.test"\nto = "relay"\n'
            f'next_hop = "127.0.0.1:{hop.port}"\nnext_hop_tls = "none"\n'
        )
        heard: list[str] = []
        for _ in range(2):
            before = len(hop.taken)
            await asyncio.to_thread(served.start)
            sending = [asyncio.create_task(_sends(served.smtp_port, name, heard)) for name in range(CLIENTS)]
            async with asyncio.timeout(60):
                while len(hop.taken) < before + BEFORE_THE_KILL:  # noqa: ASYNC110 - the hop tells nobody
                    await asyncio.sleep(0.005)
            await asyncio.to_thread(served.kill)
            await asyncio.gather(*sending)
        assert heard
        there = _ids(hop)
        assert len(there) == len(set(there))  # the same transmission never goes twice
        assert set(heard) <= set(there)
        await asyncio.to_thread(served.start)
        listed = await asyncio.to_thread(served.json, "outbox", "relayed")
        recorded = {one["id"] for one in listed}
        assert set(heard) <= recorded <= set(there)
