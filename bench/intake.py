"""Durable intake: how fast the running gateway takes mail, and whether each 250 was the truth."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.smtp_load import Load, Sent, send_all
from expertmail.demo.stage import LOOPBACK, copy_world, staged
from expertmail.verifier_bench import DOMAIN, RECORDS, SELECTOR, new_key, signed_message

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
CONNECTIONS = 20
WARM_UP = 100
SIGNED = 200  # signing is slow; an unsigned field on top makes each transmission a message of its own
SENDER = f"user0@{DOMAIN}"
MESSAGE_ID = re.compile(r"\b[0-9A-Z]{26}\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Run:
    """How many messages, after the warm-up."""

    messages: int


SHORT_RUN = Run(1_000)
LONG_RUN = Run(6_000)


@dataclass(frozen=True, slots=True)
class Case:
    """Whose mail comes in, and what must become of every copy of it."""

    name: str
    known: bool  # whether the organisation and a contact of it are on record
    tag: str
    disposition: str
    threads: int | None  # how many there are afterwards; None is one for each message


STRANGER = Case("a stranger's, to triage", known=False, tag="", disposition="triage", threads=0)
INQUIRY = Case("a customer's, each opens an inquiry", known=True, tag="", disposition="filed", threads=None)
INCIDENT = Case(
    "a customer's, to one incident", known=True, tag="Re: [INC-000001] ", disposition="filed", threads=1
)
CASES = (STRANGER, INQUIRY, INCIDENT)


@dataclass(frozen=True, slots=True)
class Intake:
    """What was measured; ``faults`` says in words what was not stored as it was acknowledged."""

    connections: int
    messages: int
    octets: float
    seconds: float
    p50: float
    p99: float
    cpu: float  # seconds a message, children included
    faults: tuple[str, ...]

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds


async def measure(run: Run, case: Case) -> Intake:
    """Start a gateway in a temporary folder, send it the case's mail, stop it and read what it stored."""
    pem, record = new_key()
    with tempfile.TemporaryDirectory() as place:
        world = copy_world(SAMPLES, Path(place) / "world")
        with (world / "zone.db").open("a") as zone:
            zone.write(_zone_lines(record))
        folder = Path(place) / "gateway"
        folder.mkdir()
        signed = [signed_message(n, pem, 3_000, case.tag) for n in range(SIGNED)]
        messages = [b"X-Transmission: %d\r\n" % n + signed[n % SIGNED] for n in range(WARM_UP + run.messages)]
        async with staged(world, folder) as stage:
            if case.known:
                await stage.command(
                    "contacts", "add", SENDER, "--name", "User", "--org", "Sender", "--domain", DOMAIN
                )
            if case is INCIDENT:
                await stage.command("incidents", "open", "--org", "Sender", "--title", "Benchmark")
            load = Load(messages[:WARM_UP], SENDER, "query@experts.test")
            first = await send_all(LOOPBACK, stage.smtp_port, load, CONNECTIONS)
            load = Load(messages[WARM_UP:], SENDER, "query@experts.test")
            cpu, start = cpu_seconds(stage.pid), time.perf_counter()
            sent = await send_all(LOOPBACK, stage.smtp_port, load, CONNECTIONS)
            seconds, cpu = time.perf_counter() - start, cpu_seconds(stage.pid) - cpu
        faults = _stored(folder / "var" / "expertmail.db", messages, [*first, *sent], case)
    times = sorted(one.seconds for one in sent)
    return Intake(
        CONNECTIONS,
        len(sent),
        sum(map(len, messages)) / len(messages),
        seconds,
        times[len(times) // 2],
        times[len(times) * 99 // 100],
        cpu / len(sent),
        tuple(faults),
    )


def _zone_lines(record: str) -> str:
    """The sender's records as the zone wants them: strings of at most 255 octets (RFC 1035 3.3.14)."""
    records = {**RECORDS, (f"{SELECTOR}._domainkey.{DOMAIN}", "TXT"): record}
    lines = [""]
    for (name, rrtype), value in records.items():
        pieces = [value[i : i + 250] for i in range(0, len(value), 250)]
        text = " ".join(f'"{piece}"' for piece in pieces) if rrtype == "TXT" else value
        lines.append(f"{name}. 300 IN {rrtype} {text}")
    return "\n".join(lines) + "\n"


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its reaped children, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _stored(database: Path, messages: list[bytes], sent: list[Sent], case: Case) -> list[str]:
    """What differs between what was acknowledged, or what the case expects, and what is on record."""
    faults: list[str] = []
    db = sqlite3.connect(database)
    try:
        rows = db.execute(
            "select m.id, m.sha256, m.disposition, r.raw from messages m join raw_messages r using (sha256)"
        ).fetchall()
        (threads,) = db.execute("select count(*) from threads").fetchone()
    finally:
        db.close()
    stored = Counter(digest for _, digest, _, _ in rows)
    by_id = {identifier: digest for identifier, digest, _, _ in rows}
    broken = sum(hashlib.sha256(raw).hexdigest() != digest for _, digest, _, raw in rows)
    if broken:
        faults.append(f"{broken} stored messages do not have their own digest")
    if len(sent) != len(messages) or len(rows) != len(messages):
        faults.append(f"{len(messages)} sent, {len(sent)} acknowledged, {len(rows)} stored")
    for one in sent:
        digest = hashlib.sha256(one.message).hexdigest()
        if stored[digest] != 1:
            faults.append(f"{one.said!r} is stored {stored[digest]} times")
        named = MESSAGE_ID.search(one.said)
        if named is None or by_id.get(named.group()) is None:
            faults.append(f"{one.said!r} names no stored message")
    other = sum(disposition != case.disposition for _, _, disposition, _ in rows)
    if other:
        faults.append(f"{other} copies are not {case.disposition}")
    if threads != (len(messages) if case.threads is None else case.threads):
        faults.append(f"there are {threads} threads")
    return faults[:10]
