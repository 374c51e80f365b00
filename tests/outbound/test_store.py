from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.dialects import postgresql

from outbound.compose import compose, stamp
from outbound.model import (
    Attempt,
    AutomaticCaps,
    DeliveryState,
    Failure,
    MailKind,
    OrderOutcome,
    OrderState,
    Reply,
    SelfCheck,
)
from outbound.orders import acknowledgement
from outbound.retry import decide
from outbound.store import (
    LEASE,
    RECHECK,
    RECHECK_FOR,
    cancel,
    close_order,
    count_outbox,
    lease_due,
    list_outbox,
    next_orders,
    order_automatic,
    queue_outgoing,
    record_attempt,
    record_check,
    release,
    retry_now,
    show_outbox,
    work_waits,
)
from tests.outbound.conftest import NOW, REQUEST
from threads.model import Direction, EntryKind, Mark, State
from threads.schema import message_ids
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.prepared import Prepared
from threads.store.thread import thread_by_id, timeline_of

GENUINE = SelfCheck(genuine=True, verdict="genuine")
BAD = SelfCheck(
    genuine=False, verdict="unproven", reason="the TXT record s1._domainkey.experts.test is missing"
)
UNKNOWN = SelfCheck(genuine=False, verdict="unproven", reason="DNS gave no answer", temporary=True)


@pytest.fixture
def signed(office, record, signer):
    (mail,) = compose(
        MailKind.REQUEST_FOR_CONTEXT,
        office=office,
        thread=record.incident,
        contacts=[record.contact],
        variables=REQUEST,
        stamps=[stamp("t1", "experts.test", NOW)],
    )
    return signer.sign(mail, NOW)


@pytest.fixture
def do(record):
    def run(function, *args, **kwargs):
        with record.database.writing() as conn:
            return function(conn, *args, **kwargs)

    return run


@pytest.fixture
def queue(do, signed):
    def put(checked=GENUINE, key="k1", mail=signed):
        return do(queue_outgoing, mail, idempotency_key=key, actor="ana", checked=checked, now=NOW)

    return put


def order(record, key="o1", address="ana@contoso.test", at=NOW):
    return acknowledgement(
        thread_id=record.incident.id,
        contact_id=record.contact.id,
        address=address,
        idempotency_key=key,
        ordered_at=at,
    )


TAKEN = Reply(250, "2.0.0 taken")


def attempt(failure=None, reply=TAKEN, at=NOW):
    return Attempt(at, at, "mx.contoso.test", reply, failure, tls=True)


def after(delivery, made):
    return decide(
        attempts=delivery.attempts,
        failure=made.failure,
        reply=made.reply,
        created=delivery.created,
        now=made.finished,
        jitter=0.0,
    )


def state(do, number=1):
    return do(show_outbox, number).item.state


def test_a_queued_mail_is_on_the_timeline_and_its_message_id_finds_the_thread(do, queue, record, signed):
    queued = queue()
    entry, state = do(timeline_of, record.incident.id)[-2:]
    assert state.kind is EntryKind.STATE
    assert (entry.kind, entry.mark, entry.actor) == (EntryKind.MAIL_OUT, Mark.EXPERT, "ana")
    assert "Was this you?" in entry.text
    with record.database.reading() as conn:
        row = conn.execute(message_ids.select()).one()
    assert (row.message_id, row.thread_id, row.direction) == (
        "t1@experts.test",
        record.incident.id,
        Direction.OUT.value,
    )
    shown = do(show_outbox, queued.outgoing_id)
    assert shown.raw == signed.raw
    assert shown.sha256 == hashlib.sha256(signed.raw).hexdigest()


def test_one_key_queues_once(do, queue, record):
    first, second = queue(), queue()
    assert (first.duplicate, second.duplicate) == (False, True)
    assert first.outgoing_id == second.outgoing_id
    assert len(do(list_outbox)) == 1
    assert sum(e.kind is EntryKind.MAIL_OUT for e in do(timeline_of, record.incident.id)) == 1


def test_a_mail_that_is_not_genuine_is_withheld_and_never_leased(do, queue, record):
    queue(BAD)
    assert do(lease_due, NOW + timedelta(days=9), "w", 10) == ()
    item = do(list_outbox)[0]
    assert item.state is DeliveryState.WITHHELD
    assert "s1._domainkey.experts.test" in item.last_reply
    entries = do(timeline_of, record.incident.id)
    assert [e.kind for e in entries if e.message_id] == []
    assert entries[-1].text.startswith("Not sent to ana@contoso.test")


def test_a_withheld_mail_that_is_retried_has_to_be_judged_again(do, queue, record):
    queue(BAD)
    do(retry_now, 1, NOW)
    (leased,) = do(lease_due, NOW, "w", 10)
    assert not leased.checked
    do(record_check, 1, GENUINE, NOW)
    assert do(timeline_of, record.incident.id)[-2].kind is EntryKind.MAIL_OUT
    do(record_attempt, 1, "w", attempt(), after(leased, attempt()))
    assert state(do) is DeliveryState.DELIVERED


def test_a_mail_that_could_not_be_judged_waits_and_is_not_on_the_timeline(do, queue, record):
    queue(UNKNOWN)
    assert do(lease_due, NOW, "w", 10) == ()
    (leased,) = do(lease_due, NOW + RECHECK, "w", 10)
    assert not leased.checked
    assert all(e.kind is not EntryKind.MAIL_OUT for e in do(timeline_of, record.incident.id))


def test_a_request_lets_its_thread_await_the_customer_once_it_may_be_sent(do, queue, record):
    queue(UNKNOWN)
    assert do(thread_by_id, record.incident.id).state is not State.AWAITING_CUSTOMER
    do(lease_due, NOW + RECHECK, "w", 10)
    do(record_check, 1, GENUINE, NOW + RECHECK)
    assert do(thread_by_id, record.incident.id).state is State.AWAITING_CUSTOMER


def test_a_withheld_request_leaves_the_state_of_its_thread(do, queue, record):
    queue(BAD)
    assert do(thread_by_id, record.incident.id).state is record.incident.state


def test_judging_again_is_no_try_and_ends_after_a_day_with_a_note(do, queue, record):
    queue(UNKNOWN)
    at = NOW + RECHECK
    do(lease_due, at, "w", 10)
    assert do(record_check, 1, UNKNOWN, at).temporary
    item = do(list_outbox)[0]
    assert (item.state, item.attempts) == (DeliveryState.QUEUED, 0)
    at = NOW + RECHECK_FOR
    do(lease_due, at, "w", 10)
    assert do(record_check, 1, UNKNOWN, at).withheld
    item = do(list_outbox)[0]
    assert (item.state, item.attempts, item.next_attempt_at) == (DeliveryState.WITHHELD, 0, None)
    assert item.last_reply == "could not be judged for 24 hours: DNS gave no answer"
    last = do(timeline_of, record.incident.id)[-1]
    assert last.kind is EntryKind.NOTE
    assert "24 hours" in last.text
    assert do(lease_due, at + RECHECK, "w", 10) == ()


def test_a_lease_keeps_others_away_until_it_runs_out(do, queue):
    queue()
    (first,) = do(lease_due, NOW, "one", 10)
    assert do(lease_due, NOW, "two", 10) == ()
    assert do(lease_due, NOW + LEASE - timedelta(seconds=1), "two", 10) == ()
    (second,) = do(lease_due, NOW + LEASE, "two", 10)
    assert second.raw == first.raw
    assert (first.attempts, second.attempts) == (1, 2)


def test_a_worker_whose_lease_ran_out_cannot_defer_what_another_one_has(do, queue):
    queue()
    (first,) = do(lease_due, NOW, "one", 10)
    do(lease_due, NOW + LEASE, "two", 10)
    late = attempt(Failure.CONNECTION, Reply(0, "broke"))
    assert not do(record_attempt, 1, "one", late, after(first, late))
    assert state(do) is DeliveryState.LEASED


def test_a_delivery_is_a_fact_even_when_the_lease_ran_out(do, queue):
    queue()
    (first,) = do(lease_due, NOW, "one", 10)
    (second,) = do(lease_due, NOW + LEASE, "two", 10)
    assert do(record_attempt, 1, "one", attempt(), after(first, attempt()))
    refused = attempt(Failure.REFUSED, Reply(550, "duplicate"))
    assert not do(record_attempt, 1, "two", refused, after(second, refused))
    assert state(do) is DeliveryState.DELIVERED
    assert len(do(show_outbox, 1).attempts) == 2


def test_a_refusal_for_now_is_tried_again_and_a_final_one_is_told_on_the_timeline(do, queue, record):
    queue()
    (leased,) = do(lease_due, NOW, "w", 10)
    soft = attempt(Failure.REFUSED_FOR_NOW, Reply(450, "4.2.0 greylisted"))
    do(record_attempt, 1, "w", soft, after(leased, soft))
    item = do(list_outbox)[0]
    assert item.state is DeliveryState.DEFERRED
    assert item.last_reply == "450 4.2.0 greylisted"
    assert do(lease_due, NOW, "w", 10) == ()
    (leased,) = do(lease_due, item.next_attempt_at, "w", 10)
    hard = attempt(Failure.REFUSED, Reply(550, "5.1.1 nobody"), item.next_attempt_at)
    do(record_attempt, 1, "w", hard, after(leased, hard))
    assert state(do) is DeliveryState.FAILED
    assert "550 5.1.1 nobody" in do(timeline_of, record.incident.id)[-1].text


def test_a_lease_without_a_try_is_given_back_uncounted(do, queue):
    queue()
    do(lease_due, NOW, "w", 10)
    do(release, [1], "somebody else", NOW)
    assert state(do) is DeliveryState.LEASED
    do(release, [1], "w", NOW)
    (again,) = do(lease_due, NOW, "w", 10)
    assert again.attempts == 1


def test_what_is_being_sent_or_was_delivered_is_neither_retried_nor_cancelled(do, queue):
    queue()
    (leased,) = do(lease_due, NOW, "w", 10)
    for act in (lambda: do(retry_now, 1, NOW), lambda: do(cancel, 1, NOW, actor="ana")):
        with pytest.raises(RefusedRecord, match="being sent"):
            act()
    do(record_attempt, 1, "w", attempt(), after(leased, attempt()))
    for act in (lambda: do(retry_now, 1, NOW), lambda: do(cancel, 1, NOW, actor="ana")):
        with pytest.raises(RefusedRecord, match="delivered already"):
            act()


def test_a_cancelled_mail_is_not_sent(do, queue, record):
    queue()
    do(cancel, 1, NOW, actor="ana")
    assert do(lease_due, NOW + LEASE, "w", 10) == ()
    assert do(list_outbox)[0].last_reply == "cancelled by ana"
    assert "cancelled by ana" in do(timeline_of, record.incident.id)[-1].text


def test_an_unknown_number_is_told(do):
    for function in (
        show_outbox,
        lambda c, n: retry_now(c, n, NOW),
        lambda c, n: cancel(c, n, NOW, actor="a"),
    ):
        with pytest.raises(UnknownRecord, match="7"):
            do(function, 7)


def test_the_outbox_is_listed_by_state_and_thread_and_counted(do, queue, record, signed):
    queue()
    other = replace(signed, rendered=replace(signed.rendered, message_id="<t2@experts.test>", thread_id=None))
    queue(BAD, "k2", other)
    assert [i.outgoing_id for i in do(list_outbox)] == [2, 1]
    assert [i.outgoing_id for i in do(list_outbox, state=DeliveryState.WITHHELD)] == [2]
    assert [i.outgoing_id for i in do(list_outbox, thread_id=record.incident.id)] == [1]
    counts = do(count_outbox)
    assert (counts[DeliveryState.QUEUED], counts[DeliveryState.WITHHELD], counts[DeliveryState.FAILED]) == (
        1,
        1,
        0,
    )


def test_whether_work_waits_is_known_without_a_lock(do, queue):
    assert not do(work_waits, NOW)
    queue()
    assert do(work_waits, NOW)
    do(lease_due, NOW, "w", 10)
    assert not do(work_waits, NOW + LEASE - timedelta(seconds=1))
    assert do(work_waits, NOW + LEASE)


def test_an_order_is_taken_once_leased_and_closed(do, record):
    assert do(order_automatic, order(record)) is OrderOutcome.ORDERED
    assert do(order_automatic, order(record)) is OrderOutcome.DUPLICATE
    (leased,) = do(next_orders, NOW, "w", 10)
    assert leased.order == order(record)
    assert do(next_orders, NOW, "other", 10) == ()
    (again,) = do(next_orders, NOW + LEASE, "other", 10)
    do(close_order, again.order_id, OrderState.REFUSED, reason="x")
    assert do(next_orders, NOW + 3 * LEASE, "w", 10) == ()
    assert not do(work_waits, NOW + 3 * LEASE)


def test_automatic_mail_is_capped_per_address_and_domain_and_day(do, record):
    caps = AutomaticCaps(per_address=2, per_domain=3)

    def outcome(key, address, at=NOW):
        return do(order_automatic, order(record, key, address, at), caps)

    assert outcome("1", "ana@contoso.test") is OrderOutcome.ORDERED
    assert outcome("2", "ANA@contoso.test") is OrderOutcome.ORDERED
    assert outcome("3", "ana@contoso.test") is OrderOutcome.CAPPED
    assert outcome("3", "ana@contoso.test") is OrderOutcome.DUPLICATE
    assert outcome("4", "bob@contoso.test") is OrderOutcome.ORDERED
    assert outcome("5", "cyd@contoso.test") is OrderOutcome.CAPPED
    assert outcome("6", "dan@other.test") is OrderOutcome.ORDERED
    assert outcome("7", "ana@contoso.test", NOW + timedelta(days=1)) is OrderOutcome.ORDERED
    assert len(do(next_orders, NOW + timedelta(days=1), "w", 10)) == 5


@pytest.mark.parametrize("kind", [one for one in MailKind if one.automatic and one is not MailKind.REMINDER])
def test_reminders_and_other_automatic_mail_use_up_nothing_of_each_others_caps(do, record, kind):
    of_reminders, of_others = AutomaticCaps(per_address=5, per_domain=8), AutomaticCaps(per_address=2, per_domain=3)

    def outcomes(kind, caps, who, number):
        orders = [replace(order(record, f"{kind} {who} {n}", f"{who}@contoso.test"), kind=kind) for n in range(number)]
        return [do(order_automatic, one, caps) for one in orders].count(OrderOutcome.ORDERED)

    assert outcomes(MailKind.REMINDER, of_reminders, "ana", 4) == 4
    assert outcomes(kind, of_others, "ana", 4) == 2
    assert outcomes(MailKind.REMINDER, of_reminders, "ANA", 4) == 1
    assert outcomes(MailKind.REMINDER, of_reminders, "bob", 4) == 3
    assert outcomes(kind, of_others, "bob", 4) == 1
    assert outcomes(kind, of_others, "cyd", 1) == 0
    assert outcomes(MailKind.REMINDER, of_reminders, "cyd", 1) == 0


def heard(said):
    """``Prepared.one`` that notes the counts it makes."""
    one = Prepared.one

    def hear(self, conn, given):
        found = one(self, conn, given)
        ready = self._ready[conn.dialect.name]
        if ready.text.startswith("SELECT count"):
            said.append((ready.text, ready.values(given)))
        return found

    return hear


def test_orders_that_were_capped_are_not_looked_at_when_orders_are_counted(do, record):
    caps = AutomaticCaps(per_address=2, per_domain=3)
    for number in range(5):
        do(order_automatic, order(record, str(number), "ana@contoso.test", NOW), caps)

    def plans(conn):
        said = []

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Prepared, "one", heard(said))
            order_automatic(conn, order(record, "more", "ana@contoso.test", NOW), AutomaticCaps(9, 9))
        return [
            row.detail
            for statement, parameters in said
            for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            if "automatic_orders" in row.detail
        ]

    (by_address, by_domain) = do(plans)
    assert "INDEX ix_automatic_orders_address_key_ordered_at (address_key=? AND ordered_at" in by_address
    assert "INDEX ix_automatic_orders_domain_key_ordered_at (domain_key=? AND ordered_at" in by_domain

    def indexed(conn):
        query = "SELECT sql FROM sqlite_master WHERE name LIKE 'ix_automatic_orders_%_key_ordered_at'"
        return conn.exec_driver_sql(query).scalars().all()

    assert all(sql.endswith("WHERE state != 'capped'") for sql in do(indexed))


@pytest.mark.parametrize("state", ["capped", "composed"])
def test_what_an_order_costs_does_not_grow_with_the_orders_of_the_day(do, record, state):
    """Counted in steps of SQLite's machine: the same on every computer."""
    columns = "kind, address, address_key, domain_key, params, ordered_at, reason"

    def steps(conn, number):
        taken = 0

        def count():
            nonlocal taken
            taken += 1

        conn.connection.driver_connection.set_progress_handler(count, 1)
        order_automatic(conn, order(record, f"measured {number}"))
        conn.connection.driver_connection.set_progress_handler(None, 1)
        return taken

    do(order_automatic, order(record, "first"))
    seen = []
    for number in (1_000, 50_000):
        do(
            lambda conn, number=number: conn.exec_driver_sql(
                f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number})"
                f" INSERT INTO automatic_orders (idempotency_key, state, {columns})"
                f" SELECT '{number}:' || i, '{state}', {columns} FROM automatic_orders, n WHERE id = 1"
            )
        )
        seen.append(do(steps, number))
    assert 50 < seen[0] < 5_000
    assert seen[1] < seen[0] * 1.2


def test_on_postgresql_leases_skip_what_another_node_is_leasing(record):
    """SQLite has no row locks and leaves the words out; here only the statement is looked at."""
    said = []

    class Spy:
        def execute(self, statement):
            said.append(str(statement.compile(dialect=postgresql.dialect())))
            raise LookupError

    for lease in (lease_due, next_orders):
        with pytest.raises(LookupError):
            lease(Spy(), NOW, "w", 5)
    assert all("FOR UPDATE SKIP LOCKED" in one for one in said)
    assert len(said) == 2
