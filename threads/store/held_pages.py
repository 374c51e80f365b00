"""Lists of mail that waits, page by page, only of the customers that somebody may see."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, or_, select

from threads.model import DamagedCopy, Disposition, HeldItem
from threads.schema import messages, threads
from threads.store.errors import RefusedRecord
from threads.store.held import held_items
from threads.store.row_reading import Key, keys_of

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
PAGE: Final = 50
MAX_UNKNOWN: Final = 50
"""Rows with a disposition that no program of ours writes: where there are more, a backup has to be restored anyway."""
_CURSOR: Final = re.compile(r"(?:([0-9]{1,16})\.)?([0-9A-Za-z]{1,40})", re.ASCII)


@dataclass(frozen=True, slots=True)
class HeldPage:
    """What waits, oldest first; ``cursor`` goes on after it, whatever was decided on or is over by then."""

    items: tuple[HeldItem | DamagedCopy, ...]
    cursor: str | None


def held_page(
    conn: Connection,
    disposition: Disposition,
    organisations: Collection[int] | None,
    *,
    cursor: str = "",
    limit: int = PAGE,
) -> HeldPage:
    """One page. ``organisations``: only what may belong to a thread of theirs; None: all of it. RefusedRecord for a cursor that is none.

    Before all of the first page of what is held stand rows whose disposition is damaged: nobody would see them elsewhere.
    """
    query = _scoped(select(messages.c.id).where(messages.c.disposition == disposition.value), organisations)
    if cursor:
        query = query.where(_after(cursor))
    query = query.order_by(messages.c.received_at, messages.c.id).limit(limit + 1)
    keys = keys_of(conn, messages, query)
    items = tuple(held_items(conn, keys[:limit]))
    more = _cursor(items) if len(keys) > limit else None
    if disposition is Disposition.HELD and not cursor:
        items = (*held_items(conn, _unknown(conn, organisations)), *items)
    return HeldPage(items, more)


def _scoped(query: Select[Any], organisations: Collection[int] | None) -> Select[Any]:
    if organisations is None:
        return query
    theirs = select(threads.c.id).where(threads.c.organisation_id.in_(sorted(organisations)))
    return query.where(messages.c.thread_id.in_(theirs))


def _after(cursor: str) -> ColumnElement[bool]:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise RefusedRecord("This page's name is not understood; begin at the first page.")
    at = messages.c.received_at
    last: Any
    if found[1] is None:  # the row had no time that can be read
        last = select(at).where(messages.c.id == found[2]).scalar_subquery()
    else:
        last = EPOCH + int(found[1]) * MICROSECOND
    return or_(at > last, and_(at == last, messages.c.id > found[2]))


def _cursor(items: Sequence[HeldItem | DamagedCopy]) -> str | None:
    """After the last one whose time can be read: what stands behind it is shown once more rather than not at all."""
    for one in reversed(items):
        if isinstance(one, HeldItem):
            return f"{(one.copy.received_at - EPOCH) // MICROSECOND}.{one.copy.id}"
    return items[-1].id if isinstance(items[-1], DamagedCopy) else None


def _unknown(conn: Connection, organisations: Collection[int] | None) -> tuple[Key, ...]:
    """Rows with another disposition than there are, found between the known words by the index."""
    word = messages.c.disposition
    known = sorted(one.value for one in Disposition)
    gaps = [word < known[0], *(and_(word > a, word < b) for a, b in pairwise(known)), word > known[-1]]
    # The gaps are for the index alone: which words there are does not hang on how a database sorts them.
    unknown = select(messages.c.id).where(or_(*gaps), word.not_in(known))
    query = unknown.order_by(messages.c.id).limit(MAX_UNKNOWN)
    return keys_of(conn, messages, _scoped(query, organisations))
