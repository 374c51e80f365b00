"""Telling experts that something waits for them: what is told, to whom, when, and in which facts. Pure.

An alert says which thread, what kind of thing, when and with which verdict, and counts; nothing of a customer's text, for
mail to experts may go over ways that nobody protects. The longer form adds the organisation's name and an incident's
title, which experts wrote.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from outbound.model import AutomaticCaps, AutomaticOrder, MailKind, Scalar
from outbound.orders import VERDICTS, OrderError

MAX_LISTED: Final = 25
"""Events that one alert lists; the others are counted. More than a screen of lines is not read."""
MAX_ABOUT: Final = 500
"""Characters of the longer form's words: an organisation, a title, and a note with two people in it."""
MAX_TITLE: Final = 60  # of each of the first two where a note follows, so that its number is not cut off
TEAM: Final = "team"


class AlertKind(StrEnum):
    """What an expert is told of."""

    REPLY = "reply"  # a person's mail was filed on a thread, or a customer wrote in the portal
    HELD = "held"  # mail that may belong to a thread or a customer waits for a decision
    TRIAGE = "triage"  # a stranger's mail waits
    BOUNCE = "bounce"  # what an expert sent came back, or could not be sent
    LATE = "late"  # mail on an incident was not accepted in time: the next contact, or the telephone
    CALL = "call"  # a customer does not answer reminders: somebody has to telephone
    BREAK_GLASS = "breakglass"  # a call about an incident in break-glass is due, and nobody has made it


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """One thing to tell. ``key`` names it for ever; ``reference`` is the thread's, or the message's id where there is none.

    ``verdict`` is a word of ours or empty, ``expert`` the name under which somebody wrote on the thread last, ``about`` the
    words of the longer form.
    """

    key: str
    kind: AlertKind
    at: datetime
    reference: str
    verdict: str = ""
    expert: str | None = None
    about: str = ""


@dataclass(frozen=True, slots=True)
class AlertRules:
    """Who is told of what, and how often. ``people`` maps names, as commands record them, to addresses.

    The first event is told after ``first``, those that follow together once in ``digest``. ``long``: the way to all these
    addresses is protected.
    """

    team: tuple[str, ...] = ()
    people: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    tell: frozenset[AlertKind] = frozenset(AlertKind)
    first: timedelta = timedelta(0)
    digest: timedelta = timedelta(minutes=15)
    long: bool = False

    @property
    def addresses(self) -> frozenset[str]:
        """All that may be written to, lower case: what comes from them is told to nobody, so that nothing can loop."""
        return frozenset(address.lower() for address in (*self.team, *self.people.values()))

    @property
    def caps(self) -> AutomaticCaps:
        """As many a day as digests fit into one, and some for restarts of the clock; per domain for all addresses."""
        most = timedelta(days=1) // self.digest + 10
        return AutomaticCaps(most, most * max(1, len(self.addresses)))

    def destination(self, event: AlertEvent) -> str:
        """Who hears of it: the expert who wrote there last, if an address is known, else the team."""
        return f"person:{event.expert}" if event.expert in self.people else TEAM

    def addresses_of(self, destination: str) -> tuple[str, ...]:
        """Where mail for a destination goes; empty where nobody is named."""
        if destination == TEAM:
            return self.team
        address = self.people.get(destination.removeprefix("person:"))
        return () if address is None else (address,)


@dataclass(frozen=True, slots=True)
class Digest:
    """What one destination is told now."""

    destination: str
    addresses: tuple[str, ...]
    events: tuple[AlertEvent, ...]


@dataclass(frozen=True, slots=True)
class Due:
    """What is told now, what nobody is named for, and what waits for its time."""

    digests: tuple[Digest, ...]
    untold: tuple[AlertEvent, ...]
    waiting: tuple[AlertEvent, ...]


def due(events: Iterable[AlertEvent], rules: AlertRules, last: Mapping[str, datetime], now: datetime) -> Due:
    """Sort events by their destinations and times; ``last`` says when each destination was told last."""
    groups: dict[str, list[AlertEvent]] = {}
    for event in sorted(events, key=lambda event: (event.at, event.key)):
        groups.setdefault(rules.destination(event), []).append(event)
    digests: list[Digest] = []
    untold: list[AlertEvent] = []
    waiting: list[AlertEvent] = []
    for destination, group in groups.items():
        addresses = rules.addresses_of(destination)
        before = last.get(destination)
        if not addresses:
            untold += group
        elif now >= group[0].at + rules.first and (before is None or now >= before + rules.digest):
            digests.append(Digest(destination, addresses, tuple(group)))
        else:
            waiting += group
    return Due(tuple(digests), tuple(untold), tuple(waiting))


# -- the order, and its facts when it is composed ---------------------------------------------------------
_EVENT: Final = re.compile(
    r"(?P<reference>[A-Za-z0-9.-]{1,40}) (?P<kind>[a-z]+) (?P<at>\d{4}-\d\d-\d\dT\d\d:\d\dZ)( (?P<verdict>[a-z-]+))?",
    re.ASCII,
)
_SAID: Final = {
    AlertKind.REPLY: "a reply came",
    AlertKind.HELD: "a message is held",
    AlertKind.TRIAGE: "a stranger's message waits",
    AlertKind.BOUNCE: "a mail of ours did not arrive",
    AlertKind.LATE: "a mail was not accepted in time; write to the next contact, or telephone",
    AlertKind.CALL: "the customer does not answer and is to be telephoned",
    AlertKind.BREAK_GLASS: "a break-glass call is due, and nobody has recorded one",
}
_COUNTED: Final = {
    AlertKind.REPLY: ("1 reply came", "{} replies came"),
    AlertKind.HELD: ("1 message is held", "{} messages are held"),
    AlertKind.TRIAGE: ("1 stranger's message waits", "{} strangers' messages wait"),
    AlertKind.BOUNCE: ("1 mail of ours did not arrive", "{} mails of ours did not arrive"),
    AlertKind.LATE: ("1 mail is late", "{} mails are late"),
    AlertKind.CALL: ("1 customer is to be telephoned", "{} customers are to be telephoned"),
    AlertKind.BREAK_GLASS: ("1 break-glass call is due", "{} break-glass calls are due"),
}


def alert(digest: Digest, address: str, now: datetime, *, long: bool) -> AutomaticOrder:
    """The order to tell one address of a digest."""
    params: dict[str, Scalar] = {}
    for kind, number in Counter(event.kind for event in digest.events).items():
        params[f"count_{kind.value}"] = number
    for number, event in enumerate(digest.events[:MAX_LISTED], start=1):
        at = event.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")
        verdict = f" {event.verdict}" if event.verdict in VERDICTS else ""
        params[f"event_{number}"] = f"{event.reference} {event.kind.value} {at}{verdict}"
        if long and event.about:
            params[f"about_{number}"] = _plain(event.about)
    return AutomaticOrder(
        kind=MailKind.ALERT,
        thread_id=None,
        contact_id=None,
        address=address,
        idempotency_key=f"alert:{digest.destination}:{address}:{now.astimezone(UTC).isoformat()}",
        ordered_at=now,
        params=MappingProxyType(params),
    )


def _plain(text: str) -> str:
    """One line of printable words."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MAX_ABOUT]


def about(organisation: str, title: str, note: str) -> str:
    """The words of the longer form; ``title`` and ``note`` may be empty. A note is never cut off for what stands before it."""
    if note:
        organisation, title = organisation[:MAX_TITLE], title[:MAX_TITLE]
    told = f"{organisation}: {title}" if title else organisation
    return f"{told}. {note}" if note else told


def tells_names(order: AutomaticOrder) -> bool:
    """Whether an order's mail is an alert that names customers and people, so that its way has to be protected."""
    return order.kind is MailKind.ALERT and any(name.startswith("about_") for name in order.params)


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """What an alert says: counts in words, one line for each listed event, and how many are not listed."""

    news: tuple[str, ...]
    lines: tuple[str, ...]
    more: int


def alert_facts(params: Mapping[str, Scalar]) -> AlertFacts:
    """The facts of such an order; OrderError for one that is none of ours."""
    counts = {kind: _count(params.get(f"count_{kind.value}", 0)) for kind in AlertKind}
    known = {f"count_{kind.value}" for kind in AlertKind}
    lines = []
    for number in range(1, min(sum(counts.values()), MAX_LISTED) + 1):
        known |= {f"event_{number}", f"about_{number}"}
        lines.append(_line(str(params.get(f"event_{number}", "")), str(params.get(f"about_{number}", ""))))
    if strange := sorted(set(params) - known):
        raise OrderError(f"The order holds a fact that an alert may not state: {strange[0][:40]!r}.")
    if not lines:
        raise OrderError("The order tells of nothing.")
    news = tuple(
        one if counts[kind] == 1 else many.format(counts[kind])
        for kind, (one, many) in _COUNTED.items()
        if counts[kind]
    )
    return AlertFacts(news, tuple(lines), sum(counts.values()) - len(lines))


def _count(value: Scalar) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise OrderError("The order holds a count that is none.")
    return value


def _line(event: str, about: str) -> str:
    read = _EVENT.fullmatch(event)
    if read is None or read["kind"] not in set(AlertKind) or (read["verdict"] or VERDICTS[0]) not in VERDICTS:
        raise OrderError("The order holds an event that is not one of ours.")
    if about != _plain(about):
        raise OrderError("The order holds words that are not one plain line.")
    said = f"{read['reference']}: {_SAID[AlertKind(read['kind'])]}, {read['at'].replace('T', ' ')}"
    if read["verdict"]:
        said += f", {read['verdict']}"
    return f"{said} ({about})" if about else said
