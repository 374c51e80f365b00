"""Incidents, inquiries and service threads, and their timelines."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from threads.model import (
    AskedBy,
    Assignee,
    Classification,
    Direction,
    EntryKind,
    Mark,
    Severity,
    State,
    Thread,
    ThreadKind,
    TimelineEntry,
)
from threads.schema import (
    break_glass,
    message_ids,
    messages,
    organisations,
    reference_numbers,
    threads,
    timeline,
)
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.people import organisation
from threads.store.prepared import Prepared
from threads.store.statements import insert_or_keep
from threads.store.values import MAX_ID, MAX_LINE, storable

_PREFIX = {ThreadKind.INCIDENT: "INC", ThreadKind.INQUIRY: "INQ", ThreadKind.SERVICE: "SVC"}

# Built once: every message filed executes them, and building a statement costs more than running it.
_APPEND = Prepared(
    insert(timeline).returning(timeline.c.id),
    ("thread_id", "at", "kind", "actor", "mark", "text", "quoted", "message_id", "copy_id"),
)
_TOUCH = Prepared(
    update(threads).where(threads.c.id == bindparam("touched")).values(updated_at=bindparam("touched_at"))
)
_OPEN = Prepared(
    insert(threads).returning(threads.c.id),
    (
        "kind", "reference", "title", "state", "severity", "assigned_to", "organisation_id", "opened_at", "updated_at",
        "asked_by",
    ),
)  # fmt: skip
_NEXT_NUMBER = Prepared(
    update(reference_numbers)
    .where(reference_numbers.c.kind == bindparam("of_kind"))
    .values(last=reference_numbers.c.last + 1)
    .returning(reference_numbers.c.last)
)
_BY_ID = Prepared(select(threads).where(threads.c.id == bindparam("thread_id")))


def open_incident(
    conn: Connection,
    organisation_id: int,
    title: str,
    at: datetime,
    *,
    severity: Severity = Severity.MEDIUM,
    assigned_to: Assignee = Assignee.DEFENDER_EXPERTS,
    actor: str = "expert",
) -> Thread:
    """Open an incident; UnknownRecord for an unknown organisation, RefusedRecord without a title."""
    return _open(
        conn,
        ThreadKind.INCIDENT,
        organisation_id,
        title,
        at,
        severity=severity,
        assigned_to=assigned_to,
        actor=actor,
        mark=Mark.EXPERT,
    )


def open_inquiry(
    conn: Connection,
    organisation_id: int,
    title: str,
    at: datetime,
    *,
    actor: str = "gateway",
    mark: Mark = Mark.AUTOMATION,
    asked_by: AskedBy | None = None,
) -> Thread:
    """Open a question to the experts, as a customer's new mail does; an empty title becomes "(no subject)".

    ``asked_by``: the channel that the customer's words came by; None where there are none yet, or nobody knows whose they are.
    """
    title = title.strip() or "(no subject)"
    return _open(
        conn, ThreadKind.INQUIRY, organisation_id, title, at, actor=actor, mark=mark, asked_by=asked_by
    )


def open_service(
    conn: Connection,
    organisation_id: int,
    title: str,
    at: datetime,
    *,
    actor: str = "gateway",
    mark: Mark = Mark.AUTOMATION,
) -> Thread:
    """Open a thread of the service delivery manager; an empty title becomes "(no subject)"."""
    title = title.strip() or "(no subject)"
    return _open(conn, ThreadKind.SERVICE, organisation_id, title, at, actor=actor, mark=mark)


def _open(
    conn: Connection,
    kind: ThreadKind,
    organisation_id: int,
    title: str,
    at: datetime,
    *,
    severity: Severity | None = None,
    assigned_to: Assignee = Assignee.DEFENDER_EXPERTS,
    actor: str,
    mark: Mark = Mark.AUTOMATION,
    asked_by: AskedBy | None = None,
) -> Thread:
    title = " ".join(storable(title, MAX_LINE).split())
    if not title:
        raise RefusedRecord("A thread needs a title.")
    organisation(conn, organisation_id)
    reference = f"{_PREFIX[kind]}-{_next_number(conn, kind):06d}"
    values: dict[str, Any] = {
        "reference": reference,
        "title": title,
        "organisation_id": organisation_id,
        "opened_at": at,
        "updated_at": at,
    }
    row = _OPEN.one(
        conn,
        {
            **values,
            "kind": kind.value,
            "state": State.ACTIVE.value,
            "severity": None if severity is None else severity.value,
            "assigned_to": assigned_to.value,
            "asked_by": None if asked_by is None else asked_by.value,
        },
    )
    made = int(row.id)
    thread = Thread(
        id=made,
        kind=kind,
        state=State.ACTIVE,
        severity=severity,
        assigned_to=assigned_to,
        asked_by=asked_by,
        **values,
    )
    append(conn, made, at, EntryKind.STATE, actor=actor, mark=mark, text=f"Opened {reference}: {title}")
    return thread


def _next_number(conn: Connection, kind: ThreadKind) -> int:
    """The next number of that kind; the row is locked until the commit, so that no two threads share one."""
    row = _NEXT_NUMBER.first(conn, {"of_kind": kind.value})
    if row is None:  # the first one of its kind
        insert_or_keep(conn, reference_numbers, {"kind": kind.value, "last": 0})
        row = _NEXT_NUMBER.one(conn, {"of_kind": kind.value})
    return int(row.last)


def append(
    conn: Connection,
    thread_id: int,
    at: datetime,
    kind: EntryKind,
    *,
    actor: str,
    mark: Mark,
    text: str,
    quoted: str = "",
    message_id: str | None = None,
    copy_id: str | None = None,
) -> int:
    """Put an entry at the end of a thread's timeline; returns the entry's id.

    The ids of one thread are in the order of the commits: whoever has seen one has seen all below it, or never will.
    """
    # First: on PostgreSQL whoever comes second waits here for the first one's commit, and only then gets a number.
    _TOUCH.run(conn, {"touched": thread_id, "touched_at": at})
    made = _APPEND.one(
        conn,
        {
            "thread_id": thread_id,
            "at": at,
            "kind": kind.value,
            "actor": storable(actor, MAX_LINE),
            "mark": mark.value,
            "text": storable(text),
            "quoted": storable(quoted),
            "message_id": message_id,
            "copy_id": copy_id,
        },
    )
    return int(made.id)


def add_note(conn: Connection, thread_id: int, text: str, at: datetime, *, actor: str) -> int:
    """An expert's note, seen by the experts only; returns the entry's id."""
    thread_by_id(conn, thread_id)
    return append(conn, thread_id, at, EntryKind.NOTE, actor=actor, mark=Mark.EXPERT, text=text)


def set_state(
    conn: Connection,
    thread_id: int,
    state: State,
    at: datetime,
    *,
    actor: str,
    assigned_to: Assignee | None = None,
    mark: Mark = Mark.EXPERT,
) -> Thread:
    """Change where a thread stands (and who has the next move); a change is a timeline entry, no change is none."""
    before = thread_by_id(conn, thread_id)
    after = before.assigned_to if assigned_to is None else assigned_to
    said = []
    if state is not before.state:
        said.append(f"State: {before.state} -> {state}")
    if after is not before.assigned_to:
        said.append(f"Assigned to: {before.assigned_to} -> {after}")
    if not said:
        return before
    conn.execute(
        update(threads).where(threads.c.id == thread_id).values(state=state.value, assigned_to=after.value)
    )
    append(conn, thread_id, at, EntryKind.STATE, actor=actor, mark=mark, text="; ".join(said))
    if (
        state is State.RESOLVED
    ):  # ends its break-glass, too: who takes it up again begins another one if need be
        ended = update(break_glass).where(
            break_glass.c.thread_id == thread_id, break_glass.c.ended_at.is_(None)
        )
        conn.execute(ended.values(ended_at=at, ended_by=storable(actor, MAX_LINE)))
    return thread_by_id(conn, thread_id)


def resume(conn: Connection, thread_id: int, at: datetime) -> Thread:
    """Let the experts take a thread up again, for its customer wrote (``threads.transitions.resumes``)."""
    return set_state(
        conn,
        thread_id,
        State.IN_PROGRESS,
        at,
        actor="gateway",
        assigned_to=Assignee.DEFENDER_EXPERTS,
        mark=Mark.AUTOMATION,
    )


def thread_of(row: Row[Any]) -> Thread:
    """A row of the threads table as a value."""
    return Thread(
        row.id,
        ThreadKind(row.kind),
        row.reference,
        row.title,
        State(row.state),
        None if row.severity is None else Severity(row.severity),
        Assignee(row.assigned_to),
        row.organisation_id,
        row.opened_at,
        row.updated_at,
        merged_into=row.merged_into,
        classification=None if row.classification is None else Classification(row.classification),
        about_id=row.about_id,
        emptied_at=row.emptied_at,
        asked_by=None if row.asked_by is None else AskedBy(row.asked_by),
    )


def thread_by_id(conn: Connection, thread_id: int) -> Thread:
    """The thread with that id; UnknownRecord when there is none."""
    row = _BY_ID.first(conn, {"thread_id": thread_id})
    if row is None:
        raise UnknownRecord(f"There is no thread number {thread_id}.")
    return thread_of(row)


def thread_locked(conn: Connection, one: Thread) -> Thread:
    """The thread as it is now, held on PostgreSQL until the transaction ends (SQLite has one writer anyway)."""
    conn.execute(select(threads.c.id).where(threads.c.id == one.id).with_for_update())
    return thread_by_id(conn, one.id)


def thread_by_reference(conn: Connection, reference: str, *, as_named: bool = False) -> Thread:
    """The thread that people call ``reference`` (case aside), or the one that goes on for it; with ``as_named`` itself.

    UnknownRecord when there is none.
    """
    row = conn.execute(
        select(threads).where(threads.c.reference == storable(reference.strip(), MAX_LINE).upper())
    ).one_or_none()
    if row is None:
        raise UnknownRecord(f"There is no {storable(reference, 40)}; see `expertmail incidents list`.")
    thread = thread_of(row)
    return thread if as_named or thread.merged_into is None else thread_by_id(conn, thread.merged_into)


def list_threads(
    conn: Connection,
    *,
    kind: ThreadKind | None = None,
    organisation_id: int | None = None,
    state: State | None = None,
    limit: int = 1_000,
) -> tuple[Thread, ...]:
    """Threads, the one with the latest news first; the shells of erased organisations' are left out."""
    gone = select(organisations.c.id).where(organisations.c.erased_at.is_not(None))
    query = (
        select(threads)
        .where(threads.c.organisation_id.not_in(gone))
        .order_by(threads.c.updated_at.desc(), threads.c.id.desc())
        .limit(limit)
    )
    if kind is not None:
        query = query.where(threads.c.kind == kind.value)
    if organisation_id is not None:
        query = query.where(threads.c.organisation_id == organisation_id)
    if state is not None:
        query = query.where(threads.c.state == state.value)
    return tuple(map(thread_of, conn.execute(query)))


def timeline_of(
    conn: Connection,
    thread_id: int,
    *,
    latest: int | None = None,
    before: int | None = None,
    without: Collection[EntryKind] = (),
) -> tuple[TimelineEntry, ...]:
    """What happened on a thread, in the order in which it was recorded: all of it, or the ``latest`` entries.

    ``before``: only those before the entry of that number. Entries of the kinds in ``without`` are left out, and not counted.
    """
    query = (
        select(timeline, messages.c.verdict)
        .outerjoin_from(timeline, messages, messages.c.id == timeline.c.copy_id)
        .where(timeline.c.thread_id == thread_id)
        .order_by(timeline.c.id.desc())
        .limit(latest)
    )
    if before is not None:
        query = query.where(timeline.c.id < before)
    if without:
        query = query.where(timeline.c.kind.not_in([one.value for one in without]))
    rows = reversed(conn.execute(query).all())
    return tuple(
        TimelineEntry(
            row.id,
            row.thread_id,
            row.at,
            EntryKind(row.kind),
            row.actor,
            Mark(row.mark),
            row.text,
            row.quoted,
            row.message_id,
            row.copy_id,
            row.verdict,
        )
        for row in rows
    )


def know_message_id(conn: Connection, message_id: str, thread_id: int, direction: Direction) -> None:
    """Let later mail that refers to this Message-ID (without angle brackets) find the thread."""
    insert_or_keep(
        conn, message_ids, {"message_id": message_id, "thread_id": thread_id, "direction": direction.value}
    )


def record_outgoing(
    conn: Connection,
    thread_id: int,
    message_id: str,
    at: datetime,
    *,
    actor: str,
    text: str,
    mark: Mark = Mark.EXPERT,
) -> int:
    """Record a mail of ours: its Message-ID (with or without angle brackets) and a timeline entry.

    Returns the entry's id. Recording the same Message-ID on the same thread again changes nothing.
    """
    message_id = storable(message_id.strip().removeprefix("<").removesuffix(">"), MAX_ID)
    there = conn.execute(
        select(timeline.c.id).where(
            timeline.c.thread_id == thread_id,
            timeline.c.kind == EntryKind.MAIL_OUT.value,
            timeline.c.message_id == message_id,
        )
    ).scalar()
    if there is not None:
        return int(there)
    know_message_id(conn, message_id, thread_id, Direction.OUT)
    return append(
        conn,
        thread_id,
        at,
        EntryKind.MAIL_OUT,
        actor=actor,
        mark=mark,
        text=text,
        message_id=message_id,
    )
