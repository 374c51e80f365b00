from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update

from outbound import worker as worker_module
from outbound.delivery import Handover
from outbound.file_delivery import FileTransport
from outbound.model import DeliveryState, Failure, Finding, OrderState, Reply, SelfCheck
from outbound.orders import verdict_report
from outbound.retry import MAX_AGE
from outbound.schema import automatic_orders
from outbound.store import (
    LEASE,
    lease_due,
    order_automatic,
    retry_now,
    show_outbox,
)
from outbound.worker import ORDER_AGE, EventKind
from tests.outbound.conftest import NOW, Answering, always_genuine
from threads.model import EntryKind, Mark

LATER = Handover("mx", Reply(450, "greylisted"), Failure.REFUSED_FOR_NOW, begun=True)


def test_an_order_becomes_one_delivered_mail_on_the_timeline(world):
    world.acknowledge()
    world.work()
    (given,) = world.transport.given
    assert given.rcpt_to == "ana@contoso.test"
    assert given.raw.startswith(b"DKIM-Signature:")
    assert world.outbox()[0].state is DeliveryState.DELIVERED
    assert world.orders()[0].state == OrderState.COMPOSED.value
    entry = world.timeline()[-1]
    assert (entry.kind, entry.mark) == (EntryKind.MAIL_OUT, Mark.AUTOMATION)
    assert [event.kind for event in world.events] == [EventKind.COMPOSED, EventKind.ATTEMPTED]


def test_the_same_order_twice_is_one_mail(world):
    world.acknowledge()
    world.acknowledge()
    world.work()
    world.acknowledge()
    world.work()
    assert len(world.transport.given) == 1


def test_a_report_without_a_thread_goes_out_with_the_empty_path(world, record):
    order = verdict_report(
        contact_id=record.contact.id,
        address="ana@contoso.test",
        findings=[Finding("forged", "operated", "evil.test", ("dmarc-fail",))],
        idempotency_key="v",
        ordered_at=NOW,
    )
    world.write(order_automatic, order)
    world.work()
    (given,) = world.transport.given
    assert given.mail_from == ""
    assert b"Auto-Submitted: auto-replied" in given.raw


def test_an_order_that_cannot_be_composed_is_refused_and_the_others_go_on(world):
    world.acknowledge("bad", address="not plain@contoso.test", contact_id=None)
    world.acknowledge("good")
    world.work()
    assert [row.state for row in world.orders()] == [OrderState.REFUSED.value, OrderState.COMPOSED.value]
    assert "plain" in world.orders()[0].reason
    assert len(world.transport.given) == 1


def test_an_order_that_cannot_be_read_is_refused_and_the_others_go_on(world):
    world.acknowledge("bad")
    world.acknowledge("good")
    world.write(
        lambda conn: conn.execute(
            update(automatic_orders).where(automatic_orders.c.id == 1).values(params="{", lease_until=None)
        )
    )
    world.work()
    assert [row.state for row in world.orders()] == [OrderState.REFUSED.value, OrderState.COMPOSED.value]
    assert world.orders()[0].reason == "its row in the database cannot be read (JSONDecodeError)"
    assert world.events[0].kind is EventKind.REFUSED
    assert len(world.transport.given) == 1


def test_an_order_that_fails_in_a_way_nobody_knows_is_tried_for_a_day_and_then_refused(world):
    async def broken(_raw):
        raise ZeroDivisionError

    world.check = broken
    world.acknowledge()
    world.work()
    assert world.orders()[0].state == OrderState.ORDERED.value
    assert [event.kind for event in world.events] == [EventKind.FAULT]
    world.clock.now += ORDER_AGE
    world.work()
    (row,) = world.orders()
    assert (row.state, row.reason) == (OrderState.REFUSED.value, "composing it failed: ZeroDivisionError")
    assert [event.kind for event in world.events][1:] == [EventKind.FAULT, EventKind.REFUSED]
    world.clock.now += LEASE
    world.work()
    assert len(world.events) == 3


def test_a_retry_sends_the_same_bytes_at_the_scheduled_time(world):
    raw = world.queue()
    world.transport = Answering(LATER)
    world.work()
    item = world.outbox()[0]
    assert (item.state, item.attempts) == (DeliveryState.DEFERRED, 1)
    world.work()
    assert len(world.transport.given) == 1
    world.clock.now = item.next_attempt_at
    world.work()
    assert [given.raw for given in world.transport.given] == [raw, raw]
    assert world.outbox()[0].state is DeliveryState.DELIVERED


def test_a_mail_that_our_verifier_does_not_call_genuine_stays_until_the_record_is_repaired(world):
    async def wrong(_raw):
        return SelfCheck(genuine=False, verdict="unproven", reason="the TXT record s1._domainkey… is missing")

    world.check = wrong
    world.acknowledge()
    world.work()
    assert world.transport.given == []
    assert world.outbox()[0].state is DeliveryState.WITHHELD
    assert world.events[-1].kind is EventKind.WITHHELD
    world.write(retry_now, 1, NOW)
    world.work()
    assert world.transport.given == []
    assert world.outbox()[0].state is DeliveryState.WITHHELD
    world.check = always_genuine
    world.write(retry_now, 1, NOW)
    world.work()
    assert len(world.transport.given) == 1
    assert world.outbox()[0].state is DeliveryState.DELIVERED


def test_a_mail_that_could_not_be_judged_is_judged_again_by_itself(world):
    async def unknown(_raw):
        return SelfCheck(genuine=False, verdict="unproven", reason="no answer", temporary=True)

    world.check = unknown
    world.acknowledge()
    world.work()
    assert world.transport.given == []
    world.check = always_genuine
    world.clock.now += timedelta(minutes=2)
    world.work()
    assert world.outbox()[0].state is DeliveryState.DELIVERED


def test_a_crash_between_sending_and_recording_sends_the_same_bytes_again_when_the_lease_ends(world):
    """The at-least-once window: the next server took the mail, and we died before we could write that down."""
    raw = world.queue()
    (leased,) = world.write(lease_due, NOW, "the dead worker", 10)
    asyncio.run(world.transport.deliver(leased))
    world.work()
    assert len(world.transport.given) == 1
    world.clock.now += LEASE
    world.work()
    assert [given.raw for given in world.transport.given] == [raw, raw]
    assert world.outbox()[0].attempts == 2


def test_a_broken_transport_stops_nothing_else(world):
    world.queue("t1")
    world.queue("t2")
    world.transport = Answering(RuntimeError("secret text"))
    world.work()
    states = sorted(item.state for item in world.outbox())
    assert states == [DeliveryState.DEFERRED, DeliveryState.DELIVERED]
    fault = next(event for event in world.events if event.kind is EventKind.FAULT)
    assert fault.detail == "RuntimeError"


def test_a_mail_that_fails_in_a_way_nobody_knows_is_given_up_one_day(world):
    world.queue()
    world.transport = Answering(RuntimeError("secret text"), RuntimeError("secret text"))
    world.work()
    assert world.outbox()[0].state is DeliveryState.DEFERRED
    world.clock.now += MAX_AGE
    world.work()
    item = world.outbox()[0]
    assert item.state is DeliveryState.EXPIRED
    assert item.last_reply.endswith("local: a fault of ours: RuntimeError")


def test_two_workers_share_the_work(world):
    for number in range(12):
        world.queue(f"t{number}")

    world.work("a", "b")
    ids = [given.outgoing_id for given in world.transport.given]
    assert sorted(ids) == list(range(1, 13))


def test_a_running_worker_is_woken_and_stops_when_its_work_has_ended(world):
    async def scenario():
        worker = world.worker()
        running = asyncio.create_task(worker.run())
        await asyncio.sleep(0.05)
        await asyncio.to_thread(world.acknowledge)
        worker.wake()
        async with asyncio.timeout(5):
            while not world.transport.given:  # noqa: ASYNC110 -- the transport is told by nobody
                await asyncio.sleep(0.01)
        worker.stop()
        await asyncio.wait_for(running, 5)

    asyncio.run(scenario())
    assert world.outbox()[0].state is DeliveryState.DELIVERED


class Slow:
    """A way out that takes a mail when it is told to."""

    def __init__(self):
        self.given = []
        self.closed = False
        self.go_on = asyncio.Event()

    async def deliver(self, delivery):
        self.given.append(delivery)
        await self.go_on.wait()
        return Handover("mx.contoso.test", Reply(250, "taken"))

    async def close(self):
        self.closed = True


@pytest.mark.parametrize("end", ["retire", "stop", "retire, then stop", "cancel"])
def test_a_worker_that_retires_cuts_no_try_off_and_begins_none(world, monkeypatch, end):
    monkeypatch.setattr(worker_module, "GRACE_SECONDS", 0.05)
    world.queue("first")

    async def scenario():
        world.transport = slow = Slow()
        worker = world.worker()
        running = asyncio.create_task(worker.run())
        async with asyncio.timeout(5):
            while not slow.given:  # noqa: ASYNC110 -- the transport is told by nobody
                await asyncio.sleep(0.01)
        if end == "cancel":
            running.cancel()
        elif end == "stop":
            worker.stop()
        else:
            worker.retire()
            await asyncio.to_thread(world.queue, "second")
            worker.wake()
            await asyncio.sleep(0.3)
            assert not running.done()
            assert not slow.closed
            worker.stop() if end == "retire, then stop" else slow.go_on.set()
        await asyncio.wait_for(asyncio.gather(running, return_exceptions=True), 5)
        assert slow.closed
        return [one.outgoing_id for one in slow.given]

    assert asyncio.run(scenario()) == [1]
    ended = DeliveryState.DELIVERED if end == "retire" else DeliveryState.LEASED
    assert {one.outgoing_id: one.state for one in world.outbox()}[1] is ended


def test_files_hold_the_signed_bytes(world, tmp_path):
    raw = world.queue()
    world.transport = FileTransport(tmp_path / "outbox")
    world.work()
    assert (tmp_path / "outbox" / "1.eml").read_bytes() == raw
    assert world.write(show_outbox, 1).attempts[0].reply.code == 250
