"""A server that takes all mail and keeps none, in a process of its own: ``python -m bench.smtp_sink``.

It prints its port on loopback. When its standard input ends it prints how many mails it took and how many different
Message-IDs they had, and exits.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_MESSAGE_ID: Final = re.compile(rb"(?im)^message-id:\s*<([^>]*)>")
_ANSWERS: Final = {
    b"EHLO": b"250-sink.test\r\n250-SIZE 52428800\r\n250-PIPELINING\r\n250 8BITMIME",
    b"DATA": b"354 go on",
    b"QUIT": b"221 bye",
}
_SECONDS: Final = 30


@dataclass(slots=True)
class Taken:
    """What came."""

    mails: int = 0
    ids: set[bytes] = field(default_factory=set)


async def _talk(taken: Taken, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        writer.write(b"220 sink.test\r\n")
        while line := await reader.readline():
            verb = line[:4].upper().rstrip()
            writer.write(_ANSWERS.get(verb, b"250 ok") + b"\r\n")
            if verb == b"DATA":
                raw = await reader.readuntil(b"\r\n.\r\n")
                taken.mails += 1
                taken.ids.update(_MESSAGE_ID.findall(raw.partition(b"\r\n\r\n")[0]))
                writer.write(b"250 taken\r\n")
            if verb == b"QUIT":
                break
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # the client counts what it was promised; the totals show the rest
    finally:
        writer.close()


async def _serve() -> Taken:
    taken = Taken()
    server = await asyncio.start_server(lambda r, w: _talk(taken, r, w), "127.0.0.1", 0, backlog=200)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()
    return taken


class Sink:
    """The running server: its port while it runs, and what it took once it has ended."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.mails = 0
        self.different = 0


@contextmanager
def sink() -> Iterator[Sink]:
    """A server for as long as the block lasts; afterwards it is told what came."""
    root = Path(__file__).parent.parent
    with subprocess.Popen(
        [sys.executable, "-m", "bench.smtp_sink"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            found = Sink(int(process.stdout.readline()))
            yield found
            said, _ = process.communicate(timeout=_SECONDS)
            found.mails, found.different = map(int, said.split())
        finally:
            process.kill()


if __name__ == "__main__":
    came = asyncio.run(_serve())
    print(came.mails, len(came.ids), flush=True)
