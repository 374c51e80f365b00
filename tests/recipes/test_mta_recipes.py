"""The set-ups of docs/admin-mta.md, with a real Postfix and a real Exim: what is written there works."""

from __future__ import annotations

import re
import smtplib
import sqlite3
import time
from collections.abc import Callable
from email import message_from_bytes, policy

import dkim
import pytest

from tests.proofs.test_relay_to_postfix import BODIES, HEAD
from tests.recipes.conftest import Pair, signed
from tests.recipes.mta import arrived, client

TAKEN_SECONDS = 60
OPERATED = {"reply.experts.example": "reply.experts.test", "experts.example": "experts.test"}
QUESTION = (
    b"From: Alice <alice@contoso.test>\r\nTo: %s\r\nDate: Thu, 26 Nov 2026 09:00:00 +0000\r\n"
    b"Message-ID: <%s@contoso.test>\r\nSubject: Is this yours?\r\n\r\nWe saw \xe4 sign-in.\r\n.\r\n..x\r\n"
)


def send(port: int, raw: bytes, recipient: str) -> None:
    """Hand a message over from outside; raises what smtplib raises where it is refused."""
    with client(port) as talk:
        talk.ehlo()
        talk.sendmail("alice@contoso.test", [recipient], raw, mail_options=["BODY=8BITMIME"])


def taken(pair: Pair, count: int) -> list[sqlite3.Row]:
    """What the gateway has stored, oldest first, once there is so much."""
    deadline = time.monotonic() + TAKEN_SECONDS
    while True:
        with sqlite3.connect(pair.gateway.database) as database:
            database.row_factory = sqlite3.Row
            rows = database.execute(
                "SELECT raw, rcpt_to, disposition, standing, verdict, trace FROM messages"
                " JOIN raw_messages USING (sha256) ORDER BY received_at"
            ).fetchall()
        if len(rows) >= count:
            return rows
        assert time.monotonic() < deadline, pair.mta.log()[-3000:] + pair.gateway.log.read_text()[-3000:]
        time.sleep(0.2)


def refused(port: int, recipient: str) -> tuple[int, bytes]:
    """What a client from outside hears at RCPT."""
    with client(port) as talk:
        talk.ehlo()
        talk.mail("alice@contoso.test")
        return talk.rcpt(recipient)


def knows_alice(pair: Pair) -> None:
    pair.gateway.run("contacts", "add", "alice@contoso.test", "--name", "Alice", "--org", "Contoso",
                     "--domain", "contoso.test")  # fmt: skip


def asked(pair: Pair) -> tuple[str, str]:
    """Send an expert's request through the mail server to Alice; the incident, and the address to answer to."""
    opened = pair.gateway.run("incidents", "open", "--org", "Contoso", "--title", "Odd sign-ins")
    found = re.search(r"INC-\d{6}", opened)
    assert found, opened
    pair.gateway.run("compose", "request", found.group(), "--to", "alice@contoso.test", "--question", "Yours?")
    # The other one is the confirmation of her question.
    (mail,) = (one for one in arrived(pair.mta, "alice", 2) if found.group().encode() in one)
    records = {one["name"] + ".": one["text"] for one in pair.gateway.json("dns", "show")}
    assert dkim.verify(mail, dnsfunc=lambda name, **_: records[name.decode()].encode()), mail
    message = message_from_bytes(mail, policy=policy.default)
    return found.group(), message["Reply-To"].addresses[0].addr_spec


def wait_for_filed(pair: Pair, raw: bytes, count: int) -> None:
    """The newest is the message as it was sent, below what the server put on top, and is filed as Alice's own."""
    row = taken(pair, count)[-1]
    assert row["raw"].endswith(raw)
    added = row["raw"].removesuffix(raw)
    assert added.startswith(b"Received: from ")
    assert added.count(b"\r\n") == added.count(b"\r\n\t") + added.count(b"\r\n ") + 1, added
    assert "dkim=pass" in row["trace"]
    assert "dmarc=pass" in row["trace"]
    assert (row["disposition"], row["standing"]) == ("filed", "contact")


def test_a_gateway_in_front_relays_unchanged_and_nobody_goes_round_it(pair: Callable[..., Pair]) -> None:
    both = pair("relay", "example.com", {})
    for number, (name, body) in enumerate(BODIES.items(), 1):
        raw = HEAD + body
        send(both.gateway.smtp_port, raw, "bob@example.com")
        stored = arrived(both.mta, "bob", number)[-1]
        assert stored.endswith(raw), name
        assert b"\r\nX-Expertmail-Verdict: no-claim;" in stored.removesuffix(raw), name
        assert b"\r\nARC-Seal: " in stored.removesuffix(raw), name
    assert refused(both.gateway.smtp_port, "no.such.user@example.com")[0] == 550
    with pytest.raises(smtplib.SMTPException) as heard:
        send(both.mta.port, HEAD + BODIES["plain"], "bob@example.com")
    assert re.search(r"\b5[05][04]\b", str(heard.value)), heard.value
    assert len(arrived(both.mta, "bob")) == len(BODIES)


def test_many_messages_at_once_pass_without_waiting_for_a_queue_run(pair: Callable[..., Pair]) -> None:
    both = pair("relay", "example.com", {})
    with client(both.gateway.smtp_port) as talk:
        for number in range(30):
            talk.sendmail("ana@contoso.test", ["bob@example.com"], HEAD + b"Subject: %d\r\n\r\nx\r\n" % number)
    begun = time.monotonic()
    assert len(arrived(both.mta, "bob", 30)) == 30
    assert time.monotonic() - begun < 20


def test_a_forgery_is_held_by_a_gateway_in_front(pair: Callable[..., Pair]) -> None:
    both = pair("relay", "example.com", {})
    send(both.gateway.smtp_port, HEAD.replace(b"Ana <", b"Defender Experts <") + BODIES["plain"], "bob@example.com")
    (held,) = both.gateway.json("held", "list")
    assert held["verdict"] == "forged"
    assert "Queued for bob@example.com" in both.gateway.run("held", "release", held["id"])
    (stored,) = arrived(both.mta, "bob")
    assert b"\r\nX-Expertmail-Verdict: forged;" in stored


def test_a_server_in_front_passes_on_what_is_signed_and_sends_what_the_experts_write(
    pair: Callable[..., Pair],
) -> None:
    both = pair("front", None, OPERATED)
    both.publish()
    knows_alice(both)
    raw = signed(QUESTION % (b"query@experts.test", b"1"))
    send(both.mta.port, raw, "query@experts.test")
    wait_for_filed(both, raw, 1)
    assert refused(both.mta.port, "no.such.user@experts.test")[0] == 550
    assert refused(both.mta.port, "guessed@reply.experts.test")[0] == 550
    assert refused(both.mta.port, "anybody@elsewhere.test")[0] in {454, 550}

    incident, address = asked(both)
    answer = signed(QUESTION % (address.encode(), b"2"))
    send(both.mta.port, answer, address)
    wait_for_filed(both, answer, 2)
    assert "We saw" in both.gateway.run("incidents", "show", incident)


def test_what_is_not_signed_is_held_behind_a_server_in_front(pair: Callable[..., Pair]) -> None:
    both = pair("front", None, OPERATED)
    knows_alice(both)
    raw = QUESTION % (b"query@experts.test", b"1")
    send(both.mta.port, raw, "query@experts.test")
    forged = raw.replace(b"Alice <", b"Defender Experts <").replace(b"<1@", b"<2@")
    send(both.mta.port, forged, "query@experts.test")
    rows = taken(both, 2)
    assert {(row["disposition"], row["verdict"]) for row in rows} == {("held", "no-claim"), ("held", "forged")}
    assert all("spf=fail" in row["trace"] for row in rows)


def test_a_few_addresses_go_to_the_gateway_and_the_rest_stays(pair: Callable[..., Pair]) -> None:
    both = pair("addresses", "example.com", {}, also="front")
    both.publish()
    knows_alice(both)
    raw = signed(QUESTION % (b"query@example.com", b"1"))
    send(both.mta.port, raw, "query@example.com")
    wait_for_filed(both, raw, 1)
    raw = QUESTION % (b"bob@example.com", b"2")
    send(both.mta.port, raw, "bob@example.com")
    (stored,) = arrived(both.mta, "bob")
    assert stored.endswith(raw)
    assert refused(both.mta.port, "no.such.user@example.com")[0] == 550
    assert refused(both.mta.port, "guessed@reply.example.com")[0] == 550
    assert len(taken(both, 1)) == 1

    incident, address = asked(both)
    assert address.endswith("@reply.example.com")
    answer = signed(QUESTION % (address.encode(), b"3"))
    send(both.mta.port, answer, address)
    wait_for_filed(both, answer, 2)
    assert "We saw" in both.gateway.run("incidents", "show", incident)
