"""How much mail came in and how it was judged, by day: for periods that are short enough to be counted at once.

Mail whose time is over is counted by its traces: a report of ninety days does not lose what waited for thirty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    Table,
    and_,
    func,
    select,
    type_coerce,
    union_all,
)

from threads.model import Disposition
from threads.schema import expired_messages, messages, threads

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
    found: Counter[tuple[str, str, str, str]] = Counter()
    for disposition in Disposition:
        for table in (messages, expired_messages):
            day = day_of(conn, table.c.received_at).label("day")
            query = (
                select(day, table.c.verdict, table.c.kind, func.count().label("number"))
                .where(table.c.disposition == disposition.value, came_since(table, since))
                .group_by(day, table.c.verdict, table.c.kind)
            )
            for row in conn.execute(scoped(query, table, organisations)):
                found[row.day, row.verdict, disposition.value, row.kind] += row.number
    return tuple(DayCount(*what, number) for what, number in sorted(found.items()))


def forged_from(
    conn: Connection, since: datetime, organisations: Collection[int] | None
) -> tuple[Source, ...]:
    """The busiest senders of forged mail."""
    parts = []
    for table in (messages, expired_messages):
        query = select(table.c.client_ip, table.c.author).where(
            table.c.disposition.in_([one.value for one in Disposition]),
            came_since(table, since),
            table.c.verdict == FORGED,
        )
        parts.append(scoped(query, table, organisations))
    both = union_all(*parts).subquery()
    counted = func.count().label("number")
    rows = conn.execute(
        select(both.c.client_ip, both.c.author, counted)
        .group_by(both.c.client_ip, both.c.author)
        .order_by(counted.desc(), both.c.client_ip)
        .limit(MAX_SOURCES)
    )
    return tuple(Source(row.client_ip, row.author or "", row.number) for row in rows)


def came_since(table: Table, since: datetime) -> ColumnElement[bool]:
    """Of ``messages`` or ``expired_messages``: those received since a moment."""
    came = table.c.received_at >= since
    # Nothing was over before it came, and that is what the traces have an index on.
    return and_(came, table.c.expired_at >= since) if "expired_at" in table.c else came


def scoped(query: Select[Any], table: Table, organisations: Collection[int] | None) -> Select[Any]:
    """Only what is on, or held for, threads of these customers; None: all of it."""
    if organisations is None:
        return query
    theirs = select(threads.c.id).where(threads.c.organisation_id.in_(sorted(organisations)))
    return query.where(table.c.thread_id.in_(theirs))
