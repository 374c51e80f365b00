"""How much is asked of a receiver that does not answer well. Pure: the clock comes in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FREE: Final = 2
"""Failures in a row that change nothing: one may be the network's."""
FIRST_SECONDS: Final = 5.0
MOST_SECONDS: Final = 300.0
"""A receiver that is back hears of it within five minutes."""
AT_ONCE: Final = 4
"""Tries at one time at one receiver: a slow one has not all places."""


@dataclass(slots=True)
class _Seen:
    failures: int = 0
    not_before: float = float("-inf")
    under_way: int = 0


class Patience:
    """By receiver: while it fails each time, one try at a time and with growing pauses, whatever waits for it."""

    def __init__(self) -> None:
        self._seen: dict[int, _Seen] = {}

    def room(self, subscriber: int, now: float) -> int:
        """How many tries may begin now (monotonic seconds)."""
        seen = self._seen.get(subscriber)
        if seen is None:
            return AT_ONCE
        if seen.failures <= FREE:
            return max(0, AT_ONCE - seen.under_way)
        return 1 if seen.under_way == 0 and now >= seen.not_before else 0

    def begun(self, subscriber: int) -> None:
        """A try is under way."""
        self._seen.setdefault(subscriber, _Seen()).under_way += 1

    def ended(self, subscriber: int, now: float, *, well: bool) -> None:
        """It is over; ``well``: the receiver took what it was given."""
        seen = self._seen.setdefault(subscriber, _Seen())
        seen.under_way -= 1
        seen.failures = 0 if well else seen.failures + 1
        if seen.failures > FREE:
            pause = min(MOST_SECONDS, FIRST_SECONDS * 2 ** min(seen.failures - FREE - 1, 10))
            seen.not_before = now + pause
        if seen.failures == 0 and seen.under_way == 0:
            del self._seen[subscriber]
