"""No row of a table that the worker polls may stop its neighbours: it is put away, told, and shown to a person."""

from __future__ import annotations

import sqlite3

import pytest

from outbound.model import DeliveryState, OrderState
from outbound.store import cancel, count_outbox, list_orders, list_outbox, retry_now, show_outbox
from outbound.worker import ORDER_AGE, EventKind
from tests.outbound.conftest import NOW
from threads.store.errors import RefusedRecord, UnknownRecord

NOT_UTF8 = "CAST(x'66ff' AS TEXT)"
LONG_AGO = "'0'"  # sorts before every time and is none


def damage(record, statement):
    """Write past our own store, as a disk, an editor or an older program may."""
    with sqlite3.connect(record.database.path) as other:
        other.execute("PRAGMA foreign_keys = OFF")
        assert other.execute(statement).rowcount == 1
    other.close()


ORDERS = {
    "params": ["'{'", "'[]'", "'null'", "'1'", "x'00'", f"'{'[' * 100_000}'", NOT_UTF8],
    "kind": ["'love-letter'", "''", "x'00'", NOT_UTF8],
    "thread_id": ["999", "'x'", "1.5"],
    "contact_id": ["999", "'x'"],
    "address": ["x'00'", NOT_UTF8, "''", "'no address'"],
    "idempotency_key": ["x'00'", NOT_UTF8],
    "in_reply_to": ["x'00'", NOT_UTF8],
    "ordered_at": ["'yesterday'", "''", "5", "x'00'", "'9999-99-99 00:00:00.000000'", NOT_UTF8],
}


@pytest.mark.parametrize(("column", "value"), [(c, v) for c, values in ORDERS.items() for v in values])
def test_a_damaged_order_is_refused_and_its_neighbours_are_composed(world, record, column, value):
    for key in ("before", "damaged", "after"):
        world.acknowledge(key)
    damage(record, f"UPDATE automatic_orders SET {column} = {value} WHERE id = 2")
    world.work()
    assert len(world.transport.given) == 2
    shown = {item.order_id: item for item in world.write(list_orders)}
    assert [shown[n].state for n in (1, 3)] == [OrderState.COMPOSED.value] * 2
    with sqlite3.connect(record.database.path) as other:
        (state, reason) = other.execute("SELECT state, reason FROM automatic_orders WHERE id = 2").fetchone()
    other.close()
    assert state == OrderState.REFUSED.value
    assert reason
    assert shown[2].reason
    (told,) = [event for event in world.events if event.kind is EventKind.REFUSED]
    assert told.detail == f"order 2: {reason}"


@pytest.mark.parametrize("value", [LONG_AGO, "5", "x'00'"])
def test_a_damaged_lease_of_an_order_is_written_anew(world, record, value):
    world.acknowledge("damaged")
    world.acknowledge("good")
    damage(record, f"UPDATE automatic_orders SET lease_until = {value} WHERE id = 1")
    world.work()
    assert world.waits() is False
    assert len(world.transport.given) >= 1


def test_an_order_of_an_unknown_state_is_not_composed_and_is_shown(world, record):
    world.acknowledge("damaged")
    world.acknowledge("good")
    damage(record, "UPDATE automatic_orders SET state = 'sending' WHERE id = 1")
    world.work()
    assert len(world.transport.given) == 1
    assert [item.state for item in world.write(list_orders)] == ["composed", "sending"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE threads SET state = 'Asleep'",
        "UPDATE threads SET opened_at = 'yesterday'",
        "UPDATE contacts SET kind = 'foe'",
    ],
)
def test_an_order_whose_thread_or_contact_cannot_be_read_ends_in_a_refusal(world, record, statement):
    world.acknowledge()
    damage(record, statement)
    world.work()
    assert [event.kind for event in world.events] == [EventKind.FAULT]
    world.clock.now += ORDER_AGE
    world.work()
    assert world.write(list_orders)[0].state == OrderState.REFUSED.value


MAILS = {
    "outgoing": {
        "raw": ["'text'", "5"],
        "kind": ["'love-letter'", "x'00'", NOT_UTF8],
        "thread_id": ["999", "'x'"],
        "contact_id": ["'x'"],
        "rcpt_to": ["x'00'", NOT_UTF8],
        "mail_from": ["x'00'", NOT_UTF8],
        "template_version": ["'x'", "1.5"],
        "created_at": ["'yesterday'", "5", "x'00'", NOT_UTF8],
    },
    "deliveries": {
        "attempts": ["1.5", "x'00'"],
        "checked_at": ["'yesterday'", "5", NOT_UTF8],
        "next_attempt_at": [LONG_AGO, "5", "''"],
    },
}
# The lease writes these anew, so that nothing is left of the damage.
HEALED = {("deliveries", "next_attempt_at"), ("deliveries", "attempts", "x'00'")}


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [(t, c, v) for t, columns in MAILS.items() for c, values in columns.items() for v in values],
)
def test_a_damaged_mail_is_set_aside_and_its_neighbours_are_delivered(world, record, table, column, value):
    for token in ("t1", "t2", "t3"):
        world.queue(token)
    key = "id" if table == "outgoing" else "outgoing_id"
    damage(record, f"UPDATE {table} SET {column} = {value} WHERE {key} = 2")
    world.work()
    items = {item.outgoing_id: item for item in world.outbox()}
    assert [items[n].state for n in (1, 3)] == [DeliveryState.DELIVERED] * 2
    if {(table, column), (table, column, value)} & HEALED:
        assert items[2].state is DeliveryState.DELIVERED
        return
    assert len(world.transport.given) == 2
    assert items[2].state is DeliveryState.UNREADABLE
    assert "cannot be read" in items[2].last_reply
    assert [item.outgoing_id for item in world.write(list_outbox, state=DeliveryState.UNREADABLE)] == [2]
    assert world.write(count_outbox)[DeliveryState.UNREADABLE] == 1
    (told,) = [event for event in world.events if event.kind is EventKind.UNREADABLE]
    assert (told.outgoing_id, told.state) == (2, DeliveryState.UNREADABLE)


def test_a_delivery_without_its_mail_is_set_aside(world, record):
    world.queue("t1")
    world.queue("t2")
    damage(record, "DELETE FROM outgoing WHERE id = 1")
    world.work()
    assert [given.outgoing_id for given in world.transport.given] == [2]
    assert [item.state for item in world.outbox()] == [DeliveryState.DELIVERED, DeliveryState.UNREADABLE]


def test_a_delivery_of_an_unknown_state_is_shown_as_unreadable(world, record):
    world.queue("t1")
    world.queue("t2")
    damage(record, "UPDATE deliveries SET state = 'flying' WHERE outgoing_id = 1")
    world.work()
    assert [given.outgoing_id for given in world.transport.given] == [2]
    assert [item.outgoing_id for item in world.write(list_outbox, state=DeliveryState.UNREADABLE)] == [1]
    assert world.write(count_outbox)[DeliveryState.UNREADABLE] == 1


def test_a_mail_is_sent_after_its_row_was_corrected(world, record):
    raw = world.queue()
    damage(record, "UPDATE outgoing SET kind = 'love-letter'")
    world.work()
    damage(record, "UPDATE outgoing SET kind = 'request-for-context'")
    world.work()
    assert world.transport.given == []
    world.write(retry_now, 1, NOW)
    world.work()
    assert [given.raw for given in world.transport.given] == [raw]


@pytest.mark.parametrize("statement", ["SET rcpt_to = CAST(x'66ff' AS TEXT)", "SET created_at = 'yesterday'"])
def test_a_person_who_asks_for_a_damaged_mail_is_told_in_a_sentence(world, record, statement):
    world.queue()
    damage(record, f"UPDATE outgoing {statement}")
    for ask in (
        show_outbox,
        lambda conn, number: retry_now(conn, number, NOW),
        lambda conn, number: cancel(conn, number, NOW, actor="ana"),
    ):
        with pytest.raises(RefusedRecord, match="Outgoing mail 1 is not sent: its row"):
            world.write(ask, 1)
    damage(record, "UPDATE deliveries SET attempts = 1.5")
    with pytest.raises(UnknownRecord):
        world.write(show_outbox, 2)


def test_a_store_that_fails_in_an_unknown_way_does_not_end_the_delivery(world, monkeypatch):
    world.acknowledge()
    real, faults = world.worker, [ZeroDivisionError()]

    def worker(owner="w"):
        made = real(owner)
        look = made._work_waits

        def failing():
            made.wake()
            if faults:
                raise faults.pop()
            return look()

        monkeypatch.setattr(made, "_work_waits", failing)
        return made

    monkeypatch.setattr(world, "worker", worker, raising=False)
    world.work()
    assert [event.kind for event in world.events] == [
        EventKind.FAULT,
        EventKind.COMPOSED,
        EventKind.ATTEMPTED,
    ]
