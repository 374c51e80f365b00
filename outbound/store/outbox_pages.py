"""Lists of outgoing mail, page by page, only of the customers that somebody may see."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, or_, select

from outbound.model import DeliveryState, OutboxItem
from outbound.schema import deliveries, outgoing
from outbound.store.outbox import outbox_query, read_items
from threads.schema import contacts, threads
from threads.store.errors import RefusedRecord
from threads.store.values import MAX_PATH, MAX_ROW, address_key, storable

PAGE: Final = 50
_CURSOR: Final = re.compile(r"[0-9]{1,10}", re.ASCII)


@dataclass(frozen=True, slots=True)
class OutboxPage:
    """Mails, newest first; ``cursor`` goes on after them."""

    items: tuple[OutboxItem, ...]
    cursor: str | None


def outbox_page(
    conn: Connection,
    organisations: Collection[int] | None,
    *,
    state: DeliveryState | None = None,
    recipient: str = "",
    organisation_id: int | None = None,
    thread_id: int | None = None,
    cursor: str = "",
    limit: int = PAGE,
) -> OutboxPage:
    """One page. ``organisations``: only mail on their threads or to their contacts; None: all. RefusedRecord for a cursor that is none.

    ``organisation_id`` and ``thread_id`` narrow that further.
    """
    query = outbox_query(state).limit(limit + 1)
    if organisations is not None:
        query = query.where(_of(organisations))
    if organisation_id is not None:
        query = query.where(_of((organisation_id,)))
    if thread_id is not None:
        query = query.where(outgoing.c.thread_id == thread_id)
    if recipient:
        query = query.where(outgoing.c.rcpt_to == address_key(storable(recipient, MAX_PATH)))
    if cursor:
        if _CURSOR.fullmatch(cursor) is None or int(cursor) > MAX_ROW:
            raise RefusedRecord("This page's name is not understood; begin at the first page.")
        query = query.where(deliveries.c.outgoing_id < int(cursor))
    found = read_items(conn, query)
    more = len(found) > limit
    return OutboxPage(found[:limit], str(found[limit - 1].outgoing_id) if more else None)


def _of(organisations: Collection[int]) -> ColumnElement[bool]:
    """Mail is its thread's customer's; without a thread it is that of the contact who gets it."""
    some = sorted(organisations)
    theirs = select(threads.c.id).where(threads.c.organisation_id.in_(some))
    people = select(contacts.c.id).where(contacts.c.organisation_id.in_(some))
    on_none = outgoing.c.thread_id.is_(None) & outgoing.c.contact_id.in_(people)
    return or_(outgoing.c.thread_id.in_(theirs), on_none)
