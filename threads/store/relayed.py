"""The record of relayed mail: verdict and evidence without the message, for as long as somebody may ask about it."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select

from threads.model.relayed import RelayedMessage
from threads.schema import relayed_messages
from threads.store.belonging import on_legal_hold
from threads.store.errors import UnknownRecord
from threads.store.values import MAX_ID, MAX_LINE, MAX_PATH, storable

KEPT_FOR: Final = timedelta(days=30)
"""A question about a message comes within days; at 6 KB a message a busy relay's month is some gigabytes."""
DROPPED_AT_ONCE: Final = 500
"""Old rows that go in one transaction, so that it delays nobody's mail."""


def record_relayed(conn: Connection, message: RelayedMessage) -> None:
    """Remember a message that the next hop has taken."""
    values = asdict(message)
    values |= {
        "mail_from": storable(message.mail_from, MAX_PATH),
        "recipients": json.dumps(message.recipients),
        "helo": storable(message.helo, MAX_LINE),
        "message_id": None if message.message_id is None else storable(message.message_id, MAX_ID),
        "author": None if message.author is None else storable(message.author, MAX_LINE),
        "reason": storable(message.reason, MAX_LINE),
        "answer": storable(message.answer, MAX_LINE),
    }
    conn.execute(insert(relayed_messages), values)


def drop_old_relayed(conn: Connection, now: datetime, kept_for: timedelta = KEPT_FOR) -> int:
    """Forget what is too old, at most ``DROPPED_AT_ONCE`` rows, none under a legal hold; returns how many."""
    table = relayed_messages
    old = (
        select(table.c.id)
        .where(table.c.received_at < now - kept_for, ~on_legal_hold(table.c.author))
        .order_by(table.c.received_at)
        .limit(DROPPED_AT_ONCE)
    )
    ids = list(conn.execute(old).scalars())
    if ids:
        conn.execute(delete(table).where(table.c.id.in_(ids)))
    return len(ids)


def relayed_message(conn: Connection, message_id: str) -> RelayedMessage:
    """The message with that id of ours; UnknownRecord when none was relayed."""
    query = select(relayed_messages).where(relayed_messages.c.id == storable(message_id, MAX_LINE))
    row = conn.execute(query).one_or_none()
    if row is None:
        raise UnknownRecord(f"No message {storable(message_id, 40)} was relayed, or it was too long ago.")
    return _message_of(row)


def list_relayed(conn: Connection, limit: int = 1_000) -> tuple[RelayedMessage, ...]:
    """What was relayed, the newest first."""
    table = relayed_messages
    rows = conn.execute(select(table).order_by(table.c.received_at.desc(), table.c.id.desc()).limit(limit))
    return tuple(map(_message_of, rows))


def _message_of(row: Row[Any]) -> RelayedMessage:
    values = dict(row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name for it
    values["recipients"] = tuple(json.loads(row.recipients))
    return RelayedMessage(**values)
