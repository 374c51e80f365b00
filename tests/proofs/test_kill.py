"""Nothing acknowledged is lost and nothing is recorded twice, however the process dies."""

from __future__ import annotations

import os
import random
import smtplib
import sqlite3
import threading
import time
from collections.abc import Callable

import pytest

from tests.proofs.served import Served

ROUNDS = 200 if os.environ.get("FULL") else 10
CLIENTS = 4
LONGEST_LIFE_SECONDS = 0.8  # the kill falls anywhere in the first busy moments, commits included
SEED = int(os.environ.get("SEED", "20261125"))


class RetryingClient(threading.Thread):
    """Sends numbered messages; keeps sending one until it is acknowledged, as a mail server would."""

    def __init__(self, name: str, served: Served) -> None:
        super().__init__(daemon=True)
        self.label = name
        self.served = served
        self.acknowledged: list[str] = []
        self.refused: list[str] = []
        self.running = True

    def message(self, key: str) -> bytes:
        """One message; the same key gives the same bytes."""
        return (
            f"From: Alice <alice@contoso.test>\r\nTo: query@experts.test\r\nSubject: Question {key}\r\n"
            f"Message-ID: <{key}@contoso.test>\r\nDate: Wed, 25 Nov 2026 10:00:00 +0000\r\n\r\nBody of {key}.\r\n"
        ).encode()

    def run(self) -> None:
        """Send until told to stop; the last message is finished first."""
        number = 0
        while self.running:
            key = f"{self.label}-{number}"
            while not self._sent(key):
                time.sleep(0.02)
            self.acknowledged.append(key)
            number += 1

    def _sent(self, key: str) -> bool:
        try:
            with smtplib.SMTP("127.0.0.1", self.served.smtp_port, timeout=10) as client:
                client.sendmail("alice@contoso.test", ["query@experts.test"], self.message(key))
        except smtplib.SMTPResponseException as error:
            if error.smtp_code >= 500:
                self.refused.append(f"{key}: {error.smtp_code} {error.smtp_error!r}")
            return False
        except (OSError, smtplib.SMTPException):
            return False
        return True


@pytest.mark.slow
def test_every_acknowledged_message_is_there_exactly_once_after_kills(serve: Callable[..., Served]) -> None:
    chance = random.Random(SEED)
    served = serve('[log]\nlevel = "error"\n')
    served.start()
    served.run(
        "contacts",
        "add",
        "alice@contoso.test",
        "--name",
        "Alice",
        "--org",
        "Contoso",
        "--domain",
        "contoso.test",
    )
    clients = [RetryingClient(f"client{n}", served) for n in range(CLIENTS)]
    for client in clients:
        client.start()
    for _ in range(ROUNDS):
        time.sleep(chance.uniform(0, LONGEST_LIFE_SECONDS))
        served.kill()
        served.start()
    for client in clients:
        client.running = False
    for client in clients:
        client.join(60)
        assert not client.is_alive(), "the last message was never acknowledged"
    served.stop()

    assert [text for client in clients for text in client.refused] == [], "a fault of ours is never a 5xx"
    acknowledged = {key for client in clients for key in client.acknowledged}
    assert len(acknowledged) > ROUNDS, "the load was too small to prove anything"
    with sqlite3.connect(served.database) as database:
        stored = [row[0] for row in database.execute("SELECT message_id FROM messages")]
        filed = [row[0] for row in database.execute("SELECT copy_id FROM timeline WHERE kind = 'mail-in'")]
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    keys = [identifier.strip("<>").partition("@")[0] for identifier in stored]
    assert len(keys) == len(set(keys)), "a message was recorded twice"
    assert set(keys) == acknowledged, "a message was lost, or one is there that nobody was told of"
    assert len(filed) == len(set(filed)) == len(keys), "each message stands on a timeline once"
    print(f"seed {SEED}: {ROUNDS} kills, {len(acknowledged)} acknowledged messages, each there exactly once")
