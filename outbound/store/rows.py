"""What the queue, the outbox and the orders share: one mail's row, its state, its notes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Row, Select, bindparam, func, insert, select, update

from outbound.model import DeliveryState, Queued, Unreadable
from outbound.schema import deliveries, outgoing
from threads.model import EntryKind, Mark
from threads.store.errors import RefusedRecord, UnknownRecord, undecodable
from threads.store.prepared import Prepared
from threads.store.thread import append

# Longer than the longest attempt (outbound.delivery.ATTEMPT_SECONDS), so that a living worker keeps its lease.
LEASE = timedelta(minutes=15)
# Lines of ``outbox list`` and ``outbox orders`` at most, unless the caller asks for more.
LIST_LIMIT = 1_000
# How the key of an order's mail begins; the order's own key follows.
ORDERED = "order:"

S = TypeVar("S")
T = TypeVar("T")


def read_each(
    conn: Connection, query: Select[Any], key: Column[int], read: Callable[[Row[Any]], T]
) -> tuple[T | Unreadable, ...]:
    """What ``read`` makes of each row of ``query``; one that cannot be read keeps no other back.

    ``key`` is the primary key of one of the query's tables, an integer that is always readable.
    """
    keyed = query.add_columns(key.label("row_key"))
    try:
        rows = conn.execute(keyed).all()
    except Exception as error:
        if not undecodable(error):
            raise
    else:
        return tuple(_read(read, row, row.row_key) for row in rows)
    ids = conn.execute(query.with_only_columns(key)).scalars().all()
    return tuple(
        _read(lambda number: read(conn.execute(keyed.where(key == number)).one()), number, number)
        for number in ids
    )


def _read(read: Callable[[S], T], source: S, number: int) -> T | Unreadable:
    try:
        return read(source)
    except Exception as error:
        if not undecodable(error):
            raise
        return Unreadable(number, type(error).__name__)


_WITHOUT_BYTES = Prepared(
    select(*(column for column in outgoing.c if column.name != "raw")).where(
        outgoing.c.id == bindparam("number")
    )
)


def outgoing_row(conn: Connection, outgoing_id: int) -> Row[Any]:
    """A mail without its bytes; UnknownRecord when there is none, RefusedRecord when its row is damaged."""
    try:
        found: Row[Any] | None = _WITHOUT_BYTES.first(conn, {"number": outgoing_id})
    except Exception as error:
        if not undecodable(error):
            raise
        raise damaged(Unreadable(outgoing_id, type(error).__name__)) from error
    if found is None:
        raise UnknownRecord(f"There is no outgoing mail number {outgoing_id}; see `expertmail outbox list`.")
    return found


def damaged(mail: Unreadable) -> RefusedRecord:
    """What to tell a person who asks for a mail that cannot be read."""
    return RefusedRecord(
        f"Outgoing mail {mail.number} is not sent: {mail.reason}. Correct the row or leave it; a corrected "
        f"one is sent after: expertmail outbox retry {mail.number}"
    )


def change(conn: Connection, outgoing_id: int, now: datetime, **values: Any) -> None:
    """Set columns of a mail's delivery."""
    conn.execute(
        update(deliveries).where(deliveries.c.outgoing_id == outgoing_id).values(updated_at=now, **values)
    )


def note(conn: Connection, mail: Row[Any], now: datetime, text: str) -> None:
    """Tell the experts on the thread's timeline that a mail did not go out."""
    if mail.thread_id is not None:
        append(conn, mail.thread_id, now, EntryKind.NOTE, actor="outbox", mark=Mark.AUTOMATION, text=text)


def state_of(conn: Connection, outgoing_id: int) -> DeliveryState:
    """The state, locked on PostgreSQL until the transaction ends so that no worker leases it meanwhile."""
    query = select(deliveries.c.state).where(deliveries.c.outgoing_id == outgoing_id).with_for_update()
    return known_state(conn.execute(query).scalar_one())


def known_state(word: str) -> DeliveryState:
    """The state of that name; any other word is that of a damaged row."""
    try:
        return DeliveryState(word)
    except ValueError:
        return DeliveryState.UNREADABLE


def queued_before(conn: Connection, key: str) -> Queued | None:
    """The mail of that idempotency key, if it is in the queue."""
    there = conn.execute(select(outgoing.c.id).where(outgoing.c.idempotency_key == key)).scalar()
    return None if there is None else Queued(int(there), duplicate=True)


def take_turn(conn: Connection, key: str) -> None:
    """Wait on PostgreSQL for whoever queues a mail of this idempotency key right now; on SQLite one writes at a time."""
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))


def put_in_queue(
    conn: Connection, values: Mapping[str, Any], now: datetime, *, checked_at: datetime | None
) -> int:
    """A new mail by its columns, and its delivery, which is due at once; returns the mail's id.

    ``checked_at``: None while our own verifier has still to judge it, which holds it back.
    """
    made: int = conn.execute(insert(outgoing).values(**values).returning(outgoing.c.id)).scalar_one()
    conn.execute(
        insert(deliveries).values(
            outgoing_id=made,
            state=DeliveryState.QUEUED.value,
            checked_at=checked_at,
            attempts=0,
            next_attempt_at=now,
            last_reply="",
            updated_at=now,
        )
    )
    return made
