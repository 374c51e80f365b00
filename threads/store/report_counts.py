"""How much mail came in and how it was judged, by day: for periods that are short enough to be counted at once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, String, func, select, type_coerce

from threads.model import Disposition
from threads.schema import messages, threads

MAX_SOURCES: Final = 10
"""Senders of forged mail that are named, the busiest ones."""
FORGED: Final = "forged"


@dataclass(frozen=True, slots=True)
class DayCount:
    """So many messages of one day (UTC, as 2026-11-27)."""

    day: str
    verdict: str
    disposition: str
    kind: str
    number: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where forged mail came from, and as whom."""

    client_ip: str
    author: str
    number: int


def day_of(conn: Connection, column: ColumnElement[Any]) -> ColumnElement[str]:
    """The day of a time, in UTC, as text: by what each database has."""
    if conn.dialect.name == "sqlite":
        return func.substr(type_coerce(column, String), 1, 10)
    return func.to_char(func.timezone("UTC", column), "YYYY-MM-DD")


def counts_by_day(
    conn: Connection, since: datetime, organisations: Collection[int] | None
) -> tuple[DayCount, ...]:
    """Messages since a moment; ``organisations``: only those on, or held for, their threads. Asked down the index by disposition."""
    found: list[DayCount] = []
    day = day_of(conn, messages.c.received_at).label("day")
    for disposition in Disposition:
        query = (
            select(day, messages.c.verdict, messages.c.kind, func.count().label("number"))
            .where(messages.c.disposition == disposition.value, messages.c.received_at >= since)
            .group_by(day, messages.c.verdict, messages.c.kind)
        )
        rows = conn.execute(_scoped(query, organisations))
        found += [DayCount(row.day, row.verdict, disposition.value, row.kind, row.number) for row in rows]
    return tuple(sorted(found, key=lambda one: (one.day, one.verdict, one.disposition, one.kind)))


def forged_from(
    conn: Connection, since: datetime, organisations: Collection[int] | None
) -> tuple[Source, ...]:
    """The busiest senders of forged mail."""
    counted = func.count().label("number")
    query = (
        select(messages.c.client_ip, messages.c.author, counted)
        .where(
            messages.c.disposition.in_([one.value for one in Disposition]),
            messages.c.received_at >= since,
            messages.c.verdict == FORGED,
        )
        .group_by(messages.c.client_ip, messages.c.author)
        .order_by(counted.desc(), messages.c.client_ip)
        .limit(MAX_SOURCES)
    )
    rows = conn.execute(_scoped(query, organisations))
    return tuple(Source(row.client_ip, row.author or "", row.number) for row in rows)


def _scoped(query: Any, organisations: Collection[int] | None) -> Any:
    if organisations is None:
        return query
    theirs = select(threads.c.id).where(threads.c.organisation_id.in_(sorted(organisations)))
    return query.where(messages.c.thread_id.in_(theirs))
