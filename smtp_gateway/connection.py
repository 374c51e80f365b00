"""One connection, as octets: aiosmtpd's plumbing under a session, with what it does wrong replaced.

- A half-close does not cancel anything: what arrived is answered. In plaintext only a lost connection ends the session.
- An idle client hears 421 (RFC 5321 4.5.3.2.7); one timer serves a connection, however often there is progress.
- A command line ends with CRLF and has a cap; a line without end is not read to its end.
- What came in plaintext behind STARTTLS is forgotten (RFC 3207 5).
- Replies to pipelined commands are gathered (RFC 2920 3.2).
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import ssl
from asyncio import sslproto
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from aiosmtpd.smtp import SMTP

from smtp_gateway import replies
from smtp_gateway.envelope import Peer, TlsFacts, sortable_id
from smtp_gateway.gateway_settings import GatewaySettings
from smtp_gateway.replies import SmtpRefusal, SmtpReply

BUFFER = 64 * 1024
"""Octets that may wait unread before the transport is paused (twice this, in asyncio's reader)."""
OUTGOING_MAX = 8 * 1024
"""Octets of replies gathered before they are sent whatever waits."""
ENTROPY_BYTES = 10
PARTING_SECONDS = 2.0
"""After our last word a client has this long to read it and to close."""
TLS_HANDSHAKE_SECONDS = 30
"""A client that asks for TLS and then says nothing is gone after this."""

_log = structlog.get_logger("smtp_gateway")


def plain_address(address: str) -> str:
    """A peer's address without the scope of a link-local one; IPv4 inside IPv6 as IPv4 (RFC 4291 2.5.5.2)."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


class Connection(SMTP):
    """What a session stands on. The session adds the commands, ``begun`` and ``lost``."""

    line_length_limit = BUFFER  # aiosmtpd hands this to the stream reader as its buffer limit

    def __init__(
        self, settings: GatewaySettings, clock: Callable[[], datetime], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._limits = settings.limits
        self._clock = clock
        super().__init__(
            _NO_HOOKS,
            hostname=settings.hostname,
            ident="ESMTP",
            tls_context=settings.tls,
            timeout=settings.limits.idle_seconds,
            enable_SMTPUTF8=settings.smtputf8,
            data_size_limit=settings.limits.message_bytes,
            loop=loop,
        )
        self._peer = Peer("", "", 0, "", extended=False)
        self._outgoing = bytearray()  # replies not sent yet
        self._progress = loop.time()
        self._log = _log
        self._parting = False  # our last word is said; what the client still sends is not read
        self._awaited: asyncio.Future[bytes] | None = None  # where octets of a message go

    def begun(self) -> None:
        """The connection begins, or begins anew under TLS."""

    def lost(self) -> None:
        """The connection is gone."""

    @property
    def waits_for_us(self) -> bool:
        """Whether the client waits for an answer of ours, so that its silence means nothing."""
        return False

    @property
    def patience(self) -> float:
        """Seconds without progress before the session ends."""
        return self._limits.idle_seconds

    def new_id(self) -> str:
        """A sortable id for a connection or a message."""
        return sortable_id(self._clock(), secrets.token_bytes(ENTROPY_BYTES))

    # -- the transport's events ---------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection, or the same one again once TLS protects it (RFC 3207 4.2: all is forgotten)."""
        after_starttls = self._original_transport is not None
        self.begun()
        self._progress = self.loop.time()
        if after_starttls:
            self._peer = replace(self._peer, helo="", extended=False)
        else:
            host, port = (transport.get_extra_info("peername") or ("", 0))[:2]
            connection_id = self.new_id()
            address = plain_address(str(host))
            self._peer = Peer(connection_id, address, int(port), "", extended=False)
            self._log = _log.bind(connection=connection_id, client=address)
        super().connection_made(transport)

    def _become(self, address: str, port: int) -> None:
        """Be a session of that client's, as a proxy says."""
        address = plain_address(address)
        self._peer = replace(self._peer, ip=address, port=port)
        self._log = self._log.bind(client=address)

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone. A message that was complete goes on being stored (see ``_take``)."""
        self.lost()
        super().connection_lost(error)
        self._no_more_octets()

    def data_received(self, data: bytes) -> None:
        """Octets of the client's; forgotten once our last word is said."""
        if self._parting:
            return
        awaited = self._awaited
        if awaited is not None and not awaited.done():
            awaited.set_result(data)
        else:
            super().data_received(data)

    def eof_received(self) -> bool | None:
        """The client sends no more. What it sent is still answered, unless TLS makes that impossible."""
        asyncio.StreamReaderProtocol.eof_received(self)
        self._no_more_octets()
        return self._original_transport is None and not self._parting

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Note progress. One timer checks it now and then, instead of a new timer for every command."""
        del duration
        self._progress = self.loop.time()
        if self._timeout_handle is None:
            self._timeout_handle = self.loop.call_later(self._tick, self._timeout_cb)

    @property
    def _tick(self) -> float:
        """How often progress is looked at."""
        return min(self._limits.idle_seconds, self._limits.data_idle_seconds)

    def _timeout_cb(self) -> None:
        """End a session whose client has been silent for too long (RFC 5321 4.5.3.2.7, 3.8)."""
        left = self._progress + self.patience - self.loop.time()
        if self.waits_for_us:
            left = self._tick
        if left > 0:
            self._timeout_handle = self.loop.call_later(min(left, self._tick), self._timeout_cb)
            return
        self._log.info("idle")
        self.close_with(replies.IDLE)

    def close_with(self, reply: SmtpReply) -> None:
        """Say ``reply`` and close, from outside the command loop."""
        if self.transport is None or self.transport.is_closing() or self._parting:
            return
        self._writer.write(bytes(self._outgoing) + reply.line())
        self._outgoing.clear()
        self.part()

    def part(self) -> None:
        """Close so that our last word arrives.

        To close at once would reset a connection whose client has sent something more (RFC 1122 4.2.2.13), and a
        reset may overtake the word. TLS has a goodbye of its own.
        """
        plain: Any = self.transport
        if plain is None or plain.is_closing() or self._parting:
            return
        if self._reader.at_eof() or not plain.can_write_eof():
            plain.close()
            return
        self._parting = True
        try:
            plain.resume_reading()
            plain.write_eof()
        except OSError:  # the client has gone
            plain.close()
        self.loop.call_later(PARTING_SECONDS, plain.close)

    def _no_more_octets(self) -> None:
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(b"")

    # -- reading and saying -------------------------------------------------------------------------
    async def _some_octets(self, most: int) -> bytes:
        """Octets of a message as they come from the socket, not by way of the stream reader's buffer, which copies them twice.

        Empty at the client's end; raises what the connection was lost with.
        """
        if self._unread or self._reader.at_eof() or self._reader.exception() is not None:
            return await self._reader.read(most)
        self._awaited = self.loop.create_future()
        octets = await self._awaited
        if len(octets) > most:
            self._unread[:0] = octets[most:]
            octets = octets[:most]
        return octets or await self._reader.read(most)  # it knows how the connection ended

    async def _command_line(self) -> bytes:
        """One line without its CRLF; raises SmtpRefusal for one that is none."""
        try:
            line = await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError as error:
            raise SmtpRefusal(replies.ENDLESS_LINE) from error
        self._progress = self.loop.time()
        if not line.endswith(b"\r\n"):
            # RFC 5321 2.3.8. Going on would run a command that a stricter relay before us saw as text.
            raise SmtpRefusal(replies.NO_CRLF)
        if len(line) > self._limits.command_bytes:
            raise SmtpRefusal(replies.LINE_TOO_LONG)
        line = line[:-2]
        if b"\r" in line or b"\0" in line:
            raise SmtpRefusal(replies.BAD_COMMAND_LINE)
        return line

    async def _say(self, reply: SmtpReply) -> None:
        await self._write(reply.line())

    async def _write(self, octets: bytes) -> None:
        """Send replies; while a whole command waits to be read, gather them (RFC 2920 3.2)."""
        self._outgoing += octets
        if b"\n" not in self._unread or len(self._outgoing) > OUTGOING_MAX:
            await self._flush()

    async def _flush(self) -> None:
        if self._parting:
            self._outgoing.clear()
        if self._outgoing:
            self._writer.write(bytes(self._outgoing))
            self._outgoing.clear()
            await self._writer.drain()

    @property
    def _unread(self) -> bytearray:
        """What the stream reader holds. It has no public way to forget or to take back octets."""
        reader: Any = self._reader
        buffer: bytearray = reader._buffer  # noqa: SLF001 - see above; aiosmtpd does the same
        return buffer

    # -- STARTTLS -----------------------------------------------------------------------------------
    async def _upgrade(self, context: ssl.SSLContext) -> None:
        """Put TLS under this session. aiosmtpd's ``connection_made`` swaps the transports when it is up."""
        done = self.loop.create_future()
        # What was sent in plaintext behind STARTTLS must never be read as if it came under TLS (RFC 3207 5).
        self._unread.clear()
        if self._reader.at_eof():
            raise ConnectionResetError(
                "nothing can come after STARTTLS"
            )  # or it would wait for the handshake's deadline
        self._tls_protocol = sslproto.SSLProtocol(
            self.loop,
            self,
            context,
            done,
            server_side=True,
            ssl_handshake_timeout=TLS_HANDSHAKE_SECONDS,
        )
        plain: Any = self.transport  # a transport of the selector loop: it can change protocols and abort
        self._original_transport = plain
        plain.set_protocol(self._tls_protocol)
        self.transport = self._tls_protocol._app_transport  # noqa: SLF001 - as aiosmtpd does; no public name
        self._tls_protocol.connection_made(plain)
        try:
            await done
        except OSError as error:
            self._log.info("TLS handshake failed", cause=type(error).__name__)
            plain.abort()
            # asyncio tells nobody of the loss of a connection whose handshake failed; uncounted, such clients
            # would use up all places.
            if self._timeout_handle is not None:
                self._timeout_handle.cancel()
            self.lost()
            raise ConnectionResetError("TLS handshake failed") from error
        secured: Any = self.transport.get_extra_info("ssl_object")
        if secured is None:
            raise ConnectionResetError("the client left with the handshake's last octet")
        cipher = secured.cipher() or ("unknown",)
        self._peer = replace(self._peer, tls=TlsFacts(secured.version() or "TLS", cipher[0]))


class _NoHooks:
    """aiosmtpd looks for hooks on its handler; there are none."""


_NO_HOOKS = _NoHooks()
