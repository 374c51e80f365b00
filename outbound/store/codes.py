"""Which mail of ours bears a code, and how many questions about codes one day has seen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from outbound.model import DeliveryState, MailKind
from outbound.schema import CODE_ANSWERS, automatic_orders, deliveries, outgoing
from outbound.store.rows import known_state
from threads.schema import threads


@dataclass(frozen=True, slots=True)
class CodedMail:
    """A mail of ours and where it stands; ``handed_over``: it was given to a server at least once, so that its recipient may have it.

    ``titled_by_customer``: its subject holds the title of a thread that a customer's mail opened.
    """

    outgoing_id: int
    kind: MailKind
    written: datetime
    subject: str
    reference: str
    thread_id: int | None
    contact_id: int | None
    rcpt_to: str
    state: DeliveryState
    handed_over: bool
    titled_by_customer: bool


def mail_of_code(conn: Connection, keys: tuple[str, ...]) -> CodedMail | None:
    """The mail whose code has one of these keyed hashes (``MailCodes.keys_of``), or None."""
    row = conn.execute(
        select(
            outgoing.c.id,
            outgoing.c.kind,
            outgoing.c.created_at,
            outgoing.c.subject,
            outgoing.c.thread_id,
            outgoing.c.contact_id,
            outgoing.c.rcpt_to,
            deliveries.c.state,
            deliveries.c.attempts,
            deliveries.c.checked_at,
            threads.c.reference,
            threads.c.kind.label("thread_kind"),
        )
        .select_from(
            outgoing.join(deliveries, deliveries.c.outgoing_id == outgoing.c.id).outerjoin(
                threads, threads.c.id == outgoing.c.thread_id
            )
        )
        .where(outgoing.c.code_key.in_(keys))
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    return CodedMail(
        row.id,
        MailKind(row.kind),
        row.created_at,
        row.subject,
        row.reference or "",
        row.thread_id,
        row.contact_id,
        row.rcpt_to,
        known_state(row.state),
        row.checked_at is not None and row.attempts > 0,
        row.thread_kind not in {None, "incident"},
    )


def code_orders_since(conn: Connection, since: datetime) -> int:
    """How many questions and answers about codes were ordered since then, by an index that holds nothing else."""
    counted = select(func.count()).select_from(automatic_orders)
    return int(conn.execute(counted.where(CODE_ANSWERS, automatic_orders.c.ordered_at >= since)).scalar_one())
