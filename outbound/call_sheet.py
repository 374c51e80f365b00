"""The call sheet of an incident in break-glass: whom to telephone, in which order, when, and who is due now. Pure.

Nothing is planned ahead. The sheet is worked out from how things stand at that moment (the incident, the mark, the contacts, the
calls so far), so that what is resolved, merged, erased or ended calls nobody, and who was reached ends it.

In a round everybody who can be called is called once. Among those of the round for whom it is a good time the first in order is
due; where it is for none, the one whose good time comes first. A call that nobody makes stays due.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from outbound.call_hours import good_from, window, zone_of
from outbound.reminders import one_line, person
from threads.model import Contact, Severity, State, Thread, ThreadKind

_KEY: Final = 11
"""Characters of a number's digest; with the outcome's word before it they are what the column takes."""


class Outcome(StrEnum):
    """What became of a call."""

    REACHED = "reached"  # somebody of the customer was spoken with: ends it
    NO_ANSWER = "no-answer"
    BUSY = "busy"
    VOICEMAIL = "voicemail"
    WRONG_NUMBER = "wrong-number"  # not called again until the contact has another number
    REFUSED = "refused"  # somebody answered and would not speak


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast calls follow each other. ``tell_after``: experts are told of a call that was due so long and nobody made."""

    any_hour: bool
    next_after: timedelta
    round_after: timedelta
    tell_after: timedelta


_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
PACES: Final[Mapping[Severity, Pace]] = MappingProxyType(
    {
        Severity.HIGH: Pace(any_hour=True, next_after=0 * _MINUTE, round_after=15 * _MINUTE, tell_after=5 * _MINUTE),
        Severity.MEDIUM: Pace(any_hour=False, next_after=15 * _MINUTE, round_after=2 * _HOUR, tell_after=15 * _MINUTE),
        Severity.LOW: Pace(any_hour=False, next_after=_HOUR, round_after=24 * _HOUR, tell_after=_HOUR),
        Severity.INFORMATIONAL: Pace(any_hour=False, next_after=4 * _HOUR, round_after=48 * _HOUR, tell_after=4 * _HOUR),
    }
)  # fmt: skip
"""By severity: while an adversary is at work the next one is called as soon as the first one has not answered."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was made. ``number_key`` names the number, where it was a wrong one."""

    contact_id: int | None
    at: datetime
    outcome: Outcome
    by: str = ""
    number_key: str = ""


@dataclass(frozen=True, slots=True)
class Emergency:
    """How an incident stands. ``since`` is when its break-glass began, ``reason`` and ``by`` why and on whose word; None: it is in none.

    ``people`` are the customer's incident notification contacts, ``calls`` those of this incident in the order in which they were
    made, ``wrong`` the contacts whose last call, about whatever incident, was to a wrong number: its key by the contact's id.
    """

    thread: Thread
    since: datetime | None = None
    reason: str = ""
    by: str = ""
    untrusted: bool = False
    erased: bool = False
    people: tuple[Contact, ...] = ()
    calls: tuple[Call, ...] = ()
    wrong: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Line:
    """One contact of the sheet. ``zone`` is empty where none is known: then the hours are UTC's, and ``unknown_zone`` what is recorded.

    ``callable``: the number is not known to be wrong. ``good_from``: now, or when the next good time begins there.
    """

    contact: Contact
    number: str
    zone: str
    unknown_zone: str
    local: datetime
    good_from: datetime
    good: bool
    callable: bool
    calls: int
    last: Call | None


@dataclass(frozen=True, slots=True)
class Turn:
    """Who is to be called now. ``contact`` of None: nobody has a number that works, and one has to be found.

    ``since`` is from when on; ``until`` when the good time there ends (None: any hour is good); ``tell_at`` when experts are told.
    """

    contact: Contact | None
    since: datetime
    until: datetime | None
    tell_at: datetime


@dataclass(frozen=True, slots=True)
class Then:
    """Who comes next, ``after`` a call that reaches nobody; ``new_round``: everybody was called by then."""

    contact: Contact
    after: timedelta
    new_round: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """The sheet. ``nobody`` says in a clause why nobody is called; else one of ``due`` and ``waits`` (whose time comes, and when) is there."""

    emergency: Emergency
    nobody: str | None
    round: int
    lines: tuple[Line, ...]
    due: Turn | None = None
    then: Then | None = None
    waits: tuple[Contact, datetime] | None = None


def number_key(number: str) -> str:
    """What names a telephone number, however it is written: a digest of its digits, without the 00 that some write for +."""
    digits = "".join(one for one in number if one.isdigit()).removeprefix("00")
    return hashlib.sha256(digits.encode()).hexdigest()[:_KEY]


def why_nobody(one: Emergency) -> str | None:
    """Why nobody may be called, in one clause; None while somebody has to be."""
    thread = one.thread
    if thread.kind is not ThreadKind.INCIDENT:
        return "it is no incident"
    if one.erased or thread.emptied_at is not None:
        return "its content was removed"
    if thread.merged_into is not None:
        return "another incident goes on for it"
    if thread.state is State.RESOLVED:
        return "it is resolved"
    if one.since is None:
        return "it is not in break-glass"
    reached = reached_by(one)
    return (
        None
        if reached is None
        else f"somebody was reached at {reached.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    )


def reached_by(one: Emergency) -> Call | None:
    """The call of this break-glass that reached somebody."""
    return next((each for each in _since(one) if each.outcome is Outcome.REACHED), None)


def in_order(people: Collection[Contact]) -> tuple[Contact, ...]:
    """Those with a number: by their call order, then those without one by their addresses."""

    def place(one: Contact) -> tuple[bool, int, str, int]:
        return one.call_order is None, one.call_order or 0, one.address.lower(), one.id

    return tuple(sorted((one for one in people if one_line(one.phone or "")), key=place))


def call_sheet(one: Emergency, now: datetime) -> Sheet:
    """The sheet as it is now."""
    pace = PACES[one.thread.severity or Severity.MEDIUM]
    people = in_order(one.people)
    able = [each for each in people if one.wrong.get(each.id) != number_key(each.phone or "")]
    calls = _since(one)
    lines = tuple(_line(each, pace, calls, now, able=each in able) for each in people)
    nobody = why_nobody(one)
    if nobody is not None or one.since is None:
        return Sheet(one, nobody, 0, lines)
    number, called, earliest = _standing(pace, one.since, calls, frozenset(each.id for each in able))
    if not able:
        since = max(one.since, calls[-1].at if calls else one.since)
        return Sheet(one, None, number, lines, Turn(None, since, None, since + pace.tell_after))
    left = [each for each in able if each.id not in called]
    first = max(now, earliest)
    at, place = min((_good_from(each, pace, first), place) for place, each in enumerate(left))
    chosen = left[place]
    if at > now:
        return Sheet(one, None, number, lines, waits=(chosen, at))
    others = [each for each in left if each is not chosen]
    then = (
        Then(others[0], pace.next_after, new_round=False)
        if others
        else Then(able[0], pace.round_after, new_round=True)
    )
    return Sheet(one, None, number, lines, _turn(chosen, pace, earliest, now), then)


def overdue(sheet: Sheet, last_told: datetime | None, now: datetime) -> Turn | None:
    """The call of which experts are to be told: it was due long enough, nobody made it, and it was not told of yet."""
    due = sheet.due
    if due is None or now < due.tell_at:
        return None
    return due if last_told is None or last_told < due.since else None


def tell_note(sheet: Sheet, turn: Turn) -> str:
    """What the experts' note says of a call that nobody has made."""
    said = f"Break-glass: a call is due since {turn.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC, and nobody has recorded one. "
    if turn.contact is None:
        return said + "No contact has a telephone number that works; find one, and call."
    line = next(each for each in sheet.lines if each.contact.id == turn.contact.id)
    there = f"{line.local:%H:%M} there" if line.zone else "time zone unknown"
    return f"{said}Telephone {person(line.contact)}: {line.number} ({line.contact.language}, {there})."


def call_text(contact: Contact, outcome: Outcome, words: str) -> str:
    """The timeline's entry of a call; the number is not in it, for customers read it."""
    called = f"Called {person(contact)}: {outcome.value.replace('-', ' ')}."
    return f"{called}\n{words.strip()}" if words.strip() else called


def _since(one: Emergency) -> Sequence[Call]:
    """The calls of this break-glass; who was called before it began has heard of something else."""
    return [] if one.since is None else [each for each in one.calls if each.at >= one.since]


def _standing(
    pace: Pace, since: datetime, calls: Sequence[Call], able: frozenset[int]
) -> tuple[int, frozenset[int], datetime]:
    """Which round it is, who was called in it, and from when on the next one may be."""
    number, called, earliest = 1, frozenset[int](), since
    for one in calls:
        if one.outcome is Outcome.WRONG_NUMBER or one.contact_id is None:
            earliest = max(earliest, one.at)  # nobody of theirs has heard it ring: the next one at once
            continue
        called |= {one.contact_id}
        earliest = one.at + pace.next_after
        if able <= called:
            number, called, earliest = number + 1, frozenset(), one.at + pace.round_after
    return number, called, earliest


def _good_from(one: Contact, pace: Pace, at: datetime) -> datetime:
    return at if pace.any_hour else good_from(zone_of(one.time_zone) or UTC, at)


def _turn(one: Contact, pace: Pace, earliest: datetime, now: datetime) -> Turn:
    hours = None if pace.any_hour else window(zone_of(one.time_zone) or UTC, now)
    since = earliest if hours is None else max(earliest, hours[0])
    return Turn(one, since, None if hours is None else hours[1], since + pace.tell_after)


def _line(one: Contact, pace: Pace, calls: Sequence[Call], now: datetime, *, able: bool) -> Line:
    zone = zone_of(one.time_zone)
    made = [each for each in calls if each.contact_id == one.id]
    good = _good_from(one, pace, now)
    return Line(
        contact=one,
        number=one_line(one.phone or ""),
        zone="" if zone is None else one.time_zone or "",
        unknown_zone=one.time_zone or "" if zone is None else "",
        local=now.astimezone(zone or UTC),
        good_from=good,
        good=good == now,
        callable=able,
        calls=len(made),
        last=made[-1] if made else None,
    )
