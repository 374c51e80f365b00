"""What waits for its next hop: released from hold or refused for some, sent by the queue, and its failure told."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from outbound.compose import Office
from outbound.delivery import Handover
from outbound.dispatch import Signer
from outbound.model import DeliveryState, Failure, Letterhead, MailKind, RelayedMail, Reply, SelfCheck, Sender
from outbound.store import queue_relayed
from outbound.template_files import load_templates
from outbound.worker import OutboundWorker
from smtp_gateway.next_hop import HopTls, NextHop, read_next_hop
from smtp_gateway.next_hop_session import Times
from smtp_gateway.relay_fields import Border, UnfitError
from smtp_gateway.relay_release import release_to_next_hop
from smtp_gateway.relay_transport import RelayTransport
from smtp_gateway.route_policy import Action, RoutePolicy
from tests.outbound.conftest import Answering
from tests.proofs.served import free_port
from tests.smtp_gateway.scripted_hop import HOST, in_a_loop, scripted_hop
from tests.smtp_gateway.test_relay_gateway import BOB, MIXED, outbox, relaying
from tests.smtp_gateway.world import HOSTNAME, REPLIES, client, message, now, signed
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.writer import Writer

FAST = Times(connect=2, command=2, end=2, total=6.0, quit=0.2)
HOLDING = RoutePolicy(on_no_claim=Action.HOLD, on_forged=Action.HOLD)
BORDER = Border(HOSTNAME, HOSTNAME)
SENDER = Sender("Defender Experts", "defender-experts@experts.test", "experts.test", "s1")


async def genuine(_raw: bytes) -> SelfCheck:
    return SelfCheck(genuine=True, verdict="genuine")


async def worked(world, key, hop: NextHop | None, at=None, other=None):
    """Let the queue do what is due; returns what the other transport was given."""
    writer = Writer(world.database)
    other = other or Answering()
    letterhead = Letterhead(
        SENDER, "Experts", "verify@experts.test", "query@experts.test", "reply.experts.test"
    )
    worker = OutboundWorker(
        writer=writer, database=world.database,
        office=Office(letterhead, load_templates(), REPLIES.mint, HOSTNAME),
        transport=RelayTransport(other, HOSTNAME, lambda _rcpt: hop, FAST),
        signer=Signer(SENDER, key), check=genuine, clock=at or now, jitter=lambda: 0.0,
    )  # fmt: skip
    running = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(30):
            while any(  # noqa: ASYNC110 - what the worker does is seen in the record only
                item.state in {DeliveryState.QUEUED, DeliveryState.LEASED} for item in outbox(world)
            ) or (any(order.state == "ordered" for order in world.orders())):
                await asyncio.sleep(0.01)
    finally:
        worker.stop()
        await running
        await asyncio.to_thread(writer.close)
    return other.given


def release(world, copy_id, hop: NextHop):
    with world.database.writing() as conn:
        return release_to_next_hop(conn, copy_id, hop, BORDER, now(), by="ana")


@in_a_loop
async def test_a_held_message_is_released_to_its_next_hop_with_its_verdict_as_it_was(tmp_path, key) -> None:
    forged = signed(message(author="Defender Experts <help@stranger.test>"), key, "stranger.test")
    async with scripted_hop() as hop, relaying(tmp_path, key, hop, HOLDING) as world:
        at = NextHop(HOST, hop.port, HopTls.NONE)
        assert (await world.send(forged, BOB, "a@stranger.test")).startswith("250")
        (held,) = world.copies()
        release(world, held.id, at)
        (copy,) = world.copies()
        assert (copy.disposition.value, copy.released_by, copy.verdict) == ("relayed", "ana", "forged")
        with pytest.raises(RefusedRecord):
            release(world, held.id, at)
        await worked(world, key, at)
        (taken,) = hop.taken
        assert taken.raw.endswith(forged)
        ours = taken.raw.removesuffix(forged)
        assert ours.startswith(b"X-Expertmail-Verdict: forged;\r\n\treasons=")
        assert f"id={held.id}".encode() in ours
        assert b"dkim=pass" in ours
        assert ours.count(b"Received: ") == 1
        assert [(item.kind, item.state) for item in outbox(world)] == [
            (MailKind.RELAYED, DeliveryState.DELIVERED)
        ]


@in_a_loop
async def test_what_does_not_wait_or_is_not_there_is_not_released(tmp_path, key) -> None:
    async with scripted_hop() as hop, relaying(tmp_path, key, hop) as world:
        with pytest.raises(UnknownRecord):
            release(world, "nothing", NextHop(HOST, hop.port))


@in_a_loop
async def test_a_held_message_with_a_bare_lf_stays_where_it_is(tmp_path, key) -> None:
    raw = message() + b"bare\nline\r\n"
    async with scripted_hop() as hop, relaying(tmp_path, key, hop, HOLDING) as world:
        async with client(world.server.port) as talk:
            await talk.ehlo()
            await talk.ask("MAIL FROM:<alex@contoso.test>")
            await talk.ask(f"RCPT TO:<{BOB}>")
            talk.send(b"BDAT %d LAST\r\n" % len(raw) + raw)
            said = await talk.reply()
        if said.startswith("250"):  # held, for that is no relaying
            (held,) = world.copies()
            with pytest.raises(UnfitError):
                release(world, held.id, NextHop(HOST, hop.port))
            assert world.copies() == (held,)
        else:
            assert said.startswith("550 5.6.0")
        assert hop.taken == []


@in_a_loop
async def test_who_was_refused_of_several_is_tried_once_more_and_told_of(tmp_path, key) -> None:
    raw = signed(message(), key)
    async with scripted_hop(faults=MIXED) as hop, relaying(tmp_path, key, hop) as world:
        at = NextHop(HOST, hop.port, HopTls.NONE)
        await world.send(raw, [BOB, "no@customer.test", "full@customer.test"])
        given = await worked(world, key, at)
        states = {item.rcpt_to: item.state for item in outbox(world)}
        assert states == {
            "no@customer.test": DeliveryState.FAILED,
            "full@customer.test": DeliveryState.DEFERRED,
            "alex@contoso.test": DeliveryState.DELIVERED,
        }
        (told,) = given
        assert (told.mail_from, told.rcpt_to) == ("", "alex@contoso.test")
        assert b"Final-Recipient: rfc822; no@customer.test\r\nAction: failed\r\nStatus: 5.1.1\r\n" in told.raw
        assert b"Reporting-MTA: dns; mx.experts.test\r\n" in told.raw
        assert b"Hello" not in told.raw
        assert b"who" not in told.raw.partition(b"\r\n\r\n")[2]
        hop.faults = {}
        with world.database.writing() as conn:
            conn.exec_driver_sql("UPDATE deliveries SET state = 'queued' WHERE state = 'deferred'")
        await worked(world, key, at, at=lambda: now() + timedelta(minutes=10))
        assert [taken.recipients for taken in hop.taken] == [[BOB], ["full@customer.test"]]
        assert hop.taken[0].raw == hop.taken[1].raw


MAIL = RelayedMail("k", message(), "alex@contoso.test", BOB, f"{HOST} 1 none", None)
FAULTS = [
    ({}, None),
    ({"end": "451 4.7.1 later"}, Failure.REFUSED_FOR_NOW),
    ({"end": "550 5.7.1 no"}, Failure.REFUSED),
    ({"RCPT": "550 5.1.1 who"}, Failure.REFUSED),
    ({"RCPT": "530 5.7.0 log in"}, Failure.REFUSED_FOR_NOW),
    ({"greeting": "554 5.7.1 go away"}, Failure.REFUSED_FOR_NOW),
    ({"DATA": "drop"}, Failure.CONNECTION),
    ({"end": "stall"}, Failure.TIMEOUT),
    ({"end": "drop"}, Failure.CONNECTION),
    ({"end": "what"}, Failure.PROTOCOL),
    ({"MAIL": "what"}, Failure.PROTOCOL),
]


@pytest.mark.parametrize(("faults", "wanted"), FAULTS)
@in_a_loop
async def test_the_queue_knows_what_each_answer_of_the_next_hop_means(tmp_path, key, faults, wanted) -> None:
    async with scripted_hop(faults=faults) as hop, relaying(tmp_path, key, hop) as world:
        with world.database.writing() as conn:
            queue_relayed(conn, MAIL, now())
        await worked(world, key, NextHop(HOST, hop.port, HopTls.NONE))
        with world.database.reading() as conn:
            found = conn.exec_driver_sql("SELECT failure FROM attempts").scalars().all()
            twice = conn.exec_driver_sql("SELECT maybe_twice FROM deliveries").scalars().all()
        assert found == [None if wanted is None else wanted.value]
        assert twice == [faults.get("end") in {"stall", "drop", "what"}]
        assert bool(hop.taken) is (wanted is None)


@in_a_loop
async def test_queued_mail_follows_its_route_and_else_goes_where_it_was_queued_for(tmp_path, key) -> None:
    async with scripted_hop() as hop:
        from dataclasses import replace

        from outbound.model import Delivery

        other = Answering()
        mail = Delivery(1, message(), "m", "a@b.test", BOB, now(), 1, checked=True)
        nowhere = f"{HOST} {free_port()} none"
        now_here = RelayTransport(other, HOSTNAME, lambda _rcpt: NextHop(HOST, hop.port, HopTls.NONE), FAST)
        assert (await now_here.deliver(replace(mail, next_hop=nowhere))).failure is None
        no_route = RelayTransport(other, HOSTNAME, lambda _rcpt: None, FAST)
        assert (await no_route.deliver(replace(mail, next_hop=nowhere))).failure is Failure.CONNECTION
        assert (await no_route.deliver(replace(mail, next_hop="what is this"))).failure is Failure.LOCAL
        assert (await no_route.deliver(mail)) == Handover("mx", Reply(250, "taken"), begun=True)
        assert [given.next_hop for given in other.given] == [None]
        bad = replace(mail, raw=message() + b"bare\n", next_hop=f"{HOST} {hop.port} none")
        assert (await no_route.deliver(bad)).failure is Failure.REFUSED
        assert len(hop.taken) == 1


@pytest.mark.parametrize(
    "hop", [NextHop("mail.customer.test", 25, HopTls.REQUIRED), NextHop("2001:db8::1", 2525)]
)
def test_a_next_hop_is_read_as_it_was_written(hop) -> None:
    assert read_next_hop(hop.written) == hop


@pytest.mark.parametrize("text", ["", "a", "a b none", "a 25", "a 25 maybe", "a 25 none more"])
def test_what_is_no_next_hop_is_not_read(text) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - several kinds of wrong
        read_next_hop(text)


@in_a_loop
@pytest.mark.parametrize("report", ["{", "null", "[]", '{"reasons": []}', '{"spf": 1, "reasons": []}'])
async def test_a_message_whose_verdict_cannot_be_read_is_not_passed_on_and_waits_on(
    tmp_path, key, report
) -> None:
    async with scripted_hop() as hop, relaying(tmp_path, key, hop, HOLDING) as world:
        await world.send(signed(message(), key), BOB)
        (held,) = world.copies()
        with world.database.writing() as conn:
            conn.exec_driver_sql("UPDATE evidence SET report = ?", (report,))
        with pytest.raises(RefusedRecord, match="cannot be read"):
            release(world, held.id, NextHop(HOST, hop.port))
        assert world.copies() == (held,)
        assert outbox(world) == ()
