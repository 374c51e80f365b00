"""How soon a password may be tried again. Decides only; the clock comes in as seconds.

Failures are counted by the name that was typed and by the network they come from, and each further one makes both wait
longer. A browser that has signed in to an account before is counted apart from all others, so that nobody who tries names
from elsewhere keeps its owner out.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from expertmail.console.api_failures import network_of

FREE_OF_A_NAME: Final = 5
"""Failures before there is a wait: people mistype."""
FREE_OF_A_NETWORK: Final = 20
"""The same for all names from one network: an office has one address."""
LONGEST_WAIT: Final = 900.0
"""Seconds: nobody guesses anything at four tries an hour, and whoever waits gives up later than that."""
FORGOTTEN_AFTER: Final = 3_600.0
"""Seconds without a failure."""
MAX_REMEMBERED: Final = 20_000
"""Names and networks, the latest ones."""


@dataclass(slots=True)
class _Failures:
    count: int
    last: float


class LoginThrottle:
    """Asked before a password is looked at. A try counts as failed until ``succeeded`` says otherwise."""

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()

    def wait(self, name: str, address: str, browser: str | None, now: float) -> float:
        """Seconds until it may be tried; 0: now. ``browser``: the id of one that has signed in to that account before."""
        return max(self._left(key, free, now) for key, free in _keys(name, address, browser))

    def begun(self, name: str, address: str, browser: str | None, now: float) -> None:
        """A password is tried: many at one time count at once."""
        for key, _ in _keys(name, address, browser):
            found = self._failures.pop(key, None)
            if found is None or now - found.last > FORGOTTEN_AFTER:
                found = _Failures(0, now)
            self._failures[key] = _Failures(found.count + 1, now)
        while len(self._failures) > MAX_REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, name: str, address: str, browser: str | None) -> None:
        """It was the right one: the name's failures are forgotten, and of the network's the one that was none."""
        for key, _ in _keys(name, address, browser):
            if key[0] != "network":
                self._failures.pop(key, None)
            elif key in self._failures:
                self._failures[key].count -= 1

    def _left(self, key: tuple[str, str], free: int, now: float) -> float:
        found = self._failures.get(key)
        if found is None or found.count < free or now - found.last > FORGOTTEN_AFTER:
            return 0.0
        wait = min(LONGEST_WAIT, 2.0 ** min(found.count - free, 20))
        return max(0.0, found.last + wait - now)


def _keys(name: str, address: str, browser: str | None) -> tuple[tuple[tuple[str, str], int], ...]:
    if browser is not None:
        return ((("browser", f"{name} {browser}"), FREE_OF_A_NAME),)
    return ((("name", name), FREE_OF_A_NAME), (("network", network_of(address)), FREE_OF_A_NETWORK))
