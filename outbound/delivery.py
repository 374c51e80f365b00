"""Handing one mail to one server over SMTP (RFC 5321), by aiosmtplib. Its errors end here."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import aiosmtplib

from outbound.model import Delivery, Failure, Reply

# The whole of one try, over all hosts. Shorter than the lease (outbound.store.LEASE), so that a try that is
# still running is never begun by another worker.
ATTEMPT_SECONDS = 840.0
# A server's words are shown to people and stored; more than this is not an explanation.
_MAX_REPLY = 500


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
    """What came of handing a mail over. ``begun``: a server had accepted MAIL, so no other host may be tried."""

    host: str
    reply: Reply
    failure: Failure | None = None
    tls: bool = False
    begun: bool = False


class Transport(Protocol):
    """A way for mail to leave. ``deliver`` never raises for what the other side does."""

    async def deliver(self, delivery: Delivery) -> Handover:
        """Hand over the delivery's bytes with its envelope."""
        ...


class _CannotError(Exception):
    """The server lacks an extension that this mail needs."""


async def hand_over(delivery: Delivery, server: Server, hostname: str, timeouts: Timeouts) -> Handover:
    """One SMTP dialogue. ``hostname`` is our own name for EHLO (RFC 5321 4.1.1.1)."""
    if server.tls is not Tls.OPPORTUNISTIC:
        return await _dialogue(delivery, server, hostname, timeouts, tls=server.tls)
    done = await _dialogue(delivery, server, hostname, timeouts, tls=Tls.OPPORTUNISTIC)
    if done.failure is Failure.PROTOCOL and not done.begun and done.tls:
        # RFC 7435 3: TLS that does not work is no reason not to deliver where plaintext would do.
        done = await _dialogue(delivery, server, hostname, timeouts, tls=Tls.NONE)
    return done


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
    talk = _Dialogue(client, delivery, server, timeouts)
    try:
        reply = await talk.run(tls)
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        return talk.failed(error)
    except _CannotError as error:
        return Handover(server.name, Reply(0, str(error)), Failure.REFUSED, tls=talk.secure, begun=talk.begun)
    finally:
        await talk.end()
    return Handover(server.name, reply, None, tls=talk.secure, begun=True)


class _Dialogue:
    """The steps of one session, and how far it got."""

    def __init__(
        self, client: aiosmtplib.SMTP, delivery: Delivery, server: Server, timeouts: Timeouts
    ) -> None:
        self.client = client
        self.delivery = delivery
        self.server = server
        self.timeouts = timeouts
        self.greeted = False
        self.begun = False
        self.secure = False
        self.starting_tls = False

    async def run(self, tls: Tls) -> Reply:
        """Send the mail; returns the answer to the final dot."""
        client, wait = self.client, self.timeouts.command
        await client.connect()
        self.secure = tls is Tls.TLS
        await self._hello(wait)
        self.greeted = True
        if tls is Tls.STARTTLS or (tls is Tls.OPPORTUNISTIC and client.supports_extension("starttls")):
            self.starting_tls = True
            await client.starttls(server_hostname=self.server.name, timeout=self.timeouts.connect)
            self.starting_tls = False
            self.secure = True
            await self._hello(wait)
        if self.server.credentials is not None:
            await client.login(self.server.credentials.user, self.server.credentials.password, timeout=wait)
        mail, options = self.delivery, self._options()
        encoding = "utf-8" if "SMTPUTF8" in options else "ascii"
        await client.mail(mail.mail_from, options=options, encoding=encoding, timeout=wait)
        self.begun = True
        await client.rcpt(mail.rcpt_to, encoding=encoding, timeout=wait)
        answer = await client.data(mail.raw, timeout=self.timeouts.data)
        return Reply(answer.code, plain_reply(answer.message))

    async def _hello(self, wait: float) -> None:
        try:
            await self.client.ehlo(timeout=wait)
        except aiosmtplib.SMTPHeloError:
            await self.client.helo(timeout=wait)  # RFC 5321 3.2: a server may know HELO only

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
        reply, failure = self._meaning(error)
        return Handover(
            self.server.name, reply, failure, tls=self.secure or self.starting_tls, begun=self.begun
        )

    def _meaning(self, error: Exception) -> tuple[Reply, Failure]:
        if self.starting_tls:
            return Reply(0, "TLS could not be started"), Failure.PROTOCOL
        if isinstance(error, aiosmtplib.SMTPResponseException):
            return self._answered(Reply(error.code, plain_reply(error.message)), error)
        if isinstance(error, TimeoutError):
            return Reply(0, "no answer in time"), Failure.TIMEOUT
        if isinstance(error, OSError):
            text = "the connection broke" if self.greeted else "no connection"
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


def plain_reply(text: str) -> str:
    """A server's words as one harmless line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_MAX_REPLY]


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
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
) -> SmarthostTransport:
    """A transport to one server; ``hostname`` is our own name for EHLO."""
    return SmarthostTransport(Server(host, port, tls, host, credentials), hostname, timeouts)
