"""Accounts on record: what each is called, which roles it has, and the people that others vouch for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, exists, insert, select, update

from threads.access import Account, Grant, Permission, Role
from threads.schema import account_grants, account_sessions, account_subjects, accounts
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.values import MAX_LINE, MAX_PATH, storable

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._@-]{0,58}[a-z0-9])?")


def account_name(typed: str) -> str:
    """What somebody typed as a name, as it is on record: names differ by more than case."""
    return typed.strip().lower()


def add_account(
    conn: Connection,
    name: str,
    display_name: str,
    grants: Iterable[Grant],
    at: datetime,
    *,
    by: str,
    address: str | None = None,
) -> Account:
    """Record an account, which nobody can sign in to before it has a password or is known elsewhere.

    RefusedRecord for a name that is none, or that is or was somebody's: the audit trail knows people by it.
    """
    name = account_name(name)
    if not _NAME.fullmatch(name):
        raise RefusedRecord(
            "An account's name is up to 60 of a-z, 0-9, dot, hyphen, underscore and @, such as mia.lang."
        )
    if conn.execute(select(accounts.c.id).where(accounts.c.name == name)).first() is not None:
        raise RefusedRecord(f"There is, or was, an account named {name}; choose another name.")
    made = conn.execute(
        insert(accounts)
        .values(
            name=name,
            display_name=storable(display_name.strip() or name, MAX_LINE),
            address=None if address is None else storable(address, MAX_PATH),
            created_at=at,
            created_by=storable(by, MAX_LINE),
        )
        .returning(accounts.c.id)
    ).scalar_one()
    set_grants(conn, made, grants, at, by=by)
    return account_by_id(conn, made)


def account_by_id(conn: Connection, account_id: int) -> Account:
    """The account with that number; UnknownRecord when there is none."""
    row = conn.execute(select(accounts).where(accounts.c.id == account_id)).one_or_none()
    if row is None:
        raise UnknownRecord("There is no such account.")
    return _account_of(row, _grants(conn, [row.id])[row.id])


def find_account(conn: Connection, name: str) -> Account | None:
    """The account of that name (as typed), disabled or not."""
    row = conn.execute(select(accounts).where(accounts.c.name == account_name(name))).one_or_none()
    return None if row is None else _account_of(row, _grants(conn, [row.id])[row.id])


def account_of_subject(conn: Connection, issuer: str, subject: str) -> Account | None:
    """The account that belongs to a person elsewhere (OpenID Connect Core 2: issuer and subject together)."""
    theirs = account_subjects.c.issuer == issuer, account_subjects.c.subject == subject
    found = conn.execute(select(account_subjects.c.account_id).where(*theirs)).scalar_one_or_none()
    return None if found is None else account_by_id(conn, found)


def tie_subject(conn: Connection, account_id: int, issuer: str, subject: str) -> None:
    """Let a person elsewhere sign in to an account; RefusedRecord when that person has another one."""
    other = account_of_subject(conn, issuer, subject)
    if other is not None and other.id != account_id:
        raise RefusedRecord(f"That person signs in as {other.name} already.")
    if other is None:
        conn.execute(insert(account_subjects).values(account_id=account_id, issuer=issuer, subject=subject))


def list_accounts(conn: Connection) -> tuple[Account, ...]:
    """All accounts by name, the disabled ones included."""
    rows = conn.execute(select(accounts).order_by(accounts.c.name)).all()
    granted = _grants(conn, [row.id for row in rows])
    return tuple(_account_of(row, granted[row.id]) for row in rows)


def any_account(conn: Connection) -> bool:
    """Whether there is an account at all: before that, the first one has to be made by a link."""
    return bool(conn.execute(select(exists(select(accounts.c.id)))).scalar_one())


def set_grants(conn: Connection, account_id: int, grants: Iterable[Grant], at: datetime, *, by: str) -> None:
    """Give an account these roles and no others.

    RefusedRecord when nobody would be left who keeps accounts for everybody.
    """
    wanted = sorted(set(grants), key=lambda one: (one.role, one.organisation_id or 0))
    conn.execute(delete(account_grants).where(account_grants.c.account_id == account_id))
    for one in wanted:
        conn.execute(
            insert(account_grants).values(
                account_id=account_id,
                role=one.role.value,
                organisation_id=one.organisation_id,
                granted_at=at,
                granted_by=storable(by, MAX_LINE),
            )
        )
    _refuse_without_keeper(conn)


def disable_account(conn: Connection, account_id: int, at: datetime, *, by: str) -> None:
    """Let nobody sign in to it any more, and end its sessions; RefusedRecord for the last one that keeps accounts."""
    ended = {"disabled_at": at, "disabled_by": storable(by, MAX_LINE)}
    conn.execute(
        update(accounts).where(accounts.c.id == account_id, accounts.c.disabled_at.is_(None)).values(**ended)
    )
    conn.execute(
        update(account_sessions)
        .where(account_sessions.c.account_id == account_id, account_sessions.c.ended_at.is_(None))
        .values(ended_at=at, ended_by=storable(by, MAX_LINE))
    )
    _refuse_without_keeper(conn)


def enable_account(conn: Connection, account_id: int) -> None:
    """Let it be used again, as it was."""
    conn.execute(
        update(accounts).where(accounts.c.id == account_id).values(disabled_at=None, disabled_by=None)
    )


def _refuse_without_keeper(conn: Connection) -> None:
    """Whoever locks everybody out has to find a terminal on the server."""
    some = list_accounts(conn)
    if some and not any(
        one.disabled_at is None and one.reach(Permission.KEEP_ACCOUNTS) is None for one in some
    ):
        raise RefusedRecord("Somebody has to be left who is admin for all customers.")


def _grants(conn: Connection, ids: list[int]) -> Mapping[int, frozenset[Grant]]:
    found: dict[int, set[Grant]] = {one: set() for one in ids}
    for row in conn.execute(select(account_grants).where(account_grants.c.account_id.in_(ids))):
        found[row.account_id].add(Grant(Role(row.role), row.organisation_id))
    return {one: frozenset(grants) for one, grants in found.items()}


def _account_of(row: Row[Any], grants: frozenset[Grant]) -> Account:
    return Account(
        row.id,
        row.name,
        row.display_name,
        row.address,
        grants,
        row.created_at,
        row.created_by,
        row.disabled_at,
        row.password_hash,
        row.totp_sealed,
    )
