"""What pages look up: things that belong to a customer, found and allowed in one step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeVar

from starlette.exceptions import HTTPException

from expertmail.console.pages.page import Visit
from threads.access import Permission
from threads.model import Organisation, StoredCopy, Thread
from threads.store import Connection
from threads.store.errors import UnknownRecord
from threads.store.people import find_organisation, list_organisations, organisation
from threads.store.read import stored_copy
from threads.store.thread import thread_by_id, thread_by_reference

T = TypeVar("T")
W = TypeVar("W", bound=StrEnum)

MAX_NUMBER = 2**31  # of a row
MAX_ID = 40  # characters of a message's id


async def looked_up(visit: Visit, work: Callable[[Connection], T]) -> T:
    """Read from the record, off the event loop."""

    def done() -> T:
        with visit.parts.api.database.reading() as conn:
            return work(conn)

    return await visit.run(done)


async def written(visit: Visit, work: Callable[[Connection], T]) -> T:
    """Do something in one transaction, off the event loop."""

    def done() -> T:
        with visit.parts.api.database.writing() as conn:
            return work(conn)

    return await visit.run(done)


def thread_for(
    conn: Connection, visit: Visit, reference: str, permission: Permission = Permission.READ
) -> tuple[Thread, Organisation]:
    """A thread as it is named and its customer; HTTPException 404 alike for none, another's, and an erased one's."""
    thread = thread_by_reference(conn, reference, as_named=True)
    visit.require(permission, thread.organisation_id)
    customer = find_organisation(conn, organisation(conn, thread.organisation_id).name)
    if customer is None:
        raise UnknownRecord("There is no such thread.")
    return thread, customer


def copy_for(
    conn: Connection, visit: Visit, copy_id: str, permission: Permission = Permission.READ
) -> tuple[StoredCopy, Thread | None]:
    """A stored message and the thread it is on or held for; who may see no thread of it gets 404."""
    copy = stored_copy(conn, copy_id[:MAX_ID])
    thread = None if copy.thread_id is None else thread_by_id(conn, copy.thread_id)
    visit.require(permission, None if thread is None else thread.organisation_id)
    return copy, thread


def names_of(conn: Connection, visit: Visit, permission: Permission = Permission.READ) -> Mapping[int, str]:
    """The customers in whose affairs the viewer may do that, by their numbers, in the order of their names."""
    reached = visit.signed_in.account.reach(permission)
    return {one.id: one.name for one in list_organisations(conn) if reached is None or one.id in reached}


def number_of(text: str) -> int:
    """A row's number in a path or form; HTTPException 404 for what no row has."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 10 or int(text) >= MAX_NUMBER:  # noqa: PLR2004
        raise HTTPException(404)
    return int(text)


def word_of(kind: type[W], text: str) -> W | None:
    """One of some words; None for "" ; HTTPException 422 for any other."""
    if not text:
        return None
    try:
        return kind(text)
    except ValueError:
        raise HTTPException(422, f"There is no {kind.__name__.lower()} of that name.") from None
