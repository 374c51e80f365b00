"""The queue of outgoing mail, as functions on a connection inside the caller's transaction.

What the queue promises:

- Nothing is queued twice for one idempotency key, and nothing is delivered again once it is known to be
  delivered. Between the moment the next server says 250 and the moment that is recorded a crash can make a
  second copy: the mail is tried again when the lease runs out. That window is at-least-once, as SMTP itself
  is (RFC 5321 4.1.1.4, 6.1); both copies are the same bytes with the same Message-ID.
- Every try sends the stored bytes. No lock is held while one runs: a try is a lease (owner, until) that is
  taken in one transaction and closed in another.
- A mail that our own verifier did not call genuine is kept and shown, and never leased for sending.

Times are aware datetimes in UTC and come in as arguments.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, or_, select, update

from outbound.model import (
    Attempt,
    AutomaticCaps,
    AutomaticOrder,
    Delivery,
    DeliveryState,
    Failure,
    LeasedOrder,
    MailKind,
    OrderOutcome,
    OrderState,
    OutboxEntry,
    OutboxItem,
    Queued,
    Reply,
    SelfCheck,
    Signed,
)
from outbound.retry import Decision
from outbound.schema import attempts, automatic_orders, deliveries, outgoing
from threads.model import EntryKind, Mark
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.statements import insert_or_keep
from threads.store.thread import append, record_outgoing
from threads.store.values import MAX_LINE, address_key, storable

# Longer than the longest attempt (outbound.delivery.ATTEMPT_SECONDS), so that a living worker keeps its lease.
LEASE = timedelta(minutes=15)

# A mail that our verifier could not judge, for DNS did not answer, is judged again after this time.
RECHECK = timedelta(minutes=1)

CAPS = AutomaticCaps()

# Lines of ``outbox list`` at most, unless the caller asks for more.
LIST_LIMIT = 1_000


def order_automatic(conn: Connection, order: AutomaticOrder, caps: AutomaticCaps = CAPS) -> OrderOutcome:
    """Order one automatic mail, for use inside the intake transaction; the worker composes it later.

    Orders of one UTC day are counted per address and per domain; one above a cap is recorded as capped and
    never sent. A known idempotency key changes nothing.
    """
    key = address_key(order.address)
    domain = key.rpartition("@")[2]
    day = order.ordered_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    capped = (
        _ordered_since(conn, automatic_orders.c.address_key == key, day) >= caps.per_address
        or _ordered_since(conn, automatic_orders.c.domain_key == domain, day) >= caps.per_domain
    )
    state = OrderState.CAPPED if capped else OrderState.ORDERED
    inserted = insert_or_keep(
        conn,
        automatic_orders,
        {
            "idempotency_key": order.idempotency_key,
            "kind": order.kind.value,
            "thread_id": order.thread_id,
            "contact_id": order.contact_id,
            "address": order.address,
            "address_key": key,
            "domain_key": domain,
            "params": json.dumps(dict(order.params), sort_keys=True),
            "in_reply_to": None if order.in_reply_to is None else storable(order.in_reply_to, MAX_LINE),
            "ordered_at": order.ordered_at,
            "state": state.value,
            "reason": "a daily cap on automatic mail was reached" if capped else "",
        },
    )
    if not inserted:
        return OrderOutcome.DUPLICATE
    return OrderOutcome.CAPPED if capped else OrderOutcome.ORDERED


def _ordered_since(conn: Connection, who: Any, day: datetime) -> int:
    query = select(func.count()).where(
        who,
        automatic_orders.c.ordered_at >= day,
        automatic_orders.c.ordered_at < day + timedelta(days=1),
        automatic_orders.c.state != OrderState.CAPPED.value,
    )
    return conn.execute(query.select_from(automatic_orders)).scalar_one()


def next_orders(conn: Connection, now: datetime, owner: str, n: int) -> tuple[LeasedOrder, ...]:
    """Lease up to ``n`` open orders, oldest first; each must be closed with ``close_order``."""
    table = automatic_orders
    rows = conn.execute(
        select(table)
        .where(
            table.c.state == OrderState.ORDERED.value,
            or_(table.c.lease_until.is_(None), table.c.lease_until <= now),
        )
        .order_by(table.c.id)
        .limit(n)
        .with_for_update(skip_locked=True)
    ).all()
    if rows:
        conn.execute(
            update(table)
            .where(table.c.id.in_([row.id for row in rows]))
            .values(lease_owner=owner, lease_until=now + LEASE)
        )
    return tuple(LeasedOrder(row.id, _order_of(row)) for row in rows)


def _order_of(row: Row[Any]) -> AutomaticOrder:
    return AutomaticOrder(
        kind=MailKind(row.kind),
        thread_id=row.thread_id,
        contact_id=row.contact_id,
        address=row.address,
        idempotency_key=row.idempotency_key,
        ordered_at=row.ordered_at,
        params=MappingProxyType(json.loads(row.params)),
        in_reply_to=row.in_reply_to,
    )


def close_order(
    conn: Connection, order_id: int, state: OrderState, *, reason: str = "", outgoing_id: int | None = None
) -> None:
    """Close an order as composed or refused; a closed one stays as it is."""
    conn.execute(
        update(automatic_orders)
        .where(automatic_orders.c.id == order_id, automatic_orders.c.state == OrderState.ORDERED.value)
        .values(
            state=state.value,
            reason=storable(reason, MAX_LINE),
            outgoing_id=outgoing_id,
            lease_owner=None,
            lease_until=None,
        )
    )


def queue_outgoing(
    conn: Connection, signed: Signed, *, idempotency_key: str, actor: str, checked: SelfCheck, now: datetime
) -> Queued:
    """Put a signed mail in the queue, once for each idempotency key.

    A genuine one is due at once, its Message-ID is known for its thread, and the timeline has what it says;
    any other is withheld with the reason, and the timeline says so; one that could not be judged for now
    waits to be judged again. A known key changes nothing.
    """
    mail = signed.rendered
    there = conn.execute(select(outgoing.c.id).where(outgoing.c.idempotency_key == idempotency_key)).scalar()
    if there is not None:
        return Queued(int(there), duplicate=True)
    made: int = conn.execute(
        insert(outgoing)
        .values(
            idempotency_key=idempotency_key,
            raw=signed.raw,
            sha256=hashlib.sha256(signed.raw).hexdigest(),
            message_id=mail.message_id.strip("<>"),
            kind=mail.kind.value,
            template_version=mail.template_version,
            language=mail.language,
            selector=signed.selector,
            thread_id=mail.thread_id,
            contact_id=mail.contact_id,
            mail_from=mail.mail_from,
            rcpt_to=mail.rcpt_to,
            subject=mail.subject,
            said=storable(mail.said),
            actor=storable(actor, MAX_LINE),
            created_at=mail.created,
        )
        .returning(outgoing.c.id)
    ).scalar_one()
    conn.execute(
        insert(deliveries).values(
            outgoing_id=made,
            state=DeliveryState.QUEUED.value,
            checked_at=None,
            attempts=0,
            next_attempt_at=now,
            last_reply="",
            updated_at=now,
        )
    )
    record_check(conn, made, checked, now)
    return Queued(made, duplicate=False)


def queue_ordered(
    conn: Connection, leased: LeasedOrder, signed: Signed, *, checked: SelfCheck, now: datetime
) -> Queued:
    """Queue the mail of an order and close the order, both or neither: the order's key is the mail's key."""
    key = f"order:{leased.order.idempotency_key}"
    queued = queue_outgoing(conn, signed, idempotency_key=key, actor="automation", checked=checked, now=now)
    close_order(conn, leased.order_id, OrderState.COMPOSED, outgoing_id=queued.outgoing_id)
    return queued


def record_check(conn: Connection, outgoing_id: int, checked: SelfCheck, now: datetime) -> None:
    """Record what our own verifier said of a mail: it may be sent from now on, or is withheld, or waits."""
    mail = _outgoing(conn, outgoing_id)
    if checked.temporary:
        _change(
            conn,
            outgoing_id,
            now,
            state=DeliveryState.QUEUED.value,
            next_attempt_at=now + RECHECK,
            lease_owner=None,
            lease_until=None,
            last_reply=storable(checked.reason, MAX_LINE),
        )
        return
    if checked.genuine:
        _change(conn, outgoing_id, now, checked_at=now)
        if mail.thread_id is not None:
            record_outgoing(
                conn,
                mail.thread_id,
                mail.message_id,
                now,
                actor=mail.actor,
                text=mail.said,
                mark=Mark.AUTOMATION if MailKind(mail.kind).automatic else Mark.EXPERT,
            )
        return
    _change(
        conn,
        outgoing_id,
        now,
        state=DeliveryState.WITHHELD.value,
        next_attempt_at=None,
        lease_owner=None,
        lease_until=None,
        last_reply=storable(checked.reason, MAX_LINE),
    )
    _note(conn, mail, now, f"Not sent to {mail.rcpt_to}: {checked.reason}")


def _outgoing(conn: Connection, outgoing_id: int) -> Row[Any]:
    columns = [column for column in outgoing.c if column.name != "raw"]
    row = conn.execute(select(*columns).where(outgoing.c.id == outgoing_id)).one_or_none()
    if row is None:
        raise UnknownRecord(f"There is no outgoing mail number {outgoing_id}; see `expertmail outbox list`.")
    return row


def _change(conn: Connection, outgoing_id: int, now: datetime, **values: Any) -> None:
    conn.execute(
        update(deliveries).where(deliveries.c.outgoing_id == outgoing_id).values(updated_at=now, **values)
    )


def _note(conn: Connection, mail: Row[Any], now: datetime, text: str) -> None:
    """Tell the experts on the thread's timeline that a mail did not go out."""
    if mail.thread_id is not None:
        append(conn, mail.thread_id, now, EntryKind.NOTE, actor="outbox", mark=Mark.AUTOMATION, text=text)


def lease_due(conn: Connection, now: datetime, owner: str, n: int) -> tuple[Delivery, ...]:
    """Lease up to ``n`` mails that are due, or whose lease ran out, oldest first.

    Each counts as a try from here on. On PostgreSQL rows that another node is leasing are skipped; on SQLite
    the transaction itself is the lock.
    """
    waiting = (DeliveryState.QUEUED.value, DeliveryState.DEFERRED.value)
    due = conn.execute(
        select(deliveries.c.outgoing_id)
        .where(
            or_(
                and_(deliveries.c.state.in_(waiting), deliveries.c.next_attempt_at <= now),
                and_(deliveries.c.state == DeliveryState.LEASED.value, deliveries.c.lease_until <= now),
            )
        )
        .order_by(deliveries.c.next_attempt_at, deliveries.c.outgoing_id)
        .limit(n)
        .with_for_update(skip_locked=True)
    )
    ids = list(due.scalars())
    if not ids:
        return ()
    conn.execute(
        update(deliveries)
        .where(deliveries.c.outgoing_id.in_(ids))
        .values(
            state=DeliveryState.LEASED.value,
            attempts=deliveries.c.attempts + 1,
            lease_owner=owner,
            lease_until=now + LEASE,
            updated_at=now,
        )
    )
    rows = conn.execute(
        select(outgoing, deliveries.c.attempts, deliveries.c.checked_at)
        .join(deliveries, deliveries.c.outgoing_id == outgoing.c.id)
        .where(outgoing.c.id.in_(ids))
        .order_by(deliveries.c.next_attempt_at, outgoing.c.id)
    )
    return tuple(
        Delivery(
            outgoing_id=row.id,
            raw=row.raw,
            message_id=row.message_id,
            mail_from=row.mail_from,
            rcpt_to=row.rcpt_to,
            created=row.created_at,
            attempts=row.attempts,
            checked=row.checked_at is not None,
        )
        for row in rows
    )


def release(conn: Connection, outgoing_ids: Sequence[int], owner: str, now: datetime) -> None:
    """Give leases back for which no try was begun, as a worker that stops does; they are due again at once."""
    conn.execute(
        update(deliveries)
        .where(
            deliveries.c.outgoing_id.in_(list(outgoing_ids)),
            deliveries.c.state == DeliveryState.LEASED.value,
            deliveries.c.lease_owner == owner,
        )
        .values(
            state=DeliveryState.QUEUED.value,
            attempts=deliveries.c.attempts - 1,
            next_attempt_at=now,
            lease_owner=None,
            lease_until=None,
            updated_at=now,
        )
    )


def record_attempt(
    conn: Connection, outgoing_id: int, owner: str, attempt: Attempt, decision: Decision
) -> bool:
    """Record a try and what follows from it; returns whether this owner's lease still held.

    When it did not, another worker has the mail: the try is recorded, and only a delivery changes the state,
    for it is a fact whoever made it.
    """
    mail = _outgoing(conn, outgoing_id)
    conn.execute(
        insert(attempts).values(
            outgoing_id=outgoing_id,
            started_at=attempt.started,
            finished_at=attempt.finished,
            host=storable(attempt.host, MAX_LINE),
            tls=attempt.tls,
            code=attempt.reply.code,
            reply=storable(attempt.reply.text, MAX_LINE),
            failure=None if attempt.failure is None else attempt.failure.value,
        )
    )
    where = [deliveries.c.outgoing_id == outgoing_id, deliveries.c.state != DeliveryState.DELIVERED.value]
    if decision.state is not DeliveryState.DELIVERED:
        where += [deliveries.c.state == DeliveryState.LEASED.value, deliveries.c.lease_owner == owner]
    held = conn.execute(
        update(deliveries)
        .where(*where)
        .values(
            state=decision.state.value,
            next_attempt_at=decision.next_attempt_at,
            lease_owner=None,
            lease_until=None,
            last_reply=storable(decision.reason, MAX_LINE),
            updated_at=attempt.finished,
        )
    )
    if held.rowcount and decision.state is DeliveryState.FAILED:
        _note(conn, mail, attempt.finished, f"Could not be delivered to {mail.rcpt_to}: {decision.reason}")
    return held.rowcount > 0


def work_waits(conn: Connection, now: datetime) -> bool:
    """Whether an order is open or a mail is due: a cheap look that takes no lock."""
    table = automatic_orders
    open_order = conn.execute(
        select(table.c.id)
        .where(
            table.c.state == OrderState.ORDERED.value,
            or_(table.c.lease_until.is_(None), table.c.lease_until <= now),
        )
        .limit(1)
    ).scalar()
    due = next_due(conn)
    return open_order is not None or (due is not None and due <= now)


def next_due(conn: Connection) -> datetime | None:
    """When the next mail is due or the next lease runs out; None when nothing waits."""
    waiting = (DeliveryState.QUEUED.value, DeliveryState.DEFERRED.value)
    times = (
        conn.execute(select(func.min(deliveries.c.next_attempt_at)).where(deliveries.c.state.in_(waiting))),
        conn.execute(
            select(func.min(deliveries.c.lease_until)).where(deliveries.c.state == DeliveryState.LEASED.value)
        ),
    )
    return min((time for time in (result.scalar() for result in times) if time is not None), default=None)


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
)


def list_outbox(
    conn: Connection,
    *,
    state: DeliveryState | None = None,
    thread_id: int | None = None,
    limit: int = LIST_LIMIT,
) -> tuple[OutboxItem, ...]:
    """Outgoing mail, the newest first."""
    query = (
        select(*_ITEM)
        .join(deliveries, deliveries.c.outgoing_id == outgoing.c.id)
        .order_by(outgoing.c.id.desc())
        .limit(limit)
    )
    if state is not None:
        query = query.where(deliveries.c.state == state.value)
    if thread_id is not None:
        query = query.where(outgoing.c.thread_id == thread_id)
    return tuple(_item_of(row) for row in conn.execute(query))


def count_outbox(conn: Connection) -> dict[DeliveryState, int]:
    """How many mails are in each state, for the metrics."""
    rows = conn.execute(select(deliveries.c.state, func.count()).group_by(deliveries.c.state))
    return dict.fromkeys(DeliveryState, 0) | {DeliveryState(row[0]): row[1] for row in rows}


def _item_of(row: Any) -> OutboxItem:
    return OutboxItem(
        outgoing_id=row.id,
        kind=MailKind(row.kind),
        thread_id=row.thread_id,
        rcpt_to=row.rcpt_to,
        subject=row.subject,
        message_id=row.message_id,
        created=row.created_at,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        last_reply=row.last_reply,
    )


def show_outbox(conn: Connection, outgoing_id: int) -> OutboxEntry:
    """One mail with its bytes and every try; UnknownRecord when there is none."""
    mail = _outgoing(conn, outgoing_id)
    row = conn.execute(
        select(*_ITEM, outgoing.c.raw)
        .join(deliveries, deliveries.c.outgoing_id == outgoing.c.id)
        .where(outgoing.c.id == outgoing_id)
    ).one()
    tries = conn.execute(
        select(attempts).where(attempts.c.outgoing_id == outgoing_id).order_by(attempts.c.id)
    )
    return OutboxEntry(
        item=_item_of(row),
        raw=row.raw,
        sha256=mail.sha256,
        mail_from=mail.mail_from,
        said=mail.said,
        template_version=mail.template_version,
        language=mail.language,
        actor=mail.actor,
        attempts=tuple(
            Attempt(
                started=t.started_at,
                finished=t.finished_at,
                host=t.host,
                reply=Reply(t.code, t.reply),
                failure=None if t.failure is None else Failure(t.failure),
                tls=t.tls,
            )
            for t in tries
        ),
    )


def retry_now(conn: Connection, outgoing_id: int, now: datetime) -> None:
    """Make a mail due at once: a waiting one, a failed one (for one more try), or a withheld one.

    A withheld mail is judged by our own verifier again before anything is sent. RefusedRecord for one that
    is delivered or being sent.
    """
    mail = _outgoing(conn, outgoing_id)
    state = _state(conn, outgoing_id)
    if state in (DeliveryState.DELIVERED, DeliveryState.LEASED):
        word = "delivered already" if state is DeliveryState.DELIVERED else "being sent right now"
        raise RefusedRecord(f"Outgoing mail {mail.id} is {word}.")
    _change(conn, outgoing_id, now, state=DeliveryState.QUEUED.value, next_attempt_at=now)


def cancel(conn: Connection, outgoing_id: int, now: datetime, *, actor: str) -> None:
    """Give a mail up for a person; RefusedRecord for one that is delivered or being sent."""
    mail = _outgoing(conn, outgoing_id)
    state = _state(conn, outgoing_id)
    if state in (DeliveryState.DELIVERED, DeliveryState.LEASED):
        word = "delivered already" if state is DeliveryState.DELIVERED else "being sent right now"
        raise RefusedRecord(f"Outgoing mail {mail.id} is {word} and cannot be cancelled.")
    if state is DeliveryState.FAILED:
        return
    reason = f"cancelled by {storable(actor, MAX_LINE)}"
    _change(conn, outgoing_id, now, state=DeliveryState.FAILED.value, next_attempt_at=None, last_reply=reason)
    _note(conn, mail, now, f"The mail to {mail.rcpt_to} was {reason}.")


def _state(conn: Connection, outgoing_id: int) -> DeliveryState:
    """The state, locked on PostgreSQL until the transaction ends so that no worker leases it meanwhile."""
    query = select(deliveries.c.state).where(deliveries.c.outgoing_id == outgoing_id).with_for_update()
    return DeliveryState(conn.execute(query).scalar_one())
