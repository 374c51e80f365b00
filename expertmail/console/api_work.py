"""What the requests of one interface share: their number, their keys, and how the record's errors are told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, TypeVar

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request

from expertmail.letters import LetterRefused, RefusalKind
from outbound.approval import digest_of
from threads.api_token import ApiToken
from threads.model import Organisation, Thread
from threads.store import Connection
from threads.store.errors import RefusedRecord, StoreError, UnknownRecord
from threads.store.people import find_organisation, organisation
from threads.store.thread import thread_by_reference

MAX_WORKING: Final = 4
"""Requests at work at one time; mail over SMTP comes first on a small machine. Fewer than asyncio's own threads, which are five at
least, so that what these wait for always finds one."""
MAX_WAITING: Final = 64
"""Further ones that may wait; more than one portal sends at a time."""
MAX_KEY: Final = 100
"""Characters of an Idempotency-Key; a UUID has 36."""

T = TypeVar("T")


class Places:
    """So many requests at work, so many that wait; others are told to come again."""

    def __init__(self) -> None:
        self._working = asyncio.Semaphore(MAX_WORKING)
        self._present = 0

    @asynccontextmanager
    async def presence(self) -> AsyncIterator[None]:
        """A place among those that are here; HTTPException 503 when there is none."""
        if self._present >= MAX_WORKING + MAX_WAITING:
            raise HTTPException(503, "Too many requests at one time; try again.", {"Retry-After": "1"})
        self._present += 1
        try:
            yield
        finally:
            self._present -= 1

    async def run(self, work: Callable[[], T]) -> T:
        """Do what waits for disk or computes for long, off the event loop, and tell its refusals."""
        async with self._working:
            with refusals():
                return await asyncio.to_thread(work)


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the record and the commands' own checks refuse into answers; the texts are made for people."""
    try:
        yield
    except UnknownRecord as error:
        raise HTTPException(404) from error
    except RefusedRecord as error:
        raise HTTPException(409, str(error)) from error
    except StoreError as error:
        raise HTTPException(503, str(error), {"Retry-After": "5"}) from error
    except LetterRefused as error:
        conflicts = error.kind in (RefusalKind.CONFLICT, RefusalKind.WITHHELD)
        # An address that is not found is no 404: the incident is there, and what is missing is named.
        raise HTTPException(409 if conflicts else 422, error.sentence) from error


def thread_for(
    conn: Connection, reference: str, token: ApiToken, *, as_named: bool = False
) -> tuple[Thread, Organisation]:
    """The thread that a token may touch, or the one that goes on for it (but ``as_named``), and its customer.

    UnknownRecord alike for one that is none, is another's, or was erased.
    """
    thread = thread_by_reference(conn, reference, as_named=as_named)
    if not token.may_touch(thread.organisation_id):
        raise UnknownRecord("There is no such thread.")
    customer = find_organisation(conn, organisation(conn, thread.organisation_id).name)
    if customer is None:  # erased: a shell is left of it
        raise UnknownRecord("There is no such thread.")
    return thread, customer


def customer_of(conn: Connection, name: str, token: ApiToken) -> Organisation:
    """The customer of that name that a token may touch; UnknownRecord alike for one that is none, is another's, or was erased."""
    customer = find_organisation(conn, name)
    if customer is None or not token.may_touch(customer.id):
        raise UnknownRecord("There is no such customer.")
    return customer


def idempotency_key(request: Request) -> str:
    """The key of a request that may come again (HTTPException 400): whoever does not hear our answer sends it again."""
    fields = request.headers.getlist("idempotency-key")
    key = fields[0].strip() if len(fields) == 1 else ""
    if not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise HTTPException(
            400,
            f"Send one Idempotency-Key: 1 to {MAX_KEY} printable ASCII characters, the same when you repeat the request "
            "and another for another one. The portal's own number of what it posts will do.",
        )
    return key


def key_digest(token: ApiToken, operation: str, key: str) -> str:
    """What a key is kept as: nobody else's key, nor one of another operation, is ever the same."""
    return digest_of((token.public_id, operation, key))


def content_digest(form: BaseModel, *also: str) -> str:
    """What a request asks for, as one value: two with one key have to be equal in it."""
    said = form.model_dump(mode="json", exclude_unset=True)
    return digest_of((json.dumps(said, sort_keys=True, ensure_ascii=True), *also))
