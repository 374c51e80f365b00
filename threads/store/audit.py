"""The audit trail's rows: added one after the other, never changed, erased where they have to be.

Each act is written in the transaction that does it, as its last statement: on PostgreSQL everybody who writes one waits
here for the others until they commit. SQLite has one writer at a time anyway, and the unique column ``previous`` refuses a
fork on either. What comes in by mail writes no row of its own: the timeline has it.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select, text, update

from threads.model import AuditRow, Chain
from threads.model.audit import START, content_of, digest_of, seal_of, verify_chain
from threads.schema import audit
from threads.store.values import MAX_LINE, storable

SALT_BYTES: Final = 32
"""As long as the seal: trying salts is as hard as breaking it."""
READ_AT_ONCE: Final = 1_000
"""Rows in memory while the chain is checked."""
# Any number, the same for every node: who holds it writes the next row.
_LOCK: Final = 0x6175_6469_74


def record_act(
    conn: Connection,
    act: str,
    at: datetime,
    *,
    by: str,
    subject: str,
    detail: str = "",
    organisation_id: int | None = None,
) -> AuditRow:
    """Add a row: what was done (a word such as ``contact-added``), by whom, to what. The last statement of its transaction.

    ``organisation_id`` is the customer with whose erasure the row's content goes.
    """
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    last = conn.execute(
        select(audit.c.number, audit.c.digest).order_by(audit.c.number.desc()).limit(1)
    ).one_or_none()
    number, previous = (1, START) if last is None else (last.number + 1, last.digest)
    content = content_of(storable(by, MAX_LINE), storable(subject, MAX_LINE), storable(detail))
    salt = secrets.token_hex(SALT_BYTES)
    seal = seal_of(salt, content)
    at = at.astimezone(UTC)
    digest = digest_of(
        number=number, at=at, act=act, organisation_id=organisation_id, previous=previous, seal=seal
    )
    row = AuditRow(number, at, act, organisation_id, previous, seal, digest, salt, content)
    conn.execute(
        insert(audit).values(
            number=number,
            at=at,
            act=act,
            organisation_id=organisation_id,
            previous=previous,
            seal=seal,
            digest=digest,
            salt=salt,
            content=content,
        )
    )
    return row


def row_of(row: Row[Any]) -> AuditRow:
    """A row of the table as a value."""
    return AuditRow(
        row.number,
        row.at,
        row.act,
        row.organisation_id,
        row.previous,
        row.seal,
        row.digest,
        row.salt,
        row.content,
    )


def list_audit(
    conn: Connection, *, organisation_id: int | None = None, act: str | None = None, limit: int = 1_000
) -> tuple[AuditRow, ...]:
    """Rows, the newest first."""
    query = select(audit).order_by(audit.c.number.desc()).limit(limit)
    if organisation_id is not None:
        query = query.where(audit.c.organisation_id == organisation_id)
    if act is not None:
        query = query.where(audit.c.act == act)
    return tuple(map(row_of, conn.execute(query)))


def audit_page(
    conn: Connection,
    organisations: Collection[int] | None,
    *,
    organisation_id: int | None = None,
    act: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> tuple[AuditRow, ...]:
    """Rows before a number, the newest first. ``organisations``: only what was done about them; None: all of it."""
    query = select(audit).order_by(audit.c.number.desc()).limit(limit)
    if organisations is not None:
        query = query.where(audit.c.organisation_id.in_(sorted(organisations)))
    if organisation_id is not None:
        query = query.where(audit.c.organisation_id == organisation_id)
    if act is not None:
        query = query.where(audit.c.act == storable(act, MAX_LINE))
    if before is not None:
        query = query.where(audit.c.number < before)
    return tuple(map(row_of, conn.execute(query)))


def check_audit(conn: Connection) -> Chain:
    """Work the whole chain out again, within the transaction's own view of it."""
    return verify_chain(_rows(conn))


def digest_on_record(conn: Connection, digest: str) -> bool:
    """Whether a digest that was noted elsewhere is that of a row: the rows up to it were not cut off."""
    return conn.execute(select(audit.c.number).where(audit.c.digest == digest)).first() is not None


def _rows(conn: Connection) -> Iterator[AuditRow]:
    """All rows by their number. A time that is none is told as a changed one by what it leads to."""
    last: int | None = None
    while True:
        query = select(audit).order_by(audit.c.number).limit(READ_AT_ONCE)
        found = conn.execute(query if last is None else query.where(audit.c.number > last)).all()
        yield from map(row_of, found)
        if len(found) < READ_AT_ONCE:
            return
        last = found[-1].number


def erase_acts(conn: Connection, organisation_id: int) -> int:
    """Take salt and content from the rows of an organisation; returns how many. The chain still holds."""
    erased = conn.execute(
        update(audit)
        .where(audit.c.organisation_id == organisation_id, audit.c.content.is_not(None))
        .values(salt=None, content=None)
    )
    return erased.rowcount


def trail_is_guarded(conn: Connection) -> bool:
    """Whether the database itself refuses to change rows: its triggers are there."""
    names = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if conn.dialect.name == "sqlite"
        else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'"
    )
    return {"audit_keeps_rows", "audit_only_erases"} <= set(conn.execute(text(names)).scalars())
