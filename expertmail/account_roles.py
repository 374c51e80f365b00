"""Roles as they are typed: ``expert`` for all customers, ``expert@Contoso`` for one."""

from __future__ import annotations

from collections.abc import Iterable

from threads.access import Grant, Role
from threads.store import Connection
from threads.store.errors import RefusedRecord
from threads.store.people import organisation_named


def grants_of(conn: Connection, words: Iterable[str]) -> frozenset[Grant]:
    """The grants that some words name; RefusedRecord for a role that is none, UnknownRecord for a customer that is none."""
    found = set()
    for word in words:
        role, at, name = word.strip().partition("@")
        if role not in {one.value for one in Role}:
            raise RefusedRecord(f"There is no role {role[:20]!r}; there are: {', '.join(Role)}.")
        whose = organisation_named(conn, name.strip()).id if at else None
        found.add(Grant(Role(role), whose))
    return frozenset(found)
