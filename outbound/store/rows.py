"""What the queue, the outbox and the orders share: one mail's row, its state, its notes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update

from outbound.model import (
    DeliveryState,
)
from outbound.schema import deliveries, outgoing
from threads.model import EntryKind, Mark
from threads.store.errors import UnknownRecord
from threads.store.thread import append

# Longer than the longest attempt (outbound.delivery.ATTEMPT_SECONDS), so that a living worker keeps its lease.
LEASE = timedelta(minutes=15)


def outgoing_row(conn: Connection, outgoing_id: int) -> Row[Any]:
    """A mail without its bytes; UnknownRecord when there is none."""
    columns = [column for column in outgoing.c if column.name != "raw"]
    row = conn.execute(select(*columns).where(outgoing.c.id == outgoing_id)).one_or_none()
    if row is None:
        raise UnknownRecord(f"There is no outgoing mail number {outgoing_id}; see `expertmail outbox list`.")
    return row


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
    return DeliveryState(conn.execute(query).scalar_one())
