"""The whole verdict beside mailauth, and beside the floor: what OpenSSL alone needs for one RSA check and one hash."""

from __future__ import annotations

import asyncio
import hashlib
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from bench import mailauth
from expertmail.default_identities import default_identities
from expertmail.verifier_bench import CLIENT_IP, DOMAIN, HELO, RECEIVER, Effort, Material, material
from verifier.driver import drive
from verifier.evaluate import Context, judge
from verifier.evidence import Session, SessionOrigin, conclude
from verifier.identity import Identity
from verifier.message import read_message
from verifier.opinion_worker import SecondOpinion
from verifier.report import Verdict

GOAL: Final = 2.0  # times as fast as mailauth, for a message that claims nothing
TURNS: Final = 3  # of ours and of mailauth's, of which the median counts: a shared machine has slow moments
WARM_UP: Final = 300  # messages before the clock runs: a just-in-time compiler needs as many


@dataclass(frozen=True, slots=True)
class Whole:
    """Medians of wall time in microseconds a message; ``peer`` is None where mailauth is not there.

    ``claimed``: the same messages where their sender is protected, with the word of the second implementation.
    """

    size: str
    ours: float
    claimed: float
    floor: float
    peer: float | None


def compare(effort: Effort) -> list[Whole]:
    """SPF, DKIM, DMARC and the verdict on messages that claim nothing; every message is another one."""
    stuff = material(effort)
    sender = f"user@{DOMAIN}"
    session = Session(CLIENT_IP, HELO, sender, (f"reader@{RECEIVER}",), SessionOrigin.LIVE)
    context = Context(default_identities(), stuff.at, session, RECEIVER)
    facts = {"ip": CLIENT_IP, "helo": HELO, "sender": sender, "mta": RECEIVER}
    rounds = -(-effort.rounds // TURNS)

    def peer(messages: Sequence[bytes]) -> float:
        warm_up = min(WARM_UP, 10 * len(messages))
        said = mailauth.authenticate(messages, stuff.records, facts, rounds=rounds, warm_up=warm_up)
        if set(said.passed) != {DOMAIN}:
            raise AssertionError("mailauth did not judge a message of the benchmark as it should")
        return said.microseconds

    def ours(messages: Sequence[bytes]) -> float:
        return _median(lambda raw: conclude(judge(read_message(raw), context), stuff.evidence), messages, rounds)

    there = mailauth.missing() is None
    rows = []
    for size, messages in (("5 KB", stuff.small), ("1 MB", stuff.big)):
        times = [(ours(messages), peer(messages) if there else 0.0) for _ in range(TURNS)]
        mine, theirs = (statistics.median(one) for one in zip(*times, strict=True))
        claimed = asyncio.run(_claimed(messages, stuff, session, rounds))
        rows.append(Whole(size, mine, claimed, _floor(messages, rounds), theirs if there else None))
    return rows


async def _claimed(messages: Sequence[bytes], stuff: Material, session: Session, rounds: int) -> float:
    """Every message claims to come from a protected sender, and is genuine."""
    pinned = tuple(f"user{number}@{DOMAIN}" for number in range(len(messages)))
    protected = Identity("sender", domains=(DOMAIN,), addresses=pinned, signing_domains=(DOMAIN,))
    context = Context((protected,), stuff.at, session, RECEIVER)
    opinion = SecondOpinion()
    times = []
    try:
        for number in range(rounds + 1):
            for raw in messages:
                started = time.perf_counter()
                report, _ = await drive(
                    judge(read_message(raw), context), stuff.evidence, None, opinion, raw=raw
                )
                if number:
                    times.append(time.perf_counter() - started)
                if report.verdict is not Verdict.GENUINE:
                    raise AssertionError("a genuine message of the benchmark was not found genuine")
    finally:
        await opinion.close()
    return statistics.median(times) * 1e6


def _median(work: Callable[[bytes], object], messages: Sequence[bytes], rounds: int) -> float:
    times = []
    for number in range(rounds + 1):
        for raw in messages:
            started = time.perf_counter()
            work(raw)
            if number:  # the first round is for the caches
                times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e6


def _floor(messages: Sequence[bytes], rounds: int) -> float:
    key = rsa.generate_private_key(65537, 2048)
    public, padding, sha256 = key.public_key(), PKCS1v15(), SHA256()
    signed = b"x" * 600
    signature = key.sign(signed, padding, sha256)

    def work(raw: bytes) -> None:
        hashlib.sha256(raw).digest()
        public.verify(signature, signed, padding, sha256)

    return _median(work, messages, rounds)
