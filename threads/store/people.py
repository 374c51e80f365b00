"""Organisations, their domains and their contacts."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from threads.model import Contact, ContactKind, Organisation, OrganisationDomain
from threads.schema import contacts, organisation_domains, organisations
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.values import MAX_LINE, address_key, storable

_DOMAIN = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+", re.ASCII)
_MAX_DOMAIN = 253  # RFC 1035 2.3.4, without the root's dot
# Plain mailboxes only (RFC 5322 3.4.1 dot-atom, RFC 6531 beyond ASCII): what our verifier gives as an author.
_ADDRESS = re.compile(r"[^\s\x00-\x20\x7f@\"(),:;<>\[\\\]]{1,64}@[^\s\x00-\x20\x7f@\"(),:;<>\[\\\]]{1,253}")


def add_organisation(conn: Connection, name: str, at: datetime) -> Organisation:
    """Record a customer; RefusedRecord when the name is empty or taken (case does not matter)."""
    name = storable(name.strip(), MAX_LINE)
    if not name:
        raise RefusedRecord("An organisation needs a name.")
    if find_organisation(conn, name) is not None:
        raise RefusedRecord(f"There is an organisation named {name} already.")
    made = conn.execute(
        insert(organisations)
        .values(name=name, name_key=name.lower(), created_at=at)
        .returning(organisations.c.id)
    ).scalar_one()
    return Organisation(made, name)


def find_organisation(conn: Connection, name: str) -> Organisation | None:
    """The organisation of that name, case aside."""
    row = conn.execute(
        select(organisations).where(organisations.c.name_key == storable(name.strip(), MAX_LINE).lower())
    ).one_or_none()
    return None if row is None else Organisation(row.id, row.name)


def organisation(conn: Connection, organisation_id: int) -> Organisation:
    """The organisation with that id; UnknownRecord when there is none."""
    row = conn.execute(select(organisations).where(organisations.c.id == organisation_id)).one_or_none()
    if row is None:
        raise UnknownRecord(f"There is no organisation number {organisation_id}.")
    return Organisation(row.id, row.name)


def list_organisations(conn: Connection) -> tuple[Organisation, ...]:
    """All customers by name."""
    rows = conn.execute(select(organisations).order_by(organisations.c.name_key))
    return tuple(Organisation(row.id, row.name) for row in rows)


def add_domain(
    conn: Connection, organisation_id: int, domain: str, at: datetime, *, verified: bool
) -> OrganisationDomain:
    """Record a mail domain (A-labels) of an organisation, or change whether it is verified.

    RefusedRecord when it is not a domain, or another organisation has it.
    """
    domain = domain.strip().rstrip(".").lower()
    if len(domain) > _MAX_DOMAIN or not _DOMAIN.fullmatch(domain):
        raise RefusedRecord(f"{domain or 'An empty text'} is not a domain; write it like contoso.com.")
    organisation(conn, organisation_id)
    table = organisation_domains
    owner = conn.execute(select(table.c.organisation_id).where(table.c.domain == domain)).scalar()
    if owner is None:
        conn.execute(
            insert(table).values(
                domain=domain, organisation_id=organisation_id, verified=verified, created_at=at
            )
        )
    elif owner == organisation_id:
        conn.execute(update(table).where(table.c.domain == domain).values(verified=verified))
    else:
        raise RefusedRecord(f"The domain {domain} belongs to {organisation(conn, owner).name}.")
    return OrganisationDomain(organisation_id, domain, verified)


def list_domains(conn: Connection, organisation_id: int | None = None) -> tuple[OrganisationDomain, ...]:
    """Domains of one organisation or of all."""
    query = select(organisation_domains).order_by(organisation_domains.c.domain)
    if organisation_id is not None:
        query = query.where(organisation_domains.c.organisation_id == organisation_id)
    return tuple(
        OrganisationDomain(row.organisation_id, row.domain, row.verified) for row in conn.execute(query)
    )


def remove_domain(conn: Connection, domain: str) -> None:
    """Forget a domain; UnknownRecord when it is not on record."""
    gone = conn.execute(
        delete(organisation_domains).where(
            organisation_domains.c.domain == domain.strip().rstrip(".").lower()
        )
    )
    if not gone.rowcount:
        raise UnknownRecord(f"No organisation has the domain {domain}.")


def add_contact(
    conn: Connection,
    organisation_id: int,
    address: str,
    name: str,
    at: datetime,
    *,
    kind: ContactKind = ContactKind.INCIDENT_NOTIFICATION,
    language: str = "en",
    phone: str | None = None,
) -> Contact:
    """Record a person or team mailbox that speaks for an organisation; the address may be outside its domains.

    RefusedRecord when the address is malformed or is on record for that organisation and kind.
    """
    address = address.strip()
    if not _ADDRESS.fullmatch(address) or storable(address) != address:
        raise RefusedRecord(f"{storable(address, 80)!r} is not an address; write it like alex@contoso.com.")
    organisation(conn, organisation_id)
    key = address_key(address)
    taken = conn.execute(
        select(contacts.c.id).where(
            contacts.c.organisation_id == organisation_id,
            contacts.c.address_key == key,
            contacts.c.kind == kind.value,
        )
    ).first()
    if taken is not None:
        raise RefusedRecord(f"{address} is a contact of that organisation already.")
    values: dict[str, Any] = {
        "organisation_id": organisation_id,
        "address": address,
        "name": storable(name.strip(), MAX_LINE),
        "kind": kind.value,
        "language": storable(language, 35),
        "phone": None if phone is None else storable(phone, MAX_LINE),
    }
    made = conn.execute(
        insert(contacts).values(**values, address_key=key, created_at=at).returning(contacts.c.id)
    ).scalar_one()
    return Contact(made, **{**values, "kind": kind})


def contact_of(row: Row[Any]) -> Contact:
    """A row of the contacts table as a value."""
    return Contact(
        row.id, row.organisation_id, row.address, row.name, ContactKind(row.kind), row.language, row.phone
    )


def contact(conn: Connection, contact_id: int) -> Contact:
    """The contact with that id; UnknownRecord when there is none."""
    row = conn.execute(select(contacts).where(contacts.c.id == contact_id)).one_or_none()
    if row is None:
        raise UnknownRecord(f"There is no contact number {contact_id}.")
    return contact_of(row)


def find_contacts(conn: Connection, address: str) -> tuple[Contact, ...]:
    """Every contact with that address, of any organisation, oldest first."""
    found = conn.execute(
        select(contacts)
        .where(contacts.c.address_key == storable(address_key(address), MAX_LINE))
        .order_by(contacts.c.id)
    )
    return tuple(map(contact_of, found))


def list_contacts(conn: Connection, organisation_id: int | None = None) -> tuple[Contact, ...]:
    """Contacts of one organisation or of all, by address."""
    query = select(contacts).order_by(contacts.c.address_key, contacts.c.id)
    if organisation_id is not None:
        query = query.where(contacts.c.organisation_id == organisation_id)
    return tuple(map(contact_of, conn.execute(query)))
