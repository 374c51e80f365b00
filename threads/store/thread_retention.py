"""The end of resolved threads' content, for organisations that have set a time for it.

A resolved thread counts from its last news. When its time is over, its mail (what came and what went), its entries and its
tasks go; the thread stays, with a note, and can be found and reopened. What waits for an expert has a time of its own
(``threads.retention``). Nothing goes under a legal hold.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Integer, Text, column, exists, or_, select, table, update

from threads.model import Disposition, EntryKind, Mark, State
from threads.schema import messages, organisations, threads
from threads.store.api_requests import forget_content
from threads.store.audit import record_act
from threads.store.belonging import mail_on_legal_hold, on_legal_hold
from threads.store.erasure import COPIES_AT_ONCE, EMPTIED, erasable, overwrite_deleted, remove_copies
from threads.store.row_references import delete_referring, references_of
from threads.store.thread import append, thread_by_id

# Our own mail and the orders for it, which another room keeps (outbound.schema): here only whom they are for.
_OURS: Final = tuple(
    (table(name, column("thread_id", Integer()), column("contact_id", Integer()), column(to, Text())), to)
    for name, to in (("outgoing", "rcpt_to"), ("automatic_orders", "address_key"))
)
_WAITING: Final = (Disposition.HELD.value, Disposition.TRIAGE.value)


def threads_past_time(conn: Connection, now: datetime) -> tuple[int, ...]:
    """Resolved threads whose time is over, by their numbers; none that a legal hold covers.

    It covers a thread by its organisation, by the author of a message on it, and by whom we wrote to on it: the entries tell
    those words, too.
    """
    heard = exists().where(messages.c.thread_id == threads.c.id, on_legal_hold(messages.c.author))
    told = (
        exists().where(mail.c.thread_id == threads.c.id, mail_on_legal_hold(mail.c[to], mail.c.contact_id))
        for mail, to in _OURS
    )
    covered = or_(heard, *told)
    with_time = select(organisations.c.id, organisations.c.retention_days).where(
        organisations.c.retention_days.is_not(None), organisations.c.hold_at.is_(None)
    )
    found: list[int] = []
    for row in conn.execute(with_time).all():
        over = (
            select(threads.c.id)
            .where(
                threads.c.organisation_id == row.id,
                threads.c.state == State.RESOLVED.value,
                threads.c.updated_at < now - timedelta(days=row.retention_days),
                or_(threads.c.emptied_at.is_(None), threads.c.emptied_at < threads.c.updated_at),
                ~covered,
            )
            .order_by(threads.c.id)
        )
        found += conn.execute(over).scalars()
    return tuple(found)


def empty_thread(
    conn: Connection, thread_id: int, now: datetime, *, by: str, at_once: int = COPIES_AT_ONCE
) -> bool:
    """Remove some of a thread's messages, and with the last ones all of its content; returns whether it is done.

    A thread whose time is not over, any more or yet, is left alone and done.
    """
    if thread_id not in threads_past_time(conn, now):
        return True
    thread = thread_by_id(conn, thread_id)
    erasable(conn, thread.organisation_id)
    overwrite_deleted(conn)
    query = select(messages.c.id, messages.c.sha256).where(
        messages.c.thread_id == thread_id, messages.c.disposition.not_in(_WAITING)
    )
    if remove_copies(conn, conn.execute(query.limit(at_once)).all()) == at_once:
        return False
    forget_content(conn, thread_id)
    delete_referring(
        conn, references_of(conn), "threads", [thread_id], frozenset({"messages", "api_requests"})
    )
    told = "The content of this thread was removed: its customer's content is not kept longer."
    append(conn, thread_id, now, EntryKind.NOTE, actor=by, mark=Mark.AUTOMATION, text=told)
    conn.execute(update(threads).where(threads.c.id == thread_id).values(title=EMPTIED, emptied_at=now))
    record_act(
        conn,
        "thread-emptied",
        now,
        by=by,
        subject=thread.reference,
        organisation_id=thread.organisation_id,
    )
    return True
