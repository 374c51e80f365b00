"""Honest clients beside a fault, in a process of their own: how long each of them waits for its answers.

One asks NOOP every 10 ms, one connects and greets, one sends mail of a sender whose DNS records are known by now.
``python -m tests.proofs.pulse PORT FILE`` runs until its standard input ends, then prints what each heard and when.
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EVERY = {"noop": 0.01, "hello": 0.05, "mail": 0.05}
COMMANDS_OF_A_SESSION = 50  # a session without a message has a limit of them


@dataclass(frozen=True, slots=True)
class Beat:
    """One answer: when it was asked for (the machine's clock), how many seconds it took, and its code."""

    kind: str
    at: float
    seconds: float
    code: str


@dataclass
class Pulse:
    """What the clients heard; filled once they have been stopped."""

    beats: list[Beat] = field(default_factory=list)

    def of(self, kind: str, since: float = 0.0, until: float = float("inf")) -> list[Beat]:
        """The beats of one kind that were asked for in a time."""
        return [beat for beat in self.beats if beat.kind == kind and since <= beat.at < until]

    def summary(self, since: float = 0.0, until: float = float("inf")) -> str:
        """Counts and times of a time, on one line."""
        told = []
        for kind in EVERY:
            seconds = sorted(beat.seconds * 1_000 for beat in self.of(kind, since, until))
            if seconds:
                told.append(
                    f"{kind} {len(seconds)}: p50 {seconds[len(seconds) // 2]:.1f}"
                    f" p99 {seconds[len(seconds) * 99 // 100]:.1f} max {seconds[-1]:.1f} ms"
                )
        return "; ".join(told)


@asynccontextmanager
async def pulse(port: int, message: bytes, mail_from: str, folder: Path) -> AsyncIterator[Pulse]:
    """Clients at work while the block runs; ``message`` is sent again and again, a field on top making each another one.

    An empty one is not sent.
    """
    written = folder / "pulse.eml"
    written.write_bytes(message)
    made = Pulse()
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.proofs.pulse", str(port), str(written), mail_from,
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert child.stdout is not None
        assert await child.stdout.readline() == b"begun\n"
        yield made
        async with asyncio.timeout(60):
            out, _ = await child.communicate(b"")
        assert child.returncode == 0
        made.beats += [Beat(*beat) for beat in json.loads(out)]
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


class _Client:
    def __init__(self, port: int) -> None:
        self._port = port
        self._link: socket.socket | None = None
        self._asked = 0

    def _say(self, octets: bytes) -> str:
        assert self._link is not None
        self._link.sendall(octets)
        return self._reply()

    def _reply(self) -> str:
        while True:
            line = self._lines.readline()
            if line[3:4] != b"-":
                return line[:3].decode()

    def connect(self) -> str:
        """Connect anew and greet; the reply to EHLO."""
        if self._link is not None:
            self._link.close()
        self._link = socket.create_connection(("127.0.0.1", self._port), 60)
        self._lines = self._link.makefile("rb")
        self._asked = 0
        self._reply()
        return self._say(b"EHLO mail.warm.test\r\n")

    def noop(self) -> str:
        """One NOOP; a new session now and then, which is not measured."""
        return self._say(b"NOOP\r\n")

    def refreshed(self) -> None:
        """Have a session with commands left."""
        self._asked += 1
        if self._link is None or self._asked > COMMANDS_OF_A_SESSION:
            self.connect()

    def mail(self, mail_from: str, message: bytes) -> str:
        """One message; the reply to its dot."""
        for command in (f"MAIL FROM:<{mail_from}>", "RCPT TO:<query@experts.test>", "DATA"):
            self._say(command.encode() + b"\r\n")
        return self._say(message + b".\r\n")


def _run(port: int, message: bytes, mail_from: str) -> None:
    gc.disable()  # a collection here would be taken for a wait there
    beats: list[tuple[str, float, float, str]] = []
    ended = threading.Event()
    noop, hello, mail = _Client(port), _Client(port), _Client(port)
    numbers = iter(range(sys.maxsize))

    def numbered() -> bytes:
        return b"X-Transmission: %d\r\n" % next(numbers) + message

    def beating(kind: str, before: Callable[[], object], beat: Callable[[], str]) -> None:
        while not ended.wait(EVERY[kind]):
            before()
            at, begun = time.time(), time.perf_counter()
            code = beat()
            beats.append((kind, at, time.perf_counter() - begun, code))

    works: list[tuple[str, Callable[[], object], Callable[[], str]]] = [
        ("noop", noop.refreshed, noop.noop),
        ("hello", bool, hello.connect),
    ]
    if message:
        mail.connect()
        mail.mail(mail_from, numbered())  # from now on its records are in the cache
        works.append(("mail", mail.refreshed, lambda: mail.mail(mail_from, numbered())))
    threads = [threading.Thread(target=beating, args=work) for work in works]
    for thread in threads:
        thread.start()
    print("begun", flush=True)
    sys.stdin.read()
    ended.set()
    for thread in threads:
        thread.join()
    print(json.dumps(beats))


if __name__ == "__main__":
    _run(int(sys.argv[1]), Path(sys.argv[2]).read_bytes(), sys.argv[3])
