"""Lists of threads for people: filtered, page by page down an index, and only those of the customers that somebody may see."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from threads.model import Assignee, Severity, State, Thread, ThreadKind
from threads.schema import organisations, threads
from threads.store.errors import RefusedRecord
from threads.store.thread import thread_of
from threads.store.values import MAX_ROW, storable

PAGE: Final = 50
"""Threads on one page."""
NEAR: Final = 2_000
"""Threads among which words are looked for first."""
MAX_WORDS: Final = 100
"""Characters that are looked for in titles."""
_REFERENCE: Final = re.compile(r"[A-Za-z]{3}-[0-9]{1,12}", re.ASCII)
_CURSOR: Final = re.compile(r"([0-9]{1,16})\.([0-9]{1,10})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is listed. ``organisations``: the only ones whose threads are; None: all. ``words`` stand in the title, or are the reference."""

    organisations: Collection[int] | None = None
    organisation_id: int | None = None
    kind: ThreadKind | None = None
    state: State | None = None
    unresolved: bool = False
    severity: Severity | None = None
    assigned_to: Assignee | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class ThreadPage:
    """Threads with their customers' names, the latest news first; ``cursor`` goes on after them, None at the end."""

    threads: tuple[tuple[Thread, str], ...]
    cursor: str | None


def list_page(conn: Connection, wanted: Wanted, *, cursor: str = "", limit: int = PAGE) -> ThreadPage:
    """One page; shells of erased organisations and threads that another one goes on for are left out. RefusedRecord for a cursor that is none."""
    if wanted.organisations is not None and not wanted.organisations:
        return ThreadPage((), None)
    # Words that many titles have are found among the latest threads, by the index of news; for others all titles are looked through.
    words = storable(wanted.words.strip(), MAX_WORDS)
    if words and not _REFERENCE.fullmatch(words):
        latest = _page(conn, wanted, words, cursor, limit, near=True)
        if latest.cursor is not None:
            return latest
    return _page(conn, wanted, words, cursor, limit, near=False)


def _page(conn: Connection, wanted: Wanted, words: str, cursor: str, limit: int, *, near: bool) -> ThreadPage:
    query = (
        select(threads, organisations.c.name.label("customer"))
        .join(organisations, organisations.c.id == threads.c.organisation_id)
        .where(organisations.c.erased_at.is_(None), threads.c.merged_into.is_(None), *_conditions(wanted))
        .order_by(threads.c.updated_at.desc(), threads.c.id.desc())
        .limit(limit + 1)
    )
    if words:
        query = query.where(_named(conn, words, cursor, near=near))
    if cursor:
        query = query.where(_after(threads, cursor))
    rows = conn.execute(query).all()
    found = tuple((thread_of(row), str(row.customer)) for row in rows[:limit])
    more = _cursor(found[-1][0]) if len(rows) > limit else None
    return ThreadPage(found, more)


def _after(table: Any, cursor: str) -> ColumnElement[bool]:
    at, number = _place(cursor)
    return or_(table.c.updated_at < at, and_(table.c.updated_at == at, table.c.id < number))


def _conditions(wanted: Wanted) -> list[ColumnElement[Any]]:
    found: list[ColumnElement[Any]] = []
    if wanted.organisations is not None:
        found.append(threads.c.organisation_id.in_(sorted(wanted.organisations)))
    if wanted.organisation_id is not None:
        found.append(threads.c.organisation_id == wanted.organisation_id)
    if wanted.unresolved:
        found.append(threads.c.state != State.RESOLVED.value)
    for column, word in (
        (threads.c.kind, wanted.kind),
        (threads.c.state, wanted.state),
        (threads.c.severity, wanted.severity),
        (threads.c.assigned_to, wanted.assigned_to),
    ):
        if word is not None:
            found.append(column == word.value)
    return found


def _named(conn: Connection, words: str, cursor: str, *, near: bool) -> ColumnElement[bool]:
    """The thread of that reference, or those with the words in their titles; ``near``: only among the next ones by news.

    All titles are looked through in one go, in the order of the table: going to each by the index takes thrice as long.
    """
    if _REFERENCE.fullmatch(words):
        return threads.c.reference == words.upper()
    pattern = "%" + re.sub(r"([\\%_])", r"\\\1", words) + "%"
    other = threads.alias()
    # SQLite's LIKE takes no account of case (of ASCII letters) by itself.
    sqlite = conn.dialect.name == "sqlite"
    title = other.c.title.like(pattern, escape="\\") if sqlite else other.c.title.ilike(pattern, escape="\\")
    if not near:
        return threads.c.id.in_(select(other.c.id).where(title))
    last = threads.alias()
    latest = select(last.c.id).order_by(last.c.updated_at.desc(), last.c.id.desc()).limit(NEAR)
    if cursor:
        latest = latest.where(_after(last, cursor))
    return threads.c.id.in_(select(other.c.id).where(other.c.id.in_(latest), title))


def _cursor(last: Thread) -> str:
    return f"{round(last.updated_at.timestamp() * 1_000_000)}.{last.id}"


def _place(cursor: str) -> tuple[datetime, int]:
    found = _CURSOR.fullmatch(cursor)
    if found is None or int(found[2]) > MAX_ROW:
        raise RefusedRecord("This page's name is not understood; begin at the first page.")
    seconds, micro = divmod(int(found[1]), 1_000_000)
    try:
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micro), int(found[2])
    except (OverflowError, ValueError) as error:
        raise RefusedRecord("This page's name is not understood; begin at the first page.") from error
