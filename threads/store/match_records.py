"""Why each message is where it is: the decision and every signal, read back for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, func, select

from threads.model import Direction, MatchRecord, MatchRule, Signal, SignalStrength
from threads.schema import messages, raw_messages, threads, timeline
from threads.store.values import MAX_LINE, storable

HEADER_OCTETS: Final = 64 * 1024
"""Of one message that are read for its references: what a header of a person's mail takes at most."""

_COLUMNS = (
    messages.c.id,
    messages.c.rule,
    messages.c.match_reason,
    messages.c.standing,
    messages.c.standing_reason,
    messages.c.signals,
)


def match_record(conn: Connection, copy_id: str) -> MatchRecord | None:
    """The decision on one message; None where there is no such message."""
    query = select(*_COLUMNS).where(messages.c.id == storable(copy_id, MAX_LINE))
    row = conn.execute(query).one_or_none()
    return None if row is None else _record_of(row)


def match_records(conn: Connection, thread_id: int) -> Mapping[str, MatchRecord]:
    """The decisions on the messages of a thread's timeline, by their ids."""
    on_it = select(timeline.c.copy_id).where(timeline.c.thread_id == thread_id)
    rows = conn.execute(select(*_COLUMNS).where(messages.c.id.in_(on_it)))
    return {record.copy_id: record for record in map(_record_of, rows)}


def headers_on(conn: Connection, thread_id: int) -> Mapping[str, bytes]:
    """The beginnings of the messages of a thread's timeline as they were received, by their ids."""
    header = func.substr(raw_messages.c.raw, 1, HEADER_OCTETS).label("header")
    rows = conn.execute(
        select(messages.c.id, header)
        .join(raw_messages, raw_messages.c.sha256 == messages.c.sha256)
        .where(messages.c.id.in_(select(timeline.c.copy_id).where(timeline.c.thread_id == thread_id)))
    )
    return {row.id: bytes(row.header) for row in rows}


def references_to(conn: Connection, records: Iterable[MatchRecord]) -> Mapping[int, str]:
    """What people call the threads that signals name."""
    numbers = {signal.thread_id for record in records for signal in record.signals}
    rows = conn.execute(select(threads.c.id, threads.c.reference).where(threads.c.id.in_(numbers)))
    return {row.id: row.reference for row in rows}


def _record_of(row: Any) -> MatchRecord:
    return MatchRecord(
        row.id, row.rule, row.match_reason, row.standing, row.standing_reason, _signals_of(row.signals)
    )


def _signals_of(text: str) -> tuple[Signal, ...]:
    """Signals from their JSON; what cannot be read is left out, and the decision is shown without it."""
    try:
        loaded = json.loads(text)
    except ValueError:
        return ()
    found = (_signal_of(one) for one in loaded) if isinstance(loaded, list) else ()
    return tuple(one for one in found if one is not None)


def _signal_of(one: Any) -> Signal | None:
    try:
        direction = one["direction"]
        return Signal(
            MatchRule(one["rule"]),
            str(one["key"]),
            int(one["thread"]),
            None if direction is None else Direction(direction),
            # Earlier versions stored neither strength nor what became of it.
            SignalStrength(one.get("strength", SignalStrength.HINT)),
            bool(one.get("followed", False)),
            str(one.get("note", "")),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
