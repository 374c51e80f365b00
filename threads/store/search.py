"""Searching the stored messages; the same query finds the same messages on SQLite (FTS5) and PostgreSQL (tsvector).

The newest first, page by page down the index, which is in the order of time: a page costs what it shows, however many
messages there are. The best first means the best of the newest ``RANKED``: an old message of which nothing newer is left is seldom what
somebody looks for, and ranking all messages with a common word would take a second.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, select, text

from threads.model import StoredCopy
from threads.schema import messages, search_documents, threads
from threads.search_query import Query, QueryError, Term
from threads.search_snippet import Snippet, snippet
from threads.store.intake import copy_of
from threads.store.row_reading import Damaged, keys_of, read_rows
from threads.store.search_index import fact, number_of

PAGE: Final = 20
MAX_PAGE: Final = 1_000
RANKED: Final = 1_000
"""Of so many of the newest messages found the best are shown first: some ten milliseconds for common words."""
MAX_OF_THREAD: Final = 10_000  # messages of one thread, the newest ones, that are looked among
_CURSOR: Final = re.compile(r"(n)([0-9]{1,18})|(b)([0-9]{1,18})\.([0-9]{1,4})", re.ASCII)
_LAST: Final = 2**62  # above every number

# How much a hit counts in the subject, in addresses, in attachments' names, in the text; our own words count nothing.
_BM25: Final = "bm25(search_words, 8.0, 4.0, 4.0, 1.0, 0.0)"
_RANK: Final = "ts_rank('{0.125, 0.125, 0.5, 1.0}', words, CAST(:query AS tsquery), 1)"


class Order(StrEnum):
    """What comes first."""

    NEWEST = "newest"
    BEST = "best"


@dataclass(frozen=True, slots=True)
class Filters:
    """What else must hold: the thread, received at or after and before these moments, the verdict."""

    thread_id: int | None = None
    since: datetime | None = None
    before: datetime | None = None
    verdict: str | None = None


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


@dataclass(frozen=True, slots=True)
class _Window:
    """Numbers from the first up to, not with, the second; of a thread only its own."""

    first: int
    end: int
    only: tuple[int, ...] | None = None


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
    if conn.dialect.name == "postgresql":
        # What a query costs hangs on its words, and each takes milliseconds: no plan for all, no compiling.
        conn.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))
        conn.execute(text("SET LOCAL jit = off"))
    kind, end, offset = _cursor(cursor, order)
    window = _window(conn, filters, end)
    asked = _asked(conn, query, filters)
    if kind is Order.NEWEST:
        numbers = _newest(conn, asked, window, limit + 1)
        more = f"n{numbers[limit - 1]}" if len(numbers) > limit else None
    else:
        ranked = _best(conn, asked, window)
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


def _window(conn: Connection, filters: Filters, end: int) -> _Window:
    first = 0 if filters.since is None else max(0, number_of(filters.since))
    if filters.before is not None:
        end = min(end, max(0, number_of(filters.before)))
    if filters.thread_id is None:
        return _Window(first, end)
    query = (
        select(search_documents.c.number)
        .join(messages, messages.c.id == search_documents.c.copy_id)
        .where(
            messages.c.thread_id == filters.thread_id,
            search_documents.c.number >= first,
            search_documents.c.number < end,
        )
        .order_by(search_documents.c.number.desc())
        .limit(MAX_OF_THREAD)
    )
    own = tuple(conn.execute(query).scalars())
    return _Window(own[-1], own[0] + 1, own) if own else _Window(0, 0, ())


def _asked(conn: Connection, query: Query, filters: Filters) -> str:
    """The query in the database's own language. Words hold letters, digits and signs only: nothing in them can end a string."""
    if conn.dialect.name == "sqlite":
        wanted = [_fts5(term) for term in query.wanted]
        if filters.verdict is not None:
            wanted.append(f'"{fact(filters.verdict)}"')
        asked = "(" + " AND ".join(wanted) + ")"
        return "".join([asked, *(f" NOT {_fts5(term)}" for term in query.unwanted)])
    parts = [
        *map(_tsquery, query.wanted),
        *(f"'{fact(word)}'" for word in (filters.verdict,) if word is not None),
        *(f"!{_tsquery(term)}" for term in query.unwanted),
    ]
    return " & ".join(parts)


def _fts5(term: Term) -> str:
    return '"' + " ".join(term.words) + '"' + (" *" if term.beginning else "")


def _tsquery(term: Term) -> str:
    words = [f"'{word}'" for word in term.words]
    if term.beginning:
        words[-1] += ":*"
    return "(" + " <-> ".join(words) + ")"


def _newest(conn: Connection, asked: str, window: _Window, limit: int) -> list[int]:
    if window.only == ():
        return []
    statement = (
        f"SELECT {_named(conn)} FROM search_words WHERE {_matches(conn, window)} ORDER BY 1 DESC LIMIT :most"
    )
    return list(conn.execute(text(statement), _values(conn, asked, window, limit)).scalars())


def _best(conn: Connection, asked: str, window: _Window) -> list[int]:
    """The numbers of the newest messages found, the best first."""
    if window.only == ():
        return []
    name = _named(conn)
    score = f"-{_BM25}" if conn.dialect.name == "sqlite" else _RANK
    statement = (
        f"SELECT number, score FROM (SELECT {name} AS number, {score} AS score FROM search_words"
        f" WHERE {_matches(conn, window)} ORDER BY {name} DESC LIMIT :most) AS newest"
    )
    found = conn.execute(text(statement), _values(conn, asked, window, RANKED)).all()
    return [row.number for row in sorted(found, key=lambda row: (-row.score, -row.number))]


def _named(conn: Connection) -> str:
    return "rowid" if conn.dialect.name == "sqlite" else "number"


def _matches(conn: Connection, window: _Window) -> str:
    if conn.dialect.name == "sqlite":
        # The plus keeps SQLite from looking each number up with a search of its own.
        own = "" if window.only is None else " AND +rowid IN (SELECT value FROM json_each(:only))"
        return f"search_words MATCH :query AND rowid >= :first AND rowid < :end{own}"
    own = "" if window.only is None else " AND number = ANY(CAST(:only AS bigint[]))"
    return f"words @@ CAST(:query AS tsquery) AND number >= :first AND number < :end{own}"


def _values(conn: Connection, asked: str, window: _Window, most: int) -> dict[str, Any]:
    values: dict[str, Any] = {"query": asked, "first": window.first, "end": window.end, "most": most}
    if window.only is not None:
        values["only"] = json.dumps(window.only) if conn.dialect.name == "sqlite" else list(window.only)
    return values


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
