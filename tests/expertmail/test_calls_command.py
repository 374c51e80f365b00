"""Break-glass at the command line: begun, the sheet, calls with their outcomes, and what comes next."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from expertmail.call_keeper import CallKeeper
from outbound.alerts import AlertKind, AlertRules
from outbound.call_sheet import Outcome
from outbound.schema import automatic_orders
from outbound.store.alerts import begin_alerts, order_alerts
from outbound.store.call_sheets import (
    open_sheets,
    sheet_of,
)
from outbound.store.calls import (
    begin_break_glass,
    record_call,
)
from threads.model import EntryKind, Severity
from threads.store.engine import open_database
from threads.store.migration import upgrade
from threads.store.people import add_contact, add_organisation
from threads.store.thread import open_incident, timeline_of
from threads.store.writer import Writer

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.fixture
def desk(command):
    """Contoso with two people, and an incident."""
    assert command("dns", "show").code == 0  # makes the world, as serve does
    for name, *more in (
        ("ana", "--phone", "+1 555 0100", "--time-zone", "Europe/Madrid", "--call-order", "2"),
        ("bob", "--phone", "+1 555 0101", "--call-order", "1", "--language", "ja"),
    ):
        added = command(
            "contacts", "add", f"{name}@contoso.test", "--name", name.title(), "--org", "Contoso", *more
        )
        assert added.code == 0, added.err
    assert (
        command("incidents", "open", "--org", "Contoso", "--title", "Ransomware", "--severity", "High").code
        == 0
    )
    return command


def test_it_is_begun_called_and_ended(desk):
    assert desk("calls", "due", "--json").json == []
    assert desk("incidents", "break-glass", "INC-000001").code == 65  # why?
    begun = desk("incidents", "break-glass", "INC-000001", "--reason", "encryption is running", "--by", "eva")
    assert begun.code == 0, begun.err
    assert "Call Bob <bob@contoso.test> now" in begun.out
    assert "If nobody is reached: Ana <ana@contoso.test> at once." in begun.out
    shown = desk("calls", "sheet", "INC-000001").out
    for word in ("encryption is running", "+1 555 0100", "Europe/Madrid", "zone unknown", "ja"):
        assert word in shown
    (row,) = desk("calls", "due", "--json").json
    assert [one["name"] for one in row["contacts"]] == ["Bob", "Ana"]
    assert row["due"]["contact"] == row["contacts"][0]["contact"]
    assert "+1 555 0101" in desk("calls", "due", "--org", "Contoso").out

    busy = desk("calls", "record", "INC-000001", "bob@contoso.test", "--outcome", "busy", "--by", "eva")
    assert "Call Ana <ana@contoso.test> now" in busy.out
    assert (
        desk("calls", "record", "INC-000001", "ana@contoso.test", "--outcome", "reached").code == 65
    )  # what was said?
    reached = desk(
        "calls",
        "record",
        "INC-000001",
        "ana@contoso.test",
        "She pulls the plug.",
        "--outcome",
        "reached",
        "--json",
    )
    assert "somebody was reached" in reached.json["nobody"]
    assert desk("calls", "due", "--json").json == []
    timeline = desk("incidents", "show", "INC-000001").out
    assert "Called Bob <bob@contoso.test>: busy." in timeline
    assert "She pulls the plug." in timeline
    assert "encryption is running" not in timeline, "the reason is for experts"
    assert desk("incidents", "break-glass", "INC-000001", "--end").code == 0
    assert desk("incidents", "break-glass", "INC-000001", "--end").code == 65
    acts = [one["act"] for one in desk("audit", "show", "--json").json]
    assert acts.count("call-recorded") == 2
    assert {"break-glass-began", "break-glass-ended"} <= set(acts)


def test_what_is_not_there_is_refused_and_resolving_ends_it(desk):
    assert desk("calls", "sheet", "INC-000009").code == 66
    assert desk("calls", "record", "INC-000001", "nobody@x.test", "--outcome", "busy").code == 66
    assert desk("calls", "record", "INC-000001", "bob@contoso.test", "--outcome", "asleep").code == 64
    assert desk("contacts", "change", "bob@contoso.test", "--time-zone", "Mars/Olympus").code == 65
    assert desk("contacts", "change", "bob@contoso.test", "--call-order", "-1").code == 65
    changed = desk("contacts", "change", "bob@contoso.test", "--time-zone", "Asia/Tokyo", "--call-order", "0")
    assert "time_zone: None -> Asia/Tokyo" in changed.out
    assert "Asia/Tokyo" in desk("contacts", "list").out
    assert desk("incidents", "break-glass", "INC-000001", "--reason", "x").code == 0
    assert desk("incidents", "resolve", "INC-000001").code == 0
    assert "it is resolved" in desk("calls", "sheet", "INC-000001").out
    assert desk("calls", "due").out.strip() == "Nobody is to be called."


@pytest.fixture
def database(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'record.db'}")
    upgrade(database)
    yield database
    database.close()


def test_a_call_that_nobody_makes_is_noted_and_told_and_one_that_is_made_meanwhile_is_not(database):
    rules = AlertRules(team=("team@experts.test",), tell=frozenset({AlertKind.BREAK_GLASS}), long=True)
    writer, clock = Writer(database), [NOW]
    keeper = CallKeeper(database, writer, clock=lambda: clock[0])
    with database.writing() as conn:
        customer = add_organisation(conn, "Contoso", NOW)
        ana = add_contact(conn, customer.id, "ana@contoso.test", "Ana", NOW, phone="+1 555 0100")
        made = [open_incident(conn, customer.id, f"I{n}", NOW, severity=Severity.HIGH) for n in range(2)]
        for one in made:
            begin_break_glass(conn, one, "x", NOW, by="eva")
        begin_alerts(conn, NOW)
    try:
        for minutes in (0, 4, 5, 6, 60):
            clock[0] = NOW + timedelta(minutes=minutes)
            asyncio.run(keeper.step())
            with database.reading() as conn:
                notes = [
                    one
                    for thread in made
                    for one in timeline_of(conn, thread.id)
                    if one.kind is EntryKind.NOTE
                ]
            assert len(notes) == (0 if minutes < 5 else 2), "once for each, and not before it is late"
        with database.writing() as conn:
            record_call(conn, made[0], ana, Outcome.NO_ANSWER, "", clock[0], by="eva")
            assert sheet_of(conn, made[0], clock[0]).due is None
            assert len(open_sheets(conn, clock[0])) == 2
            order_alerts(conn, rules, clock[0])
            (order,) = conn.execute(automatic_orders.select()).all()
        told = str(order.params)
        assert made[1].reference in told
        assert made[0].reference not in told, "somebody has called meanwhile"
        assert "+1 555 0100" in told
    finally:
        writer.close()
