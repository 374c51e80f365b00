"""The shell that calls receivers: one POST, bounded in time and octets, to checked addresses only, and no redirect followed."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from outbound.subscriber import Answer
from outbound.web_address import IpNetwork, address_refusal, plain, split, target_refusal

DEADLINE: Final = 15.0
"""Seconds for a whole try, name to last octet: whoever takes longer to say yes is asked again."""
CONNECT_SECONDS: Final = 5.0
MAX_BODY: Final = 16 * 1024
"""Octets of an answer that are read: a number of a message is all that is ever looked for."""
MAX_LINE: Final = 8 * 1024
"""Octets of a line of its header."""


class _NotAllowedError(OSError):
    """The name led where nobody may be sent; ``str`` is a clause for people."""


class _Checked(AbstractResolver):
    """Names to addresses, all of which may be called. The connection goes to what was checked: a name is asked once."""

    def __init__(self, scheme: str, allowed: Sequence[IpNetwork]) -> None:
        self._scheme = scheme
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        refused = target_refusal(self._scheme, [str(one[4][0]) for one in found], self._allowed)
        if refused is not None:
            raise _NotAllowedError(refused)
        return [
            ResolveResult(
                hostname=host,
                host=str(one[4][0]),
                port=port,
                family=one[0],
                proto=one[2],
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for one in found
        ]

    async def close(self) -> None:
        """Nothing is kept."""


class _Connector(aiohttp.TCPConnector):
    """Keeps hold of its connection, to cut it: whoever has not stopped sending would never hear a farewell of TLS."""

    _last: asyncio.BaseTransport | None = None

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - the signature is aiohttp's
    ) -> Connection:
        made = await super().connect(req, traces, timeout)
        self._last = made.transport
        return made

    def cut(self) -> None:
        if isinstance(self._last, asyncio.WriteTransport):
            with suppress(AttributeError):  # Python 3.11's: TLS is over already, and there is nothing to cut
                self._last.abort()


async def post(
    address: str,
    body: bytes,
    fields: Mapping[str, str],
    *,
    allowed: Sequence[IpNetwork] = (),
    trust: ssl.SSLContext | None = None,
    deadline: float = DEADLINE,
) -> Answer:
    """POST ``body`` to an address; whatever happens there comes back as an Answer.

    ``allowed``: networks that may be called although they are not public. ``trust``: whose certificates count; None: the system's.
    """
    refused = _refusal(address, allowed)
    if refused is not None:
        return Answer(0, f"not called: {refused}")
    resolver = _Checked(urlsplit(address).scheme, allowed)
    try:
        async with asyncio.timeout(deadline):
            return await _asked(address, body, fields, resolver, trust)
    except TimeoutError:
        return Answer(0, f"no answer within {deadline:.0f} seconds")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Answer(0, _words_of(error))


def _refusal(address: str, allowed: Sequence[IpNetwork]) -> str | None:
    """Why an address is not called; one that stands in place of a name is never resolved, and so is checked here."""
    parts = split(address)
    refused = address_refusal(address)
    if refused is not None or parts is None or parts.hostname is None:
        return refused or "it is no address"
    try:
        literal = str(plain(parts.hostname))
    except ValueError:  # a name
        return None
    return target_refusal(parts.scheme, [literal], allowed)


async def _asked(
    address: str, body: bytes, fields: Mapping[str, str], resolver: _Checked, trust: ssl.SSLContext | None
) -> Answer:
    connector = _Connector(
        resolver=resolver,
        ssl=True if trust is None else trust,
        force_close=True,
        limit=1,
        use_dns_cache=False,
    )
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    async with (
        _cut(connector),
        aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            trust_env=False,
            auto_decompress=False,  # what is packed is not unpacked: its size is not told before
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=MAX_LINE,
            max_field_size=MAX_LINE,
            skip_auto_headers=("Accept-Encoding",),
        ) as session,
        session.post(address, data=body, headers=dict(fields), allow_redirects=False) as answer,
    ):
        said = await _beginning(answer)
        return Answer(
            answer.status,
            _said(answer.status),
            _asked_to_wait(answer.headers.get("Retry-After"), datetime.now(UTC)),
            said,
        )


@asynccontextmanager
async def _cut(connector: _Connector) -> AsyncIterator[None]:
    try:
        yield
    finally:
        connector.cut()


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    """The first octets of a body; one that is longer, or broken off, changes nothing about its status."""
    kept = bytearray()
    try:
        while len(kept) < MAX_BODY:
            some = await answer.content.read(MAX_BODY - len(kept))
            if not some:
                break
            kept += some
    except aiohttp.ClientError:
        return b""
    return bytes(kept)


def _said(status: int) -> str:
    if 300 <= status < 400:  # noqa: PLR2004 -- RFC 9110 15.4
        return f"{status}: it points elsewhere, where we do not go"
    return str(status)


def _asked_to_wait(field: str | None, now: datetime) -> timedelta | None:
    """Retry-After: seconds or a date (RFC 9110 10.2.3); None for neither."""
    if field is None:
        return None
    field = field.strip()[:40]
    if field.isascii() and field.isdecimal():
        return timedelta(seconds=min(int(field), 10**6))
    try:
        at = parsedate_to_datetime(field)
    except (TypeError, ValueError, IndexError):
        return None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return max(timedelta(0), at - now)


def _words_of(error: Exception) -> str:
    """What happened, without what the other end chose to say, or its address."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, _NotAllowedError):
        return f"not called: {error.os_error}"
    for kind, words in _WORDS:
        if isinstance(error, kind):
            return words
    return "the connection broke"


_WORDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (aiohttp.InvalidURL, "not called: it is no address"),
    (aiohttp.ClientConnectorCertificateError, "its certificate does not count"),
    (aiohttp.ClientConnectorSSLError, "there is no TLS with it"),
    (aiohttp.ClientConnectorDNSError, "its name has no address"),
    (aiohttp.ClientConnectorError, "no connection"),
    (aiohttp.ServerDisconnectedError, "it ended the connection without an answer"),
    (aiohttp.ClientResponseError, "its answer is no HTTP"),
)
