"""One SMTP session: aiosmtpd's transport plumbing with our own command loop, DATA reader and replies.

What aiosmtpd 1.4.6 does at these places is replaced, each for a measured reason:

- its DATA loop reads lines without bound and lets bare CR, LF and NUL through: ``data_reader`` reads chunks;
- its timeout covers a whole DATA: here every octet received is progress, and an idle client gets 421;
- a half-close cancels the handler: here the session just reads to the end, and a message whose last octet
  arrived is worked off in a task of its own, whatever becomes of the connection;
- its fault reply is 500 with the exception's text: here it is 451 with a reference that is in the log;
- it shares ``command_size_limits`` among sessions and offers AUTH after STARTTLS: here there is one constant
  cap for a command line, and no AUTH.

RFC 5321, RFC 2920 (pipelining), RFC 3207 (STARTTLS), RFC 2034 (enhanced codes), RFC 6152, RFC 6531, RFC 1870.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from asyncio import sslproto
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

import structlog
from aiosmtpd.smtp import SMTP

from smtp_gateway import replies
from smtp_gateway.data_reader import DataReader, DataState, Received
from smtp_gateway.envelope import Envelope, Peer, Recipient, TlsFacts, sortable_id
from smtp_gateway.gateway_settings import GatewaySettings
from smtp_gateway.paths import Path, read_mail, read_rcpt
from smtp_gateway.replies import SmtpRefusal, SmtpReply
from smtp_gateway.routes import Route

CHUNK = 256 * 1024
"""Octets taken from the socket at a time: what asyncio's transport reads at once."""
BUFFER = 64 * 1024
"""Octets that may wait unread before the transport is paused (twice this, in asyncio's reader)."""
OUTGOING_MAX = 8 * 1024
"""Octets of replies gathered before they are sent whatever waits."""
ENTROPY_BYTES = 10
ASCII_PRINTABLE = range(0x21, 0x7F)
HELO_MAX = 255
"""Octets of EHLO's argument (RFC 5321 4.5.3.1.2)."""
TLS_HANDSHAKE_SECONDS = 30

_NEUTRAL = frozenset({"NOOP", "RSET", "VRFY", "EXPN", "HELP", "HELO", "EHLO"})
_log = structlog.get_logger("smtp_gateway")


class Gateway(Protocol):
    """What a session needs from the gateway around it."""

    settings: GatewaySettings

    def now(self) -> datetime:
        """The clock, UTC."""

    def resolve(self, path: Path) -> Route:
        """Where a recipient leads; raises SmtpRefusal."""

    async def take(self, envelope: Envelope) -> SmtpReply:
        """Judge and store a message; the reply is positive only once it is durable. May raise SmtpRefusal."""

    def enter(self, session: GatewaySession) -> bool:
        """Count a session in; False when there are too many."""

    def leave(self, session: GatewaySession) -> None:
        """Count a session out."""

    def enter_tls(self) -> bool:
        """Count a TLS session in; False when there are too many."""

    def keep(self, work: Awaitable[SmtpReply]) -> asyncio.Task[SmtpReply]:
        """Run work that must end even if its session does not live to see it."""


@dataclass(slots=True)
class Transaction:
    """A message in the making, from MAIL to the end of DATA."""

    id: str
    mail_from: Path
    smtputf8: bool
    recipients: list[Recipient] = field(default_factory=list)
    refused: int = 0


class GatewaySession(SMTP):
    """One connection. Made by the server's protocol factory."""

    line_length_limit = BUFFER  # aiosmtpd hands this to the stream reader as its buffer limit

    def __init__(self, gateway: Gateway, loop: asyncio.AbstractEventLoop) -> None:
        settings = gateway.settings
        self._gateway = gateway
        self._limits = settings.limits
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
        self._transaction: Transaction | None = None
        self._peer = Peer("", "", 0, "", extended=False)
        self._outgoing = bytearray()  # replies not sent yet
        self._errors = 0
        self._idle_commands = 0
        self._messages = 0
        self._progress = loop.time()
        self.busy = False  # from the start of DATA to its reply
        self._in_tls = False
        self._counted = False
        self._stopping = False
        self._log = _log
        self._verbs: dict[str, Callable[[bytes], Awaitable[SmtpReply | None]]] = {
            "HELO": self._helo,
            "EHLO": self._ehlo,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": self._rset,
            "NOOP": self._noop,
            "VRFY": self._vrfy,
            "EXPN": self._expn,
            "HELP": self._help,
            "QUIT": self._quit,
            "STARTTLS": self._starttls,
        }

    # -- the transport's events ---------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection, or the same one again once TLS protects it (RFC 3207 4.2: all is forgotten)."""
        after_starttls = self._original_transport is not None
        self._transaction = None
        self._progress = self.loop.time()
        if after_starttls:
            self._peer = replace(self._peer, helo="", extended=False)
        else:
            host, port = (transport.get_extra_info("peername") or ("", 0))[:2]
            connection_id = sortable_id(self._gateway.now(), secrets.token_bytes(ENTROPY_BYTES))
            self._peer = Peer(connection_id, str(host), int(port), "", extended=False)
            self._log = _log.bind(connection=connection_id, client=str(host))
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone. A message that was complete goes on being stored (see ``_take``)."""
        if self._counted:
            self._counted = False
            self._gateway.leave(self)
        super().connection_lost(error)

    def eof_received(self) -> bool | None:
        """The client sends no more. What it sent is still answered, unless TLS makes that impossible."""
        asyncio.StreamReaderProtocol.eof_received(self)
        return self._original_transport is None

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Note progress. One timer checks it now and then, instead of a new timer for every command."""
        del duration
        self._progress = self.loop.time()
        if self._timeout_handle is None:
            self._timeout_handle = self.loop.call_later(self._limits.idle_seconds, self._timeout_cb)

    def _timeout_cb(self) -> None:
        """End a session whose client has been silent for too long (RFC 5321 4.5.3.2.7, 3.8)."""
        left = self._progress + self._limits.idle_seconds - self.loop.time()
        if self._waits_for_us:
            left = self._limits.idle_seconds
        if left > 0:
            self._timeout_handle = self.loop.call_later(left, self._timeout_cb)
            return
        self._log.info("idle")
        self.close_with(replies.IDLE)

    @property
    def _waits_for_us(self) -> bool:
        return self.busy and self._transaction is None

    def close_with(self, reply: SmtpReply) -> None:
        """Say ``reply`` and close, from outside the command loop."""
        if self.transport is None or self.transport.is_closing():
            return
        self._writer.write(bytes(self._outgoing) + reply.line())
        self._outgoing.clear()
        self.transport.close()

    # -- the command loop ---------------------------------------------------------------------------
    async def _handle_client(self) -> None:
        try:
            self._counted = self._gateway.enter(self)
            if not self._counted:
                await self._say(replies.TOO_MANY_CONNECTIONS)
                return
            self._log.debug("connected")
            await self._say(SmtpReply(220, None, f"{self.hostname} ESMTP"))
            await self._converse()
        except (ConnectionError, asyncio.IncompleteReadError):
            self._log.debug("connection lost")
        except asyncio.CancelledError:
            self._log.debug("connection lost")
            raise
        except Exception:  # noqa: BLE001 - the session's outermost frame; what comes here is logged and told as 421
            # Nothing below lets an exception through; should one come, the client hears 421 and no more.
            self._log.exception("session fault")
            self._outgoing += replies.SHUTTING_DOWN.line()
        finally:
            if self.transport is not None:
                if self._outgoing:
                    self._writer.write(bytes(self._outgoing))
                self.transport.close()

    async def _converse(self) -> None:
        while self.transport is not None and not self.transport.is_closing():
            reply = await self._next()
            if reply is None:
                continue
            if reply.code >= 500:  # noqa: PLR2004 - 5yz: the client's own mistake (RFC 5321 4.2.1)
                self._errors += 1
                if self._errors > self._limits.errors and not reply.closes:
                    reply = replies.TOO_MANY_ERRORS
            await self._say(reply)
            if reply.closes:
                return
            if self._stopping and self._transaction is None:
                await self._say(replies.SHUTTING_DOWN)
                return

    async def _next(self) -> SmtpReply | None:
        """Read one command and carry it out; its reply, or None when it has been given already."""
        try:
            line = await self._command_line()
        except SmtpRefusal as refusal:
            return refusal.reply
        word, _, argument = line.partition(b" ")
        verb = word.decode("ascii", "replace").upper()
        command = self._verbs.get(verb)
        if command is None:
            return replies.UNKNOWN_COMMAND
        if verb in _NEUTRAL:
            self._idle_commands += 1
            if self._idle_commands > self._limits.idle_commands:
                return replies.TOO_MANY_COMMANDS
        return await self._guarded(command, argument.strip(b" "))

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

    async def _guarded(
        self, command: Callable[[bytes], Awaitable[SmtpReply | None]], argument: bytes
    ) -> SmtpReply | None:
        """Carry a command out; a refusal and a fault of ours both become a reply, with the cause in the log."""
        try:
            return await command(argument)
        except SmtpRefusal as refusal:
            self._log.info("refused", reply=str(refusal.reply), cause=refusal.cause)
            return refusal.reply
        except (ConnectionError, asyncio.IncompleteReadError):
            raise
        except Exception as error:  # noqa: BLE001 - the last barrier: any fault of ours is 451 and an entry in the log
            return await self._fault(error)

    async def _fault(self, error: Exception) -> SmtpReply:
        """The reply for a fault of ours; the transaction is over, the session goes on."""
        reference = self._transaction.id if self._transaction is not None else self._peer.connection_id
        self._transaction = None
        self._log.error("fault", reference=reference, exc_info=error)
        return replies.internal_fault(reference)

    async def handle_exception(self, error: Exception) -> str:
        """The library's hook for faults; only its own code could lead here."""
        return str(await self._fault(error))

    async def _say(self, reply: SmtpReply) -> None:
        await self._write(reply.line())

    async def _write(self, octets: bytes) -> None:
        """Send replies; while a whole command waits to be read, gather them (RFC 2920 3.2)."""
        self._outgoing += octets
        if b"\n" not in self._unread or len(self._outgoing) > OUTGOING_MAX:
            await self._flush()

    async def _flush(self) -> None:
        if self._outgoing:
            self._writer.write(bytes(self._outgoing))
            self._outgoing.clear()
            await self._writer.drain()

    # -- commands -----------------------------------------------------------------------------------
    async def _helo(self, argument: bytes) -> SmtpReply:
        self._greet(argument, extended=False)
        return SmtpReply(250, None, self.hostname)

    async def _ehlo(self, argument: bytes) -> None:
        self._greet(argument, extended=True)
        lines = [self.hostname, f"SIZE {self._limits.message_bytes}", "8BITMIME", "PIPELINING"]
        if self.enable_SMTPUTF8:
            lines.append("SMTPUTF8")
        if self.tls_context is not None and not self._in_tls:
            lines.append("STARTTLS")
        lines.append("ENHANCEDSTATUSCODES")
        last = len(lines) - 1
        text = "".join(f"250{' ' if n == last else '-'}{line}\r\n" for n, line in enumerate(lines))
        await self._write(text.encode("ascii", "replace"))

    def _greet(self, argument: bytes, *, extended: bool) -> None:
        if not 0 < len(argument) <= HELO_MAX or any(octet not in ASCII_PRINTABLE for octet in argument):
            raise SmtpRefusal(replies.HELLO_SYNTAX, "EHLO argument")
        self._transaction = None
        self._peer = replace(self._peer, helo=argument.decode("ascii"), extended=extended)

    async def _mail(self, argument: bytes) -> SmtpReply:
        if not self._peer.helo:
            return replies.HELLO_FIRST
        if self._transaction is not None:
            return replies.NESTED_MAIL
        if self._messages >= self._limits.messages or self._stopping:
            return replies.TOO_MANY_COMMANDS if not self._stopping else replies.SHUTTING_DOWN
        path, parameters = read_mail(
            argument, extended=self._peer.extended, smtputf8_offered=self.enable_SMTPUTF8
        )
        if parameters.size is not None and parameters.size > self._limits.message_bytes:
            return replies.TOO_LARGE
        message_id = sortable_id(self._gateway.now(), secrets.token_bytes(ENTROPY_BYTES))
        self._transaction = Transaction(message_id, path, parameters.smtputf8)
        return replies.SENDER_OK

    async def _rcpt(self, argument: bytes) -> SmtpReply:
        transaction = self._transaction
        if transaction is None:
            return replies.MAIL_FIRST if self._peer.helo else replies.HELLO_FIRST
        try:
            path = read_rcpt(argument, extended=self._peer.extended, smtputf8=transaction.smtputf8)
            route = self._gateway.resolve(path)
        except SmtpRefusal:
            transaction.refused += 1
            raise
        if any(known.path == path for known in transaction.recipients):
            return replies.RECIPIENT_OK
        if len(transaction.recipients) >= self._limits.recipients:
            return replies.TOO_MANY_RECIPIENTS
        first = transaction.recipients[0].route if transaction.recipients else route
        if first.policy_class is not route.policy_class:
            return replies.OTHER_POLICY_CLASS
        transaction.recipients.append(Recipient(path, route))
        return replies.RECIPIENT_OK

    async def _rset(self, argument: bytes) -> SmtpReply:
        if argument:
            return replies.NO_ARGUMENT
        self._transaction = None
        return replies.DONE

    async def _noop(self, argument: bytes) -> SmtpReply:
        del argument  # RFC 5321 4.1.1.9: ignored
        return replies.DONE

    async def _vrfy(self, argument: bytes) -> SmtpReply:
        del argument  # RFC 5321 3.5.3, 7.3: the answer is the same for every address
        return replies.CANNOT_VERIFY

    async def _expn(self, argument: bytes) -> SmtpReply:
        del argument
        return replies.NOT_IMPLEMENTED

    async def _help(self, argument: bytes) -> SmtpReply:
        del argument
        return replies.HELP

    async def _quit(self, argument: bytes) -> SmtpReply:
        return replies.NO_ARGUMENT if argument else replies.BYE

    # -- STARTTLS (RFC 3207) ------------------------------------------------------------------------
    async def _starttls(self, argument: bytes) -> SmtpReply | None:
        if argument:
            return replies.NO_ARGUMENT
        if self.tls_context is None:
            return replies.NOT_IMPLEMENTED
        if self._in_tls:
            return replies.TLS_ALREADY
        if not self._gateway.enter_tls():
            return replies.TLS_UNAVAILABLE
        self.in_tls = True
        await self._say(replies.START_TLS)
        await self._flush()
        await self._upgrade(self.tls_context)
        return None

    in_tls = False  # counted as a TLS session, for the gateway to count out

    async def _upgrade(self, context: ssl.SSLContext) -> None:
        """Put TLS under this session. aiosmtpd's ``connection_made`` swaps the transports when it is up."""
        done = self.loop.create_future()
        # What was sent in plaintext behind STARTTLS must never be read as if it came under TLS (RFC 3207 5).
        self._unread.clear()
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
        except (OSError, ConnectionError) as error:
            self._log.info("TLS handshake failed", cause=type(error).__name__)
            plain.abort()
            raise ConnectionResetError("TLS handshake failed") from error
        self._in_tls = True
        secured: Any = self.transport.get_extra_info("ssl_object")
        cipher = secured.cipher() or ("unknown",)
        self._peer = replace(self._peer, tls=TlsFacts(secured.version() or "TLS", cipher[0]))

    # -- DATA ---------------------------------------------------------------------------------------
    @property
    def _unread(self) -> bytearray:
        """What the stream reader holds. It has no public way to forget or to take back octets."""
        reader: Any = self._reader
        buffer: bytearray = reader._buffer  # noqa: SLF001 - see above; aiosmtpd does the same
        return buffer

    async def _data(self, argument: bytes) -> SmtpReply:
        transaction = self._transaction
        if argument:
            return replies.NO_ARGUMENT
        if transaction is None:
            return replies.MAIL_FIRST if self._peer.helo else replies.HELLO_FIRST
        if not transaction.recipients:
            return replies.NO_VALID_RECIPIENTS if transaction.refused else replies.RCPT_FIRST
        self.busy = True
        try:
            await self._say(replies.START_DATA)
            await self._flush()
            return await self._take(transaction)
        finally:
            self.busy = False
            self._transaction = None

    async def _take(self, transaction: Transaction) -> SmtpReply:
        try:
            async with asyncio.timeout(self._limits.data_seconds):
                received = await self._read_data()
        except TimeoutError:
            return replies.IDLE
        if received is None:
            return replies.ENDLESS_DATA
        if received.too_large:
            return replies.TOO_LARGE
        if received.bare_control:
            return replies.BARE_CONTROL
        self._messages += 1
        self._idle_commands = 0
        envelope = Envelope(
            id=transaction.id,
            peer=self._peer,
            mail_from=transaction.mail_from,
            recipients=tuple(transaction.recipients),
            smtputf8=transaction.smtputf8,
            raw=received.raw,
            digest=received.digest,
            received_at=self._gateway.now(),
        )
        self._transaction = None
        work = self._gateway.keep(self._gateway.take(envelope))
        try:
            return await asyncio.shield(work)
        except SmtpRefusal:
            raise
        except Exception as error:  # noqa: BLE001 - our own fault whatever it is; the client may try again
            self._log.error("fault", message=envelope.id, reference=envelope.id, exc_info=error)
            return replies.internal_fault(envelope.id)
        finally:
            self._progress = self.loop.time()

    async def _read_data(self) -> Received | None:
        """Read to the end of the data; None when it is so far over the cap that reading on is no use."""
        reader = DataReader(self._limits.message_bytes)
        while True:
            chunk = await self._reader.read(CHUNK)
            if not chunk:
                raise ConnectionResetError("the client went away in mid-data")
            self._progress = self.loop.time()
            state = reader.feed(chunk)
            if state is DataState.COMPLETE:
                received = reader.result()
                if received.rest:  # pipelined commands behind the dot (RFC 2920)
                    self._unread[:0] = received.rest
                return received
            if state is DataState.ENDLESS:
                return None

    def stop(self) -> None:
        """Take no further message; an idle session is closed at once."""
        self._stopping = True
        if not self.busy:
            self.cut()

    def cut(self) -> None:
        """Say 421 and close, whatever goes on (RFC 5321 3.8)."""
        self.close_with(replies.SHUTTING_DOWN)


class _NoHooks:
    """aiosmtpd looks for hooks on its handler; there are none."""


_NO_HOOKS = _NoHooks()
