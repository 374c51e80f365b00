"""The server's task that reminds: by the settings in force, once whatever the number of nodes, and in time after a fault."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from expertmail.faults import FaultError
from expertmail.reminding import ReminderKeeper, reminder_rules_of
from expertmail.settings import load
from outbound.reminders import ReminderRules
from outbound.store import list_orders
from tests.outbound.conftest import NOW
from threads.model import Severity, State
from threads.schema import contacts, threads
from threads.store.people import add_contact, add_organisation
from threads.store.thread import open_incident, set_state


def test_two_nodes_that_look_at_once_order_one_reminder(world, record, monkeypatch):
    monkeypatch.setenv("EXPERTMAIL_REMINDERS__MEDIUM", "2h remind, 1d telephone")
    rules = reminder_rules_of(load())
    world.write(set_state, record.incident.id, State.AWAITING_CUSTOMER, NOW, actor="Ana")
    world.clock.now = NOW + timedelta(hours=2)
    woken = []

    def node():
        return ReminderKeeper(
            record.database,
            record.writer,
            rules=lambda: rules,
            clock=world.clock,
            ordered=lambda: woken.append(1),
        )

    async def both():
        await asyncio.gather(node().step(), node().step())

    asyncio.run(both())
    with record.database.reading() as conn:
        assert len(list_orders(conn)) == 1
    assert woken == [1]


@pytest.mark.parametrize("table", ["contacts", "threads"])
def test_a_damaged_row_keeps_no_other_customer_from_being_reminded(world, record, table):
    """The one whose row cannot be read waits longest, and so is the first to be looked at."""
    with record.database.writing() as conn:
        other = add_organisation(conn, "Fabrikam", NOW)
        add_contact(conn, other.id, "eve@fabrikam.test", "Eve", NOW)
        theirs = open_incident(conn, other.id, "Another", NOW)
        set_state(conn, record.incident.id, State.AWAITING_CUSTOMER, NOW, actor="Ana")
        if table == "contacts":
            conn.execute(
                contacts.update().where(contacts.c.organisation_id != other.id).values(kind="broken")
            )
        else:
            conn.execute(threads.update().where(threads.c.id == record.incident.id).values(severity="broken"))
        set_state(conn, theirs.id, State.AWAITING_CUSTOMER, NOW + timedelta(minutes=1), actor="Ana")
    world.clock.now = NOW + timedelta(days=2)
    keeper = ReminderKeeper(
        record.database, record.writer, rules=ReminderRules, clock=world.clock, ordered=lambda: None
    )
    asyncio.run(keeper.step())
    with record.database.reading() as conn:
        assert [one.address for one in list_orders(conn)] == ["eve@fabrikam.test"]


def test_reminders_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("EXPERTMAIL_REMINDERS__ENABLED", "false")
    assert reminder_rules_of(load()).soonest is None


def test_an_empty_plan_is_none(monkeypatch):
    monkeypatch.setenv("EXPERTMAIL_REMINDERS__LOW", "")
    rules = reminder_rules_of(load())
    assert rules.plans[Severity.LOW] == ()
    assert rules.soonest == timedelta(hours=4)


@pytest.mark.parametrize("plan", ["4h", "soon remind", ", ".join(["1h remind"] * 11)])
def test_a_plan_that_is_none_stops_the_start(plan, monkeypatch):
    monkeypatch.setenv("EXPERTMAIL_REMINDERS__HIGH", plan)
    with pytest.raises(FaultError, match="REMINDERS__HIGH cannot be used"):
        load()
