"""The resolver against real servers on loopback: good, silent, refusing, lying and broken ones."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable
from datetime import UTC, datetime

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from tests.verifier.zones import PacketServer
from verifier.dns_cache import FAILURE_TTL, MAX_NEGATIVE_TTL, MAX_TTL, DnsCache, lifetime
from verifier.evidence import Answer, AnswerStatus, Question
from verifier.resolver import Resolver, read_response
from verifier.zone import Zone, read_zone
from verifier.zone_server import ZoneServer, respond

WORLD = read_zone(
    """
$ORIGIN .
experts.test. 300 SOA ns.experts.test. hostmaster.experts.test. 1 3600 600 86400 30
alias.experts.test. 20 CNAME host.example.com.
host.example.com. 60 A 192.0.2.1
host.example.com. 60 MX 10 mx.example.com.
raw.example.com. 60 TXT "\\255x"
big.example.com. 60 TXT ( {big} )
""".format(big=" ".join('"' + "x" * 250 + '"' for _ in range(40)))
)
AT = datetime(2026, 1, 2, tzinfo=UTC)
HOST = Question.of("host.example.com", "A")


async def one(resolver: Resolver, name: str, rrtype: str = "A", seconds: float | None = None) -> Answer:
    question = Question.of(name, rrtype)
    return (await resolver.ask([question], seconds))[question]


def test_each_status_is_told_apart_and_carries_records_ttl_and_time() -> None:
    async def scenario() -> None:
        async with ZoneServer(WORLD) as server, Resolver([server.address], now=lambda: AT) as resolver:
            assert await one(resolver, "host.example.com") == Answer(
                AnswerStatus.ANSWER, ("192.0.2.1",), 60, ad=False, at=AT
            )
            assert (await one(resolver, "HOST.Example.com.", "mx")).records == ("10 mx.example.com.",)
            alias = await one(resolver, "alias.experts.test")
            assert (alias.records, alias.ttl) == (("192.0.2.1",), 20)
            nodata = await one(resolver, "experts.test", "TXT")
            assert (nodata.status, nodata.ttl) == (AnswerStatus.NODATA, 30)
            missing = await one(resolver, "gone.experts.test")
            assert (missing.status, missing.ttl) == (AnswerStatus.NXDOMAIN, 30)
            assert (await one(resolver, "raw.example.com", "TXT")).records == ("\udcffx",)

    asyncio.run(scenario())


def test_a_key_of_ten_kilobytes_comes_whole_over_tcp() -> None:
    async def scenario() -> None:
        async with ZoneServer(WORLD) as server, Resolver([server.address]) as resolver:
            assert (await one(resolver, "big.example.com", "TXT")).records == ("x" * 10_000,)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "name",
    ["x" * 64 + ".test", "a..b", "." * 5, "a." * 140 + "test", "\x00\x01.test", "ü.test", "\udcff.test", "a b.test", "\\.test", "", "*.test"],
)  # fmt: skip
def test_a_name_that_no_packet_can_hold_does_not_exist_and_never_raises(name: str) -> None:
    async def scenario() -> None:
        async with ZoneServer(WORLD) as server, Resolver([server.address]) as resolver:
            assert (await one(resolver, name)).status in {AnswerStatus.NXDOMAIN, AnswerStatus.NODATA}

    asyncio.run(scenario())


def test_equal_questions_in_flight_are_asked_once_and_then_come_from_the_cache() -> None:
    async def scenario() -> None:
        async with ZoneServer(WORLD) as server, Resolver([server.address]) as resolver:
            answers = await asyncio.gather(*(resolver.ask([HOST]) for _ in range(50)))
            assert all(a[HOST].records == ("192.0.2.1",) for a in answers)
            await resolver.ask([HOST])
            assert resolver.sent == 1

    asyncio.run(scenario())


def test_an_answer_is_asked_again_when_its_ttl_is_over() -> None:
    async def scenario() -> None:
        clock = [0.0]
        async with (
            ZoneServer(WORLD) as server,
            Resolver([server.address], steady=lambda: clock[0]) as resolver,
        ):
            for clock[0], sent in ((0.0, 1), (59.0, 1), (60.0, 2)):
                await resolver.ask([HOST])
                assert resolver.sent == sent

    asyncio.run(scenario())


def test_a_silent_server_costs_no_more_than_the_time_given_and_the_answer_is_a_timeout() -> None:
    async def scenario() -> None:
        async with PacketServer(lambda _: ()) as server, Resolver([server.address]) as resolver:
            questions = [Question.of(f"h{i}.test", "TXT") for i in range(100)]
            began = time.perf_counter()
            answers = await resolver.ask(questions, 0.3)
            assert time.perf_counter() - began < 1.5
            assert {answer.status for answer in answers.values()} == {AnswerStatus.TIMEOUT}

    asyncio.run(scenario())


def test_a_silent_first_server_does_not_hide_the_second() -> None:
    async def scenario() -> None:
        async with PacketServer(lambda _: ()) as silent, ZoneServer(WORLD) as server:
            servers = [silent.address, server.address]
            assert (await one(Resolver(servers, try_seconds=(0.1, 0.1)), "host.example.com")).records

    asyncio.run(scenario())


def test_a_server_that_is_not_there_and_no_server_at_all_are_failures() -> None:
    async def scenario() -> None:
        async with Resolver([("127.0.0.1", 1)], try_seconds=(0.2,)) as nobody, Resolver([]) as none:
            assert (await one(nobody, "host.example.com")).temporary
            assert (await one(none, "host.example.com")).status is AnswerStatus.SERVFAIL

    asyncio.run(scenario())


def reply(packet: bytes, rcode: int = 0, *lines: str, referral: bool = False, ad: bool = False) -> bytes:
    response = dns.message.make_response(dns.message.from_wire(packet))
    response.set_rcode(rcode)
    for line in lines:
        response.answer.append(dns.rrset.from_text(*line.split(" ", 4)))
    if referral:
        response.authority.append(dns.rrset.from_text("com.", 60, "IN", "NS", "a.gtld.test."))
    if ad:
        response.flags |= dns.flags.AD
    return response.to_wire()


def changed(packet: bytes, place: int, octet: int) -> bytes:
    return packet[:place] + bytes((octet,)) + packet[place + 1 :]


@pytest.mark.parametrize(
    "behave",
    [
        lambda p: (reply(p, dns.rcode.REFUSED),),
        lambda p: (reply(p, dns.rcode.SERVFAIL),),
        lambda p: (reply(p, dns.rcode.FORMERR),),
        lambda p: (reply(p, dns.rcode.NOTIMP),),
        lambda p: (reply(p, referral=True),),
        lambda p: (reply(p, dns.rcode.NXDOMAIN, "host.example.com. 60 IN A 192.0.2.1"),),
        lambda p: (reply(p, 0, *(f"h{i}.example.com. 60 IN CNAME h{i + 1}.example.com." for i in range(20)))[:-5],),
        lambda p: (reply(p, 0, "host.example.com. 60 IN CNAME host.example.com."),),
    ],
    ids=["refused", "servfail", "formerr", "notimp", "lame", "answer-with-nxdomain", "cut", "cname-to-itself"],
)  # fmt: skip
def test_every_other_answer_is_a_temporary_failure(behave) -> None:
    async def scenario() -> None:
        async with PacketServer(behave) as server, Resolver([server.address], try_seconds=(0.2,)) as resolver:
            assert (await one(resolver, "host.example.com")).temporary

    asyncio.run(scenario())


def test_a_failure_is_not_remembered_for_long() -> None:
    async def scenario() -> None:
        clock = [0.0]
        broken = [True]

        def behave(packet: bytes) -> Iterable[bytes]:
            return [reply(packet, dns.rcode.SERVFAIL)] if broken[0] else [respond(WORLD, packet) or b""]

        async with (
            PacketServer(behave) as server,
            Resolver([server.address], steady=lambda: clock[0]) as resolver,
        ):
            assert (await one(resolver, "host.example.com")).temporary
            broken[0] = False
            clock[0] = FAILURE_TTL
            assert (await one(resolver, "host.example.com")).status is AnswerStatus.ANSWER

    asyncio.run(scenario())


def test_rfc5452_an_answer_with_another_id_or_question_is_ignored() -> None:
    def behave(packet: bytes) -> Iterable[bytes]:
        lie = reply(packet, 0, "host.example.com. 60 IN A 203.0.113.66")
        other = dns.message.make_query("evil.test", "A", id=int.from_bytes(packet[:2])).to_wire()
        return [
            changed(lie, 0, lie[0] ^ 1),
            reply(other, 0, "evil.test. 60 IN A 203.0.113.66"),
            b"",
            b"\x00" * 40,
            respond(WORLD, packet) or b"",
        ]

    async def scenario() -> None:
        async with PacketServer(behave) as server, Resolver([server.address], try_seconds=(1.0,)) as resolver:
            assert (await one(resolver, "host.example.com")).records == ("192.0.2.1",)

    asyncio.run(scenario())


def test_records_for_another_name_in_an_answer_are_not_believed() -> None:
    async def scenario() -> None:
        extra = "bank.test. 60 IN A 203.0.113.66"
        async with (
            PacketServer(lambda p: [reply(p, 0, "host.example.com. 60 IN A 192.0.2.1", extra)]) as server,
            Resolver([server.address]) as resolver,
        ):
            assert (await one(resolver, "host.example.com")).records == ("192.0.2.1",)
            assert Question.of("bank.test", "A") not in resolver.cache._held

    asyncio.run(scenario())


def test_the_ad_bit_is_passed_on() -> None:
    async def scenario() -> None:
        async with (
            PacketServer(lambda p: [reply(p, 0, "host.example.com. 60 IN A 192.0.2.1", ad=True)]) as server,
            Resolver([server.address]) as resolver,
        ):
            assert (await one(resolver, "host.example.com")).ad

    asyncio.run(scenario())


def test_a_response_cut_or_changed_at_any_octet_never_raises() -> None:
    query = dns.message.make_query("alias.experts.test", "A")
    whole = respond(WORLD, query.to_wire()) or b""
    packets = [whole[:end] for end in range(len(whole))]
    packets += [
        changed(whole, place, octet) for place in range(len(whole)) for octet in (0, 0x40, 0xC0, 0xFF)
    ]
    dice = random.Random(1035)
    packets += [whole[:2] + dice.randbytes(dice.randrange(80)) for _ in range(300)]

    async def scenario() -> None:
        todo = iter(packets)

        def behave(packet: bytes) -> Iterable[bytes]:
            return [packet[:2] + next(todo)[2:]]

        cache = DnsCache(max_entries=0)
        async with (
            PacketServer(behave) as server,
            Resolver([server.address], cache=cache, try_seconds=(0.05,)) as resolver,
        ):
            statuses = {
                (await one(resolver, "alias.experts.test")).status for _ in packets[:: len(packets) // 60]
            }
            assert statuses <= set(AnswerStatus)

    asyncio.run(scenario())
    for packet in packets:
        try:
            response = dns.message.from_wire(packet)
        except Exception:  # noqa: BLE001 - what cannot be parsed never reaches the function under test
            continue
        assert read_response(response).status in AnswerStatus


def test_a_zone_answers_its_own_names_and_the_world_the_others() -> None:
    zone = read_zone("experts.test. 9 SOA a. b. 1 2 3 4 5\nalias.experts.test. 9 CNAME host.example.com.\n")

    async def scenario() -> None:
        async with ZoneServer(WORLD) as server, Resolver([server.address], zone) as resolver:
            assert (await one(resolver, "gone.experts.test")).status is AnswerStatus.NXDOMAIN
            assert (await one(resolver, "_dmarc.test", "TXT")).status in {
                AnswerStatus.NODATA,
                AnswerStatus.NXDOMAIN,
            }
            assert resolver.sent == 0
            alias = await one(resolver, "alias.experts.test")
            assert (alias.records, alias.ttl) == (("192.0.2.1",), 9)
            assert resolver.sent == 1

    asyncio.run(scenario())


def test_a_zone_needs_no_server() -> None:
    async def scenario(zone: Zone) -> None:
        async with Resolver([], zone) as resolver:
            assert (await one(resolver, "host.example.com")).records == ("192.0.2.1",)

    asyncio.run(scenario(WORLD))


def test_closing_answers_those_who_wait() -> None:
    async def scenario() -> None:
        async with PacketServer(lambda _: ()) as server:
            resolver = Resolver([server.address])
            waiting = asyncio.create_task(resolver.ask([HOST]))
            await asyncio.sleep(0.05)
            await resolver.close()
            assert (await waiting)[HOST].status is AnswerStatus.TIMEOUT

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (Answer(AnswerStatus.ANSWER, ("x",), 60), 60),
        (Answer(AnswerStatus.ANSWER, ("x",), 10**9), MAX_TTL),
        (Answer(AnswerStatus.NXDOMAIN, (), 10**9), MAX_NEGATIVE_TTL),
        (Answer(AnswerStatus.NODATA, (), 7), 7),
        (Answer(AnswerStatus.SERVFAIL, (), 10**9), FAILURE_TTL),
        (Answer(AnswerStatus.TIMEOUT), FAILURE_TTL),
    ],
)
def test_rfc2308_and_rfc9520_say_how_long_an_answer_is_kept(answer: Answer, seconds: int) -> None:
    assert lifetime(answer) == seconds


def test_the_cache_is_capped_in_entries_and_octets_and_drops_what_was_used_least() -> None:
    cache = DnsCache(max_entries=3, max_octets=10_000)
    questions = [Question.of(f"h{i}.test", "TXT") for i in range(5)]
    for question in questions[:3]:
        cache.put(question, Answer(AnswerStatus.ANSWER, ("x",), 60), 0)
    assert cache.get(questions[0], 1)
    cache.put(questions[3], Answer(AnswerStatus.ANSWER, ("x",), 60), 1)
    assert [cache.get(q, 2) is not None for q in questions] == [True, False, True, True, False]
    cache.put(questions[4], Answer(AnswerStatus.ANSWER, ("x" * 9_500,), 60), 2)
    assert len(cache) == 1
    cache.put(questions[0], Answer(AnswerStatus.ANSWER, ("x" * 60_000,), 60), 2)
    assert cache.octets <= 10_000
    for question in questions:
        cache.get(question, 1_000)
    assert (len(cache), cache.octets) == (0, 0)
