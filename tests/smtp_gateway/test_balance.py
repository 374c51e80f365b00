"""Several processes take from one queue: who leaves the next client to another."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from smtp_gateway.balance import ALIVE_SECONDS, Load, places
from smtp_gateway.envelope import Envelope
from smtp_gateway.gateway_settings import GatewaySettings
from smtp_gateway.listener import Listener
from smtp_gateway.replies import SmtpReply, accepted
from smtp_gateway.server import GatewayServer
from smtp_gateway.shared_memory import Field, SharedMemory, Slot
from tests.smtp_gateway.world import BOXES, now

NOW = 1_000.0
HEARD = NOW - 1


@pytest.mark.parametrize(
    ("sessions", "others", "takes"),
    [
        (0, [], None),
        (9, [], None),
        (0, [(0, HEARD)], 1),
        (1, [(1, HEARD)], 1),
        (2, [(1, HEARD)], 0),
        (9, [(1, HEARD)], 0),
        (2, [(1, NOW - ALIVE_SECONDS)], None),
        (5, [(7, HEARD), (5, HEARD)], 1),
        (5, [(7, HEARD), (4, HEARD)], 0),
        (5, [(7, HEARD), (4, 0.0)], 2),
        (0, [(20, HEARD)], 11),
        (64, [(64, HEARD)], 2),
        (66, [(64, HEARD)], 1),
        (67, [(64, HEARD)], 0),
    ],
)
def test_a_process_takes_clients_until_it_has_more_than_a_living_one(
    sessions: int, others: list[tuple[int, float]], takes: int | None
) -> None:
    assert places(sessions, [Load(*other) for other in others], NOW) == takes


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    made = SharedMemory.made(2)
    yield made
    made.close()


def taking(memory: SharedMemory, number: int) -> Slot:
    slot = memory.slot(number)
    slot.put(Field.TAKES, 1)
    slot.beat()
    return slot


def test_a_slot_is_seen_through_an_inherited_descriptor_and_cleared_for_the_dead(memory: SharedMemory) -> None:
    ours = taking(memory, 0)
    ours.tally(Field.BEGINNING).add(1)
    elsewhere = SharedMemory(os.dup(memory.descriptor), 2)
    theirs = taking(elsewhere, 1)
    assert (ours.places, theirs.places) == (0, 1)
    theirs.put(Field.TAKES, 0)
    assert ours.places is None, "who drains is left nobody"
    theirs.put(Field.TAKES, 1)
    theirs.tally(Field.SESSIONS).add(1)
    assert ours.places == 1
    memory.clear(1)
    assert [theirs.get(field) for field in Field] == [0] * len(Field)
    assert ours.places is None, "nobody is there to leave a client to"
    elsewhere.close()


def test_one_that_has_more_takes_a_client_that_nobody_else_takes(memory: SharedMemory) -> None:
    """The other process is alive and has fewer, and yet takes nobody."""
    ours, _ = taking(memory, 0), taking(memory, 1)

    async def take(envelope: Envelope) -> SmtpReply:
        return accepted(envelope.id)

    async def scenario() -> None:
        listener = Listener.bound("127.0.0.1", 0)
        server = GatewayServer(
            GatewaySettings("mx.test", "mx.test"), BOXES, take, now, listener=listener, among=ours
        )
        await server.start()
        with ExitStack() as stack:
            links = [
                stack.enter_context(socket.create_connection(("127.0.0.1", listener.port), 10))
                for _ in range(20)
            ]
            for link in links:
                assert (await asyncio.to_thread(link.recv, 100)).startswith(b"220")
            assert ours.get(Field.SESSIONS) == 20
        async with asyncio.timeout(10):
            while ours.get(Field.SESSIONS):  # noqa: ASYNC110 - there is nothing to wait for but the number
                await asyncio.sleep(0.01)
        await server.stop()

    asyncio.run(scenario())
