"""What each subscriber is to hear of, in the order of each thread; leased, told, and set aside where that fails.

A row is made for each entry that one may see. Of one thread only the first that waits is ever leased, so that a later one is
never told before it. Entries of one thread are numbered in the order of their commits (``threads.store.thread.append``), so that
none comes before one that is known. Those of several threads may be committed in another order than their numbers: a
number is not passed by before ``SETTLED`` is over.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, exists, func, or_, select, update

from outbound.schema import UNTOLD, subscriber_events, subscriber_progress, subscribers
from outbound.store.subscribers import list_subscribers
from outbound.subscriber import EventState, Next, Subscriber
from threads.schema import threads, timeline
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.feed import INTERNAL
from threads.store.statements import insert_or_keep, insert_or_keep_each

SETTLED: Final = timedelta(minutes=15)
"""No transaction is under way for so long: a message waits five minutes for its turn at most, and its client gives up after ten."""
LEASE: Final = timedelta(seconds=45)
"""Longer than a try may take (``outbound.https_post.DEADLINE``), with the wait for a commit."""
MAX_MADE: Final = 2_000
"""Rows that are made in one transaction: mail that comes in waits meanwhile. The next look makes the others."""
_ROW: Final = 1
_WAITS: Final = (EventState.WAITING.value, EventState.LEASED.value)


@dataclass(frozen=True, slots=True)
class Event:
    """One entry that a subscriber hears of."""

    id: int
    subscriber_id: int
    thread_id: int
    entry_id: int
    event_id: str
    state: EventState
    tries: int
    made_at: datetime
    next_at: datetime
    done_at: datetime | None
    last_answer: str


def new_event_id() -> str:
    """A number that nobody guesses and nothing else has."""
    return f"evt_{secrets.token_hex(16)}"


def anybody_hears(conn: Connection) -> bool:
    """Whether there is any subscriber."""
    return (
        conn.execute(select(subscribers.c.id).where(subscribers.c.removed_at.is_(None))).first() is not None
    )


def untold_entries(conn: Connection, now: datetime) -> bool:
    """Whether ``make_events`` has something to do: an entry without its row, or a floor to move.

    The floor moves also while nobody hears anything: otherwise each look would begin at the last entry that somebody heard of.
    """
    progress = conn.execute(select(subscriber_progress)).one_or_none()
    floor = 0 if progress is None else progress.floor
    if progress is not None and _settled(progress, now) and progress.next_floor > floor:
        return True
    last, some = _last(conn), list_subscribers(conn)
    if any(last < number for number in (floor, *(one.after_entry for one in some))):
        return True  # see ``_lowered``
    return any(conn.execute(_untold(one, floor).limit(1)).first() for one in some)


def make_events(conn: Connection, now: datetime) -> int:
    """A row for each entry that somebody has not heard of; how many were made. The caller commits."""
    last = _last(conn)
    insert_or_keep(
        conn, subscriber_progress, {"id": _ROW, "floor": 0, "next_floor": last, "next_floor_at": now}
    )
    # Another node waits here, and then finds the rows made.
    conn.execute(select(subscriber_progress.c.id).with_for_update())
    _lowered(conn, last)
    progress = conn.execute(select(subscriber_progress)).one()
    made = 0
    for one in list_subscribers(conn):
        rows = conn.execute(_untold(one, progress.floor).limit(MAX_MADE - made)).all()
        if not rows:
            continue
        insert_or_keep_each(
            conn,
            subscriber_events,
            [
                {
                    "subscriber_id": one.id,
                    "thread_id": row.thread_id,
                    "entry_id": row.id,
                    "event_id": new_event_id(),
                    "state": EventState.WAITING.value,
                    "tries": 0,
                    "next_at": now,
                    "made_at": now,
                    "last_answer": "",
                }
                for row in rows
            ],
        )
        made += len(rows)
        if made >= MAX_MADE:
            return made
    if _settled(progress, now):
        moved = {"floor": progress.next_floor, "next_floor": last, "next_floor_at": now}
        conn.execute(update(subscriber_progress).values(**moved))
    return made


def _settled(progress: Row[Any], now: datetime) -> bool:
    """Whether nothing before the next floor can still be committed; also where the clock went back."""
    at: datetime = progress.next_floor_at
    return now - at >= SETTLED or at > now


def _last(conn: Connection) -> int:
    return conn.execute(select(func.max(timeline.c.id))).scalar() or 0


def _lowered(conn: Connection, last: int) -> None:
    """Begin below the last entry: SQLite gives a number again where the entries with the highest ones were erased."""
    table = subscriber_progress
    conn.execute(update(table).where(table.c.floor > last).values(floor=last))
    conn.execute(update(table).where(table.c.next_floor > last).values(next_floor=last))
    conn.execute(update(subscribers).where(subscribers.c.after_entry > last).values(after_entry=last))


def _untold(one: Subscriber, floor: int) -> Any:
    """The entries that one has no row for, oldest first."""
    known = exists().where(
        subscriber_events.c.subscriber_id == one.id, subscriber_events.c.entry_id == timeline.c.id
    )
    query = (
        select(timeline.c.id, timeline.c.thread_id)
        .where(
            timeline.c.id > max(floor, one.after_entry),
            timeline.c.kind.not_in([kind.value for kind in INTERNAL]),
            ~known,
        )
        .order_by(timeline.c.id)
    )
    if one.organisations is not None:
        query = query.join(threads, threads.c.id == timeline.c.thread_id).where(
            threads.c.organisation_id.in_(sorted(one.organisations))
        )
    return query


def lease_events(
    conn: Connection, owner: str, now: datetime, room: Mapping[int, int], most: int
) -> tuple[Event, ...]:
    """Take the first waiting entry of each thread whose time has come; ``room`` says how many of each subscriber at most.

    What was leased and never closed is taken again when its lease has run out.
    """
    one = subscriber_events
    firsts = (
        select(func.min(one.c.entry_id).label("entry_id"), one.c.subscriber_id)
        .where(UNTOLD, one.c.subscriber_id.in_(sorted(room)))
        .group_by(one.c.subscriber_id, one.c.thread_id)
        .subquery()
    )
    due = or_(
        and_(one.c.state == EventState.WAITING.value, one.c.next_at <= now),
        and_(one.c.state == EventState.LEASED.value, one.c.lease_until <= now),
    )
    heads = (
        select(one)
        .join(
            firsts,
            and_(firsts.c.subscriber_id == one.c.subscriber_id, firsts.c.entry_id == one.c.entry_id),
        )
        .where(due)
        .order_by(one.c.next_at, one.c.id)
        .with_for_update(of=one, skip_locked=True)
    )
    left, taken = dict(room), list[Row[Any]]()
    for row in conn.execute(heads):
        if left[row.subscriber_id] > 0 and len(taken) < most:
            left[row.subscriber_id] -= 1
            taken.append(row)
    numbers = [row.id for row in taken]
    conn.execute(
        update(one)
        .where(one.c.id.in_(numbers))
        .values(
            state=EventState.LEASED.value,
            lease_owner=owner,
            lease_until=now + LEASE,
            tries=one.c.tries + 1,
        )
    )
    return tuple(_event_of(row, tries=row.tries + 1) for row in taken)


def close_event(conn: Connection, event: Event, owner: str, then: Next, now: datetime) -> bool:
    """Write down what became of a try; False where the lease ran out meanwhile and somebody else has it."""
    done = then.state is not EventState.WAITING
    changed = conn.execute(
        update(subscriber_events)
        .where(
            subscriber_events.c.id == event.id,
            subscriber_events.c.state == EventState.LEASED.value,
            subscriber_events.c.lease_owner == owner,
        )
        .values(
            state=then.state.value,
            next_at=then.next_at,
            lease_owner=None,
            lease_until=None,
            done_at=now if done else None,
            last_answer=then.words,
        )
    ).rowcount
    return changed == 1


def list_events(
    conn: Connection, one: Subscriber, states: Sequence[EventState], limit: int
) -> tuple[Event, ...]:
    """What waits or was set aside, oldest first."""
    table = subscriber_events
    query = (
        select(table)
        .where(table.c.subscriber_id == one.id, table.c.state.in_([state.value for state in states]))
        .order_by(table.c.id)
        .limit(limit)
    )
    return tuple(map(_event_of, conn.execute(query)))


def counts(conn: Connection, one: Subscriber) -> dict[EventState, int]:
    """How many entries stand where."""
    table = subscriber_events
    query = select(table.c.state, func.count()).where(table.c.subscriber_id == one.id).group_by(table.c.state)
    found = {EventState(state): number for state, number in conn.execute(query)}
    return {state: found.get(state, 0) for state in EventState}


def tell_again(conn: Connection, one: Subscriber, event_id: str, now: datetime) -> Event:
    """Let what was given up (or taken) be told once more, under the same number. UnknownRecord, RefusedRecord."""
    table = subscriber_events
    query = select(table).where(table.c.subscriber_id == one.id, table.c.event_id == event_id)
    row = conn.execute(query.with_for_update()).one_or_none()
    if row is None:
        raise UnknownRecord(f"{one.name} has no event {event_id[:40]}.")
    if row.state in _WAITS:
        raise RefusedRecord(f"The event {row.event_id} waits to be told already.")
    conn.execute(
        update(table)
        .where(table.c.id == row.id)
        .values(state=EventState.WAITING.value, tries=0, next_at=now, made_at=now, done_at=None)
    )
    return _event_of(conn.execute(query).one())


def drop_untold(conn: Connection, one: Subscriber, now: datetime) -> int:
    """Tell it nothing of what waits; how many those were."""
    table = subscriber_events
    return conn.execute(
        update(table)
        .where(table.c.subscriber_id == one.id, table.c.state.in_(_WAITS))
        .values(
            state=EventState.DROPPED.value,
            lease_owner=None,
            lease_until=None,
            done_at=now,
            last_answer="not told: it was removed",
        )
    ).rowcount


def _event_of(row: Row[Any], tries: int | None = None) -> Event:
    return Event(
        row.id,
        row.subscriber_id,
        row.thread_id,
        row.entry_id,
        row.event_id,
        EventState(row.state),
        row.tries if tries is None else tries,
        row.made_at,
        row.next_at,
        row.done_at,
        row.last_answer,
    )
