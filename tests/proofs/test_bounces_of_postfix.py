"""A real Postfix returns mail of ours: what it says of it reaches the thread of exactly that mail."""

from __future__ import annotations

import asyncio
import os
import shutil
import smtplib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from outbound.mail_event import MailEvent
from outbound.schema import outgoing
from outbound.sign import SigningKey
from tests.proofs.served import free_port
from tests.smtp_gateway.conftest import key
from tests.smtp_gateway.test_machine_mail import Asked, asked
from threads.model import MessageKind

__all__ = ["key"]
ARRIVAL_SECONDS = 60
NOBODY = 65_534


class Postfix:
    """One of our own that knows bob, nobody at gone.test, and cannot reach late.test for now."""

    def __init__(self, program: str, gateway_port: int) -> None:
        self.program = program
        self.port = free_port()
        self.base = Path(f"/tmp/pb{os.getpid()}")  # short enough for sockets
        self.conf = self.base / "conf"
        for name in ("conf", "spool", "data", "boxes"):
            (self.base / name).mkdir(parents=True)
        self.base.chmod(0o755)
        shutil.chown(self.base / "data", "postfix")
        os.chown(self.base / "boxes", NOBODY, NOBODY)
        (self.conf / "main.cf").write_text(
            f"""compatibility_level = 3.6
queue_directory = {self.base}/spool
data_directory = {self.base}/data
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.customer.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = customer.test
virtual_mailbox_base = {self.base}/boxes
virtual_mailbox_maps = inline:{{ {{ bob@customer.test = bob/ }} }}
virtual_uid_maps = static:{NOBODY}
virtual_gid_maps = static:{NOBODY}
transport_maps = inline:{{
    {{ gone.test = error:5.1.1 no such user }}
    {{ late.test = retry:4.4.1 it does not answer }}
    {{ reply.experts.test = smtp:[127.0.0.1]:{gateway_port} }} }}
alias_maps =
smtpd_peername_lookup = no
smtpd_reject_unlisted_recipient = no
smtp_tls_security_level = none
delay_warning_time = 1s
minimal_backoff_time = 1s
queue_run_delay = 1s
maillog_file = {self.base}/log
maillog_file_prefixes = {self.base}
"""
        )
        (self.conf / "master.cf").write_text(
            f"127.0.0.1:{self.port} inet n - n - - smtpd\n"
            "pickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n"
            "tlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\n"
            "defer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\nsmtp unix - - n - - smtp\n"
            "virtual unix - n n - - virtual\nerror unix - - n - - error\nretry unix - - n - - error\n"
            "anvil unix - - n - 1 anvil\nproxymap unix - - n - - proxymap\nscache unix - - n - 1 scache\n"
            "postlog unix-dgram n - n - 1 postlogd\n"
        )
        self._run("start")

    def _run(self, word: str) -> None:
        subprocess.run([self.program, "-c", str(self.conf), word], check=False, capture_output=True, timeout=60)

    def take(self, raw: bytes, mail_from: str, recipient: str) -> None:
        with smtplib.SMTP("127.0.0.1", self.port, "mx.experts.test", timeout=60) as talk:
            talk.ehlo()
            assert talk.mail(mail_from, ["RET=HDRS"])[0] == 250
            assert talk.rcpt(recipient, ["NOTIFY=SUCCESS,FAILURE,DELAY"])[0] == 250
            assert talk.data(raw)[0] == 250

    def stop(self) -> None:
        self._run("stop")
        shutil.rmtree(self.base)


@pytest.fixture
def postfix(program: Callable[[str], str]) -> Iterator[Callable[[int], Postfix]]:
    """Starts one that knows the way to a gateway's port."""
    path = program("postfix")
    if os.geteuid() != 0:
        pytest.skip("Postfix starts as root only")
    started: list[Postfix] = []

    def start(gateway_port: int) -> Postfix:
        started.append(Postfix(path, gateway_port))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def events(one: Asked, count: int) -> tuple[MailEvent, ...]:
    """Wait until so much is known."""
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while len(found := one.events()) < count and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def test_what_postfix_says_of_our_mail_is_an_event_of_that_mail(
    tmp_path: Path, key: SigningKey, postfix: Callable[[int], Postfix]
) -> None:
    async def scenario() -> None:
        async with asked(tmp_path, key) as one:
            server = await asyncio.to_thread(postfix, one.world.server.port)
            with one.world.database.reading() as conn:
                mail = conn.execute(select(outgoing)).one()
            told = []
            for count, recipient in enumerate(("alex@gone.test", "alex@late.test", "bob@customer.test"), 1):
                await asyncio.to_thread(server.take, bytes(mail.raw), mail.mail_from, recipient)
                found = await asyncio.to_thread(events, one, count)
                assert len(found) == count, (server.base / "log").read_text()[-3000:]
                told.append(found[-1])
            assert [(event.kind, event.recipient, event.status) for event in told] == [
                (MessageKind.BOUNCE, "alex@gone.test", "5.1.1"),
                (MessageKind.DELAY, "alex@late.test", "4.4.1"),
                (MessageKind.DELIVERED, "bob@customer.test", "2.0.0"),
            ]
            assert {event.outgoing_id for event in told} == {mail.id}
            assert {event.contact_id for event in told} == {one.world.alex.id}
            assert [alarm.event for alarm in one.alarms()] == [told[0]]
            assert one.words() == []
            assert one.world.orders() == []

    asyncio.run(scenario())
