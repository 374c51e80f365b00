"""Mail servers that go on sending through a fault, and remember every code they heard and how long they waited."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator

from tests.proofs.load import Client
from tests.proofs.served import Served

WAIT_SECONDS = 60
PAUSE_SECONDS = 0.02  # after a refusal; a real one waits for minutes


class Noting(Client):
    """``heard`` are all codes, ``answers`` those to the dot, ``waits`` the seconds before these."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(name, port)
        self.heard: list[int] = []
        self.answers: list[int] = []
        self.waits: list[float] = []

    def _say(self, link: socket.socket, lines: object, octets: bytes) -> int:
        begun = time.monotonic()
        code = super()._say(link, lines, octets)
        self.heard.append(code)
        if octets.endswith(b"\r\n.\r\n"):
            self.answers.append(code)
            self.waits.append(time.monotonic() - begun)
        if code >= 400:
            time.sleep(PAUSE_SECONDS)
        return code


def until(found: Callable[[], object]) -> None:
    """Wait for something."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not found():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@contextlib.contextmanager
def clients_of(served: Served, count: int = 4) -> Iterator[list[Noting]]:
    """Clients at work while the block runs; each finishes its last message after it."""
    made = [Noting(f"client{number}", served.smtp_port) for number in range(count)]
    for one in made:
        one.start()
    try:
        yield made
    finally:
        for one in made:
            one.running = False
    for one in made:
        one.join(WAIT_SECONDS)
        assert not one.is_alive(), "the last message was never acknowledged"


def codes(clients: list[Noting]) -> set[int]:
    """All that were heard."""
    return {code for one in clients for code in one.heard}
