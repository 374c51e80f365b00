"""Counts by address and network: as tables with a clock of their own, and over real sockets."""

from __future__ import annotations

import asyncio
import resource
import socket
from dataclasses import replace
from ipaddress import ip_network

import pytest

from smtp_gateway.admission import MINUTE, Admission, Origin, OwnFullAt, Rate, origin_of
from smtp_gateway.gateway_settings import LOOPBACK, Limits
from tests.smtp_gateway.world import Talk, bare_gateway, client

DESCRIPTORS = 4_500
NONE = Limits(
    address_connections=0,
    network_connections=0,
    address_connections_per_minute=0,
    network_connections_per_minute=0,
    address_messages_per_minute=0,
    network_messages_per_minute=0,
    unlimited=(),
)


@pytest.mark.parametrize(
    ("one", "other", "same_address", "same_network"),
    [
        ("192.0.2.1", "192.0.2.1", True, True),
        ("192.0.2.1", "192.0.2.200", False, True),
        ("192.0.2.1", "192.0.3.1", False, False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True, True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False, True),
        ("2001:db8:1:2::1", "2001:db8:2:2::1", False, False),
        ("32.1.13.184", "2001:db8::", False, False),
    ],
)
def test_clients_are_counted_by_address_and_network(
    one: str, other: str, same_address: bool, same_network: bool
) -> None:
    first, second = origin_of(one, ()), origin_of(other, ())
    assert first is not None
    assert second is not None
    assert (first.address == second.address) == same_address
    assert (first.network == second.network) == same_network
    assert len({first.address, first.network, *second}) == 4 - same_address - same_network


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "", "no address"])
def test_this_machine_and_what_is_no_address_are_not_counted(address: str) -> None:
    assert origin_of(address, LOOPBACK) is None


def _passes(rate: Rate, key: bytes, now: float) -> bool:
    """Count one, where it is within the rate."""
    full_at = rate.one_more(key, now)
    if full_at is not None:
        rate.count(key, now, full_at)
    return full_at is not None


def test_a_rate_gives_a_minutes_worth_at_once_and_then_one_as_each_comes_due() -> None:
    rate = Rate(60, OwnFullAt())
    assert sum(_passes(rate, b"a", 1_000.0) for _ in range(100)) == 60
    assert rate.one_more(b"b", 1_000.0) is not None
    assert rate.one_more(b"a", 1_000.9) is None
    assert _passes(rate, b"a", 1_001.0)
    assert rate.one_more(b"a", 1_001.5) is None
    assert sum(_passes(rate, b"a", 1_000.0 + MINUTE * 10) for _ in range(100)) == 60


def test_a_rate_keeps_no_more_than_its_keys_and_forgets_the_full_ones_first() -> None:
    kept = OwnFullAt(keys_max=1_000)
    rate = Rate(60, kept)
    for number in range(100_000):
        assert _passes(rate, number.to_bytes(4), number / 1_000)
        assert len(kept) <= 1_000
    kept = OwnFullAt(keys_max=100)
    busy = Rate(60, kept)
    for _ in range(30):
        assert _passes(busy, b"busy", 0.0)
    for number in range(1_000):
        assert _passes(busy, number.to_bytes(4), 2.0 + 2.0 * number if number < 10 else 25.0)
        assert len(kept) <= 100
    unlimited = Rate(0, kept)
    before = len(kept)
    assert all(_passes(unlimited, b"x", 0.0) for _ in range(1_000))
    assert len(kept) == before


def test_connections_of_an_address_and_of_its_network_have_their_caps_and_free_places_are_used_again() -> None:
    admission = Admission(Limits(address_connections=2, network_connections=3))
    a, b, c = (origin_of(f"192.0.2.{n}", ()) for n in (1, 2, 3))
    assert a and b and c  # noqa: PT018
    assert [admission.connect(origin, 0.0) for origin in (a, a)] == [None, None]
    assert admission.connect(a, 0.0) == "2 connections at one time"
    assert admission.connect(b, 0.0) is None
    assert admission.connect(c, 0.0) == "3 connections at one time"
    admission.disconnect(a)
    assert admission.connect(c, 0.0) is None
    for origin in (a, b, c):
        admission.disconnect(origin)
    assert not admission._open


def test_new_connections_and_messages_have_their_rates_by_address_and_network() -> None:
    admission = Admission(Limits(address_connections_per_minute=3, network_messages_per_minute=4))
    origin, neighbour = Origin(b"abcd", b"abc"), Origin(b"abce", b"abc")
    for _ in range(3):
        assert admission.connect(origin, 0.0) is None
        admission.disconnect(origin)
    assert admission.connect(origin, 0.0) == "connections a minute"
    assert admission.connect(neighbour, 0.0) is None
    assert [admission.message(origin, 0.0) for _ in range(3)] == [True] * 3
    assert [admission.message(neighbour, 0.0) for _ in range(2)] == [True, False]
    assert admission.message(neighbour, 16.0)


async def _first_word(port: int, source: str = "127.0.0.1") -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        return (await asyncio.wait_for(reader.readline(), 5)).decode()
    finally:
        writer.close()


def test_too_many_connections_of_one_address_hear_421_and_others_come_in() -> None:
    async def scenario() -> None:
        limits = Limits(address_connections=2, unlimited=())
        async with bare_gateway(limits=limits) as (server, _):
            async with client(server.port), client(server.port):
                assert (await _first_word(server.port)).startswith("421 4.7.0")
                assert (await _first_word(server.port, "127.0.0.2")).startswith("220")
            await asyncio.sleep(0.1)
            assert (await _first_word(server.port)).startswith("220")
            await asyncio.sleep(0.1)
            assert not server.admission._open

    asyncio.run(scenario())


def test_too_many_new_connections_a_minute_hear_421() -> None:
    async def scenario() -> None:
        limits = Limits(address_connections_per_minute=5, unlimited=())
        async with bare_gateway(limits=limits) as (server, _):
            words = [(await _first_word(server.port))[:9] for _ in range(7)]
            assert words == ["220 mx.ex"] * 5 + ["421 4.7.0"] * 2

    asyncio.run(scenario())


def test_too_many_messages_a_minute_hear_421_at_mail() -> None:
    async def scenario() -> None:
        limits = Limits(address_messages_per_minute=3, unlimited=())
        async with bare_gateway(limits=limits) as (server, got), client(server.port) as talk:
            for _ in range(3):
                await talk.begin()
                assert (await talk.data(b"Subject: x\r\n\r\nx\r\n")).startswith("250")
            assert (await talk.ask("MAIL FROM:<a@b.test>")).startswith("421 4.7.0")
            assert await talk.rest() == b""
            assert len(got) == 3

    asyncio.run(scenario())


def test_without_limits_nobody_is_counted_and_the_named_networks_never_are() -> None:
    async def scenario(limits: Limits) -> None:
        async with bare_gateway(limits=limits) as (server, _):
            for _ in range(20):
                assert (await _first_word(server.port)).startswith("220")
            assert sum(len(rate._full_at) for rate in server.admission._connections) == 0

    asyncio.run(scenario(NONE))
    asyncio.run(scenario(Limits(address_connections_per_minute=2, unlimited=(ip_network("127.0.0.1/32"),))))


@pytest.mark.parametrize("said", [b"EHLO me.test\r\n", b"x", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n", b"\r\n"])
@pytest.mark.parametrize("delay", [0.0, 0.1])
def test_who_talks_before_the_greeting_hears_554_and_is_closed(said: bytes, delay: float) -> None:
    async def scenario() -> None:
        async with bare_gateway(limits=Limits(greeting_seconds=delay, unlimited=())) as (server, _):
            raw = socket.create_connection(("127.0.0.1", server.port))
            raw.sendall(said)  # the server has not had a turn yet: the octets are there when it accepts
            reader, writer = await asyncio.open_connection(sock=raw)
            assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"554 5.5.1 Client talked")
            writer.close()
            async with client(server.port) as talk:
                assert (await talk.ehlo()).startswith("250")

    asyncio.run(scenario())


def test_who_waits_is_greeted_after_the_delay() -> None:
    async def scenario() -> None:
        async with bare_gateway(limits=Limits(greeting_seconds=0.3, unlimited=())) as (server, _):
            begun = asyncio.get_running_loop().time()
            async with client(server.port) as talk:
                assert asyncio.get_running_loop().time() - begun >= 0.25
                assert (await talk.ehlo()).startswith("250")

    asyncio.run(scenario())


def test_commands_and_data_have_idle_limits_of_their_own() -> None:
    async def scenario() -> None:
        limits = Limits(idle_seconds=0.3, data_idle_seconds=1.0)
        async with bare_gateway(limits=limits) as (server, got):
            async with client(server.port) as talk:
                await talk.begin()
                for _ in range(3):  # a slow sender: over the limit of commands each time, never over its own
                    await asyncio.sleep(0.5)
                    talk.send(b"x\r\n")
                talk.send(b".\r\n")
                assert (await talk.reply()).startswith("250")
                assert (await talk.reply()).startswith("421 4.4.2")
            async with client(server.port) as talk:
                for _ in range(20):  # octets of a command are no progress, or one could sit here for ever
                    talk.send(b"N")
                    await asyncio.sleep(0.05)
                assert (await talk.reply()).startswith("421 4.4.2")
            assert len(got) == 1

    asyncio.run(scenario())


def test_two_thousand_slow_clients_do_not_hold_up_an_honest_one() -> None:
    async def slow(port: int, number: int) -> asyncio.StreamWriter | None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.9", 0))
            await reader.readline()
            writer.write((b"EH", b"EHLO x\r\nMAIL FR")[number % 2])
        except ConnectionError:
            return None
        return writer

    async def drip(writers: list[asyncio.StreamWriter]) -> None:
        while True:
            for number, writer in enumerate(writers):
                if not writer.is_closing():
                    writer.write(b"x")
                if number % 50 == 0:
                    await asyncio.sleep(0.02)

    async def scenario() -> None:
        async with bare_gateway(limits=replace(NONE, connections=3_000)) as (server, got):
            writers = []
            for start in range(0, 2_000, 100):
                made = await asyncio.gather(*(slow(server.port, n) for n in range(start, start + 100)))
                writers += [writer for writer in made if writer]
            dripping = asyncio.create_task(drip(writers))
            seconds = []
            try:
                for _ in range(200):
                    begun = asyncio.get_running_loop().time()
                    async with client(server.port) as talk:
                        await talk.begin()
                        assert (await talk.data(b"Subject: x\r\n\r\nx\r\n")).startswith("250")
                    seconds.append(asyncio.get_running_loop().time() - begun)
            finally:
                dripping.cancel()
                for writer in writers:
                    writer.close()
            seconds.sort()
            print(f"{len(writers)} slow, p50 {seconds[100] * 1000:.1f} ms, p99 {seconds[197] * 1000:.1f} ms")
            assert len(writers) == 2_000
            assert seconds[197] < 0.25
            assert len(got) == 200

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < DESCRIPTORS:
        pytest.skip(f"this machine allows {hard} open files, and both ends of 2,000 connections take {DESCRIPTORS}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, DESCRIPTORS), hard))
    try:
        asyncio.run(scenario())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_slow_clients_of_one_address_cannot_take_all_places() -> None:
    async def scenario() -> None:
        limits = Limits(connections=100, address_connections=20, unlimited=())
        async with bare_gateway(limits=limits) as (server, got):
            held: list[asyncio.StreamWriter] = []
            for _ in range(300):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", server.port, local_addr=("127.0.0.9", 0)
                )
                held.append(writer)
                await reader.readline()
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", server.port, local_addr=("127.1.0.1", 0)
            )
            talk = Talk(reader, writer)
            assert (await talk.reply()).startswith("220")
            await talk.begin()
            assert (await talk.data(b"Subject: x\r\n\r\nx\r\n")).startswith("250")
            for one in (*held, writer):
                one.close()
            assert len(got) == 1

    asyncio.run(scenario())
