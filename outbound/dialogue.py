"""One mail's dialogue with one server (RFC 5321). aiosmtplib opens it, with TLS and the account; errors end here."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl

import aiosmtplib

from outbound.connections import Connection, Connections
from outbound.handover import MAX_TRANSCRIPT_LINES, Handover, Server, Timeouts, Tls, plain_reply
from outbound.model import PLAINTEXT, Delivery, Failure, Protection, Reply, TlsLevel
from outbound.smtp_replies import NotSmtpError, Replies, ServerReply

_MAX_TRANSCRIPT_LINE = 200
# The first digit of an answer alone says what it means (RFC 5321 4.2.1).
_COMPLETED = 2
_TAKEN = 250  # but to the final dot: nothing else says that the server has the mail (RFC 5321 4.1.1.4)
_GO_ON = 3
_REFUSED = (4, 5)
_CLOSING = 421
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # nothing that ends a command may stand in one


class _CannotError(Exception):
    """The server lacks an extension that this mail needs."""


async def have(talk: Dialogue, hostname: str, connections: Connections | None) -> Handover:
    """Have the dialogue, and keep its connection where it is fit for another mail and is to be kept."""
    try:
        reply = await talk.run(hostname)
    except (aiosmtplib.SMTPException, OSError, ValueError, NotSmtpError) as error:
        return talk.failed(error)
    except _CannotError as error:
        talk.impossible = True
        return talk.outcome(Reply(0, str(error)), Failure.REFUSED)
    finally:
        await talk.leave(connections)
    return talk.outcome(reply, None)


class Dialogue:
    """The steps for one mail, how far it got, and what was said."""

    def __init__(
        self,
        delivery: Delivery,
        server: Server,
        timeouts: Timeouts,
        tls: Tls,
        connection: Connection | None = None,
    ) -> None:
        self.delivery = delivery
        self.server = server
        self.timeouts = timeouts
        self.tls = tls
        self.connection = connection
        self.client = None if connection is None else connection.client
        self.greeted = connection is not None
        self.begun = False
        self.in_doubt = False
        self.taken = False
        self.impossible = False
        self.in_step = False  # every command has had its answer
        self.starting_tls = tls is Tls.TLS and connection is None
        self.protection = PLAINTEXT if connection is None else connection.protection
        self.lines: list[str] = []

    async def run(self, hostname: str) -> Reply:
        """Send the mail; returns the answer to the final dot."""
        where = f"-- {self.server.name} [{self.server.host}]:{self.server.port}"
        if self.connection is None:
            self._note(where)
            self.connection = await self._open(hostname)
        else:
            self._note(f"{where}, open since an earlier mail")
            self._note_protection()
        return await self._mail(self.connection)

    async def _open(self, hostname: str) -> Connection:
        wait = self.timeouts.command
        client = self.client = aiosmtplib.SMTP(
            hostname=self.server.host,
            port=self.server.port,
            local_hostname=hostname,
            timeout=self.timeouts.connect,
            use_tls=self.tls is Tls.TLS,
            start_tls=False,
            validate_certs=self.tls is not Tls.OPPORTUNISTIC,
            cert_bundle=self.server.cert_bundle,
        )
        greeting = await client.connect()
        if self.tls is Tls.TLS:
            self._protected(client)
        self._heard(greeting)
        await self._hello(client, wait)
        self.greeted = True
        if self.tls is Tls.STARTTLS or (
            self.tls is Tls.OPPORTUNISTIC and client.supports_extension("starttls")
        ):
            await self._start_tls(client)
            await self._hello(client, wait)
            self.greeted = True
        if self.server.credentials is not None:
            self._note("> AUTH (not shown)")
            account = self.server.credentials
            self._heard(await client.login(account.user, account.password, timeout=wait))
        transport = client.transport
        if not isinstance(transport, asyncio.Transport):
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        return Connection(
            client, Replies(transport), self.protection, self.timeouts.quit, asyncio.get_running_loop().time()
        )

    async def _mail(self, connection: Connection) -> Reply:
        """One mail transaction (RFC 5321 3.3)."""
        self.in_step = True
        mail, options = self.delivery, self._options(connection.client)
        if connection.unfinished:
            await self._said(connection, "RSET", _COMPLETED)
            connection.unfinished = False
        commands = (
            (" ".join([f"MAIL FROM:<{mail.mail_from}>", *options]), _COMPLETED),
            (f"RCPT TO:<{mail.rcpt_to}>", _COMPLETED),
            ("DATA", _GO_ON),
        )
        if connection.client.supports_extension("pipelining"):
            await self._together(connection, commands)
        else:
            for command, good in commands:
                await self._said(connection, command, good)
                self.begun = True
        return await self._message(connection)

    async def _said(self, connection: Connection, command: str, good: int) -> None:
        """One command and its answer; SMTPResponseException unless it is a good one."""
        self._write(connection, command)
        answer = await self._next(connection, self.timeouts.command)
        self.in_step = _in_step(answer, good)
        if answer.code // 100 != good:
            raise _refusal(answer)

    async def _together(self, connection: Connection, commands: tuple[tuple[str, int], ...]) -> None:
        """The commands in one packet (RFC 2920 3.1). Each answer is heard, so that the connection stays in step."""
        self._write(connection, *(command for command, _ in commands))
        refused: ServerReply | None = None
        for number, (_, good) in enumerate(commands, 1):
            try:
                answer = await self._next(connection, self.timeouts.command)
            except (OSError, NotSmtpError):
                if refused is None:
                    raise
                break  # the answer that counts was heard
            is_good = answer.code // 100 == good
            if refused is None and is_good:
                self.begun = True
            refused = refused or (None if is_good else answer)
            if not _in_step(answer, good):
                break
            # A server that waits for the text of a refused mail gets none: its connection is dropped.
            waits_for_text = refused is not None and answer.code // 100 == _GO_ON
            self.in_step = number == len(commands) and not waits_for_text
        if refused is not None:
            raise _refusal(refused)

    def _write(self, connection: Connection, *commands: str) -> None:
        if any(map(_CONTROL.search, commands)):
            raise ValueError("a control character in a command")
        for command in commands:
            self._note(f"> {command}")
        self.in_step = False
        connection.replies.send("".join(f"{command}\r\n" for command in commands).encode())

    async def _next(self, connection: Connection, seconds: float) -> ServerReply:
        answer = await connection.replies.next(seconds)
        self._heard(answer)
        return answer

    async def _start_tls(self, client: aiosmtplib.SMTP) -> None:
        self._note("> STARTTLS")
        self.greeted = False
        self.starting_tls = True
        self._heard(await client.starttls(server_hostname=self.server.name, timeout=self.timeouts.connect))
        self._protected(client)

    def _protected(self, client: aiosmtplib.SMTP) -> None:
        self.starting_tls = False
        level = TlsLevel.ENCRYPTED if self.tls is Tls.OPPORTUNISTIC else TlsLevel.VERIFIED
        name, version, _ = client.get_transport_info("cipher") or ("", "", 0)
        self.protection = Protection(level, version, name)
        self._note_protection()

    def _note_protection(self) -> None:
        held = self.protection
        if held.level is not TlsLevel.NONE:
            self._note(f"-- {held.level.value}, {held.version} {held.cipher}")

    async def _message(self, connection: Connection) -> Reply:
        """The message and the answer to its final dot (RFC 5321 4.1.1.4). From the dot to the answer all is in doubt."""
        raw = self.delivery.raw
        self._note(f"> ({len(raw)} octets and the final dot)")
        end = b".\r\n" if raw.endswith(b"\r\n") else b"\r\n.\r\n"
        self.in_step = False
        connection.replies.send(_dots_doubled(raw) + end)
        self.in_doubt = True
        answer = await connection.replies.next(self.timeouts.data)
        reply = Reply(answer.code, plain_reply(answer.message))
        taken = answer.code == _TAKEN
        self.in_doubt = not (taken or reply.for_now or reply.permanent)
        self._heard(answer)
        self.in_step = not self.in_doubt and answer.code != _CLOSING
        if not taken:
            raise _refusal(answer)
        self.taken = True
        return reply

    def _note(self, line: str) -> None:
        if len(self.lines) < MAX_TRANSCRIPT_LINES:
            self.lines.append(plain_reply(line)[:_MAX_TRANSCRIPT_LINE])

    def _heard(self, answer: aiosmtplib.SMTPResponse | ServerReply) -> None:
        self._note(f"< {answer.code} {answer.message}")

    def outcome(self, reply: Reply, failure: Failure | None) -> Handover:
        """How it ended."""
        if failure is not None:
            self._note(f"-- {failure.value}: {reply.code or ''} {reply.text}")
        return Handover(
            self.server.name,
            reply,
            failure,
            tls=self.protection.level is not TlsLevel.NONE or self.starting_tls,
            begun=self.begun,
            protection=self.protection,
            transcript="\n".join(self.lines),
            in_doubt=self.in_doubt and failure is not None,
        )

    async def _hello(self, client: aiosmtplib.SMTP, wait: float) -> None:
        try:
            self._note("> EHLO")
            self._heard(await client.ehlo(timeout=wait))
        except aiosmtplib.SMTPHeloError as error:
            if not Reply(error.code, "").permanent:
                raise
            self._note(f"< {error.code} {error.message}")
            self._note("> HELO")
            self._heard(await client.helo(timeout=wait))  # RFC 5321 3.2: a server may know HELO only

    def _options(self, client: aiosmtplib.SMTP) -> list[str]:
        mail, supports = self.delivery, client.supports_extension
        raw = mail.raw
        if not raw.count(b"\r\n") == raw.count(b"\r") == raw.count(b"\n"):
            raise _CannotError("the mail has a bare CR or LF (RFC 5321 2.3.8)")
        options = []
        if supports("size"):
            options.append(f"SIZE={len(raw)}")  # RFC 1870 6.1
        if not raw.isascii():
            if not supports("8bitmime"):
                raise _CannotError("the server does not take 8-bit mail (RFC 6152)")
            options.append("BODY=8BITMIME")
        if not (mail.mail_from + mail.rcpt_to).isascii():
            if not supports("smtputf8"):
                raise _CannotError("the server does not take internationalised addresses (RFC 6531)")
            options.append("SMTPUTF8")
        return options

    def failed(self, error: Exception) -> Handover:
        """What an error of the library means for the mail."""
        return self.outcome(*self._meaning(error))

    def _meaning(self, error: Exception) -> tuple[Reply, Failure]:
        if self.starting_tls:
            return Reply(0, f"TLS could not be started{_cause(error)}"), Failure.PROTOCOL
        if isinstance(error, aiosmtplib.SMTPResponseException):
            return self._answered(Reply(error.code, plain_reply(error.message)), error)
        if isinstance(error, TimeoutError):
            return Reply(0, "no answer in time"), Failure.TIMEOUT
        if isinstance(error, OSError):
            heard = any(line.startswith("<") for line in self.lines)
            text = "the connection broke" if heard else "no connection"
            return Reply(0, text), Failure.CONNECTION
        return Reply(0, "the server's answer is not SMTP"), Failure.PROTOCOL

    def _answered(self, reply: Reply, error: aiosmtplib.SMTPResponseException) -> tuple[Reply, Failure]:
        if isinstance(error, aiosmtplib.SMTPAuthenticationError):
            # Our account's fault and not the mail's: it waits until a person has seen to it.
            return reply, Failure.LOCAL
        if reply.permanent:
            # A server that refuses to talk at all (RFC 5321 3.1) says nothing about this mail.
            return reply, Failure.REFUSED if self.greeted else Failure.REFUSED_FOR_NOW
        return reply, Failure.REFUSED_FOR_NOW if reply.for_now else Failure.PROTOCOL

    async def leave(self, connections: Connections | None) -> None:
        """Keep the connection where it is in step, or end it; the mail's fate is decided."""
        connection = self.connection
        if connection is None:
            await self._quit()
        elif not self.in_step:
            connection.drop()
        else:
            connection.mails += 1
            connection.unfinished = not self.taken
            if connections is None:
                await connection.end()
            else:
                connections.keep((self.server, self.tls), connection)

    async def _quit(self) -> None:
        """End a dialogue that came to no mail."""
        if self.client is None:
            return
        if self.client.is_connected:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError, ValueError):
                await self.client.quit(timeout=self.timeouts.quit)
        self.client.close()


def _in_step(answer: ServerReply, good: int) -> bool:
    """Whether an answer can be that to the command; any other tells that server and client have lost each other."""
    return answer.code // 100 in (good, *_REFUSED) and answer.code != _CLOSING


def _refusal(answer: ServerReply) -> aiosmtplib.SMTPResponseException:
    return aiosmtplib.SMTPResponseException(answer.code, answer.message)


def _cause(error: BaseException | None) -> str:
    """Why a certificate was not good enough, in the library's words, if that is what it was."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f": {plain_reply(error.verify_message)}"
        error = error.__cause__ or error.__context__
    return ""


def _dots_doubled(raw: bytes) -> bytes:
    """Transparency (RFC 5321 4.5.2) of a message whose lines end with CRLF."""
    doubled = raw.replace(b"\r\n.", b"\r\n..")
    return b"." + doubled if raw.startswith(b".") else doubled
