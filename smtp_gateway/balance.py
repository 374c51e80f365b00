"""How the processes of one gateway share the clients that come in. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

ALIVE_SECONDS = 5.0
"""A process that has not been heard of for so long is not left anything: several times what a busy one needs for a turn."""
SLACK = 32
"""A 32nd more than the one with the least has counts as even: where sessions are many, waiting for each other would slow
a burst down."""


class Load(NamedTuple):
    """One process that takes clients: its sessions, and when it was heard of last."""

    sessions: int
    heard_at: float


def places(sessions: int, others: Iterable[Load], now: float) -> int | None:
    """How many clients one with so many sessions may take at once; 0 where it has more than another.

    Half of what it is behind, since the others take from the same queue meanwhile. None where it is alone.
    """
    living = [one.sessions for one in others if one.heard_at > now - ALIVE_SECONDS]
    if not living:
        return None
    least = min(living)
    behind = least + least // SLACK - sessions
    return 0 if behind < 0 else 1 + behind // 2
