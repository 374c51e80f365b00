"""Limits count for all processes of a gateway together. Here each "process" is a server with a slot of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from smtp_gateway import replies
from smtp_gateway.envelope import Envelope
from smtp_gateway.gateway_settings import GatewaySettings, Limits
from smtp_gateway.listener import Listener
from smtp_gateway.replies import SmtpReply
from smtp_gateway.server import GatewayServer
from smtp_gateway.shared_memory import Field, SharedMemory
from tests.smtp_gateway.world import BOXES, Talk, client, now

LARGE = b"Subject: large\r\n\r\n" + b"0123456789abcde\r\n" * 200_000  # more than stays in memory


async def _taken(envelope: Envelope) -> SmtpReply:
    return replies.accepted(envelope.id)


@asynccontextmanager
async def servers(limits: Limits, slots: tuple[int, ...] = (0, 1)) -> AsyncIterator[tuple[SharedMemory, list[GatewayServer]]]:
    memory = SharedMemory.made(max(slots) + 1)
    settings = GatewaySettings("mx.test", "mx.test", limits=limits)
    made = [
        GatewayServer(
            settings, BOXES, _taken, now, listener=Listener.bound("127.0.0.1", 0), among=memory.slot(number)
        )
        for number in slots
    ]
    for server in made:
        await server.start()
    try:
        yield memory, made
    finally:
        for server in made:
            await server.stop()
        memory.close()


@asynccontextmanager
async def from_there(server: GatewayServer) -> AsyncIterator[tuple[str, Talk]]:
    """Connect, and hear the first word."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    talk = Talk(reader, writer)
    try:
        yield await talk.reply(), talk
    finally:
        writer.close()


async def first_word(server: GatewayServer) -> str:
    async with from_there(server) as (word, _):
        return word[:9]


async def no_session(memory: SharedMemory) -> None:
    async with asyncio.timeout(10):
        while memory.slot(0).tally(Field.SESSIONS).total:  # noqa: ASYNC110 - there is only the number to look at
            await asyncio.sleep(0.01)


def test_all_places_can_be_taken_at_any_process_and_no_more() -> None:
    async def scenario() -> None:
        async with servers(Limits(connections=3)) as (memory, (one, other)):
            async with AsyncExitStack() as stack:
                for server in (one, one, other):
                    await stack.enter_async_context(client(server.port))
                assert await first_word(one) == "421 4.3.2"
                assert await first_word(other) == "421 4.3.2"
            await no_session(memory)
            async with client(other.port), client(other.port), client(other.port):
                assert await first_word(one) == "421 4.3.2"

    asyncio.run(scenario())


def test_a_process_that_dies_gives_its_places_back() -> None:
    async def scenario() -> None:
        limits = Limits(connections=3, address_connections=2, unlimited=(), tls_connections=2)
        async with (
            servers(limits) as (memory, (dying, other)),
            client(dying.port),
            client(dying.port),
        ):
            assert dying.enter_tls()
            assert dying.enter_tls()
            assert dying.memory.take(limits.in_flight_bytes)
            assert not other.enter_tls()
            assert not other.memory.take(1)
            assert await first_word(other) == "421 4.7.0"
            memory.clear(0)
            assert await first_word(other) == "220 mx.te"
            assert other.enter_tls()
            assert other.enter_tls()
            assert not other.enter_tls()
            assert other.memory.take(limits.in_flight_bytes)

    asyncio.run(scenario())


def test_connections_of_an_address_count_wherever_they_are() -> None:
    async def scenario() -> None:
        async with servers(Limits(address_connections=2, unlimited=())) as (memory, (one, other)):
            async with client(one.port), client(other.port):
                assert await first_word(one) == "421 4.7.0"
                assert await first_word(other) == "421 4.7.0"
            await no_session(memory)
            async with client(one.port), client(one.port):
                assert await first_word(other) == "421 4.7.0"

    asyncio.run(scenario())


def test_connections_a_minute_count_wherever_they_come() -> None:
    async def scenario() -> None:
        limits = Limits(address_connections_per_minute=5, unlimited=())
        async with servers(limits) as (_, (one, other)):
            words = [await first_word(server) for server in (one, other, other, one, one, one, other)]
            assert words == ["220 mx.te"] * 5 + ["421 4.7.0"] * 2

    asyncio.run(scenario())


def test_messages_a_minute_count_wherever_they_come_and_a_reload_forgets_none() -> None:
    """The third server is one of other settings in the first one's process."""

    async def scenario() -> None:
        limits = Limits(address_messages_per_minute=3, unlimited=())
        async with servers(limits, (0, 1, 0)) as (_, made):
            for server in made:
                async with client(server.port) as talk:
                    await talk.begin()
                    assert (await talk.data(b"Subject: x\r\n\r\nx\r\n")).startswith("250")
            for server in made:
                async with client(server.port) as talk:
                    await talk.ehlo()
                    assert (await talk.ask("MAIL FROM:<a@b.test>")).startswith("421 4.7.0")

    asyncio.run(scenario())


def test_disk_and_memory_for_large_messages_are_one_store_for_all() -> None:
    async def scenario() -> None:
        limits = Limits(spool_bytes=2 * len(LARGE), in_flight_bytes=2 * len(LARGE))
        async with servers(limits) as (_, (one, other)):
            for quota in (one.disk, one.memory):
                assert quota.take(2 * len(LARGE) - 100_000)
                async with client(other.port) as talk:
                    await talk.begin()
                    assert (await talk.data(LARGE)).startswith("452 4.3.1")
                quota.give(2 * len(LARGE) - 100_000)
                async with client(other.port) as talk:
                    await talk.begin()
                    assert (await talk.data(LARGE)).startswith("250")
            assert (other.disk.taken, other.memory.taken) == (0, 0)

    asyncio.run(scenario())


def test_messages_under_way_are_counted_in_all_processes() -> None:
    async def scenario() -> None:
        async with servers(Limits(connections=2)) as (_, (one, other)):
            ends = asyncio.Event()

            async def work() -> SmtpReply:
                await ends.wait()
                return replies.DONE

            tasks = [one.keep(work()), other.keep(work())]
            assert one.crowded
            assert other.crowded
            ends.set()
            await asyncio.gather(*tasks)
            await asyncio.sleep(0)
            assert not one.crowded

    asyncio.run(scenario())
