"""What a person does to a webhook or a Teams channel, with its row of the audit trail: by command and in the console alike."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from outbound.store.subscriber_events import list_events, tell_again
from outbound.store.subscribers import pause, resume
from outbound.subscriber import EventState, Subscriber
from threads.store import Connection
from threads.store.audit import record_act

MAX_AGAIN: Final = 1_000
"""Entries that are told again at one time; who has more does it again."""


def pause_telling(conn: Connection, one: Subscriber, at: datetime, *, by: str, why: str) -> None:
    """Tell it nothing for now; what comes meanwhile waits. RefusedRecord where it is paused already."""
    pause(conn, one, at, by=by, why=why)
    record_act(conn, f"{one.kind}-paused", at, by=by, subject=one.name, detail=why)


def go_on_telling(conn: Connection, one: Subscriber, at: datetime, *, by: str) -> None:
    """Go on where it was. RefusedRecord where it is not paused."""
    resume(conn, one)
    record_act(conn, f"{one.kind}-resumed", at, by=by, subject=one.name)


def given_up(conn: Connection, one: Subscriber) -> list[str]:
    """The numbers of the events that were given up, oldest first."""
    return [event.event_id for event in list_events(conn, one, (EventState.DEAD,), MAX_AGAIN)]


def tell_each_again(
    conn: Connection, one: Subscriber, numbers: Sequence[str], at: datetime, *, by: str
) -> None:
    """Tell events once more, under the same numbers. UnknownRecord, RefusedRecord as ``tell_again``."""
    for number in numbers:
        tell_again(conn, one, number, at)
    record_act(conn, f"{one.kind}-told-again", at, by=by, subject=one.name, detail=f"{len(numbers)} entries")
