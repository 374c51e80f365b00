"""A gateway before a real Postfix: what arrives there is what came in, to the octet, below our own fields."""

from __future__ import annotations

import os
import random
import re
import shutil
import smtplib
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dkim
import pytest

from tests.proofs.served import Served, free_port

ARRIVAL_SECONDS = 30
NOBODY = 65_534
HEAD = (
    b"Received: from x.test ([192.0.2.1]) by y.test; Wed, 25 Nov 2026 09:00:00 +0000\r\n"
    b"From: Ana <ana@contoso.test>\r\nTo: bob@customer.test\r\nDate: Wed, 25 Nov 2026 09:00:00 +0000\r\n"
)


def _bodies() -> dict[str, bytes]:
    octets = random.Random(4).randbytes(200_000).translate(None, b"\0\r\n")
    lines = b"\r\n".join(octets[at : at + 900] for at in range(0, len(octets), 900))
    return {
        "plain": b"Subject: plain\r\n\r\nHello.\r\n",
        "dots": b"Subject: dots\r\n\r\n.\r\n..\r\n...\r\n.x\r\nx.\r\n",
        "eight-bit": "Subject: Grüße\r\n\r\nÄÖÜ\r\n".encode() + lines + b"\r\n",
        "folded": b"Subject: folded\r\n\t and\r\n  more\r\nX-Blanks:   \t \r\nX-Empty:\r\n\r\n \t\r\nx  \r\n",
        "no-body": b"Subject: no body\r\n\r\n",
        "many-ends": b"Subject: ends\r\n\r\nx\r\n\r\n\r\n\r\n",
        "long-line": b"Subject: long\r\n\r\n" + b"y" * 5_000 + b"\r\nFrom here on\r\n",
        "large": b"Subject: large\r\n\r\n" + b"z" * 76 + b"\r\n" + (b"line of text\r\n" * 400_000),
    }


BODIES = _bodies()


@dataclass
class NextServer:
    """The Postfix behind: its port, and where it puts what it takes."""

    port: int
    base: Path

    def mails(self) -> list[bytes]:
        """What bob has, oldest first; Postfix stores lines with LF."""
        found = sorted(self.base.glob("boxes/bob/new/*"), key=lambda path: path.stat().st_mtime_ns)
        return [path.read_bytes().replace(b"\n", b"\r\n") for path in found]

    def arrived(self, count: int) -> list[bytes]:
        """Wait until there are so many."""
        deadline = time.monotonic() + ARRIVAL_SECONDS
        while len(found := self.mails()) < count and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(found) >= count, (self.base / "log").read_text()[-3000:]
        return found


@pytest.fixture
def postfix_behind(program: Callable[[str], str]) -> Iterator[NextServer]:
    """A Postfix of our own that takes mail for bob and nobody else."""
    path = program("postfix")
    if os.geteuid() != 0:
        pytest.skip("Postfix starts as root only")
    base = Path(
        f"/tmp/pn{os.getpid()}"
    )  # short enough for sockets, and in no folder that others may write to
    conf, spool, data, boxes = base / "conf", base / "spool", base / "data", base / "boxes"
    for folder in (conf, spool, data, boxes):
        folder.mkdir(parents=True)
    base.chmod(0o755)
    shutil.chown(data, "postfix")
    os.chown(boxes, NOBODY, NOBODY)
    # A gateway on another machine is no local client, for whom missing fields would be added.
    (conf / "main.cf").write_text(
        f"""compatibility_level = 3.6
queue_directory = {spool}
data_directory = {data}
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.customer.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
virtual_mailbox_domains = customer.test
virtual_mailbox_base = {boxes}
virtual_mailbox_maps = inline:{{ {{ bob@customer.test = bob/ }} }}
virtual_uid_maps = static:{NOBODY}
virtual_gid_maps = static:{NOBODY}
virtual_mailbox_limit = 0
message_size_limit = 40000000
mailbox_size_limit = 0
alias_maps =
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
local_header_rewrite_clients =
maillog_file = {base}/log
maillog_file_prefixes = {base}
"""
    )
    port = free_port()
    (conf / "master.cf").write_text(
        f"127.0.0.1:{port} inet n - n - - smtpd\n"
        "pickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n"
        "rewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\n"
        "trace unix - - n - 0 bounce\nvirtual unix - n n - - virtual\nerror unix - - n - - error\n"
        "retry unix - - n - - error\nanvil unix - - n - 1 anvil\nproxymap unix - - n - - proxymap\n"
        "postlog unix-dgram n - n - 1 postlogd\n"
    )
    subprocess.run([path, "-c", str(conf), "start"], check=True, capture_output=True, timeout=60)
    yield NextServer(port, base)
    subprocess.run([path, "-c", str(conf), "stop"], check=False, capture_output=True, timeout=60)
    shutil.rmtree(base)


@pytest.fixture(autouse=True)
def _the_seal_is_of_today(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway's process has the machine's clock, and so must dkimpy, whose own stands still in other tests."""
    monkeypatch.setattr(dkim, "time", time)


@pytest.fixture
def relaying(serve: Callable[..., Served], postfix_behind: NextServer) -> Served:
    """A gateway before it that seals, and holds forgeries."""
    served = serve(
        "[relay]\narc_seal = true\n"
        '[[routes.table]]\nrecipient = "*@customer.test"\nto = "relay"\n'
        f'next_hop = "127.0.0.1:{postfix_behind.port}"\nnext_hop_tls = "none"\non_forged = "hold"\n'
    )
    served.start()
    return served


def client_of(served: Served) -> smtplib.SMTP:
    return smtplib.SMTP("127.0.0.1", served.smtp_port, "mail.contoso.test", timeout=60)


def sent(served: Served, raw: bytes, recipient: str = "bob@customer.test") -> str:
    """Send by Python's own client; the id in our 250."""
    with client_of(served) as talk:
        talk.ehlo()
        assert talk.mail("ana@contoso.test", ["BODY=8BITMIME"])[0] == 250
        assert talk.rcpt(recipient)[0] == 250
        code, text = talk.data(raw)
        assert code == 250, text
        return text.decode().split()[-1]


def sealed_by(served: Served) -> dict[bytes, bytes]:
    """The key record that the gateway publishes."""
    records = {f"{one['name']}.".encode(): one["text"].encode() for one in served.json("dns", "show")}
    return {name: text for name, text in records.items() if b"_domainkey" in name}


def test_what_arrives_is_unchanged_below_our_fields_and_its_seal_holds(
    relaying: Served, postfix_behind: NextServer
) -> None:
    keys = sealed_by(relaying)
    assert keys
    for number, (name, body) in enumerate(BODIES.items(), 1):
        raw = HEAD + body
        identifier = sent(relaying, raw)
        stored = postfix_behind.arrived(number)[-1]
        assert stored.endswith(raw), name
        ours = stored.removesuffix(raw)
        theirs, found, trace = ours.partition(b"ARC-Seal: ")
        assert found, name
        assert [line.partition(b":")[0] for line in theirs.split(b"\r\n") if line[:1] not in {b"", b"\t", b" "}] == [
            b"Return-Path", b"X-Original-To", b"Delivered-To", b"Received",
        ]  # fmt: skip
        assert f"\r\n\tid={identifier}\r\nAuthentication-Results: ".encode() in trace
        verified = dkim.arc_verify(stored, dnsfunc=lambda name, **_: keys.get(name))[0]
        assert verified == b"pass", name
    listed = relaying.json("outbox", "relayed")
    assert len(listed) == len(BODIES)
    assert {one["answer"].partition(" ")[0] for one in listed} == {"end:"}
    assert relaying.json("outbox", "relayed", listed[0]["id"])["report"]["verdict"] == "no-claim"
    shown = relaying.run("outbox", "relayed", listed[0]["id"])
    assert listed[0]["sha256"] in shown
    assert "bob@customer.test" in relaying.run("outbox", "relayed")
    log = (postfix_behind.base / "log").read_text()
    assert not re.search(r"\b(fatal|panic|error):", log)


def test_what_postfix_refuses_our_client_is_refused(relaying: Served, postfix_behind: NextServer) -> None:
    with client_of(relaying) as talk:
        talk.ehlo()
        talk.mail("ana@contoso.test")
        code, text = talk.rcpt("nobody@customer.test")
        assert (code, text) == (550, b"5.1.1 Refused by the next server")
        code, text = talk.rcpt("bob@customer.test")
        assert code == 250
    assert postfix_behind.mails() == []


def test_a_held_forgery_is_released_from_the_command_line(
    relaying: Served, postfix_behind: NextServer
) -> None:
    raw = HEAD.replace(b"Ana <", b"Defender Experts <") + BODIES["plain"]
    identifier = sent(relaying, raw)
    (held,) = relaying.json("held", "list")
    assert (held["id"], held["verdict"]) == (identifier, "forged")
    assert postfix_behind.mails() == []
    assert "Queued for bob@customer.test" in relaying.run("held", "release", identifier)
    (stored,) = postfix_behind.arrived(1)
    assert stored.endswith(raw)
    assert b"\r\nX-Expertmail-Verdict: forged;\r\n" in stored
    assert dkim.arc_verify(stored, dnsfunc=lambda name, **_: sealed_by(relaying).get(name))[0] == b"pass"
    assert relaying.json("held", "list") == []
