"""Reading stored messages back: the bytes as received, and how they were judged."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from threads.model import Disposition, Judgement, StoredCopy
from threads.schema import evidence, expired_messages, messages, raw_messages, threads
from threads.store.errors import UnknownRecord
from threads.store.intake import copy_of
from threads.store.values import MAX_LINE, storable


def stored_copy(conn: Connection, copy_id: str) -> StoredCopy:
    """The copy with that id; UnknownRecord when there is none."""
    row = conn.execute(select(messages).where(messages.c.id == storable(copy_id, MAX_LINE))).one_or_none()
    if row is None:
        raise unknown_message(conn, copy_id)
    return copy_of(row)


def unknown_message(conn: Connection, copy_id: str) -> UnknownRecord:
    """What to tell who asks for a message that is not there: it never was, or its time was over."""
    known = select(expired_messages.c.id).where(expired_messages.c.id == storable(copy_id, MAX_LINE))
    name = storable(copy_id, 40)
    if conn.execute(known).first() is None:
        return UnknownRecord(f"There is no message {name}; see `expertmail held list`.")
    return UnknownRecord(
        f"The content of message {name} was removed when its time was over; `expertmail held show {name}` "
        "shows what is kept."
    )


def list_copies(
    conn: Connection,
    *,
    thread_id: int | None = None,
    disposition: Disposition | None = None,
    limit: int = 1_000,
) -> tuple[StoredCopy, ...]:
    """Copies on record, newest first."""
    query = select(messages).order_by(messages.c.received_at.desc(), messages.c.id.desc()).limit(limit)
    if thread_id is not None:
        query = query.where(messages.c.thread_id == thread_id)
    if disposition is not None:
        query = query.where(messages.c.disposition == disposition.value)
    return tuple(map(copy_of, conn.execute(query)))


def list_known(conn: Connection, sha256: str) -> tuple[tuple[StoredCopy, int | None], ...]:
    """The copies of these octets, each with whose thread it is on or held for; newest first."""
    rows = conn.execute(
        select(messages, threads.c.organisation_id)
        .outerjoin(threads, threads.c.id == messages.c.thread_id)
        .where(messages.c.sha256 == sha256)
        .order_by(messages.c.received_at.desc())
    )
    return tuple((copy_of(row), row.organisation_id) for row in rows)


def count_copies(conn: Connection) -> dict[str, int]:
    """How many copies there are of each disposition, by the words that are stored: a damaged row is counted, too."""
    rows = conn.execute(select(messages.c.disposition, func.count()).group_by(messages.c.disposition))
    return {str(name): int(number) for name, number in rows}


def raw_message(conn: Connection, copy_id: str) -> bytes:
    """The bytes of DATA exactly as they were received; UnknownRecord when there is no such copy."""
    raw = conn.execute(
        select(raw_messages.c.raw)
        .join(messages, messages.c.sha256 == raw_messages.c.sha256)
        .where(messages.c.id == storable(copy_id, MAX_LINE))
    ).scalar_one_or_none()
    if raw is None:
        raise unknown_message(conn, copy_id)
    return bytes(raw)


def judgements(conn: Connection, copy_id: str) -> tuple[Judgement, ...]:
    """Every time that the copy was judged, first one first; the last one decides. UnknownRecord as above."""
    copy = stored_copy(conn, copy_id)
    rows = conn.execute(select(evidence).where(evidence.c.message_id == copy.id).order_by(evidence.c.id))
    return tuple(
        Judgement(
            copy.id,
            row.at,
            row.verdict,
            row.report,
            row.body,
            row.evaluator,
            row.settings_hash,
            row.client_ip,
            row.helo,
            copy.mail_from,
            copy.rcpt_to,
        )
        for row in rows
    )
