"""What waits for an expert: copies that are held, and strangers' in triage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, func, literal, select, update

from threads.model import (
    Contact,
    DamagedCopy,
    Direction,
    Disposition,
    EntryKind,
    HeldItem,
    Mark,
    MatchRule,
    MessageKind,
    StandingKind,
)
from threads.schema import messages, organisations, raw_messages, threads
from threads.store.belonging import on_legal_hold
from threads.store.errors import RefusedRecord
from threads.store.intake import copy_of
from threads.store.people import add_contact
from threads.store.read import unknown_message
from threads.store.row_reading import (
    Damaged,
    Key,
    damaged_columns,
    keys_of,
    read_rows,
    readable_id,
    well_typed,
)
from threads.store.thread import append, know_message_id, thread_by_id
from threads.store.values import MAX_LINE, storable

WAITING = (Disposition.HELD, Disposition.TRIAGE)
HEAD_ROWS: Final = 50
"""How many damaged rows may stand before the oldest sound one without hiding it from the gauges."""
_WORDS: Final = MappingProxyType(
    {"kind": MessageKind, "disposition": Disposition, "rule": MatchRule, "standing": StandingKind}
)


def _query() -> Select[Any]:
    return (
        select(
            messages,
            raw_messages.c.size,
            threads.c.reference.label("thread_reference"),
            organisations.c.name.label("organisation"),
            on_legal_hold(messages.c.author, messages.c.thread_id).label("legal_hold"),
        )
        .select_from(messages)
        .outerjoin(raw_messages, raw_messages.c.sha256 == messages.c.sha256)
        .outerjoin(threads, threads.c.id == messages.c.thread_id)
        .outerjoin(organisations, organisations.c.id == threads.c.organisation_id)
    )


def _item(row: Row[Any]) -> HeldItem:
    well_typed(row, messages.c)
    well_typed(row, (raw_messages.c.size,))  # None where the bytes are missing, which no sound record allows
    return HeldItem(
        copy_of(row), row.thread_reference, row.organisation, row.new_text, row.size, bool(row.legal_hold)
    )


def held_keys(
    conn: Connection, dispositions: tuple[Disposition, ...] = WAITING, limit: int | None = None
) -> tuple[Key, ...]:
    """What waits for an expert, oldest first, by its rows' keys.

    A row with a disposition that no program of ours writes is among them: nobody else would ever see it.
    """
    known = [word.value for word in Disposition if word not in dispositions]
    query = select(messages.c.id).where(messages.c.disposition.not_in(known))
    return keys_of(conn, messages, query.order_by(messages.c.received_at, messages.c.id).limit(limit))


def held_list(
    conn: Connection, dispositions: tuple[Disposition, ...] = WAITING, limit: int | None = None
) -> Iterator[HeldItem | DamagedCopy]:
    """What waits for an expert, oldest first, read as it is asked for; a row that cannot be read stands in its place."""
    return held_items(conn, held_keys(conn, dispositions, limit))


def held_items(conn: Connection, keys: Sequence[Key]) -> Iterator[HeldItem | DamagedCopy]:
    """The same for keys that ``held_keys`` gave in this transaction."""
    for found in read_rows(conn, messages, _query(), keys, _item):
        yield _damage(conn, found) if isinstance(found, Damaged) else found


def held_on(conn: Connection, thread_id: int) -> tuple[HeldItem | DamagedCopy, ...]:
    """What waits and seems to belong to a thread, oldest first."""
    words = [word.value for word in WAITING]
    query = select(messages.c.id).where(messages.c.thread_id == thread_id, messages.c.disposition.in_(words))
    keys = keys_of(conn, messages, query.order_by(messages.c.received_at, messages.c.id))
    return tuple(held_items(conn, keys))


def _damage(conn: Connection, found: Damaged) -> DamagedCopy:
    columns = damaged_columns(conn, messages, found.key, dict(_WORDS))
    return DamagedCopy(readable_id(conn, messages, found.key), columns or ("its bytes",))


def oldest_waiting(conn: Connection) -> Mapping[Disposition, datetime]:
    """When the oldest of what waits was received, by how it waits."""
    found = {}
    for disposition in WAITING:
        of_kind = select(messages.c.received_at).where(messages.c.disposition == disposition.value)
        ordered = of_kind.order_by(messages.c.received_at, messages.c.id).limit(HEAD_ROWS)
        keys = keys_of(conn, messages, ordered)
        for at in read_rows(conn, messages, select(messages.c.received_at), keys, _received_at):
            if not isinstance(at, Damaged):
                found[disposition] = at
                break
    return found


def _received_at(row: Row[Any]) -> datetime:
    well_typed(row, (messages.c.received_at,))
    at: datetime = row.received_at
    return at


def count_waiting(conn: Connection, before: datetime) -> Mapping[Disposition, int]:
    """How many of what waits was received before a moment, by how it waits."""
    found = dict.fromkeys(WAITING, 0)
    rows = conn.execute(
        select(messages.c.disposition, func.count())
        .where(messages.c.disposition.in_([d.value for d in WAITING]), messages.c.received_at < before)
        .group_by(messages.c.disposition)
    )
    return found | {Disposition(word): count for word, count in rows}


def held_item(conn: Connection, copy_id: str) -> HeldItem:
    """One copy with its circumstances; UnknownRecord when there is none with that id, RefusedRecord when it is damaged."""
    found = find_held(conn, copy_id)
    if isinstance(found, DamagedCopy):
        raise RefusedRecord(f"{found.sentence}.")
    return found


def find_held(conn: Connection, copy_id: str) -> HeldItem | DamagedCopy:
    """One copy with its circumstances, or what is wrong with it; UnknownRecord when there is none with that id."""
    named = select(messages.c.id).where(messages.c.id == storable(copy_id, MAX_LINE))
    for found in held_items(conn, keys_of(conn, messages, named)):
        return found
    raise unknown_message(conn, copy_id)


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
    """Put a waiting copy aside; its row stays, with who, when and why, and for its time its bytes.

    A row that cannot be read is put aside as well. RefusedRecord when the copy does not wait.
    """
    _lock(conn, copy_id)
    found = find_held(conn, copy_id)
    if isinstance(found, HeldItem):
        _refuse_decided(found)
    elif "disposition" not in found.columns:
        word = conn.execute(select(messages.c.disposition).where(messages.c.id == copy_id)).scalar_one()
        if word not in WAITING:
            raise RefusedRecord(f"The message {found.id} does not wait: it is {word}.")
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
    _lock(conn, copy_id)
    item = held_item(conn, copy_id)
    _refuse_decided(item)
    return item


def _lock(conn: Connection, copy_id: str) -> None:
    """Let nobody else decide on the copy until this transaction ends; SQLite has one writer at a time anyway."""
    named = select(literal(1)).select_from(messages).where(messages.c.id == storable(copy_id, MAX_LINE))
    conn.execute(named.with_for_update())


def _refuse_decided(item: HeldItem) -> None:
    if item.copy.disposition not in WAITING:
        raise RefusedRecord(f"The message {item.copy.id} does not wait: it is {item.copy.disposition}.")
