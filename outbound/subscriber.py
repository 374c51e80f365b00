"""Who hears of each timeline entry by HTTP, and what follows from what it answers. Pure: time and jitter come in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from threads.model import Decision, Tlp

WAITS: Final = tuple(timedelta(seconds=one) for one in (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400))
"""Waits after the first, second, … try; the last one again and again. The first is short: a receiver that restarts is back soon."""
GIVE_UP: Final = timedelta(days=3)
"""A weekend and a day: then an entry is set aside and the next of its incident has its turn."""
JITTER_SHARE: Final = 0.2
"""A wait is stretched by up to this share, so that what failed together does not come back together."""
MOST_ASKED: Final = timedelta(hours=4)
"""The longest Retry-After that is kept to (RFC 9110 10.2.3)."""
MAX_ANSWER: Final = 200
"""Characters that are kept of what a receiver said, or of why it said nothing."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,59}")
_GONE: Final = 410


class SubscriberKind(StrEnum):
    """How an entry is told."""

    WEBHOOK = "webhook"
    TEAMS = "teams"


class EventState(StrEnum):
    """Where the telling of one entry stands."""

    WAITING = "waiting"
    LEASED = "leased"
    DELIVERED = "delivered"
    DEAD = "dead"  # given up; told again by hand only
    DROPPED = "dropped"  # not told: nobody else may see it any more


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One who hears of entries. ``organisations``: the ids of the only customers it hears of; None: all.

    Its address and its secret are apart (``Sealed``). ``paused`` says who stopped the telling for now, and why.
    """

    id: int
    kind: SubscriberKind
    name: str
    host: str
    organisations: frozenset[int] | None
    tlp: Tlp | None
    details_allowed: bool
    external: bool
    after_entry: int
    created_at: datetime
    created_by: str
    paused: Decision | None = None

    def hears_of(self, organisation_id: int) -> bool:
        """Whether what belongs to a customer is told to it."""
        return self.organisations is None or organisation_id in self.organisations


@dataclass(frozen=True, slots=True)
class Sealed:
    """A subscriber's address and secrets as they are stored: nobody reads them without the key (``outbound.seal``)."""

    address: bytes = field(repr=False)
    secret: bytes = field(repr=False)
    old_secret: bytes | None = field(repr=False, default=None)
    old_secret_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said: its status, 0 for none, and how long it asks us to wait (Retry-After), if it does.

    ``body`` is the beginning of its answer; ``words`` one line for a person.
    """

    status: int
    words: str
    retry_after: timedelta | None = None
    body: bytes = field(repr=False, default=b"")

    @property
    def taken(self) -> bool:
        """Whether it took the entry."""
        return 200 <= self.status < 300  # noqa: PLR2004 -- RFC 9110 15.3


@dataclass(frozen=True, slots=True)
class Next:
    """What follows: the state, when it is tried again, and whether the subscriber is to be paused."""

    state: EventState
    next_at: datetime
    words: str
    pause: bool = False


def decide(answer: Answer, *, tries: int, since: datetime, now: datetime, jitter: float) -> Next:
    """What follows from try number ``tries`` (1 is the first) that ended at ``now``; ``since`` is when it was due first.

    A redirect is a failure like others: following it would send the customer's words where nobody has allowed. 410 says that
    nobody will ever listen there (RFC 9110 15.5.11): the entry waits, and the subscriber is paused until somebody looks.
    """
    words = answer.words[:MAX_ANSWER]
    if answer.taken:
        return Next(EventState.DELIVERED, now, words)
    wait = WAITS[min(tries, len(WAITS)) - 1] * (1 + JITTER_SHARE * jitter)
    if answer.retry_after is not None:
        wait = max(wait, min(answer.retry_after, MOST_ASKED))
    if answer.status == _GONE:
        return Next(EventState.WAITING, now + wait, words, pause=True)
    if now - since >= GIVE_UP:
        return Next(EventState.DEAD, now, words)
    return Next(EventState.WAITING, now + wait, words)


def name_refusal(name: str) -> str | None:
    """Why a subscriber cannot have that name, as a sentence; None if it can."""
    if _NAME.fullmatch(name):
        return None
    return "A name is up to 60 of a-z, 0-9, dot and hyphen, such as portal-1."
