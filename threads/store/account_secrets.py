"""What an account proves itself by, as it is stored: never anything that would let somebody in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from threads.schema import account_recovery_codes, accounts


def set_password(conn: Connection, account_id: int, password_hash: str, at: datetime) -> None:
    """Store a password's hash (argon2)."""
    values = {"password_hash": password_hash, "password_set_at": at}
    conn.execute(update(accounts).where(accounts.c.id == account_id).values(**values))


def set_second_factor(
    conn: Connection, account_id: int, sealed: bytes | None, codes: Iterable[str] = ()
) -> None:
    """Store the sealed secret of the one-time codes and the digests of recovery codes; None: there is no second factor any more."""
    conn.execute(
        update(accounts).where(accounts.c.id == account_id).values(totp_sealed=sealed, totp_step=None)
    )
    set_recovery_codes(conn, account_id, codes)


def set_recovery_codes(conn: Connection, account_id: int, codes: Iterable[str]) -> None:
    """Store digests of recovery codes instead of those there were."""
    table = account_recovery_codes
    conn.execute(delete(table).where(table.c.account_id == account_id))
    for digest in codes:
        conn.execute(insert(table).values(account_id=account_id, digest=digest))


def use_step(conn: Connection, account_id: int, step: int) -> bool:
    """Use a one-time code up; False where it, or a later one, was used before (RFC 6238 5.2)."""
    unused = or_(accounts.c.totp_step.is_(None), accounts.c.totp_step < step)
    done = conn.execute(update(accounts).where(accounts.c.id == account_id, unused).values(totp_step=step))
    return done.rowcount == 1


def use_recovery_code(conn: Connection, account_id: int, digest: str, at: datetime) -> bool:
    """Use a recovery code up; False where it is none that is left."""
    table = account_recovery_codes
    mine = table.c.account_id == account_id, table.c.digest == digest, table.c.used_at.is_(None)
    return conn.execute(update(table).where(*mine).values(used_at=at)).rowcount == 1


def recovery_codes_left(conn: Connection, account_id: int) -> int:
    """How many recovery codes were not used."""
    table = account_recovery_codes
    mine = table.c.account_id == account_id, table.c.used_at.is_(None)
    return int(conn.execute(select(func.count()).where(*mine)).scalar_one())
