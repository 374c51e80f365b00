"""Addresses that get no mail of ours: their mailbox does not exist any more, or a person has put them on the list.

A mail to one of them is closed when its turn to be sent has come, and its thread says so. What is relayed is somebody
else's mail and asks nobody here.

Mail goes to a domain's A-labels (RFC 5890), so an address is kept by them, and found by each spelling of its domain. Rows from
before that was so may have U-labels.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from outbound.hard_bounce import no_mailbox
from outbound.header import spellings, wire_key
from outbound.model import DeliveryState, SuppressedAddress
from outbound.schema import deliveries, suppressed
from outbound.store.rows import LIST_LIMIT, change, note, outgoing_row
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.statements import insert_or_keep
from threads.store.values import MAX_LINE, MAX_PATH, storable

AUTOMATION = "automation"
"""Who put an address on the list that a bounce did."""


def suppress(conn: Connection, address: str, reason: str, now: datetime, *, actor: str) -> None:
    """Put an address on the list; one that is on it, in whatever spelling, stays as it is."""
    stored = storable(address.strip(), MAX_PATH)
    if suppressed_among(conn, (stored,)):
        return
    insert_or_keep(
        conn,
        suppressed,
        {
            "address_key": wire_key(stored),
            "address": stored,
            "since": now,
            "reason": storable(reason, MAX_LINE),
            "actor": storable(actor, MAX_LINE),
        },
    )


def allow_again(conn: Connection, address: str) -> None:
    """Take an address off the list; UnknownRecord when it is not on it."""
    gone = conn.execute(delete(suppressed).where(suppressed.c.address_key.in_(keys_of(address))))
    if not gone.rowcount:
        raise UnknownRecord(f"{address} is not suppressed; see `expertmail outbox suppressed`.")


def suppressed_as(conn: Connection, address: str) -> SuppressedAddress | None:
    """Why an address gets no mail, in whichever form it is on the list; None: it gets it."""
    row = conn.execute(select(suppressed).where(suppressed.c.address_key.in_(keys_of(address)))).first()
    return None if row is None else SuppressedAddress(row.address, row.since, row.reason, row.actor)


def list_suppressed(conn: Connection, limit: int = LIST_LIMIT) -> tuple[SuppressedAddress, ...]:
    """The list, the newest first."""
    query = select(suppressed).order_by(suppressed.c.since.desc(), suppressed.c.address_key).limit(limit)
    return tuple(
        SuppressedAddress(row.address, row.since, row.reason, row.actor) for row in conn.execute(query)
    )


def suppressed_among(conn: Connection, addresses: Iterable[str]) -> frozenset[str]:
    """Which of the addresses are on the list, in every spelling that was given."""
    given = {address: keys_of(address) for address in addresses}
    wanted = sorted(frozenset().union(*given.values()))
    found = conn.execute(select(suppressed.c.address_key).where(suppressed.c.address_key.in_(wanted)))
    keys = set(found.scalars())
    return frozenset(address for address, its in given.items() if not keys.isdisjoint(its))


def keys_of(address: str) -> frozenset[str]:
    """What an address may be kept by."""
    return frozenset(form.lower() for form in spellings(address))


def refuse_suppressed(conn: Connection, address: str) -> None:
    """Raise RefusedRecord for an address that is on the list."""
    if suppressed_among(conn, (address,)):
        raise RefusedRecord(
            f"{address} is suppressed; see `expertmail outbox suppressed`, and "
            f"`expertmail outbox allow {address}` takes it off the list."
        )


def close_suppressed(conn: Connection, outgoing_id: int, now: datetime) -> None:
    """Close a leased mail whose recipient is on the list, and tell the experts. No try was made, and none is counted."""
    mail = outgoing_row(conn, outgoing_id)
    why = conn.execute(
        select(suppressed.c.reason).where(suppressed.c.address_key.in_(keys_of(mail.rcpt_to))).limit(1)
    ).scalar()
    reason = storable(f"the address is suppressed: {why or 'it was'}", MAX_LINE)
    change(
        conn,
        outgoing_id,
        now,
        state=DeliveryState.SUPPRESSED.value,
        next_attempt_at=None,
        lease_owner=None,
        lease_until=None,
        last_reply=reason,
    )
    note(conn, mail, now, f"Not sent to {mail.rcpt_to}: {reason}")


def close_bounced(
    conn: Connection, outgoing_id: int, recipient: str | None, status: str | None, at: datetime
) -> None:
    """A mail that its next server took came back. The bounce was proven to be one of this mail.

    Only one for the very recipient, with a status (RFC 3463) that says that nobody is there, suppresses the address.
    """
    mail = outgoing_row(conn, outgoing_id)
    reason = storable(f"it came back: {status or 'no status was given'}", MAX_LINE)
    conn.execute(
        update(deliveries)
        .where(deliveries.c.outgoing_id == outgoing_id, deliveries.c.state == DeliveryState.DELIVERED.value)
        .values(state=DeliveryState.BOUNCED.value, last_reply=reason, updated_at=at)
    )
    theirs = recipient is not None and wire_key(recipient) == wire_key(mail.rcpt_to)
    if theirs and no_mailbox(status) and not suppressed_among(conn, (mail.rcpt_to,)):
        suppress(conn, mail.rcpt_to, f"mail {outgoing_id} came back: {status}", at, actor=AUTOMATION)
        note(conn, mail, at, f"{mail.rcpt_to} is suppressed: mail to it came back with {status}.")
