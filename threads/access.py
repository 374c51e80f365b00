"""Who may do what in the console: roles, what each allows, and for whose affairs. Pure.

A role is held for one organisation or for all, and an account may hold several: what is not allowed by one of them is not
allowed. No role holds another one inside it but for reading, so that who writes does not approve by being important
(separation of duties, NIST SP 800-53 AC-5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What somebody is here for."""

    CUSTOMER = "customer"  # asks whether a mail is from us
    ANALYST = "analyst"  # reads, and judges suspicious mail
    EXPERT = "expert"  # works on incidents and writes to customers
    APPROVER = "approver"  # lets go what another person has written
    ADMIN = "admin"  # accounts, identities, keys


class Permission(StrEnum):
    """One thing that may be done."""

    VERIFY = "verify"  # have a message judged, look up a code
    READ = "read"  # incidents, held mail, the outbox, contacts, reports
    WORK = "work"  # change incidents: state, tasks, notes, move, split, merge, mark a customer
    COMPOSE = "compose"  # write to customers, break-glass included
    APPROVE = "approve"  # let go what another person has written or wants to release
    DECIDE_HELD = "decide-held"  # release and discard held mail
    KEEP_CONTACTS = "keep-contacts"  # add and change contacts and organisations
    KEEP_IDENTITIES = "keep-identities"  # pinned addresses, keys
    READ_AUDIT = "read-audit"  # the audit trail
    KEEP_ACCOUNTS = "keep-accounts"  # accounts, their roles and sessions, API tokens


_READER: Final = frozenset({Permission.VERIFY, Permission.READ})
ALLOWS: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.CUSTOMER: frozenset({Permission.VERIFY}),
    Role.ANALYST: _READER,
    Role.EXPERT: _READER
    | {Permission.WORK, Permission.COMPOSE, Permission.DECIDE_HELD, Permission.KEEP_CONTACTS},
    Role.APPROVER: _READER | {Permission.APPROVE},
    Role.ADMIN: _READER | {Permission.KEEP_IDENTITIES, Permission.READ_AUDIT, Permission.KEEP_ACCOUNTS},
}


@dataclass(frozen=True, slots=True)
class Grant:
    """A role for one organisation's affairs; None: for everybody's, and for what is nobody's."""

    role: Role
    organisation_id: int | None


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who signs in. ``password_hash`` and ``totp_sealed`` (which only a key in a file opens) never show in a repr."""

    id: int
    name: str  # what is typed to sign in, and what the audit trail shows
    display_name: str
    address: str | None
    grants: frozenset[Grant]
    created_at: datetime
    created_by: str
    disabled_at: datetime | None
    password_hash: str | None = field(repr=False)
    totp_sealed: bytes | None = field(repr=False)

    def may(self, permission: Permission, organisation_id: int | None) -> bool:
        """Whether it may do that in an organisation's affairs (None: in what belongs to none)."""
        reached = self.reach(permission)
        return reached is None or organisation_id in reached

    def may_anywhere(self, permission: Permission) -> bool:
        """Whether there is anybody in whose affairs it may do that."""
        return self.reach(permission) != frozenset()

    def reach(self, permission: Permission) -> frozenset[int] | None:
        """The ids of the organisations in whose affairs it may do that; None: in all, and in what belongs to none."""
        return reach(self.grants, permission)


def reach(grants: Iterable[Grant], permission: Permission) -> frozenset[int] | None:
    """The same of some grants."""
    found = set()
    for one in grants:
        if permission in ALLOWS[one.role]:
            if one.organisation_id is None:
                return None
            found.add(one.organisation_id)
    return frozenset(found)
