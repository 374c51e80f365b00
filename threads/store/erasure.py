"""Removing all that is on record of an organisation.

It goes in steps of some hundred copies, each its own transaction, so that no mail waits; one that was cut off is simply begun
again. The threads and the organisation stay as shells without content: no number of theirs is ever given to somebody
else, whose mail an old reply address would then find. The audit trail keeps that something was done, when, and that it was
erased (``threads.model.audit``). A legal hold refuses all of it; what another organisation's hold covers stays, on the shell
of its thread. Outgoing mail is ``outbound.store.erasure``'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Integer, Select, column, delete, exists, func, select, table, update

from threads.model import Organisation, State
from threads.schema import (
    audit,
    contacts,
    expired_messages,
    messages,
    organisation_domains,
    organisations,
    raw_messages,
    relayed_messages,
    tasks,
    threads,
    timeline,
)
from threads.store.audit import erase_acts
from threads.store.belonging import copies_of, relayed_of, threads_of, traces_of
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.people import organisation_of
from threads.store.row_references import References, delete_referring, delete_rows, references_of

COPIES_AT_ONCE: Final = 200
"""Of one transaction, so that it delays nobody's mail."""
# Of these only what another organisation's hold covers is left by now, in the last two if ``outbound.store.erasure`` ran.
_ON_HOLD_AT_MOST: Final = frozenset({"messages", "expired_messages", "outgoing", "automatic_orders"})
EMPTIED: Final = "(content removed)"
"""Stands for the title of a thread whose content is gone."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is on record of an organisation, in rows; its outgoing mail is counted elsewhere."""

    threads: int
    messages: int
    octets: int
    timeline_entries: int
    tasks: int
    contacts: int
    domains: int
    expired_messages: int
    relayed_messages: int
    audit_rows: int


def extent(conn: Connection, organisation_id: int) -> Extent:
    """What erasing the organisation would remove."""
    mine = threads_of(organisation_id)
    copies = copies_of(organisation_id)
    sizes = (
        select(func.coalesce(func.sum(raw_messages.c.size), 0))
        .select_from(messages.join(raw_messages, raw_messages.c.sha256 == messages.c.sha256))
        .where(copies)
    )
    theirs = contacts.c.organisation_id == organisation_id
    own = organisation_domains.c.organisation_id == organisation_id
    acts = (audit.c.organisation_id == organisation_id, audit.c.content.is_not(None))
    return Extent(
        threads=_count(conn, mine),
        messages=_count(conn, select(messages.c.id).where(copies)),
        octets=int(conn.execute(sizes).scalar_one()),
        timeline_entries=_count(conn, select(timeline.c.id).where(timeline.c.thread_id.in_(mine))),
        tasks=_count(conn, select(tasks.c.id).where(tasks.c.thread_id.in_(mine))),
        contacts=_count(conn, select(contacts.c.id).where(theirs)),
        domains=_count(conn, select(organisation_domains.c.domain).where(own)),
        expired_messages=_count(conn, select(expired_messages.c.id).where(traces_of(organisation_id))),
        relayed_messages=_count(conn, select(relayed_messages.c.id).where(relayed_of(organisation_id))),
        audit_rows=_count(conn, select(audit.c.number).where(*acts)),
    )


def _count(conn: Connection, query: Select[Any]) -> int:
    return int(conn.execute(select(func.count()).select_from(query.subquery())).scalar_one())


def erasable(conn: Connection, organisation_id: int) -> Organisation:
    """The organisation, locked on PostgreSQL until the transaction ends; RefusedRecord where a legal hold keeps it."""
    there = select(organisations).where(
        organisations.c.id == organisation_id, organisations.c.erased_at.is_(None)
    )
    row = conn.execute(there.with_for_update()).one_or_none()
    if row is None:
        raise UnknownRecord(f"There is no organisation number {organisation_id}.")
    one = organisation_of(row)
    if one.legal_hold is not None:
        who, why = one.legal_hold.by, one.legal_hold.reason
        raise RefusedRecord(f"There is a legal hold on {one.name} by {who} ({why}): nothing of it is erased.")
    return one


def erase_copies(conn: Connection, organisation_id: int, at_once: int = COPIES_AT_ONCE) -> int:
    """Remove some of the organisation's messages with all that was kept of them; 0 when none is left. RefusedRecord under a hold."""
    erasable(conn, organisation_id)
    overwrite_deleted(conn)
    query = select(messages.c.id, messages.c.sha256).where(copies_of(organisation_id))
    return remove_copies(conn, conn.execute(query.limit(at_once)).all())


def remove_copies(conn: Connection, copies: Sequence[Any]) -> int:
    """Delete messages (rows with ``id`` and ``sha256``), what refers to them, and bytes that no other copy has."""
    if copies:
        delete_rows(conn, references_of(conn), "messages", "id", [one.id for one in copies])
        conn.execute(
            delete(raw_messages).where(
                raw_messages.c.sha256.in_({one.sha256 for one in copies}),
                ~exists().where(messages.c.sha256 == raw_messages.c.sha256),
            )
        )
    return len(copies)


def erase_rest(conn: Connection, organisation_id: int, at: datetime) -> int:
    """Remove the rest once no message is left, and leave shells; returns how many rows of the audit trail lost their content.

    RefusedRecord under a legal hold, or while messages are left: one may have come in since.
    """
    erasable(conn, organisation_id)
    overwrite_deleted(conn)
    if conn.execute(select(messages.c.id).where(copies_of(organisation_id)).limit(1)).first() is not None:
        raise RefusedRecord("A message came in meanwhile; begin again.")
    conn.execute(delete(expired_messages).where(traces_of(organisation_id)))
    conn.execute(delete(relayed_messages).where(relayed_of(organisation_id)))
    references = references_of(conn)
    mine = conn.execute(threads_of(organisation_id)).scalars().all()
    delete_referring(conn, references, "threads", mine, _ON_HOLD_AT_MOST)
    theirs = contacts.c.organisation_id == organisation_id
    _let_go_of_contacts(conn, references, organisation_id)
    conn.execute(delete(contacts).where(theirs))
    conn.execute(
        delete(organisation_domains).where(organisation_domains.c.organisation_id == organisation_id)
    )
    conn.execute(
        update(threads)
        .where(threads.c.organisation_id == organisation_id)
        .values(title=EMPTIED, state=State.RESOLVED.value, classification=None, about_id=None, emptied_at=at)
    )
    _leave_shell(conn, organisation_id, at)
    return erase_acts(conn, organisation_id)


def _let_go_of_contacts(conn: Connection, references: References, organisation_id: int) -> None:
    """What a contact of this one's said or was told elsewhere stays there, tied to who is the same person's contact there.

    Without such a contact it stays without the tie.
    """
    there = {(name, by) for name, by, _ in references.get("threads", ())}
    people = select(contacts.c.id).where(contacts.c.organisation_id == organisation_id)
    for name, by, _ in references.get("contacts", ()):
        rows = table(name, column(by, Integer()), column("thread_id", Integer()))
        gone = rows.c[by].in_(people)
        if (name, "thread_id") in there:
            for found in conn.execute(select(rows.c[by], rows.c.thread_id).where(gone).distinct()).all():
                twin = conn.execute(_twin(found[0], found.thread_id)).scalar()
                on_it = rows.c.thread_id.is_not_distinct_from(found.thread_id)
                conn.execute(update(rows).where(rows.c[by] == found[0], on_it).values({by: twin}))
        conn.execute(update(rows).where(gone).values({by: None}))


def _twin(contact_id: int, thread_id: int | None) -> Select[Any]:
    """The same address as a contact of the thread's organisation, or without a thread of any that is still there."""
    gone = contacts.alias()
    query = (
        select(contacts.c.id)
        .join(gone, gone.c.address_key == contacts.c.address_key)
        .join(organisations, organisations.c.id == contacts.c.organisation_id)
        .where(
            gone.c.id == contact_id,
            contacts.c.organisation_id != gone.c.organisation_id,
            organisations.c.erased_at.is_(None),
        )
    )
    if thread_id is not None:
        of_thread = select(threads.c.organisation_id).where(threads.c.id == thread_id)
        query = query.where(contacts.c.organisation_id == of_thread.scalar_subquery())
    return query.order_by(contacts.c.id).limit(1)


def _leave_shell(conn: Connection, organisation_id: int, at: datetime) -> None:
    name = f"(erased organisation {organisation_id})"
    empty = dict.fromkeys(
        ("untrusted_at", "untrusted_by", "untrusted_reason", "hold_at", "hold_by", "hold_reason")
    )
    conn.execute(
        update(organisations)
        .where(organisations.c.id == organisation_id)
        .values(name=name, name_key=name, erased_at=at, retention_days=None, **empty)
    )


def overwrite_deleted(conn: Connection) -> None:
    """Have SQLite overwrite what this connection deletes from now on; PostgreSQL does so when it vacuums."""
    if conn.dialect.name == "sqlite":
        conn.exec_driver_sql("PRAGMA secure_delete = ON").close()
