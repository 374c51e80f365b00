"""Which mail of ours bears a code, and how many questions about codes one day has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, func, select

from outbound.code_orders import code_answer
from outbound.model import AutomaticCaps, DeliveryState, LeasedOrder, MailKind, OrderOutcome, OrderState
from outbound.schema import CODE_ANSWERS, automatic_orders, deliveries, outgoing
from outbound.store.orders import close_order, order_automatic
from outbound.store.rows import known_state
from threads.schema import threads
from threads.store.circumstances import untrusted_recipient
from threads.store.people import contact

# How subjects about incidents begin, whose titles experts or their portal wrote. The mail itself says what it was written on:
# its thread may have been merged into one of another kind since.
_TITLED_BY_US = "[INC-"


@dataclass(frozen=True, slots=True)
class CodedMail:
    """A mail of ours and where it stands; ``handed_over``: it was given to a server at least once, so that its recipient may have it.

    ``titled_by_customer``: its subject may hold the title of a thread that a customer's mail opened.
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
        row.thread_id is not None and not row.subject.startswith(_TITLED_BY_US),
    )


def code_orders_since(conn: Connection, since: datetime) -> int:
    """How many questions and answers about codes were ordered since then, by an index that holds nothing else."""
    counted = select(func.count()).select_from(automatic_orders)
    return int(conn.execute(counted.where(CODE_ANSWERS, automatic_orders.c.ordered_at >= since)).scalar_one())


# Questions and answers about codes in one day, of everybody: guessing needs millions.
MAX_A_DAY = 500


def answer_codes(
    conn: Connection,
    leased: LeasedOrder,
    keys: Sequence[tuple[str, ...]],
    now: datetime,
    caps: AutomaticCaps,
) -> int:
    """Order an answer for each code that a mail to the asker's own organisation bears, and close the question.

    Returns how many. Each goes to the contact to whom that mail went, under that contact's daily cap. Who asks about
    another organisation's mail, or about a code that nobody has, hears the same: nothing.
    """
    order = leased.order
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if code_orders_since(conn, day) > MAX_A_DAY:
        close_order(conn, leased.order_id, OrderState.REFUSED, reason="too many questions about codes today")
        return 0
    asker = None if order.contact_id is None else contact(conn, order.contact_id)
    ordered = 0
    for number, found in enumerate(mail_of_code(conn, one) for one in keys):
        to = None if found is None or found.contact_id is None else contact(conn, found.contact_id)
        if found is None or to is None or asker is None or not found.handed_over:
            continue
        trusted = untrusted_recipient(conn, to.address, to.id) is None
        if to.organisation_id == asker.organisation_id and trusted:
            answer = code_answer(
                found.kind,
                found.written,
                "" if found.titled_by_customer else found.subject,
                found.thread_id,
                to.id,
                to.address,
                f"{order.idempotency_key}:{number}",
                now,
            )
            ordered += order_automatic(conn, answer, caps) is OrderOutcome.ORDERED
    state, reason = (
        (OrderState.COMPOSED, f"{ordered} answers") if ordered else (OrderState.REFUSED, "no answer is due")
    )
    close_order(conn, leased.order_id, state, reason=reason)
    return ordered
