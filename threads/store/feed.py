"""A thread's timeline as others than the experts may see it, from any entry on: for portals, webhooks and channels alike.

Notes stay with the experts. Of mail that was released although nobody knows who wrote it only that it is there is told. Entries
of one thread are numbered in the order of their commits (``threads.store.thread.append``), so that whoever goes on after the last number
that was seen misses none.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, func, select

from threads.model import EntryKind, Mark
from threads.schema import carried_mails, chat_messages, timeline

MAX_TEXT: Final = 10_000
"""Characters of one entry; ``cut`` says that there is more."""
MAX_ENTRIES: Final = 200
"""Entries at one time; who wants more asks again from the last one."""
INTERNAL: Final = frozenset({EntryKind.NOTE})
"""What experts write down for each other stays with them."""


@dataclass(frozen=True, slots=True)
class SharedEntry:
    """An entry without what is the experts' own. ``actor`` and ``text`` are None where nobody knows who wrote it.

    ``source`` and ``external_id``: who brought it here by a chat, and under which number it is known there. ``copy_of``: the entry whose
    words this mail of ours carries to somebody who reads mail only; a view that shows that one leaves this out.
    """

    id: int
    thread_id: int
    at: datetime
    kind: EntryKind
    actor: str | None
    mark: Mark
    text: str | None
    cut: bool
    source: str | None = None
    external_id: str | None = None
    copy_of: int | None = None


def entries_after(
    conn: Connection, thread_id: int, after: int, limit: int = MAX_ENTRIES
) -> tuple[SharedEntry, ...]:
    """The first entries of a thread with numbers above ``after``, in order."""
    query = (
        _QUERY.where(timeline.c.thread_id == thread_id, timeline.c.id > after)
        .order_by(timeline.c.id)
        .limit(limit)
    )
    return tuple(map(_shared, conn.execute(query)))


def shared_entry(conn: Connection, entry_id: int) -> SharedEntry | None:
    """One entry; None for one that is not there, or that others may not see."""
    row = conn.execute(_QUERY.where(timeline.c.id == entry_id)).one_or_none()
    return None if row is None else _shared(row)


_QUERY: Final[Select[Any]] = (
    select(timeline, chat_messages.c.source, chat_messages.c.external_id, carried_mails.c.entry_id)
    .outerjoin_from(timeline, chat_messages, chat_messages.c.entry_id == timeline.c.id)
    .outerjoin(
        carried_mails,
        # A mail that comes in under the same Message-ID is no copy, whatever its sender makes it look like.
        and_(
            carried_mails.c.message_id == timeline.c.message_id, timeline.c.kind == EntryKind.MAIL_OUT.value
        ),
    )
    .where(timeline.c.kind.not_in([one.value for one in INTERNAL]))
)


def _shared(row: Row[Any]) -> SharedEntry:
    known = Mark(row.mark) is not Mark.UNVERIFIED
    return SharedEntry(
        row.id,
        row.thread_id,
        row.at,
        EntryKind(row.kind),
        row.actor if known else None,
        Mark(row.mark),
        row.text[:MAX_TEXT] if known else None,
        known and len(row.text) > MAX_TEXT,
        row.source,
        row.external_id,
        row.entry_id,
    )


def latest_of(conn: Connection, thread_ids: Collection[int]) -> dict[int, int]:
    """The number of each thread's last entry, of whatever kind; a thread without one is not there."""
    query = (
        select(timeline.c.thread_id, func.max(timeline.c.id).label("last"))
        .where(timeline.c.thread_id.in_(sorted(thread_ids)))
        .group_by(timeline.c.thread_id)
    )
    return {row.thread_id: row.last for row in conn.execute(query)}


def copies_among(conn: Connection, message_ids: Collection[str]) -> dict[str, int]:
    """Which of these mails of ours (Message-IDs without angle brackets) carry what an entry says: the entries' numbers."""
    if not message_ids:
        return {}
    query = select(carried_mails).where(carried_mails.c.message_id.in_(sorted(message_ids)))
    return {row.message_id: row.entry_id for row in conn.execute(query)}
