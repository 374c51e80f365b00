"""What waits for an expert: copies that are held, and strangers' in triage."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, select, update

from threads.model import Contact, Direction, Disposition, EntryKind, HeldItem, Mark
from threads.schema import messages, organisations, raw_messages, threads
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.intake import copy_of
from threads.store.people import add_contact
from threads.store.thread import append, know_message_id, thread_by_id
from threads.store.values import MAX_LINE, storable

WAITING = (Disposition.HELD, Disposition.TRIAGE)


def _query() -> Select[Any]:
    return (
        select(
            messages,
            raw_messages.c.size,
            threads.c.reference.label("thread_reference"),
            organisations.c.name.label("organisation"),
        )
        .join_from(messages, raw_messages)
        .outerjoin(threads, threads.c.id == messages.c.thread_id)
        .outerjoin(organisations, organisations.c.id == threads.c.organisation_id)
    )


def _item(row: Row[Any]) -> HeldItem:
    return HeldItem(copy_of(row), row.thread_reference, row.organisation, row.new_text, row.size)


def held_list(
    conn: Connection, dispositions: tuple[Disposition, ...] = WAITING, limit: int = 1_000
) -> tuple[HeldItem, ...]:
    """What waits for an expert, oldest first."""
    rows = conn.execute(
        _query()
        .where(messages.c.disposition.in_([d.value for d in dispositions]))
        .order_by(messages.c.received_at, messages.c.id)
        .limit(limit)
    )
    return tuple(map(_item, rows))


def held_item(conn: Connection, copy_id: str) -> HeldItem:
    """One copy with its circumstances; UnknownRecord when there is none with that id."""
    row = conn.execute(_query().where(messages.c.id == storable(copy_id, MAX_LINE))).one_or_none()
    if row is None:
        raise UnknownRecord(f"There is no message {storable(copy_id, 40)}; see `expertmail held list`.")
    return _item(row)


def release(conn: Connection, copy_id: str, at: datetime, *, by: str, thread_id: int | None = None) -> int:
    """File a waiting copy by an expert's decision; returns the timeline entry's id.

    It goes on ``thread_id``, or on the thread that it was matched to. The words stay marked as
    unverified and the verdict stays what it was: a release proves nothing. RefusedRecord when the copy
    does not wait, or no thread is known for it.
    """
    item = _waiting(conn, copy_id)
    target = item.copy.thread_id if thread_id is None else thread_id
    if target is None:
        raise RefusedRecord("It is not known which thread this message belongs to; name one.")
    thread_by_id(conn, target)
    row = conn.execute(select(messages.c.quoted_text).where(messages.c.id == copy_id)).one()
    conn.execute(
        update(messages)
        .where(messages.c.id == copy_id)
        .values(
            disposition=Disposition.FILED.value,
            thread_id=target,
            released_at=at,
            released_by=storable(by, MAX_LINE),
        )
    )
    if item.copy.message_id is not None:
        know_message_id(conn, item.copy.message_id, target, Direction.IN)
    return append(
        conn,
        target,
        at,
        EntryKind.MAIL_IN,
        actor=item.copy.author or item.copy.mail_from or "unknown",
        mark=Mark.UNVERIFIED,
        text=item.text,
        quoted=row.quoted_text,
        message_id=item.copy.message_id,
        copy_id=copy_id,
    )


def release_with_contact(
    conn: Connection, copy_id: str, name: str, at: datetime, *, by: str, thread_id: int | None = None
) -> tuple[int, Contact]:
    """Release a copy and make its author a contact of the thread's organisation, in one step.

    From the next message on the author's words are verified if they are authenticated; this one stays
    unverified. RefusedRecord when the copy has no readable author, or the author is a contact already.
    """
    author = held_item(conn, copy_id).copy.author
    if author is None:
        raise RefusedRecord("This message has no readable author, so nobody can be made a contact.")
    entry = release(conn, copy_id, at, by=by, thread_id=thread_id)
    filed = held_item(conn, copy_id).copy.thread_id
    if filed is None:  # pragma: no cover -- release has just set it
        raise RefusedRecord("It is not known which thread this message belongs to; name one.")
    return entry, add_contact(conn, thread_by_id(conn, filed).organisation_id, author, name, at)


def relay_held(conn: Connection, copy_id: str, at: datetime, *, by: str) -> None:
    """Note that a waiting copy was released to its next hop; its verdict stays. RefusedRecord when it does not wait."""
    _waiting(conn, copy_id)
    conn.execute(
        update(messages)
        .where(messages.c.id == copy_id)
        .values(disposition=Disposition.RELAYED.value, released_at=at, released_by=storable(by, MAX_LINE))
    )


def discard(conn: Connection, copy_id: str, reason: str, at: datetime, *, by: str) -> None:
    """Put a waiting copy aside; its row and bytes stay, with who, when and why. RefusedRecord when it does not wait."""
    _waiting(conn, copy_id)
    conn.execute(
        update(messages)
        .where(messages.c.id == copy_id)
        .values(
            disposition=Disposition.DISCARDED.value,
            reason=storable(reason, MAX_LINE),
            discarded_at=at,
            discarded_by=storable(by, MAX_LINE),
        )
    )


def _waiting(conn: Connection, copy_id: str) -> HeldItem:
    item = held_item(conn, copy_id)
    if item.copy.disposition not in WAITING:
        raise RefusedRecord(f"The message {item.copy.id} does not wait: it is {item.copy.disposition}.")
    return item
