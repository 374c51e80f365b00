"""Roles as people read and write them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from threads.access import Grant, Role

WHAT: Final[Mapping[Role, str]] = {
    Role.CUSTOMER: "asks whether a mail is from us",
    Role.ANALYST: "reads, and judges suspicious mail",
    Role.EXPERT: "works on incidents, writes to customers, decides on held mail",
    Role.APPROVER: "reads, and lets go what another person has written",
    Role.ADMIN: "accounts, identities, keys and the audit trail",
}


def roles_in_words(grants: Iterable[Grant], names: Mapping[int, str]) -> tuple[tuple[str, str, str], ...]:
    """Each role with for whom it is held and what it is for; ``names`` are the organisations'."""
    found = []
    for one in sorted(grants, key=lambda one: (list(Role).index(one.role), one.organisation_id or 0)):
        whose = (
            "all customers"
            if one.organisation_id is None
            else names.get(one.organisation_id, "a customer that is gone")
        )
        found.append((one.role.value, whose, WHAT[one.role]))
    return tuple(found)
