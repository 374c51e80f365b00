"""A gateway before other servers: what its clients hear is what became of the message at the next hop."""

from __future__ import annotations

import asyncio
import json
import random
import time
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import dkim
import pytest

from outbound.model import MailKind
from outbound.sign import dns_record
from outbound.store import list_outbox
from smtp_gateway import relay as relay_module
from smtp_gateway.next_hop import HopTls, NextHop
from smtp_gateway.next_hop_session import Times, hand_over
from smtp_gateway.recipient_check import RecipientCheck, asks_next_hop
from smtp_gateway.relay import Relay
from smtp_gateway.relay_fields import Border
from smtp_gateway.route_kind import RouteKind
from smtp_gateway.route_policy import Action, RoutePolicy
from smtp_gateway.route_table import Row
from tests.smtp_gateway.scripted_hop import HOST, Hop, in_a_loop, scripted_hop
from tests.smtp_gateway.world import HOSTNAME, World, client, message, signed, whole_gateway
from threads import store
from threads.store.errors import StorageFull, StoreUnavailable
from threads.store.relayed import drop_old_relayed, list_relayed, relayed_message
from verifier.message import read_message

FAST = Times(connect=0.7, command=0.7, end=0.7, total=3.0, quit=0.2)
PATIENT = Times(connect=10, command=10, end=20, total=40, quit=1)
"""For what must not depend on how busy the machine is."""
RELAYING = RoutePolicy(on_forged=Action.REJECT)
BOB = "bob@customer.test"


@asynccontextmanager
async def relaying(
    folder: Path, key, hop: Hop, policy: RoutePolicy = RELAYING, *, check=False, times=PATIENT, **more: Any
):
    """A gateway whose route for customer.test leads to the scripted hop."""

    async def hand(mail, hop, hostname):
        return await hand_over(mail, hop, hostname, times)

    at = NextHop(HOST, hop.port, HopTls.NONE)
    table = (Row("*@customer.test", RouteKind.RELAY, policy, at),)
    asked = RecipientCheck(asks_next_hop(HOSTNAME), asyncio.get_running_loop().time) if check else None
    async with whole_gateway(
        folder, key, table=table, check=asked,
        relay=lambda writer: Relay(Border(HOSTNAME, HOSTNAME), writer, hand=hand, check=asked), **more,
    ) as world:  # fmt: skip
        yield world


def outbox(world: World):
    with world.database.reading() as conn:
        return list_outbox(conn)


def relayed(world: World):
    with world.database.reading() as conn:
        return list_relayed(conn)


def kept_bytes(world: World) -> int:
    with world.database.reading() as conn:
        return conn.exec_driver_sql("SELECT count(*) FROM raw_messages").scalar_one()


@in_a_loop
async def test_a_message_is_at_the_next_hop_before_our_client_hears_250(tmp_path, key, monkeypatch) -> None:
    monkeypatch.setattr(dkim, "time", time)  # the gateway signs and judges by the machine's clock
    raw = signed(message(), key)
    async with scripted_hop() as hop, relaying(tmp_path, key, hop) as world:
        said = await world.send(raw, BOB)
        assert said.startswith("250 2.0.0 OK ")
        (taken,) = hop.taken
        assert taken.raw.endswith(raw)
        assert dkim.verify(taken.raw, dnsfunc=lambda *_, **_more: dns_record(key).encode())
        assert taken.mail.startswith("MAIL FROM:<alex@contoso.test>")
        ours = taken.raw.removesuffix(raw)
        identifier = said.split()[-1]
        assert f"id={identifier}".encode() in ours
        assert b"dkim=pass" in ours
        assert b"spf=pass" in ours
        assert b"dmarc=pass" in ours
        (kept,) = relayed(world)
        assert (kept.id, kept.recipients, kept.verdict, kept.marked) == (
            identifier,
            (BOB,),
            "no-claim",
            False,
        )
        assert kept.answer == "end: 250 2.0.0 queued as 4711"
        assert json.loads(kept.report)["dkim"][0]["result"] == "pass"
        assert (world.copies(), kept_bytes(world), outbox(world)) == ((), 0, ())
        with world.database.reading() as conn:
            assert relayed_message(conn, identifier) == kept
            assert drop_old_relayed(conn, kept.received_at) == 0


@in_a_loop
async def test_a_record_goes_when_it_is_too_old(tmp_path, key, monkeypatch) -> None:
    monkeypatch.setattr(relay_module, "DROP_EVERY", timedelta(0))
    async with scripted_hop() as hop, relaying(tmp_path, key, hop) as world:
        await world.send(message("1\r\n"), BOB)
        await world.send(message("2\r\n"), BOB)
        with world.database.writing() as conn:
            first = relayed(world)[-1].id
            old = "UPDATE relayed_messages SET received_at = '2026-01-01 00:00:00.000000' WHERE id = ?"
            conn.exec_driver_sql(old, (first,))
        await world.send(message("3\r\n"), BOB)
        assert first not in {kept.id for kept in relayed(world)}
        assert len(relayed(world)) == 2


REPLIES = [
    ({"end": "451 4.7.1 come back"}, "451 4.7.1 The next server put this off"),
    ({"end": "421 4.3.2 bye"}, "451 4.3.2"),
    ({"end": "550 5.7.1 spam, see http://evil.test"}, "550 5.7.1 Refused by the next server"),
    ({"end": "552 5.2.2 full"}, "552 5.2.2"),
    ({"DATA": "450 4.3.2 no"}, "450 4.3.2"),
    ({"DATA": "drop"}, "451 4.4.2"),
    ({"end": "drop"}, "451 4.4.2"),
    ({"end": "stall"}, "451 4.4.2"),
    ({"MAIL": "550 5.1.8 whose"}, "550 5.1.8"),
    ({"MAIL": "drop"}, "451 4.4.2"),
    ({"RCPT": "550 5.1.1 who"}, "550 5.1.1"),
    ({"RCPT": "450 4.2.1 busy"}, "450 4.2.1"),
    ({"EHLO": "drop"}, "451 4.4.2"),
    ({"greeting": "554 5.7.1 go away"}, "451 4.3.5"),
    ({"greeting": "stall"}, "451 4.4.2"),
    ({"greeting": "drop"}, "451 4.4.2"),
]


@pytest.mark.parametrize(("faults", "wanted"), REPLIES)
@in_a_loop
async def test_what_the_next_hop_says_is_what_our_client_hears_and_nothing_stays_behind(
    tmp_path, key, faults, wanted
) -> None:
    times = FAST if "stall" in faults.values() else PATIENT
    async with scripted_hop(faults=faults) as hop, relaying(tmp_path, key, hop, times=times) as world:
        said = await world.send(signed(message(), key), BOB)
        assert said.startswith(wanted)
        assert "evil" not in said
        assert (hop.taken, world.copies(), relayed(world), outbox(world)) == ([], (), (), ())


@in_a_loop
async def test_nobody_at_the_next_hop_is_451_and_the_session_goes_on(tmp_path, key) -> None:
    async with scripted_hop() as hop:
        gone = hop.port
    async with relaying(tmp_path, key, Hop(port=gone)) as world, client(world.server.port) as talk:
        await talk.begin(rcpt=BOB)
        assert (await talk.data(message())).startswith("451 4.4.1")
        await talk.begin(rcpt=BOB)
        assert (await talk.data(message())).startswith("451 4.4.1")


# -- recipients -----------------------------------------------------------------------------------------
@in_a_loop
async def test_an_unknown_recipient_is_refused_at_rcpt_and_is_asked_for_once(tmp_path, key) -> None:
    faults = {"RCPT no@customer.test": "550 5.1.1 who"}
    async with scripted_hop(faults=faults) as hop, relaying(tmp_path, key, hop, check=True) as world:
        for _ in range(3):
            assert (await world.send(message(), "no@customer.test")).startswith("550 5.1.1 Refused")
        assert sum("no@customer.test" in command for command in hop.commands) == 1
        assert (await world.send(message(), [BOB])).startswith("250")


@in_a_loop
async def test_recipients_of_two_next_hops_do_not_share_a_transaction(tmp_path, key) -> None:
    async with (
        scripted_hop() as hop,
        relaying(tmp_path, key, hop) as world,
        client(world.server.port) as talk,
    ):
        await talk.ehlo()
        await talk.ask("MAIL FROM:<alex@contoso.test>")
        assert (await talk.ask(f"RCPT TO:<{BOB}>")).startswith("250")
        assert (await talk.ask("RCPT TO:<query@experts.test>")).startswith("452 4.5.3")
        assert (await talk.ask("RCPT TO:<eve@elsewhere.test>")).startswith("550 5.7.1")


MIXED = {"RCPT no@customer.test": "550 5.1.1 who", "RCPT full@customer.test": "452 4.2.2 full"}


@in_a_loop
async def test_of_several_recipients_those_the_hop_refuses_are_queued_before_our_250(tmp_path, key) -> None:
    raw = signed(message(), key)
    async with scripted_hop(faults=MIXED) as hop, relaying(tmp_path, key, hop) as world:
        said = await world.send(raw, [BOB, "no@customer.test", "full@customer.test"])
        assert said.startswith("250")
        assert [taken.recipients for taken in hop.taken] == [[BOB]]
        queued = {item.rcpt_to: item.kind for item in outbox(world)}
        assert queued == dict.fromkeys(("no@customer.test", "full@customer.test"), MailKind.RELAYED)
        with world.database.reading() as conn:
            rows = conn.exec_driver_sql("SELECT raw, dsn_to, next_hop FROM outgoing").all()
        assert {row.dsn_to for row in rows} == {"alex@contoso.test"}
        assert all(bytes(row.raw) == hop.taken[0].raw for row in rows)
        assert {row.next_hop for row in rows} == {f"127.0.0.1 {hop.port} none"}


@pytest.mark.parametrize(
    ("mail_from", "extra"),
    [
        ("", ""),
        ("alex@silent.test", ""),  # SPF says nothing for it
        ("alex@contoso.test", "Auto-Submitted: auto-generated\r\n"),
        ("alex@contoso.test", "List-Id: <l.contoso.test>\r\n"),
        ("alex@contoso.test", "Precedence: bulk\r\n"),
    ],
)
@in_a_loop
async def test_nobody_is_to_be_told_of_a_failure_whom_a_notification_might_hit_unasked(
    tmp_path, key, mail_from, extra
) -> None:
    async with scripted_hop(faults=MIXED) as hop, relaying(tmp_path, key, hop) as world:
        said = await world.send(signed(message(extra=extra), key), [BOB, "no@customer.test"], mail_from)
        assert said.startswith("250")
        with world.database.reading() as conn:
            assert conn.exec_driver_sql("SELECT dsn_to FROM outgoing").scalars().all() == [None]


# -- our own record fails -------------------------------------------------------------------------------
class Failing:
    """A writer that fails when a relayed message is recorded."""

    def __init__(self, writer: Any, error: Exception) -> None:
        self.writer, self.error = writer, error

    async def submit(self, work, **more):
        if getattr(work, "func", None) is relay_module._record:
            raise self.error
        return await self.writer.submit(work, **more)


@pytest.mark.parametrize(
    "error", [StorageFull("full"), StoreUnavailable("locked"), RuntimeError("a fault of ours")]
)
@in_a_loop
async def test_a_record_that_cannot_be_written_neither_loses_nor_doubles_mail(tmp_path, key, error) -> None:
    wrap = {"wrap_writer": lambda writer: Failing(writer, error)}
    async with scripted_hop(faults=MIXED) as hop, relaying(tmp_path, key, hop, **wrap) as world:
        assert (await world.send(message(), BOB)).startswith("250")
        assert len(hop.taken) == 1
        # Somebody would get nothing: the client keeps it.
        said = await world.send(message(), [BOB, "no@customer.test"])
        assert said.startswith(("451 4.3.0", "452 4.3.1"))


class Late(Failing):
    """A writer whose database is locked when a relayed message is recorded."""

    async def submit(self, work, **more):
        if getattr(work, "func", None) is relay_module._record:
            await asyncio.sleep(30)
        return await self.writer.submit(work, **more)


@in_a_loop
async def test_a_record_that_is_late_keeps_no_client_waiting(tmp_path, key, monkeypatch) -> None:
    monkeypatch.setattr(relay_module, "RECORD_SECONDS", 0.1)
    wrap = {"wrap_writer": lambda writer: Late(writer, StoreUnavailable("locked"))}
    async with scripted_hop() as hop, relaying(tmp_path, key, hop, **wrap) as world:
        started = time.monotonic()
        assert (await world.send(message(), BOB)).startswith("250")
        assert time.monotonic() - started < 15
        assert len(hop.taken) == 1


# -- what a route does ----------------------------------------------------------------------------------
FORGED = message(author="Defender Experts <help@stranger.test>")


@in_a_loop
async def test_each_action_of_a_route_is_carried_out(tmp_path, key) -> None:
    raw = message(author="a@stranger.test")
    for action, wanted in {
        Action.ACCEPT: "250", Action.TAG: "250", Action.HOLD: "250", Action.DEFER: "451", Action.REJECT: "550",
    }.items():  # fmt: skip
        folder = tmp_path / action.value
        folder.mkdir()
        policy = RoutePolicy(on_no_claim=action)
        async with scripted_hop() as hop, relaying(folder, key, hop, policy) as world:
            assert (await world.send(raw, BOB, "a@stranger.test")).startswith(wanted)
            assert len(hop.taken) == (action in {Action.ACCEPT, Action.TAG})
            held = [copy.disposition.value for copy in world.copies()]
            assert held == (["held"] if action is Action.HOLD else [])
            if action is Action.TAG:
                assert b"X-Expertmail-Flag: YES\r\n" in hop.taken[0].raw
                assert relayed(world)[0].marked
            if action is Action.HOLD:
                assert world.raw(world.copies()[0].id) == raw


@in_a_loop
async def test_a_forgery_that_only_one_reason_speaks_against_is_held_and_not_passed_on(tmp_path, key) -> None:
    async with scripted_hop() as hop, relaying(tmp_path, key, hop) as world:
        assert (await world.send(signed(FORGED, key, "stranger.test"), BOB, "a@stranger.test")).startswith(
            "250"
        )
        assert hop.taken == []
        (copy,) = world.copies()
        assert (copy.disposition.value, copy.verdict) == ("held", "forged")


# -- smuggling and loops --------------------------------------------------------------------------------
ENDS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r.\r",
    b"\r\n.\n",
    b"\r.\r\n",
    b"\r\n.\r\r\n",
    b"\n.\r",
    b"\0\r\n.\r\n",
    b"\r\n\0.\r\n",
]
SMUGGLED = (
    b"MAIL FROM:<a@stranger.test>\r\nRCPT TO:<victim@customer.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx"
)


@pytest.mark.parametrize("end", ENDS)
@in_a_loop
async def test_no_end_of_data_variant_gets_a_second_message_to_the_next_hop(tmp_path, key, end) -> None:
    async with (
        scripted_hop() as hop,
        relaying(tmp_path, key, hop) as world,
        client(world.server.port) as talk,
    ):
        await talk.begin(rcpt=BOB)
        talk.send(message() + end + SMUGGLED + b"\r\n.\r\n")
        said = await talk.reply()
        assert said.startswith("550 5.6.0")
        assert (hop.taken, relayed(world), world.copies()) == ([], (), ())


@in_a_loop
async def test_a_bare_lf_that_bdat_may_bring_is_never_relayed(tmp_path, key) -> None:
    for body in (b"bare\nline\r\n", b"\n.\nMAIL FROM:<a@b.test>\r\n", b"x\n.\r\nMAIL"):
        raw = message() + body
        async with scripted_hop() as hop:
            folder = tmp_path / str(len(body))
            folder.mkdir()
            async with relaying(folder, key, hop) as world, client(world.server.port) as talk:
                await talk.ehlo()
                await talk.ask("MAIL FROM:<alex@contoso.test>")
                await talk.ask(f"RCPT TO:<{BOB}>")
                talk.send(b"BDAT %d LAST\r\n" % len(raw) + raw)
                assert (await talk.reply()).startswith("550 5.6.0")
                assert (hop.taken, hop.connections) == ([], 0)


@in_a_loop
async def test_mail_that_goes_round_is_cut(tmp_path, key) -> None:
    async with scripted_hop() as hop, relaying(tmp_path, key, hop) as world:
        raw = message()
        for _ in range(3):
            assert (await world.send(raw, BOB)).startswith("250")
            raw = hop.taken[-1].raw
        assert (await world.send(raw, BOB)).startswith("554 5.4.6")
        assert len(hop.taken) == 3


@in_a_loop
async def test_forged_fields_do_not_reach_the_next_hop(tmp_path, key) -> None:
    forged = f"Authentication-Results: {HOSTNAME}; dkim=pass header.d=bank.test\r\nX-Expertmail-Verdict: genuine\r\n"
    async with scripted_hop() as hop, relaying(tmp_path, key, hop) as world:
        assert (await world.send(forged.encode() + message(), BOB)).startswith("250")
        out = hop.taken[0].raw
        assert out.endswith(message())
        assert b"bank.test" not in out
        assert len(read_message(out).named(b"x-expertmail-verdict")) == 1


# -- in numbers -----------------------------------------------------------------------------------------
@in_a_loop
async def test_a_large_message_of_all_octets_arrives_as_it_is_while_others_are_served(tmp_path, key) -> None:
    body = random.Random(1).randbytes(3_000_000)
    for octet in (b"\0", b"\r", b"\n"):
        body = body.replace(octet, b"x")
    body = b"\r\n".join(body[at : at + 900] for at in range(0, len(body), 900)) + b"\r\n.\r\n..\r\n"
    raw = message().removesuffix(b"Hello.\r\n") + body
    async with scripted_hop() as hop, relaying(tmp_path, key, hop) as world:
        big, *small = await asyncio.gather(
            world.send(raw, BOB), *(world.send(message(f"{n}\r\n"), BOB) for n in range(30))
        )
        assert {said[:3] for said in (big, *small)} == {"250"}
        assert sum(taken.raw.endswith(raw) for taken in hop.taken) == 1
        assert len(relayed(world)) == len(hop.taken) == 31


@in_a_loop
async def test_dialogues_with_the_next_hop_are_bounded_and_who_waits_too_long_is_put_off(
    tmp_path, key, monkeypatch
) -> None:
    monkeypatch.setattr(relay_module, "PLACES", 2)
    monkeypatch.setattr(relay_module, "WAIT_SECONDS", 0.2)
    async with (
        scripted_hop(faults={"end": "stall"}) as hop,
        relaying(tmp_path, key, hop, times=FAST) as world,
    ):
        said = await asyncio.gather(*(world.send(message(f"{n}\r\n"), BOB) for n in range(5)))
        assert sorted({word[:9] for word in said}) == ["451 4.4.2", "451 4.4.5"]
        assert hop.connections == 2


@in_a_loop
async def test_a_next_hop_that_stalls_holds_up_no_mail_for_another(tmp_path, key, monkeypatch) -> None:
    monkeypatch.setattr(relay_module, "PLACES", 1)
    async with AsyncExitStack() as stalling, scripted_hop() as alive:
        dead = await stalling.enter_async_context(scripted_hop(faults={"end": "stall"}))
        table = tuple(
            Row(f"*@{domain}", RouteKind.RELAY, RELAYING, NextHop(HOST, hop.port, HopTls.NONE))
            for domain, hop in (("dead.test", dead), ("alive.test", alive))
        )
        async with whole_gateway(
            tmp_path, key, table=table, relay=lambda writer: Relay(Border(HOSTNAME, HOSTNAME), writer)
        ) as world:
            stalled = asyncio.create_task(world.send(message(), "a@dead.test"))
            while not dead.connections:  # noqa: ASYNC110 - the hop counts, and tells nobody
                await asyncio.sleep(0.01)
            async with asyncio.timeout(10):
                sending = (world.send(message(f"{n}\r\n"), "b@alive.test") for n in range(5))
                said = await asyncio.gather(*sending)
            assert {word[:3] for word in said} == {"250"}
            assert not stalled.done()
            await stalling.aclose()
            assert (await stalled).startswith("451 4.4.2")


def test_the_record_is_upgraded_and_found_sound(tmp_path) -> None:
    database = store.open_database(f"sqlite:///{tmp_path / 'record.db'}")
    store.upgrade(database)
    assert store.check(database) == ()
    database.close()
