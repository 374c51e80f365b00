"""Dialogues as files (``dialogues/*.txt``): read here, and played against a real server over a real socket.

    # a comment
    LIMITS: message_bytes=1000      of the server
    MODES: together                 where not every way of sending makes sense, with the reason in a comment
    C: EHLO me.test                 the client says this line and CRLF; \\r \\n \\0 \\xHH \\\\ are octets
    C! half a li                    the same without CRLF
    BDAT: text                      a chunk with its size; BDAT LAST: the last one
    S: 250 2.0.0 *                  the server says a line; * is anything
    S: 250-...                      all lines of a reply but its last
    TLS                             handshake
    EOF                             the client says no more, and listens
    CLOSED                          the server closes
    STORED: 1                       messages stored in the end; 0 where nothing is said
    --- a title                     begins another dialogue; what stands before the first one begins each

Each is played three ways: line by line, octet by octet, and everything in one packet up to a handshake.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from smtp_gateway.gateway_settings import Limits, tls_context
from tests.smtp_gateway.world import bare_gateway

FOLDER = Path(__file__).with_name("dialogues")
MODES = ("lines", "octets", "together")
SECONDS = 10
_ESCAPE = re.compile(rb"\\(r|n|0|\\|x[0-9a-f]{2})")
_OCTETS = {b"r": b"\r", b"n": b"\n", b"0": b"\0", b"\\": b"\\"}


@dataclass(frozen=True)
class Step:
    """One line of the file."""

    kind: str
    text: str
    octets: bytes
    place: str


@dataclass(frozen=True)
class Dialogue:
    """One dialogue of a file."""

    name: str
    steps: tuple[Step, ...] = ()
    modes: tuple[str, ...] = MODES
    limits: dict[str, int] = field(default_factory=dict)
    stored: int = 0


def octets_of(text: str) -> bytes:
    """A text of the file as octets."""
    return _ESCAPE.sub(
        lambda m: bytes([int(m[1][1:], 16)]) if m[1][:1] == b"x" else _OCTETS[m[1]], text.encode()
    )


def read_dialogues(path: Path) -> Iterator[Dialogue]:
    """All dialogues of a file. Raises ValueError for a line that is none."""
    opening = current = Dialogue(path.stem)
    begun = False
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        place = f"{path.name}:{number}"
        kind, _, text = line.partition(" ")
        if not line.strip() or line.startswith("#"):
            continue
        if kind == "---":
            if begun:
                yield current
            begun = True
            current = replace(opening, name=f"{path.stem}: {text}")
            continue
        if line.startswith("BDAT LAST:"):
            kind, text = "BDAT LAST:", line.removeprefix("BDAT LAST:").removeprefix(" ")
        match kind:
            case "C:":
                step = Step("send", text, octets_of(text) + b"\r\n", place)
            case "C!":
                step = Step("send", text, octets_of(text), place)
            case "BDAT:" | "BDAT LAST:":
                octets = octets_of(text)
                last = b" LAST" if "LAST" in kind else b""
                step = Step("send", text, b"BDAT %d%s\r\n%s" % (len(octets), last, octets), place)
            case "S:" | "TLS" | "EOF" | "CLOSED":
                step = Step({"S:": "hear"}.get(kind, kind), text, b"", place)
            case "STORED:":
                current = replace(current, stored=int(text))
                continue
            case "MODES:":
                current = replace(current, modes=tuple(text.split()))
                continue
            case "LIMITS:":
                limits = {name: int(value) for name, _, value in (w.partition("=") for w in text.split())}
                current = replace(current, limits=limits)
                continue
            case _:
                raise ValueError(f"{place}: {line!r}")
        current = replace(current, steps=(*current.steps, step))
        if not begun:
            opening = current
    yield current


class Player:
    """The client of one dialogue."""

    def __init__(self, mode: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.mode, self.reader, self.writer = mode, reader, writer
        self.heard: list[str] = []
        self.kept: str | None = None

    async def play(self, steps: tuple[Step, ...]) -> None:
        """Play all steps; raises AssertionError with the place where the server says something else."""
        steps = tuple(self._together(steps)) if self.mode == "together" else steps
        for step in steps:
            match step.kind:
                case "send":
                    await self._send(step.octets)
                case "hear":
                    await self._hear(step)
                case "TLS":
                    await self._handshake()
                case "EOF":
                    self.writer.write_eof()
                case _:
                    assert await self._line() == "", f"{step.place}: the server did not close: {self.heard}"

    def _together(self, steps: tuple[Step, ...]) -> Iterator[Step]:
        """The same steps, all that is sent first, up to a handshake; the greeting is waited for."""
        yield steps[0]
        sent: list[Step] = []
        heard: list[Step] = []
        for step in (*steps[1:], Step("end", "", b"", "")):
            if step.kind in {"send", "EOF"}:
                sent.append(step)
            elif step.kind in {"TLS", "end"}:
                yield Step("send", "", b"".join(s.octets for s in sent), "")
                yield from (s for s in sent if s.kind == "EOF")
                yield from heard
                if step.kind == "TLS":
                    yield step
                sent, heard = [], []
            else:
                heard.append(step)

    async def _send(self, octets: bytes) -> None:
        size = 1 if self.mode == "octets" else max(len(octets), 1)
        try:
            for at in range(0, len(octets), size):
                self.writer.write(octets[at : at + size])
                await self.writer.drain()
                await asyncio.sleep(0)
        except ConnectionError:
            pass  # closed by the server; what it said is still to be heard

    async def _line(self) -> str:
        if self.kept is not None:
            kept, self.kept = self.kept, None
            return kept
        try:
            line = await asyncio.wait_for(self.reader.readline(), SECONDS)
        except ConnectionError:
            return ""
        text = line.decode("ascii").removesuffix("\r\n")
        self.heard.append(text)
        return text

    async def _hear(self, step: Step) -> None:
        if step.text.endswith("-..."):
            while (line := await self._line())[3:4] == "-":
                assert line[:3] == step.text[:3], f"{step.place}: {line!r} after {self.heard}"
            self.kept = line  # the reply's last line is the next step's
            return
        line = await self._line()
        pattern = re.escape(step.text).replace(r"\*", ".*")
        assert re.fullmatch(pattern, line), f"{step.place}: {line!r} after {self.heard}"

    async def _handshake(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        await self.writer.start_tls(context)


async def play(dialogue: Dialogue, mode: str, certificate: tuple[str, str]) -> None:
    """Play one dialogue against a server of its own."""
    limits = Limits(**dialogue.limits)
    async with bare_gateway(limits=limits, tls=tls_context(*certificate)) as (server, got):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            await Player(mode, reader, writer).play(dialogue.steps)
        finally:
            writer.close()
        assert len(got) == dialogue.stored, f"{dialogue.name}: {len(got)} stored"
