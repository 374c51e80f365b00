"""Who may connect and send how much: counts by address and by network. The clock comes in; no I/O.

IPv4 is counted by address and by /24; IPv6 by /64, which is one customer's, and by /48, which is one site's
(RFC 6177 2). A rate is a bucket that holds a minute's worth and fills up evenly (the generic cell rate algorithm: one
time per key says when the bucket will be full again). Memory is bounded: a full bucket is forgotten, and where too many
are not full, the oldest are, which favours their owners for a moment and nobody else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from ipaddress import IPv4Address, ip_address
from typing import NamedTuple

from smtp_gateway.gateway_settings import Limits, Network

KEYS_MAX = 65_536
"""Buckets of one rate that are not full at one time: some 10 MB, and more clients than a gateway sees in a minute."""
MINUTE = 60.0


class Origin(NamedTuple):
    """What a client is counted by. The four kinds of key differ in length, so they never meet."""

    address: bytes
    network: bytes


def origin_of(address: str, exempt: Iterable[Network]) -> Origin | None:
    """The keys of a client's plain address; None for one that is not counted, or is no address."""
    try:
        ip = ip_address(address)
    except ValueError:
        return None
    if any(ip in network for network in exempt):
        return None
    packed = ip.packed
    if isinstance(ip, IPv4Address):
        return Origin(packed, packed[:3])
    return Origin(packed[:8], packed[:6])


class Rate:
    """So many a minute for each key. 0 is no limit."""

    def __init__(self, per_minute: int, keys_max: int = KEYS_MAX) -> None:
        self._step = MINUTE / per_minute if per_minute else 0.0
        self._keys_max = keys_max
        self._full_at: dict[bytes, float] = {}

    def allows(self, key: bytes, now: float) -> bool:
        """Whether one more is within the rate at ``now`` (seconds of a clock that never goes back)."""
        return not self._step or max(self._full_at.get(key, now), now) + self._step <= now + MINUTE + 1e-9

    def count(self, key: bytes, now: float) -> None:
        """Count one."""
        if not self._step:
            return
        full_at = max(self._full_at.pop(key, now), now) + self._step
        if len(self._full_at) >= self._keys_max:
            self._forget(now)
        self._full_at[key] = full_at

    def _forget(self, now: float) -> None:
        """Forget what is full, and a quarter of the rest where that is not enough, so that this is seldom needed."""
        kept = [item for item in self._full_at.items() if item[1] > now]
        most = self._keys_max - self._keys_max // 4
        self._full_at = dict(kept[-most:])

    def __len__(self) -> int:
        return len(self._full_at)


class Admission:
    """The counts of one gateway."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: Counter[bytes] = Counter()
        self._connections = (
            Rate(limits.address_connections_per_minute),
            Rate(limits.network_connections_per_minute),
        )
        self._messages = (Rate(limits.address_messages_per_minute), Rate(limits.network_messages_per_minute))

    def connect(self, origin: Origin, now: float) -> str | None:
        """Count a connection in; or why it may not be, in words for the log."""
        limits = self._limits
        for key, most in zip(origin, (limits.address_connections, limits.network_connections), strict=True):
            if most and self._open[key] >= most:
                return f"{most} connections at one time"
        if not _within(self._connections, origin, now):
            return "connections a minute"
        self._open.update(origin)
        return None

    def disconnect(self, origin: Origin) -> None:
        """Count a connection out."""
        for key in origin:
            self._open[key] -= 1
            if self._open[key] <= 0:
                del self._open[key]

    def message(self, origin: Origin, now: float) -> bool:
        """Count a message; False, and nothing counted, where it would be too many."""
        return _within(self._messages, origin, now)


def _within(rates: tuple[Rate, Rate], origin: Origin, now: float) -> bool:
    pairs = tuple(zip(rates, origin, strict=True))
    if not all(rate.allows(key, now) for rate, key in pairs):
        return False
    for rate, key in pairs:
        rate.count(key, now)
    return True
