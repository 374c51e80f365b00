"""One SMTP session: our own command loop and transaction on aiosmtpd's plumbing (``connection``).

What aiosmtpd 1.4.6 does at these places is replaced, each for a measured reason:

- its DATA loop reads lines without bound and lets bare CR, LF and NUL through: ``data_reader`` reads chunks;
- a message whose last octet arrived is worked off in a task of its own, whatever becomes of the connection;
- its fault reply is 500 with the exception's text: here it is 451 with a reference that is in the log;
- it shares ``command_size_limits`` among sessions and offers AUTH after STARTTLS: here there is one constant
  cap for a command line, and no AUTH.

RFC 5321, RFC 2920 (pipelining), RFC 3207 (STARTTLS), RFC 2034 (enhanced codes), RFC 6152, RFC 6531, RFC 1870.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from smtp_gateway import replies
from smtp_gateway.connection import Connection
from smtp_gateway.data_reader import DataReader, DataState, Received
from smtp_gateway.envelope import Envelope, Recipient
from smtp_gateway.gateway_settings import GatewaySettings
from smtp_gateway.paths import Path, read_mail, read_rcpt
from smtp_gateway.replies import SmtpRefusal, SmtpReply
from smtp_gateway.routes import Route

CHUNK = 256 * 1024
"""Octets taken from the socket at a time: what asyncio's transport reads at once."""
RESERVE_STEP = 256 * 1024
"""Octets of a message between two looks at the memory that all messages take."""
ASCII_PRINTABLE = range(0x21, 0x7F)
HELO_MAX = 255
"""Octets of EHLO's argument (RFC 5321 4.5.3.1.2)."""

SURPLUS_RECIPIENTS = 1_000
"""RCPT commands of one message that may hear 452: more than any mailer puts into one transaction, and it comes back
with the rest (RFC 5321 4.5.3.1.10), so it must not lose the message for them."""


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

    def reserve(self, octets: int) -> bool:
        """Count octets of a message in; False when those in memory would be too many."""

    def release(self, octets: int) -> None:
        """Count them out."""

    @property
    def crowded(self) -> bool:
        """Whether as many messages are being worked on as may be."""
        ...

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
    surplus: int = 0  # recipients that were told to come in another transaction


class GatewaySession(Connection):
    """One connection. Made by the server's protocol factory."""

    def __init__(self, gateway: Gateway, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(gateway.settings, gateway.now, loop)
        self._gateway = gateway
        self._transaction: Transaction | None = None
        self._errors = 0
        self._idle_commands = 0
        self._messages = 0
        self._reserved = 0  # octets of the message being received
        self.busy = False  # from the start of DATA to its reply
        self.in_tls = False  # counted as a TLS session, for the gateway to count out
        self._counted = False
        self._stopping = False
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

    def begun(self) -> None:
        """Forget all that a client said before (RFC 3207 4.2)."""
        self._transaction = None

    def lost(self) -> None:
        """Count the session out. A message that was complete goes on being stored (see ``_take``)."""
        if self._counted:
            self._counted = False
            self._gateway.leave(self)

    @property
    def waits_for_us(self) -> bool:
        """From the end of a message to its reply."""
        return self.busy and self._transaction is None

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
            if self.transport is not None and not self._parting:
                if self._outgoing:
                    self._writer.write(bytes(self._outgoing))
                if self._stopping:
                    self.part()
                else:
                    self.transport.close()

    async def _converse(self) -> None:
        while self.transport is not None and not self.transport.is_closing() and not self._parting:
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
        # Every command counts, whatever becomes of it; a recipient takes its own back, a complete message all.
        self._idle_commands += 1
        if self._idle_commands > self._limits.idle_commands:
            return replies.TOO_MANY_COMMANDS
        command = self._verbs.get(verb)
        if command is None:
            return replies.UNKNOWN_COMMAND
        return await self._guarded(command, argument.strip(b" "))

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

    # -- commands -----------------------------------------------------------------------------------
    async def _helo(self, argument: bytes) -> SmtpReply:
        self._greet(argument, extended=False)
        return SmtpReply(250, None, self.hostname)

    async def _ehlo(self, argument: bytes) -> None:
        self._greet(argument, extended=True)
        lines = [self.hostname, f"SIZE {self._limits.message_bytes}", "8BITMIME", "PIPELINING"]
        if self.enable_SMTPUTF8:
            lines.append("SMTPUTF8")
        if self.tls_context is not None and not self.in_tls:
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
        message_id = self.new_id()
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
        first = transaction.recipients[0].route if transaction.recipients else route
        full = len(transaction.recipients) >= self._limits.recipients
        if full or first.policy_class is not route.policy_class:
            transaction.surplus += 1
            self._idle_commands -= transaction.surplus <= SURPLUS_RECIPIENTS
            return replies.TOO_MANY_RECIPIENTS if full else replies.OTHER_POLICY_CLASS
        self._idle_commands -= 1
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
        if self.in_tls:
            return replies.TLS_ALREADY
        if not self._gateway.enter_tls():
            return replies.TLS_UNAVAILABLE
        self.in_tls = True
        await self._say(replies.START_TLS)
        await self._flush()
        await self._upgrade(self.tls_context)
        return None

    # -- DATA ---------------------------------------------------------------------------------------
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
            self._gateway.release(self._reserved)
            self._reserved = 0

    async def _take(self, transaction: Transaction) -> SmtpReply:
        try:
            async with asyncio.timeout(self._limits.data_seconds):
                received = await self._read_data()
        except TimeoutError:
            return replies.IDLE
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours; the rest of the message must not be read as commands
            self._log.error("fault", message=transaction.id, reference=transaction.id, exc_info=error)
            return replies.closing_fault(transaction.id)
        if received is None:
            return replies.ENDLESS_DATA
        refused = _refused(received) or (replies.STORAGE_FULL if self._gateway.crowded else None)
        if refused is not None:
            return refused
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
        reserved, self._reserved = self._reserved, 0
        work.add_done_callback(lambda _: self._gateway.release(reserved))
        try:
            return await asyncio.shield(work)
        except SmtpRefusal:
            raise
        except Exception as error:  # noqa: BLE001 - our own fault whatever it is; the client may try again
            self._log.error("fault", message=envelope.id, reference=envelope.id, exc_info=error)
            return replies.internal_fault(envelope.id)
        finally:
            self._progress = self.loop.time()

    def _reserve(self, reader: DataReader) -> None:
        """Reserve memory in steps as a message grows; small ones are under one step and always find room."""
        if reader.held <= self._reserved + RESERVE_STEP:
            return
        step = reader.held - self._reserved
        if self._gateway.reserve(step):
            self._reserved += step
        else:
            reader.give_up()

    async def _read_data(self) -> Received | None:
        """Read to the end of the data; None when it is so far over the cap that reading on is no use."""
        reader = DataReader(self._limits.message_bytes)
        while True:
            chunk = await self._reader.read(CHUNK)
            if not chunk:
                raise ConnectionResetError("the client went away in mid-data")
            self._progress = self.loop.time()
            state = reader.feed(chunk)
            self._reserve(reader)
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


def _refused(received: Received) -> SmtpReply | None:
    """The answer to data that cannot be taken, whatever the message says."""
    if received.given_up:
        return replies.STORAGE_FULL
    if received.too_large:
        return replies.TOO_LARGE
    return replies.BARE_CONTROL if received.bare_control else None
