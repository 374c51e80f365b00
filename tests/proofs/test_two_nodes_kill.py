"""Two gateways on one PostgreSQL, each with a process that delivers and others that take mail; one of all these is killed again
and again. What was acknowledged is on record once, and what was queued reaches the next server once, or again with the same bytes
where a try ended without a word: the one window that SMTP itself has (RFC 5321 6.1).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import shutil
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.proofs.load import Client, alice_is_known
from tests.proofs.served import Served
from tests.proofs.test_database_away import PostgreSql, postgresql  # noqa: F401 -- a fixture
from tests.proofs.test_operation import worker_processes
from tests.smtp_gateway.scripted_hop import Hop, scripted_hop

KILLS = 100 if os.environ.get("FULL") else 5
CLIENTS = 2
PAUSE_SECONDS = 0.05
ANSWER_SECONDS = 0.1  # between the end of a mail and the next server's 250
LONGEST_LIFE_SECONDS = 1.5  # of whatever dies next
WAIT_SECONDS = 120
SEED = int(os.environ.get("SEED", "20261127"))
SETTINGS = """
[log]
level = "error"
[delivery]
mode = "smarthost"
smarthost_port = {sink}
smarthost_tls = "none"
daily_automatic_per_address = 10000
daily_automatic_per_domain = 100000
[dns]
zone = "{zone}"
[smtp]
workers = 2
"""


class Roaming(Client):
    """Goes to the other gateway when one does not answer, as mail servers do with two MX records of one preference."""

    def __init__(self, name: str, ports: tuple[int, int]) -> None:
        super().__init__(name, ports[0])
        self.ports = ports
        self.turns = 0
        self.gentle = False

    def _message(self, link: socket.socket, lines: object, key: str) -> None:
        time.sleep(PAUSE_SECONDS)  # what dies is in the middle of something all the same
        super()._message(link, lines, key)

    def _connection(self) -> None:
        self.turns += 1
        self.port = self.ports[self.turns % 2]
        super()._connection()


@contextlib.contextmanager
def sink() -> Iterator[Hop]:
    """A mail server in a thread of its own that keeps what it says 250 to."""
    ready: list[Hop] = []
    began, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with scripted_hop() as hop:
            say = hop._say

            async def slowly(writer: asyncio.StreamWriter, step: str, text: str) -> str:
                if step == "end":  # whoever dies now does not know what became of the mail
                    await asyncio.sleep(ANSWER_SECONDS)
                return await say(writer, step, text)

            hop._say = slowly  # type: ignore[method-assign]
            ready.append(hop)
            began.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert began.wait(10)
        yield ready[0]
    finally:
        over.set()
        thread.join()


def two_nodes(
    make: Callable[..., Served], database: PostgreSql, hop: Hop, folder: Path
) -> tuple[Served, Served]:
    """Two machines with the same keys and the same record."""
    trial = make()  # the default world makes keys and a zone
    trial.run("dns", "show")
    zone = shutil.copy(trial.folder / "var/zone.db", folder / "zone.db")
    settings = SETTINGS.format(sink=hop.port, zone=zone)
    nodes = make(settings), make(settings)
    for node in nodes:
        shutil.copytree(trial.folder / "var", node.folder / "var", dirs_exist_ok=True)
        node.environment["EXPERTMAIL_DATABASE__URL"] = database.url
    alice_is_known(nodes[0])
    return nodes


class Killer:
    """Kills processes of the nodes, and starts a node again whose main process died."""

    def __init__(self, nodes: tuple[Served, Served]) -> None:
        self.nodes = nodes
        self.chance = random.Random(SEED)
        self.killed: Counter[str] = Counter()
        self.deck: list[tuple[str, int]] = []

    def kill_one(self) -> None:
        """One of the four: the processes that take mail and the one that delivers, of either node; in random order."""
        if not self.deck:
            self.deck = [(kind, number) for kind in ("taker", "deliverer") for number in range(2)]
            self.chance.shuffle(self.deck)
        kind, number = self.deck.pop()
        node = self.nodes[number]
        ready(node)
        assert node.process is not None
        takers = worker_processes(node)
        if kind == "taker":
            os.kill(self.chance.choice(takers), signal.SIGKILL)
        else:
            node.process.kill()
            node.process.wait()
            until(lambda: not any(map(lives, takers)), "its takers end with it")
            node.start_without_waiting()
        self.killed[f"{kind} {number}"] += 1


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def until(found: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not found():
        assert time.monotonic() < deadline, f"it did not happen: {what}"
        time.sleep(0.05)


def ready(node: Served) -> None:
    """Wait for a node that may be starting."""
    assert node.process is not None
    until(lambda: len(worker_processes(node)) == 2, "its takers run")
    assert node.process.poll() is None, node.log.read_text()[-2000:]


def rows(database: PostgreSql, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.url.replace("+psycopg", "")) as link:
        return link.execute(query).fetchall()


def leases_run_out(database: PostgreSql) -> int:
    """As when their time is over: whoever held them is dead. Returns how many mails there were."""
    with psycopg.connect(database.url.replace("+psycopg", "")) as link:
        link.execute("UPDATE automatic_orders SET lease_until = now() WHERE lease_until IS NOT NULL")
        return link.execute("UPDATE deliveries SET lease_until = now() WHERE state = 'leased'").rowcount


OPEN = (
    "SELECT 1 FROM deliveries WHERE state IN ('queued', 'leased') UNION ALL"
    " SELECT 1 FROM automatic_orders WHERE state = 'ordered'"
)


@pytest.mark.slow
def test_whatever_process_of_two_nodes_is_killed_nothing_is_lost_and_nothing_is_twice(
    serve: Callable[..., Served],
    postgresql: PostgreSql,  # noqa: F811
    tmp_path: Path,
) -> None:
    with sink() as hop:
        nodes = two_nodes(serve, postgresql, hop, tmp_path)
        for node in nodes:
            node.start()
        killer = Killer(nodes)
        ports = nodes[0].smtp_port, nodes[1].smtp_port
        clients = [
            Roaming(f"client{number}", ports if number % 2 else ports[::-1]) for number in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        while killer.killed.total() < KILLS:
            time.sleep(killer.chance.uniform(0, LONGEST_LIFE_SECONDS))
            killer.kill_one()
        for node in nodes:
            ready(node)
        for client in clients:
            client.running = False
        for client in clients:
            client.join(WAIT_SECONDS)
            assert not client.is_alive(), "the last message was never acknowledged"
        for node in nodes:
            node.stop()
        unknown = leases_run_out(postgresql)
        nodes[1].start()
        until(lambda: not rows(postgresql, OPEN), "all that was ordered is delivered")
        nodes[1].stop()

    acknowledged = {key for client in clients for key in client.acknowledged}
    assert len(acknowledged) > KILLS, "the load was too small to prove anything"
    stored = [str(row[0]).partition("@")[0] for row in rows(postgresql, "SELECT message_id FROM messages")]
    assert len(stored) == len(set(stored)), "a message was recorded twice"
    assert set(stored) == acknowledged, "a message was lost, or one is there that nobody was told of"
    filed = [row[0] for row in rows(postgresql, "SELECT copy_id FROM timeline WHERE kind = 'mail-in'")]
    assert len(filed) == len(set(filed)) == len(stored), "each message stands on a timeline once"
    (inquiries,) = rows(postgresql, "SELECT count(*) FROM threads")
    assert inquiries == (len(stored),), "each message opened one inquiry"

    query = (
        "SELECT message_id, raw, state, attempts, (SELECT count(*) FROM attempts WHERE outgoing_id = outgoing.id)"
        " FROM outgoing JOIN deliveries ON deliveries.outgoing_id = outgoing.id"
    )
    queued = {message_id: rest for message_id, *rest in rows(postgresql, query)}
    assert len(queued) == len(stored), "each inquiry is acknowledged once"
    came: dict[str, list[bytes]] = {}
    for taken in hop.taken:
        found = re.search(rb"^Message-ID: <([^>]+)>", taken.raw, re.MULTILINE | re.IGNORECASE)
        assert found is not None
        came.setdefault(found[1].decode(), []).append(taken.raw)
    assert set(came) == set(queued), "every mail that was queued reached the next server, and no other"
    twice = 0
    for message_id, copies in came.items():
        raw, state, tries, told = queued[message_id]
        assert state == "delivered"
        assert set(copies) == {bytes(raw)}, "each copy is the stored bytes"
        assert len(copies) == 1 or tries > told, "a second copy only where a try ended without a word"
        assert len(copies) <= 1 + tries - told
        twice += len(copies) - 1
    for node in nodes:
        assert "Traceback" not in node.log.read_text()
    print(
        f"seed {SEED}: {killer.killed.total()} kills ({dict(sorted(killer.killed.items()))}), {len(stored)} acknowledged messages"
        f" each stored once, {len(queued)} mails delivered, {unknown} tries ended without a word, {twice} came twice"
    )
