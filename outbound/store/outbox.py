"""What a person sees of outgoing mail, and may do with it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from outbound.model import (
    Attempt,
    DeliveryState,
    Failure,
    MailKind,
    OutboxEntry,
    OutboxItem,
    Protection,
    Reply,
    TlsLevel,
    Unreadable,
)
from outbound.schema import attempts, deliveries, outgoing
from outbound.store.approvals import earliest, refuse_refused
from outbound.store.rows import (
    LIST_LIMIT,
    change,
    damaged,
    known_state,
    note,
    outgoing_row,
    read_each,
    state_of,
)
from outbound.store.suppression import refuse_suppressed
from outbound.store.untrusted import refuse_untrusted
from threads.schema import contacts, threads
from threads.store.errors import RefusedRecord
from threads.store.row_reading import well_typed
from threads.store.values import MAX_LINE, storable

_ITEM = (
    outgoing.c.id,
    outgoing.c.kind,
    outgoing.c.thread_id,
    outgoing.c.rcpt_to,
    outgoing.c.subject,
    outgoing.c.message_id,
    outgoing.c.created_at,
    deliveries.c.state,
    deliveries.c.attempts,
    deliveries.c.next_attempt_at,
    deliveries.c.last_reply,
    deliveries.c.maybe_twice,
)


def list_outbox(
    conn: Connection,
    *,
    state: DeliveryState | None = None,
    thread_id: int | None = None,
    limit: int = LIST_LIMIT,
) -> tuple[OutboxItem, ...]:
    """Outgoing mail, the newest first; a mail whose row is damaged is shown as unreadable."""
    query = outbox_query(state).limit(limit)
    if thread_id is not None:
        query = query.where(outgoing.c.thread_id == thread_id)
    return read_items(conn, query)


def outbox_query(state: DeliveryState | None = None) -> Select[Any]:
    """Asks for outgoing mail, the newest first; narrow it as you like and give it to ``read_items``."""
    query = (
        select(*_ITEM)
        .select_from(deliveries.outerjoin(outgoing, deliveries.c.outgoing_id == outgoing.c.id))
        .order_by(deliveries.c.outgoing_id.desc())
    )
    if state is DeliveryState.UNREADABLE:
        readable = [one.value for one in DeliveryState if one is not state]
        query = query.where(deliveries.c.state.not_in(readable))
    elif state is not None:
        query = query.where(deliveries.c.state == state.value)
    return query


def read_items(conn: Connection, query: Select[Any]) -> tuple[OutboxItem, ...]:
    """The mails that ``outbox_query`` asks for."""
    return tuple(
        OutboxItem(one.number, None, None, "", "", "", None, DeliveryState.UNREADABLE, 0, None, one.reason)
        if isinstance(one, Unreadable)
        else one
        for one in read_each(conn, query, deliveries.c.outgoing_id, _item_of)
    )


def count_outbox(conn: Connection) -> dict[DeliveryState, int]:
    """How many mails are in each state, for the metrics."""
    counts = dict.fromkeys(DeliveryState, 0)
    for word, count in conn.execute(select(deliveries.c.state, func.count()).group_by(deliveries.c.state)):
        counts[known_state(word)] += count
    return counts


def _item_of(row: Row[Any]) -> OutboxItem:
    well_typed(row, _ITEM)
    return OutboxItem(
        outgoing_id=row.id,
        kind=MailKind(row.kind),
        thread_id=row.thread_id,
        rcpt_to=row.rcpt_to,
        subject=row.subject,
        message_id=row.message_id,
        created=row.created_at,
        state=known_state(row.state),
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        last_reply=row.last_reply,
        maybe_twice=row.maybe_twice,
    )


def show_outbox(conn: Connection, outgoing_id: int) -> OutboxEntry:
    """One mail with its bytes and every try; UnknownRecord when there is none, RefusedRecord when it is damaged."""
    outgoing_row(conn, outgoing_id)
    query = (
        select(*outgoing.c, *(column for column in _ITEM if column.table is deliveries))
        .select_from(outgoing.join(deliveries, deliveries.c.outgoing_id == outgoing.c.id))
        .where(outgoing.c.id == outgoing_id)
    )
    (entry,) = read_each(conn, query, outgoing.c.id, lambda row: _entry_of(conn, row))
    if isinstance(entry, Unreadable):
        raise damaged(entry)
    return entry


def _entry_of(conn: Connection, row: Row[Any]) -> OutboxEntry:
    tries = conn.execute(select(attempts).where(attempts.c.outgoing_id == row.id).order_by(attempts.c.id))
    return OutboxEntry(
        item=_item_of(row),
        raw=row.raw,
        sha256=row.sha256,
        mail_from=row.mail_from,
        said=row.said,
        template_version=row.template_version,
        language=row.language,
        actor=row.actor,
        disclosure=row.disclosure or "",
        needs_tls=row.needs_tls,
        attempts=tuple(
            Attempt(
                started=t.started_at,
                finished=t.finished_at,
                host=t.host,
                reply=Reply(t.code, t.reply),
                failure=None if t.failure is None else Failure(t.failure),
                tls=t.tls,
                protection=_protection(t),
                transcript=t.transcript or "",
            )
            for t in tries
        ),
    )


def _protection(row: Row[Any]) -> Protection:
    """What protected a try; of one that was made before schema 0011 only the level is known."""
    level = row.tls_level or (TlsLevel.ENCRYPTED if row.tls else TlsLevel.NONE)
    return Protection(TlsLevel(level), row.tls_version or "", row.tls_cipher or "")


def retry_now(conn: Connection, outgoing_id: int, now: datetime) -> datetime:
    """Make a mail due at once: a waiting one, a failed one (for one more try), or a withheld one.

    One whose send window has not begun is due when it does. Returns when it is due. A withheld mail is judged by our own verifier again before anything is sent. RefusedRecord for one that
    is delivered or being sent, that somebody refused to approve, that may not go to its recipient's organisation, or
    whose recipient is suppressed.
    """
    mail = outgoing_row(conn, outgoing_id)
    state = state_of(conn, outgoing_id)
    if state in (DeliveryState.DELIVERED, DeliveryState.LEASED):
        word = "delivered already" if state is DeliveryState.DELIVERED else "being sent right now"
        raise RefusedRecord(f"Outgoing mail {mail.id} is {word}.")
    refuse_refused(conn, outgoing_id)
    refuse_untrusted(conn, mail.kind, mail.rcpt_to, mail.contact_id)
    if mail.next_hop is None:
        refuse_suppressed(conn, mail.rcpt_to)
    due = max(now, earliest(conn, outgoing_id) or now)
    change(conn, outgoing_id, now, state=DeliveryState.QUEUED.value, next_attempt_at=due)
    return due


def organisation_of_mail(conn: Connection, outgoing_id: int) -> int | None:
    """Whose thread a mail is on, else whose contact gets it; None where it is neither."""
    known = outgoing.outerjoin(threads, outgoing.c.thread_id == threads.c.id).outerjoin(
        contacts, outgoing.c.contact_id == contacts.c.id
    )
    whose = func.coalesce(threads.c.organisation_id, contacts.c.organisation_id)
    return conn.execute(select(whose).select_from(known).where(outgoing.c.id == outgoing_id)).scalar()


def cancel(conn: Connection, outgoing_id: int, now: datetime, *, actor: str) -> None:
    """Give a mail up for a person; RefusedRecord for one that is delivered or being sent."""
    mail = outgoing_row(conn, outgoing_id)
    state = state_of(conn, outgoing_id)
    if state in (DeliveryState.DELIVERED, DeliveryState.LEASED):
        word = "delivered already" if state is DeliveryState.DELIVERED else "being sent right now"
        raise RefusedRecord(f"Outgoing mail {mail.id} is {word} and cannot be cancelled.")
    if state.undelivered:
        return
    reason = f"cancelled by {storable(actor, MAX_LINE)}"
    change(conn, outgoing_id, now, state=DeliveryState.FAILED.value, next_attempt_at=None, last_reply=reason)
    note(conn, mail, now, f"The mail to {mail.rcpt_to} was {reason}.")
