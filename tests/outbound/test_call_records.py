"""Break-glass and calls in the record: what is refused, what the timeline and the audit trail say, and what ends it by itself."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from outbound.call_sheet import Outcome
from outbound.reminders import ReminderRules
from outbound.store.call_sheets import (
    due_to_tell,
    open_sheets,
    sheet_of,
    tell_of_call,
)
from outbound.store.calls import (
    BEGAN,
    ENDED,
    begin_break_glass,
    end_break_glass,
    record_call,
)
from outbound.store.reminders import due_reminders
from tests.outbound.conftest import NOW
from threads.model import ContactKind, EntryKind, Mark, Severity, State
from threads.store.answer_times import answer_times
from threads.store.audit import list_audit
from threads.store.errors import RefusedRecord
from threads.store.inquiries import history
from threads.store.moving import merge_threads
from threads.store.people import add_contact, add_organisation, change_contact, remove_contact
from threads.store.thread import (
    append,
    open_incident,
    open_inquiry,
    set_state,
    thread_by_id,
    timeline_of,
)

MINUTE = timedelta(minutes=1)


@pytest.fixture
def conn(record):
    with record.database.writing() as conn:
        yield conn


@pytest.fixture
def ana(conn, record):
    return change_contact(conn, record.contact, phone="+1 555 0100", time_zone="Europe/Madrid", call_order=2)


@pytest.fixture
def incident(conn, record, ana):
    return open_incident(conn, ana.organisation_id, "Ransomware", NOW, severity=Severity.HIGH)


def due(conn, thread, minutes=0):
    return sheet_of(conn, thread_by_id(conn, thread.id), NOW + minutes * MINUTE).due


def test_it_begins_and_ends_on_the_timeline_and_in_the_audit_trail_and_the_reason_is_not_shown(
    conn, incident, ana
):
    assert due(conn, incident) is None
    begin_break_glass(conn, incident, " it\n spreads ", NOW, by="eva")
    assert due(conn, incident).contact == ana
    sheet = sheet_of(conn, incident, NOW)
    assert (sheet.emergency.reason, sheet.emergency.by) == ("it spreads", "eva")
    end_break_glass(conn, incident, NOW + MINUTE, by="ivo")
    assert due(conn, incident, 2) is None
    told = [(one.kind, one.actor, one.text) for one in timeline_of(conn, incident.id)][1:]
    assert told == [(EntryKind.STATE, "eva", BEGAN), (EntryKind.STATE, "ivo", ENDED)]
    acts = [
        (one.act, json.loads(one.content)) for one in list_audit(conn) if one.act.startswith("break-glass")
    ]
    assert [(act, said["by"], said["detail"]) for act, said in acts] == [
        ("break-glass-ended", "ivo", ""),
        ("break-glass-began", "eva", "it spreads"),
    ]


def test_what_makes_no_sense_is_refused(conn, incident, ana):
    def refused(work, sentence):
        with pytest.raises(RefusedRecord, match=sentence):
            work()

    refused(lambda: begin_break_glass(conn, incident, " ", NOW, by="eva"), "Say why")
    refused(lambda: end_break_glass(conn, incident, NOW, by="eva"), "not in break-glass")
    begin_break_glass(conn, incident, "x", NOW, by="eva")
    refused(lambda: begin_break_glass(conn, incident, "x", NOW, by="eva"), "already")
    question = open_inquiry(conn, ana.organisation_id, "x", NOW)
    refused(lambda: begin_break_glass(conn, question, "x", NOW, by="eva"), "no incident")
    set_state(conn, incident.id, State.RESOLVED, NOW, actor="eva")
    refused(lambda: begin_break_glass(conn, incident, "x", NOW, by="eva"), "take it up again")
    refused(lambda: record_call(conn, incident, ana, Outcome.REACHED, " ", NOW, by="eva"), "what was said")
    other = add_organisation(conn, "Fabrikam", NOW)
    stranger = add_contact(conn, other.id, "s@fabrikam.test", "S", NOW, phone="+1")
    refused(
        lambda: record_call(conn, incident, stranger, Outcome.BUSY, "", NOW, by="eva"),
        "no contact of the customer",
    )
    assert [one.kind for one in timeline_of(conn, incident.id)].count(EntryKind.CALL) == 0


@pytest.mark.parametrize("zone", ["Mars/Olympus", "europe/madrid", "../x", "Europe/Madrid\0"])
def test_a_zone_that_nobody_knows_is_refused_and_so_is_a_place_that_is_none(conn, ana, zone):
    with pytest.raises(RefusedRecord, match="not a time zone"):
        change_contact(conn, ana, time_zone=zone)
    for place in (-1, 1_000):
        with pytest.raises(RefusedRecord, match="call order"):
            change_contact(conn, ana, call_order=place)
    after = change_contact(conn, ana, time_zone="", call_order=0)
    assert (after.time_zone, after.call_order) == (None, None)


def test_resolving_ends_it_and_who_takes_the_incident_up_again_has_to_begin_it_anew(conn, incident):
    begin_break_glass(conn, incident, "x", NOW, by="eva")
    set_state(conn, incident.id, State.RESOLVED, NOW + MINUTE, actor="eva")
    assert due(conn, incident, 2) is None
    set_state(conn, incident.id, State.IN_PROGRESS, NOW + 2 * MINUTE, actor="eva")
    assert due(conn, incident, 3) is None
    begin_break_glass(conn, thread_by_id(conn, incident.id), "again", NOW + 3 * MINUTE, by="eva")
    assert due(conn, incident, 3) is not None


def test_a_merged_incident_calls_nobody_and_the_one_that_goes_on_for_it_does_with_the_calls_so_far(
    conn, incident, ana
):
    bob = add_contact(conn, ana.organisation_id, "bob@contoso.test", "Bob", NOW, phone="+1 555 0101")
    begin_break_glass(conn, incident, "x", NOW, by="eva")
    record_call(conn, incident, ana, Outcome.BUSY, "", NOW + MINUTE, by="eva")
    into = open_incident(conn, ana.organisation_id, "Goes on", NOW, severity=Severity.HIGH)
    merge_threads(conn, incident, into, NOW + 2 * MINUTE, by="eva")
    assert (
        sheet_of(conn, thread_by_id(conn, incident.id), NOW + 3 * MINUTE).nobody
        == "another incident goes on for it"
    )
    assert due(conn, into, 3).contact == bob
    assert [one.sheet.emergency.thread.id for one in open_sheets(conn, NOW + 3 * MINUTE)] == [into.id]


def test_calls_are_on_the_timeline_and_who_was_reached_ends_it(conn, incident, ana):
    bob = add_contact(
        conn, ana.organisation_id, "bob@contoso.test", "Bob", NOW, phone="+1 555 0101", call_order=3
    )
    add_contact(
        conn, ana.organisation_id, "sdm@contoso.test", "Sue", NOW, phone="+1", kind=ContactKind.SERVICE_REVIEW
    )
    gone = add_contact(
        conn, ana.organisation_id, "gone@contoso.test", "Gone", NOW, phone="+1 555 0102", call_order=1
    )
    remove_contact(conn, gone, NOW)
    begin_break_glass(conn, incident, "x", NOW, by="eva")
    assert [one.contact.name for one in sheet_of(conn, incident, NOW).lines] == ["Ana Lee", "Bob"]
    record_call(conn, incident, ana, Outcome.WRONG_NUMBER, "a bakery", NOW + MINUTE, by="eva")
    assert due(conn, incident, 1).contact == bob
    record_call(conn, incident, bob, Outcome.REACHED, "He pulls the plug.", NOW + 2 * MINUTE, by="eva")
    assert due(conn, incident, 9) is None
    assert open_sheets(conn, NOW + 9 * MINUTE) == ()
    entries = [
        (one.actor, one.mark, one.text)
        for one in timeline_of(conn, incident.id)
        if one.kind is EntryKind.CALL
    ]
    assert entries == [
        ("eva", Mark.EXPERT, "Called Ana Lee <ana@contoso.test>: wrong number.\na bakery"),
        ("eva", Mark.EXPERT, "Called Bob <bob@contoso.test>: reached.\nHe pulls the plug."),
    ]


def test_a_number_that_is_wrong_is_wrong_for_other_incidents_too_until_it_is_another_one(conn, incident, ana):
    record_call(conn, incident, ana, Outcome.WRONG_NUMBER, "", NOW, by="eva")
    other = open_incident(conn, ana.organisation_id, "Another", NOW, severity=Severity.HIGH)
    begin_break_glass(conn, other, "x", NOW, by="eva")
    assert due(conn, other).contact is None, "a number has to be found"
    changed = change_contact(conn, ana, phone="+1 555 0177")
    assert due(conn, other).contact == changed
    record_call(conn, other, changed, Outcome.WRONG_NUMBER, "", NOW, by="eva", number="+1 555 0100")
    assert due(conn, other).contact == changed, "it was the old number that was called"


def test_experts_are_told_once_and_not_of_a_call_that_was_made_or_an_incident_that_ended(conn, incident, ana):
    begin_break_glass(conn, incident, "x", NOW, by="eva")

    def to_tell(minutes):
        at = NOW + minutes * MINUTE
        return due_to_tell(conn, open_sheets(conn, at), at)

    assert to_tell(4) == ()
    assert to_tell(5) == (incident.id,)
    assert tell_of_call(conn, incident.id, NOW + 5 * MINUTE).contact == ana
    assert tell_of_call(conn, incident.id, NOW + 5 * MINUTE) is None
    assert to_tell(500) == ()
    record_call(conn, incident, ana, Outcome.BUSY, "", NOW + 10 * MINUTE, by="eva")
    assert to_tell(29) == ()
    assert to_tell(30) == (incident.id,)
    end_break_glass(conn, incident, NOW + 30 * MINUTE, by="eva")
    assert tell_of_call(conn, incident.id, NOW + 31 * MINUTE) is None
    (note,) = [one for one in timeline_of(conn, incident.id) if one.kind is EntryKind.NOTE]
    assert "+1 555 0100" in note.text


def test_only_the_customers_somebody_sees_are_listed_what_is_due_first(conn, incident, ana):
    other = add_organisation(conn, "Fabrikam", NOW)
    add_contact(conn, other.id, "s@fabrikam.test", "S", NOW, phone="+1 555 2", time_zone="Asia/Tokyo")
    theirs = open_incident(conn, other.id, "Odd", NOW, severity=Severity.MEDIUM)
    begin_break_glass(conn, theirs, "x", NOW, by="eva")
    begin_break_glass(conn, incident, "x", NOW + MINUTE, by="eva")
    found = open_sheets(conn, NOW + 2 * MINUTE)
    assert [(one.customer, one.sheet.due is not None) for one in found] == [
        ("Contoso", True),
        ("Fabrikam", False),
    ]
    assert [one.customer for one in open_sheets(conn, NOW, organisations_={other.id})] == ["Fabrikam"]
    assert open_sheets(conn, NOW, organisations_=()) == ()


def test_a_call_that_reached_nobody_asks_the_customer_nothing_and_answers_nothing(conn, incident, ana):
    rules, day = ReminderRules(), timedelta(days=1)
    set_state(conn, incident.id, State.AWAITING_CUSTOMER, NOW, actor="eva")
    record_call(conn, incident, ana, Outcome.NO_ANSWER, "", NOW + timedelta(hours=3), by="eva")
    assert due_reminders(conn, rules, NOW + timedelta(hours=4)) == (incident.id,)
    record_call(conn, incident, ana, Outcome.REACHED, "tomorrow", NOW + timedelta(hours=3), by="eva")
    assert due_reminders(conn, rules, NOW + timedelta(hours=4)) == ()
    other = open_incident(conn, ana.organisation_id, "Another", NOW)
    append(conn, other.id, NOW, EntryKind.CHAT, actor="Ana", mark=Mark.REPORTED, text="Was that you?")
    record_call(conn, other, ana, Outcome.BUSY, "", NOW + MINUTE, by="eva")
    (times,) = answer_times(conn, NOW - day, None)
    assert (times.seconds, times.waiting) == ((), 1)
    record_call(conn, other, ana, Outcome.REACHED, "It was.", NOW + 2 * MINUTE, by="eva")
    (times,) = answer_times(conn, NOW - day, None)
    assert (times.seconds, times.waiting) == ((120.0,), 0)


def test_a_question_is_not_answered_by_a_call_that_reached_nobody(conn, ana):
    question = open_inquiry(conn, ana.organisation_id, "Is it safe?", NOW)
    append(conn, question.id, NOW, EntryKind.CHAT, actor="Ana", mark=Mark.REPORTED, text="Is it safe?")
    record_call(conn, question, ana, Outcome.NO_ANSWER, "", NOW + MINUTE, by="eva")

    def answers():
        (one,) = history(conn, NOW, NOW + timedelta(days=1), None)
        return [each.text for each in one.answers]

    assert answers() == []
    record_call(conn, question, ana, Outcome.REACHED, "It is.", NOW + 2 * MINUTE, by="eva")
    assert len(answers()) == 1
