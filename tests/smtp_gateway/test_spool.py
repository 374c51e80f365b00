"""Large messages wait on disk: whole, private, gone when done, and never more than there is room for."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from smtp_gateway.content import Content
from smtp_gateway.quota import Quota
from smtp_gateway.reception import MEMORY_MAX, SPARE_FOR_ALL, SPARE_MAX, Reception
from smtp_gateway.replies import SmtpRefusal
from smtp_gateway.spool import Spool
from tests.smtp_gateway.world import bare_gateway, client

BLOCK = bytes(range(32, 127)) * 1_000 + b"\r\n"


def test_what_is_written_is_read_back_and_the_file_has_no_name_and_is_nobody_elses(tmp_path: Path) -> None:
    async def scenario() -> None:
        spool = Spool(tmp_path)
        for number in range(10):
            await spool.write(b"%d" % number * 100_000)
        assert await spool.read() == b"".join(b"%d" % number * 100_000 for number in range(10))
        assert os.listdir(tmp_path) == []  # noqa: PTH208 - not in a coroutine's way
        assert os.fstat(spool._file.fileno()).st_mode & 0o077 == 0
        spool.close()

    asyncio.run(scenario())


def test_a_spool_that_is_closed_while_a_thread_writes_is_closed_after_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        spool = Spool(tmp_path)
        writing = asyncio.create_task(spool.write(b"x" * 50_000_000))
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.sleep(0)
        spool.close()
        assert not spool._file.closed
        await spool._work
        await asyncio.sleep(0)
        assert spool._file.closed

    asyncio.run(scenario())


def test_a_large_message_comes_whole_and_in_its_digest_by_both_ways(tmp_path: Path) -> None:
    raw = b"Subject: x\r\n\r\n" + BLOCK * 30

    async def scenario() -> None:
        async with bare_gateway(spool=tmp_path) as (server, got), client(server.port) as talk:
            await talk.begin()
            assert (await talk.data(raw)).startswith("250")
            await talk.ask("MAIL FROM:<a@b.test>")
            await talk.ask("RCPT TO:<query@experts.test>")
            for at in range(0, len(raw), 100_000):
                part = raw[at : at + 100_000]
                last = b" LAST" if at + 100_000 >= len(raw) else b""
                talk.send(b"BDAT %d%s\r\n%s" % (len(part), last, part))
                assert (await talk.reply()).startswith("250")
            assert [envelope.raw == raw for envelope in got] == [True, True]
            assert {envelope.digest for envelope in got} == {hashlib.sha256(raw).digest()}
            assert (server.memory.taken, server.disk.taken) == (0, 0)

    asyncio.run(scenario())


def reception(
    cap: int, folder: Path, *, memory: int = 10**9, disk: int = 10**9, spare: int | Quota = 0
) -> Reception:
    left = Quota(spare) if isinstance(spare, int) else spare
    return Reception(Content(cap), memory=Quota(memory), disk=Quota(disk), spare=left, folder=folder)


async def filled(one: Reception, octets: int, step: int = 100_000) -> Reception:
    """A reception that so much has come in for, as a session does it."""
    for at in range(0, octets, step):
        one.content.add(b"x" * min(step, octets - at))
        if one.unsettled:
            await one.settle()
    return one


def test_a_large_message_needs_no_disk_while_there_is_memory_to_spare(tmp_path: Path) -> None:
    async def scenario() -> None:
        left = Quota(SPARE_FOR_ALL)
        one = await filled(reception(10**8, tmp_path / "there is no such folder", spare=left), 2_000_000)
        assert 0 < left.taken <= SPARE_MAX
        assert await one.octets() == b"x" * 2_000_000
        assert (left.taken, one.in_memory) == (0, 2_000_000), "it counts as a message that is judged from here on"
        one.close()
        assert one._memory.taken == 0

    asyncio.run(scenario())


def test_a_message_over_what_may_stay_goes_to_disk_as_a_whole_and_gives_the_memory_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        left = Quota(SPARE_FOR_ALL)
        one = await filled(reception(10**8, tmp_path, spare=left), SPARE_MAX + MEMORY_MAX + 100_000)
        assert (left.taken, one.content.held <= MEMORY_MAX) == (0, True)
        assert one._disk.taken > SPARE_MAX
        assert await one.octets() == b"x" * (SPARE_MAX + MEMORY_MAX + 100_000)
        one.close()

    asyncio.run(scenario())


def test_who_holds_all_the_spare_memory_sends_the_others_to_the_disk_and_no_further(tmp_path: Path) -> None:
    async def scenario() -> None:
        left = Quota(SPARE_FOR_ALL)
        held = [await filled(reception(10**8, tmp_path, spare=left), 2_000_000) for _ in range(20)]
        assert left.taken <= SPARE_FOR_ALL
        assert sum(one.content.held for one in held) <= SPARE_FOR_ALL + 20 * MEMORY_MAX
        assert [await one.octets() == b"x" * 2_000_000 for one in held] == [True] * 20
        for one in held:
            one.close()
        assert left.taken == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("end", ["too large", "the client leaves", "no memory for it"])
def test_spare_memory_is_given_back_however_a_message_ends(tmp_path: Path, end: str) -> None:
    async def scenario() -> None:
        left = Quota(SPARE_FOR_ALL)
        cap = 1_500_000 if end == "too large" else 10**8
        one = await filled(reception(cap, tmp_path, memory=1_000_000, spare=left), 1_400_000)
        assert left.taken > 0
        if end == "too large":
            await filled(one, 300_000)
            assert left.taken == 0, "while the rest is read and thrown away"
        elif end == "no memory for it":
            with pytest.raises(SmtpRefusal, match="452"):
                await one.octets()
        one.close()
        assert (left.taken, one._memory.taken, one._disk.taken) == (0, 0, 0)

    asyncio.run(scenario())


def test_small_messages_never_touch_the_disk(tmp_path: Path) -> None:
    async def scenario() -> None:
        small = reception(10**6, tmp_path / "there is no such folder")
        small.content.add(b"x" * MEMORY_MAX)
        assert not small.unsettled
        assert small.refused(bare_lf_allowed=False) is None
        assert await small.octets() == b"x" * MEMORY_MAX

    asyncio.run(scenario())


@pytest.mark.parametrize("fault", ["no folder", "disk full for all"])
def test_without_room_on_the_disk_the_message_is_452_and_nothing_stays_counted(tmp_path: Path, fault: str) -> None:
    async def scenario() -> None:
        folder = tmp_path / "gone" if fault == "no folder" else tmp_path
        large = reception(10**7, folder, disk=10**9 if fault == "no folder" else 600_000)
        for _ in range(5):
            large.content.add(b"x" * 300_000)
            if large.unsettled:
                await large.settle()
            assert large.content.held <= MEMORY_MAX
        reply = large.refused(bare_lf_allowed=False)
        assert str(reply).startswith("452 4.3.1")
        assert large._disk.taken == 0
        large.close()

    asyncio.run(scenario())


def test_a_client_that_leaves_between_chunks_leaves_nothing_on_the_disk(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bare_gateway(spool=tmp_path) as (server, _):
            async with client(server.port) as talk:
                await talk.ehlo()
                talk.send(b"MAIL FROM:<>\r\nRCPT TO:<query@experts.test>\r\nBDAT 3000000\r\n" + b"x" * 3_000_000)
                for _ in range(3):
                    assert (await talk.reply()).startswith("250")
                assert server.disk.taken > 2_000_000
                talk.writer.transport.abort()
            for _ in range(100):
                await asyncio.sleep(0.01)
                if server.disk.taken == 0:
                    return
            raise AssertionError("still counted")

    asyncio.run(scenario())


OFFENDER = """
import asyncio, sys
from pathlib import Path
from tests.smtp_gateway.flood import flood
from tests.smtp_gateway.world import bare_gateway, client

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

BEGIN = b"EHLO x\\r\\nMAIL FROM:<>\\r\\nRCPT TO:<query@experts.test>\\r\\n"

RCPT = b"RCPT TO:<query+#@experts.test>\\r\\n"

async def scenario(name):
    kinds = {
        "200 MiB without a line end": (BEGIN + b"DATA\\r\\n", b"x", 200, b"\\r\\n.\\r\\nQUIT\\r\\n"),
        "ten times SIZE": (BEGIN + b"DATA\\r\\n", b"x", 350, b"\\r\\n.\\r\\nQUIT\\r\\n"),
        "without an end": (BEGIN + b"DATA\\r\\n", b"x", 500, b""),
        "a chunk of ten times SIZE": (BEGIN + b"BDAT %d LAST\\r\\n" % (350 << 20), b"x", 350, b"QUIT\\r\\n"),
        "a large message that never ends": (BEGIN + b"DATA\\r\\n", b"x", 34, b""),
        "2,000 recipients": (BEGIN, RCPT, 2_000, b"QUIT\\r\\n"),
        "3,000 NOOPs": (BEGIN, b"NOOP\\r\\n", 3_000, b"QUIT\\r\\n"),
    }
    async with bare_gateway() as (server, got):
        async with client(server.port) as talk:  # what a first session loads
            await talk.begin()
            assert (await talk.data(b"x" * 300_000 + b"\\r\\n")).startswith("250")
        got.clear()
        before, most = resident(), 0
        wire, block, times, end = kinds[name]
        task = asyncio.create_task(flood(server.port, wire, block, times, end))
        while not task.done():
            await asyncio.sleep(0.005)
            most = max(most, resident())
        heard = []
        for line in task.result().decode().splitlines():
            if line[3:4] == " " and heard[-1:] != [line[:9]]:
                heard.append(line[:9])
        print((most - before) >> 10, len(got), *heard, sep="|")

asyncio.run(scenario(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("offence", "heard"),
    [
        ("200 MiB without a line end", ["354 End d", "552 5.3.4", "221 2.0.0"]),
        ("ten times SIZE", ["354 End d", "552 5.3.4", "221 2.0.0"]),
        ("without an end", ["354 End d", "552 5.3.4"]),
        ("a chunk of ten times SIZE", ["552 5.3.4", "221 2.0.0"]),
        ("a large message that never ends", ["354 End d"]),
        ("2,000 recipients", ["452 4.5.3", "421 4.7.0"]),
        ("3,000 NOOPs", ["250 2.0.0", "421 4.7.0"]),
    ],
)
def test_an_offender_hears_the_contracts_answer_and_costs_less_than_16_mib(
    offence: str, heard: list[str]
) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", OFFENDER, offence], capture_output=True, text=True, check=True, timeout=120
    )
    grown, stored, *said = ran.stdout.splitlines()[-1].split("|")
    print(f"{offence}: {int(grown):,} KiB")
    assert int(grown) < 16 * 1024
    assert stored == "0"
    assert said[: -len(heard)] == ["250 ENHAN", "250 2.1.0", "250 2.1.5"]
    assert said[-len(heard) :] == heard
