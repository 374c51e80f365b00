"""Subscribers on record: who hears of timeline entries. Addresses and secrets come here sealed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select, update

from outbound.schema import subscriber_organisations, subscribers
from outbound.subscriber import Sealed, Subscriber, SubscriberKind, name_refusal
from threads.model import Decision, Organisation, Tlp
from threads.schema import timeline
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.values import MAX_LINE, storable

BOTH_FOR: Final = timedelta(days=1)
"""After a secret was changed each try is signed with the old one too: the receiver changes when it is ready."""


@dataclass(frozen=True, slots=True)
class NewSubscriber:
    """One to be added; ``host`` is shown to people. A Teams channel has a TLP of its own, and may have guests (``external``)."""

    kind: SubscriberKind
    name: str
    host: str
    sealed: Sealed
    tlp: Tlp | None = None
    details_allowed: bool = False
    external: bool = False


def add_subscriber(
    conn: Connection, new: NewSubscriber, at: datetime, *, by: str, organisations: Iterable[Organisation] = ()
) -> Subscriber:
    """Record one, which hears of what comes on timelines from now on; without ``organisations`` of all customers'.

    RefusedRecord for a name that is none or was given before. A Teams channel is of one customer.
    """
    refused = name_refusal(new.name)
    if refused is not None:
        raise RefusedRecord(refused)
    if conn.execute(select(subscribers.c.id).where(subscribers.c.name == new.name)).first() is not None:
        raise RefusedRecord(f"There is, or was, one named {new.name}; choose another name.")
    whose = sorted({one.id for one in organisations})
    if new.kind is SubscriberKind.TEAMS and len(whose) != 1:
        raise RefusedRecord("A Teams channel is of one customer; name it.")
    last = conn.execute(select(func.max(timeline.c.id))).scalar() or 0
    who = storable(by, MAX_LINE)
    made = conn.execute(
        insert(subscribers)
        .values(
            kind=new.kind.value,
            name=new.name,
            host=storable(new.host, MAX_LINE),
            address_sealed=new.sealed.address,
            secret_sealed=new.sealed.secret,
            all_customers=not whose,
            tlp=None if new.tlp is None else new.tlp.value,
            details_allowed_at=at if new.details_allowed else None,
            details_allowed_by=who if new.details_allowed else None,
            external=new.external,
            after_entry=last,
            created_at=at,
            created_by=who,
        )
        .returning(subscribers.c.id)
    ).scalar_one()
    for one in whose:
        conn.execute(insert(subscriber_organisations).values(subscriber_id=made, organisation_id=one))
    return subscriber(conn, made)


def list_subscribers(conn: Connection, kind: SubscriberKind | None = None) -> tuple[Subscriber, ...]:
    """Those there are, by name."""
    query = select(subscribers).where(subscribers.c.removed_at.is_(None)).order_by(subscribers.c.name)
    if kind is not None:
        query = query.where(subscribers.c.kind == kind.value)
    return tuple(_subscriber_of(conn, row) for row in conn.execute(query).all())


def subscriber(conn: Connection, subscriber_id: int) -> Subscriber:
    """The one with that id; UnknownRecord when there is none, or it was removed."""
    query = select(subscribers).where(subscribers.c.id == subscriber_id, subscribers.c.removed_at.is_(None))
    row = conn.execute(query).one_or_none()
    if row is None:
        raise UnknownRecord(f"There is no subscriber number {subscriber_id}.")
    return _subscriber_of(conn, row)


def subscriber_named(conn: Connection, name: str, kind: SubscriberKind) -> Subscriber:
    """The one of that name and kind; UnknownRecord when there is none."""
    query = select(subscribers).where(
        subscribers.c.name == name, subscribers.c.kind == kind.value, subscribers.c.removed_at.is_(None)
    )
    row = conn.execute(query).one_or_none()
    if row is None:
        raise UnknownRecord(f"There is no {_WORDS[kind]} named {storable(name, 60)}; see `{_LISTS[kind]}`.")
    return _subscriber_of(conn, row)


_WORDS: Final = {SubscriberKind.WEBHOOK: "webhook", SubscriberKind.TEAMS: "Teams channel"}
_LISTS: Final = {
    SubscriberKind.WEBHOOK: "expertmail webhooks list",
    SubscriberKind.TEAMS: "expertmail teams list",
}


def sealed_of(conn: Connection, one: Subscriber) -> Sealed:
    """Its address and secrets, sealed."""
    row = conn.execute(select(subscribers).where(subscribers.c.id == one.id)).one()
    return Sealed(
        bytes(row.address_sealed),
        bytes(row.secret_sealed),
        None if row.old_secret_sealed is None else bytes(row.old_secret_sealed),
        row.old_secret_until,
    )


def change_address(conn: Connection, one: Subscriber, host: str, address_sealed: bytes) -> None:
    """Let it be called elsewhere."""
    _set(conn, one, host=storable(host, MAX_LINE), address_sealed=address_sealed)


def change_secret(conn: Connection, one: Subscriber, secret_sealed: bytes, at: datetime) -> datetime:
    """Give it another secret; until the moment that is returned the old one is used beside."""
    until = at + BOTH_FOR
    _set(
        conn,
        one,
        old_secret_sealed=subscribers.c.secret_sealed,
        old_secret_until=until,
        secret_sealed=secret_sealed,
    )
    return until


def pause(conn: Connection, one: Subscriber, at: datetime, *, by: str, why: str) -> None:
    """Tell it nothing for now: what comes meanwhile waits. RefusedRecord where it is paused already."""
    if one.paused is not None:
        raise RefusedRecord(f"{one.name} is paused already, by {one.paused.by}: {one.paused.reason}.")
    _set(conn, one, paused_at=at, paused_by=storable(by, MAX_LINE), paused_why=storable(why, MAX_LINE))


def resume(conn: Connection, one: Subscriber) -> None:
    """Go on where it was. RefusedRecord where it is not paused."""
    if one.paused is None:
        raise RefusedRecord(f"{one.name} is not paused.")
    _set(conn, one, paused_at=None, paused_by=None, paused_why=None)


def remove(conn: Connection, one: Subscriber, at: datetime, *, by: str) -> None:
    """Tell it nothing any more; its address and secrets are gone, its name stays taken for the audit trail's sake."""
    _set(
        conn,
        one,
        removed_at=at,
        removed_by=storable(by, MAX_LINE),
        address_sealed=b"",
        secret_sealed=b"",
        old_secret_sealed=None,
        old_secret_until=None,
    )


def _set(conn: Connection, one: Subscriber, **values: object) -> None:
    conn.execute(update(subscribers).where(subscribers.c.id == one.id).values(**values))


def _subscriber_of(conn: Connection, row: Row[Any]) -> Subscriber:
    table = subscriber_organisations
    whose = None
    if not row.all_customers:
        query = select(table.c.organisation_id).where(table.c.subscriber_id == row.id)
        whose = frozenset(conn.execute(query).scalars())
    paused = None if row.paused_at is None else Decision(row.paused_at, row.paused_by, row.paused_why)
    return Subscriber(
        row.id,
        SubscriberKind(row.kind),
        row.name,
        row.host,
        whose,
        None if row.tlp is None else Tlp(row.tlp),
        row.details_allowed_at is not None,
        row.external,
        row.after_entry,
        row.created_at,
        row.created_by,
        paused,
    )
