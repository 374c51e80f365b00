"""How many dialogues with one domain run at one time, and how many begin in a minute. Pure: the clock is an argument."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from outbound.model import Delivery

# A domain whose places are taken is looked at again after this time: about as long as a slow dialogue takes.
CROWDED_WAIT = timedelta(seconds=5)
# Domains whose next turn is remembered; those whose turn is past are forgotten first.
_REMEMBERED = 10_000
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """For one domain: dialogues at one time, and mails a minute; 0 is no limit."""

    at_once: int = 0
    a_minute: int = 0


def pace_key(delivery: Delivery) -> str:
    """What a mail is counted by: its recipient's domain, or the next hop of relayed mail."""
    return delivery.next_hop or delivery.rcpt_to.rpartition("@")[2].lower()


class Pace:
    """Counts what runs. ``begin`` says whether a mail may go now, and ``end`` is called when its try has ended."""

    def __init__(self, limits: PaceLimits) -> None:
        self._limits = limits
        self._running: Counter[str] = Counter()
        self._turn: dict[str, datetime] = {}

    def begin(self, domain: str, now: datetime) -> datetime | None:
        """None: the mail goes now and is counted. Else the time at which to ask again."""
        limits = self._limits
        if limits.at_once and self._running[domain] >= limits.at_once:
            return now + CROWDED_WAIT
        if limits.a_minute:
            turn = self._turn.get(domain, now)
            if turn > now:
                return turn
            self._forget(now)
            self._turn[domain] = now + _MINUTE / limits.a_minute
        self._running[domain] += 1
        return None

    def end(self, domain: str) -> None:
        """A try that ``begin`` let go has ended."""
        self._running[domain] -= 1
        if self._running[domain] <= 0:
            del self._running[domain]

    def _forget(self, now: datetime) -> None:
        if len(self._turn) >= _REMEMBERED:
            self._turn = {domain: turn for domain, turn in self._turn.items() if turn > now}
