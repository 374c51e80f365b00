"""How often an address may come with a token that is none. Decides only; the clock comes in as seconds."""

from __future__ import annotations

from collections import OrderedDict, deque
from ipaddress import IPv6Address, ip_address
from typing import Final

MAX_FAILURES: Final = 10
"""In a window. Nobody types a token; a program that is set up wrongly is seen in the log after one."""
WINDOW_SECONDS: Final = 60.0
MAX_ADDRESSES: Final = 10_000
"""Remembered at most, the latest ones; with as many more an attacker has more to win elsewhere."""
MAX_PROVEN: Final = 1_000
"""Ids of tokens that were right lately; there are far fewer tokens."""


class Failures:
    """The failures of each address in the last window, and which tokens were right before.

    Behind a proxy all clients have one address: a token that was right before is looked at however many others fail, so that
    nobody can shut the portal out.
    """

    def __init__(self) -> None:
        self._at: OrderedDict[str, deque[float]] = OrderedDict()
        self._proven: OrderedDict[str, None] = OrderedDict()

    def may_try(self, address: str, public_id: str | None, now: float) -> bool:
        """Whether a token is looked at."""
        return public_id in self._proven or self._recent(network_of(address), now) < MAX_FAILURES

    def failed(self, address: str, now: float) -> bool:
        """Count a failure; whether it is the last one that is let through."""
        key = network_of(address)
        recent = self._recent(key, now)
        self._at.setdefault(key, deque(maxlen=MAX_FAILURES)).append(now)
        self._at.move_to_end(key)
        if len(self._at) > MAX_ADDRESSES:
            self._at.popitem(last=False)
        return recent + 1 == MAX_FAILURES

    def proved(self, public_id: str) -> None:
        """Remember the id of a token that was right."""
        self._proven[public_id] = None
        self._proven.move_to_end(public_id)
        if len(self._proven) > MAX_PROVEN:
            self._proven.popitem(last=False)

    def disproved(self, public_id: str | None) -> None:
        """Forget a token that does not count any more: it was revoked, or is over."""
        if public_id is not None:
            self._proven.pop(public_id, None)

    def _recent(self, key: str, now: float) -> int:
        return sum(at > now - WINDOW_SECONDS for at in self._at.get(key, ()))


def network_of(address: str) -> str:
    """What is counted as one: an IPv4 address, or the /64 that one IPv6 client has to itself."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(IPv6Address(int(ip) >> 64 << 64))
    return str(ip)
