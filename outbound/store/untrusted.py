"""Mail to an organisation whose mail an intruder may read: only the notice to see the portal goes out.

The mark itself is the organisation's (``threads.store.circumstances``). Here is what follows from it for mail that is
ordered, queued or on its way.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select, update

from outbound.model import DeliveryState, MailKind, OrderState
from outbound.schema import automatic_orders, deliveries, outgoing
from threads.schema import contacts, organisation_domains, threads
from threads.store.circumstances import untrusted_recipient
from threads.store.errors import RefusedRecord

WHY = "the customer's mail is marked untrusted"
"""Why a mail is withheld or an order refused; ``outbox list`` and ``outbox orders`` show it."""

_WAITING = (DeliveryState.QUEUED.value, DeliveryState.LEASED.value, DeliveryState.DEFERRED.value)


def refuse_untrusted(conn: Connection, kind: str, address: str, contact_id: int | None) -> None:
    """Raise RefusedRecord unless mail of that kind may go to the address."""
    if kind in (MailKind.PORTAL_NOTICE, MailKind.RELAYED):
        return
    name = untrusted_recipient(conn, address, contact_id)
    if name is not None:
        raise RefusedRecord(
            f"The mail of {name} is marked untrusted: only a notice to see the portal may go to {address}."
        )


def withhold_waiting(conn: Connection, organisation_id: int, now: datetime) -> tuple[int, int]:
    """Withhold what waits for its delivery to an organisation, and refuse what was ordered for it; returns how many of each.

    What is being handed over at this very moment may still arrive; if it does not, it is not tried again. A notice to
    see the portal goes on.
    """
    waiting = (
        select(outgoing.c.id)
        .join(deliveries, deliveries.c.outgoing_id == outgoing.c.id)
        .where(
            deliveries.c.state.in_(_WAITING),
            outgoing.c.next_hop.is_(None),
            outgoing.c.kind != MailKind.PORTAL_NOTICE.value,
            or_(
                to_organisation(organisation_id, outgoing.c.contact_id, func.lower(outgoing.c.rcpt_to)),
                _below(organisation_id, func.lower(outgoing.c.rcpt_to)),
            ),
        )
        .order_by(outgoing.c.id)
        # What is recorded of one at this moment is waited for: a mail that arrived meanwhile must not seem unsent.
        .with_for_update(of=deliveries)
    )
    numbers = conn.execute(waiting).scalars().all()
    withheld = sum(
        conn.execute(
            update(deliveries)
            .where(deliveries.c.outgoing_id == number, deliveries.c.state.in_(_WAITING))
            .values(
                state=DeliveryState.WITHHELD.value,
                next_attempt_at=None,
                lease_owner=None,
                lease_until=None,
                last_reply=WHY,
                updated_at=now,
            )
        ).rowcount
        for number in numbers
    )
    table = automatic_orders
    of_thread = table.c.thread_id.in_(
        select(threads.c.id).where(threads.c.organisation_id == organisation_id)
    )
    refused = conn.execute(
        update(table)
        .where(
            table.c.state == OrderState.ORDERED.value,
            or_(
                of_thread,
                to_organisation(organisation_id, table.c.contact_id, table.c.address_key),
                _below(organisation_id, table.c.address_key),
            ),
        )
        .values(state=OrderState.REFUSED.value, reason=WHY, lease_owner=None, lease_until=None)
    )
    return withheld, refused.rowcount


def to_organisation(
    organisation_id: int, contact_id: ColumnElement[Any], address: ColumnElement[Any]
) -> ColumnElement[bool]:
    """Whether a mail goes to a contact of the organisation, or to an address of a verified domain of it."""
    mine = select(contacts.c.id).where(contacts.c.organisation_id == organisation_id)
    domain = organisation_domains.c.domain
    own = (
        select(domain)
        .where(
            organisation_domains.c.organisation_id == organisation_id,
            organisation_domains.c.verified.is_(True),
            address.like("%@" + domain),
        )
        .exists()
    )
    return or_(contact_id.in_(mine), own)


def _below(organisation_id: int, address: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether an address is below a verified domain of the organisation, and no nearer domain is verified for another one."""
    mine, nearer = organisation_domains.alias(), organisation_domains.alias()
    anothers = (
        select(nearer.c.domain)
        .where(
            nearer.c.verified.is_(True),
            nearer.c.organisation_id != organisation_id,
            func.length(nearer.c.domain) > func.length(mine.c.domain),
            or_(address.like("%@" + nearer.c.domain), address.like("%." + nearer.c.domain)),
        )
        .exists()
    )
    return (
        select(mine.c.domain)
        .where(
            mine.c.organisation_id == organisation_id,
            mine.c.verified.is_(True),
            address.like("%." + mine.c.domain),
            ~anothers,
        )
        .exists()
    )
