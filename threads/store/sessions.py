"""Sessions and links on record: digests only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from threads.access import Account
from threads.schema import account_links, account_sessions
from threads.session import IDLE, LASTS, LINK_LASTS, SEEN_EVERY, Session, Way, digest_of_secret
from threads.store.accounts import account_by_id
from threads.store.values import MAX_LINE, storable


def begin_session(
    conn: Connection,
    secret: str,
    account: Account,
    at: datetime,
    *,
    way: Way,
    client_ip: str,
    user_agent: str,
) -> Session:
    """Record a session, whose ``secret`` is not stored; sessions that are long over are forgotten."""
    conn.execute(delete(account_sessions).where(account_sessions.c.ends_at < at - LASTS))
    made = conn.execute(
        insert(account_sessions)
        .values(
            digest=digest_of_secret(secret),
            account_id=account.id,
            began_at=at,
            seen_at=at,
            ends_at=at + LASTS,
            way=way.value,
            client_ip=storable(client_ip, 45),
            user_agent=storable(user_agent, MAX_LINE),
        )
        .returning(account_sessions.c.id)
    ).scalar_one()
    return _session_of(conn.execute(select(account_sessions).where(account_sessions.c.id == made)).one())


def session_in_force(conn: Connection, secret: str, now: datetime) -> tuple[Session, Account] | None:
    """The session of a cookie and its account; None where it does not count, or the account is disabled."""
    digest = digest_of_secret(secret)
    row = conn.execute(select(account_sessions).where(account_sessions.c.digest == digest)).one_or_none()
    if row is None or not (found := _session_of(row)).counts(now):
        return None
    account = account_by_id(conn, found.account_id)
    return None if account.disabled_at is not None else (found, account)


def is_due(session: Session, now: datetime) -> bool:
    """Whether its use has to be written down."""
    return now - session.seen_at >= SEEN_EVERY


def note_seen(conn: Connection, session: Session, now: datetime) -> None:
    """Write down that a session was used just now."""
    mine = account_sessions.c.id == session.id, account_sessions.c.seen_at < now
    conn.execute(update(account_sessions).where(*mine).values(seen_at=now))


def end_session(conn: Connection, session_id: int, at: datetime, *, by: str) -> bool:
    """End one; False where it was over."""
    mine = account_sessions.c.id == session_id, account_sessions.c.ended_at.is_(None)
    done = conn.execute(
        update(account_sessions).where(*mine).values(ended_at=at, ended_by=storable(by, MAX_LINE))
    )
    return done.rowcount == 1


def end_sessions(conn: Connection, account_id: int, at: datetime, *, by: str, but: int | None = None) -> int:
    """End all sessions of an account, but for one; how many there were."""
    theirs = [account_sessions.c.account_id == account_id, account_sessions.c.ended_at.is_(None)]
    if but is not None:
        theirs.append(account_sessions.c.id != but)
    done = conn.execute(
        update(account_sessions).where(*theirs).values(ended_at=at, ended_by=storable(by, MAX_LINE))
    )
    return done.rowcount


def sessions_of(conn: Connection, account_id: int, now: datetime) -> tuple[Session, ...]:
    """The sessions of an account that count, the latest first."""
    rows = conn.execute(
        select(account_sessions)
        .where(
            account_sessions.c.account_id == account_id,
            account_sessions.c.ended_at.is_(None),
            account_sessions.c.ends_at > now,
            account_sessions.c.seen_at > now - IDLE,
        )
        .order_by(account_sessions.c.seen_at.desc())
    )
    return tuple(map(_session_of, rows))


def add_link(conn: Connection, secret: str, account_id: int | None, at: datetime, *, by: str) -> None:
    """Record a link that is good once; earlier ones for the same account end."""
    same = (
        account_links.c.account_id == account_id
        if account_id is not None
        else account_links.c.account_id.is_(None)
    )
    conn.execute(update(account_links).where(same, account_links.c.used_at.is_(None)).values(used_at=at))
    conn.execute(
        insert(account_links).values(
            digest=digest_of_secret(secret),
            account_id=account_id,
            made_at=at,
            made_by=storable(by, MAX_LINE),
            ends_at=at + LINK_LASTS,
        )
    )


def link_in_force(conn: Connection, secret: str, now: datetime) -> tuple[int, int | None] | None:
    """The number of a link that counts, and whose it is (None: the first account's); None where it does not count."""
    row = conn.execute(
        select(account_links).where(
            account_links.c.digest == digest_of_secret(secret),
            account_links.c.used_at.is_(None),
            account_links.c.ends_at > now,
        )
    ).one_or_none()
    return None if row is None else (row.id, row.account_id)


def use_link(conn: Connection, link_id: int, at: datetime) -> bool:
    """Use a link up; False when somebody else did so meanwhile."""
    mine = account_links.c.id == link_id, account_links.c.used_at.is_(None)
    return conn.execute(update(account_links).where(*mine).values(used_at=at)).rowcount == 1


def _session_of(row: Row[Any]) -> Session:
    return Session(
        row.id,
        row.account_id,
        row.began_at,
        row.seen_at,
        row.ends_at,
        row.ended_at,
        Way(row.way),
        row.client_ip,
        row.user_agent,
        row.digest,
    )
