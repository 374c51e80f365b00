"""By which tricks forged mail imitated us, by day: as its last judgement says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, Select, case, func, select

from threads.model import Disposition
from threads.schema import evidence, expired_messages, messages
from threads.store.report_counts import FORGED, came_since, day_of, scoped
from verifier.report import ClaimedBy

MAX_FORGED: Final = 20_000
"""Forged messages whose judgements are read, the latest ones: some 5 KB each, half a second."""


@dataclass(frozen=True, slots=True)
class TrickCount:
    """So many forged messages of one day (UTC) that claimed to be ours in one way; a message may in several."""

    day: str
    trick: ClaimedBy
    number: int


def tricks_by_day(
    conn: Connection, since: datetime, organisations: Collection[int] | None
) -> tuple[TrickCount, ...]:
    """Of forged mail since a moment, what is over included; ``organisations``: only on, or held for, their threads."""
    found: Counter[tuple[str, ClaimedBy]] = Counter()
    for query in (_kept(since, organisations), _expired(since, organisations)):
        forged = query.limit(MAX_FORGED).subquery()
        day = day_of(conn, forged.c.received_at).label("day")
        counts = [
            func.sum(case((_says(forged.c.report, one), 1), else_=0)).label(one.name) for one in ClaimedBy
        ]
        for row in conn.execute(select(day, *counts).group_by(day)):
            for one in ClaimedBy:
                found[row.day, one] += getattr(row, one.name)
    return tuple(TrickCount(*what, number) for what, number in sorted(found.items()) if number)


def _says(report: ColumnElement[str], trick: ClaimedBy) -> ColumnElement[bool]:
    """Whether a report has a claim of that kind. What a sender wrote stands in it with its quotation marks escaped."""
    return report.like(f'%"by":"{trick.value}"%')


def _kept(since: datetime, organisations: Collection[int] | None) -> Select[tuple[datetime, str]]:
    others = evidence.alias("others")
    last = select(func.max(others.c.id)).where(others.c.message_id == messages.c.id).scalar_subquery()
    query = (
        select(messages.c.received_at, evidence.c.report)
        .select_from(messages)
        .join(evidence, evidence.c.id == last)
        .where(
            messages.c.disposition.in_([one.value for one in Disposition]),
            messages.c.verdict == FORGED,
            came_since(messages, since),
        )
        .order_by(messages.c.received_at.desc())
    )
    return scoped(query, messages, organisations)


def _expired(since: datetime, organisations: Collection[int] | None) -> Select[tuple[datetime, str]]:
    table = expired_messages
    query = (
        select(table.c.received_at, table.c.report)
        .where(table.c.verdict == FORGED, came_since(table, since))
        .order_by(table.c.received_at.desc())
    )
    return scoped(query, table, organisations)
