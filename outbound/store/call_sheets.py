"""Call sheets as they are now, worked out from the record, and the calls of which experts are told.

Whether experts were told of a call that nobody made is known by their note.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, func, select

from outbound.call_sheet import Call, Emergency, Outcome, Sheet, Turn, call_sheet, overdue, tell_note
from threads.model import Contact, ContactKind, EntryKind, Mark, State, Thread
from threads.schema import break_glass, calls, contacts, organisations, threads, timeline
from threads.store.people import contact_of
from threads.store.thread import append, thread_by_id, thread_locked, thread_of

ACTOR: Final = "break-glass"
"""By this name the notes that a call is due are known again."""
_AT_ONCE: Final = 400  # ids in one query; SQLite takes 999 values of old, and more since


@dataclass(frozen=True, slots=True)
class OpenSheet:
    """A sheet with its customer's name."""

    customer: str
    sheet: Sheet


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
    since, made = open_marks(conn, ids), _calls(conn, ids)
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
        mark, customer = since.get(one.id), decided[one.organisation_id]
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


def open_marks(conn: Connection, thread_ids: Sequence[int]) -> dict[int, Row[Any]]:
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
    return Call(row.contact_id, row.at, Outcome(row.outcome), row.by, row.wrong_number or "")


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
        for row in conn.execute(select(calls).where(calls.c.id.in_(last), calls.c.wrong_number.is_not(None))):
            found[row.contact_id] = row.wrong_number
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
