"""Zones: master files in and out, answers as a resolver gives them, and the server that serves them."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import pytest

from verifier.evidence import AnswerStatus, Question
from verifier.zone import MAX_ZONE_CHARACTERS, Record, Zone, ZoneError, merge, read_zone, write_zone
from verifier.zone_server import MAX_TCP_CLIENTS, ZoneServer, respond

TEXT = """
$ORIGIN .
$TTL 60
experts.test. IN SOA ns.experts.test. hostmaster.experts.test. 1 3600 600 86400 30
_dmarc.experts.test. IN TXT "v=DMARC1; p=reject; psd=n"
alias.experts.test. 20 IN CNAME host.example.com.
away.experts.test. IN CNAME elsewhere.net.
loop.experts.test. IN CNAME pool.experts.test.
pool.experts.test. IN CNAME loop.experts.test.
$ORIGIN example.com.
@ 300 IN MX 10 Host
host 30 IN A 192.0.2.1
host IN AAAA 2001:db8::1
a.b.c IN A 192.0.2.2
*.wild IN TXT "any"
exact.wild IN A 192.0.2.3
long IN TXT ( "part one, " "part two" )
raw IN TXT "\\255\\254"
big IN TXT ( {big} )
contoso.test. IN TXT "v=spf1 -all"
""".format(big=" ".join('"' + "x" * 250 + '"' for _ in range(12)))


@pytest.fixture(scope="module")
def zone() -> Zone:
    return read_zone(TEXT, "zone.db")


@pytest.mark.parametrize(
    ("name", "rrtype", "status", "records"),
    [
        ("host.example.com", "A", "answer", ("192.0.2.1",)),
        ("HOST.Example.COM.", "a", "answer", ("192.0.2.1",)),
        ("example.com", "MX", "answer", ("10 Host.example.com.",)),
        ("host.example.com", "TXT", "nodata", ()),
        ("b.c.example.com", "A", "nodata", ()),  # RFC 4592 2.2.2: an empty non-terminal exists
        ("x.b.c.example.com", "A", "nxdomain", ()),
        ("gone.example.com", "A", "nxdomain", ()),
        ("gone.net", "A", "nxdomain", ()),
        ("one.wild.example.com", "TXT", "answer", ("any",)),
        ("one.two.wild.example.com", "TXT", "answer", ("any",)),
        ("one.wild.example.com", "A", "nodata", ()),
        ("exact.wild.example.com", "TXT", "nodata", ()),  # RFC 4592 4.1: a name that exists is not covered
        ("below.exact.wild.example.com", "TXT", "nxdomain", ()),  # nor are names below it
        ("wild.example.com", "TXT", "nodata", ()),
        ("alias.experts.test", "A", "answer", ("192.0.2.1",)),
        ("alias.experts.test", "CNAME", "answer", ("host.example.com.",)),
        ("alias.experts.test", "TXT", "nodata", ()),
        ("away.experts.test", "A", "nxdomain", ()),
        ("loop.experts.test", "A", "servfail", ()),
        ("long.example.com", "TXT", "answer", ("part one, part two",)),
        ("raw.example.com", "TXT", "answer", ("\udcff\udcfe",)),
        (".", "NS", "nodata", ()),
        ("a..b.example.com", "A", "nxdomain", ()),
        ("", "A", "nodata", ()),
    ],
)  # fmt: skip
def test_rfc1034_4_3_2_a_zone_answers_as_a_resolver_would(
    zone: Zone, name: str, rrtype: str, status: str, records: tuple[str, ...]
) -> None:
    answer = zone.answer(Question.of(name, rrtype))
    assert (answer.status, answer.records) == (status, records)


def test_a_chain_has_the_least_ttl_on_its_way(zone: Zone) -> None:
    assert zone.answer(Question.of("alias.experts.test", "A")).ttl == 20


def test_one_file_holds_several_domains_and_speaks_only_for_them(zone: Zone) -> None:
    assert set(zone.domains) == {"experts.test.", "example.com.", "contoso.test."}
    for name in ("experts.test.", "x.y.experts.test.", "contoso.test.", "_dmarc.test.", "test."):
        assert zone.claims(name), name
    for name in ("sender.test.", "notexperts.test.", "com.", "_dmarc.com.", ".", "net."):
        assert not zone.claims(name), name


def test_evidence_from_a_zone_is_closed_and_remembers_what_was_asked(zone: Zone) -> None:
    evidence = zone.evidence()
    asked = [Question.of("one.wild.example.com", "TXT"), Question.of("gone.net", "A")]
    assert [evidence.get(q).status for q in asked] == [AnswerStatus.ANSWER, AnswerStatus.NXDOMAIN]
    assert list(evidence.answers) == asked
    assert evidence.adding(opinions={}).get(Question.of("b.c.example.com", "A")).status is AnswerStatus.NODATA
    assert len(zone.evidence().answers) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a.test. CNAME b.test.\na.test. A 192.0.2.1\n", "CNAME and other data"),
        ("a.test. A 192.0.2.1\na.test. CNAME b.test.\n", "CNAME and other data"),
        ("a.test. CNAME b.test.\na.test. CNAME c.test.\n", "CNAME and other data"),
        ("ok.test. A 192.0.2.1\nbad.test. A nonsense\n", ":2:"),
        ('a.test. TXT "open', ":1:"),
        ("a.test. FOO 1", "FOO"),
        ("$INCLUDE /etc/passwd\n", "$INCLUDE"),
        ("$GENERATE 1-100000000 h$ A 192.0.2.1\n", "$GENERATE"),
        ("a\\.b.test. A 192.0.2.1", "dot inside"),
        ("a..test. A 192.0.2.1", ":1:"),
        ("x" * 64 + ".test. A 192.0.2.1", ":1:"),
        ("a.test. CH TXT x", "class"),
        (" A 192.0.2.1\n@ MX 99999999 x.", "zone.db"),
        ("\x00\x01\x02 nonsense", "zone.db"),
        ("x" * (MAX_ZONE_CHARACTERS + 1), "larger"),
    ],
    ids=range(15),
)  # fmt: skip
def test_a_file_that_is_no_zone_is_refused_with_the_line(text: str, said: str) -> None:
    with pytest.raises(ZoneError) as refusal:
        read_zone(text, "zone.db")
    assert said in str(refusal.value)
    assert "zone.db" in str(refusal.value)


def test_a_file_cut_at_any_character_is_a_zone_or_a_zone_error() -> None:
    text = TEXT[: TEXT.index("big IN")]
    for end in range(len(text)):
        with contextlib.suppress(ZoneError):
            read_zone(text[:end])


def test_ten_thousand_records_are_read_in_seconds() -> None:
    began = time.perf_counter()
    read_zone("".join(f"h{i}.test. 60 A 192.0.2.1\n" for i in range(10_000)))
    assert time.perf_counter() - began < 10


def test_what_is_written_is_read_again_whatever_a_txt_value_holds() -> None:
    values = [
        "",
        "x" * 1_000,
        'quotes " and \\ back',
        "; no comment",
        "ünï",
        "\udcff\udc00"[:1],
        "line\nbreak\x00",
        "a" * 255,
    ]
    text = write_zone(Record(f"t{i}.test", "TXT", value) for i, value in enumerate(values))
    zone = read_zone(text)
    for i, value in enumerate(values):
        assert zone.answer(Question.of(f"t{i}.test", "TXT")).records == (value,)


@pytest.mark.parametrize(
    "record",
    [
        Record("a.test", "A", "192.0.2.1\nevil.test. A 192.0.2.2"),
        Record("a.test", "A", "192.0.2.1 ; comment"),
        Record("a.test\nevil.test.", "A", "192.0.2.1"),
        Record("a.test. A 192.0.2.9 ;", "TXT", "x"),
        Record("a.test", "A\n", "192.0.2.1"),
    ],
)
def test_no_value_can_add_a_record_to_a_written_zone(record: Record) -> None:
    with pytest.raises(ZoneError):
        write_zone([record])


def test_merged_zones_answer_for_both_and_the_first_wins() -> None:
    first = read_zone("a.test. A 192.0.2.1")
    second = read_zone("a.test. A 192.0.2.2\nb.test. A 192.0.2.3")
    both = merge([first, second])
    assert both.answer(Question.of("a.test", "A")).records == ("192.0.2.1",)
    assert both.answer(Question.of("b.test", "A")).records == ("192.0.2.3",)


def test_a_text_too_long_for_udp_is_cut_and_comes_whole_over_tcp(zone: Zone) -> None:
    async def scenario() -> None:
        async with ZoneServer(zone) as server:
            host, port = server.address
            query = dns.message.make_query("big.example.com", "TXT")
            short = await dns.asyncquery.udp(query, host, port=port, timeout=5)
            assert short.flags & dns.flags.TC
            whole, by_tcp = await dns.asyncquery.udp_with_fallback(query, host, port=port, timeout=5)
            assert by_tcp
            assert len(b"".join(whole.answer[0][0].strings)) == 3_000

    asyncio.run(scenario())


def test_two_servers_get_ports_of_their_own_and_a_taken_port_is_an_oserror(zone: Zone) -> None:
    async def scenario() -> None:
        async with ZoneServer(zone) as one, ZoneServer(zone) as two:
            assert one.address[1] != two.address[1] != 0
            with pytest.raises(OSError, match=r"(?i)address"):
                await ZoneServer(zone, port=one.address[1]).start()

    asyncio.run(scenario())


def test_rfc2308_negative_answers_carry_the_soa(zone: Zone) -> None:
    for name, rcode in (
        ("gone.experts.test", dns.rcode.NXDOMAIN),
        ("_dmarc.experts.test", dns.rcode.NOERROR),
    ):
        answer = dns.message.from_wire(respond(zone, dns.message.make_query(name, "A").to_wire()) or b"")
        assert answer.rcode() == rcode
        assert answer.authority[0][0].minimum == 30
    answer = dns.message.from_wire(respond(zone, dns.message.make_query("gone.net", "A").to_wire()) or b"")
    assert answer.authority


def test_a_packet_cut_at_any_octet_or_with_any_octet_changed_gets_an_answer_or_silence(zone: Zone) -> None:
    whole = dns.message.make_query("host.example.com", "A", use_edns=0).to_wire()
    for end in range(len(whole)):
        answer = respond(zone, whole[:end])
        assert (answer is None) == (end < 12)
    for place in range(len(whole)):
        for octet in (0, 1, 0x3F, 0x40, 0x80, 0xC0, 0xFF):
            packet = whole[:place] + bytes((octet,)) + whole[place + 1 :]
            answer = respond(zone, packet)
            assert answer is None or answer[:2] == packet[:2]
    dice = random.Random(1035)
    for _ in range(500):
        respond(zone, dice.randbytes(dice.randrange(60)))


@pytest.mark.parametrize(
    ("flags", "rcode"),
    [(0x0100, dns.rcode.NOERROR), (0x2900, dns.rcode.NOTIMP), (0x2100, dns.rcode.NOTIMP)],
)
def test_other_operations_are_refused(zone: Zone, flags: int, rcode: int) -> None:
    packet = bytearray(dns.message.make_query("host.example.com", "A").to_wire())
    packet[2:4] = flags.to_bytes(2)
    answer = respond(zone, bytes(packet))
    assert answer is not None
    assert answer[3] & 0x0F == rcode


def test_an_answer_is_never_answered(zone: Zone) -> None:
    packet = bytearray(dns.message.make_query("host.example.com", "A").to_wire())
    packet[2] |= 0x80
    assert respond(zone, bytes(packet)) is None


def test_hostile_clients_do_not_stop_the_server(zone: Zone) -> None:
    async def scenario() -> None:
        async with ZoneServer(zone) as server:
            host, port = server.address
            writers = []
            for junk in (
                b"",
                b"\x00",
                b"\x00\x00",
                b"\xff\xff",
                b"\x00\x0c" + b"\x00" * 12,
                b"GET / HTTP/1.0\r\n\r\n",
            ):
                _, writer = await asyncio.open_connection(host, port)
                writer.write(junk)
                writers.append(writer)
            for _ in range(MAX_TCP_CLIENTS + 5):
                writers.append((await asyncio.open_connection(host, port))[1])  # noqa: PERF401 - one after the other
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                asyncio.DatagramProtocol, remote_addr=server.address
            )
            for size in range(64):
                transport.sendto(b"\xff" * size)
            response = await dns.asyncquery.udp(
                dns.message.make_query("host.example.com", "A"), host, port=port, timeout=5
            )
            assert response.answer
            for writer in writers:
                writer.close()
            transport.close()

    asyncio.run(scenario())
