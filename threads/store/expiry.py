"""Mail whose time is over (``threads.retention``): its content goes, its trace stays, and it is told.

In one transaction for some hundred copies: what is known of a copy moves to ``expired_messages``, its row, its judgements
and, once no other copy has them, its bytes are deleted, and the thread it waited for is told by a note. The same bytes
that come again later are a new message. A row that cannot be read never expires: somebody has to look at it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
)

from threads.model import DamagedCopy, Disposition, EntryKind, ExpiredMessage, Mark, MessageKind, StoredCopy
from threads.retention import counts_from
from threads.schema import UtcTime, evidence, expired_messages, messages, raw_messages
from threads.store.audit import record_act
from threads.store.belonging import on_legal_hold
from threads.store.erasure import remove_copies
from threads.store.errors import RefusedRecord
from threads.store.held import WAITING
from threads.store.intake import copy_of
from threads.store.row_reading import (
    Damaged,
    Key,
    damaged_columns,
    key_of,
    keys_of,
    read_rows,
    readable_id,
    well_typed,
)
from threads.store.thread import append
from threads.store.values import MAX_LINE, storable

AT_ONCE: Final = 100
"""Copies that go in one transaction, so that it delays nobody's mail."""
TRACE_KEPT_FOR: Final = timedelta(days=365)
"""Who asks what became of a message does so within a year; at some 7 KB each a thousand a day are 3 GB by then."""
_SINCE: Final = MappingProxyType(
    {
        Disposition.HELD: messages.c.received_at,
        Disposition.TRIAGE: messages.c.received_at,
        Disposition.DISCARDED: messages.c.discarded_at,
        Disposition.RELAYED: messages.c.released_at,
    }
)
"""The columns of ``counts_from``."""
_WORDS: Final = MappingProxyType({"kind": MessageKind, "disposition": Disposition})
_ON_HOLD: Final = on_legal_hold(messages.c.author, messages.c.thread_id)
_MOVED: Final = tuple(column.name for column in expired_messages.c if column.name in messages.c)


def due(conn: Connection, before: datetime) -> tuple[Key, ...]:
    """Keys of the copies whose time began before a moment, the longest waiting first; none under a legal hold."""
    query = select(messages.c.id).where(_began_before(before), ~_ON_HOLD)
    return keys_of(conn, messages, query.order_by(messages.c.received_at, messages.c.id))


def _began_before(before: datetime) -> ColumnElement[bool]:
    return or_(
        *(and_(messages.c.disposition == word.value, since < before) for word, since in _SINCE.items())
    )


def due_copies(conn: Connection, keys: Sequence[Key], before: datetime) -> Iterator[StoredCopy]:
    """Those of the copies that can be read and whose time did begin before that moment."""
    for copy in read_rows(conn, messages, select(messages), keys, _sound_copy):
        if isinstance(copy, Damaged):
            continue
        since = counts_from(copy)
        if since is not None and since < before:
            yield copy


def _sound_copy(row: Row[Any]) -> StoredCopy:
    well_typed(row, messages.c)
    return copy_of(row)


def expire(
    conn: Connection, keys: Sequence[Key], before: datetime, at: datetime, *, by: str
) -> tuple[StoredCopy, ...]:
    """Remove the content of those of the copies whose time began before ``before``; returns them as they were.

    ``keys`` are some that ``due`` gave, ``AT_ONCE`` at most. What was decided on or is being decided on meanwhile
    is left alone.
    """
    # On PostgreSQL somebody else may release or discard one of them right now.
    locked = (
        select(key_of(conn, messages))
        .select_from(messages)
        .where(key_of(conn, messages).in_(keys), _began_before(before), ~_ON_HOLD)
        .with_for_update(skip_locked=True)
    )
    copies = tuple(due_copies(conn, tuple(conn.execute(locked).scalars()), before))
    if copies:
        _keep_trace(conn, [copy.id for copy in copies], at, by)
        # One may stand on a timeline, if it came first with a standing that let it: what was said there stays.
        remove_copies(conn, copies)
        _tell_threads(conn, copies, at, by)
        ids = " ".join(copy.id for copy in copies)
        record_act(conn, "mail-expired", at, by=by, subject=f"messages: {len(copies)}", detail=ids)
    return copies


def _keep_trace(conn: Connection, ids: list[str], at: datetime, by: str) -> None:
    last = (
        select(func.max(evidence.c.id).label("id"))
        .where(evidence.c.message_id.in_(ids))
        .group_by(evidence.c.message_id)
        .subquery()
    )
    judged = (
        select(
            evidence.c.message_id,
            evidence.c.report,
            evidence.c.body,
            evidence.c.evaluator,
            evidence.c.settings_hash,
        )
        .join(last, last.c.id == evidence.c.id)
        .subquery()
    )
    traces = (
        select(
            *(messages.c[name] for name in _MOVED),
            func.coalesce(raw_messages.c.size, 0),
            literal(at, UtcTime),
            literal(storable(by, MAX_LINE)),
            judged.c.report,
            judged.c.body,
            judged.c.evaluator,
            judged.c.settings_hash,
        )
        .select_from(messages)
        .outerjoin(raw_messages, raw_messages.c.sha256 == messages.c.sha256)
        .outerjoin(judged, judged.c.message_id == messages.c.id)
        .where(messages.c.id.in_(ids))
    )
    more = ("size", "expired_at", "expired_by", "report", "evidence", "evaluator", "settings_hash")
    conn.execute(insert(expired_messages).from_select([*_MOVED, *more], traces))


def _tell_threads(conn: Connection, copies: Sequence[StoredCopy], at: datetime, by: str) -> None:
    """One note a thread, however many waited for it."""
    undecided = Counter(
        copy.thread_id for copy in copies if copy.thread_id is not None and copy.disposition in WAITING
    )
    for thread_id, number in sorted(undecided.items()):
        what = "A held message" if number == 1 else f"{number} held messages"
        text = (
            f"{what} for this thread expired undecided: nobody released or discarded it in time. "
            "The content is removed; see `expertmail held list --expired`."
        )
        append(conn, thread_id, at, EntryKind.NOTE, actor=by, mark=Mark.AUTOMATION, text=text)


def forget_traces(conn: Connection, now: datetime, kept_for: timedelta = TRACE_KEPT_FOR) -> int:
    """Forget traces that are too old, at most ``AT_ONCE``; returns how many."""
    old = (
        select(expired_messages.c.id)
        .where(
            expired_messages.c.expired_at < now - kept_for,
            ~on_legal_hold(expired_messages.c.author, expired_messages.c.thread_id),
        )
        .order_by(expired_messages.c.expired_at)
        .limit(AT_ONCE)
    )
    ids = list(conn.execute(old).scalars())
    if ids:
        conn.execute(delete(expired_messages).where(expired_messages.c.id.in_(ids)))
    return len(ids)


def expired_keys(conn: Connection) -> tuple[Key, ...]:
    """The traces, the newest first, by their rows' keys."""
    query = select(expired_messages.c.id).order_by(
        expired_messages.c.expired_at.desc(), expired_messages.c.id.desc()
    )
    return keys_of(conn, expired_messages, query)


def find_expired(conn: Connection, copy_id: str) -> ExpiredMessage | None:
    """The trace of one copy; None when it has not expired, RefusedRecord when it is damaged."""
    named = select(expired_messages.c.id).where(expired_messages.c.id == storable(copy_id, MAX_LINE))
    for found in expired_items(conn, keys_of(conn, expired_messages, named)):
        if isinstance(found, DamagedCopy):
            raise RefusedRecord(f"What is kept of message {found.id} cannot be read; restore a backup.")
        return found
    return None


def expired_items(conn: Connection, keys: Sequence[Key]) -> Iterator[ExpiredMessage | DamagedCopy]:
    """The traces with these keys; one that cannot be read stands in its place."""
    for found in read_rows(conn, expired_messages, select(expired_messages), keys, _trace):
        if isinstance(found, Damaged):
            columns = damaged_columns(conn, expired_messages, found.key, dict(_WORDS))
            yield DamagedCopy(readable_id(conn, expired_messages, found.key), columns)
        else:
            yield found


def _trace(row: Row[Any]) -> ExpiredMessage:
    well_typed(row, expired_messages.c)
    values = {field.name: getattr(row, field.name) for field in fields(ExpiredMessage)}
    return ExpiredMessage(
        **{**values, "kind": MessageKind(row.kind), "disposition": Disposition(row.disposition)}
    )
