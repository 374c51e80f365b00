"""Lists of customers and of those who speak for one, page by page, and only of the customers that somebody may see."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from threads.model import Contact, Organisation
from threads.schema import contacts, organisation_domains, organisations
from threads.store.errors import RefusedRecord
from threads.store.people import contact_of, organisation_of
from threads.store.values import MAX_ROW, storable

PAGE: Final = 50
MAX_WORDS: Final = 100
"""Characters that are looked for."""
_CURSOR: Final = re.compile(r"[0-9]{1,10}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ListedCustomer:
    """A customer with how many speak for it, and its domains."""

    customer: Organisation
    contacts: int
    domains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CustomerPage:
    """Customers by name; ``cursor`` goes on after them, None at the end."""

    customers: tuple[ListedCustomer, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class ContactPage:
    """Contacts by address; ``cursor`` goes on after them, None at the end."""

    contacts: tuple[Contact, ...]
    cursor: str | None


def customer_page(
    conn: Connection,
    reach: Collection[int] | None,
    *,
    words: str = "",
    cursor: str = "",
    limit: int = PAGE,
) -> CustomerPage:
    """Customers in whose name, domains, or contacts' names and addresses the words stand. RefusedRecord for a cursor that is none."""
    query = select(organisations).where(organisations.c.erased_at.is_(None))
    if reach is not None:
        query = query.where(organisations.c.id.in_(sorted(reach)))
    if words:
        query = query.where(_found_by(storable(words, MAX_WORDS)))
    if cursor:
        last = select(organisations.c.name_key).where(organisations.c.id == _number(cursor)).scalar_subquery()
        query = query.where(organisations.c.name_key > last)
    rows = conn.execute(query.order_by(organisations.c.name_key).limit(limit + 1)).all()
    shown = [organisation_of(row) for row in rows[:limit]]
    ids = [one.id for one in shown]
    there = contacts.c.organisation_id.in_(ids), contacts.c.left_at.is_(None)
    counted = (
        select(contacts.c.organisation_id, func.count()).where(*there).group_by(contacts.c.organisation_id)
    )
    numbers = {row[0]: int(row[1]) for row in conn.execute(counted)}
    domains: dict[int, list[str]] = {}
    table = organisation_domains
    for row in conn.execute(select(table).where(table.c.organisation_id.in_(ids)).order_by(table.c.domain)):
        domains.setdefault(row.organisation_id, []).append(row.domain)
    listed = (ListedCustomer(one, numbers.get(one.id, 0), tuple(domains.get(one.id, ()))) for one in shown)
    return CustomerPage(tuple(listed), str(ids[-1]) if len(rows) > limit else None)


def contact_page(
    conn: Connection,
    organisation_id: int,
    *,
    words: str = "",
    cursor: str = "",
    only: int | None = None,
    limit: int = PAGE,
) -> ContactPage:
    """Those who speak for one customer, without those who left; ``only``: the one with that number."""
    query = select(contacts).where(
        contacts.c.organisation_id == organisation_id, contacts.c.left_at.is_(None)
    )
    if only is not None:
        query = query.where(contacts.c.id == only)
    if words:
        query = query.where(_named(storable(words, MAX_WORDS)))
    if cursor:
        number = _number(cursor)
        last = select(contacts.c.address_key).where(contacts.c.id == number).scalar_subquery()
        at = contacts.c.address_key
        query = query.where(or_(at > last, and_(at == last, contacts.c.id > number)))
    rows = conn.execute(query.order_by(contacts.c.address_key, contacts.c.id).limit(limit + 1)).all()
    found = tuple(map(contact_of, rows[:limit]))
    return ContactPage(found, str(found[-1].id) if len(rows) > limit else None)


def _found_by(words: str) -> ColumnElement[bool]:
    domain = select(organisation_domains.c.organisation_id).where(
        _holds(organisation_domains.c.domain, words)
    )
    person = select(contacts.c.organisation_id).where(contacts.c.left_at.is_(None), _named(words))
    number = organisations.c.id
    return or_(_holds(organisations.c.name_key, words), number.in_(domain), number.in_(person))


def _named(words: str) -> ColumnElement[bool]:
    return or_(_holds(contacts.c.address_key, words), _holds(contacts.c.name, words))


def _holds(column: ColumnElement[Any], words: str) -> ColumnElement[bool]:
    """Whether the words stand in a column, in small letters or as they were typed: SQLite knows no others than ASCII's as equal."""
    patterns = ("%" + re.sub(r"([\\%_])", r"\\\1", one) + "%" for one in (words.lower(), words))
    return or_(
        *(func.lower(column).like(one, escape="\\") | column.like(one, escape="\\") for one in patterns)
    )


def _number(cursor: str) -> int:
    if _CURSOR.fullmatch(cursor) is None or int(cursor) > MAX_ROW:
        raise RefusedRecord("This page's name is not understood; begin at the first page.")
    return int(cursor)
