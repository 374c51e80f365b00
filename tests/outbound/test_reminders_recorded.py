"""Reminders by the record: whom they go to, what they say, and that none is sent once nobody needs it."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from email import message_from_bytes, policy

import pytest
from sqlalchemy import insert, select, text

from outbound.alerts import AlertRules, alert_facts
from outbound.delivery import Handover
from outbound.model import DeliveryState, Failure, OrderOutcome, OrderState, Reply, SelfCheck
from outbound.reminders import Action, ReminderRules
from outbound.schema import automatic_orders, deliveries, outgoing
from outbound.store import RECHECK, list_orders, retry_now, withhold_waiting
from outbound.store.alerts import order_alerts
from outbound.store.reminders import due_reminders, take_step, withdraw_needless
from outbound.store.suppression import suppress
from outbound.worker import EventKind
from tests.outbound.conftest import NOW
from tests.outbound.test_late_delivery import row
from tests.threads.test_postgresql import server  # noqa: F401 -- a fixture
from threads.model import EntryKind, Mark, State
from threads.model.tasks import TaskSource, TaskStatus
from threads.store.circumstances import distrust
from threads.store.engine import open_database
from threads.store.migration import upgrade
from threads.store.moving import merge_threads
from threads.store.people import add_contact, add_organisation, organisation
from threads.store.tasks import add_task, set_task
from threads.store.thread import append, open_incident, open_inquiry, set_state, timeline_of

RULES = ReminderRules()
DAY = timedelta(days=1)


def ask(world, record, at=NOW):
    """Let the incident (Medium) await the customer."""
    world.write(set_state, record.incident.id, State.AWAITING_CUSTOMER, at, actor="Ana")


def look(world, record, now):
    """What one look of a node does: the steps taken."""
    with record.database.reading() as conn:
        due = due_reminders(conn, RULES, now)
    return [world.write(take_step, thread_id, RULES, now) for thread_id in due]


def sent(world):
    """The reminders that left, as mails."""
    return [message_from_bytes(one.raw, policy=policy.default) for one in world.transport.given]


def work_at(world, now):
    world.clock.now = now
    world.work()


def test_the_second_reminder_goes_to_the_next_contact_and_says_so_in_its_subject(world, record):
    world.write(add_contact, record.incident.organisation_id, "bob@contoso.test", "Bob May", NOW, phone="+1 555 0100")
    done = world.write(add_task, record.incident, "Isolate the host", TaskSource.GUIDED_RESPONSE, NOW, by="Ana")
    world.write(set_task, record.incident, done.number, TaskStatus.COMPLETED, NOW, by="Ana")
    world.write(add_task, record.incident, "Reset the password", TaskSource.GUIDED_RESPONSE, NOW, by="Ana")
    world.write(add_task, record.incident, "Block the sender", TaskSource.MANAGED_RESPONSE, NOW, by="Ana")
    ask(world, record)
    assert look(world, record, NOW + DAY - timedelta(minutes=1)) == []
    for days in (1, 3, 4):
        look(world, record, NOW + days * DAY)
        work_at(world, NOW + days * DAY)
    first, second = sent(world)
    assert (first["To"].addresses[0].addr_spec, second["To"].addresses[0].addr_spec) == (
        "ana@contoso.test",
        "bob@contoso.test",
    )
    assert first["Subject"] == "[INC-000001] Reminder 1: your action is needed: Odd sign-in"
    assert second["Subject"] == "[INC-000001] Reminder 2: your action is needed: Odd sign-in"
    assert second["Auto-Submitted"] == "auto-generated"
    text = second.get_body(("plain",)).get_content()
    assert "Reset the password" in text
    assert "Isolate" not in text, "it is done"
    assert "Block the sender" not in text, "experts do it"
    with record.database.reading() as conn:
        notes = [one.text for one in timeline_of(conn, record.incident.id) if one.kind is EntryKind.NOTE]
    assert notes == ["The customer has not answered. Telephone Bob May <bob@contoso.test>: +1 555 0100."]


TITLES = {
    "a link": ("Block https://evil.test/login", "Block hxxps[:]//evil[.]test/login"),
    "a link without a scheme": ("Block www.evil.test now", "Block www[.]evil[.]test now"),
    "control characters": ("Reset the\r\npassword \u202enow", "Reset the password now"),
    "more than one step may be": ("Reset " + "x" * 2_000, "Reset xxx"),
}


@pytest.mark.parametrize("title", TITLES)
def test_a_task_whose_title_experts_wrote_freely_keeps_no_reminder_back(world, record, title):
    given, shown = TITLES[title]
    world.write(add_task, record.incident, given, TaskSource.GUIDED_RESPONSE, NOW, by="Ana")
    ask(world, record)
    look(world, record, NOW + DAY)
    work_at(world, NOW + DAY)
    (mail,) = sent(world)
    assert shown in " ".join(mail.get_body(("plain",)).get_content().split())


@pytest.mark.parametrize("long", [False, True])
def test_experts_are_told_once_to_telephone_and_the_longer_form_says_whom(world, record, long):
    world.write(add_contact, record.incident.organisation_id, "bob@contoso.test", "Bob May", NOW, phone="+1 555 0100")
    rules = AlertRules(team=("team@desk.test",), long=long)
    world.write(order_alerts, rules, NOW)
    ask(world, record)
    for days in (1, 3, 4):
        look(world, record, NOW + days * DAY)
    now = NOW + 4 * DAY
    assert world.write(order_alerts, rules, now) == (OrderOutcome.ORDERED,)
    assert world.write(order_alerts, rules, now + DAY) == (), "it is told once"
    with record.database.reading() as conn:
        told = conn.execute(select(automatic_orders.c.params).where(automatic_orders.c.kind == "alert")).scalar()
    (line,) = alert_facts(json.loads(told)).lines
    assert line.startswith("INC-000001: the customer does not answer and is to be telephoned, 2026-11-29 12:00Z")
    assert ("Telephone Bob May <bob@contoso.test>: +1 555 0100." in line) is long


def test_experts_are_not_told_to_telephone_about_what_is_resolved_by_then(world, record):
    rules = AlertRules(team=("team@desk.test",))
    world.write(order_alerts, rules, NOW)
    ask(world, record)
    for days in (1, 3, 4):
        look(world, record, NOW + days * DAY)
    resolve(world, record, NOW + 4 * DAY)
    assert world.write(order_alerts, rules, NOW + 4 * DAY) == ()


def resolve(world, record, at):
    world.write(set_state, record.incident.id, State.RESOLVED, at, actor="Ana")


def answer(world, record, at):
    world.write(append, record.incident.id, at, EntryKind.MAIL_IN, actor="Ana Lee", mark=Mark.VERIFIED, text="Done.")


def call_in(world, record, at):
    world.write(append, record.incident.id, at, EntryKind.CALL, actor="Ana Lee", mark=Mark.REPORTED, text="Done.")


def compromise(world, record, at):
    with record.database.writing() as conn:
        distrust(conn, organisation(conn, record.incident.organisation_id), "an intruder", at, by="Ana")


def ask_again(world, record, at):
    world.write(append, record.incident.id, at, EntryKind.MAIL_OUT, actor="Ana", mark=Mark.EXPERT, text="And?")


ENDS = {
    "resolved": (resolve, "it is Resolved"),
    "answered by mail": (answer, "the customer has answered"),
    "answered on the telephone": (call_in, "the customer has answered"),
    "compromised": (compromise, "the customer's mail is marked untrusted"),
    "asked again": (ask_again, "the customer was asked again"),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_ends_before_the_look_orders_nothing(world, record, end):
    ask(world, record)
    ENDS[end][0](world, record, NOW + DAY - timedelta(seconds=1))
    assert look(world, record, NOW + DAY) == []
    assert world.write(take_step, record.incident.id, RULES, NOW + DAY) is None


@pytest.mark.parametrize("end", ENDS)
def test_what_ends_between_the_order_and_the_mail_is_not_sent(world, record, end):
    happens, why = ENDS[end]
    ask(world, record)
    assert [step.action for step in look(world, record, NOW + DAY)] == [Action.REMIND]
    happens(world, record, NOW + DAY)
    work_at(world, NOW + DAY)
    assert world.transport.given == []
    with record.database.reading() as conn:
        (order,) = list_orders(conn)
    assert order.state == OrderState.REFUSED.value
    assert why in order.reason


def merge(world, record, at):
    with record.database.writing() as conn:
        other = open_incident(conn, record.incident.organisation_id, "The same sign-in", at)
        merge_threads(conn, record.incident, other, at, by="Ana")


LATE_ENDS = {**ENDS, "merged": (merge, "another incident goes on for it")}
REFUSED_FOR_NOW = Handover("mx", Reply(450, "come back later"), Failure.REFUSED_FOR_NOW)


@pytest.fixture
def deferred(world, record):
    """A reminder that its server refused for now; returns when it is tried again."""
    ask(world, record)
    look(world, record, NOW + DAY)
    world.transport.answers = [REFUSED_FOR_NOW]
    work_at(world, NOW + DAY)
    (mail,) = world.outbox()
    assert (mail.state, mail.attempts) == (DeliveryState.DEFERRED, 1)
    return mail.next_attempt_at


@pytest.mark.parametrize("how", LATE_ENDS)
def test_a_reminder_that_was_refused_for_now_is_withdrawn_when_what_it_asks_for_is_done(world, record, deferred, how):
    happens, why = LATE_ENDS[how]
    happens(world, record, NOW + DAY)
    work_at(world, deferred)
    assert len(world.transport.given) == 1, "the first try, before the end"
    (mail,) = world.outbox()
    assert (mail.state, mail.last_reply) == (DeliveryState.WITHDRAWN, f"withdrawn: {why}")
    assert (mail.attempts, mail.next_attempt_at) == (1, None)
    assert [(one.kind, one.detail) for one in world.events][-1] == (EventKind.WITHDRAWN, why)
    with record.database.reading() as conn:
        told = [one.text for one in timeline_of(conn, mail.thread_id) if one.kind is EntryKind.NOTE]
    assert f"The reminder to ana@contoso.test was withdrawn: {why}." in told


def test_a_step_of_an_incident_that_was_merged_after_its_first_reminder_is_not_taken(world, record):
    """The order went along with the merge; its key still names where it belongs."""
    ask(world, record)
    look(world, record, NOW + DAY)
    merge(world, record, NOW + 2 * DAY)
    assert world.write(take_step, record.incident.id, RULES, NOW + 3 * DAY) is None


def test_a_reminder_that_is_still_needed_is_tried_again(world, deferred):
    work_at(world, deferred)
    assert len(world.transport.given) == 2
    assert world.outbox()[0].state is DeliveryState.DELIVERED


def test_a_person_who_retries_a_withdrawn_reminder_does_not_remind_of_what_is_resolved(world, record, deferred):
    resolve(world, record, NOW + DAY)
    work_at(world, deferred)
    (mail,) = world.outbox()
    world.write(retry_now, mail.outgoing_id, deferred)
    work_at(world, deferred)
    assert len(world.transport.given) == 1
    assert world.outbox()[0].state is DeliveryState.WITHDRAWN


def test_a_reminder_that_waits_for_its_first_try_is_withdrawn_too(world, record):
    ask(world, record)
    look(world, record, NOW + DAY)
    checks = [SelfCheck(genuine=False, verdict="temperror", reason="DNS is silent", temporary=True)]

    async def silent_once(_raw):
        return checks.pop() if checks else SelfCheck(genuine=True, verdict="genuine")

    world.check = silent_once
    work_at(world, NOW + DAY)
    resolve(world, record, NOW + DAY)
    work_at(world, NOW + DAY + RECHECK)
    assert world.transport.given == []
    assert world.outbox()[0].state is DeliveryState.WITHDRAWN


def test_what_may_have_arrived_already_says_so_when_it_is_withdrawn(world, record):
    ask(world, record)
    look(world, record, NOW + DAY)
    world.transport.answers = [Handover("mx", Reply(0, ""), Failure.TIMEOUT, in_doubt=True)]
    work_at(world, NOW + DAY)
    resolve(world, record, NOW + DAY)
    work_at(world, NOW + 2 * DAY)
    assert world.timeline()[-1].text == (
        "The reminder to ana@contoso.test was withdrawn: it is Resolved. An earlier try may have arrived all the same."
    )


def test_mail_that_is_no_reminder_is_asked_nothing_and_leaves_though_its_incident_is_resolved(world, record, monkeypatch):
    def asked(*_):
        raise AssertionError("a question for each mail would slow all of them")

    monkeypatch.setattr("outbound.worker.withdraw_needless", asked)
    world.queue()
    resolve(world, record, NOW)
    work_at(world, NOW)
    assert world.outbox()[0].state is DeliveryState.DELIVERED


def test_a_contacts_name_cannot_put_lines_into_the_note_to_telephone(world, record):
    hostile = "Bob\r\nState: Active -> Resolved\u2028Ana\u202e"
    world.write(add_contact, record.incident.organisation_id, "bob@contoso.test", hostile, NOW, phone="+1\n555")
    ask(world, record)
    for days in (1, 3, 4):
        look(world, record, NOW + days * DAY)
    assert world.timeline()[-1].text == (
        "The customer has not answered. Telephone Bob State: Active -> Resolved Ana <bob@contoso.test>: +1 555."
    )


def test_a_new_question_begins_anew(world, record):
    ask(world, record)
    look(world, record, NOW + DAY)
    ask_again(world, record, NOW + 2 * DAY)
    assert look(world, record, NOW + 2.5 * DAY) == []
    (step,) = look(world, record, NOW + 3 * DAY)
    assert (step.number, step.reminder) == (1, 1)


def test_an_address_that_gets_nothing_is_passed_over(world, record):
    world.write(add_contact, record.incident.organisation_id, "bob@contoso.test", "Bob May", NOW)
    world.write(suppress, "ana@contoso.test", "asked us to", NOW, actor="Ana")
    ask(world, record)
    (step,) = look(world, record, NOW + DAY)
    assert step.contact.address == "bob@contoso.test"


def test_a_question_of_the_customer_is_never_the_subject_of_a_reminder(world, record):
    inquiry = world.write(open_inquiry, record.incident.organisation_id, "Buy now", NOW)
    world.write(set_state, inquiry.id, State.AWAITING_CUSTOMER, NOW, actor="Ana")
    assert look(world, record, NOW + 30 * DAY) == []


def test_who_marks_a_customer_untrusted_while_a_reminder_is_looked_at_waits_in_no_circle(server):  # noqa: F811
    """On PostgreSQL, where both lock rows: the mark, the mail, the thread, in this order."""
    database = open_database(server)
    with database.writing() as conn:
        conn.exec_driver_sql("DROP SCHEMA public CASCADE")
        conn.exec_driver_sql("CREATE SCHEMA public")
    upgrade(database)
    with database.writing() as conn:
        customer = add_organisation(conn, "Contoso", NOW)
        contact = add_contact(conn, customer.id, "ana@contoso.test", "Ana Lee", NOW)
        incident = open_incident(conn, customer.id, "Odd sign-in", NOW)
        set_state(conn, incident.id, State.AWAITING_CUSTOMER, NOW, actor="Ana")
        key = f"order:reminder:{incident.id}:{timeline_of(conn, incident.id)[-1].id}:1"
        values = row(1, incident.id) | {"kind": "reminder", "idempotency_key": key, "contact_id": contact.id}
        number = conn.execute(insert(outgoing).values(**values).returning(outgoing.c.id)).scalar_one()
        leased = {"state": "leased", "attempts": 1, "last_reply": "", "updated_at": NOW, "lease_until": NOW + DAY}
        conn.execute(insert(deliveries).values(outgoing_id=number, **leased))
    found = []

    def withdraw():
        with database.writing() as conn:
            found.append(withdraw_needless(conn, number, NOW))

    worker = threading.Thread(target=withdraw)
    with database.writing() as conn:
        distrust(conn, organisation(conn, customer.id), "an intruder", NOW, by="Ana")
        worker.start()
        waits = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        deadline = time.monotonic() + 30
        waiting = 0
        while not waiting and time.monotonic() < deadline:  # until the worker waits for the mark
            time.sleep(0.01)
            with database.reading() as watching:  # anew: a transaction sees the activity that it saw first
                waiting = watching.execute(waits).scalar_one()
        assert waiting
        assert withhold_waiting(conn, customer.id, NOW) == (1, 0)
    worker.join(timeout=30)
    assert found == ["it is withheld by now"], "and it does not leave"
    with database.reading() as conn:
        assert conn.execute(select(deliveries.c.state)).scalar() == "withheld"
    database.close()
