"""Measures the verifier against dkimpy and pyspf: same messages, same evidence, same thread, one run.

Every message is another one and is judged once a round, so that no result can come from a cache; only what a DNS
record was parsed to (key, DMARC policy) is kept between messages, by us: dkimpy keeps nothing. What is counted is
the CPU time of this thread. The peer does DKIM only where ours does DKIM and DMARC: that is in its favour.

The order matters for messages of some KB, so DKIM with DMARC is measured in both. In batches, round by round, a side
finds its own code in the processor's caches, as under load and as one measures one program; the goal is set for this.
In turns, message by message and each side first every other time, it finds them full of the other's code. That costs
the shorter work the larger share of its time, and is shown beside it.
"""

from __future__ import annotations

import base64
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import dkim
import spf as pyspf
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from expertmail.default_identities import default_identities
from verifier.address import AuthorField
from verifier.author import author_of
from verifier.dkim import check_dkim
from verifier.dmarc import DmarcOutcome, check_dmarc
from verifier.evaluate import Context, judge
from verifier.evidence import (
    Absent,
    Answer,
    AnswerStatus,
    Evidence,
    Question,
    Session,
    SessionOrigin,
    conclude,
)
from verifier.message import read_message
from verifier.report import AuthResult, SpfResult, Verdict
from verifier.spf import check_spf

GOAL: Final = 5.0  # DKIM and DMARC at least this many times as fast as dkimpy does DKIM
GOAL_DKIM: Final = 6.0  # and DKIM alone

DOMAIN: Final = "sender.test"
SELECTOR: Final = "s1"
CLIENT_IP: Final = "127.0.0.1"
HELO: Final = "mx.sender.test"
RECEIVER: Final = "mx.experts.test"

# The DNS of the run, by name and type; the key's record is added once it is made.
RECORDS: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        (DOMAIN, "TXT"): "v=spf1 ip4:127.0.0.0/8 -all",
        (f"_dmarc.{DOMAIN}", "TXT"): "v=DMARC1; p=reject; adkim=r; aspf=r",
        ("long.test", "TXT"): "v=spf1 include:_a.long.test include:_b.long.test mx a -all",
        ("_a.long.test", "TXT"): "v=spf1 ip4:192.0.2.0/25 ip4:198.51.100.0/24 ~all",
        ("_b.long.test", "TXT"): "v=spf1 ip4:203.0.113.0/24 ip6:2001:db8::/32 ~all",
        ("long.test", "MX"): "10 mx.long.test.",
        ("mx.long.test", "A"): "127.0.0.1",
    }
)

SIGNED_FIELDS: Final = tuple(
    name.encode()
    for name in ("from", "to", "subject", "date", "message-id", "mime-version", "content-type", "reply-to")
)

_NO_SPF: Final = SpfResult(AuthResult.NONE)
WARM_UP: Final = 100  # messages judged by both sides before the clock runs

_SMALL: Final = "5 KB"
_BIG: Final = "1 MB"

_WORDS: Final = tuple(
    word
    for line in (
        "invoice meeting quarter report attached please review the and of for with project delivery schedule",
        "update customer account balance statement number order tracking support team regards thanks hello",
    )
    for word in line.split()
)


@dataclass(frozen=True, slots=True)
class Effort:
    """How many messages of each size, and how many rounds over them."""

    small: int
    big: int
    rounds: int


SHORT: Final = Effort(small=120, big=6, rounds=3)
FULL: Final = Effort(small=500, big=20, rounds=7)


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: medians in microseconds of CPU a message; ``goal`` is None where none was set."""

    what: str
    size: str
    ours: float
    peer: float
    peer_name: str
    goal: float | None = None

    @property
    def ratio(self) -> float:
        """How many times as fast ours is."""
        return self.peer / self.ours

    @property
    def met(self) -> bool:
        """Whether the goal, if any, is reached."""
        return self.goal is None or self.ratio >= self.goal


@dataclass(frozen=True, slots=True)
class Material:
    """What a run works on: signed messages and closed evidence, the same for both sides."""

    small: tuple[bytes, ...]
    big: tuple[bytes, ...]
    records: Mapping[tuple[str, str], str]
    evidence: Evidence
    at: datetime


@dataclass(frozen=True, slots=True)
class _Pair:
    """The same work, by us and by the peer, and in which order; each raises on a wrong result."""

    ours: Callable[[bytes], None]
    peer: Callable[[bytes], None]
    peer_name: str
    in_turns: bool = True


def compare(effort: Effort) -> tuple[Row, ...]:
    """Make the messages, measure, and return the rows. Takes some seconds with SHORT."""
    stuff = material(effort)
    peer_txt = _peer_txt(stuff.records)

    def session(sender: str) -> Session:
        return Session(CLIENT_IP, HELO, sender, (f"reader@{RECEIVER}",), SessionOrigin.LIVE)

    def ours_dkim_dmarc(raw: bytes) -> None:
        _must(dkim_and_dmarc(raw, stuff).result.result is AuthResult.PASS)

    def peer_dkim(raw: bytes) -> None:
        _must(bool(dkim.verify(raw, dnsfunc=peer_txt)))

    def ours_spf(sender: str) -> Callable[[bytes], None]:
        live = session(sender)
        return lambda _raw: _must(
            conclude(check_spf(live, RECEIVER, stuff.at), stuff.evidence).result is AuthResult.PASS
        )

    def peer_spf(sender: str) -> Callable[[bytes], None]:
        return lambda _raw: _must(pyspf.check2(i=CLIENT_IP, s=sender, h=HELO)[0] == "pass")

    context = Context(default_identities(), stuff.at, session(f"user@{DOMAIN}"), RECEIVER)

    def ours_whole(raw: bytes) -> None:
        report = conclude(judge(read_message(raw), context), stuff.evidence)
        _must(report.verdict is Verdict.NO_CLAIM and report.dmarc.aligned_by == ("dkim", "spf"))

    def peer_whole(raw: bytes) -> None:
        peer_dkim(raw)
        peer_spf(f"user@{DOMAIN}")(raw)

    def row(what: str, size: str, pair: _Pair, goal: float | None = None) -> Row:
        messages = stuff.small if size == _SMALL else stuff.big
        mine, theirs = _medians(messages, pair, effort.rounds, stuff.records)
        return Row(what, size, mine, theirs, pair.peer_name, goal)

    def spf_of(sender: str) -> _Pair:
        return _Pair(ours_spf(sender), peer_spf(sender), "pyspf")

    alone = _Pair(partial(_dkim_alone, stuff), peer_dkim, "dkimpy")
    signature = _Pair(ours_dkim_dmarc, peer_dkim, "dkimpy, DKIM only")
    whole = _Pair(ours_whole, peer_whole, "dkimpy and pyspf, no DMARC")
    return (
        row("DKIM, in batches", _SMALL, replace(alone, in_turns=False), GOAL_DKIM),
        row("DKIM, in batches", _BIG, replace(alone, in_turns=False), GOAL_DKIM),
        row("DKIM, in turns", _SMALL, alone),
        row("DKIM and DMARC, in batches", _SMALL, replace(signature, in_turns=False), GOAL),
        row("DKIM and DMARC, in batches", _BIG, replace(signature, in_turns=False), GOAL),
        row("DKIM and DMARC, in turns", _SMALL, signature),
        row("DKIM and DMARC, in turns", _BIG, signature),
        row("SPF, one ip4", _SMALL, spf_of(f"user@{DOMAIN}")),
        row("SPF, two includes, mx, a", _SMALL, spf_of("user@long.test")),
        row("whole verdict", _SMALL, whole),
        row("whole verdict", _BIG, whole),
    )


def _dkim_alone(stuff: Material, raw: bytes) -> None:
    (found,) = conclude(check_dkim(read_message(raw), stuff.at), stuff.evidence)
    _must(found.result is AuthResult.PASS and found.acceptable)


def dkim_and_dmarc(raw: bytes, stuff: Material) -> DmarcOutcome:
    """What the verifier does for DKIM and DMARC alone: read the bytes, the author, the signatures, the policy."""
    message = read_message(raw)
    author = author_of(message)
    domains = tuple([m.domain for m in author.mailboxes]) if isinstance(author, AuthorField) else None
    signatures = conclude(check_dkim(message, stuff.at), stuff.evidence)
    return conclude(check_dmarc(domains, signatures, _NO_SPF), stuff.evidence)


def material(effort: Effort) -> Material:
    """Distinct messages signed by dkimpy with one RSA-2048 key, relaxed/relaxed, and the evidence about them."""
    pem, record = new_key()
    records = MappingProxyType({**RECORDS, (f"{SELECTOR}._domainkey.{DOMAIN}", "TXT"): record})
    answers = {
        Question.of(name, rrtype): Answer(AnswerStatus.ANSWER, (value,), 300)
        for (name, rrtype), value in records.items()
    }
    at = datetime.now(UTC)
    return Material(
        tuple(signed_message(number, pem, 3_000) for number in range(effort.small)),
        tuple(signed_message(number, pem, 1_000_000) for number in range(effort.big)),
        records,
        Evidence(MappingProxyType(answers), absent=Absent.NXDOMAIN, at=at),
        at,
    )


def new_key() -> tuple[bytes, str]:
    """An RSA-2048 key as dkimpy reads it, and its record."""
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem, f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"


def signed_message(number: int, pem: bytes, size: int, tag: str = "") -> bytes:
    """A multipart message of about ``size`` octets (5 KB at least), signed for DOMAIN; ``tag`` opens its subject."""
    chance = random.Random(number * 10_000_019 + size)  # noqa: S311 - text to hash, no secret
    mail = EmailMessage(policy=SMTP)
    mail["From"] = f"Sender {number} <user{number}@{DOMAIN}>"
    mail["To"] = "Reader <query@experts.test>"
    mail["Reply-To"] = f"support@{DOMAIN}"
    mail["Subject"] = f"{tag}Message {number}: {chance.choice(_WORDS)} {chance.getrandbits(32):08x}"
    mail["Date"] = "Mon, 02 Mar 2026 09:00:00 +0000"
    mail["Message-ID"] = f"<{number}.{chance.getrandbits(64):x}@{DOMAIN}>"
    mail.set_content(_text(chance, 1_200))
    html = _text(chance, 1_600).replace("\n", "<br>\n")
    mail.add_alternative(f"<html><body><p>{html}</p></body></html>\n", subtype="html")
    # Base64 makes four octets of three, and 78 of 76 with its line ends.
    filler = max(420, (size - 5_000) * 735 // 1_000)
    mail.add_attachment(
        chance.randbytes(filler), maintype="application", subtype="octet-stream", filename="data.bin"
    )
    raw = mail.as_bytes()
    field: bytes = dkim.sign(
        raw,
        SELECTOR.encode(),
        DOMAIN.encode(),
        pem,
        canonicalize=(b"relaxed", b"relaxed"),
        include_headers=list(SIGNED_FIELDS),
    )
    return field + raw


def _text(chance: random.Random, size: int) -> str:
    """Words in lines, about ``size`` octets."""
    lines: list[str] = []
    while sum(map(len, lines)) < size:
        lines.append(" ".join(chance.choices(_WORDS, k=9)))
    return "\n".join(lines) + "\n"


def _medians(
    messages: Sequence[bytes], pair: _Pair, rounds: int, records: Mapping[tuple[str, str], str]
) -> tuple[float, float]:
    """Median microseconds a message, ours and the peer's, in the order that the pair asks for."""
    times: tuple[list[int], list[int]] = ([], [])
    # Imports, keys and the processor's clock, before ours runs: a cold start disturbs whoever goes first.
    for raw in messages[:WARM_UP]:
        pair.ours(raw)
    with _peer_dns(records):
        for raw in messages[:WARM_UP]:
            pair.peer(raw)
    for number in range(rounds):
        if pair.in_turns:
            _take_turns(messages, pair, times, records, number)
            continue
        times[0].extend(_cost(pair.ours, raw) for raw in messages)
        with _peer_dns(records):
            times[1].extend(_cost(pair.peer, raw) for raw in messages)
    return statistics.median(times[0]) / 1_000, statistics.median(times[1]) / 1_000


def _take_turns(
    messages: Sequence[bytes],
    pair: _Pair,
    times: tuple[list[int], list[int]],
    records: Mapping[tuple[str, str], str],
    number: int,
) -> None:
    """One round, message by message; who goes first changes with each message, and with each round."""
    for place, raw in enumerate(messages, number):
        for ours in (True, False) if place % 2 == 0 else (False, True):
            if ours:
                times[0].append(_cost(pair.ours, raw))
            else:
                with _peer_dns(records):
                    times[1].append(_cost(pair.peer, raw))


def _cost(work: Callable[[bytes], None], raw: bytes) -> int:
    """CPU nanoseconds of this thread."""
    before = time.thread_time_ns()
    work(raw)
    return time.thread_time_ns() - before


@contextmanager
def _peer_dns(records: Mapping[tuple[str, str], str]) -> Iterator[None]:
    """Let pyspf read the records directly, as it would read its own cache; the verifier's hook comes back after."""

    def lookup(name: str, rrtype: str, _strict: object = True, _timeout: object = 0) -> list[Any]:
        value = records.get((name.rstrip(".").lower(), rrtype))
        if value is None:
            return []
        if rrtype == "TXT":
            return [((name, rrtype), (value.encode(),))]
        if rrtype == "MX":
            preference, host = value.split()
            return [((name, rrtype), (int(preference), host.rstrip(".")))]
        return [((name, rrtype), value)]

    kept = pyspf.DNSLookup
    pyspf.DNSLookup = lookup
    try:
        yield
    finally:
        pyspf.DNSLookup = kept


def _peer_txt(records: Mapping[tuple[str, str], str]) -> Callable[..., bytes | None]:
    """What dkimpy asks for TXT records."""
    known = {
        (name + ".").encode(): value.encode() for (name, rrtype), value in records.items() if rrtype == "TXT"
    }
    return lambda name, timeout=5: known.get(name)  # noqa: ARG005 - dkimpy names the argument


def _must(right: bool) -> None:
    """A wrong result measures nothing."""
    if not right:
        raise AssertionError("a message of the benchmark was not judged as it should be")
