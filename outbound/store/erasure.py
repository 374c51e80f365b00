"""Outgoing mail and orders of an organisation that is erased: those about its threads, and to its people about nobody else's."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, literal, not_, null, or_, select

from outbound.header import spellings
from outbound.schema import automatic_orders, outgoing, suppressed
from outbound.store.untrusted import to_organisation
from threads.schema import contacts
from threads.store.belonging import (
    contact_of_another,
    mail_on_legal_hold,
    of_another,
    on_legal_hold,
    threads_of,
)
from threads.store.row_references import delete_rows, references_of


def count_outgoing(conn: Connection, organisation_id: int) -> int:
    """How many mails of ours went, or wait to go, to the organisation or out of its threads."""
    return len(conn.execute(select(outgoing.c.id).where(_mail(organisation_id))).all())


def erase_outgoing(conn: Connection, organisation_id: int) -> int:
    """Remove them with their deliveries and tries, and the orders; returns how many mails. The send ledger forgets them, too."""
    references = references_of(conn)
    orders = select(automatic_orders.c.id).where(
        _concerns(
            organisation_id,
            automatic_orders.c.thread_id,
            automatic_orders.c.contact_id,
            automatic_orders.c.address_key,
        )
    )
    delete_rows(conn, references, "automatic_orders", "id", conn.execute(orders).scalars().all())
    mails = conn.execute(select(outgoing.c.id).where(_mail(organisation_id))).scalars().all()
    delete_rows(conn, references, "outgoing", "id", mails)
    _erase_suppressed(conn, organisation_id)
    return len(mails)


def _erase_suppressed(conn: Connection, organisation_id: int) -> None:
    """Take the organisation's people off the list, however an address's domain is written there and on record.

    None who is a contact of another one, and would get mail again that nobody reads, or whom another one's legal hold covers.
    """
    key = suppressed.c.address_key
    theirs = select(contacts.c.address_key).where(contacts.c.organisation_id == organisation_id)
    also = [
        form.lower()
        for address in conn.execute(theirs).scalars()
        for form in spellings(address)
        if form != address
    ]
    of_its_own = or_(key.in_(theirs), key.in_(also), to_organisation(organisation_id, null(), key))
    for found in conn.execute(select(key).where(of_its_own)).scalars().all():
        stays = [
            or_(contact_of_another(organisation_id, literal(form)), on_legal_hold(literal(form)))
            for form in spellings(found)
        ]
        conn.execute(delete(suppressed).where(key == found, not_(or_(*stays))))


def _mail(organisation_id: int) -> ColumnElement[bool]:
    return _concerns(
        organisation_id, outgoing.c.thread_id, outgoing.c.contact_id, func.lower(outgoing.c.rcpt_to)
    )


def _concerns(
    organisation_id: int,
    thread_id: ColumnElement[Any],
    contact_id: ColumnElement[Any],
    address: ColumnElement[Any],
) -> ColumnElement[bool]:
    """On a thread of its, or to its people and on nobody else's thread; nothing that another one's legal hold covers."""
    to_its_own = and_(
        to_organisation(organisation_id, contact_id, address), not_(of_another(organisation_id, thread_id))
    )
    return and_(
        or_(thread_id.in_(threads_of(organisation_id)), to_its_own),
        not_(mail_on_legal_hold(address, contact_id, thread_id)),
    )
