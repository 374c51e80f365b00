"""What somebody decided about a whole organisation: its mail is not to be trusted, nothing of it may be erased, how long it is kept.

Compromised-customer mode: an intruder may read and write the organisation's mail. What comes from it is held (the intake
sees it in the queries that it makes anyway), what goes to it says only to see the portal, and nothing goes to it
automatically (``outbound.store.untrusted``).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, update

from threads.model import Contact, Organisation
from threads.schema import contacts, organisation_domains, organisations
from threads.store.errors import RefusedRecord
from threads.store.people import list_contacts, organisation
from threads.store.values import MAX_LINE, address_key, domains_above, storable


def distrust(conn: Connection, one: Organisation, reason: str, at: datetime, *, by: str) -> Organisation:
    """Mark an organisation's mail as untrusted; RefusedRecord when it is, or without a reason."""
    if one.untrusted is not None:
        raise RefusedRecord(f"The mail of {one.name} is marked untrusted already, by {one.untrusted.by}.")
    return _decide(conn, one, "untrusted", reason, at, by=by)


def trust(conn: Connection, one: Organisation) -> Organisation:
    """End that; RefusedRecord when its mail is not marked. What was held and withheld meanwhile stays so."""
    if one.untrusted is None:
        raise RefusedRecord(f"The mail of {one.name} is not marked untrusted.")
    return _end(conn, one, "untrusted")


def hold(conn: Connection, one: Organisation, reason: str, at: datetime, *, by: str) -> Organisation:
    """Put a legal hold on an organisation: nothing of it is erased. RefusedRecord when there is one, or without a reason."""
    if one.legal_hold is not None:
        raise RefusedRecord(f"There is a legal hold on {one.name} already, by {one.legal_hold.by}.")
    return _decide(conn, one, "hold", reason, at, by=by)


def end_hold(conn: Connection, one: Organisation) -> Organisation:
    """End the legal hold; RefusedRecord when there is none."""
    if one.legal_hold is None:
        raise RefusedRecord(f"There is no legal hold on {one.name}.")
    return _end(conn, one, "hold")


def set_retention(conn: Connection, one: Organisation, days: int | None) -> Organisation:
    """Say for how many days the content of resolved threads is kept; None: without an end. RefusedRecord below one day."""
    if days is not None and days < 1:
        raise RefusedRecord("Content is kept for one day at least.")
    conn.execute(update(organisations).where(organisations.c.id == one.id).values(retention_days=days))
    return organisation(conn, one.id)


def _decide(
    conn: Connection, one: Organisation, what: str, reason: str, at: datetime, *, by: str
) -> Organisation:
    reason = storable(reason.strip(), MAX_LINE)
    if not reason:
        raise RefusedRecord("Say why, for those who read it later.")
    values = {f"{what}_at": at, f"{what}_by": storable(by, MAX_LINE), f"{what}_reason": reason}
    conn.execute(update(organisations).where(organisations.c.id == one.id).values(**values))
    return organisation(conn, one.id)


def _end(conn: Connection, one: Organisation, what: str) -> Organisation:
    values = dict.fromkeys((f"{what}_at", f"{what}_by", f"{what}_reason"))
    conn.execute(update(organisations).where(organisations.c.id == one.id).values(**values))
    return organisation(conn, one.id)


def phones(conn: Connection, organisation_id: int) -> tuple[Contact, ...]:
    """Contacts of an organisation that can be called."""
    return tuple(one for one in list_contacts(conn, organisation_id) if one.phone)


def untrusted_recipient(conn: Connection, address: str, contact_id: int | None) -> str | None:
    """The name of the organisation by whose mark mail to ``address`` must not go out; None when it may.

    It is the contact's organisation, or the one that has the address's domain verified, or else the nearest domain above. On
    PostgreSQL whoever sets the mark waits for this transaction to end, so that nothing is queued beside it.
    """
    domain = storable(address_key(address), MAX_LINE).rpartition("@")[2]
    table = organisation_domains
    verified = conn.execute(
        select(table.c.domain).where(
            table.c.domain.in_([domain, *domains_above(domain)]), table.c.verified.is_(True)
        )
    ).scalars()
    of_domain = select(table.c.organisation_id).where(
        table.c.domain == max(verified, key=len, default=domain), table.c.verified.is_(True)
    )
    of_contact = select(contacts.c.organisation_id).where(contacts.c.id == contact_id)
    found = conn.execute(
        select(organisations.c.name, organisations.c.untrusted_at)
        .where(organisations.c.id.in_(of_domain.union(of_contact)))
        .with_for_update(read=True)
    )
    return next((str(row.name) for row in found if row.untrusted_at is not None), None)
