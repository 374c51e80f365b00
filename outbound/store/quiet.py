"""Threads that send nothing by themselves (``outbound.quiet``): marked when they are recorded, asked for when mail is queued."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from outbound.errors import ComposeError
from outbound.model import AutomaticOrder
from outbound.quiet import why_quiet
from outbound.schema import quiet_threads
from threads.model import Thread
from threads.store.statements import insert_or_keep


def mark_quiet(conn: Connection, thread: Thread, now: datetime, *, imported: bool) -> str | None:
    """Mark a thread that is recorded now, in the transaction that opens it, if it may send nothing; returns why."""
    why = why_quiet(thread.opened_at, now, imported=imported)
    if why is not None:
        insert_or_keep(conn, quiet_threads, {"thread_id": thread.id, "at": now, "reason": why})
    return why


def refuse_quiet(conn: Connection, order: AutomaticOrder) -> None:
    """Raise ComposeError for automatic mail of such a thread, inside the transaction that queues it."""
    query = select(quiet_threads.c.reason).where(quiet_threads.c.thread_id == order.thread_id)
    why = None if order.thread_id is None else conn.execute(query).scalar()
    if why is not None:
        raise ComposeError(f"Nothing is sent automatically about this incident: {why}.")
