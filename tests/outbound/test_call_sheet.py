"""Whom to telephone in a break-glass case: order, hours, rounds, outcomes, and when nobody is called. Told as tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from outbound.call_hours import good_from, window, zone_of
from outbound.call_sheet import (
    PACES,
    Call,
    Emergency,
    Outcome,
    Then,
    call_sheet,
    call_text,
    in_order,
    number_key,
    overdue,
    tell_note,
    why_nobody,
)
from threads.model import Assignee, Contact, ContactKind, Severity, State, Thread, ThreadKind

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)  # a Wednesday
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
THREAD = Thread(
    1, ThreadKind.INCIDENT, "INC-000001", "Ransomware", State.ACTIVE, Severity.HIGH, Assignee.DEFENDER_EXPERTS, 1, NOW, NOW
)  # fmt: skip
KIND = ContactKind.INCIDENT_NOTIFICATION


def contact(
    number: int,
    name: str,
    *,
    order: int | None = None,
    zone: str | None = "UTC",
    phone: str | None = "+1 555 01",
) -> Contact:
    given = None if phone is None else f"{phone}{number:02}"
    return Contact(
        number, 1, f"{name.lower()}@contoso.test", name, KIND, phone=given, call_order=order, time_zone=zone
    )


ANA, BOB, CAM = contact(1, "Ana", order=2), contact(2, "Bob", order=1), contact(3, "Cam")
CASE = Emergency(THREAD, NOW, "it spreads", "eva", people=(ANA, BOB, CAM))
MEDIUM = replace(CASE, thread=replace(THREAD, severity=Severity.MEDIUM))


def called(
    who: Contact, minutes: float, outcome: Outcome = Outcome.NO_ANSWER, number: str | None = None
) -> Call:
    key = number_key(number or who.phone or "") if outcome is Outcome.WRONG_NUMBER else ""
    return Call(who.id, NOW + minutes * MINUTE, outcome, "eva", key)


def after(case: Emergency, *calls: Call) -> Emergency:
    wrong = {one.contact_id: one.number_key for one in calls if one.number_key}
    return replace(case, calls=calls, wrong=wrong)


def due(case: Emergency, minutes: float = 0) -> str | None:
    turn = call_sheet(case, NOW + minutes * MINUTE).due
    return None if turn is None else turn.contact.name if turn.contact else "nobody has a number"


@pytest.mark.parametrize(
    ("people", "order"),
    [
        ([ANA, BOB, CAM], "Bob Ana Cam"),
        ([CAM, contact(4, "Abe")], "Abe Cam"),
        ([contact(5, "Zoe", order=1), BOB], "Bob Zoe"),
        ([ANA, contact(4, "Abe", phone=None), replace(BOB, phone="  ")], "Ana"),
    ],
)
def test_who_has_a_place_comes_first_then_the_others_by_address_and_nobody_without_a_number(people, order):
    assert " ".join(one.name for one in in_order(people)) == order


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"thread": replace(THREAD, kind=ThreadKind.INQUIRY)}, "it is no incident"),
        ({"thread": replace(THREAD, state=State.RESOLVED)}, "it is resolved"),
        ({"thread": replace(THREAD, merged_into=2)}, "another incident goes on for it"),
        ({"thread": replace(THREAD, emptied_at=NOW)}, "its content was removed"),
        ({"erased": True}, "its content was removed"),
        ({"since": None}, "it is not in break-glass"),
        ({"calls": (called(ANA, 3, Outcome.REACHED),)}, "somebody was reached at 2026-11-25 12:03 UTC"),
    ],
)
def test_nobody_is_called(changed, why):
    one = replace(CASE, **changed)
    assert why_nobody(one) == why
    for severity in Severity:
        sheet = call_sheet(replace(one, thread=replace(one.thread, severity=severity)), NOW + HOUR)
        assert (sheet.nobody, sheet.due, sheet.waits, sheet.then) == (why, None, None, None)
        assert overdue(sheet, None, NOW + timedelta(days=9)) is None
        assert len(sheet.lines) == 3, "the numbers are shown all the same"


def test_a_customer_whose_mail_is_untrusted_is_called_above_all():
    assert due(replace(CASE, untrusted=True)) == "Bob"


@pytest.mark.parametrize(
    ("calls", "at", "who"),
    [
        ([], 0, "Bob"),
        ([], 600, "Bob"),  # a call that nobody makes stays due
        ([called(BOB, 1)], 1, "Ana"),  # High: the next one at once
        ([called(BOB, 1, Outcome.BUSY), called(ANA, 2, Outcome.VOICEMAIL)], 2, "Cam"),
        ([called(CAM, 1)], 1, "Bob"),  # out of order: the order goes on with who was not called
        ([called(BOB, 1), called(ANA, 2), called(CAM, 3)], 17.9, None),
        ([called(BOB, 1), called(ANA, 2), called(CAM, 3)], 18, "Bob"),  # the next round
        ([called(BOB, 1), called(ANA, 2), called(CAM, 3), called(BOB, 18)], 18, "Ana"),
        ([called(BOB, 1, Outcome.REFUSED)], 1, "Ana"),
        ([called(BOB, -5, Outcome.REACHED)], 0, "Bob"),  # before it began
        ([called(BOB, 1, Outcome.WRONG_NUMBER)], 1, "Ana"),
        ([called(BOB, 1, Outcome.WRONG_NUMBER), called(ANA, 2), called(CAM, 3)], 18, "Ana"),
        ([called(one, 1, Outcome.WRONG_NUMBER) for one in (BOB, ANA, CAM)], 2, "nobody has a number"),
        ([called(BOB, 1, Outcome.WRONG_NUMBER, "+1 555 0199")], 1, "Bob"),  # another number by now
    ],
)
def test_rounds_of_a_severe_incident(calls, at, who):
    assert due(after(CASE, *calls), at) == who


@pytest.mark.parametrize(
    ("calls", "at", "who"),
    [
        ([], 0, "Bob"),
        ([called(BOB, 0)], 14, None),
        ([called(BOB, 0)], 15, "Ana"),
        ([called(BOB, 0, Outcome.WRONG_NUMBER)], 0, "Ana"),
        (
            [called(BOB, 0), called(ANA, 5, Outcome.WRONG_NUMBER)],
            14,
            None,
        ),  # the first one may still call back
        ([called(BOB, 0), called(ANA, 15), called(CAM, 30)], 149, None),
        ([called(BOB, 0), called(ANA, 15), called(CAM, 30)], 150, "Bob"),
        ([], 8 * 60 - 1, "Bob"),
        ([], 8 * 60, None),  # 20:00
        ([], 20 * 60, "Bob"),  # 08:00 of the next day
    ],
)
def test_rounds_of_another_one(calls, at, who):
    assert due(after(MEDIUM, *calls), at) == who


def test_another_spelling_of_a_wrong_number_is_no_other_number_and_another_one_is_called():
    wrong = after(replace(CASE, people=(BOB,)), called(BOB, 1, Outcome.WRONG_NUMBER))
    assert due(replace(wrong, people=(replace(BOB, phone="(001) 555-01 03"),)), 2) == "Bob"
    for spelt in ("+1 (555) 01-02", "001 555 0102"):
        assert due(replace(wrong, people=(replace(BOB, phone=spelt),)), 2) == "nobody has a number"
    assert due(replace(wrong, people=(BOB, contact(9, "New"))), 2) == "New"


def test_a_contact_who_comes_while_calls_are_made_is_called_in_their_place():
    tried = after(CASE, called(BOB, 1), called(ANA, 2))
    assert due(replace(tried, people=(*CASE.people, contact(4, "Abe", order=1))), 2) == "Abe"
    assert due(replace(tried, people=(ANA, BOB)), 2) is None, "who left is not waited for: the round is over"


@pytest.mark.parametrize(
    ("zone", "at", "good"),
    [
        ("Europe/Madrid", "2026-11-25T06:59", "2026-11-25T07:00"),  # 07:59 there
        ("Europe/Madrid", "2026-11-25T07:00", "2026-11-25T07:00"),
        ("Europe/Madrid", "2026-11-25T18:59", "2026-11-25T18:59"),
        ("Europe/Madrid", "2026-11-25T19:00", "2026-11-26T07:00"),  # 20:00 there
        ("Europe/Madrid", "2026-11-27T19:00", "2026-11-30T07:00"),  # Friday evening to Monday
        ("Asia/Tokyo", "2026-11-29T22:59", "2026-11-29T23:00"),  # Monday 08:00 there, Sunday in UTC
        (
            "America/Los_Angeles",
            "2026-11-28T03:59",
            "2026-11-28T03:59",
        ),  # Friday 19:59 there, Saturday in UTC
        ("America/Los_Angeles", "2026-11-28T04:00", "2026-11-30T16:00"),
        ("Europe/Madrid", "2026-03-27T19:30", "2026-03-30T06:00"),  # summer time began in between
        ("Europe/Madrid", "2026-10-23T18:30", "2026-10-26T07:00"),  # and ended
        ("America/New_York", "2026-03-06T13:00", "2026-03-06T13:00"),
        (
            "America/New_York",
            "2026-03-09T12:00",
            "2026-03-09T12:00",
        ),  # an hour earlier by UTC from that day on
        ("Asia/Kathmandu", "2026-11-25T02:14", "2026-11-25T02:15"),  # 05:45 ahead
        ("Pacific/Kiritimati", "2026-11-29T17:59", "2026-11-29T18:00"),  # 14 hours ahead
    ],
)
def test_a_good_time_is_from_8_to_20_on_weekdays_there(zone, at, good):
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    found = good_from(ZoneInfo(zone), moment)
    assert found == datetime.fromisoformat(good).replace(tzinfo=UTC)
    assert (window(ZoneInfo(zone), moment) is not None) == (found == moment)


def test_while_it_is_night_where_the_first_one_is_the_next_one_in_order_is_called():
    far, near = (
        contact(1, "Far", order=1, zone="Asia/Tokyo"),
        contact(2, "Near", order=2, zone="Europe/Madrid"),
    )
    case = replace(MEDIUM, people=(far, near))
    sheet = call_sheet(case, NOW)
    assert (sheet.due.contact, sheet.due.until) == (near, NOW.replace(hour=19))
    assert [(one.contact.name, one.good, one.local.hour) for one in sheet.lines] == [
        ("Far", False, 21),
        ("Near", True, 13),
    ]
    assert due(case, 7 * 60) is None
    late = call_sheet(case, NOW + 7 * HOUR)
    assert late.waits == (far, NOW.replace(hour=23)), "whose morning comes first"
    assert due(case, 11 * 60) == "Far"
    assert due(replace(case, thread=THREAD)) == "Far", "a severe one knows no night"


@pytest.mark.parametrize(
    "zone",
    [None, "", "Mars/Olympus", "../../etc/passwd", "Europe", "Europe/Mad\0rid", "x" * 65, "/etc/localtime"],
)
def test_an_unknown_zone_is_said_and_its_hours_are_those_of_utc(zone):
    assert zone_of(zone) is None
    who = replace(BOB, time_zone=zone)
    sheet = call_sheet(replace(MEDIUM, people=(who,)), NOW)
    (line,) = sheet.lines
    assert (line.zone, line.unknown_zone, line.good) == ("", zone or "", True)
    assert "time zone unknown" in tell_note(sheet, sheet.due)


def test_experts_are_told_once_of_a_call_that_nobody_made():
    sheet = call_sheet(CASE, NOW + 4 * MINUTE)
    assert overdue(sheet, None, NOW + 4 * MINUTE) is None
    sheet = call_sheet(CASE, NOW + 5 * MINUTE)
    turn = overdue(sheet, None, NOW + 5 * MINUTE)
    assert turn.contact is BOB
    assert tell_note(sheet, turn) == (
        "Break-glass: a call is due since 2026-11-25 12:00 UTC, and nobody has recorded one. "
        "Telephone Bob <bob@contoso.test>: +1 555 0102 (en, 12:05 there)."
    )
    assert overdue(sheet, NOW + 5 * MINUTE, NOW + 9 * HOUR) is None
    next_ = call_sheet(after(CASE, called(BOB, 30)), NOW + 35 * MINUTE)
    assert overdue(next_, NOW + 5 * MINUTE, NOW + 35 * MINUTE).contact is ANA
    empty = call_sheet(replace(CASE, people=()), NOW + 5 * MINUTE)
    assert "No contact has a telephone number that works" in tell_note(
        empty, overdue(empty, None, NOW + 5 * MINUTE)
    )


def test_what_comes_after_a_call_is_said_before_it():
    assert call_sheet(CASE, NOW).then == Then(ANA, 0 * MINUTE, new_round=False)
    last = call_sheet(after(MEDIUM, called(BOB, 0), called(ANA, 15)), NOW + 30 * MINUTE)
    assert last.due.contact is CAM
    assert last.then == Then(BOB, 2 * HOUR, new_round=True)


def test_each_severity_has_a_pace_and_a_more_severe_one_is_never_slower():
    assert set(PACES) == set(Severity)
    order = [Severity.HIGH, Severity.MEDIUM, Severity.LOW, Severity.INFORMATIONAL]
    for what in ("next_after", "round_after", "tell_after"):
        values = [getattr(PACES[one], what) for one in order]
        assert values == sorted(values)
    assert [one for one in order if PACES[one].any_hour] == [Severity.HIGH]


def test_the_timeline_says_who_was_called_and_not_the_number():
    text = call_text(replace(BOB, name="Bob\nMay"), Outcome.WRONG_NUMBER, " a bakery ")
    assert text == "Called Bob May <bob@contoso.test>: wrong number.\na bakery"
