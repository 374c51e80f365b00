"""How much mail of ours went out, what became of it, and how long that took."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, or_, select

from outbound.schema import attempts, deliveries, outgoing
from threads.schema import contacts, threads

MAX_TIMES: Final = 20_000
"""Deliveries whose times are looked at, the latest ones."""


@dataclass(frozen=True, slots=True)
class Sent:
    """So many mails of a kind in a state."""

    kind: str
    state: str
    number: int


def sent_since(conn: Connection, since: datetime, organisations: Collection[int] | None) -> tuple[Sent, ...]:
    """Mails of ours written since a moment; ``organisations``: only on their threads or to their contacts."""
    query = (
        select(outgoing.c.kind, deliveries.c.state, func.count().label("number"))
        .join(deliveries, deliveries.c.outgoing_id == outgoing.c.id)
        .where(outgoing.c.created_at >= since, outgoing.c.next_hop.is_(None))
        .group_by(outgoing.c.kind, deliveries.c.state)
        .order_by(outgoing.c.kind, deliveries.c.state)
    )
    rows = conn.execute(_scoped(query, organisations))
    return tuple(Sent(row.kind, row.state, row.number) for row in rows)


def delivery_seconds(
    conn: Connection, since: datetime, organisations: Collection[int] | None
) -> tuple[float, ...]:
    """Seconds from writing to acceptance by the next server, shortest first."""
    query = (
        select(outgoing.c.created_at, attempts.c.finished_at)
        .join(attempts, attempts.c.outgoing_id == outgoing.c.id)
        .where(outgoing.c.created_at >= since, attempts.c.failure.is_(None), outgoing.c.next_hop.is_(None))
        .order_by(attempts.c.id.desc())
        .limit(MAX_TIMES)
    )
    rows = conn.execute(_scoped(query, organisations))
    return tuple(sorted((row.finished_at - row.created_at).total_seconds() for row in rows))


def _scoped(query: Any, organisations: Collection[int] | None) -> Any:
    if organisations is None:
        return query
    some = sorted(organisations)
    theirs = select(threads.c.id).where(threads.c.organisation_id.in_(some))
    people = select(contacts.c.id).where(contacts.c.organisation_id.in_(some))
    on_none = outgoing.c.thread_id.is_(None) & outgoing.c.contact_id.in_(people)
    return query.where(or_(outgoing.c.thread_id.in_(theirs), on_none))
