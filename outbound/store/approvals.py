"""Approvals of outgoing mail: recorded when it is queued, asked for whenever it is leased, given and refused by people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, case, insert, select, update

from outbound.approval import (
    SEND_WINDOW,
    ApprovalState,
    Basis,
    Manifest,
    Terms,
    manifest_of,
    odd_window,
    why_not,
    window_of,
)
from outbound.model import DeliveryState, MailKind, Signed
from outbound.schema import approvals, deliveries, outgoing, send_requests
from outbound.store.rows import LIST_LIMIT, change, note, outgoing_row
from outbound.store.standing_approvals import stands
from threads.store.audit import record_act
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.statements import inserted
from threads.store.values import MAX_LINE, storable

# Of mail that goes out under a standing approval nobody wrote the single one.
AUTOMATION = "automation"
NOBODY_YET = "no approval is on record"


@dataclass(frozen=True, slots=True)
class ApprovalItem:
    """One mail and what it is sent under. ``digest`` is that of what would be sent now, ``approved`` the one on record.

    ``last_word`` is the last one on its delivery: of one that waits, why it does.
    """

    outgoing_id: int
    kind: str
    thread_id: int | None
    rcpt_to: str
    mail_from: str
    subject: str
    sha256: str
    identity: str
    not_before: datetime
    not_after: datetime
    state: ApprovalState
    basis: Basis
    composer: str
    approver: str | None
    decided_at: datetime | None
    reason: str
    reviewer: str | None
    review: str | None
    digest: str
    approved: str
    contact_id: int | None
    end_chosen: bool
    needs_tls: bool
    last_word: str


def record_basis(
    conn: Connection, outgoing_id: int, signed: Signed, now: datetime, *, actor: str, terms: Terms
) -> bool:
    """Record under what a new mail is sent; returns whether it waits for a person. RefusedRecord for an odd window."""
    odd = odd_window(terms, now)
    if odd is not None:
        raise RefusedRecord(odd)
    mail, window = signed.rendered, window_of(terms, now)
    approver: str | None = storable(actor, MAX_LINE)
    asks = mail.kind.value in terms.second_person
    if asks and mail.kind.automatic:
        basis = Basis.STANDING
        approver = stands(conn, mail.kind, mail.template_version, terms.route)
    elif asks and terms.break_glass:
        basis = Basis.BREAK_GLASS
    elif asks:
        basis, approver = Basis.SECOND, None
    else:
        basis = Basis.COMPOSER
    state = ApprovalState.AWAITING if approver is None else ApprovalState.APPROVED
    conn.execute(
        insert(approvals).values(
            outgoing_id=outgoing_id,
            state=state.value,
            basis=basis.value,
            digest=manifest_of(
                signed.raw,
                mail.mail_from,
                mail.rcpt_to,
                window.not_before,
                window.not_after,
                mail.disclosure.needs_tls,
            ).digest,
            not_before=window.not_before,
            not_after=window.not_after,
            end_chosen=window.end_chosen,
            composer=storable(actor, MAX_LINE),
            approver=approver,
            decided_at=None if approver is None else now,
            reason=storable(terms.break_glass, MAX_LINE) if basis is Basis.BREAK_GLASS else "",
        )
    )
    return approver is None


LEASED = (
    approvals.c.state.label("approval_state"),
    approvals.c.digest.label("approval_digest"),
    approvals.c.not_before.label("approval_from"),
    approvals.c.not_after.label("approval_until"),
)
"""What a lease reads of an approval."""


def unapproved(row: Row[Any], now: datetime) -> str:
    """Why a leased mail is not sent under its approval, from its row as it would be sent; empty when it is."""
    if row.next_hop is not None:  # somebody else's mail, which is passed on
        return ""
    if row.approval_state is None:
        return NOBODY_YET
    manifest = manifest_of(
        row.raw, row.mail_from, row.rcpt_to, row.approval_from, row.approval_until, row.needs_tls
    )
    return why_not(manifest, ApprovalState(row.approval_state), row.approval_digest, now) or ""


def hold_unapproved(conn: Connection, outgoing_id: int, reason: str, now: datetime) -> None:
    """Let a leased mail wait for a person, and void its approval: no try was made.

    One that has no approval on record, for a program without approvals queued or delivered it, gets one that awaits
    somebody: what has none would be shown to nobody.
    """
    mail = outgoing_row(conn, outgoing_id)
    _hold(conn, outgoing_id, reason, now)
    if reason == NOBODY_YET:
        _await_somebody(conn, mail, now)
    conn.execute(
        update(approvals)
        .where(approvals.c.outgoing_id == outgoing_id, approvals.c.state == ApprovalState.APPROVED.value)
        .values(state=ApprovalState.VOID.value)
    )
    note(conn, mail, now, f"Not sent to {mail.rcpt_to}: {reason}")
    record_act(conn, "approval-void", now, by="outbox", subject=f"mail {outgoing_id}", detail=reason)


def _await_somebody(conn: Connection, mail: Row[Any], now: datetime) -> None:
    until = now + SEND_WINDOW
    raw = conn.execute(select(outgoing.c.raw).where(outgoing.c.id == mail.id)).scalar_one()
    values = {
        "outgoing_id": mail.id,
        "state": ApprovalState.AWAITING.value,
        "basis": (Basis.STANDING if MailKind(mail.kind).automatic else Basis.SECOND).value,
        "digest": manifest_of(raw, mail.mail_from, mail.rcpt_to, now, until, mail.needs_tls).digest,
        "not_before": now,
        "not_after": until,
        "composer": mail.actor,
        "reason": "",
    }
    inserted(conn, approvals, values)


def _hold(conn: Connection, outgoing_id: int, reason: str, now: datetime) -> None:
    leased = deliveries.c.state == DeliveryState.LEASED.value
    change(
        conn,
        outgoing_id,
        now,
        attempts=case((leased, deliveries.c.attempts - 1), else_=deliveries.c.attempts),
        state=DeliveryState.AWAITING_APPROVAL.value,
        next_attempt_at=None,
        lease_owner=None,
        lease_until=None,
        last_reply=storable(reason, MAX_LINE),
    )


def await_person(conn: Connection, outgoing_id: int, now: datetime) -> None:
    """Let a new mail wait until somebody approves it."""
    _hold(conn, outgoing_id, "awaiting approval", now)


def _query() -> Any:
    columns = [column for column in outgoing.c if column.name in _SHOWN]
    return (
        select(*columns, *(column for column in approvals.c if column.name != "outgoing_id"))
        .add_columns(outgoing.c.raw, deliveries.c.last_reply)
        .join(approvals, approvals.c.outgoing_id == outgoing.c.id)
        .join(deliveries, deliveries.c.outgoing_id == outgoing.c.id)
    )


_SHOWN = ("id", "kind", "thread_id", "rcpt_to", "mail_from", "subject", "contact_id", "needs_tls")


def _item(row: Row[Any]) -> ApprovalItem:
    manifest = _manifest(row)
    return ApprovalItem(
        row.id,
        row.kind,
        row.thread_id,
        row.rcpt_to,
        row.mail_from,
        row.subject,
        manifest.sha256,
        manifest.identity,
        row.not_before,
        row.not_after,
        ApprovalState(row.state),
        Basis(row.basis),
        row.composer,
        row.approver,
        row.decided_at,
        row.reason,
        row.reviewer,
        row.review,
        manifest.digest,
        row.digest,
        row.contact_id,
        row.end_chosen,
        row.needs_tls,
        row.last_reply,
    )


def _manifest(row: Row[Any]) -> Manifest:
    return manifest_of(row.raw, row.mail_from, row.rcpt_to, row.not_before, row.not_after, row.needs_tls)


def list_approvals(conn: Connection, limit: int = LIST_LIMIT) -> tuple[ApprovalItem, ...]:
    """Mail that waits for a person, the oldest first."""
    waiting = deliveries.c.state == DeliveryState.AWAITING_APPROVAL.value
    query = _query().where(waiting)
    return tuple(map(_item, conn.execute(query.order_by(outgoing.c.id).limit(limit))))


def list_reviews(conn: Connection, limit: int = LIST_LIMIT) -> tuple[ApprovalItem, ...]:
    """Mail that went at once and was reviewed by nobody yet, the oldest first."""
    query = _query().where(approvals.c.basis == Basis.BREAK_GLASS.value, approvals.c.reviewer.is_(None))
    return tuple(map(_item, conn.execute(query.order_by(outgoing.c.id).limit(limit))))


def show_approval(conn: Connection, outgoing_id: int) -> ApprovalItem:
    """One mail's approval; UnknownRecord when there is none."""
    row = conn.execute(_query().where(outgoing.c.id == outgoing_id)).one_or_none()
    if row is None:
        raise UnknownRecord(
            f"There is no approval of a mail number {outgoing_id}; see `expertmail approvals list`."
        )
    return _item(row)


def send_window(conn: Connection, outgoing_id: int) -> tuple[datetime, datetime] | None:
    """From when to when a mail may go, or might once it is approved; None for one without an approval."""
    query = select(approvals.c.not_before, approvals.c.not_after).where(
        approvals.c.outgoing_id == outgoing_id
    )
    row = conn.execute(query).one_or_none()
    return None if row is None else (row.not_before, row.not_after)


def earliest(conn: Connection, outgoing_id: int) -> datetime | None:
    """From when a mail may go; None for one that nobody approved: that is held at its next lease and not at its time."""
    query = select(approvals.c.not_before).where(
        approvals.c.outgoing_id == outgoing_id, approvals.c.state == ApprovalState.APPROVED.value
    )
    found: datetime | None = conn.execute(query).scalar()
    return found


def refuse_refused(conn: Connection, outgoing_id: int) -> None:
    """Raise RefusedRecord for a mail that somebody refused to approve: neither a retry nor an approval undoes that."""
    query = select(approvals.c.state).where(approvals.c.outgoing_id == outgoing_id)
    if conn.execute(query).scalar() == ApprovalState.REFUSED.value:
        said = conn.execute(select(deliveries.c.last_reply).where(deliveries.c.outgoing_id == outgoing_id))
        raise RefusedRecord(
            f"Mail {outgoing_id} is never sent ({said.scalar()}); write another one if it has to go."
        )


def claim_request(conn: Connection, key: str, digest: str, now: datetime) -> bool:
    """Take an idempotency key for a request; returns False where the same request had it before.

    Others with the key wait here for the transaction on PostgreSQL; on SQLite one writes at a time. RefusedRecord where
    the key belongs to a request that asks for something else.
    """
    if inserted(conn, send_requests, {"key": key, "digest": digest, "at": now}):
        return True
    before = conn.execute(select(send_requests.c.digest).where(send_requests.c.key == key)).scalar_one()
    if before != digest:
        raise RefusedRecord(
            "That idempotency key belongs to a request with other content; nothing is sent. Use a new key for new content."
        )
    return False


def mails_of_request(conn: Connection, key: str) -> tuple[int, ...]:
    """The mails that the request with a key has made, in their order."""
    prefix = request_prefix(key)
    made = outgoing.c.idempotency_key.startswith(prefix, autoescape=True)
    return tuple(conn.execute(select(outgoing.c.id).where(made).order_by(outgoing.c.id)).scalars())


def request_prefix(key: str) -> str:
    """How the idempotency keys of a request's mails begin; the length keeps one key from being another's beginning."""
    return f"request:{len(key)}:{key}:"
