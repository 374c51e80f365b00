"""Lists of mail that waits, page by page, only of the customers that somebody may see."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, and_, or_, select

from threads.model import DamagedCopy, Disposition, HeldItem
from threads.schema import messages, threads
from threads.store.errors import RefusedRecord
from threads.store.held import held_items
from threads.store.row_reading import keys_of

PAGE: Final = 50
_CURSOR: Final = re.compile(r"[0-9A-Za-z]{1,40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class HeldPage:
    """What waits, oldest first; ``cursor`` goes on after it."""

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
    """One page. ``organisations``: only what may belong to a thread of theirs; None: all of it. RefusedRecord for a cursor that is none."""
    query = select(messages.c.id, messages.c.received_at).where(messages.c.disposition == disposition.value)
    if organisations is not None:
        theirs = select(threads.c.id).where(threads.c.organisation_id.in_(sorted(organisations)))
        query = query.where(messages.c.thread_id.in_(theirs))
    if cursor:
        if not _CURSOR.fullmatch(cursor):
            raise RefusedRecord("This page's name is not understood; begin at the first page.")
        last = select(messages.c.received_at).where(messages.c.id == cursor).scalar_subquery()
        at = messages.c.received_at
        query = query.where(or_(at > last, and_(at == last, messages.c.id > cursor)))
    query = query.order_by(messages.c.received_at, messages.c.id).limit(limit + 1)
    keys = keys_of(conn, messages, query)
    items = tuple(held_items(conn, keys[:limit]))
    last_id = None
    if len(keys) > limit and items:
        end = items[-1]
        last_id = end.id if isinstance(end, DamagedCopy) else end.copy.id
    return HeldPage(items, last_id)
