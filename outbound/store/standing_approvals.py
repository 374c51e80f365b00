"""Automatic mail that was approved once: given, asked for when a mail is queued, listed, and withdrawn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from outbound.approval import ApprovalState, Basis
from outbound.model import DeliveryState, MailKind
from outbound.schema import approvals, deliveries, outgoing, standing_approvals
from outbound.store.rows import note, outgoing_row
from threads.store.audit import record_act
from threads.store.errors import RefusedRecord
from threads.store.statements import inserted
from threads.store.values import MAX_LINE, storable

WITHDRAWN = "the standing approval of its kind was withdrawn"
"""Why such a mail waits; ``outbox list`` shows it."""

_WAITING = (DeliveryState.QUEUED.value, DeliveryState.DEFERRED.value)


@dataclass(frozen=True, slots=True)
class StandingApproval:
    """One that is in force: for mail of this kind, in this version of its words, while it leaves by this route."""

    kind: str
    template_version: int
    route: str
    approver: str
    at: datetime


def stands(conn: Connection, kind: MailKind, template_version: int, route: str) -> str | None:
    """Who approved automatic mail of a kind, in this version of its words and by this route; None: nobody.

    Asked in the transaction that queues the mail. On PostgreSQL whoever withdraws it waits for that transaction, and so
    finds the mail.
    """
    table = standing_approvals
    query = select(table.c.approver).where(
        table.c.kind == kind.value, table.c.template_version == template_version, table.c.route == route
    )
    found: str | None = conn.execute(query.with_for_update(read=True)).scalar()
    return found


def approve_standing(
    conn: Connection, kind: MailKind, template_version: int, route: str, now: datetime, *, actor: str
) -> None:
    """Approve automatic mail of a kind from now on, in this version of its words and by this route."""
    if not kind.automatic:
        raise RefusedRecord(f"A {kind.value} mail is written by somebody; each is approved by itself.")
    values = {
        "kind": kind.value,
        "template_version": template_version,
        "route": storable(route, MAX_LINE),
        "approver": storable(actor, MAX_LINE),
        "at": now,
    }
    if not inserted(conn, standing_approvals, values):
        raise RefusedRecord(f"Automatic {kind.value} mail is approved already.")


def list_standing(conn: Connection) -> tuple[StandingApproval, ...]:
    """Those in force, by kind, the newest version first."""
    table = standing_approvals
    query = select(table).order_by(table.c.kind, table.c.template_version.desc(), table.c.route)
    return tuple(
        StandingApproval(row.kind, row.template_version, row.route, row.approver, row.at)
        for row in conn.execute(query)
    )


def withdraw_standing(conn: Connection, kind: MailKind, now: datetime, *, actor: str) -> tuple[int, ...]:
    """Withdraw every standing approval of a kind, and let mail that went under one wait for a person.

    Returns the mails that wait from now on. What is being handed over at this very moment may still arrive; if it does
    not, it is not tried again. One that a person approved by itself goes on. RefusedRecord where there is none.
    """
    gone = conn.execute(delete(standing_approvals).where(standing_approvals.c.kind == kind.value))
    if not gone.rowcount:
        raise RefusedRecord(f"There is no standing approval of {kind.value} mail to withdraw.")
    approved = (
        select(outgoing.c.id)
        .join(approvals, approvals.c.outgoing_id == outgoing.c.id)
        .join(deliveries, deliveries.c.outgoing_id == outgoing.c.id)
        .where(
            outgoing.c.kind == kind.value,
            approvals.c.basis == Basis.STANDING.value,
            approvals.c.state == ApprovalState.APPROVED.value,
            # Also of what is leased, withheld or given up: a later try asks for its approval again.
            deliveries.c.state != DeliveryState.DELIVERED.value,
        )
        .order_by(outgoing.c.id)
    )
    return tuple(
        number for number in conn.execute(approved).scalars().all() if _unapprove(conn, number, now, actor)
    )


def _unapprove(conn: Connection, outgoing_id: int, now: datetime, actor: str) -> bool:
    """Take one mail's approval back; whether it waited for its delivery and now waits for a person."""
    conn.execute(
        update(approvals)
        .where(approvals.c.outgoing_id == outgoing_id)
        .values(state=ApprovalState.AWAITING.value, approver=None, decided_at=None)
    )
    held = conn.execute(
        update(deliveries)
        .where(deliveries.c.outgoing_id == outgoing_id, deliveries.c.state.in_(_WAITING))
        .values(
            state=DeliveryState.AWAITING_APPROVAL.value,
            next_attempt_at=None,
            last_reply=WITHDRAWN,
            updated_at=now,
        )
    )
    if held.rowcount:
        mail = outgoing_row(conn, outgoing_id)
        note(conn, mail, now, f"Not sent to {mail.rcpt_to}: {WITHDRAWN}")
    record_act(conn, "approval-void", now, by=actor, subject=f"mail {outgoing_id}", detail=WITHDRAWN)
    return bool(held.rowcount)
