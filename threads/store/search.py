"""Searching the stored messages; the same query finds the same messages on SQLite (FTS5) and PostgreSQL (tsvector).

The newest first, page by page down the index, which is in the order of time: a page costs what it shows, however many
messages there are. The best first means the best of the newest ``RANKED``: an old message of which nothing newer is left is seldom what
somebody looks for, and ranking all messages with a common word would take a second.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, select

from threads.model import StoredCopy
from threads.schema import messages, search_documents, threads
from threads.search_query import Query, QueryError
from threads.search_snippet import Snippet, snippet
from threads.store import search_postgresql, search_sqlite
from threads.store.intake import copy_of
from threads.store.row_reading import Damaged, keys_of, read_rows
from threads.store.search_index import fact, number_of
from threads.store.search_window import Asked, Window

PAGE: Final = 20
MAX_PAGE: Final = 1_000
RANKED: Final = 1_000
"""Of so many of the newest messages found the best are shown first: some ten milliseconds for common words."""
MAX_OF_THREAD: Final = 10_000  # messages of one thread, the newest ones, that are looked among
FEW_OF_CUSTOMERS: Final = 10_000
"""Of customers with so many messages at most these are looked among; of others each hit is asked whose it is.

With more of them there is one of theirs among each hundred of a million messages, so that a page is soon full.
"""
_CURSOR: Final = re.compile(r"(n)([0-9]{1,18})|(b)([0-9]{1,18})\.([0-9]{1,4})", re.ASCII)
_LAST: Final = 2**62  # above every number


class Order(StrEnum):
    """What comes first."""

    NEWEST = "newest"
    BEST = "best"


@dataclass(frozen=True, slots=True)
class Filters:
    """What else must hold: the thread, received at or after and before these moments, the verdict.

    ``organisations``: only messages on their threads, and those held for them; None: those of all, and of nobody.
    """

    thread_id: int | None = None
    since: datetime | None = None
    before: datetime | None = None
    verdict: str | None = None
    organisations: Collection[int] | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that was found: as it stands on record, its thread's reference, its customer's words around the hit."""

    copy: StoredCopy
    thread: str | None
    snippet: Snippet


@dataclass(frozen=True, slots=True)
class Page:
    """Hits in their order; ``cursor`` continues after them and is None at the end. ``damaged``: found, but unreadable."""

    hits: tuple[Hit, ...]
    cursor: str | None = None
    damaged: int = 0


def search(
    conn: Connection,
    query: Query,
    filters: Filters | None = None,
    *,
    order: Order = Order.NEWEST,
    limit: int = PAGE,
    cursor: str | None = None,
) -> Page:
    """One page of what the index holds (see ``search_index.catch_up``). Raises QueryError for a cursor that is none of ours.

    A cursor goes on in the order in which it began.
    """
    filters = filters or Filters()
    limit = min(max(1, limit), MAX_PAGE)
    kind, end, offset = _cursor(cursor, order)
    engine = search_postgresql if conn.dialect.name == "postgresql" else search_sqlite
    window = _window(conn, filters, end)
    asked = Asked(query, window, None if filters.verdict is None else fact(filters.verdict))
    if window.only == ():
        return Page(())
    if kind is Order.NEWEST:
        numbers = engine.newest(conn, asked, limit + 1)
        more = f"n{numbers[limit - 1]}" if len(numbers) > limit else None
    else:
        ranked = engine.best(conn, asked, RANKED)
        numbers = ranked[offset : offset + limit + 1]
        # What comes in meanwhile moves no page.
        more = f"b{min(end, max(ranked) + 1)}.{offset + limit}" if len(numbers) > limit else None
    return _page(conn, query, numbers[:limit], more)


def _cursor(cursor: str | None, order: Order) -> tuple[Order, int, int]:
    """Which order, up to which number, after how many: a cursor knows all of it."""
    if cursor is None:
        return order, _LAST, 0
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise QueryError("This page's name is not understood; take it as the page before gave it.")
    if found[1] is not None:
        return Order.NEWEST, int(found[2]), 0
    return Order.BEST, int(found[4]), int(found[5])


def _window(conn: Connection, filters: Filters, end: int) -> Window:
    first = 0 if filters.since is None else max(0, number_of(filters.since))
    if filters.before is not None:
        end = min(end, max(0, number_of(filters.before)))
    if filters.thread_id is None and filters.organisations is None:
        return Window(first, end)
    most = FEW_OF_CUSTOMERS + 1 if filters.thread_id is None else MAX_OF_THREAD
    own = tuple(conn.execute(_own(filters, first, end, most)).scalars())
    if filters.organisations is not None and filters.thread_id is None and len(own) == most:
        return Window(first, end, of=tuple(sorted(filters.organisations)))
    own = tuple(sorted(own, reverse=True))
    return Window(own[-1], own[0] + 1, own) if own else Window(0, 0, ())


def _own(filters: Filters, first: int, end: int, most: int) -> Select[int]:
    """The numbers of a thread's messages, the newest ones, or of some of those customers."""
    query = (
        select(search_documents.c.number)
        .join(messages, messages.c.id == search_documents.c.copy_id)
        .where(search_documents.c.number >= first, search_documents.c.number < end)
        .limit(most)
    )
    if filters.organisations is not None:
        theirs = select(threads.c.id).where(threads.c.organisation_id.in_(sorted(filters.organisations)))
        query = query.where(messages.c.thread_id.in_(theirs))
    if filters.thread_id is None:
        return query  # in no order: all of them, or so many that they are not used
    return query.where(messages.c.thread_id == filters.thread_id).order_by(search_documents.c.number.desc())


def _page(conn: Connection, query: Query, numbers: Sequence[int], cursor: str | None) -> Page:
    ids = {
        row[0]: row[1]
        for row in conn.execute(
            select(search_documents.c.number, search_documents.c.copy_id).where(
                search_documents.c.number.in_(numbers)
            )
        )
    }
    keys = keys_of(conn, messages, select(messages.c.id).where(messages.c.id.in_(ids.values())))
    query_rows = select(messages, threads.c.reference.label("thread_reference")).outerjoin(
        threads, threads.c.id == messages.c.thread_id
    )

    def read(row: Row[Any]) -> Hit:
        return Hit(copy_of(row), row.thread_reference, snippet(row.new_text, query))

    found = {
        hit.copy.id: hit
        for hit in read_rows(conn, messages, query_rows, keys, read)
        if not isinstance(hit, Damaged)
    }
    there = [number for number in numbers if number in ids]
    hits = tuple(found[ids[number]] for number in there if ids[number] in found)
    return Page(hits, cursor, len(there) - len(hits))
