"""Mail on an incident that the customer's server has not accepted in time: experts are told, once, whom to turn to."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from expertmail.late_mail import LateMailKeeper, late_rules_of
from expertmail.settings import load
from outbound.alerts import AlertRules, alert_facts
from outbound.delivery import Handover
from outbound.late_delivery import AFTER, LateMail, LateRules, late_note, next_contact, to_telephone
from outbound.model import DeliveryState, Failure, MailKind, OrderOutcome, Reply
from outbound.schema import approvals, automatic_orders, deliveries, late_mails, outgoing
from outbound.store import cancel
from outbound.store.alerts import order_alerts
from outbound.store.approval_acts import approve
from outbound.store.approvals import show_approval
from outbound.store.late_delivery import LOOK_BACK, _look, due_alarms, raise_alarm
from outbound.store.quiet import mark_quiet
from outbound.store.rows import change
from outbound.store.suppression import suppress
from outbound.store.untrusted import withhold_waiting
from tests.outbound.conftest import NOW
from tests.outbound.test_lease_plan import plan
from tests.threads.test_postgresql import server  # noqa: F401 -- a fixture
from threads.model import Contact, ContactKind, EntryKind, Severity, State
from threads.schema import contacts, threads
from threads.store.circumstances import distrust
from threads.store.engine import Database, open_database
from threads.store.migration import upgrade
from threads.store.moving import merge_threads
from threads.store.people import add_contact, add_organisation, organisation
from threads.store.thread import open_incident, open_inquiry, set_state, timeline_of
from threads.store.writer import Writer

RULES = LateRules()
MINUTE = timedelta(minutes=1)
HOUR = AFTER[Severity.MEDIUM]
"""The record's incident has no severity, which counts as Medium."""
TEAM = AlertRules(team=("team@desk.test",), people={"ana": "ana@desk.test"})
BOB = ("bob@contoso.test", "Bob May")


def look(world, now, rules=RULES):
    """What one look of a node does: the mails that experts are told of."""
    found = world.write(due_alarms, rules, now)
    return [
        one for one in (world.write(raise_alarm, number, rules, now) for number in found) if one is not None
    ]


def notes(world):
    return [
        one.text for one in world.timeline() if one.kind is EntryKind.NOTE and one.actor == "late-delivery"
    ]


def put(world, table, **values):
    with_ = {"deliveries": deliveries, "outgoing": outgoing, "threads": threads, "approvals": approvals}[
        table
    ]
    world.write(lambda conn: conn.execute(with_.update().values(**values)))


@pytest.fixture
def mail(world):
    """A request of Ana's to the contact, which waits to be sent."""
    world.queue()
    return world.outbox()[0].outgoing_id


# -- when -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("severity", [*Severity, None])
def test_the_severity_says_after_how_long_mail_is_late(world, mail, severity):
    put(world, "threads", severity=severity and severity.value)
    due = NOW + AFTER[severity or Severity.MEDIUM]
    assert look(world, due - timedelta(seconds=1)) == []
    (told,) = look(world, due)
    assert (told.outgoing_id, told.severity) == (mail, severity)
    minutes = AFTER[severity or Severity.MEDIUM] // MINUTE
    assert notes(world)[0].startswith(
        f"Mail {mail} to ana@contoso.test was not accepted within {minutes} minutes: "
    )


STATES = {
    DeliveryState.QUEUED: "it waits to be sent",
    DeliveryState.LEASED: "a try is under way",
    DeliveryState.DELIVERED: None,
    DeliveryState.DEFERRED: "it was refused for now and is tried again",
    DeliveryState.FAILED: "it was refused for good",
    DeliveryState.EXPIRED: "it was given up after days",
    DeliveryState.BOUNCED: None,  # it was accepted; that it came back is told by an alert of its own
    DeliveryState.SUPPRESSED: "its recipient is on the list of addresses that get nothing",
    DeliveryState.AWAITING_APPROVAL: "it awaits a person's approval",
    DeliveryState.WITHDRAWN: None,  # nobody needs it
    DeliveryState.WITHHELD: "it is withheld by ourselves",
    DeliveryState.UNREADABLE: "its row in the database is damaged",
}


@pytest.mark.parametrize("state", DeliveryState)
def test_the_state_says_whether_and_the_note_says_why(world, mail, state):
    world.write(change, mail, NOW, state=state.value)
    told = look(world, NOW + HOUR)
    assert [one.state for one in told] == ([state] if STATES[state] else [])
    assert [f": {STATES[state]}. " in text for text in notes(world)] == ([True] if STATES[state] else [])


@pytest.mark.parametrize("kind", MailKind)
def test_mail_that_nobody_waits_for_is_never_late(world, mail, kind):
    put(world, "outgoing", kind=kind.value)
    never = {
        MailKind.TEST_NOTIFICATION,
        MailKind.RELAYED,
        *(one for one in MailKind if one.automatic and one is not MailKind.REMINDER),
    }
    assert bool(look(world, NOW + HOUR)) is (kind not in never)


def resolve(world, record, _mail):
    world.write(set_state, record.incident.id, State.RESOLVED, NOW, actor="Ana")


def make_quiet(world, record, _mail):
    world.write(mark_quiet, record.incident, NOW, imported=True)


def make_test(world, _record, _mail):
    put(world, "outgoing", subject="[TEST] [INC-000001] Odd sign-in")


def answer_reminder(world, record, _mail):
    """It is a reminder, and the customer's answer has put the incident in progress."""
    put(world, "outgoing", kind=MailKind.REMINDER.value)
    world.write(set_state, record.incident.id, State.IN_PROGRESS, NOW, actor="Ana")


def make_inquiry(world, record, _mail):
    inquiry = world.write(open_inquiry, record.incident.organisation_id, "Buy now", NOW)
    put(world, "outgoing", thread_id=inquiry.id)


def accept(world, _record, _mail):
    world.work()


def give_up(world, _record, mail):
    world.write(cancel, mail, NOW, actor="Ana")


def refuse(world, _record, mail):
    world.write(
        change, mail, NOW, state=DeliveryState.FAILED.value, last_reply="refused by ben: wrong customer"
    )


@pytest.mark.parametrize(
    "what", [resolve, make_quiet, make_test, make_inquiry, answer_reminder, accept, give_up, refuse]
)
@pytest.mark.parametrize("meanwhile", [False, True])
def test_nobody_is_told_of(world, record, mail, what, meanwhile):
    """Also where it happens between the look and the transaction that tells."""
    number = mail
    if meanwhile:
        (number,) = world.write(due_alarms, RULES, NOW + HOUR)
    what(world, record, mail)
    assert world.write(due_alarms, RULES, NOW + HOUR) == ()
    assert world.write(raise_alarm, number, RULES, NOW + HOUR) is None
    assert notes(world) == []


def test_a_server_that_says_the_words_of_a_person_who_gave_up_does_not_silence_the_alarm(world, mail):
    world.transport.answers = [Handover("mx", Reply(550, "cancelled by Ana"), Failure.REFUSED)]
    world.work()
    assert world.outbox()[0].state is DeliveryState.FAILED
    assert len(look(world, NOW + HOUR)) == 1


def test_mail_on_an_incident_that_was_merged_is_told_of_where_it_goes_on(world, record, mail):
    other = world.write(open_incident, record.incident.organisation_id, "The same", NOW)
    world.write(merge_threads, record.incident, other, NOW, by="Ana")
    assert len(look(world, NOW + HOUR)) == 1
    with record.database.reading() as conn:
        assert [one.actor for one in timeline_of(conn, other.id)].count("late-delivery") == 1


def test_a_window_that_was_chosen_is_waited_for(world, mail):
    begin = NOW + timedelta(days=10)
    put(world, "approvals", not_before=begin)
    assert look(world, begin + HOUR - MINUTE) == []
    assert len(look(world, begin + HOUR)) == 1


def test_what_is_a_week_old_is_no_news(world, mail):
    assert look(world, NOW + LOOK_BACK) == []
    assert len(look(world, NOW + LOOK_BACK - MINUTE)) == 1


def test_settings_say_after_how_long_and_zero_is_never(world, mail, monkeypatch):
    monkeypatch.setenv("EXPERTMAIL_LATE_DELIVERY__MEDIUM", "5")
    assert len(look(world, NOW + 5 * MINUTE, late_rules_of(load()))) == 1
    for severity in Severity:
        monkeypatch.setenv(f"EXPERTMAIL_LATE_DELIVERY__{severity.name}", "0")
    nobody = late_rules_of(load())
    assert nobody.after == {}
    assert world.write(due_alarms, nobody, NOW + LOOK_BACK) == ()
    monkeypatch.undo()
    assert late_rules_of(load()).after == AFTER


# -- whom to turn to --------------------------------------------------------------------------------------
ANA = Contact(1, 1, "ana@contoso.test", "Ana Lee", ContactKind.INCIDENT_NOTIFICATION)
MAY = Contact(2, 1, "bob@contoso.test", "Bob May", ContactKind.INCIDENT_NOTIFICATION)
SOC = Contact(3, 1, "soc@contoso.test", "SOC", ContactKind.INCIDENT_NOTIFICATION)


def with_phone(one):
    return replace(one, phone=f"+1 {one.id}")


@pytest.mark.parametrize(
    ("to", "contact_id", "people", "phones", "following", "called"),
    [
        ("ana@contoso.test", 1, (ANA, MAY, SOC), (ANA, MAY, SOC), MAY, MAY),
        ("ana@contoso.test", 1, (ANA, MAY, SOC), (ANA, SOC), MAY, ANA),
        ("ana@contoso.test", 1, (ANA, MAY), (SOC,), MAY, SOC),
        ("ana@contoso.test", 1, (ANA,), (ANA,), None, ANA),
        ("bob@contoso.test", 2, (ANA, MAY, SOC), (), ANA, None),
        ("ANA@contoso.test", None, (ANA, MAY), (ANA,), MAY, ANA),
        ("someone@else.test", None, (ANA, MAY), (MAY,), ANA, MAY),
        ("ana@contoso.test", 1, (), (), None, None),
    ],
)
def test_the_next_contact_and_the_telephone(to, contact_id, people, phones, following, called):
    late = LateMail(7, to, contact_id, None, DeliveryState.DEFERRED, people, tuple(map(with_phone, phones)))
    assert (next_contact(late), to_telephone(late)) == (following, called and with_phone(called))
    said = late_note(late, RULES)
    assert (
        f"Next contact: {following.name} <{following.address}>." if following else "no other contact"
    ) in said
    assert (
        f"Telephone {called.name} <{called.address}>: +1 {called.id}." if called else "find one, and call"
    ) in said


def test_who_gets_no_mail_of_ours_is_not_the_next_contact_but_can_be_called(world, record, mail):
    world.write(add_contact, record.incident.organisation_id, *BOB, NOW, phone="+1 555 0100")
    world.write(suppress, BOB[0], "asked us to", NOW, actor="Ana")
    look(world, NOW + HOUR)
    (text,) = notes(world)
    assert text == (
        f"Mail {mail} to ana@contoso.test was not accepted within 60 minutes: it waits to be sent."
        " There is no other contact. Telephone Bob May <bob@contoso.test>: +1 555 0100."
    )


def test_nobody_is_to_write_to_a_customer_whose_mail_an_intruder_reads(world, record, mail):
    world.write(add_contact, record.incident.organisation_id, *BOB, NOW, phone="+1 555 0100")
    mark(world, record)
    look(world, NOW + HOUR)
    (text,) = notes(world)
    assert text == (
        f"Mail {mail} to ana@contoso.test was not accepted within 60 minutes: it is withheld by ourselves."
        " The customer's mail is marked untrusted: write to nobody there."
        " Telephone Bob May <bob@contoso.test>: +1 555 0100."
    )


def mark(world, record):
    def work(conn):
        one = organisation(conn, record.incident.organisation_id)
        distrust(conn, one, "an intruder reads it", NOW, by="ben")
        withhold_waiting(conn, one.id, NOW)

    world.write(work)


HOSTILE = "Bob\r\nState: Active -> Resolved\u2028\x1b[2J\u202e" + "x" * 3_000


def test_a_contacts_name_cannot_put_lines_into_the_note_or_push_the_number_out(world, record, mail):
    world.write(add_contact, record.incident.organisation_id, BOB[0], HOSTILE, NOW, phone="+1\n555")
    look(world, NOW + HOUR)
    (text,) = notes(world)
    assert text.isprintable()
    assert text.endswith("<bob@contoso.test>: +1 555.")
    assert "Next contact: Bob State: Active -> Resolved [2J xxx" in text
    assert len(text) < 400


# -- the alert --------------------------------------------------------------------------------------------
def told(record):
    with record.database.reading() as conn:
        found = conn.execute(select(automatic_orders).where(automatic_orders.c.kind == "alert")).all()
    return [(one.address, *alert_facts(json.loads(one.params)).lines) for one in found]


@pytest.mark.parametrize("long", [False, True])
def test_whoever_wrote_it_is_told_once_and_only_the_longer_form_names_people(world, record, mail, long):
    world.write(add_contact, record.incident.organisation_id, BOB[0], HOSTILE, NOW, phone="+1 555 0100")
    rules = replace(TEAM, long=long)
    world.write(order_alerts, rules, NOW)
    at = NOW + HOUR
    look(world, at)
    assert world.write(order_alerts, rules, at) == (OrderOutcome.ORDERED,)
    for days in (1, 2):
        assert look(world, at + timedelta(days=days)) == []
        assert world.write(order_alerts, rules, at + timedelta(days=days)) == ()
    ((address, line),) = told(record)
    assert address == "ana@desk.test"
    assert line.startswith(
        "INC-000001: a mail was not accepted in time; write to the next contact, or telephone, 2026"
    )
    assert line.isprintable()
    assert ("Contoso: Odd sign-in. Mail " in line) is long
    assert ("<bob@contoso.test>: +1 555 0100." in line) is long
    assert ("bob" in line.lower()) is long


def test_a_long_title_does_not_push_the_number_out_of_the_alert(world, record, mail):
    world.write(add_contact, record.incident.organisation_id, *BOB, NOW, phone="+1 555 0100")
    put(world, "threads", title="A long title " * 100)
    world.write(order_alerts, replace(TEAM, long=True), NOW)
    look(world, NOW + HOUR)
    world.write(order_alerts, replace(TEAM, long=True), NOW + HOUR)
    assert told(record)[0][1].endswith("Telephone Bob May <bob@contoso.test>: +1 555 0100.)")
    world.clock.now = NOW + HOUR
    world.work()  # and it can be composed
    assert any(b"+1 555 0100" in one.raw for one in world.transport.given if one.rcpt_to == "ana@desk.test")


@pytest.mark.parametrize("long", [False, True])
def test_an_alert_that_names_people_goes_under_checked_tls_whatever_the_settings_say_by_then(
    world, record, mail, long
):
    """Its form is chosen when it is ordered; before it is composed, or sent, the way out may be another one."""
    rules = replace(TEAM, long=long)
    world.write(order_alerts, rules, NOW)
    look(world, NOW + HOUR)
    world.write(order_alerts, rules, NOW + HOUR)
    world.clock.now = NOW + HOUR
    world.work()
    (sent,) = [one for one in world.transport.given if one.rcpt_to == "ana@desk.test"]
    assert sent.needs_tls is long


@pytest.mark.parametrize("ahead", [MINUTE, timedelta(days=1), timedelta(days=6)])
def test_a_clock_that_was_ahead_for_a_while_keeps_nothing_from_being_told(world, record, mail, ahead):
    """Something was told in the time that never was, so that the marks lie there."""
    world.write(order_alerts, TEAM, NOW)
    world.queue("early")
    early, other = world.outbox()[0].outgoing_id, mail
    world.write(raise_alarm, early, LateRules({Severity.MEDIUM: timedelta(0)}), NOW + ahead)
    assert world.write(order_alerts, TEAM, NOW + ahead) == (OrderOutcome.ORDERED,)
    back = NOW + timedelta(seconds=1)
    world.write(raise_alarm, other, LateRules({Severity.MEDIUM: timedelta(0)}), back)
    looks = [back + timedelta(minutes=n) for n in range(20)]
    assert [one for at in looks for one in world.write(order_alerts, TEAM, at)].count(
        OrderOutcome.ORDERED
    ) >= 1
    said = " ".join(line for _, *lines in told(record) for line in lines)
    assert said.count("was not accepted in time") >= 2


def test_a_late_reminder_is_told_to_the_team(world, record, mail):
    put(world, "outgoing", kind=MailKind.REMINDER.value, actor="automation")
    world.write(order_alerts, TEAM, NOW)
    world.write(change, mail, NOW, state=DeliveryState.DEFERRED.value)
    look(world, NOW + HOUR)
    world.write(order_alerts, TEAM, NOW + HOUR)
    assert [address for address, _ in told(record)] == ["team@desk.test"]


@pytest.mark.parametrize("what", [resolve, accept, give_up])
def test_what_ends_between_the_note_and_its_alert_is_not_told(world, record, mail, what):
    world.write(order_alerts, TEAM, NOW)
    look(world, NOW + HOUR)
    what(world, record, mail)
    assert world.write(order_alerts, TEAM, NOW + HOUR) == ()
    assert told(record) == []


def test_what_waited_for_its_approval_and_then_for_the_server_is_told_of_for_both(world, record, mail):
    """Each time it was let go counts anew; one that nobody approves is told of once, whoever looks and however often."""
    world.write(order_alerts, TEAM, NOW)
    put(world, "approvals", composer="ana", state="awaiting", basis="second", approver=None)
    put(world, "deliveries", state=DeliveryState.AWAITING_APPROVAL.value, next_attempt_at=None)
    assert [one.state for one in look(world, NOW + HOUR)] == [DeliveryState.AWAITING_APPROVAL]
    world.write(order_alerts, TEAM, NOW + HOUR)
    approved = NOW + HOUR + MINUTE
    world.write(approve, mail, world.write(show_approval, mail).digest, approved, actor="ben")
    world.clock.now = approved
    world.transport.answers = [Handover("mx", Reply(450, "later"), Failure.REFUSED_FOR_NOW)] * 9
    world.work()
    assert look(world, approved + HOUR - MINUTE) == []
    for later in (HOUR, HOUR + MINUTE, 2 * HOUR):
        look(world, approved + later)
        world.write(order_alerts, TEAM, approved + later)
    assert len(notes(world)) == len(told(record)) == 2


# -- again and again, in several places -------------------------------------------------------------------
def test_under_a_moving_clock_each_mail_is_told_of_once_and_in_time(world, mail):
    """Refused for now for a day: the looks come every half a minute around the alarm, then hourly."""
    world.transport.answers = [Handover("mx", Reply(450, "later"), Failure.REFUSED_FOR_NOW)] * 100
    looks = [NOW + timedelta(seconds=30 * n) for n in range(130)] + [
        NOW + timedelta(hours=n) for n in range(2, 40)
    ]
    heard = []
    for at in looks:
        world.clock.now = at
        world.work()
        heard += [at for _ in look(world, at)]
    assert heard == [NOW + HOUR]
    assert len(notes(world)) == 1


def test_a_crash_after_any_step_loses_nothing_and_tells_nothing_twice(world, record, mail):
    world.write(order_alerts, TEAM, NOW)

    def crashing(function, *args):
        def broken_off(conn):
            function(conn, *args)
            raise OSError("the machine is gone")

        with pytest.raises(OSError, match="is gone"):
            world.write(broken_off)

    at = NOW + HOUR
    crashing(raise_alarm, mail, RULES, at)
    assert notes(world) == []
    assert len(look(world, at)) == 1
    crashing(order_alerts, TEAM, at)
    assert told(record) == []
    assert look(world, at) == []
    assert world.write(order_alerts, TEAM, at) == (OrderOutcome.ORDERED,)
    assert len(told(record)) == len(notes(world)) == 1


def test_a_damaged_row_keeps_no_other_mail_from_being_told_of(world, record, mail):
    with record.database.writing() as conn:
        other = add_organisation(conn, "Fabrikam", NOW)
        add_contact(conn, other.id, "eve@fabrikam.test", "Eve", NOW)
        theirs = open_incident(conn, other.id, "Another", NOW)
        conn.execute(contacts.update().where(contacts.c.organisation_id != other.id).values(kind="broken"))
    world.queue("second")
    put_on = outgoing.update().where(outgoing.c.id != mail).values(thread_id=theirs.id)
    world.write(lambda conn: conn.execute(put_on))
    keeper = LateMailKeeper(record.database, record.writer, rules=lambda: RULES, clock=world.clock)
    world.clock.now = NOW + HOUR
    asyncio.run(keeper.step())
    with record.database.reading() as conn:
        assert [one.actor for one in timeline_of(conn, theirs.id)].count("late-delivery") == 1


def test_two_nodes_that_look_at_once_tell_once(world, record, mail):
    world.clock.now = NOW + HOUR

    def node():
        return LateMailKeeper(record.database, record.writer, rules=lambda: RULES, clock=world.clock)

    async def both():
        await asyncio.gather(node().step(), node().step())

    asyncio.run(both())
    assert len(notes(world)) == 1


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        database = open_database(f"sqlite:///{tmp_path / 'shared.db'}")
    else:
        database = open_database(request.getfixturevalue("server"))
        with database.writing() as conn:
            conn.exec_driver_sql("DROP SCHEMA public CASCADE")
            conn.exec_driver_sql("CREATE SCHEMA public")
    upgrade(database)
    yield database
    database.close()


def test_eight_workers_at_once_tell_of_each_mail_once_on_either_database(shared: Database) -> None:
    with shared.writing() as conn:
        customer = add_organisation(conn, "Contoso", NOW)
        add_contact(conn, customer.id, *BOB, NOW, phone="+1 555 0100")
        incident = open_incident(conn, customer.id, "Odd sign-in", NOW, severity=Severity.HIGH)
        numbers = [
            conn.execute(
                insert(outgoing).values(**row(number, incident.id)).returning(outgoing.c.id)
            ).scalar_one()
            for number in range(5)
        ]
        waits = {
            "state": "queued",
            "attempts": 0,
            "next_attempt_at": NOW,
            "last_reply": "",
            "updated_at": NOW,
        }
        conn.execute(insert(deliveries), [{"outgoing_id": number, **waits} for number in numbers])
    now, begin, said = NOW + AFTER[Severity.HIGH], threading.Barrier(8), []

    def work() -> None:
        begin.wait()
        with shared.reading() as conn:
            found = due_alarms(conn, RULES, now)
        for number in found:
            with shared.writing() as conn:
                one = raise_alarm(conn, number, RULES, now)
            if one is not None:
                said.append(one.outgoing_id)

    workers = [threading.Thread(target=work) for _ in range(8)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert sorted(said) == numbers
    with shared.reading() as conn:
        assert len(conn.execute(select(late_mails)).all()) == 5
        assert [one.actor for one in timeline_of(conn, incident.id)].count("late-delivery") == 5
        assert due_alarms(conn, RULES, now) == ()
    with shared.writing() as conn:
        rules = replace(TEAM, long=True)
        order_alerts(conn, rules, NOW)
        assert order_alerts(conn, rules, now) == (OrderOutcome.ORDERED,)


@pytest.mark.parametrize("counted", [False, True])
def test_a_look_goes_from_the_incidents_to_their_mails_and_never_through_all_mail(record, counted):
    """By the plan, with the database's statistics and without: a mail's bytes lie before its thread in the row."""
    with record.database.writing() as conn:
        mails = [{**row(number, None), "id": number} for number in range(1, 5_001)]
        mails[-1]["thread_id"] = record.incident.id
        waits = {
            "state": "queued",
            "attempts": 0,
            "next_attempt_at": NOW,
            "last_reply": "",
            "updated_at": NOW,
        }
        conn.execute(insert(outgoing), mails)
        conn.execute(insert(deliveries), [{"outgoing_id": one["id"], **waits} for one in mails])
        if counted:
            conn.exec_driver_sql("ANALYZE")
        found = plan(conn, _look(RULES, NOW + HOUR))
        assert due_alarms(conn, RULES, NOW + HOUR) == (5_000,)
    assert "ix_outgoing_thread_id" in found
    assert "SCAN outgoing" not in found
    assert "SCAN deliveries" not in found


def row(number: int, thread_id: int | None) -> dict[str, object]:
    return {
        "idempotency_key": f"k{number}",
        "raw": b"",
        "sha256": "",
        "message_id": f"{number}@experts.test",
        "kind": MailKind.MANAGED_RESPONSE.value,
        "template_version": 1,
        "language": "en",
        "selector": "s1",
        "thread_id": thread_id,
        "mail_from": "",
        "rcpt_to": "ana@contoso.test",
        "subject": "x",
        "said": "",
        "actor": "zoe",
        "created_at": NOW,
    }


def test_a_database_that_is_away_and_a_fault_of_ours_end_no_looks(world, record, monkeypatch, mail):
    world.clock.now = NOW + HOUR
    faults = [OSError("a fault")]

    def look_once(*args):
        if faults:
            raise faults.pop()
        keeper.stop()
        return due_alarms(*args)

    monkeypatch.setattr("expertmail.late_mail.due_alarms", look_once)
    writer: Writer = record.writer
    keeper = LateMailKeeper(
        record.database, writer, rules=lambda: RULES, clock=world.clock, look_seconds=0.01
    )
    asyncio.run(asyncio.wait_for(keeper.run(), 20))
    assert faults == []
