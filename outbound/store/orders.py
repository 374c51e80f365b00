"""Orders for automatic mail: taken inside the intake transaction, capped, composed once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, or_, select, update

from outbound.model import (
    AutomaticCaps,
    AutomaticOrder,
    LeasedOrder,
    MailKind,
    OrderItem,
    OrderOutcome,
    OrderState,
    Unreadable,
)
from outbound.schema import NOT_CAPPED, automatic_orders
from outbound.store.rows import LEASE, LIST_LIMIT, read_each
from threads.store.prepared import Prepared
from threads.store.row_reading import well_typed
from threads.store.statements import inserted
from threads.store.values import MAX_LINE, address_key, storable

CAPS = AutomaticCaps()
"""For whoever has no settings at hand; everything that runs by settings gives theirs."""


def order_automatic(conn: Connection, order: AutomaticOrder, caps: AutomaticCaps = CAPS) -> OrderOutcome:
    """Order one automatic mail, for use inside the intake transaction; the worker composes it later.

    Orders of one UTC day are counted per address and per domain; one above a cap is recorded as capped and
    never sent. Reminders and all other kinds are counted apart: a day of many incidents keeps back no acknowledgement, and
    whoever writes often keeps back no reminder. A known idempotency key changes nothing.
    """
    key = address_key(order.address)
    domain = key.rpartition("@")[2]
    day = order.ordered_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    of_address, of_domain = _OF_REMINDERS if order.kind is MailKind.REMINDER else _OF_OTHERS
    capped = (
        _ordered(conn, of_address, key, day, caps.per_address) >= caps.per_address
        or _ordered(conn, of_domain, domain, day, caps.per_domain) >= caps.per_domain
    )
    state = OrderState.CAPPED if capped else OrderState.ORDERED
    made = inserted(
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
    if not made:
        return OrderOutcome.DUPLICATE
    return OrderOutcome.CAPPED if capped else OrderOutcome.ORDERED


def _counting(column: Any, of_kind: ColumnElement[bool]) -> Prepared:
    table = automatic_orders
    counted = (
        select(table.c.id)
        .where(
            column == bindparam("who"),
            table.c.ordered_at >= bindparam("day", type_=table.c.ordered_at.type),
            table.c.ordered_at < bindparam("next_day", type_=table.c.ordered_at.type),
            NOT_CAPPED,
            of_kind,
        )
        .limit(bindparam("cap"))
        .subquery()
    )
    return Prepared(select(func.count().label("orders")).select_from(counted))


def _both(of_kind: ColumnElement[bool]) -> tuple[Prepared, Prepared]:
    table = automatic_orders
    return _counting(table.c.address_key, of_kind), _counting(table.c.domain_key, of_kind)


# Of the other sort as many rows are passed over as its own caps allow in a day.
_OF_REMINDERS = _both(automatic_orders.c.kind == MailKind.REMINDER.value)
_OF_OTHERS = _both(automatic_orders.c.kind != MailKind.REMINDER.value)


def _ordered(conn: Connection, counting: Prepared, who: str, day: datetime, cap: int) -> int:
    """Orders of that day that count, up to ``cap``. Capped ones stand in neither index, so they cost nothing."""
    row = counting.one(conn, {"who": who, "day": day, "next_day": day + timedelta(days=1), "cap": cap})
    return int(row.orders)


def next_orders(conn: Connection, now: datetime, owner: str, n: int) -> tuple[LeasedOrder | Unreadable, ...]:
    """Lease up to ``n`` open orders, oldest first; each must be closed with ``close_order``."""
    table = automatic_orders
    ids: Iterable[int] = conn.execute(
        select(table.c.id)
        .where(
            table.c.state == OrderState.ORDERED.value,
            or_(table.c.lease_until.is_(None), table.c.lease_until <= now),
        )
        .order_by(table.c.id)
        .limit(n)
        .with_for_update(skip_locked=True)
    ).scalars()
    leased = table.c.id.in_(list(ids))
    conn.execute(update(table).where(leased).values(lease_owner=owner, lease_until=now + LEASE))
    return read_each(conn, select(table).where(leased).order_by(table.c.id), table.c.id, _leased)


def _leased(row: Row[Any]) -> LeasedOrder:
    well_typed(row, automatic_orders.c)
    params = json.loads(row.params)
    if not isinstance(params, dict):
        raise TypeError("the parameters of an order are an object")
    order = AutomaticOrder(
        kind=MailKind(row.kind),
        thread_id=row.thread_id,
        contact_id=row.contact_id,
        address=row.address,
        idempotency_key=row.idempotency_key,
        ordered_at=row.ordered_at,
        params=MappingProxyType(params),
        in_reply_to=row.in_reply_to,
    )
    return LeasedOrder(row.id, order)


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


def list_orders(
    conn: Connection, *, state: OrderState | None = None, limit: int = LIST_LIMIT
) -> tuple[OrderItem, ...]:
    """Orders for automatic mail, the newest first; a damaged one is shown with what is wrong with it."""
    table = automatic_orders
    query = select(table).order_by(table.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(table.c.state == state.value)
    return tuple(
        OrderItem(one.number, "", None, "", None, "unreadable", one.reason)
        if isinstance(one, Unreadable)
        else one
        for one in read_each(conn, query, table.c.id, _item_of)
    )


def _item_of(row: Row[Any]) -> OrderItem:
    return OrderItem(
        order_id=row.id,
        kind=str(row.kind),
        thread_id=row.thread_id,
        address=str(row.address),
        ordered=row.ordered_at,
        state=str(row.state),
        reason=str(row.reason),
    )
