"""Break-glass and its calls in the record: begun, ended, recorded.

A thread's row is locked while something is decided on it (on SQLite the transaction itself is the lock), so that whoever resolves
it does so before, and nobody is called, or after.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, update

from outbound.call_sheet import Outcome, call_text, number_key
from outbound.store.call_sheets import open_marks
from threads.model import Contact, EntryKind, Mark, State, Thread, ThreadKind
from threads.schema import break_glass, calls
from threads.store.audit import record_act
from threads.store.errors import RefusedRecord
from threads.store.thread import append, thread_locked
from threads.store.values import MAX_LINE, storable

BEGAN: Final = "Break-glass began: the customer is telephoned"
ENDED: Final = "Break-glass ended"


def begin_break_glass(conn: Connection, thread: Thread, reason: str, at: datetime, *, by: str) -> int:
    """Begin it on an incident; the entry's id. RefusedRecord without a reason, and where nobody may be called or it has begun.

    The reason is for experts: the timeline, which the customer's portal shows, says only that it began.
    """
    thread = thread_locked(conn, thread)
    reason = " ".join(storable(reason, MAX_LINE).split())
    if not reason:
        raise RefusedRecord("Say why, for those who read it later.")
    if thread.kind is not ThreadKind.INCIDENT:
        raise RefusedRecord(f"{thread.reference} is no incident; break-glass is for incidents.")
    if thread.merged_into is not None:
        raise RefusedRecord(f"{thread.reference} was merged into another one.")
    if thread.state is State.RESOLVED or thread.emptied_at is not None:
        raise RefusedRecord(f"{thread.reference} is resolved; take it up again first.")
    if open_marks(conn, [thread.id]):
        raise RefusedRecord(f"{thread.reference} is in break-glass already.")
    conn.execute(
        insert(break_glass).values(thread_id=thread.id, at=at, by=storable(by, MAX_LINE), reason=reason)
    )
    entry = append(conn, thread.id, at, EntryKind.STATE, actor=by, mark=Mark.EXPERT, text=BEGAN)
    _act(conn, "break-glass-began", thread, at, by, reason)
    return entry


def end_break_glass(conn: Connection, thread: Thread, at: datetime, *, by: str) -> int:
    """End it; the entry's id. RefusedRecord where it has not begun."""
    thread = thread_locked(conn, thread)
    open_ = (break_glass.c.thread_id == thread.id, break_glass.c.ended_at.is_(None))
    if not conn.execute(
        update(break_glass).where(*open_).values(ended_at=at, ended_by=storable(by, MAX_LINE))
    ).rowcount:
        raise RefusedRecord(f"{thread.reference} is not in break-glass.")
    entry = append(conn, thread.id, at, EntryKind.STATE, actor=by, mark=Mark.EXPERT, text=ENDED)
    _act(conn, "break-glass-ended", thread, at, by)
    return entry


def record_call(  # noqa: PLR0917 -- one call, each argument a different thing
    conn: Connection,
    thread: Thread,
    contact: Contact,
    outcome: Outcome,
    words: str,
    at: datetime,
    *,
    by: str,
    number: str | None = None,
) -> int:
    """Put a call on the timeline with its outcome; the entry's id. ``number`` is the one that was called, if it is not the contact's.

    RefusedRecord for a contact of another customer, and for a call that reached somebody but tells nothing of it.
    """
    thread = thread_locked(conn, thread)
    if contact.organisation_id != thread.organisation_id:
        raise RefusedRecord(f"{contact.address} is no contact of the customer of {thread.reference}.")
    if outcome is Outcome.REACHED and not words.strip():
        raise RefusedRecord("Say in a word or two what was said.")
    entry = append(
        conn,
        thread.id,
        at,
        EntryKind.CALL,
        actor=by,
        mark=Mark.EXPERT,
        text=call_text(contact, outcome, words),
    )
    key = number_key(number or contact.phone or "")
    conn.execute(
        insert(calls).values(
            entry_id=entry,
            thread_id=thread.id,
            contact_id=contact.id,
            at=at,
            outcome=outcome.value,
            wrong_number=key if outcome is Outcome.WRONG_NUMBER else None,
            by=storable(by, MAX_LINE),
        )
    )
    _act(conn, "call-recorded", thread, at, by, f"{contact.address}: {outcome}")
    return entry


def _act(  # noqa: PLR0917 -- one row, each argument a different thing
    conn: Connection, act: str, thread: Thread, at: datetime, by: str, detail: str = ""
) -> None:
    record_act(
        conn, act, at, by=by, subject=thread.reference, detail=detail, organisation_id=thread.organisation_id
    )
