"""A server's replies in their order (RFC 5321 4.2), also where several commands were sent at once (RFC 2920 3.1)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

# RFC 5321 4.5.3.1.5 says 512 octets; some servers say more.
MAX_LINE: Final = 8_192
# All that a server may say while nobody has read it: a reply of many lines is no explanation.
MAX_WAITING: Final = 4 * MAX_LINE
_CODE_DIGITS: Final = 3


class NotSmtpError(Exception):
    """What came is no reply."""


@dataclass(frozen=True, slots=True)
class ServerReply:
    """A code and the text of all lines, with line feeds between them."""

    code: int
    message: str


def first_reply(said: bytes) -> tuple[ServerReply, int] | None:
    """The first reply in what came, and how many octets it took; None while it is not whole. Raises NotSmtpError."""
    texts: list[str] = []
    at = 0
    while (end := said.find(b"\n", at)) != -1:
        line = said[at : end + 1]
        at = end + 1
        code, mark = line[:_CODE_DIGITS], line[_CODE_DIGITS : _CODE_DIGITS + 1]
        if len(line) > MAX_LINE or len(code) < _CODE_DIGITS or not code.isdigit() or mark not in b"- \r\n":
            raise NotSmtpError
        texts.append(line[_CODE_DIGITS + 1 :].strip().decode("utf-8", "replace"))
        if mark != b"-":
            return ServerReply(int(code), "\n".join(texts)), at
    if len(said) > MAX_WAITING:
        raise NotSmtpError
    return None


class Replies(asyncio.Protocol):
    """Takes a connection's protocol over once its dialogue stands: commands are written, replies awaited one by one."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._said = bytearray()
        self._ended = False
        self._news = asyncio.Event()
        transport.set_protocol(self)

    @property
    def silent(self) -> bool:
        """Whether the connection stands and the server has said nothing that was not awaited."""
        return not (self._said or self._ended or self._transport.is_closing())

    def send(self, data: bytes) -> None:
        """Write a command, several, or a message; ConnectionError where nobody takes it.

        NotSmtpError where more was said than was asked for: it would be taken for the answer, or the answer for another's.
        """
        if self._said:
            raise NotSmtpError
        if self._ended or self._transport.is_closing():
            raise ConnectionResetError
        self._transport.write(data)

    def abort(self) -> None:
        """End the connection now: what a server has not taken is not waited for, or it could hold a descriptor for ever."""
        self._transport.abort()

    async def next(self, seconds: float) -> ServerReply:
        """The next reply; TimeoutError, ConnectionError where none comes, NotSmtpError where it is none."""
        async with asyncio.timeout(seconds):
            while (found := first_reply(bytes(self._said))) is None:
                if self._ended:
                    raise ConnectionResetError
                self._news.clear()
                await self._news.wait()
        del self._said[: found[1]]
        return found[0]

    def data_received(self, data: bytes) -> None:
        """Something came; more than a reply needs is not kept, only that it was too much."""
        if len(self._said) <= MAX_WAITING:
            self._said += data
        self._news.set()

    def eof_received(self) -> None:
        """The server says no more; the connection is closed."""
        self._over()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- why makes no difference
        """Nothing can be said any more."""
        self._over()

    def _over(self) -> None:
        self._ended = True
        self._news.set()
