"""When a customer is reminded of an incident that awaits their action, whom the reminder goes to, and when to telephone. Pure.

Nothing is planned ahead: each step is worked out from how things stand at that moment, so that what is resolved or answered
has no next step. A plan is a list of steps; each is due a time after the one before, the first one after the question.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from outbound.model import AutomaticCaps, AutomaticOrder, MailKind, Scalar, Value
from outbound.orders import OrderError
from threads.model import Contact, Severity, State, Thread, ThreadKind

MAX_STEPS: Final = 10
"""Steps of one plan: whoever was silent that often is not reached by mail."""
MAX_PENDING: Final = 20
"""Tasks that a reminder lists; the portal lists them all."""
MAX_TASK: Final = 500  # characters; the template allows as many
MAX_NAME: Final = 60
"""Characters of a contact's name in a line for experts: a longer one must not push the number out of it."""


class Action(StrEnum):
    """What one step does."""

    REMIND = "remind"  # the contact who was asked, or reminded last
    NEXT = "next"  # the contact after that one; the same one where there is no other
    TELEPHONE = "telephone"  # experts are told to call


@dataclass(frozen=True, slots=True)
class Step:
    """What happens ``after`` the step before it (or the question)."""

    after: timedelta
    action: Action


def _plan(*steps: str) -> tuple[Step, ...]:
    return tuple(step_of(step) for step in steps)


_STEP: Final = re.compile(r"([1-9][0-9]{0,3}) ?(m|h|d) (remind|next|telephone)", re.ASCII)
_UNITS: Final = MappingProxyType({"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)})


def step_of(words: str) -> Step:
    """The step that an admin wrote, such as ``4h remind``; ValueError for anything else."""
    read = _STEP.fullmatch(words.strip())
    if read is None:
        raise ValueError("a step is a time and what happens then, such as 4h remind, 1d next or 2d telephone")
    return Step(int(read[1]) * _UNITS[read[2]], Action(read[3]))


PLANS: Final[Mapping[Severity, tuple[Step, ...]]] = MappingProxyType(
    {
        Severity.HIGH: _plan("4h remind", "8h next", "4h telephone"),
        Severity.MEDIUM: _plan("24h remind", "48h next", "24h telephone"),
        Severity.LOW: _plan("3d remind", "4d remind"),
        Severity.INFORMATIONAL: _plan("7d remind"),
    }
)


@dataclass(frozen=True, slots=True)
class ReminderRules:
    """The plan of each severity; one without steps is never reminded of."""

    plans: Mapping[Severity, tuple[Step, ...]] = field(default_factory=lambda: PLANS)

    @property
    def caps(self) -> AutomaticCaps:
        """A contact hears of many incidents, and each may be reminded of only as often as its plan has steps."""
        return AutomaticCaps(per_address=500, per_domain=2_000)

    @property
    def soonest(self) -> timedelta | None:
        """The least time after which anything can be due; None where nothing ever is."""
        return min((plan[0].after for plan in self.plans.values() if plan), default=None)


@dataclass(frozen=True, slots=True)
class Waiting:
    """How a thread stands. ``wait`` names the question (the id of its timeline entry), ``since`` is its time.

    ``rounds`` steps were taken for this question, the last one at ``last``. ``asked`` is the contact whom the question went
    to, ``contacts`` are those who may be written to, ``phones`` those who can be called.
    """

    thread: Thread
    wait: int | None
    since: datetime
    answered: bool = False
    untrusted: bool = False
    rounds: int = 0
    last: datetime | None = None
    asked: int | None = None
    contacts: tuple[Contact, ...] = ()
    phones: tuple[Contact, ...] = ()


@dataclass(frozen=True, slots=True)
class NextStep:
    """The one thing to do now. ``number`` is the step's in its plan, from 1; ``reminder`` which reminder it is.

    ``contact`` is who is reminded, or who is to be called (None: nobody has a number on record).
    """

    number: int
    action: Action
    contact: Contact | None
    reminder: int = 0


def why_not(waiting: Waiting) -> str | None:
    """Why nobody may be reminded of the thread, in one clause; None if they may."""
    thread = waiting.thread
    if thread.kind is not ThreadKind.INCIDENT:
        return "it is no incident"  # an inquiry's title is a customer's text, and the next move is ours
    if thread.merged_into is not None:
        return "another incident goes on for it"
    if thread.state is not State.AWAITING_CUSTOMER:
        return f"it is {thread.state.value}"
    if waiting.wait is None:
        return "nobody asked the customer"
    if waiting.answered:
        return "the customer has answered"
    return "the customer's mail is marked untrusted" if waiting.untrusted else None


def next_step(waiting: Waiting, rules: ReminderRules, now: datetime) -> NextStep | None:
    """What is to be done by now; None: nothing yet, or nothing any more.

    A step that is late moves the ones after it: after an outage a customer gets one reminder, not all that were due.
    """
    if why_not(waiting) is not None:
        return None
    plan = rules.plans.get(waiting.thread.severity or Severity.MEDIUM, ())[:MAX_STEPS]
    if waiting.rounds >= len(plan):
        return None
    step = plan[waiting.rounds]
    if now < (waiting.last or waiting.since) + step.after:
        return None
    actions = [one.action for one in plan[: waiting.rounds + 1]]
    number = waiting.rounds + 1
    contact = _on_turn(waiting.contacts, waiting.asked, actions.count(Action.NEXT))
    if step.action is Action.TELEPHONE or contact is None:  # nobody to write to: a call is all that is left
        calls = actions.count(Action.NEXT) + 1
        return NextStep(number, Action.TELEPHONE, _on_turn(waiting.phones, waiting.asked, calls))
    return NextStep(number, step.action, contact, sum(one is not Action.TELEPHONE for one in actions))


def _on_turn(contacts: Sequence[Contact], asked: int | None, moved: int) -> Contact | None:
    """The contact who is ``moved`` places after the one who was asked, the last one if there are not as many."""
    if not contacts:
        return None
    first = [one for one in contacts if one.id == asked]
    others = [one for one in contacts if one.id != asked]
    # The one who was asked may have left: then whoever comes first takes their place.
    ring = first + others
    return ring[min(moved, len(ring) - 1)]


def key_of(thread_id: int, wait: int, number: int) -> str:
    """The idempotency key of a step: whoever works it out, on whatever node, it is taken once."""
    return f"reminder:{thread_id}:{wait}:{number}"


_KEY: Final = re.compile(r"reminder:([0-9]{1,18}):([0-9]{1,18}):([0-9]{1,2})", re.ASCII)


def asked_in_key(key: str) -> tuple[int, int]:
    """On which thread a reminder was ordered, and for which question; OrderError for the key of something else."""
    read = _KEY.fullmatch(key)
    if read is None:
        raise OrderError("The order's key is not that of a reminder.")
    return int(read[1]), int(read[2])


def needless(waiting: Waiting, wait: int) -> str | None:
    """Why nobody is to hear the reminder of the question ``wait`` any more, in one clause; None while it is needed."""
    reason = why_not(waiting)
    if reason is None and waiting.wait != wait:
        return "the customer was asked again"
    return reason


# -- the order, and its facts when it is composed ---------------------------------------------------------
def reminder(waiting: Waiting, step: NextStep, pending: Sequence[str], now: datetime) -> AutomaticOrder:
    """The order to remind ``step.contact``. ``pending`` are titles of tasks, which experts wrote."""
    contact, wait = step.contact, waiting.wait
    if contact is None or wait is None:
        raise OrderError("A reminder goes to somebody, about something that was asked.")
    params: dict[str, Scalar] = {
        "number": step.reminder,
        "since": waiting.since.astimezone(UTC).isoformat(timespec="seconds"),
    }
    for number, title in enumerate(pending[:MAX_PENDING], start=1):
        params[f"pending_{number}"] = one_line(title)
    return AutomaticOrder(
        kind=MailKind.REMINDER,
        thread_id=waiting.thread.id,
        contact_id=contact.id,
        address=contact.address,
        idempotency_key=key_of(waiting.thread.id, wait, step.number),
        ordered_at=now,
        params=MappingProxyType(params),
    )


def reminder_facts(params: Mapping[str, Scalar], thread: Thread | None) -> Mapping[str, Value]:
    """The variables of such an order's mail; OrderError for one that is none of ours."""
    if thread is None or thread.kind is not ThreadKind.INCIDENT:
        raise OrderError("A reminder is about an incident.")
    number = params.get("number", 0)
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise OrderError("The order does not say which reminder it is.")
    try:
        since = datetime.fromisoformat(str(params.get("since", "")))
    except ValueError as error:
        raise OrderError("The order does not say since when the customer is waited for.") from error
    if since.tzinfo is None:
        raise OrderError("The order's time has no zone.")
    pending: list[str] = []
    while len(pending) < MAX_PENDING and (title := params.get(f"pending_{len(pending) + 1}")) is not None:
        if not isinstance(title, str) or title != one_line(title):
            raise OrderError("The order holds a task that is not one plain line.")
        pending.append(title)
    known = {"number", "since", *(f"pending_{one}" for one in range(1, len(pending) + 1))}
    if strange := sorted(set(params) - known):
        raise OrderError(f"The order holds a fact that a reminder may not state: {strange[0][:40]!r}.")
    facts: dict[str, Value] = {
        "title": thread.title,
        "number": number,
        "since": since,
        "severity": (thread.severity or Severity.MEDIUM).value,
    }
    return MappingProxyType(facts | ({"pending": tuple(pending)} if pending else {}))


def one_line(text: str) -> str:
    """One line of printable words, at most ``MAX_TASK`` characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MAX_TASK].strip()


def call_note(contact: Contact | None) -> str:
    """What the experts' note says when mail has not helped."""
    said = "The customer has not answered. "
    if contact is None:
        return said + "No contact has a telephone number on record; find one, and call."
    return f"{said}{telephone(contact)}"


def telephone(contact: Contact) -> str:
    """Whom to call, in one line whatever stands in the contact's name."""
    return f"Telephone {person(contact)}: {one_line(contact.phone or '')}."


def person(contact: Contact) -> str:
    """A contact's name and address in one line."""
    return f"{one_line(contact.name)[:MAX_NAME]} <{contact.address}>"
