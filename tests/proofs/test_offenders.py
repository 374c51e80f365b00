"""Clients that ask too much of a running gateway: they hear a refusal, cost little, and make no honest one wait."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.proofs.pulse import Pulse, pulse
from tests.proofs.served import Served
from tests.smtp_gateway.flood import flood
from tests.smtp_gateway.scripted_hop import in_a_loop
from tests.smtp_gateway.world import message

MIB = 1024 * 1024
GROWTH_MAX = 16 * MIB  # by one offender
P99_SECONDS = 0.25  # of what an honest client waits
IDLE = 10_000
IDLE_MAX_BYTES = 300 * MIB
SLOW = 2_000
SLOW_MAX_BYTES = SLOW * 64 * 1_024  # by all of them
SPARE_DESCRIPTORS = 500
EVERY_SECONDS = 0.05

BEGIN = b"EHLO offender.test\r\nMAIL FROM:<>\r\nRCPT TO:<query@experts.test>\r\n"
END = b"\r\n.\r\nQUIT\r\n"
OFFENCES: dict[str, tuple[bytes, bytes, int, bytes, str]] = {
    "200 MiB without a line end": (BEGIN + b"DATA\r\n", b"x", 200, END, "552 5.3.4"),
    "ten times SIZE": (BEGIN + b"DATA\r\n", b"x", 350, END, "552 5.3.4"),
    "2,000 recipients": (BEGIN, b"RCPT TO:<query+#@experts.test>\r\n", 2_000, b"QUIT\r\n", "452 4.5.3"),
    "3,000 NOOPs": (BEGIN, b"NOOP\r\n", 3_000, b"QUIT\r\n", "421 4.7.0"),
}


def memory(served: Served) -> int:
    """What the gateway's processes take, shared pages divided among those who share them (PSS)."""
    assert served.process is not None
    taken = 0
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if folder.name.isdecimal() and os.getpgid(int(folder.name)) == served.process.pid:
                found = re.search(r"^Pss:\s+(\d+) kB", (folder / "smaps_rollup").read_text(), re.MULTILINE)
                taken += int(found[1]) * 1_024 if found else 0
    return taken


def waits_of(found: Pulse, since: float, until: float) -> None:
    """Honest clients were served in time."""
    for kind in ("noop", "hello", "mail"):
        beats = found.of(kind, since, until)
        assert {beat.code for beat in beats} == {"250"}
        seconds = sorted(beat.seconds for beat in beats)
        assert seconds[len(seconds) * 99 // 100] < P99_SECONDS, found.summary(since, until)


HONEST = message("Hello.\r\n", author="ann@warm.test", message_id="<m@warm.test>")


@in_a_loop
async def test_an_offender_costs_little_and_makes_nobody_wait(serve: Callable[..., Served], tmp_path: Path) -> None:
    served = serve()
    await asyncio.to_thread(served.start)
    times: dict[str, tuple[float, float]] = {}
    told: dict[str, str] = {}
    async with pulse(served.smtp_port, HONEST, "ann@warm.test", tmp_path) as found:
        await asyncio.sleep(2)  # what first messages load
        for name, (head, block, count, end, reply) in OFFENCES.items():
            before = most = memory(served)
            begun = time.time()
            hearing = asyncio.create_task(flood(served.smtp_port, head, block, count, end))
            while not hearing.done():
                most = max(most, memory(served))
                await asyncio.sleep(EVERY_SECONDS)
            times[name] = (begun, time.time() + 1)
            await asyncio.sleep(1)
            told[name] = f"{(most - before) / MIB:.1f} MiB"
            assert reply in hearing.result().decode(), name
            assert most - before < GROWTH_MAX, name
    for name, (since, until) in times.items():
        print(f"{name}: {told[name]}; others: {found.summary(since, until)}")
        waits_of(found, since, until)
    assert "Traceback" not in served.log.read_text()


@pytest.fixture
def descriptors() -> Iterator[Callable[[int], None]]:
    """Allow this process, and the gateway that it starts, so many connections."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    def allow(connections: int) -> None:
        wanted = connections + SPARE_DESCRIPTORS
        if before[1] < wanted:
            pytest.skip(f"this machine allows {before[1]} open files, and {connections} connections take {wanted}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], wanted), before[1]))

    yield allow
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def connected(served: Served, count: int, said: Callable[[int], bytes]) -> list[socket.socket]:
    """Greeted connections, each of which has said something."""
    made = []
    for number in range(count):
        link = socket.create_connection(("127.0.0.1", served.smtp_port), 60)
        made.append(link)
        assert link.recv(100).startswith(b"220")
        link.sendall(said(number))
    return made


@in_a_loop
async def test_ten_thousand_idle_connections_take_less_than_300_mib(
    serve: Callable[..., Served], descriptors: Callable[[int], None], tmp_path: Path
) -> None:
    descriptors(IDLE)
    served = serve(f"[smtp]\nmax_connections = {IDLE + 100}\n")
    await asyncio.to_thread(served.start)
    before = memory(served)
    held = await asyncio.to_thread(connected, served, IDLE, lambda _: b"EHLO idle.test\r\n")
    try:
        async with pulse(served.smtp_port, HONEST, "ann@warm.test", tmp_path) as found:
            begun = time.time()
            await asyncio.sleep(5)
            taken = memory(served)
        print(f"{IDLE} idle: {taken / MIB:.0f} MiB, {before / MIB:.0f} before; others: {found.summary()}")
        assert taken < IDLE_MAX_BYTES
        waits_of(found, begun, time.time())
        assert all(b"250 " in link.recv(1_000) for link in held)
    finally:
        for link in held:
            link.close()


@in_a_loop
async def test_two_thousand_clients_that_drip_octets_make_nobody_wait(
    serve: Callable[..., Served], descriptors: Callable[[int], None], tmp_path: Path
) -> None:
    descriptors(SLOW)
    served = serve(f"[smtp]\nmax_connections = {SLOW + 100}\n")
    await asyncio.to_thread(served.start)
    before = memory(served)
    begins = (b"EH", b"EHLO x\r\nMAIL FR", BEGIN + b"DATA\r\nSubject: ")
    held = await asyncio.to_thread(connected, served, SLOW, lambda number: begins[number % len(begins)])
    try:
        async with pulse(served.smtp_port, HONEST, "ann@warm.test", tmp_path) as found:
            begun = time.time()
            while time.time() < begun + 5:
                for number, link in enumerate(held):
                    with contextlib.suppress(OSError):
                        link.sendall(b"x")
                    if number % 50 == 0:
                        await asyncio.sleep(0.02)
            taken = memory(served)
        print(f"{SLOW} slow: {taken / MIB:.0f} MiB, {before / MIB:.0f} before; others: {found.summary()}")
        assert taken - before < SLOW_MAX_BYTES
        waits_of(found, begun, time.time())
    finally:
        for link in held:
            link.close()
