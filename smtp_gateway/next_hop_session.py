"""One SMTP dialogue with the next hop (RFC 5321), by aiosmtplib. Its errors end here, as values.

What of aiosmtplib 5.1 is not used as it is, and why:

- its ``data`` rewrites line ends and stuffs dots by two regular expressions over the whole message on the event
  loop (0.6 s for 35 MB) and hands over all at once: here pieces are stuffed, and the loop is given back between them;
- its ``data`` takes a lone CR or LF for a line end and sends another message than it was given: here such bytes
  are refused before a connection is made (``MailError``), so that nothing can be smuggled (RFC 5321 4.1.1.4);
- it reads a reply that nobody asked for as the answer to the next command, so that one doubled reply to RCPT would
  shift all others: here a rest in its buffer ends the dialogue, and only a 250 to the dot is a 250.

All steps together have ``Times.total``, far inside the ten minutes that our own client waits (RFC 5321
4.5.3.2.6), so that the client hears an answer while it is still there. When the next hop falls silent after the
dot, nobody can know whether it took the message: the client hears 451 and sends again, and a second copy may
arrive there (RFC 5321 6.1). A lost message would be worse.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import aiosmtplib

from smtp_gateway.next_hop import Handover, HopAnswer, HopTls, Mail, NextHop, Step, Trouble, answered

PIECE = 256 * 1024
"""Octets of a message that are stuffed and handed to the transport at a time."""
UNSENT_MAX = 1024 * 1024
"""Octets that may wait in the transport; beyond it we wait for the next hop to read."""
UNSENT_LOOK_SECONDS = 0.005
"""Between two looks at what still waits there."""

_GO_AHEAD, _OK = 354, 250


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds. RFC 5321 4.5.3.2 allows minutes for each step; ours have to fit into our client's ten together."""

    connect: float = 30.0  # and the greeting
    command: float = 60.0
    end: float = 150.0  # for the answer to the dot, when the next hop scans the message
    total: float = 180.0
    quit: float = 2.0


DEFAULT_TIMES = Times()


class MailError(ValueError):
    """The bytes hold a lone CR, a lone LF or a NUL: they cannot be sent as they are, and are not sent otherwise."""


class _EndedError(Exception):
    """The dialogue is over before its end; ``answer`` says why."""

    def __init__(self, answer: HopAnswer) -> None:
        super().__init__(str(answer))
        self.answer = answer


def is_clean(raw: bytes) -> bool:
    """Whether CR and LF occur in pairs only, and NUL not at all (RFC 5321 2.3.8, RFC 5322 2.2)."""
    ends = raw.count(b"\r\n")
    return raw.count(b"\r") == ends and raw.count(b"\n") == ends and b"\0" not in raw


def stuffed(raw: bytes) -> Iterator[bytes]:
    """The message in pieces as it goes on the wire, dots doubled (RFC 5321 4.5.2), with a line end at its end."""
    start = 0
    while start < len(raw):
        end = min(start + PIECE, len(raw))
        if raw[end - 1 : end + 1] == b"\r\n":
            end += 1
        piece = raw[start:end].replace(b"\r\n.", b"\r\n..")
        at_line_start = start == 0 or raw.startswith(b"\r\n", start - 2)
        yield b"." + piece if at_line_start and piece.startswith(b".") else piece
        start = end
    if not raw.endswith(b"\r\n"):
        yield b"\r\n"


async def hand_over(mail: Mail, hop: NextHop, hostname: str, times: Times = DEFAULT_TIMES) -> Handover:
    """Give a message to the next hop. Never raises for what the other side does; MailError for bytes that may not go.

    With recipients that are refused the message goes to the others; when all are, nothing is sent and the answer is
    the first that puts off, else the first refusal.
    """
    # 35 MB take 0.2 s.
    clean = is_clean(mail.raw) if len(mail.raw) <= PIECE else await asyncio.to_thread(is_clean, mail.raw)
    if not clean:
        raise MailError("a lone CR or LF, or a NUL")
    refused: list[tuple[str, HopAnswer]] = []

    async def talk(session: _Session) -> HopAnswer:
        refused.clear()
        await session.mail(mail)
        for recipient in mail.recipients:
            answer = await session.rcpt(recipient)
            if not answer.accepted:
                refused.append((recipient, answer))
        if len(refused) == len(mail.recipients):
            raise _EndedError(next((a for _, a in refused if not a.permanent), refused[0][1]))
        return await session.data(mail.raw)

    answer, tls = await _dialogue(talk, hop, hostname, times)
    return Handover(answer, tuple(refused), tls=tls)


async def ask_recipient(
    recipient: str, hop: NextHop, hostname: str, times: Times = DEFAULT_TIMES
) -> HopAnswer:
    """Whether the next hop would take mail for ``recipient``: MAIL FROM:<>, RCPT, and no message."""

    async def talk(session: _Session) -> HopAnswer:
        await session.mail(Mail("", (recipient,), b""))
        return await session.rcpt(recipient)

    answer, _ = await _dialogue(talk, hop, hostname, times)
    return answer


async def _dialogue(talk: _Talk, hop: NextHop, hostname: str, times: Times) -> tuple[HopAnswer, bool]:
    """The whole of it, with the time that it may take; the decisive answer, and whether TLS protected it."""
    session = _Session(hop, hostname, times, tls=hop.tls)
    try:
        async with asyncio.timeout(times.total):
            answer = await session.run(talk)
            if answer.step is Step.STARTTLS and hop.tls is HopTls.OPPORTUNISTIC:
                # RFC 7435 3: TLS that does not work is no reason to keep mail that may go without.
                session = _Session(hop, hostname, times, tls=HopTls.NONE)
                answer = await session.run(talk)
    except TimeoutError:
        answer = HopAnswer(session.step, trouble=Trouble.TIMEOUT)
    finally:
        session.cut()
    return answer, session.secure


class _Session:
    """One connection, and how far it got. ``run`` may be called once."""

    def __init__(self, hop: NextHop, hostname: str, times: Times, *, tls: HopTls) -> None:
        self._hop = hop
        self._tls = tls
        self._times = times
        self._client = aiosmtplib.SMTP(
            hostname=hop.host,
            port=hop.port,
            local_hostname=hostname,
            timeout=times.connect,
            use_tls=False,
            start_tls=False,
            validate_certs=tls is HopTls.REQUIRED,
        )
        self.step = Step.CONNECT
        self.secure = False

    async def run(self, talk: _Talk) -> HopAnswer:
        """Connect, say hello, talk, say goodbye. A goodbye that fails changes nothing."""
        try:
            await self._client.connect()
            await self._hello()
            if self._tls is HopTls.REQUIRED or (self._tls is not HopTls.NONE and self._offers("starttls")):
                await self._start_tls()
                await self._hello()
            answer = await talk(self)
        except _EndedError as ended:
            answer = ended.answer
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            answer = self._failed(error)
        if self._client.is_connected:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError, ValueError):
                await self._client.quit(timeout=self._times.quit)
        self.cut()
        return answer

    def cut(self) -> None:
        """Close the connection; closing it twice does nothing."""
        self._client.close()

    # -- the steps ----------------------------------------------------------------------------------
    async def _hello(self) -> None:
        self.step = Step.HELLO
        try:
            await self._client.ehlo(timeout=self._times.command)
        except aiosmtplib.SMTPHeloError as error:
            if error.code // 100 != 5 or not self._client.is_connected:  # noqa: PLR2004 - 5yz: it knows no EHLO
                raise
            await self._client.helo(timeout=self._times.command)  # RFC 5321 3.2
        self._in_step()

    async def _start_tls(self) -> None:
        self.step = Step.STARTTLS
        try:
            await self._client.starttls(server_hostname=self._hop.host, timeout=self._times.connect)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            text = type(error).__name__
            raise _EndedError(HopAnswer(Step.STARTTLS, text=text, trouble=Trouble.TLS)) from error
        self.secure = True

    async def mail(self, mail: Mail) -> None:
        """MAIL, with what this message needs of what the next hop offers (RFC 1870, RFC 6152, RFC 6531)."""
        self.step = Step.MAIL
        words = [f"FROM:<{mail.mail_from}>"]
        size = self._client.esmtp_extensions.get("size", "").strip()
        if self._offers("size") and mail.raw:
            # "SIZE" alone or 0 is no limit (RFC 1870 4).
            if size.isascii() and size.isdigit() and 0 < int(size) < len(mail.raw):
                raise _EndedError(HopAnswer(Step.MAIL, trouble=Trouble.TOO_LARGE))
            words.append(f"SIZE={len(mail.raw)}")
        if not mail.raw.isascii():
            if not self._offers("8bitmime"):
                raise _EndedError(HopAnswer(Step.MAIL, trouble=Trouble.NO_8BITMIME))
            words.append("BODY=8BITMIME")
        paths_are_utf8 = not (mail.mail_from + "".join(mail.recipients)).isascii()
        if paths_are_utf8 or (mail.smtputf8 and not _header(mail.raw).isascii()):
            if not self._offers("smtputf8"):
                lacks = Trouble.NO_SMTPUTF8_PATH if paths_are_utf8 else Trouble.NO_SMTPUTF8_HEADER
                raise _EndedError(HopAnswer(Step.MAIL, trouble=lacks))
            words.append("SMTPUTF8")
        answer = await self._ask(b"MAIL", *(word.encode() for word in words))
        if not answer.accepted:
            raise _EndedError(answer)

    async def rcpt(self, recipient: str) -> HopAnswer:
        """RCPT; a refusal is an answer like any other."""
        self.step = Step.RCPT
        return await self._ask(b"RCPT", f"TO:<{recipient}>".encode())

    async def data(self, raw: bytes) -> HopAnswer:
        """DATA, the message, the dot. Only a 250 to the dot says that the next hop has it (RFC 5321 4.1.1.4)."""
        self.step = Step.DATA
        answer = await self._ask(b"DATA")
        if answer.code != _GO_AHEAD:
            if answer.code // 100 in (2, 3):
                raise _EndedError(HopAnswer(Step.DATA, trouble=Trouble.NOT_SMTP))
            return answer
        for piece in stuffed(raw):
            await self._send(piece)
        self.step = Step.END
        answer = await self._ask(b".", seconds=self._times.end)
        if answer.code != _OK and answer.code // 100 in (2, 3):
            raise _EndedError(HopAnswer(Step.END, trouble=Trouble.NOT_SMTP))
        return answer

    async def _ask(self, *words: bytes, seconds: float | None = None) -> HopAnswer:
        reply = await self._client.execute_command(*words, timeout=seconds or self._times.command)
        answer = answered(self.step, reply.code, reply.message)
        if answer.code // 100 in (2, 3):
            self._in_step()
        return answer

    def _in_step(self) -> None:
        """End the dialogue where more was said than was asked for: the rest would answer the next command."""
        protocol = self._client.protocol
        if protocol is not None and protocol._buffer:  # noqa: SLF001 - aiosmtplib has no public look at it
            raise _EndedError(HopAnswer(self.step, text="an answer too many", trouble=Trouble.NOT_SMTP))

    async def _send(self, piece: bytes) -> None:
        transport = self._client.transport
        if not isinstance(transport, asyncio.WriteTransport) or transport.is_closing():
            raise aiosmtplib.SMTPServerDisconnected("the connection broke within the message")
        transport.write(piece)
        await asyncio.sleep(0)
        while transport.get_write_buffer_size() > UNSENT_MAX and not transport.is_closing():  # noqa: ASYNC110 - a transport tells its size, and only its own protocol hears when it has shrunk
            await asyncio.sleep(UNSENT_LOOK_SECONDS)

    def _offers(self, extension: str) -> bool:
        return self._client.supports_extension(extension)

    def _failed(self, error: Exception) -> HopAnswer:  # noqa: PLR0911 - a table: the first line that fits
        """What an error of the library means."""
        if isinstance(error, aiosmtplib.SMTPConnectResponseError):
            return answered(Step.GREETING, error.code, error.message)
        if isinstance(error, aiosmtplib.SMTPConnectTimeoutError):
            greeted_late = isinstance(error.__cause__, aiosmtplib.SMTPTimeoutError)
            step, trouble = (
                (Step.GREETING, Trouble.TIMEOUT) if greeted_late else (Step.CONNECT, Trouble.UNREACHABLE)
            )
            return HopAnswer(step, trouble=trouble)
        if isinstance(error, aiosmtplib.SMTPConnectError):
            dropped = isinstance(error.__cause__, aiosmtplib.SMTPServerDisconnected)
            step, trouble = (
                (Step.GREETING, Trouble.DROPPED) if dropped else (Step.CONNECT, Trouble.UNREACHABLE)
            )
            return HopAnswer(step, trouble=trouble)
        if isinstance(error, aiosmtplib.SMTPResponseException):
            code = error.code
            if 400 <= code < 600:  # noqa: PLR2004 - 4yz and 5yz (RFC 5321 4.2.1)
                return answered(self.step, code, error.message)
            return HopAnswer(self.step, trouble=Trouble.NOT_SMTP)
        if isinstance(error, TimeoutError):
            return HopAnswer(self.step, trouble=Trouble.TIMEOUT)
        if isinstance(error, OSError | aiosmtplib.SMTPServerDisconnected):
            return HopAnswer(self.step, trouble=Trouble.DROPPED)
        # Before there is a connection only its name can be wrong.
        trouble = Trouble.UNREACHABLE if self.step is Step.CONNECT else Trouble.NOT_SMTP
        return HopAnswer(self.step, text=type(error).__name__, trouble=trouble)


def _header(raw: bytes) -> bytes:
    end = raw.find(b"\r\n\r\n")
    return raw if end < 0 else raw[:end]


_Talk = Callable[[_Session], Awaitable[HopAnswer]]
