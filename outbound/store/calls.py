"""Break-glass and its calls in the record: begun, ended, recorded, and the sheets as they are now.

A thread's row is locked while something is decided on it (on SQLite the transaction itself is the lock), so that whoever resolves
it does so before, and nobody is called, or after. Whether experts were told of a call that nobody made is known by their note.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    exists,
    func,
    insert,
    select,
    update,
)

from outbound.call_sheet import (
    Call,
    Emergency,
    Outcome,
    Sheet,
    Turn,
    call_sheet,
    call_text,
    number_key,
    overdue,
    tell_note,
)
from threads.model import Contact, ContactKind, EntryKind, Mark, State, Thread, ThreadKind
from threads.schema import break_glass, calls, contacts, organisations, threads, timeline
from threads.store.audit import record_act
from threads.store.errors import RefusedRecord
from threads.store.people import contact_of
from threads.store.thread import append, thread_by_id, thread_locked, thread_of
from threads.store.values import MAX_LINE, storable

ACTOR: Final = "break-glass"
"""By this name the notes that a call is due are known again."""
BEGAN: Final = "Break-glass began: the customer is telephoned"
ENDED: Final = "Break-glass ended"
_WRONG: Final = Outcome.WRONG_NUMBER.value
_AT_ONCE: Final = 400  # ids in one query; SQLite takes 999 values of old, and more since


@dataclass(frozen=True, slots=True)
class OpenSheet:
    """A sheet with its customer's name."""

    customer: str
    sheet: Sheet


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
    if _marks(conn, [thread.id]):
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
            outcome=f"{_WRONG}:{key}" if outcome is Outcome.WRONG_NUMBER else outcome.value,
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


# -- the sheets ---------------------------------------------------------------------------------------------
def sheet_of(conn: Connection, thread: Thread, now: datetime) -> Sheet:
    """A thread's sheet as it is now, whether in break-glass or not."""
    return call_sheet(_emergencies(conn, [thread])[thread.id], now)


def open_sheets(
    conn: Connection, now: datetime, *, organisations_: Collection[int] | None = None
) -> tuple[OpenSheet, ...]:
    """The sheets of all incidents in break-glass that call somebody: what is due first, by when it fell due; then what waits.

    ``organisations_``: only of these customers; None: of all.
    """
    rows = conn.execute(_in_break_glass(organisations_)).all()
    found = {row.id: thread_of(row) for row in rows}
    names = {row.organisation_id: row.customer for row in rows}
    standing = _emergencies(conn, list(found.values()))
    sheets = [OpenSheet(names[one.thread.organisation_id], call_sheet(one, now)) for one in standing.values()]
    return tuple(sorted((one for one in sheets if one.sheet.nobody is None), key=_urgency))


def due_to_tell(conn: Connection, sheets: Sequence[OpenSheet], now: datetime) -> tuple[int, ...]:
    """Ids of threads with a call of which experts are to be told: a look that takes no lock."""
    late = [one.sheet for one in sheets if overdue(one.sheet, None, now) is not None]
    told = _told(conn, [one.emergency.thread.id for one in late])
    return tuple(
        one.emergency.thread.id
        for one in late
        if overdue(one, told.get(one.emergency.thread.id), now) is not None
    )


def tell_of_call(conn: Connection, thread_id: int, now: datetime) -> Turn | None:
    """Note on a thread that a call is due, if it still is and was not noted before; None when not. The caller commits."""
    thread = thread_locked(conn, thread_by_id(conn, thread_id))
    sheet = sheet_of(conn, thread, now)
    turn = overdue(sheet, _told(conn, [thread_id]).get(thread_id), now)
    if turn is not None:
        append(
            conn,
            thread_id,
            now,
            EntryKind.NOTE,
            actor=ACTOR,
            mark=Mark.AUTOMATION,
            text=tell_note(sheet, turn),
        )
    return turn


def call_still_due() -> ColumnElement[bool]:
    """Of a thread with such a note, beside the timeline: whether it is in break-glass still, and no call came after the note."""
    mark, later = break_glass.c, calls.c
    return and_(
        threads.c.state != State.RESOLVED.value,
        exists().where(mark.thread_id == threads.c.id, mark.ended_at.is_(None)).correlate(threads),
        ~exists()
        .where(later.thread_id == threads.c.id, later.at >= timeline.c.at)
        .correlate(threads, timeline),
    )


def _urgency(one: OpenSheet) -> tuple[bool, datetime, int]:
    sheet = one.sheet
    at = (
        sheet.due.since
        if sheet.due is not None
        else (sheet.waits[1] if sheet.waits else sheet.emergency.thread.opened_at)
    )
    return sheet.due is None, at, sheet.emergency.thread.id


def _in_break_glass(only: Collection[int] | None) -> Select[Any]:
    marked = select(break_glass.c.thread_id).where(break_glass.c.ended_at.is_(None))
    query = (
        select(*threads.c, organisations.c.name.label("customer"))
        .join(organisations, organisations.c.id == threads.c.organisation_id)
        .where(
            threads.c.id.in_(marked),
            threads.c.merged_into.is_(None),
            threads.c.state != State.RESOLVED.value,
            organisations.c.erased_at.is_(None),
        )
    )
    return query if only is None else query.where(threads.c.organisation_id.in_(sorted(only)))


def _emergencies(conn: Connection, some: Sequence[Thread]) -> dict[int, Emergency]:
    """How threads stand, in a few queries for all of them."""
    ids, whose = [one.id for one in some], sorted({one.organisation_id for one in some})
    marks, made = _marks(conn, ids), _calls(conn, ids)
    people = _people(conn, whose)
    wrong = _wrong(conn, [one.id for theirs in people.values() for one in theirs])
    table = organisations.c
    decided = {
        row.id: row
        for part in _parts(whose)
        for row in conn.execute(
            select(table.id, table.untrusted_at, table.erased_at).where(table.id.in_(part))
        )
    }
    found = {}
    for one in some:
        mark, customer = marks.get(one.id), decided[one.organisation_id]
        found[one.id] = Emergency(
            thread=one,
            since=None if mark is None else mark.at,
            reason="" if mark is None else mark.reason,
            by="" if mark is None else mark.by,
            untrusted=customer.untrusted_at is not None,
            erased=customer.erased_at is not None,
            people=tuple(people.get(one.organisation_id, ())),
            calls=tuple(made.get(one.id, ())),
            wrong=wrong,
        )
    return found


def _marks(conn: Connection, thread_ids: Sequence[int]) -> dict[int, Row[Any]]:
    """Each thread's break-glass that has not ended; of a merged one's two the later."""
    found = {}
    for part in _parts(thread_ids):
        wanted = (break_glass.c.thread_id.in_(part), break_glass.c.ended_at.is_(None))
        for row in conn.execute(
            select(break_glass).where(*wanted).order_by(break_glass.c.at, break_glass.c.id)
        ):
            found[row.thread_id] = row
    return found


def _calls(conn: Connection, thread_ids: Sequence[int]) -> dict[int, list[Call]]:
    found: dict[int, list[Call]] = {}
    for part in _parts(thread_ids):
        query = select(calls).where(calls.c.thread_id.in_(part)).order_by(calls.c.at, calls.c.id)
        for row in conn.execute(query):
            found.setdefault(row.thread_id, []).append(_call(row))
    return found


def _call(row: Row[Any]) -> Call:
    word, _, key = row.outcome.partition(":")
    return Call(row.contact_id, row.at, Outcome(word), row.by, key)


def _people(conn: Connection, organisation_ids: Sequence[int]) -> dict[int, list[Contact]]:
    found: dict[int, list[Contact]] = {}
    for part in _parts(organisation_ids):
        wanted = (
            contacts.c.organisation_id.in_(part),
            contacts.c.kind == ContactKind.INCIDENT_NOTIFICATION.value,
            contacts.c.left_at.is_(None),
        )
        for row in conn.execute(select(contacts).where(*wanted).order_by(contacts.c.id)):
            found.setdefault(row.organisation_id, []).append(contact_of(row))
    return found


def _wrong(conn: Connection, contact_ids: Sequence[int]) -> Mapping[int, str]:
    """Those whose last call, about whatever incident, was to a wrong number: its key."""
    found = {}
    for part in _parts(contact_ids):
        last = select(func.max(calls.c.id)).where(calls.c.contact_id.in_(part)).group_by(calls.c.contact_id)
        for row in conn.execute(
            select(calls).where(calls.c.id.in_(last), calls.c.outcome.startswith(_WRONG))
        ):
            found[row.contact_id] = _call(row).number_key
    return found


def _told(conn: Connection, thread_ids: Sequence[int]) -> dict[int, datetime]:
    """When experts were told of a call last, by a note on each thread."""
    found = {}
    for part in _parts(thread_ids):
        ours = (
            timeline.c.thread_id.in_(part),
            timeline.c.kind == EntryKind.NOTE.value,
            timeline.c.actor == ACTOR,
            timeline.c.mark == Mark.AUTOMATION.value,
        )
        query = select(timeline.c.thread_id, func.max(timeline.c.at).label("at")).where(*ours)
        for row in conn.execute(query.group_by(timeline.c.thread_id)):
            found[row.thread_id] = row.at
    return found


def _parts(ids: Sequence[int]) -> Iterable[Sequence[int]]:
    return (ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE))
