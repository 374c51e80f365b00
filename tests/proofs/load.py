"""Mail servers that send without a pause over bare sockets, and remember every reply that was not a clean one."""

from __future__ import annotations

import re
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.proofs.served import Served

REPLY_SECONDS = 30
LAST_SECONDS = 60
MESSAGES = 5  # of one connection
REPLY = re.compile(rb"[234][0-9]{2}[ -][^\r\n]*\r\n")


class Unclean(Exception):  # noqa: N818 - what a client saw
    """A connection that was cut, or a reply that is none."""


class Closing(Exception):  # noqa: N818 - what a client saw
    """421 and the end of the connection, as RFC 5321 3.8 has it."""


class Client(threading.Thread):
    """Sends numbered messages; repeats one until it is acknowledged, as a mail server does."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(daemon=True)
        self.label = name
        self.port = port
        self.acknowledged: list[str] = []
        self.unclean: list[str] = []
        self.told_to_come_again = 0
        self.running = True
        self.gentle = True  # a server that is killed cannot answer: then cut connections are not counted
        self.on_refused: Callable[[str], object] = bool  # hears of a port where nobody listened
        self.number = 0
        self.slowest = 0.0

    def run(self) -> None:
        """Send until told to stop; the last message is finished first."""
        while self.running or self.number > len(self.acknowledged):
            try:
                self._connection()
            except ConnectionRefusedError as error:
                self.on_refused(f"{self.label}: {error!r}")
                time.sleep(0.05)  # nobody is there: what any client sees of a host whose service is off
            except Closing:
                self.told_to_come_again += 1
            except (Unclean, OSError) as error:
                if self.gentle:
                    self.unclean.append(f"{self.label}-{self.number}: {error!r}")
                time.sleep(0.02)

    def _connection(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port), REPLY_SECONDS) as link:
            lines = link.makefile("rb")
            self._reply(lines)
            self._say(link, lines, b"EHLO mail.contoso.test\r\n")
            for _ in range(MESSAGES):
                if self.number == len(self.acknowledged):
                    if not self.running:
                        break
                    self.number += 1
                self._message(link, lines, f"{self.label}-{self.number}")
            self._say(link, lines, b"QUIT\r\n")

    def _message(self, link: socket.socket, lines: object, key: str) -> None:
        for command in (b"MAIL FROM:<alice@contoso.test>", b"RCPT TO:<query@experts.test>", b"DATA"):
            if self._say(link, lines, command + b"\r\n") >= 400:
                return
        begun = time.monotonic()
        if self._say(link, lines, message(key)) == 250:
            self.acknowledged.append(key)
            self.slowest = max(self.slowest, time.monotonic() - begun)

    def _say(self, link: socket.socket, lines: object, octets: bytes) -> int:
        link.sendall(octets)
        return self._reply(lines)

    def _reply(self, lines) -> int:
        while True:
            line = lines.readline()
            if not REPLY.fullmatch(line):
                raise Unclean(line)
            if line.startswith(b"421"):
                if rest := lines.read():
                    raise Unclean(rest)
                raise Closing
            if line[3:4] == b" ":
                return int(line[:3])


def message(key: str) -> bytes:
    """One message with its end; the same key gives the same bytes."""
    return (
        f"From: Alice <alice@contoso.test>\r\nTo: query@experts.test\r\nSubject: Question {key}\r\n"
        f"Message-ID: <{key}@contoso.test>\r\nDate: Wed, 25 Nov 2026 10:00:00 +0000\r\n\r\nBody of {key}.\r\n.\r\n"
    ).encode()


@contextmanager
def load(served: Served, clients: int) -> Iterator[list[Client]]:
    """Clients at work while the block runs; each finishes its last message after it."""
    made = [Client(f"client{n}", served.smtp_port) for n in range(clients)]
    for client in made:
        client.start()
    try:
        yield made
    finally:
        for client in made:
            client.running = False
        deadline = (
            time.monotonic() + LAST_SECONDS
        )  # for all of them: one that never gets an answer holds up no other
        for client in made:
            client.join(max(0.0, deadline - time.monotonic()))
    assert not [client.label for client in made if client.is_alive()], (
        "the last message was never acknowledged"
    )


def every_acknowledged_message_is_there_once(served: Served, clients: list[Client]) -> int:
    """Compare the record with what the clients were told; returns the number of messages."""
    acknowledged = [key for client in clients for key in client.acknowledged]
    with sqlite3.connect(served.database) as database:
        stored = [row[0] for row in database.execute("SELECT message_id FROM messages")]
        filed = [row[0] for row in database.execute("SELECT copy_id FROM timeline WHERE kind = 'mail-in'")]
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    keys = [identifier.strip("<>").partition("@")[0] for identifier in stored]
    assert len(keys) == len(set(keys)), "a message was recorded twice"
    assert set(keys) == set(acknowledged), "a message was lost, or one is there that nobody was told of"
    assert len(filed) == len(set(filed)) == len(keys), "each message stands on a timeline once"
    return len(keys)


def alice_is_known(served: Served) -> None:
    """Let the clients' author be a contact, so that every message opens an inquiry."""
    served.run(
        "contacts", "add", "alice@contoso.test", "--name", "Alice", "--org", "Contoso", "--domain", "contoso.test"
    )  # fmt: skip
