"""Releases that a second person has to consent to: who asked for what, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from threads.schema import held_requests, messages
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.held import WAITING
from threads.store.values import MAX_LINE, storable


@dataclass(frozen=True, slots=True)
class Wish:
    """What a release is to do: file it on a thread, on a new inquiry of a customer, or where it was recognised to belong."""

    copy_id: str
    thread_id: int | None = None
    organisation_id: int | None = None
    contact_name: str | None = None


@dataclass(frozen=True, slots=True)
class HeldRequest:
    """A release that somebody asked for."""

    id: int
    wish: Wish
    asked_at: datetime
    asked_by: str


def ask_release(conn: Connection, wish: Wish, at: datetime, *, by: str) -> HeldRequest:
    """Ask for a release; an earlier request for the same message ends.

    RefusedRecord where the same person asks again for the same, and for a message that does not wait.
    """
    word = conn.execute(select(messages.c.disposition).where(messages.c.id == wish.copy_id)).scalar()
    if word not in {one.value for one in WAITING}:
        raise RefusedRecord(f"The message {wish.copy_id} does not wait: it is {word}.")
    before = open_request(conn, wish.copy_id)
    if before is not None:
        if before.wish == wish and before.asked_by == by:
            raise RefusedRecord("You have asked for that; another person has to consent.")
        _decide(conn, before.id, "replaced", at, by)
    made = conn.execute(
        insert(held_requests)
        .values(
            copy_id=wish.copy_id,
            thread_id=wish.thread_id,
            organisation_id=wish.organisation_id,
            contact_name=None if wish.contact_name is None else storable(wish.contact_name, MAX_LINE),
            asked_at=at,
            asked_by=storable(by, MAX_LINE),
        )
        .returning(held_requests)
    ).one()
    return _request_of(made)


def open_request(conn: Connection, copy_id: str) -> HeldRequest | None:
    """What was asked for a message and not decided."""
    # What was decided otherwise meanwhile (put aside, say) waits for no second person any more.
    row = conn.execute(
        select(held_requests)
        .join(messages, messages.c.id == held_requests.c.copy_id)
        .where(
            held_requests.c.copy_id == storable(copy_id, MAX_LINE),
            held_requests.c.decided_at.is_(None),
            messages.c.disposition.in_([one.value for one in WAITING]),
        )
    ).one_or_none()
    return None if row is None else _request_of(row)


def requests_for(conn: Connection, copy_ids: list[str]) -> dict[str, HeldRequest]:
    """The same for several messages, by their ids."""
    rows = conn.execute(
        select(held_requests).where(
            held_requests.c.copy_id.in_(copy_ids), held_requests.c.decided_at.is_(None)
        )
    )
    return {row.copy_id: _request_of(row) for row in rows}


def decide_request(
    conn: Connection, copy_id: str, at: datetime, *, consents: bool, by: str, shown: int | None = None
) -> HeldRequest:
    """Note the second person's word. UnknownRecord where nothing was asked, RefusedRecord for whoever asked.

    ``shown``: the number of the request that the second person was shown; RefusedRecord where another one is open by now.
    """
    found = open_request(conn, copy_id)
    if found is None:
        raise UnknownRecord("Nobody has asked for a release of this message.")
    if shown is not None and shown != found.id:
        raise RefusedRecord("Something else is asked for by now; this is what.")
    if found.asked_by == storable(by, MAX_LINE):
        raise RefusedRecord("You have asked for it yourself; another person has to decide.")
    _decide(conn, found.id, "consented" if consents else "refused", at, by)
    return found


def _decide(conn: Connection, request_id: int, word: str, at: datetime, by: str) -> None:
    still = held_requests.c.id == request_id, held_requests.c.decided_at.is_(None)
    values = {"decided_at": at, "decided_by": storable(by, MAX_LINE), "decision": word}
    if conn.execute(update(held_requests).where(*still).values(**values)).rowcount != 1:
        raise RefusedRecord("Somebody has decided on it meanwhile.")


def _request_of(row: Row[Any]) -> HeldRequest:
    wish = Wish(row.copy_id, row.thread_id, row.organisation_id, row.contact_name)
    return HeldRequest(row.id, wish, row.asked_at, row.asked_by)
