"""The index that search works on: filled after a message is stored, never in its transaction.

What has to be indexed is told by the judgements (``evidence``): each time that a copy is stored or filed anew there is one
more. ``search_progress`` says up to which one all is done, so the work goes on after any crash where its last commit was, and
of two processes that do the same the second one finds the row changed and takes nothing. On PostgreSQL, where a
judgement with a lower number may be committed after one with a higher, a number counts as done only when every
transaction that was under way has ended. A copy that is removed leaves the index by the database's own means.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, or_, select, text, update

from threads.schema import evidence, messages, search_documents, search_progress
from threads.store.engine import Database
from threads.store.errors import StoreError, StoreUnavailable
from threads.store.search_entries import EPOCH, Entry, entries_of

AT_ONCE: Final = 200
"""Copies of one transaction: it holds SQLite's write lock for some 20 ms."""
FACT: Final = "\N{SECTION SIGN}"
"""What begins a word of ours in the index, and no word of a message: the section sign is neither letter nor digit."""
BUSY_SECONDS: Final = 0.05  # until the next look whether another process has done its part
# The key of PostgreSQL's advisory lock, one for each database: any number that nobody else takes.
_LOCK: Final = 0x5EA2C4
_MICROSECOND: Final = timedelta(microseconds=1)

_INSERT_SQLITE: Final = text(
    "INSERT INTO search_words (rowid, subject, people, files, words, facts)"
    " VALUES (:number, :subject, :people, :files, :words, :facts)"
)
_INSERT_POSTGRESQL: Final = text(
    "INSERT INTO search_words (number, words) VALUES (:number, CAST(:words AS tsvector))"
)


@dataclass(frozen=True, slots=True)
class _Progress:
    done_to: int
    next_to: int
    next_after: int


@dataclass(frozen=True, slots=True)
class _Batch:
    before: _Progress
    after: _Progress
    entries: tuple[Entry, ...]


class _OvertakenError(Exception):
    """Another process was first."""


def number_of(at: datetime) -> int:
    """The number that the documents received at that moment begin with."""
    return (at - EPOCH) // _MICROSECOND


def fact(word: str) -> str:
    """A word of ours, such as a verdict, as it stands in the index."""
    return FACT + "".join(filter(str.isalnum, word.lower()))


@dataclass(frozen=True, slots=True)
class Backlog:
    """The number of the newest judgement, and about how many are not in the index yet."""

    newest: int
    waiting: int


def backlog(conn: Connection) -> Backlog:
    """How far the index is behind."""
    newest = select(func.coalesce(func.max(evidence.c.id), 0)).scalar_subquery()
    row = conn.execute(select(newest.label("newest"), search_progress.c.done_to)).one()
    return Backlog(int(row.newest), max(0, int(row.newest) - int(row.done_to)))


def index_some(database: Database, at_once: int = AT_ONCE) -> int | None:
    """Take the next copies into the index; returns how many, 0 when all are there, None when another process is at it.

    Raises StoreError.
    """
    if database.path is None:
        with database.writing() as conn:
            if not conn.execute(select(func.pg_try_advisory_xact_lock(_LOCK))).scalar_one():
                return None
            return _write(conn, _read(conn, at_once))
    # Words are made outside the transaction: SQLite has one writer, and mail has to be stored meanwhile.
    with database.reading() as conn:
        batch = _read(conn, at_once)
    if batch.after == batch.before:
        return 0
    try:
        with database.writing() as conn:
            return _write(conn, batch)
    except _OvertakenError:
        return None


def catch_up(database: Database, seconds: float) -> bool:
    """Take what is not in the index yet, for so long at most; whether all is there. Raises StoreError."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            done = index_some(database)
        except StoreUnavailable:
            return False
        if done == 0:
            return True
        if done is None:
            time.sleep(BUSY_SECONDS)
    return False


def see_to_gaps(database: Database) -> bool:
    """Begin again where copies are missing in the index, as after a table was made anew; whether that was so.

    What is there already is not done twice. Takes the time of two counts.
    """
    with database.reading() as conn:
        behind = backlog(conn).waiting
        there = conn.execute(select(func.count()).select_from(search_documents)).scalar_one()
        wanted = conn.execute(select(func.count()).select_from(messages)).scalar_one()
    if behind or there >= wanted:
        return False
    with database.writing() as conn:
        conn.execute(update(search_progress).values(done_to=0, next_to=0, next_after=0))
    return True


def _read(conn: Connection, at_once: int) -> _Batch:
    row = conn.execute(select(search_progress)).one_or_none()
    if row is None:
        raise StoreError("The search index has no beginning; restore a backup.")
    before = _Progress(row.done_to, row.next_to, row.next_after)
    several = conn.dialect.name == "postgresql"
    # In this order: what is committed while we look must not count as seen.
    settled = several and _has_settled(conn, before.next_after)
    newest = int(conn.execute(select(func.coalesce(func.max(evidence.c.id), 0))).scalar_one())
    wanted = _missing(conn, before.done_to, at_once)
    entries = tuple(entries_of(conn, wanted))
    reached = max(before.done_to, _reached(wanted, entries, newest, at_once))
    if not several:
        return _Batch(before, _Progress(reached, 0, 0), entries)
    if not settled or reached == before.done_to == before.next_to:
        return _Batch(before, before, entries)
    # Every transaction that may yet commit a judgement up to ``next_to`` had ended before we looked.
    done_to = max(before.done_to, min(before.next_to, reached))
    return _Batch(before, _Progress(done_to, reached, _snapshot(conn, "pg_snapshot_xmax")), entries)


def _has_settled(conn: Connection, next_after: int) -> bool:
    """Whether all transactions before that one have ended; in a restored copy the numbers are another server's."""
    return (
        _snapshot(conn, "pg_snapshot_xmin") >= next_after or _snapshot(conn, "pg_snapshot_xmax") < next_after
    )


def _snapshot(conn: Connection, bound: str) -> int:
    """The oldest transaction under way, or the next one to come."""
    found = conn.execute(text(f"SELECT CAST(CAST({bound}(pg_current_snapshot()) AS text) AS bigint)"))
    return int(found.scalar_one())


def _reached(wanted: Sequence[Any], entries: Sequence[Entry], newest: int, at_once: int) -> int:
    """Up to which judgement all that can be seen now is done with these entries."""
    done = {entry.copy_id for entry in entries}
    left = [row.id for row in wanted if row.message_id not in done]
    if left:
        return int(left[0]) - 1
    return newest if len(wanted) < at_once else int(wanted[-1].id)


def _missing(conn: Connection, done_to: int, limit: int) -> Sequence[Any]:
    """The next judgements whose copies are not in the index as of them."""
    query = (
        select(evidence.c.id, evidence.c.message_id)
        .outerjoin_from(evidence, search_documents, search_documents.c.copy_id == evidence.c.message_id)
        .where(
            evidence.c.id > done_to,
            or_(search_documents.c.judged.is_(None), search_documents.c.judged < evidence.c.id),
        )
        .order_by(evidence.c.id)
        .limit(limit)
    )
    return conn.execute(query).all()


def _write(conn: Connection, batch: _Batch) -> int:
    before, after = batch.before, batch.after
    if after != before:
        changed = conn.execute(
            update(search_progress)
            .where(
                search_progress.c.done_to == before.done_to,
                search_progress.c.next_to == before.next_to,
            )
            .values(done_to=after.done_to, next_to=after.next_to, next_after=after.next_after)
        )
        if changed.rowcount != 1:
            raise _OvertakenError
    entries = batch.entries
    if conn.dialect.name == "sqlite":  # what was removed since it was read stays out
        there = set(
            conn.execute(
                select(messages.c.id).where(messages.c.id.in_([e.copy_id for e in entries]))
            ).scalars()
        )
        entries = tuple(entry for entry in entries if entry.copy_id in there)
    if entries:
        _put(conn, entries)
    return len(batch.entries)


def _put(conn: Connection, entries: Sequence[Entry]) -> None:
    ids = [entry.copy_id for entry in entries]
    earlier = {
        row[0]: row[1]
        for row in conn.execute(
            select(search_documents.c.copy_id, search_documents.c.number).where(
                search_documents.c.copy_id.in_(ids)
            )
        )
    }
    numbers = earlier | _numbers(conn, [e for e in entries if e.copy_id not in earlier])
    if earlier:
        conn.execute(delete(search_documents).where(search_documents.c.copy_id.in_(earlier)))
    conn.execute(
        insert(search_documents),
        [{"number": numbers[e.copy_id], "copy_id": e.copy_id, "judged": e.judged} for e in entries],
    )
    if conn.dialect.name == "sqlite":
        conn.execute(_INSERT_SQLITE, [_fts5(numbers[e.copy_id], e) for e in entries])
    else:
        conn.execute(_INSERT_POSTGRESQL, [_tsvector(numbers[e.copy_id], e) for e in entries])


def _numbers(conn: Connection, entries: Sequence[Entry]) -> dict[str, int]:
    """A number for each: its time, or the next one that is free."""
    asked = {entry.copy_id: number_of(entry.received_at) for entry in entries}
    taken = set(
        conn.execute(
            select(search_documents.c.number).where(search_documents.c.number.in_(set(asked.values())))
        ).scalars()
    )
    numbers: dict[str, int] = {}
    for copy_id, wanted in asked.items():
        number = wanted
        while number in taken or (number != wanted and _is_taken(conn, number)):
            number += 1
        taken.add(number)
        numbers[copy_id] = number
    return numbers


def _is_taken(conn: Connection, number: int) -> bool:
    found = conn.execute(select(search_documents.c.number).where(search_documents.c.number == number))
    return found.first() is not None


def _fts5(number: int, entry: Entry) -> dict[str, Any]:
    made = entry.document
    return {
        "number": number,
        "subject": " ".join(made.subject),
        "people": " ".join(made.people),
        "files": " ".join(made.files),
        "words": " ".join(made.text),
        "facts": fact(entry.verdict),
    }


def _tsvector(number: int, entry: Entry) -> dict[str, Any]:
    """Places with a gap between the fields, so that no phrase goes from one into the next."""
    places: dict[str, list[str]] = {fact(entry.verdict): []}
    place = 0
    made = entry.document
    for weight, words in (("A", made.subject), ("B", made.people), ("B", made.files), ("D", made.text)):
        place += 1
        for word in words:
            place += 1
            places.setdefault(word, []).append(f"{place}{weight}")
    written = " ".join(f"'{word}':{','.join(at)}" if at else f"'{word}'" for word, at in places.items())
    return {"number": number, "words": written}
