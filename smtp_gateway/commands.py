"""The commands of a session but for the message itself (RFC 5321 4.1.1, RFC 3207). DATA and BDAT: ``message_data``."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from structlog.contextvars import bind_contextvars, unbind_contextvars

from smtp_gateway import replies
from smtp_gateway.admission import Origin
from smtp_gateway.connection import Connection
from smtp_gateway.envelope import Recipient
from smtp_gateway.paths import read_mail, read_rcpt
from smtp_gateway.reception import Reception
from smtp_gateway.replies import SmtpRefusal, SmtpReply
from smtp_gateway.session_needs import Gateway
from smtp_gateway.transaction import SURPLUS_RECIPIENTS, Transaction

ASCII_PRINTABLE = range(0x21, 0x7F)
HELO_MAX = 255
"""Octets of EHLO's argument (RFC 5321 4.5.3.1.2)."""


class Commands(Connection):
    """The state of a session, and the commands that change it."""

    def __init__(self, gateway: Gateway, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(gateway.settings, gateway.now, loop)
        self._gateway = gateway
        self._transaction: Transaction | None = None
        self._reception: Reception | None = None  # the octets of the transaction's message
        self._errors = 0
        self._idle_commands = 0
        self._messages = 0
        self._origin: Origin | None = None  # what the client is counted by
        self.busy = False  # from the first octet of a message to its reply
        self.in_tls = False  # counted as a TLS session, for the gateway to count out
        self._stopping = False

    def end_transaction(self) -> None:
        """Forget the transaction and what came of its message."""
        self._transaction = None
        unbind_contextvars("message")
        self.busy = False
        if self._reception is not None:
            self._reception.close()
            self._reception = None

    def stop(self) -> None:
        """Take no further message; an idle session is closed at once."""
        self._stopping = True
        if not self.busy:
            self.cut()

    def cut(self) -> None:
        """Say 421 and close, whatever goes on (RFC 5321 3.8)."""
        self.close_with(replies.SHUTTING_DOWN)

    async def _helo(self, argument: bytes) -> SmtpReply:
        self._greet(argument, extended=False)
        return SmtpReply(250, None, self.hostname)

    async def _ehlo(self, argument: bytes) -> None:
        self._greet(argument, extended=True)
        lines = [self.hostname, f"SIZE {self._limits.message_bytes}", "8BITMIME", "PIPELINING", "CHUNKING"]
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
        self.end_transaction()
        self._peer = replace(self._peer, helo=argument.decode("ascii"), extended=extended)

    async def _mail(self, argument: bytes) -> SmtpReply:
        if not self._peer.helo:
            return replies.HELLO_FIRST
        if self._transaction is not None:
            return replies.NESTED_MAIL
        if self._messages >= self._limits.messages or self._stopping:
            return replies.TOO_MANY_COMMANDS if not self._stopping else replies.SHUTTING_DOWN
        if self._origin is not None and not self._gateway.admission.message(self._origin, self.loop.time()):
            return replies.TOO_MANY_MESSAGES
        path, parameters = read_mail(
            argument, extended=self._peer.extended, smtputf8_offered=self.enable_SMTPUTF8
        )
        if parameters.size is not None and parameters.size > self._limits.message_bytes:
            return replies.TOO_LARGE
        message_id = self.new_id()
        self._transaction = Transaction(message_id, path, parameters.smtputf8)
        # On every line from here on, whoever writes it: what works on the message runs in this task, or is started by it.
        bind_contextvars(message=message_id)
        return replies.SENDER_OK

    async def _rcpt(self, argument: bytes) -> SmtpReply:
        transaction = self._transaction
        if transaction is None:
            return replies.MAIL_FIRST if self._peer.helo else replies.HELLO_FIRST
        if transaction.chunks or transaction.failed is not None:
            return replies.CHUNKS_BEGUN
        try:
            path = read_rcpt(argument, extended=self._peer.extended, smtputf8=transaction.smtputf8)
            route = await self._gateway.resolve(path)
        except SmtpRefusal:
            transaction.refused += 1
            raise
        if any(known.path == path for known in transaction.recipients):
            return replies.RECIPIENT_OK
        first = transaction.recipients[0].route if transaction.recipients else route
        full = len(transaction.recipients) >= self._limits.recipients
        if full or (first is not route and first.policy_class != route.policy_class):
            transaction.surplus += 1
            self._idle_commands -= transaction.surplus <= SURPLUS_RECIPIENTS
            return replies.TOO_MANY_RECIPIENTS if full else replies.OTHER_POLICY_CLASS
        self._idle_commands -= 1
        transaction.recipients.append(Recipient(path, route))
        return replies.RECIPIENT_OK

    async def _rset(self, argument: bytes) -> SmtpReply:
        if argument:
            return replies.NO_ARGUMENT
        self.end_transaction()
        return replies.DONE

    async def _noop(self, argument: bytes) -> SmtpReply:
        del argument  # RFC 5321 4.1.1.9: ignored
        return replies.DONE

    async def _vrfy(self, argument: bytes) -> SmtpReply:
        del argument  # RFC 5321 3.5.3, 7.3: the answer is the same for every address
        return replies.CANNOT_VERIFY

    async def _not_implemented(self, argument: bytes) -> SmtpReply:
        del argument  # EXPN, and AUTH, which a server that takes mail from strangers has no use for
        return replies.NOT_IMPLEMENTED

    async def _help(self, argument: bytes) -> SmtpReply:
        del argument
        return replies.HELP

    async def _quit(self, argument: bytes) -> SmtpReply:
        return replies.NO_ARGUMENT if argument else replies.BYE

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
