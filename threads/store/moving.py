"""What an expert puts in another place: a thread merged into another one, a mail moved to another one.

What is still to come follows. A merged thread's reply addresses and tags lead to the one that goes on for it, for intake looks
where it was merged to. A moved mail leaves two words at its Message-IDs: it was on the one thread, and an expert moved it to the
other (``threads.match`` says what follows from that). Each act is told on both timelines. Everything runs in the caller's
transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, column, delete, exists, func, inspect, select, table, update

from threads.match import thread_keys
from threads.model import Assignee, Direction, EntryKind, Mark, State, Thread, ThreadKind
from threads.schema import message_ids, messages, raw_messages, tasks, threads, timeline
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.people import organisation
from threads.store.row_references import references_of
from threads.store.statements import insert_or_keep_each
from threads.store.thread import append, thread_by_id
from threads.store.values import MAX_ID, storable
from verifier.message import read_message

_MAIL = (EntryKind.MAIL_IN.value, EntryKind.MAIL_OUT.value, EntryKind.EVENT.value)
# Stays where it was said: it is about the thread itself.
_OF_THE_THREAD = EntryKind.STATE.value
# The first three are moved by rules of their own. The last says how a thread was recorded, and stays with it: what goes on
# for an imported one was not imported.
_KEPT_APART = frozenset({"message_ids", "timeline", "tasks", "quiet_threads"})
_HEADER_OCTETS = 256 * 1024


@dataclass(frozen=True, slots=True)
class MovedMail:
    """One mail in its new place: its timeline entry, where it was, and in a few words what it is."""

    entry_id: int
    message_id: str | None
    source: Thread
    target: Thread
    words: str


def merge_threads(conn: Connection, source: Thread, into: Thread, at: datetime, *, by: str) -> Thread:
    """Let ``into`` go on for ``source``: its mails, notes and tasks move there, and what comes for it will; returns ``source``.

    It cannot be undone, but mails can be moved out again. RefusedRecord for threads of two customers, for one that was
    merged already, and for an incident into what is none.
    """
    source, into = _locked(conn, source, into)
    _refuse_merge(source, into)
    kept = update(timeline).where(timeline.c.thread_id == source.id, timeline.c.kind != _OF_THE_THREAD)
    moved = conn.execute(kept.values(thread_id=into.id)).rowcount
    ids = conn.execute(select(message_ids).where(message_ids.c.thread_id == source.id)).all()
    _know(conn, into.id, [(row.message_id, row.direction) for row in ids])
    conn.execute(delete(message_ids).where(message_ids.c.thread_id == source.id))
    last = conn.execute(select(func.max(tasks.c.number)).where(tasks.c.thread_id == into.id)).scalar() or 0
    conn.execute(
        update(tasks)
        .where(tasks.c.thread_id == source.id)
        .values(thread_id=into.id, number=tasks.c.number + last)
    )
    _move_the_rest(conn, source.id, into.id)
    conn.execute(update(threads).where(threads.c.about_id == source.id).values(about_id=into.id))
    conn.execute(
        update(threads)
        .where((threads.c.id == source.id) | (threads.c.merged_into == source.id))
        .values(merged_into=into.id)
    )
    conn.execute(
        update(threads)
        .where(threads.c.id == source.id)
        .values(state=State.RESOLVED.value, assigned_to=Assignee.UNASSIGNED.value)
    )
    told = f"Merged into {into.reference}: {moved} entries went there, and what comes for {source.reference} will"
    _tell(conn, source, at, by, told)
    _tell(conn, into, at, by, f"{source.reference} ({source.title}) was merged into this: {moved} entries")
    return thread_by_id(conn, source.id)


def merge_refusal(source: Thread, into: Thread) -> str | None:
    """Why a thread cannot be merged into another one, as a sentence; None if it can."""
    if source.id == into.id:
        return f"{source.reference} cannot be merged into itself."
    for one in (source, into):
        if one.merged_into is not None:
            return f"{one.reference} was merged into another one already."
    if source.organisation_id != into.organisation_id:
        return f"{source.reference} and {into.reference} are of different customers."
    if source.kind is ThreadKind.INCIDENT and into.kind is not ThreadKind.INCIDENT:
        return f"{source.reference} is an incident; merge {into.reference} into it instead."
    return None


def _refuse_merge(source: Thread, into: Thread) -> None:
    refused = merge_refusal(source, into)
    if refused is not None:
        raise RefusedRecord(refused)


def _locked(conn: Connection, *some: Thread) -> tuple[Thread, ...]:
    """The threads as they are now, and nobody files on them until the commit: intake waits for them (``candidates``)."""
    for number in sorted({one.id for one in some}):
        conn.execute(select(threads.c.id).where(threads.c.id == number).with_for_update())
    return tuple(thread_by_id(conn, one.id) for one in some)


def _move_the_rest(conn: Connection, source: int, into: int) -> None:
    """Whatever else refers to the thread, by the database's own foreign keys; of what may be there once the target's stays."""
    for name, by, _ in references_of(conn).get("threads", ()):
        if name in _KEPT_APART:
            continue
        for one in inspect(conn).get_unique_constraints(name):
            names = one["column_names"]
            if by not in names:
                continue
            rows = table(name, *map(column, names))
            twin = rows.alias()
            same = [twin.c[other] == rows.c[other] for other in names if other != by]
            there = exists(select(twin.c[by]).where(twin.c[by] == into, *same))
            conn.execute(delete(rows).where(rows.c[by] == source, there))
        moving = table(name, column(by))
        conn.execute(update(moving).where(moving.c[by] == source).values({by: into}))


def move_mail(
    conn: Connection,
    name: str,
    target: Thread,
    at: datetime,
    *,
    by: str,
    source: Thread | None = None,
    across: bool = False,
    also: Sequence[str] = (),
) -> MovedMail:
    """Move one mail to another thread: ``name`` is a stored message's id, or the Message-ID of a mail of either side.

    ``also`` are other Message-IDs that it went by (without angle brackets).

    UnknownRecord where it stands on no thread (but ``source``, if that is given). RefusedRecord where it stands on several,
    where the target was merged, and where it is another customer's: with ``across`` it is moved nevertheless, as unverified,
    but not out of a legal hold.
    """
    entry, origin = _entry(conn, name, target, source)
    origin, target = _locked(conn, origin, target)
    if target.merged_into is not None:
        survivor = thread_by_id(conn, target.merged_into)
        raise RefusedRecord(f"{target.reference} was merged into {survivor.reference}; name that.")
    values: dict[str, object] = {"thread_id": target.id}
    if origin.organisation_id != target.organisation_id:
        if not across:
            raise RefusedRecord(f"{target.reference} is another customer's than {origin.reference}.")
        _refuse_out_of_hold(conn, origin)
        if entry.kind == EntryKind.MAIL_IN.value:
            values["mark"] = Mark.UNVERIFIED.value  # who may speak there was never decided
    conn.execute(update(timeline).where(timeline.c.id == entry.id).values(values))
    if entry.copy_id is not None:
        conn.execute(
            update(messages)
            .where(messages.c.id == entry.copy_id, messages.c.thread_id == origin.id)
            .values(thread_id=target.id)
        )
    _move_ids(conn, entry, also, origin, target)
    words = f"{entry.kind} of {entry.actor}, {entry.at:%Y-%m-%d %H:%M:%S}Z"
    _tell(conn, origin, at, by, f"Moved to {target.reference}: {words}")
    _tell(conn, target, at, by, f"Moved here from {origin.reference}: {words}")
    return MovedMail(entry.id, entry.message_id, origin, target, words)


def _refuse_out_of_hold(conn: Connection, origin: Thread) -> None:
    """On the other customer's thread the hold would cover the mail no more."""
    one = organisation(conn, origin.organisation_id)
    if one.legal_hold is not None:
        who, why = one.legal_hold.by, one.legal_hold.reason
        raise RefusedRecord(
            f"There is a legal hold on {one.name} by {who} ({why}): no mail of {origin.reference} goes to another customer."
        )


@dataclass(frozen=True, slots=True)
class _Entry:
    id: int
    thread_id: int
    kind: str
    actor: str
    at: datetime
    message_id: str | None
    copy_id: str | None


def _entry(conn: Connection, name: str, target: Thread, source: Thread | None) -> tuple[_Entry, Thread]:
    """The one timeline entry that ``name`` names, but on the target itself."""
    copy_id = storable(name.strip(), MAX_ID)
    message_id = copy_id.removeprefix("<").removesuffix(">")
    query = (
        select(timeline)
        .where(
            (timeline.c.copy_id == copy_id) | (timeline.c.message_id == message_id),
            timeline.c.kind.in_(_MAIL),
        )
        .order_by(timeline.c.id)
    )
    found = [
        _Entry(row.id, row.thread_id, row.kind, row.actor, row.at, row.message_id, row.copy_id)
        for row in conn.execute(query)
        if source is None or row.thread_id == source.id
    ]
    elsewhere = [one for one in found if one.thread_id != target.id]
    shown = storable(name, 80)
    if not elsewhere:
        if found:
            raise RefusedRecord(f"{shown} is on {target.reference} already.")
        where = "a timeline" if source is None else f"the timeline of {source.reference}"
        raise UnknownRecord(f"No mail {shown} is on {where}; `expertmail incidents show` names them.")
    if len(elsewhere) > 1:
        names = " and ".join(sorted({thread_by_id(conn, one.thread_id).reference for one in elsewhere}))
        raise RefusedRecord(
            f"{shown} is on {names} more than once; name its id, or say from which with --from."
        )
    return elsewhere[0], thread_by_id(conn, elsewhere[0].thread_id)


def _move_ids(
    conn: Connection, entry: _Entry, also: Sequence[str], origin_thread: Thread, target_thread: Thread
) -> None:
    """Let answers to the mail find its new place, whatever it was called on its way; its unseen ancestors go along.

    A mail of ours stays a proof there, for a bounce may name it: but to no other customer, who never had it.
    """
    origin, target = origin_thread.id, target_thread.id
    own = [*also] if entry.message_id is None else [entry.message_id, *also]
    ancestors: tuple[str, ...] = ()
    if entry.copy_id is not None:
        header = conn.execute(
            select(func.substr(raw_messages.c.raw, 1, _HEADER_OCTETS))
            .join(messages, messages.c.sha256 == raw_messages.c.sha256)
            .where(messages.c.id == entry.copy_id)
        ).scalar()
        if header is not None:
            keys = thread_keys(read_message(bytes(header)))
            own += keys.own_ids
            ancestors = keys.message_ids
    ours: list[tuple[str, str]] = []
    if (
        entry.kind == EntryKind.MAIL_OUT.value
        and origin_thread.organisation_id == target_thread.organisation_id
    ):
        ours = _known_as(conn, origin, (Direction.OUT, Direction.HOP), own)
    gone = [(one, word.value) for one in own for word in Direction if word is not Direction.WAS]
    _forget(conn, origin, gone)
    _forget(conn, target, [(one, Direction.WAS.value) for one in own])
    _know(conn, origin, [(one, Direction.WAS.value) for one in own])
    _know(conn, target, [*((one, Direction.MOVED.value) for one in own), *ours])
    unseen = _known_as(conn, origin, (Direction.REF,), ancestors)
    _forget(conn, origin, unseen)
    _know(conn, target, unseen)


def _known_as(
    conn: Connection, thread_id: int, words: Sequence[Direction], names: Sequence[str]
) -> list[tuple[str, str]]:
    """Which of the Message-IDs are on record as one of ``words`` for the thread."""
    found = select(message_ids.c.message_id, message_ids.c.direction).where(
        message_ids.c.thread_id == thread_id,
        message_ids.c.direction.in_([word.value for word in words]),
        message_ids.c.message_id.in_(names),
    )
    return [(row.message_id, row.direction) for row in conn.execute(found)]


def _know(conn: Connection, thread_id: int, known: Iterable[tuple[str, str]]) -> None:
    rows = [
        {"message_id": name, "thread_id": thread_id, "direction": direction}
        for name, direction in sorted(known)
    ]
    if rows:
        insert_or_keep_each(conn, message_ids, rows)


def _forget(conn: Connection, thread_id: int, known: Iterable[tuple[str, str]]) -> None:
    for name, direction in known:
        conn.execute(
            delete(message_ids).where(
                message_ids.c.message_id == name,
                message_ids.c.thread_id == thread_id,
                message_ids.c.direction == direction,
            )
        )


def _tell(conn: Connection, thread: Thread, at: datetime, by: str, told: str) -> None:
    append(conn, thread.id, at, EntryKind.STATE, actor=by, mark=Mark.EXPERT, text=told)
