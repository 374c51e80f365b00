"""Organisations, their domains and their contacts."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from typing import Any, Final
from zoneinfo import available_timezones

from sqlalchemy import Connection, Row, delete, insert, select, true, update

from threads.model import (
    Contact,
    ContactForm,
    ContactKind,
    Decision,
    Organisation,
    OrganisationDomain,
    Permission,
    Tlp,
)
from threads.schema import contacts, organisation_domains, organisations
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.values import MAX_LINE, address_key, storable

_DOMAIN = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+", re.ASCII)
_LANGUAGE = re.compile(
    r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", re.ASCII
)  # RFC 5646 2.1, what people use of it
MAX_CALL_ORDER: Final = 999
"""More places than a customer has people to call."""
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


def rename_organisation(conn: Connection, organisation_id: int, name: str) -> Organisation:
    """Give an organisation another name; RefusedRecord when it is empty or another one's."""
    name = storable(name.strip(), MAX_LINE)
    if not name:
        raise RefusedRecord("An organisation needs a name.")
    other = find_organisation(conn, name)
    if other is not None and other.id != organisation_id:
        raise RefusedRecord(f"There is an organisation named {other.name} already.")
    conn.execute(
        update(organisations)
        .where(organisations.c.id == organisation_id)
        .values(name=name, name_key=name.lower())
    )
    return organisation(conn, organisation_id)


def organisation_of(row: Row[Any]) -> Organisation:
    """A row of the organisations table as a value."""
    return Organisation(
        row.id,
        row.name,
        _decision(row.untrusted_at, row.untrusted_by, row.untrusted_reason),
        _decision(row.hold_at, row.hold_by, row.hold_reason),
        row.retention_days,
    )


def _decision(at: datetime | None, by: str | None, reason: str | None) -> Decision | None:
    return None if at is None else Decision(at, by or "", reason or "")


def find_organisation(conn: Connection, name: str) -> Organisation | None:
    """The organisation of that name, case aside; an erased one has none."""
    row = conn.execute(
        select(organisations).where(
            organisations.c.name_key == storable(name.strip(), MAX_LINE).lower(),
            organisations.c.erased_at.is_(None),
        )
    ).one_or_none()
    return None if row is None else organisation_of(row)


def organisation_named(conn: Connection, name: str) -> Organisation:
    """The same, where there has to be one: UnknownRecord."""
    found = find_organisation(conn, name)
    if found is None:
        raise UnknownRecord(f"There is no customer named {storable(name, 80)}; see `expertmail orgs list`.")
    return found


def organisation(conn: Connection, organisation_id: int) -> Organisation:
    """The organisation with that id; UnknownRecord when there is none."""
    row = conn.execute(select(organisations).where(organisations.c.id == organisation_id)).one_or_none()
    if row is None:
        raise UnknownRecord(f"There is no organisation number {organisation_id}.")
    return organisation_of(row)


def list_organisations(conn: Connection) -> tuple[Organisation, ...]:
    """All customers by name, without those that were erased."""
    query = select(organisations).where(organisations.c.erased_at.is_(None))
    return tuple(map(organisation_of, conn.execute(query.order_by(organisations.c.name_key))))


def add_domain(
    conn: Connection,
    organisation_id: int,
    domain: str,
    at: datetime,
    *,
    verified: bool,
    by: str | None = None,
) -> OrganisationDomain:
    """Record a mail domain (A-labels) of an organisation, or change whether it is verified, and by whom.

    RefusedRecord when it is not a domain, or another organisation has it.
    """
    domain = domain.strip().rstrip(".").lower()
    if len(domain) > _MAX_DOMAIN or not _DOMAIN.fullmatch(domain):
        raise RefusedRecord(f"{domain or 'An empty text'} is not a domain; write it like contoso.com.")
    organisation(conn, organisation_id)
    table = organisation_domains
    owner = conn.execute(select(table.c.organisation_id).where(table.c.domain == domain)).scalar()
    verified_by = None if by is None or not verified else storable(by, MAX_LINE)
    verified_at = at if verified else None
    values = {"verified": verified, "verified_by": verified_by, "verified_at": verified_at}
    if owner is None:
        conn.execute(
            insert(table).values(domain=domain, organisation_id=organisation_id, created_at=at, **values)
        )
    elif owner == organisation_id:
        conn.execute(update(table).where(table.c.domain == domain).values(**values))
    else:
        raise RefusedRecord(f"The domain {domain} belongs to {organisation(conn, owner).name}.")
    return OrganisationDomain(organisation_id, domain, verified, verified_by, verified_at)


def list_domains(conn: Connection, organisation_id: int | None = None) -> tuple[OrganisationDomain, ...]:
    """Domains of one organisation or of all."""
    query = select(organisation_domains).order_by(organisation_domains.c.domain)
    if organisation_id is not None:
        query = query.where(organisation_domains.c.organisation_id == organisation_id)
    return tuple(
        OrganisationDomain(row.organisation_id, row.domain, row.verified, row.verified_by, row.verified_at)
        for row in conn.execute(query)
    )


def remove_domain(conn: Connection, domain: str, organisation_id: int | None = None) -> None:
    """Forget a domain (of that organisation); UnknownRecord when it is not on record."""
    named = organisation_domains.c.domain == domain.strip().rstrip(".").lower()
    theirs = true() if organisation_id is None else organisation_domains.c.organisation_id == organisation_id
    if not conn.execute(delete(organisation_domains).where(named, theirs)).rowcount:
        whose = "No organisation has" if organisation_id is None else "That customer does not have"
        raise UnknownRecord(f"{whose} the domain {storable(domain, 80)}.")


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
    form: ContactForm = ContactForm.PERSON,
    external: bool | None = None,
    tlp: Tlp | None = None,
    reads_chat: bool = False,
    call_order: int | None = None,
    time_zone: str | None = None,
) -> Contact:
    """Record a person or team mailbox that speaks for an organisation; the address may be outside its domains.

    ``external`` of None: outside if the organisation has verified domains and none is the address's. One who had left comes
    back, without what was allowed before. RefusedRecord when the address, the language, the time zone or the call order is malformed, or the
    address is on record for that organisation and kind.
    """
    address = address.strip()
    if not _ADDRESS.fullmatch(address) or storable(address) != address:
        raise RefusedRecord(f"{storable(address, 80)!r} is not an address; write it like alex@contoso.com.")
    organisation(conn, organisation_id)
    key = address_key(address)
    if external is None:
        own = [one.domain for one in list_domains(conn, organisation_id) if one.verified]
        external = bool(own) and key.rpartition("@")[2] not in own
    there = conn.execute(
        select(contacts.c.id, contacts.c.left_at).where(
            contacts.c.organisation_id == organisation_id,
            contacts.c.address_key == key,
            contacts.c.kind == kind.value,
        )
    ).one_or_none()
    if there is not None and there.left_at is None:
        raise RefusedRecord(f"{address} is a contact of that organisation already.")
    values: dict[str, Any] = {
        "organisation_id": organisation_id,
        "address": address,
        "name": storable(name.strip(), MAX_LINE),
        "kind": kind.value,
        "language": _language(language),
        "phone": None if phone is None else storable(phone.strip(), MAX_LINE) or None,
        "form": form.value,
        "external": external,
        "tlp": None if tlp is None else tlp.value,
        "reads_chat": reads_chat,
        "call_order": _call_order(call_order or 0),
        "time_zone": _time_zone(time_zone or ""),
    }
    if there is None:
        made = conn.execute(
            insert(contacts).values(**values, address_key=key, created_at=at).returning(contacts.c.id)
        ).scalar_one()
    else:
        made = there.id
        conn.execute(
            update(contacts)
            .where(contacts.c.id == made)
            .values(**values, left_at=None, details_allowed_at=None, details_allowed_by=None)
        )
    return Contact(made, **{**values, "kind": kind, "form": form, "tlp": tlp})


def _language(tag: str) -> str:
    tag = tag.strip()
    if not _LANGUAGE.fullmatch(tag):
        raise RefusedRecord(
            f"{storable(tag, 40)!r} is not a language tag; write it like en, es, ja or pt-BR."
        )
    return tag


def _call_order(place: int) -> int | None:
    """The place in the order of calls; None for 0."""
    if not 0 <= place <= MAX_CALL_ORDER:
        raise RefusedRecord(
            f"The call order is a number from 1 (called first) to {MAX_CALL_ORDER}; 0 takes it away."
        )
    return place or None


def _time_zone(name: str) -> str | None:
    """The IANA name of a time zone; None for an empty one."""
    name = name.strip()
    if not name:
        return None
    # A zone that is only case apart is found on some file systems and not on others.
    if name not in _zones():
        raise RefusedRecord(
            f"{storable(name, 40)!r} is not a time zone; write it like Europe/Madrid or Asia/Tokyo, empty: unknown."
        )
    return name


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def change_contact(
    conn: Connection,
    before: Contact,
    *,
    name: str | None = None,
    kind: ContactKind | None = None,
    language: str | None = None,
    phone: str | None = None,
    form: ContactForm | None = None,
    external: bool | None = None,
    reads_chat: bool | None = None,
    call_order: int | None = None,
    time_zone: str | None = None,
) -> Contact:
    """Change what is recorded of a contact; None leaves a thing as it is, an empty phone or zone and the call order 0 take it away.

    RefusedRecord for a malformed language, zone or order, and for a kind that the address has at that organisation already.
    """
    if kind is not None and kind is not before.kind:
        taken = select(contacts.c.id).where(
            contacts.c.organisation_id == before.organisation_id,
            contacts.c.address_key == address_key(before.address),
            contacts.c.kind == kind.value,
        )
        if conn.execute(taken).first() is not None:
            raise RefusedRecord(
                f"{before.address} is or was a {kind} contact of that organisation; add it as such."
            )
    wanted = {
        "name": None if name is None else storable(name.strip(), MAX_LINE),
        "kind": None if kind is None else kind.value,
        "language": None if language is None else _language(language),
        "form": None if form is None else form.value,
        "external": external,
        "reads_chat": reads_chat,
    }
    values: dict[str, Any] = {column: value for column, value in wanted.items() if value is not None}
    if phone is not None:
        values["phone"] = storable(phone.strip(), MAX_LINE) or None
    if call_order is not None:
        values["call_order"] = _call_order(call_order)
    if time_zone is not None:
        values["time_zone"] = _time_zone(time_zone)
    if values:
        conn.execute(update(contacts).where(contacts.c.id == before.id).values(**values))
    return contact(conn, before.id)


def set_tlp(conn: Connection, before: Contact, tlp: Tlp | None) -> Contact:
    """Say how far details may go to a contact; None: as the settings say."""
    values = {"tlp": None if tlp is None else tlp.value}
    conn.execute(update(contacts).where(contacts.c.id == before.id).values(**values))
    return contact(conn, before.id)


def allow_details(conn: Connection, before: Contact, permission: Permission | None) -> Contact:
    """Record that a contact agreed to get details by mail whatever the way; None: it does not, or no more.

    The first permission stands: repeating it changes neither its time nor who recorded it.
    """
    if permission is None or before.details_allowed is None:
        values = {
            "details_allowed_at": None if permission is None else permission.at,
            "details_allowed_by": None if permission is None else storable(permission.by, MAX_LINE),
        }
        conn.execute(update(contacts).where(contacts.c.id == before.id).values(**values))
    return contact(conn, before.id)


def remove_contact(conn: Connection, one: Contact, at: datetime) -> None:
    """Let a contact speak for its organisation no more. What was said stays, and stays tied to the name."""
    conn.execute(update(contacts).where(contacts.c.id == one.id).values(left_at=at))


def contact_of(row: Row[Any]) -> Contact:
    """A row of the contacts table as a value."""
    return Contact(
        row.id,
        row.organisation_id,
        row.address,
        row.name,
        ContactKind(row.kind),
        row.language,
        row.phone,
        ContactForm(row.form),
        row.external,
        None if row.tlp is None else Tlp(row.tlp),
        _permission(row.details_allowed_at, row.details_allowed_by),
        row.reads_chat,
        row.call_order,
        row.time_zone,
    )


def _permission(at: datetime | None, by: str | None) -> Permission | None:
    return None if at is None else Permission(at, by or "")


def contact(conn: Connection, contact_id: int) -> Contact:
    """The contact with that id; UnknownRecord when there is none."""
    row = conn.execute(select(contacts).where(contacts.c.id == contact_id)).one_or_none()
    if row is None:
        raise UnknownRecord(f"There is no contact number {contact_id}.")
    return contact_of(row)


def find_contacts(conn: Connection, address: str) -> tuple[Contact, ...]:
    """Every contact with that address, of any organisation, oldest first, without those who left."""
    found = conn.execute(
        select(contacts)
        .where(
            contacts.c.address_key == storable(address_key(address), MAX_LINE), contacts.c.left_at.is_(None)
        )
        .order_by(contacts.c.id)
    )
    return tuple(map(contact_of, found))


def list_contacts(conn: Connection, organisation_id: int | None = None) -> tuple[Contact, ...]:
    """Contacts of one organisation or of all, by address, without those who left."""
    query = select(contacts).where(contacts.c.left_at.is_(None))
    query = query.order_by(contacts.c.address_key, contacts.c.id)
    if organisation_id is not None:
        query = query.where(contacts.c.organisation_id == organisation_id)
    return tuple(map(contact_of, conn.execute(query)))
