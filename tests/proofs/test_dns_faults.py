"""A resolver that is killed, frozen, slowed and made to lie while mail comes in.

Mail whose DNS answers cannot be had is put off or held as the route says, and never taken as if it were authenticated;
everybody else is served as if nothing had happened; and all is well again by itself once the resolver is.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from outbound.key_files import generate_key
from outbound.sign import SigningKey, dns_record
from tests.proofs import lying_resolver as lies
from tests.proofs.lying_resolver import LyingResolver
from tests.proofs.pulse import Pulse, pulse
from tests.proofs.resolver_process import Unbound
from tests.proofs.served import Served
from tests.smtp_gateway.scripted_hop import in_a_loop
from tests.smtp_gateway.world import client, message, signed

FULL = bool(os.environ.get("FULL"))
FAULT_SECONDS = 10.0 if FULL else 1.2
EVERY_SECONDS = 0.2  # between two messages of strangers to the cache
ANSWER_SECONDS = 12.0  # for any message, whatever the DNS does
RECOVERY_SECONDS = 8.0  # a failure is remembered for five (RFC 9520)
STALL_SECONDS = 0.1 if os.environ.get("QUIET") else 0.5
"""For the others' longest wait: the aim is 0.1, to be tried on a machine that does nothing else; here other tests run beside it."""
ROUTES = pytest.mark.parametrize("route", ["hold", "defer"])

WARM, CONTACT, CLAIMING = "ann@warm.test", "bob@cold.test", "experts@fabrikam.test"
IDENTITY = """[[identity]]
name = "fabrikam"
display_names = ["Fabrikam Experts"]
domains = ["fabrikam.test"]
addresses = ["experts@fabrikam.test"]
signing_domains = ["fabrikam.test"]
"""


def records(key: SigningKey) -> Iterator[str]:
    """Only the answers about warm.test may be remembered."""
    text = dns_record(key)
    pieces = " ".join(f'"{text[at : at + 250]}"' for at in range(0, len(text), 250))
    yield 'ready.test. 1 IN TXT "yes"'
    for domain, ttl in (("warm.test", 3_600), ("cold.test", 0), ("fabrikam.test", 0)):
        yield f'{domain}. {ttl} IN TXT "v=spf1 ip4:127.0.0.0/8 -all"'
        yield f'_dmarc.{domain}. {ttl} IN TXT "v=DMARC1; p=reject"'
        yield f"s1._domainkey.{domain}. {ttl} IN TXT {pieces}"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return generate_key(tmp_path_factory.mktemp("keys") / "s1.pem")


@pytest.fixture
def unbound(program: Callable[[str], str], tmp_path: Path, key: SigningKey) -> Iterator[Unbound]:
    with Unbound(program("unbound"), tmp_path / "unbound", records(key)) as running:
        yield running


@dataclass(frozen=True, slots=True)
class Sent:
    """One message of somebody whose DNS records have to be asked for, and the answer."""

    author: str
    reply: str
    seconds: float

    @property
    def id(self) -> str:
        return self.reply.split()[-1]


@dataclass(frozen=True, slots=True)
class Kept:
    """What the record says of a message."""

    disposition: str
    verdict: str
    report: dict

    @property
    def authenticated(self) -> bool:
        told = [self.report["dmarc"]["result"], self.report["spf"]["result"]]
        return "pass" in told + [signature["result"] for signature in self.report["dkim"]]


class Mail:
    """Those who send from domains that are never in the cache; each message is another one, with its own signature."""

    def __init__(self, served: Served, key: SigningKey) -> None:
        self._served = served
        self._key = key
        self._number = 0

    async def one(self, author: str, *, body: str = "Hello.\r\n") -> Sent:
        """Send one message; its answer, however long that takes."""
        self._number += 1
        # A signature that came in while its key was published would still be believed.
        plain = message(body, author=author, message_id=f"<{self._number}.{author}>")
        raw = signed(plain, self._key, author.partition("@")[2])
        async with client(self._served.smtp_port) as talk:
            begun = time.monotonic()
            await talk.begin(mail_from=author)
            reply = await talk.data(raw, 60)
            return Sent(author, reply, time.monotonic() - begun)

    async def during(self, seconds: float) -> list[Sent]:
        """Keep sending for a while; all answers."""
        sending = []
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            sending += [asyncio.create_task(self.one(author)) for author in (CONTACT, CLAIMING)]
            await asyncio.sleep(EVERY_SECONDS)
        return await asyncio.gather(*sending)

    async def is_well(self) -> float:
        """Wait until both authors are authenticated again; the seconds that took."""
        begun = time.monotonic()
        while True:
            sent = [await self.one(author) for author in (CONTACT, CLAIMING)]
            kept = [self.kept(one) if one.reply.startswith("250") else None for one in sent]
            if all(one is not None and one.authenticated for one in kept):
                assert [(one.disposition, one.verdict) for one in kept if one] == [
                    ("filed", "no-claim"), ("triage", "genuine"),
                ]  # fmt: skip
                return time.monotonic() - begun
            assert time.monotonic() - begun < RECOVERY_SECONDS, sent
            await asyncio.sleep(0.1)

    def kept(self, sent: Sent) -> Kept:
        with sqlite3.connect(self._served.database) as database:
            row = database.execute(
                "SELECT m.disposition, m.verdict, e.report FROM messages m JOIN evidence e ON e.message_id = m.id"
                " WHERE m.id = ?",
                (sent.id,),
            ).fetchone()
        return Kept(row[0], row[1], json.loads(row[2]))


def world(serve: Callable[..., Served], route: str, resolvers: list[tuple[str, int]]) -> Served:
    """A gateway that asks these, protects Fabrikam, and knows a contact."""
    addresses = ", ".join(f'"{host}:{port}"' for host, port in resolvers)
    served = serve(
        'identities = "identities.toml"\n'
        f'[dns]\nresolvers = [{addresses}]\n[routes]\non_temperror = "{route}"\n[log]\nlevel = "info"\n'
    )
    (served.folder / "identities.toml").write_text(IDENTITY)
    served.start()
    served.run("contacts", "add", CONTACT, "--name", "Bob", "--org", "Cold", "--domain", "cold.test")
    return served


def as_the_route_says(mail: Mail, sent: list[Sent], route: str) -> None:
    """None was taken as authenticated, and none was called a forgery."""
    assert sent
    assert max(one.seconds for one in sent) < ANSWER_SECONDS
    for one in sent:
        if route == "defer":
            assert one.reply.startswith("451 4.4.3"), one
            continue
        assert one.reply.startswith("250 2.0.0"), one
        kept = mail.kept(one)
        assert not kept.authenticated
        assert kept.verdict == ("unproven" if one.author == CLAIMING else "no-claim")
        assert kept.disposition != "filed"


def held_as_unauthenticated(mail: Mail, sent: list[Sent], _route: str) -> None:
    """The DNS said for sure that there is nothing: an answer like any other, that proves nobody a forger."""
    assert sent
    for one in sent:
        assert one.reply.startswith("250 2.0.0"), one
        kept = mail.kept(one)
        assert not kept.authenticated
        assert kept.verdict == ("unproven" if one.author == CLAIMING else "no-claim")
        assert kept.disposition != "filed"


def as_ever(mail: Mail, sent: list[Sent], _route: str) -> None:
    """Taken as authenticated, if later."""
    assert sent
    assert max(one.seconds for one in sent) < ANSWER_SECONDS
    for one in sent:
        assert one.reply.startswith("250 2.0.0"), one
        assert mail.kept(one).authenticated


def nobody_else_noticed(found: Pulse, since: float, until: float) -> None:
    """The others' dialogues and mail went on, without a stall."""
    for kind in ("noop", "hello", "mail"):
        beats = found.of(kind, since, until)
        assert len(beats) > 5
        assert {beat.code for beat in beats} == {"250"}
        assert max(beat.seconds for beat in beats) < STALL_SECONDS, found.summary(since, until)


Judge = Callable[[Mail, list[Sent], str], None]
KILLED = {
    "killed": (Unbound.kill, Unbound.start, as_the_route_says),
    "frozen": (Unbound.freeze, Unbound.thaw, as_the_route_says),
}
LIES: dict[str, tuple[lies.Lie, Judge]] = {
    "slow": (lies.slow(0.4), as_ever),
    "slower than our patience": (lies.slow(lies.LATE_SECONDS), as_the_route_says),
    "SERVFAIL": (lies.servfail, as_the_route_says),
    "truncated, and TCP refused": (lies.truncated, as_the_route_says),
    "answers under another id": (lies.another_id, as_the_route_says),
    "garbage": (lies.garbage, as_the_route_says),
    "answers to another question": (lies.another_question, as_the_route_says),
    "spoofed answers before the true one": (lies.spoofed_before_the_truth, as_ever),
    "nothing exists": (lies.nothing_exists, held_as_unauthenticated),
}
SHORT_LIES = ("slower than our patience", "SERVFAIL", "nothing exists")  # with the second route, without FULL=1


@pytest.mark.slow
@ROUTES
@in_a_loop
async def test_a_resolver_that_is_killed_or_frozen_costs_only_those_who_need_it(
    serve: Callable[..., Served], unbound: Unbound, key: SigningKey, tmp_path: Path, route: str
) -> None:
    served = await asyncio.to_thread(world, serve, route, [unbound.address])

    async def hurt(name: str) -> list[Sent]:
        breaks, mends, _ = KILLED[name]
        await asyncio.to_thread(breaks, unbound)
        sent = await mail.during(FAULT_SECONDS)
        await asyncio.to_thread(mends, unbound)
        return sent

    mail = Mail(served, key)
    await through(mail, key, served, tmp_path, route, {name: (hurt, KILLED[name][2]) for name in KILLED})


@pytest.mark.slow
@ROUTES
@in_a_loop
async def test_a_resolver_that_is_slow_or_lies_authenticates_nobody_and_accuses_nobody(
    serve: Callable[..., Served], unbound: Unbound, key: SigningKey, tmp_path: Path, route: str
) -> None:
    async with LyingResolver(unbound.address) as liar:
        served = await asyncio.to_thread(world, serve, route, [liar.address])

        async def hurt(name: str) -> list[Sent]:
            liar.lie = LIES[name][0]
            sent = await mail.during(FAULT_SECONDS)
            liar.lie = lies.honest
            return sent

        mail = Mail(served, key)
        names = list(LIES) if FULL or route == "hold" else SHORT_LIES
        await through(mail, key, served, tmp_path, route, {name: (hurt, LIES[name][1]) for name in names})


async def through(
    mail: Mail,
    key: SigningKey,
    served: Served,
    folder: Path,
    route: str,
    faults: dict[str, tuple[Callable[[str], Awaitable[list[Sent]]], Judge]],
) -> None:
    """Each fault in its turn, beside honest clients."""
    warm = signed(message("Hello.\r\n", author=WARM, message_id="<m@warm.test>"), key, "warm.test")
    await mail.is_well()
    times: dict[str, tuple[float, float]] = {}
    told: dict[str, str] = {}
    async with pulse(served.smtp_port, warm, WARM, folder) as found:
        for name, (hurt, judge) in faults.items():
            begun = time.time()
            sent = await hurt(name)
            judge(mail, sent, route)
            well = await mail.is_well()
            times[name] = (begun, time.time())
            slowest = max(one.seconds for one in sent)
            told[name] = f"{len(sent)} answered, the last after {slowest:.1f} s; well again after {well:.1f} s"
    for name, (since, until) in times.items():
        print(f"{route}, {name}: {told[name]}; others: {found.summary(since, until)}")
    for since, until in times.values():
        nobody_else_noticed(found, since, until)
    assert "Traceback" not in served.log.read_text()


AT_ONCE = 20


@contextmanager
def silent_resolvers(count: int) -> Iterator[list[tuple[str, int]]]:
    """Bound, and nobody reads."""
    with ExitStack() as stack:
        bound = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(count)]
        for one in bound:
            one.bind(("127.0.0.1", 0))
        yield [one.getsockname() for one in bound]


@pytest.mark.slow
@ROUTES
@pytest.mark.parametrize(
    ("dead", "octets"),
    [(1, 2_000), (3, 60_000), *([(1, 60_000), (3, 2_000)] if FULL else [])],
    ids=lambda number: f"{number:,}",
)
@in_a_loop
async def test_twenty_messages_at_once_are_answered_in_time_though_the_dns_is_dead(
    serve: Callable[..., Served], unbound: Unbound, key: SigningKey, tmp_path: Path, route: str, dead: int, octets: int
) -> None:
    """Cold cache: nothing is known of the twenty senders' domains."""
    with silent_resolvers(dead - 1) as others:
        served = await asyncio.to_thread(world, serve, route, [unbound.address, *others])
        mail = Mail(served, key)
        warm = signed(message("Hello.\r\n", author=WARM, message_id="<m@warm.test>"), key, "warm.test")
        body = "All is not well here.\r\n" * (octets // 23)
        async with pulse(served.smtp_port, warm, WARM, tmp_path) as found:
            await asyncio.to_thread(unbound.freeze)
            begun = time.time()
            authors = [CLAIMING, *(f"user@cold{number}.test" for number in range(1, AT_ONCE))]
            sent = await asyncio.gather(*(mail.one(author, body=body) for author in authors))
            until = time.time()
            await asyncio.to_thread(unbound.thaw)
        slowest = max(one.seconds for one in sent)
        print(f"{route}, {dead} dead, {octets} octets: the last of {len(sent)} after {slowest:.1f} s; others: {found.summary(begun, until)}")
        as_the_route_says(mail, sent, route)
        nobody_else_noticed(found, begun, until)
