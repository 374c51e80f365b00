"""Durable intake on two processes, beside other gateways: the same client, messages and zone for all (``bench.kit``)."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from bench import kit as the_kit
from bench.kit import PROJECT, Effort, Kit, KitError
from bench.peer_figures import CONNECTIONS, Figures, figures_of, middle
from bench.transmissions import Kept, as_delivered, differences, starts_of
from expertmail.build_form import build_form

OURS: Final = f"expertmail ({build_form()})"
SHORT_RUN: Final = Effort(repeats=1, messages=1_000)
LONG_RUN: Final = Effort(repeats=3, messages=2_000)
READY_SECONDS: Final = 30.0  # a cold start with two workers on a busy machine takes some 8
STOP_SECONDS: Final = 30.0

_CONFIG: Final = """data_dir = "{data}"
hostname = "mx.rcpt.test"
[mail]
domains = ["rcpt.test"]
reply_domain = "reply.rcpt.test"
sender_address = "experts@rcpt.test"
query_address = "query@rcpt.test"
verify_address = "verify@rcpt.test"
service_address = "service@rcpt.test"
[smtp]
port = 0
workers = 2
[console]
port = 0
[dns]
resolvers = ["{dns}"]
[[routes.table]]
recipient = "*@rcpt.test"
to = "query"
"""
_ANNOUNCED: Final = re.compile(r"^(SMTP|Console) +(?:http://)?[\d.]+:(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Medians of ours and of each peer, copies on record over all our turns, and what was not as acknowledged.

    ``absent``: why each other peer was not measured. ``order``: who was measured after whom.
    """

    ours: Figures
    peers: tuple[Figures, ...]
    stored: int
    faults: tuple[str, ...]
    absent: dict[str, str]
    order: tuple[str, ...]


def compare(effort: Effort, *, again: bool) -> Comparison:
    """Measure ours, each peer that can be run here, ours again; with ``again`` the best peer and ours once more.

    The speed of a shared machine varies: ours is measured before and after every other. Raises KitError where the kit
    or our gateway does not work; a peer that fails is named among the absent.
    """
    kit = the_kit.prepare()
    files = kit.file_digests(as_delivered)
    mine: list[Figures] = []
    theirs: dict[str, list[Figures]] = {}
    names, absent = the_kit.peers()
    stored, faults, order = 0, [], []

    def our_turn() -> None:
        nonlocal stored
        order.append(OURS)
        figures, copies, wrong = _ours(kit, effort, files)
        mine.append(figures)
        stored += copies
        faults.extend(wrong)

    def turn_of(name: str) -> None:
        order.append(name)
        try:
            told = the_kit.measure_peer(kit, name, effort, CONNECTIONS)
        except KitError as error:
            absent[name] = f"it did not work: {error}"
        else:
            theirs.setdefault(name, []).append(figures_of(name, told))

    our_turn()
    for name in names:
        turn_of(name)
    our_turn()
    if again and theirs:
        turn_of(max(theirs, key=lambda name: theirs[name][0].paces[0].rate))
        our_turn()
    peers = tuple(middle(turns) for turns in theirs.values())
    return Comparison(middle(mine), peers, stored, tuple(faults), absent, tuple(order))


def _ours(kit: Kit, effort: Effort, files: dict[str, list[str]]) -> tuple[Figures, int, list[str]]:
    """One turn of a new gateway with an empty database; its copies on record and what is wrong with them."""
    place = kit.work / "run" / "ours"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        with the_kit.served_zone(kit), _gateway(place, kit.dns) as (port, pid):
            told, log = the_kit.measure_server(kit, port, pid, effort, CONNECTIONS)
        with closing(sqlite3.connect(place / "data" / "expertmail.db")) as database:
            copies, faults = differences(starts_of(log), files, kept(database))
        return figures_of(OURS, told), copies, faults
    finally:
        shutil.rmtree(place, ignore_errors=True)


def kept(database: sqlite3.Connection) -> Iterator[Kept]:
    """Each stored copy with each of its evidence rows; message by message, as they may be large."""
    for row in database.execute(
        "select m.id, m.sha256, coalesce(r.raw, x''), m.verdict, e.verdict, e.report, e.body from messages m"
        " left join raw_messages r using (sha256) left join evidence e on e.message_id = m.id order by m.id"
    ):
        yield Kept(*row)


@contextmanager
def _gateway(place: Path, dns: str) -> Iterator[tuple[int, int]]:
    """Our gateway with two workers: its SMTP port and its process. Raises KitError where it does not get ready."""
    config, said = place / "expertmail.toml", place / "said"
    config.write_text(_CONFIG.format(data=place / "data", dns=dns))
    (place / "data").mkdir(mode=0o700)
    # The code beside this file, whatever is installed: that may be machine code, the installed one is not.
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("EXPERTMAIL_", "KIT"))
    }
    with said.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "expertmail", "serve", "--config", str(config)],
            cwd=PROJECT,
            env=inherited | {"PYTHONPATH": str(PROJECT)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield _ready(process, said), process.pid
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(process: subprocess.Popen[bytes], said: Path) -> int:
    """Wait until the gateway answers that it is ready; its SMTP port."""
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        ports = dict(_ANNOUNCED.findall(said.read_text(errors="replace")))
        if {"SMTP", "Console"} <= ports.keys() and _answers(f"http://127.0.0.1:{ports['Console']}/readyz"):
            return int(ports["SMTP"])
        time.sleep(0.1)
    lines = said.read_text(errors="replace").splitlines()
    raise KitError(f"our gateway did not get ready: {lines[-1][:500] if lines else 'it said nothing'}")


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (URLError, OSError):
        return False
