"""Handing one mail to one server over SMTP (RFC 5321), by aiosmtplib. Its errors end here."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

import aiosmtplib

from outbound.model import PLAINTEXT, Delivery, Failure, Protection, Reply, TlsLevel

# The whole of one try, over all hosts. Shorter than the lease (outbound.store.LEASE), so that a try that is
# still running is never begun by another worker.
ATTEMPT_SECONDS = 840.0
# A server's words are shown to people and stored; more than this is not an explanation.
_MAX_REPLY = 500
# A dialogue is some twenty lines; a server that says more in each must not fill the database.
MAX_TRANSCRIPT_LINES = 40
_MAX_TRANSCRIPT_LINE = 200
_GO_ON = 354
_COMPLETED = 250


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for connecting, for each answer, and for the answer to the final dot (RFC 5321 4.5.3.2)."""

    connect: float = 30.0
    command: float = 300.0
    data: float = 600.0
    quit: float = 5.0


DEFAULT_TIMEOUTS = Timeouts()


class Tls(StrEnum):
    """How a connection is encrypted."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"  # STARTTLS where offered, certificate not checked (RFC 7435)
    STARTTLS = "starttls"  # required, certificate checked (RFC 3207)
    TLS = "tls"  # from the first byte, certificate checked (RFC 8314)


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account on a smarthost. The password is in no repr."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect: ``host`` a name or address; ``name`` is the name for TLS and for people."""

    host: str
    port: int
    tls: Tls
    name: str
    credentials: Credentials | None = None
    cert_bundle: str | None = None


@dataclass(frozen=True, slots=True)
class Handover:
    """What came of handing a mail over. ``begun``: a server had accepted MAIL, so no other host may be tried.

    ``transcript`` and ``in_doubt`` are those of ``outbound.model.Attempt``.
    """

    host: str
    reply: Reply
    failure: Failure | None = None
    tls: bool = False
    begun: bool = False
    protection: Protection = PLAINTEXT
    transcript: str = ""
    in_doubt: bool = False


class Transport(Protocol):
    """A way for mail to leave. ``deliver`` never raises for what the other side does."""

    async def deliver(self, delivery: Delivery) -> Handover:
        """Hand over the delivery's bytes with its envelope."""
        ...


class _CannotError(Exception):
    """The server lacks an extension that this mail needs."""


async def hand_over(delivery: Delivery, server: Server, hostname: str, timeouts: Timeouts) -> Handover:
    """One SMTP dialogue. ``hostname`` is our own name for EHLO (RFC 5321 4.1.1.1).

    A mail that needs it goes under TLS with a checked certificate whatever the settings say by now, or not at all.
    """
    if delivery.needs_tls and server.tls in (Tls.NONE, Tls.OPPORTUNISTIC):
        done = await _dialogue(delivery, server, hostname, timeouts, tls=Tls.STARTTLS)
        if done.failure is Failure.PROTOCOL and done.tls and not done.begun:
            reason = f"{done.reply.text}; this mail holds details and goes under checked TLS only"
            return replace(done, reply=replace(done.reply, text=reason))
        return done
    if server.tls is not Tls.OPPORTUNISTIC:
        return await _dialogue(delivery, server, hostname, timeouts, tls=server.tls)
    first = await _dialogue(delivery, server, hostname, timeouts, tls=Tls.OPPORTUNISTIC)
    if first.failure is not Failure.PROTOCOL or first.begun or not first.tls:
        return first
    # RFC 7435 3: TLS that does not work is no reason not to deliver where plaintext would do.
    second = await _dialogue(delivery, server, hostname, timeouts, tls=Tls.NONE)
    return replace(second, transcript=joined(first.transcript, second.transcript))


def joined(*transcripts: str) -> str:
    """One transcript of several dialogues, within the same bound; the last one's lines matter most."""
    lines = [line for one in transcripts for line in one.splitlines()]
    return "\n".join(lines[-MAX_TRANSCRIPT_LINES:])


async def _dialogue(
    delivery: Delivery, server: Server, hostname: str, timeouts: Timeouts, *, tls: Tls
) -> Handover:
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        local_hostname=hostname,
        timeout=timeouts.connect,
        use_tls=tls is Tls.TLS,
        start_tls=False,
        validate_certs=tls is not Tls.OPPORTUNISTIC,
        cert_bundle=server.cert_bundle,
    )
    talk = _Dialogue(client, delivery, server, timeouts, tls)
    try:
        reply = await talk.run()
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        return talk.failed(error)
    except _CannotError as error:
        return talk.outcome(Reply(0, str(error)), Failure.REFUSED)
    finally:
        await talk.end()
    return talk.outcome(reply, None)


class _Dialogue:
    """The steps of one session, how far it got, and what was said."""

    def __init__(
        self, client: aiosmtplib.SMTP, delivery: Delivery, server: Server, timeouts: Timeouts, tls: Tls
    ) -> None:
        self.client = client
        self.delivery = delivery
        self.server = server
        self.timeouts = timeouts
        self.tls = tls
        self.greeted = False
        self.begun = False
        self.in_doubt = False
        self.starting_tls = tls is Tls.TLS
        self.protection = PLAINTEXT
        self.lines: list[str] = []

    async def run(self) -> Reply:
        """Send the mail; returns the answer to the final dot."""
        client, wait = self.client, self.timeouts.command
        self._note(f"-- {self.server.name} [{self.server.host}]:{self.server.port}")
        greeting = await client.connect()
        if self.tls is Tls.TLS:
            self._protected()
        self._heard(greeting)
        await self._hello(wait)
        self.greeted = True
        if self.tls is Tls.STARTTLS or (
            self.tls is Tls.OPPORTUNISTIC and client.supports_extension("starttls")
        ):
            await self._start_tls()
            await self._hello(wait)
            self.greeted = True
        if self.server.credentials is not None:
            self._note("> AUTH (not shown)")
            account = self.server.credentials
            self._heard(await client.login(account.user, account.password, timeout=wait))
        mail, options = self.delivery, self._options()
        encoding = "utf-8" if "SMTPUTF8" in options else "ascii"
        self._note(" ".join([f"> MAIL FROM:<{mail.mail_from}>", *options]))
        self._heard(await client.mail(mail.mail_from, options=options, encoding=encoding, timeout=wait))
        self.begun = True
        self._note(f"> RCPT TO:<{mail.rcpt_to}>")
        self._heard(await client.rcpt(mail.rcpt_to, encoding=encoding, timeout=wait))
        return await self._data(wait)

    async def _start_tls(self) -> None:
        self._note("> STARTTLS")
        self.greeted = False
        self.starting_tls = True
        self._heard(
            await self.client.starttls(server_hostname=self.server.name, timeout=self.timeouts.connect)
        )
        self._protected()

    def _protected(self) -> None:
        self.starting_tls = False
        level = TlsLevel.ENCRYPTED if self.tls is Tls.OPPORTUNISTIC else TlsLevel.VERIFIED
        name, version, _ = self.client.get_transport_info("cipher") or ("", "", 0)
        self.protection = Protection(level, version, name)
        self._note(f"-- {level.value}, {version} {name}")

    async def _data(self, wait: float) -> Reply:
        """The message and the answer to its final dot (RFC 5321 4.1.1.4). From the dot to the answer all is in doubt."""
        raw = self.delivery.raw
        if not raw.count(b"\r\n") == raw.count(b"\r") == raw.count(b"\n"):
            raise _CannotError("the mail has a bare CR or LF (RFC 5321 2.3.8)")
        self._note("> DATA")
        go_on = await self.client.execute_command(b"DATA", timeout=wait)
        self._heard(go_on)
        if go_on.code != _GO_ON:
            raise aiosmtplib.SMTPResponseException(go_on.code, go_on.message)
        protocol = self.client.protocol
        if protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        self._note(f"> ({len(raw)} octets and the final dot)")
        self.in_doubt = True
        end = b".\r\n" if raw.endswith(b"\r\n") else b"\r\n.\r\n"
        protocol.write(_dots_doubled(raw) + end)
        answer = await protocol.read_response(timeout=self.timeouts.data)
        reply = Reply(answer.code, plain_reply(answer.message))
        self.in_doubt = not (reply.accepted or reply.for_now or reply.permanent)
        self._heard(answer)
        if answer.code != _COMPLETED:
            raise aiosmtplib.SMTPResponseException(answer.code, answer.message)
        return reply

    def _note(self, line: str) -> None:
        if len(self.lines) < MAX_TRANSCRIPT_LINES:
            self.lines.append(plain_reply(line)[:_MAX_TRANSCRIPT_LINE])

    def _heard(self, answer: aiosmtplib.SMTPResponse) -> None:
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

    async def _hello(self, wait: float) -> None:
        try:
            self._note("> EHLO")
            self._heard(await self.client.ehlo(timeout=wait))
        except aiosmtplib.SMTPHeloError as error:
            if not Reply(error.code, "").permanent:
                raise
            self._note(f"< {error.code} {error.message}")
            self._note("> HELO")
            self._heard(await self.client.helo(timeout=wait))  # RFC 5321 3.2: a server may know HELO only

    def _options(self) -> list[str]:
        mail, supports = self.delivery, self.client.supports_extension
        options = []
        if supports("size"):
            options.append(f"SIZE={len(mail.raw)}")  # RFC 1870 6.1
        if not mail.raw.isascii():
            if not supports("8bitmime"):
                raise _CannotError("the server does not take 8-bit mail (RFC 6152)")
            options.append("BODY=8BITMIME")
        if not (mail.mail_from + mail.rcpt_to).isascii():
            if not supports("smtputf8"):
                raise _CannotError("the server does not take internationalised addresses (RFC 6531)")
            options.append("SMTPUTF8")
        return options

    def failed(self, error: aiosmtplib.SMTPException | OSError | ValueError) -> Handover:
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

    async def end(self) -> None:
        """Say goodbye, but owe nothing to the answer: the mail's fate is decided."""
        if self.client.is_connected:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError, ValueError, asyncio.TimeoutError):
                await self.client.quit(timeout=self.timeouts.quit)
        self.client.close()


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


def plain_reply(text: str) -> str:
    """A server's words as one harmless line."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())[:_MAX_REPLY]


@dataclass(frozen=True, slots=True)
class SmarthostTransport:
    """Everything goes to one server."""

    server: Server
    hostname: str
    timeouts: Timeouts = DEFAULT_TIMEOUTS

    async def deliver(self, delivery: Delivery) -> Handover:
        """Hand over to the smarthost."""
        return await hand_over(delivery, self.server, self.hostname, self.timeouts)


def smarthost(
    host: str,
    port: int,
    *,
    tls: Tls,
    hostname: str,
    credentials: Credentials | None = None,
    cert_bundle: str | None = None,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
) -> SmarthostTransport:
    """A transport to one server; ``hostname`` is our own name for EHLO, ``cert_bundle`` a file of trusted authorities."""
    return SmarthostTransport(Server(host, port, tls, host, credentials, cert_bundle), hostname, timeouts)
