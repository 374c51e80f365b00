"""One SMTP session: the command loop on aiosmtpd's plumbing (``connection``).

Its beginning stands in ``greeting``, the commands in ``commands``, the message itself in ``message_data``. What aiosmtpd 1.4.6 does at these places is
replaced, each for a measured reason:

- its fault reply is 500 with the exception's text: here it is 451 with a reference that is in the log;
- it shares ``command_size_limits`` among sessions and offers AUTH after STARTTLS: here there is one constant
  cap for a command line, and no AUTH.

RFC 5321, RFC 2920 (pipelining), RFC 3030 (BDAT), RFC 3207 (STARTTLS), RFC 2034 (enhanced codes), RFC 6152, RFC 6531,
RFC 1870.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from smtp_gateway import replies
from smtp_gateway.greeting import Greeting
from smtp_gateway.replies import SmtpRefusal, SmtpReply
from smtp_gateway.session_needs import Gateway


class GatewaySession(Greeting):
    """One connection. Made by the server's protocol factory."""

    def __init__(self, gateway: Gateway, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(gateway, loop)
        self._cut_short = False  # the client may be sending still, so that its connection must not be reset
        self._stage = "greeting"  # what a reply is counted under
        self._verbs: dict[str, Callable[[bytes], Awaitable[SmtpReply | None]]] = {
            "HELO": self._helo,
            "EHLO": self._ehlo,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "BDAT": self._bdat,
            "RSET": self._rset,
            "NOOP": self._noop,
            "VRFY": self._vrfy,
            "EXPN": self._not_implemented,
            "AUTH": self._not_implemented,
            "HELP": self._help,
            "QUIT": self._quit,
            "STARTTLS": self._starttls,
        }

    def begun(self) -> None:
        """Forget all that a client said before (RFC 3207 4.2)."""
        self.end_transaction()

    # -- the command loop ---------------------------------------------------------------------------
    async def _handle_client(self) -> None:
        try:
            greeting = await self._greeting()
            self._count(greeting)
            await self._say(greeting)
            if greeting.positive:
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
            self.end_transaction()
            if self.transport is not None and not self._parting:
                if self._outgoing:
                    self._writer.write(bytes(self._outgoing))
                if self._cut_short:
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
            self._count(reply)
            await self._say(reply)
            if reply.closes:
                self._cut_short = reply is not replies.BYE
                return
            if self._stopping and self._transaction is None:
                self._cut_short = True
                await self._say(replies.SHUTTING_DOWN)
                return

    def _count(self, reply: SmtpReply) -> None:
        """Tell of a refusal that nobody else tells of."""
        if not reply.positive and not self._judged:
            self._gateway.refused(self._stage, reply.code)

    async def _next(self) -> SmtpReply | None:
        """Read one command and carry it out; its reply, or None when it has been given already."""
        self._stage, self._judged = "command", False
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
        self._stage = verb.lower()
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
        self.end_transaction()
        self._log.error("fault", reference=reference, exc_info=error)
        return replies.internal_fault(reference)
