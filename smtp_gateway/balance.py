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


def holds_more(sessions: int, others: Iterable[Load], now: float) -> bool:
    """Whether one with so many sessions should leave the next client to another for a moment."""
    least = min((one.sessions for one in others if one.heard_at > now - ALIVE_SECONDS), default=sessions)
    return sessions > least + least // SLACK
