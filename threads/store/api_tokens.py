"""Tokens of the HTTP interface. What is stored finds a token and knows it again; nobody can make it from that."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select, update

from threads.api_token import USED_EVERY, ApiToken, Scope, digest_of_token, name_refusal, public_id_of
from threads.model import Organisation
from threads.schema import api_token_organisations, api_tokens
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.values import MAX_LINE, storable


def add_token(
    conn: Connection,
    text: str,
    name: str,
    scopes: Iterable[Scope],
    at: datetime,
    *,
    by: str,
    organisations: Iterable[Organisation] = (),
    expires: datetime | None = None,
) -> ApiToken:
    """Record a token, whose ``text`` is not stored; without ``organisations`` it may touch all customers.

    RefusedRecord for a name that is none or was given before, without a scope, or for an end that is past.
    """
    refused = name_refusal(name)
    if refused is not None:
        raise RefusedRecord(refused)
    words = sorted(set(scopes))
    if not words:
        raise RefusedRecord("A token needs at least one scope.")
    if expires is not None and expires <= at:
        raise RefusedRecord("A token cannot end in the past.")
    # Also of a revoked one: the audit trail knows tokens by their names.
    if conn.execute(select(api_tokens.c.id).where(api_tokens.c.name == name)).first() is not None:
        raise RefusedRecord(f"There is, or was, a token named {name}; choose another name.")
    whose = sorted({one.id for one in organisations})
    made = conn.execute(
        insert(api_tokens)
        .values(
            public_id=public_id_of(text),
            digest=digest_of_token(text),
            name=name,
            scopes=" ".join(words),
            # Said here, and not by there being rows: a token whose last customer is gone must not be one for all.
            restricted=bool(whose),
            created_at=at,
            created_by=storable(by, MAX_LINE),
            expires_at=expires,
        )
        .returning(api_tokens.c.id)
    ).scalar_one()
    for one in whose:
        conn.execute(insert(api_token_organisations).values(token_id=made, organisation_id=one))
    return _token(conn, made)


def find_token(conn: Connection, public_id: str) -> ApiToken | None:
    """The token with that id, whether it counts or not."""
    row = conn.execute(select(api_tokens).where(api_tokens.c.public_id == public_id)).one_or_none()
    return None if row is None else _token_of(conn, row)


def list_tokens(conn: Connection) -> tuple[ApiToken, ...]:
    """All tokens by name, those that do not count any more included."""
    rows = conn.execute(select(api_tokens).order_by(api_tokens.c.name)).all()
    return tuple(_token_of(conn, row) for row in rows)


def revoke_token(conn: Connection, name: str, at: datetime, *, by: str) -> ApiToken:
    """End a token for good. UnknownRecord when there is none of that name, RefusedRecord when it is revoked already."""
    row = conn.execute(select(api_tokens).where(api_tokens.c.name == name).with_for_update()).one_or_none()
    if row is None:
        raise UnknownRecord(f"There is no token named {storable(name, 60)}; see `expertmail tokens list`.")
    if row.revoked_at is not None:
        raise RefusedRecord(f"The token {name} is revoked already.")
    ended = {"revoked_at": at, "revoked_by": storable(by, MAX_LINE)}
    conn.execute(update(api_tokens).where(api_tokens.c.id == row.id).values(**ended))
    return _token(conn, row.id)


def note_use(conn: Connection, token: ApiToken, at: datetime) -> None:
    """Write down that a token was used just now, unless that was done within USED_EVERY."""
    last = api_tokens.c.last_used_at
    due = or_(last.is_(None), last <= at - USED_EVERY)
    conn.execute(update(api_tokens).where(api_tokens.c.id == token.id, due).values(last_used_at=at))


def _token(conn: Connection, token_id: int) -> ApiToken:
    return _token_of(conn, conn.execute(select(api_tokens).where(api_tokens.c.id == token_id)).one())


def _token_of(conn: Connection, row: Row[Any]) -> ApiToken:
    table = api_token_organisations
    whose = None
    if row.restricted:
        whose = frozenset(
            conn.execute(select(table.c.organisation_id).where(table.c.token_id == row.id)).scalars()
        )
    return ApiToken(
        row.id,
        row.public_id,
        row.name,
        frozenset(map(Scope, row.scopes.split())),
        whose,
        row.created_at,
        row.created_by,
        row.expires_at,
        row.revoked_at,
        row.revoked_by,
        row.last_used_at,
        row.digest,
    )
