"""Who may connect and send how much: counts by address and by network. The clock comes in; no I/O.

IPv4 is counted by address and by /24; IPv6 by /64, which is one customer's, and by /48, which is one site's
(RFC 6177 2). A rate is a bucket that holds a minute's worth and fills up evenly (the generic cell rate algorithm: one
time per key says when the bucket will be full again). One process alone keeps all that in tables (``OwnCounts``,
``OwnFullAt``), several in memory that they share (``sketch``). Tables are bounded: a full bucket is forgotten, and where
too many are not full, the oldest are, which favours their owners for a moment and nobody else.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, ip_address
from typing import NamedTuple, Protocol

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


class Counts(Protocol):
    """How many of something each key has at this moment."""

    def of(self, key: bytes) -> int:
        """The number."""

    def add(self, key: bytes, number: int) -> None:
        """Count in, or out where ``number`` is negative."""


class FullAt(Protocol):
    """When each key's bucket will be full again."""

    def of(self, key: bytes) -> float:
        """The time; any that has passed for a bucket that is full."""

    def put(self, key: bytes, now: float, full_at: float) -> None:
        """Note a later time."""


class Memory(NamedTuple):
    """Where the counts of a gateway are kept: in this process (``own_memory``), or where several see them."""

    open: Counts
    connections: tuple[FullAt, FullAt]
    """By address, by network."""
    messages: tuple[FullAt, FullAt]


class OwnCounts:
    """Counts of one process that is alone."""

    def __init__(self) -> None:
        self._counts: dict[bytes, int] = {}

    def of(self, key: bytes) -> int:
        """The number."""
        return self._counts.get(key, 0)

    def add(self, key: bytes, number: int) -> None:
        """Count in or out; what has none is forgotten."""
        count = self._counts.get(key, 0) + number
        if count > 0:
            self._counts[key] = count
        else:
            self._counts.pop(key, None)

    def __len__(self) -> int:
        return len(self._counts)


class OwnFullAt:
    """Buckets of one process that is alone."""

    def __init__(self, keys_max: int = KEYS_MAX) -> None:
        self._keys_max = keys_max
        self._full_at: dict[bytes, float] = {}

    def of(self, key: bytes) -> float:
        """The time; 0 for a bucket that is full."""
        return self._full_at.get(key, 0.0)

    def put(self, key: bytes, now: float, full_at: float) -> None:
        """Note a time; where there are too many, forget others."""
        self._full_at.pop(key, None)
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


def own_memory() -> Memory:
    """For a process that is alone."""
    return Memory(OwnCounts(), (OwnFullAt(), OwnFullAt()), (OwnFullAt(), OwnFullAt()))


class Rate:
    """So many a minute for each key. 0 is no limit."""

    def __init__(self, per_minute: int, full_at: FullAt) -> None:
        self._step = MINUTE / per_minute if per_minute else 0.0
        self._full_at = full_at

    def one_more(self, key: bytes, now: float) -> float | None:
        """When the bucket would be full again after one more at ``now`` (seconds of a clock that never goes back).

        None where one more would be too many.
        """
        if not self._step:
            return now
        full_at = self._full_at.of(key)
        full_at = (full_at if full_at > now else now) + self._step  # noqa: FURB136 - max() takes thrice as long
        return full_at if full_at <= now + MINUTE + 1e-9 else None

    def count(self, key: bytes, now: float, full_at: float) -> None:
        """Count it; ``full_at`` is what ``one_more`` said."""
        if self._step:
            self._full_at.put(key, now, full_at)


class Admission:
    """The counts of one gateway."""

    def __init__(self, limits: Limits, memory: Memory | None = None) -> None:
        memory = memory or own_memory()
        self._open = memory.open
        self._most = (limits.address_connections, limits.network_connections)
        self._connections = (
            Rate(limits.address_connections_per_minute, memory.connections[0]),
            Rate(limits.network_connections_per_minute, memory.connections[1]),
        )
        self._messages = (
            Rate(limits.address_messages_per_minute, memory.messages[0]),
            Rate(limits.network_messages_per_minute, memory.messages[1]),
        )

    def connect(self, origin: Origin, now: float) -> str | None:
        """Count a connection in; or why it may not be, in words for the log."""
        refused = self._refused(origin, now)
        if refused is not None:
            self.disconnect(origin)
        return refused

    def _refused(self, origin: Origin, now: float) -> str | None:
        for key in origin:  # counted before it is looked at, as ``quota`` does
            self._open.add(key, 1)
        for key, most in zip(origin, self._most, strict=True):
            if most and self._open.of(key) > most:
                return f"{most} connections at one time"
        return None if _within(self._connections, origin, now) else "connections a minute"

    def disconnect(self, origin: Origin) -> None:
        """Count a connection out."""
        for key in origin:
            self._open.add(key, -1)

    def message(self, origin: Origin, now: float) -> bool:
        """Count a message; False, and nothing counted, where it would be too many."""
        return _within(self._messages, origin, now)


def _within(rates: tuple[Rate, Rate], origin: Origin, now: float) -> bool:
    by_address, by_network = rates
    address, network = origin
    address_full_at = by_address.one_more(address, now)
    network_full_at = by_network.one_more(network, now)
    if address_full_at is None or network_full_at is None:
        return False
    by_address.count(address, now, address_full_at)
    by_network.count(network, now, network_full_at)
    return True
