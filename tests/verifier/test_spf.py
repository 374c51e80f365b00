"""SPF through the evidence loop: the RFC 7208 suite, hostile sessions and records, and what a check may cost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import spf as pyspf
import yaml

from tests.verifier.zones import World, txt
from verifier.driver import closed, drive
from verifier.evidence import Answer, AnswerStatus, Evidence, Question, Session, conclude
from verifier.report import AuthResult, SpfResult
from verifier.spf import MAX_ASKED, MAX_QUESTIONS, check_spf
from verifier.spf_prefetch import named_by

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Suite(World):
    """The suite's own rules: TIMEOUT for what a name does not list, SPF records as TXT, CNAMEs followed."""

    def __init__(self, zone: dict[str, list[Any]]) -> None:
        self.silent = {
            name.lower().rstrip(".") + "." for name, records in zone.items() if "TIMEOUT" in records
        }
        super().__init__({name: self.types(records) for name, records in zone.items()})

    @staticmethod
    def types(records: list[Any]) -> dict[str, list[str]]:
        types: dict[str, list[str]] = {}
        listed = [pair for record in records if record != "TIMEOUT" for pair in record.items()]
        for rrtype, value in listed:
            if rrtype == "SPF" and any(other == "TXT" for other, _ in listed):
                continue
            held = types.setdefault("TXT" if rrtype == "SPF" else rrtype, [])
            if rrtype == "MX":
                held.append(f"{value[0]} {value[1]}.")
            elif value != "NONE":
                held.append(txt(value))
        return types

    def __getitem__(self, question: Question, chain: int = 8) -> Answer:
        types = self.names.get(question.name, {})
        if not types.get(question.type):
            if "CNAME" in types and chain:
                return self.__getitem__(Question.of(types["CNAME"][0], question.type), chain - 1)
            if question.name in self.silent:
                return Answer(AnswerStatus.TIMEOUT)
        return super().__getitem__(question)


def suite(shared_data: Path) -> Iterator[tuple[str, dict[str, Any], Suite]]:
    text = (shared_data / "spf-rfc7208" / "rfc7208-tests.yml").read_text(encoding="utf-8")
    for scenario in yaml.safe_load_all(text):
        for name, case in scenario["tests"].items():
            yield name, case, Suite(scenario["zonedata"])


def checked(session: Session | None, world: World) -> SpfResult:
    return conclude(check_spf(session, "receiver.test", AT), world.evidence())


def driven(session: Session, world: World) -> tuple[SpfResult, Evidence]:
    return asyncio.run(drive(check_spf(session, "receiver.test", AT), Evidence(), world))


def test_all_203_cases_of_the_rfc7208_suite_through_the_evidence_loop(shared_data: Path) -> None:
    count = 0
    wrong = []
    for name, case, world in suite(shared_data):
        count += 1
        session = Session(case["host"], case["helo"], case["mailfrom"])
        result, evidence = driven(session, world)
        expected = case["result"] if isinstance(case["result"], list) else [case["result"]]
        if str(result.result) not in expected:
            wrong.append((name, expected, result))
        if "explanation" in case and result.result is AuthResult.FAIL:
            said = result.detail.partition(" explains: ")[2] or "DEFAULT"
            assert said == case["explanation"], name
        assert checked(session, world) == result, name
        assert conclude(check_spf(session, "receiver.test", AT), closed(evidence)) == result, name
    assert count == 203
    assert not wrong


ORDINARY = {
    "example.com": {
        "TXT": ["v=spf1 mx a include:one.test include:two.test exists:%{i}._spf.%{d} -all"],
        "MX": ["10 mx1.example.com.", "20 mx2.example.com."],
        "A": ["192.0.2.9"],
    },
    "mx1.example.com": {"A": ["192.0.2.1"]},
    "mx2.example.com": {"A": ["192.0.2.2"]},
    "one.test": {"TXT": ["v=spf1 ip4:198.51.100.0/25 -all"]},
    "two.test": {"TXT": ["v=spf1 ip4:198.51.100.128/25 -all"]},
    "203.0.113.5._spf.example.com": {"A": ["127.0.0.2"]},
}


def test_an_ordinary_record_takes_three_rounds_of_asking_instead_of_seven() -> None:
    world = World(ORDINARY)
    result, _ = driven(Session("203.0.113.5", "mx.example.com", "a@example.com"), world)
    assert result.result is AuthResult.PASS
    assert world.rounds <= 3


def test_prefetched_questions_that_fail_do_not_matter_when_they_are_not_needed() -> None:
    world = World({
        "example.com": {"TXT": ["v=spf1 ip4:192.0.2.1 include:silent.test -all"]},
        "silent.test": {"status": "TIMEOUT"},
    })  # fmt: skip
    assert driven(Session("192.0.2.1", "h.test", "a@example.com"), world)[0].result is AuthResult.PASS
    assert driven(Session("192.0.2.2", "h.test", "a@example.com"), world)[0].result is AuthResult.TEMPERROR


def test_rfc7208_2_4_an_empty_reverse_path_checks_postmaster_at_helo() -> None:
    world = World(
        {
            "mx.example.com": {"TXT": ["v=spf1 exists:%{l}.%{o}.test -all"]},
            "postmaster.mx.example.com.test": {"A": ["127.0.0.2"]},
        }
    )
    result = checked(Session("192.0.2.1", "mx.example.com", ""), world)
    assert (result.result, result.domain, result.scope, result.null_path) == (
        AuthResult.PASS,
        "mx.example.com",
        "helo",
        True,
    )
    unknown = checked(Session("192.0.2.1", "mx.example.com", None), world)
    assert (unknown.result, unknown.scope, unknown.null_path) == (AuthResult.PASS, "helo", False)


def test_without_a_session_there_is_no_result_and_no_source() -> None:
    for session in (None, Session(None, "mx.example.com", "a@example.com")):
        assert checked(session, World({})).source == "none"
        assert checked(session, World({})).result is AuthResult.NONE


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[2001:db8::1]", "2001:db8::1"),
        (" 192.0.2.1 ", "192.0.2.1"),
        ("", None),
        ("list", None),
        ("999.1.1.1", None),
        ("192.0.2.1/24", None),
        ("1" * 5_000, None),
        ("\x00", None),
    ],
)
def test_a_client_address_is_read_strictly_and_never_raises(address: str, shown: str | None) -> None:
    world = World({"example.com": {"TXT": ["v=spf1 a mx ptr exists:%{p}.%{i}.test -all"]}})
    assert checked(Session(address, "mx.example.com", "a@example.com"), world).client_ip == shown


@pytest.mark.parametrize(
    "path",
    [
        "(any@legit.com", "any@legit.com(a.attack.com", "<a@b.test>", "a@b", "@", "a@", "@@", "a@b@c.test", '"a@evil.test',
        "a@[192.0.2.1]", "a@-x.test", "a@" + "x" * 64 + ".test", "a@" + "x." * 150 + "test", "a\x00@b.test", "a@b\r\n.test",
        "a@b..test", "a@.b.test", "x", "a@ü\udcff.test", "a@" + "ü" * 3_000,
    ],
)  # fmt: skip
def test_a_reverse_path_that_is_no_address_is_not_given_to_pyspf(path: str) -> None:
    world = World({name: {"TXT": ["v=spf1 +all"]} for name in ("legit.com", "b.test", "c.test", "evil.test")})
    assert checked(Session("192.0.2.1", "mx.example.com", path), world).result is AuthResult.NONE


def test_an_at_sign_inside_a_quoted_local_part_does_not_choose_the_domain() -> None:
    world = World({"evil.test": {"TXT": ["v=spf1 +all"]}, "good.test": {"TXT": ["v=spf1 -all"]}})
    result = checked(Session("192.0.2.1", "mx.test", '"a@evil.test"@good.test'), world)
    assert (result.result, result.domain) == (AuthResult.FAIL, "good.test")


def test_a_u_label_domain_is_checked_under_its_a_labels() -> None:
    world = World({"xn--bcher-kva.example": {"TXT": ["v=spf1 +all"]}})
    assert (
        checked(Session("192.0.2.1", "mx.test", "a@bücher.example"), world).domain == "xn--bcher-kva.example"
    )


def evil(record: str, **names: dict[str, Any]) -> World:
    return World({"evil.test": {"TXT": [record]}, **names})


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 " + "exists:%{i}." + "." * 60_000,
        "v=spf1 exists:" + "%%." * 20_000 + "test",
        "v=spf1 " + "a " * 30_000,
        "v=spf1 " + "a:%{p}.test " * 500,
        "v=spf1 " + "moo=%{i9999999999999} " * 100,
        "v=spf1 a:%{d" + "9" * 400 + "}.test",
        "v=spf1 ip4:" + "1" * 500,
        "v=spf1 ip6:::::1/128",
        "v=spf1 exp=%{p}%{p}.evil.test -all",
        "v=spf1 include:evil.test",
        "v=spf1 redirect=evil.test",
        "v=spf1 a:\x00.test",
        "v=spf1 \udcff\udcfe",
        "v=spf1 mx//////////",
        "v=spf1 " + "exp=a.test " * 100,
    ],
    ids=range(15),
)
def test_hostile_records_end_soon_in_a_result_and_never_in_an_exception(record: str) -> None:
    began = time.perf_counter()
    result, _ = driven(Session("192.0.2.1", "h.test", "a@evil.test"), evil(record))
    assert result.result in AuthResult
    assert result.result is not AuthResult.TEMPERROR
    assert time.perf_counter() - began < 1


def test_a_record_of_ten_mx_terms_with_ten_hosts_each_is_cut_off_by_our_own_cap() -> None:
    names: dict[str, dict[str, Any]] = {
        f"m{i}.test": {"MX": [f"{j} h{i}x{j}.test." for j in range(10)]} for i in range(10)
    }
    names |= {f"h{i}x{j}.test": {"A": ["203.0.113.1"]} for i in range(10) for j in range(10)}
    world = World(
        {**names, "evil.test": {"TXT": ["v=spf1 " + " ".join(f"mx:m{i}.test" for i in range(10)) + " -all"]}}
    )
    result, _ = driven(Session("192.0.2.1", "h.test", "a@evil.test"), world)
    assert result.result is AuthResult.PERMERROR
    assert len(set(world.asked)) <= MAX_ASKED + MAX_QUESTIONS


def test_every_failure_of_the_dns_is_a_temporary_error() -> None:
    for status in ("SERVFAIL", "TIMEOUT"):
        world = World({"example.com": {"status": status}})
        assert checked(Session("192.0.2.1", "h.test", "a@example.com"), world).result is AuthResult.TEMPERROR


def test_records_of_the_wrong_shape_in_evidence_do_not_raise() -> None:
    world = World({
        "example.com": {"TXT": ["v=spf1 a mx ptr -all"], "A": ["no address"], "MX": ["x", "", "99999999 y.test.", "10"]},
        "1.2.0.192.in-addr.arpa": {"PTR": ["", "..", "a" * 300]},
    })  # fmt: skip
    assert checked(Session("192.0.2.1", "h.test", "a@example.com"), world).result in AuthResult


def test_a_domains_explanation_is_cut_and_holds_no_control_characters() -> None:
    world = World(
        {
            "example.com": {"TXT": ["v=spf1 -all exp=e.test"]},
            "e.test": {"TXT": ["go\x1b[2Jaway" + "y" * 9_000]},
        }
    )
    result = checked(Session("192.0.2.1", "h.test", "a@example.com"), world)
    assert result.detail.isprintable()
    assert len(result.detail) < 600


def test_the_macro_t_is_the_clock_that_was_given() -> None:
    world = World({"example.com": {"TXT": ["v=spf1 -all exp=e.test"]}, "e.test": {"TXT": ["%{t}"]}})
    result = checked(Session("192.0.2.1", "h.test", "a@example.com"), world)
    assert result.detail.endswith(str(int(AT.timestamp())))


def test_pyspf_outside_an_evaluation_reaches_no_network() -> None:
    assert pyspf.check2(i="192.0.2.1", s="a@example.com", h="h.test")[0] == "temperror"


def test_evaluations_in_several_threads_do_not_mix() -> None:
    worlds = [World({"example.com": {"TXT": [f"v=spf1 ip4:192.0.2.{i} -all"]}}) for i in range(4)]
    wrong: list[int] = []

    def run(i: int) -> None:
        for _ in range(100):
            result = checked(Session(f"192.0.2.{i}", "h.test", "a@example.com"), worlds[i])
            if result.result is not AuthResult.PASS:
                wrong.append(i)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_a_record_names_is_found_without_evaluating_it() -> None:
    record = "v=spf1 +mx -a:h.test/24//64 include:i.test ~exists:%{i}.%{d} exists:%{p}.test ip4:192.0.2.1 redirect=r.test exp=e.test ptr"
    named = set(named_by(record, "d.test", {"i": "192.0.2.1"}, "AAAA"))
    assert named == {
        Question.of(*pair)
        for pair in [
            ("d.test", "MX"), ("h.test", "AAAA"), ("i.test", "TXT"), ("192.0.2.1.d.test", "A"), ("r.test", "TXT"), ("e.test", "TXT"),
        ]
    }  # fmt: skip
