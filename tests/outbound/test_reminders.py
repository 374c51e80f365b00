"""A customer is reminded of what awaits them, on time and once; of what is resolved or answered never."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from outbound.orders import OrderError
from outbound.reminders import (
    PLANS,
    Action,
    ReminderRules,
    Step,
    Waiting,
    next_step,
    reminder,
    reminder_facts,
    step_of,
    why_not,
)
from tests.outbound.conftest import NOW
from threads.model import Assignee, Contact, ContactKind, Severity, State, Thread, ThreadKind

RULES = ReminderRules()
HOUR = timedelta(hours=1)
THREAD = Thread(
    1,
    ThreadKind.INCIDENT,
    "INC-000001",
    "Odd sign-in",
    State.AWAITING_CUSTOMER,
    Severity.HIGH,
    Assignee.CUSTOMER if hasattr(Assignee, "CUSTOMER") else next(iter(Assignee)),
    1,
    NOW,
    NOW,
)
ANA = Contact(1, 1, "ana@contoso.test", "Ana Lee", ContactKind.INCIDENT_NOTIFICATION, phone="+1 555 0100")
BOB = Contact(2, 1, "bob@contoso.test", "Bob May", ContactKind.INCIDENT_NOTIFICATION)
SOC = Contact(3, 1, "soc@contoso.test", "SOC", ContactKind.INCIDENT_NOTIFICATION, phone="+1 555 0199")
WAITING = Waiting(THREAD, 7, NOW, asked=BOB.id, contacts=(ANA, BOB, SOC), phones=(ANA, SOC))


def walk(waiting, rules=RULES, hours=400):
    """All steps of a thread where nothing else happens: (hours after the question, action, who)."""
    taken = []
    for hour in range(hours):
        now = NOW + hour * HOUR
        while (step := next_step(waiting, rules, now)) is not None:
            taken.append((hour, step.action.value, step.contact.name if step.contact else None))
            waiting = replace(waiting, rounds=waiting.rounds + 1, last=now)
    return taken


@pytest.mark.parametrize(
    ("severity", "steps"),
    [
        (Severity.HIGH, [(4, "remind", "Bob May"), (12, "next", "Ana Lee"), (16, "telephone", "SOC")]),
        (Severity.MEDIUM, [(24, "remind", "Bob May"), (72, "next", "Ana Lee"), (96, "telephone", "SOC")]),
        (Severity.LOW, [(72, "remind", "Bob May"), (168, "remind", "Bob May")]),
        (Severity.INFORMATIONAL, [(168, "remind", "Bob May")]),
        (None, [(24, "remind", "Bob May"), (72, "next", "Ana Lee"), (96, "telephone", "SOC")]),
    ],
)
def test_the_severity_says_when_and_how_it_goes_on(severity, steps):
    assert walk(replace(WAITING, thread=replace(THREAD, severity=severity))) == steps


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"thread": replace(THREAD, state=State.RESOLVED)}, "it is Resolved"),
        ({"thread": replace(THREAD, state=State.IN_PROGRESS)}, "it is In progress"),
        ({"thread": replace(THREAD, merged_into=2)}, "another incident goes on for it"),
        ({"thread": replace(THREAD, kind=ThreadKind.INQUIRY)}, "it is no incident"),
        ({"answered": True}, "the customer has answered"),
        ({"untrusted": True}, "the customer's mail is marked untrusted"),
        ({"wait": None}, "nobody asked the customer"),
    ],
)
def test_what_needs_no_answer_has_no_next_step(changed, why):
    waiting = replace(WAITING, **changed)
    assert why_not(waiting) == why
    assert walk(waiting) == []


def test_with_one_contact_the_next_one_is_the_same_and_with_none_experts_telephone():
    assert walk(replace(WAITING, contacts=(BOB,), phones=()))[1:] == [
        (12, "next", "Bob May"),
        (16, "telephone", None),
    ]
    assert walk(replace(WAITING, contacts=(), phones=(ANA,)))[0] == (4, "telephone", "Ana Lee")


def test_after_an_outage_the_customer_gets_one_reminder_and_not_all_that_were_due():
    late = NOW + timedelta(days=10)
    step = next_step(WAITING, RULES, late)
    assert (step.number, step.action) == (1, Action.REMIND)
    after = replace(WAITING, rounds=1, last=late)
    assert next_step(after, RULES, late + 7 * HOUR) is None
    assert next_step(after, RULES, late + 8 * HOUR).action is Action.NEXT


def test_the_subject_says_which_reminder_it_is_and_a_call_is_none():
    plan = (Step(HOUR, Action.REMIND), Step(HOUR, Action.TELEPHONE), Step(HOUR, Action.NEXT))
    rules = ReminderRules({Severity.HIGH: plan})
    third = next_step(replace(WAITING, rounds=2, last=NOW), rules, NOW + HOUR)
    assert (third.number, third.reminder) == (3, 2)


@pytest.mark.parametrize(
    ("words", "step"),
    [
        ("4h remind", Step(4 * HOUR, Action.REMIND)),
        (" 90m next ", Step(1.5 * HOUR, Action.NEXT)),
        ("2 d telephone", Step(48 * HOUR, Action.TELEPHONE)),
    ],
)
def test_a_step_is_a_time_and_an_action(words, step):
    assert step_of(words) == step


@pytest.mark.parametrize("words", ["", "4h", "remind", "0h remind", "-1h remind", "4w remind", "4h shout", "٤h remind"])
def test_what_is_no_step_is_refused(words):
    with pytest.raises(ValueError, match="a step is a time"):
        step_of(words)


def test_a_reminder_states_nothing_but_its_own_facts():
    step = next_step(WAITING, RULES, NOW + 4 * HOUR)
    order = reminder(WAITING, step, ["Reset\nthe password"], NOW)
    facts = reminder_facts(order.params, THREAD)
    assert facts == {
        "title": "Odd sign-in",
        "number": 1,
        "since": NOW,
        "severity": "High",
        "pending": ("Reset the password",),
    }
    for bad in (
        {"number": 0},
        {"number": True},
        {"since": "yesterday"},
        {"since": "2026-11-25T12:00:00"},
        {"pending_1": "two\nlines"},
        {"title": "another"},
        {"pending_3": "a gap before it"},
    ):
        with pytest.raises(OrderError):
            reminder_facts({**order.params, **bad}, THREAD)
    with pytest.raises(OrderError):
        reminder_facts(order.params, replace(THREAD, kind=ThreadKind.INQUIRY))


# -- under a moving clock ---------------------------------------------------------------------------------
DAYS = 60
LOOK = timedelta(hours=2)
"""Between two looks of the simulation; a step may be so late, and no later."""


@dataclass
class Story:
    """What happens on one incident: when the customer is asked, and when that ends, if it does."""

    severity: Severity
    asked: datetime
    ends: datetime | None
    by: str


def stories(number: int, seed: int) -> list[Story]:
    chance = random.Random(seed)
    made = []
    for _ in range(number):
        asked = NOW + timedelta(minutes=chance.randrange((DAYS - 25) * 24 * 60))
        # Every second one ends near a step, a quarter never.
        severity = chance.choice(list(Severity))
        step = sum((one.after for one in PLANS[severity][: chance.randrange(1, 4)]), timedelta(0))
        near = asked + step + timedelta(minutes=chance.randrange(-25, 25))
        any_time = asked + timedelta(minutes=chance.randrange(1, 20 * 24 * 60))
        ends = chance.choice([near, near, any_time, None])
        made.append(Story(severity, asked, ends, chance.choice(["resolved", "answered", "untrusted", "merged"])))
    return made


def expected(story: Story, looks_until: datetime) -> tuple[list[tuple[datetime, datetime]], set[int]]:
    """Of each step: the time from which it is due, and the last time at which it has to be taken; and which may be missing
    because the end came between the two. Told without the code under test."""
    plan, due, steps, open_ = PLANS[story.severity], story.asked, [], set()
    slack = timedelta(0)
    for number, one in enumerate(plan):
        due, slack = due + one.after, slack + LOOK
        if due > looks_until or (story.ends is not None and due >= story.ends):
            break
        if due + slack > looks_until or (story.ends is not None and due + slack >= story.ends):
            open_.add(number)
        steps.append((due, due + slack))
    return steps, open_


def judge(made: list[Story], taken: dict[int, list[datetime]], until: datetime) -> dict[str, int]:
    """Count what went wrong."""
    wrong = {"after the end": 0, "missed": 0, "too many": 0, "early": 0, "late": 0}
    for number, story in enumerate(made):
        steps, may_lack = expected(story, until)
        times = taken.get(number, [])
        wrong["after the end"] += sum(story.ends is not None and at >= story.ends for at in times)
        wrong["too many"] += max(0, len(times) - len(steps))
        wrong["missed"] += sum(n >= len(times) and n not in may_lack for n in range(len(steps)))
        wrong["early"] += sum(at < due for at, (due, _) in zip(times, steps, strict=False))
        wrong["late"] += sum(at > latest for at, (_, latest) in zip(times, steps, strict=False))
    return wrong


def later(at: datetime, marks: list[datetime], chance: random.Random) -> datetime | None:
    """The next look at an incident: close together around each time at which something may happen, and some in between."""
    if any(-4 * LOOK < mark - at < LOOK / 2 for mark in marks):
        return at + timedelta(minutes=chance.randrange(60, 120))
    ahead = [mark - at for mark in marks if mark > at]
    return at + max(LOOK / 2, (min(ahead) - LOOK / 2) * chance.choice([0.5, 1])) if ahead else None


NOTHING_WRONG = {"after the end": 0, "missed": 0, "too many": 0, "early": 0, "late": 0}


def test_ten_thousand_incidents_in_sixty_days_are_reminded_of_on_time_and_never_after_their_end():
    """The decision alone: each incident is looked at whenever its next step can be due, and around its end."""
    made = stories(10_000, seed=9)
    until = NOW + timedelta(days=DAYS)
    chance = random.Random(10)
    taken: dict[int, list[datetime]] = {}
    marks = [
        sorted([*(due for due, _ in expected(story, until)[0]), *filter(None, [story.ends])]) for story in made
    ]
    queue = [(story.asked, number) for number, story in enumerate(made)]
    heapq.heapify(queue)
    while queue:
        at, number = heapq.heappop(queue)
        story, times = made[number], taken.setdefault(number, [])
        ended = story.ends is not None and at >= story.ends
        thread = replace(THREAD, id=number + 1, severity=story.severity)
        waiting = replace(WAITING, thread=thread, since=story.asked, rounds=len(times), last=times[-1] if times else None)
        if ended:
            waiting = {
                "resolved": replace(waiting, thread=replace(thread, state=State.RESOLVED)),
                "answered": replace(waiting, answered=True),
                "untrusted": replace(waiting, untrusted=True),
                "merged": replace(waiting, thread=replace(thread, merged_into=1)),
            }[story.by]
        if next_step(waiting, RULES, at) is not None:
            times.append(at)
        again = later(at, marks[number], chance)
        if again is not None and again < until:
            heapq.heappush(queue, (again, number))
    assert judge(made, taken, until) == NOTHING_WRONG
    assert sum(map(len, taken.values())) > 10_000
