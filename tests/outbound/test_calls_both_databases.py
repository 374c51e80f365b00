"""Break-glass and its calls on SQLite and PostgreSQL: several at one time, resolved meanwhile, merged, erased, and told by alerts."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from outbound.alerts import AlertKind, AlertRules
from outbound.call_sheet import Outcome
from outbound.schema import automatic_orders
from outbound.store.alerts import begin_alerts, order_alerts
from outbound.store.call_sheets import (
    ACTOR,
    due_to_tell,
    open_sheets,
    sheet_of,
    tell_of_call,
)
from outbound.store.calls import (
    begin_break_glass,
    record_call,
)
from tests.threads.both_engines import made_record, record_on_server, world_of_each  # fixtures
from tests.threads.conftest import AT, World
from tests.threads.test_postgresql import server  # the fixture
from threads.model import Contact, Severity, State, Thread
from threads.schema import break_glass, calls, timeline
from threads.store import Connection
from threads.store.circumstances import set_retention
from threads.store.erasure import erase_rest
from threads.store.errors import RefusedRecord
from threads.store.moving import merge_threads
from threads.store.people import add_contact, organisation
from threads.store.thread import open_incident, set_state, thread_by_id
from threads.store.thread_retention import empty_thread

__all__ = ["made_record", "record_on_server", "server", "world_of_each"]

AT_ONCE = 6
LATE = AT + timedelta(minutes=10)


@pytest.fixture
def ana(world: World) -> Contact:
    with world.database.writing() as conn:
        return add_contact(
            conn, world.incident.organisation_id, "a@calls.test", "Ana", AT, phone="+1 555 0100"
        )


@pytest.fixture
def thread(world: World, ana: Contact) -> Thread:
    with world.database.writing() as conn:
        return open_incident(conn, ana.organisation_id, "Ransomware", AT, severity=Severity.HIGH)


def together(world: World, *works: Callable[[Connection], object]) -> list[object]:
    """Each in a transaction of its own, at one time; what was refused is None."""

    def one(work: Callable[[Connection], object]) -> object:
        try:
            with world.database.writing() as conn:
                return work(conn)
        except RefusedRecord:
            return None

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(one, works))


def begun(world: World, thread: Thread) -> None:
    with world.database.writing() as conn:
        begin_break_glass(conn, thread, "it spreads", AT, by="eva")


def test_of_several_who_begin_it_one_does_and_of_several_who_tell_one_does(
    world: World, thread: Thread
) -> None:
    begin = [lambda conn: begin_break_glass(conn, thread, "it spreads", AT, by="eva")] * AT_ONCE
    assert len([one for one in together(world, *begin) if one is not None]) == 1
    tell = [lambda conn: tell_of_call(conn, thread.id, LATE)] * AT_ONCE
    assert len([one for one in together(world, *tell) if one is not None]) == 1
    with world.database.reading() as conn:
        assert conn.execute(select(func.count()).select_from(break_glass)).scalar() == 1
        notes = select(func.count()).where(timeline.c.actor == ACTOR)
        assert conn.execute(notes).scalar() == 1
        assert due_to_tell(conn, open_sheets(conn, LATE), LATE) == ()


def test_nobody_is_told_after_it_was_resolved_at_the_same_moment(world: World, ana: Contact) -> None:
    for number in range(10):
        with world.database.writing() as conn:
            one = open_incident(conn, ana.organisation_id, f"I{number}", AT, severity=Severity.HIGH)
            begin_break_glass(conn, one, "x", AT, by="eva")
        together(
            world,
            lambda conn, one=one: set_state(conn, one.id, State.RESOLVED, LATE, actor="eva"),
            lambda conn, one=one: tell_of_call(conn, one.id, LATE),
        )
        with world.database.reading() as conn:
            entries = conn.execute(
                select(timeline.c.id, timeline.c.actor, timeline.c.text)
                .where(timeline.c.thread_id == one.id)
                .order_by(timeline.c.id)
            ).all()
            resolved = next(row.id for row in entries if "-> Resolved" in row.text)
            assert all(row.id < resolved for row in entries if row.actor == ACTOR)
            assert sheet_of(conn, thread_by_id(conn, one.id), LATE).nobody == "it is resolved"


def test_an_alert_tells_of_a_call_that_is_due_still(world: World, thread: Thread, ana: Contact) -> None:
    rules = AlertRules(team=("team@experts.test",), tell=frozenset({AlertKind.BREAK_GLASS}), long=True)
    with world.database.writing() as conn:
        begin_alerts(conn, AT)
        other = open_incident(conn, ana.organisation_id, "Other", AT, severity=Severity.HIGH)
        for one in (thread, other):
            begin_break_glass(conn, one, "x", AT, by="eva")
            assert tell_of_call(conn, one.id, LATE) is not None
        record_call(conn, other, ana, Outcome.VOICEMAIL, "", LATE, by="eva")
        order_alerts(conn, rules, LATE)
        (order,) = conn.execute(select(automatic_orders)).all()
    assert thread.reference in str(order.params)
    assert other.reference not in str(order.params)
    assert "+1 555 0100" in str(order.params)


def test_the_content_of_a_resolved_thread_goes_with_its_calls_and_so_does_an_erased_customer(
    world: World, thread: Thread, ana: Contact
) -> None:
    begun(world, thread)
    with world.database.writing() as conn:
        other = open_incident(conn, ana.organisation_id, "Other", AT, severity=Severity.HIGH)
        begin_break_glass(conn, other, "a secret reason", AT, by="eva")
        for one in (thread, other):
            record_call(conn, one, ana, Outcome.WRONG_NUMBER, "a bakery", AT, by="eva")
        set_state(conn, thread.id, State.RESOLVED, AT, actor="eva")
        set_retention(conn, organisation(conn, ana.organisation_id), 1)
        assert empty_thread(conn, thread.id, AT + timedelta(days=9), by="retention")
        assert [row.thread_id for row in conn.execute(select(calls))] == [other.id]
        assert [row.thread_id for row in conn.execute(select(break_glass))] == [other.id]
        erase_rest(conn, ana.organisation_id, LATE)
        assert conn.execute(select(calls)).all() == []
        assert conn.execute(select(break_glass)).all() == []
        assert open_sheets(conn, LATE) == ()


def test_two_incidents_in_break_glass_that_are_merged_are_one(
    world: World, thread: Thread, ana: Contact
) -> None:
    begun(world, thread)
    with world.database.writing() as conn:
        into = open_incident(conn, ana.organisation_id, "Goes on", AT, severity=Severity.HIGH)
        begin_break_glass(conn, into, "x", AT + timedelta(minutes=1), by="eva")
        merge_threads(conn, thread, into, AT + timedelta(minutes=2), by="eva")
        (one,) = open_sheets(conn, LATE)
        assert one.sheet.emergency.thread.id == into.id
        record_call(conn, into, ana, Outcome.REACHED, "fine", LATE, by="eva")
        assert open_sheets(conn, LATE) == ()
