"""A next hop for tests: a real socket server that keeps what it is given, and does wrong what it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

HOST = "127.0.0.1"
EXTENSIONS = ("PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")


@dataclass
class Taken:
    """One message with its envelope: ``wire`` is what came between 354 and the end, dots still doubled."""

    mail: str
    recipients: list[str]
    wire: bytes

    @property
    def raw(self) -> bytes:
        """The message itself, by the rules of RFC 5321 4.5.2."""
        assert self.wire.endswith(b"\r\n.\r\n") or self.wire == b".\r\n"
        lines = self.wire[: -len(b".\r\n")].split(b"\r\n")
        return b"\r\n".join(line.removeprefix(b".") for line in lines)


@dataclass
class Hop:
    """``faults`` maps a step to a reply line, or to "drop", "stall", "drop-after" and the like (see ``_say``).

    Steps are greeting, EHLO, HELO, STARTTLS, MAIL, RCPT, RCPT <address>, DATA and end.
    """

    faults: Mapping[str, str] = field(default_factory=dict)
    extensions: tuple[str, ...] = EXTENSIONS
    tls: ssl.SSLContext | None = None
    port: int = 0
    commands: list[str] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    connections: int = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, _OverError):
            await self._say(writer, "greeting", "220 hop.test ESMTP")
            mail, recipients = "", []
            while line := await reader.readline():
                command = line.decode().rstrip("\r\n")
                self.commands.append(command)
                verb = command.partition(" ")[0].upper()
                if verb == "EHLO":
                    offered = [*self.extensions, *(("STARTTLS",) if self.tls and not _secure(writer) else ())]
                    lines = ["hop.test", *offered]
                    text = "\r\n".join(
                        f"250{' ' if n == len(lines) - 1 else '-'}{x}" for n, x in enumerate(lines)
                    )
                    await self._say(writer, "EHLO", text)
                elif verb == "STARTTLS" and self.tls:
                    await self._say(writer, "STARTTLS", "220 2.0.0 go")
                    await writer.start_tls(self.tls)
                elif verb == "MAIL":
                    mail, recipients = command, []
                    await self._say(writer, "MAIL", "250 2.1.0 ok")
                elif verb == "RCPT":
                    address = command.partition("<")[2].partition(">")[0]
                    step = f"RCPT {address}" if f"RCPT {address}" in self.faults else "RCPT"
                    if (await self._say(writer, step, "250 2.1.5 ok")).startswith("250"):
                        recipients.append(address)
                elif verb == "DATA":
                    if not (await self._say(writer, "DATA", "354 go ahead")).startswith("354"):
                        continue
                    wire = await self._message(reader)
                    if (await self._say(writer, "end", "250 2.0.0 queued as 4711")).startswith("250"):
                        self.taken.append(Taken(mail, recipients, wire))
                elif verb == "QUIT":
                    await self._say(writer, "QUIT", "221 2.0.0 bye")
                    return
                else:
                    await self._say(writer, verb, "250 2.0.0 ok")

    async def _message(self, reader: asyncio.StreamReader) -> bytes:
        wire = b""
        while not (wire.endswith(b"\r\n.\r\n") or wire == b".\r\n"):
            if self.faults.get("end") == "drop-within" and len(wire) > 100:
                raise _OverError
            line = await reader.readline()
            if not line:
                raise _OverError
            wire += line
        return wire

    async def _say(self, writer: asyncio.StreamWriter, step: str, text: str) -> str:
        fault = self.faults.get(step, "")
        if fault == "drop":
            raise _OverError
        if fault == "reset":
            writer.transport.abort()
            raise _OverError
        if fault == "stall":
            await asyncio.sleep(30)
        if fault == "half":  # a line that is cut off
            writer.write(text[:3].encode())
            await writer.drain()
            raise _OverError
        said = text
        if fault == "twice":
            said = f"{text}\r\n{text}"
        elif fault and fault != "drop-within":
            said = fault
        writer.write(said.encode() + b"\r\n")
        await writer.drain()
        return said


class _OverError(Exception):
    """The hop hangs up."""


def _secure(writer: asyncio.StreamWriter) -> bool:
    return writer.get_extra_info("ssl_object") is not None


@asynccontextmanager
async def scripted_hop(**how: object) -> AsyncIterator[Hop]:
    """A hop that listens on a port of its own for as long as the block lasts."""
    hop = Hop(**how)  # type: ignore[arg-type]
    tasks: set[asyncio.Task[None]] = set()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await hop.talk(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(writer.wait_closed(), 1)
            tasks.discard(task)

    server = await asyncio.start_server(served, HOST, 0, limit=1 << 26)
    hop.port = server.sockets[0].getsockname()[1]
    try:
        yield hop
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # for sockets whose handshake failed, which the loop closes by itself


def in_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an asynchronous test in an event loop of its own."""

    @functools.wraps(test)
    def run(*arguments: object, **named: object) -> None:
        asyncio.run(test(*arguments, **named))

    return run
