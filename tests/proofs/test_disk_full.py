"""A disk that is full, at whatever is written next: 452 or 451, nothing acknowledged is lost or there twice, and all is
well again by itself once there is room.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import smtplib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.proofs.load import alice_is_known, every_acknowledged_message_is_there_once
from tests.proofs.noting import clients_of, codes, until
from tests.proofs.served import Served
from tests.smtp_gateway.scripted_hop import in_a_loop, scripted_hop
from tests.smtp_gateway.world import client
from tests.smtp_gateway.world import message as mail

DISK_BYTES = 24 * 1024 * 1024
LARGE = 3 * 1024 * 1024
KIB = 1024
ROOM = (0, 4 * KIB, 40 * KIB, 400 * KIB)  # left on the disk, so that different writes are the first to fail


class SmallDisk:
    """A file system of its own that can be filled and emptied."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._ballast = place / "ballast"

    def fill(self, left: int) -> None:
        """Leave so many octets; then nothing more can be written."""
        with self._ballast.open("ab") as file, contextlib.suppress(OSError):
            while True:
                os.write(file.fileno(), bytes(4_096))
        if left:
            os.truncate(self._ballast, max(0, self._ballast.stat().st_size - left))

    def make_room(self) -> None:
        """Take the ballast away."""
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small tmpfs")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.decode().strip()}")
    yield SmallDisk(place)
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def on_small_disk(disk: SmallDisk) -> Iterator[Callable[..., Served]]:
    """A gateway whose data is on the small disk; its log is not, unless wanted."""
    made: list[Served] = []

    def make(extra: str = "", *, log_too: bool = False) -> Served:
        folder = disk.place / "world"
        folder.mkdir()
        served = Served(folder, extra)
        if not log_too:
            served.log = disk.place.parent / "serve.log"
        made.append(served)
        return served

    yield make
    for served in made:
        with contextlib.suppress(FileNotFoundError):
            disk.make_room()
        served.stop()


@pytest.mark.slow
@pytest.mark.parametrize("log_too", [False, True], ids=["the log elsewhere", "the log as well"])
@pytest.mark.parametrize("form", ["", "workers = 2\n"], ids=["one process", "two workers"])
def test_with_a_full_disk_mail_is_put_off_and_comes_in_once_there_is_room(
    on_small_disk: Callable[..., Served], disk: SmallDisk, form: str, *, log_too: bool
) -> None:
    served = on_small_disk(f'[log]\nlevel = "info"\n[smtp]\n{form}', log_too=log_too)
    served.start()
    alice_is_known(served)
    with clients_of(served) as clients:
        for left in ROOM:
            before = sum(len(one.acknowledged) for one in clients)
            until(lambda before=before: sum(len(one.acknowledged) for one in clients) > before + 20)
            for one in clients:
                one.heard.clear()
            disk.fill(left)
            until(lambda: sum(one.heard.count(452) for one in clients) > 20)
            disk.make_room()
            begun = time.monotonic()
            before = sum(len(one.acknowledged) for one in clients)
            until(lambda before=before: sum(len(one.acknowledged) for one in clients) > before + 20)
            print(f"{left} octets left: well again after {time.monotonic() - begun:.2f} s")
            assert codes(clients) <= {221, 250, 354, 451, 452}
    assert [line for one in clients for line in one.unclean] == []
    # The delivery has survived it, too; what it tried without room waits for its next turn, so something new is written.
    served.run("compose", "reply", "INQ-000001", "--to", "alice@contoso.test", "--text", "There is room again.")
    until(lambda: list(served.outbox.glob("*.eml")))
    served.stop()
    assert every_acknowledged_message_is_there_once(served, clients) > 100
    assert "Traceback" not in served.log.read_text()


def test_a_large_message_that_the_disk_has_no_room_for_is_452_and_small_ones_go_on(
    on_small_disk: Callable[..., Served], disk: SmallDisk
) -> None:
    served = on_small_disk()
    served.start()
    raw = b"Subject: large\r\n\r\n" + (b"x" * 998 + b"\r\n") * (LARGE // 1_000)
    with smtplib.SMTP("127.0.0.1", served.smtp_port, "mail.contoso.test", timeout=60) as talk:

        def sent(raw: bytes) -> tuple[int, bytes]:
            talk.ehlo_or_helo_if_needed()
            assert talk.mail("ana@contoso.test")[0] == 250
            assert talk.rcpt("query@experts.test")[0] == 250
            return talk.data(raw)

        disk.fill(LARGE // 2)
        code, text = sent(raw)
        assert (code, text[:5]) == (452, b"4.3.1")
        assert sent(b"Subject: small\r\n\r\nx\r\n")[0] == 250, "the half that had been written is given back"
        disk.make_room()
        assert sent(raw)[0] == 250
    served.stop()


@in_a_loop
async def test_relayed_mail_whose_rest_cannot_be_queued_is_452_and_queued_once_when_it_comes_again(
    on_small_disk: Callable[..., Served], disk: SmallDisk
) -> None:
    async with scripted_hop(faults={"RCPT eve@customer.test": "451 4.2.1 later"}) as hop:
        served = on_small_disk(
            '[[routes.table]]\nrecipient = "*@customer.test"\nto = "relay"\n'
            f'next_hop = "127.0.0.1:{hop.port}"\nnext_hop_tls = "none"\n[relay]\nverify_recipients = false\n'
        )
        await asyncio.to_thread(served.start)

        async def sent() -> str:
            async with client(served.smtp_port) as talk:
                await talk.ehlo()
                assert (await talk.ask("MAIL FROM:<ana@contoso.test>")).startswith("250")
                for name in ("bob", "eve"):
                    assert (await talk.ask(f"RCPT TO:<{name}@customer.test>")).startswith("250")
                assert (await talk.ask("DATA")).startswith("354")
                return await talk.data(mail("x" * 70 + "\r\n" + "Hello.\r\n" * 3_000))

        disk.fill(0)
        answers = [await sent() for _ in range(3)]
        disk.make_room()
        answers.append(await sent())
        assert [answer[:9] for answer in answers] == ["452 4.3.1"] * 3 + ["250 2.0.0"]
        assert len(hop.taken) == 4, "who gets it gets it again rather than never"
        waiting = await asyncio.to_thread(served.json, "outbox", "list")
        assert [one["rcpt_to"] for one in waiting if "eve" in one["rcpt_to"]] == ["eve@customer.test"]
