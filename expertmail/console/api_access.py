"""Who asks: the token of a request (RFC 6750 2.1), and what it may be used for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from ipaddress import ip_address
from typing import Protocol

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request

from expertmail.console.api_failures import WINDOW_SECONDS, Failures
from expertmail.console.api_work import refusals
from threads.api_token import USED_EVERY, ApiToken, Scope, public_id_of, why_refused
from threads.store.api_tokens import find_token, list_tokens, note_use
from threads.store.engine import Database

RECALL_SECONDS = 5.0  # between two looks at which tokens there are, while an address fails too often
MAX_TOKEN = 200  # characters of an Authorization field that are looked at; ours have 85

_log = structlog.get_logger("expertmail")


class Record(Protocol):
    """Where tokens are, and the clock (UTC)."""

    @property
    def database(self) -> Database:
        """The record."""

    @property
    def clock(self) -> Callable[[], datetime]:
        """The clock."""


class Access:
    """Lets requests in by their tokens. All reasons for a refusal look the same from outside."""

    def __init__(self) -> None:
        self._failures = Failures()
        self._recall_at = float("-inf")

    async def admitted(self, request: Request, record: Record, scope: Scope) -> ApiToken:
        """The token of a request; HTTPException: 401 without a good one, 429 after too many such, 403 without the scope."""
        text = _presented(request)
        public_id = public_id_of(text)
        address = "" if request.client is None else request.client.host
        if not await self._may_try(record, address, public_id):
            raise HTTPException(
                429,
                "Too many requests without a token that counts; wait a minute.",
                {"Retry-After": str(int(WINDOW_SECONDS))},
            )
        with refusals():
            token, why = await asyncio.to_thread(_looked_up, record, text, public_id)
        if token is None or why is not None:
            self._refused(address, public_id, token, "missing" if not text else why or "unknown")
            raise HTTPException(
                401, "Send a token that counts: Authorization: Bearer TOKEN.", {"WWW-Authenticate": "Bearer"}
            )
        self._failures.proved(token.public_id)
        if scope not in token.scopes:
            raise HTTPException(
                403,
                f"The token has not the scope {scope}.",
                {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
            )
        return token

    async def _may_try(self, record: Record, address: str, public_id: str | None) -> bool:
        """Whether a token is looked at; who failed too often is asked once in a while whether the record knows its id.

        So the first request after a start, or of a new token, is let in however many others fail at one proxy.
        """
        now = time.monotonic()
        if self._failures.may_try(address, public_id, now):
            return True
        if now < self._recall_at:
            return False
        self._recall_at = now + RECALL_SECONDS
        with refusals():
            for known in await asyncio.to_thread(_in_force, record):
                self._failures.proved(known)
        return self._failures.may_try(address, public_id, now)

    def _refused(self, address: str, public_id: str | None, token: ApiToken | None, why: str) -> None:
        if why in ("revoked", "expired"):
            self._failures.disproved(public_id)
        # Named only where the secret was right: an id alone is no secret, and anybody may send it.
        name = token.name if token is not None and why in ("revoked", "expired") else None
        _log.info("API token refused", client=address, why=why, token=name)
        if self._failures.failed(address, time.monotonic()):
            _log.warning("too many API tokens refused: waiting", client=address)


def _looked_up(record: Record, text: str, public_id: str | None) -> tuple[ApiToken | None, str | None]:
    """The token, and why it does not count; its use is written down."""
    at = record.clock()
    with record.database.reading() as conn:
        token = find_token(conn, public_id or "")
    why = why_refused(token, text, at)
    last = None if token is None else token.last_used_at
    if token is not None and why is None and (last is None or at - last >= USED_EVERY):
        with record.database.writing() as conn:
            note_use(conn, token, at)
    return token, why


def _in_force(record: Record) -> list[str]:
    """The ids of the tokens that count."""
    now = record.clock()
    with record.database.reading() as conn:
        found = list_tokens(conn)
    return [
        one.public_id
        for one in found
        if one.revoked_at is None and (one.expires_at is None or one.expires_at > now)
    ]


def is_near(request: Request) -> bool:
    """Whether the client is on this machine."""
    try:
        return request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _presented(request: Request) -> str:
    """The token in the Authorization field, "" where there is none, or several."""
    fields = request.headers.getlist("authorization")
    if len(fields) != 1:
        return ""
    kind, _, text = fields[0].partition(" ")
    text = text.strip()
    return text if kind.lower() == "bearer" and len(text) <= MAX_TOKEN else ""
