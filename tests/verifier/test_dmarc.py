"""DMARC against the published RFC 9989 cases, by a dictionary and by rounds of asking, and by hand where it hurts."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.verifier.zones import World
from verifier.address import AuthorField
from verifier.author import author_of
from verifier.dmarc import MAX_ALIGNMENT_WALKS, a_label_name, author_questions, check_dmarc
from verifier.dmarc_record import MAX_RECORD, Policy, parse
from verifier.dmarc_walk import walk_names
from verifier.driver import Budget, closed, drive
from verifier.evidence import Evidence, Question, conclude
from verifier.message import read_message
from verifier.report import AuthResult, DkimResult, SpfResult

NO_SPF = SpfResult(AuthResult.NONE)


def signature(domain: str, result: str = "pass", index: int = 0, *, testing: bool = False) -> DkimResult:
    return DkimResult(index, AuthResult(result), None, domain, "s", "rsa-sha256", testing=testing)


def author_domains(fields: list[str]) -> tuple[str, ...] | None:
    header = "".join(f"From: {value}\r\n" for value in fields)
    author = author_of(read_message((header + "Subject: x\r\n\r\n").encode()))
    return tuple(box.domain for box in author.mailboxes) if isinstance(author, AuthorField) else None


def check_of(case: dict[str, Any]):
    dkim = tuple(signature(entry["d"], entry["result"], i) for i, entry in enumerate(case["dkim"]))
    spf = NO_SPF
    for entry in case["spf"]:
        spf = SpfResult(AuthResult(entry["result"]), entry["domain"], entry.get("scope", "mailfrom"))
    return check_dmarc(author_domains(case["from"]), dkim, spf)


def shown(outcome) -> dict[str, Any]:
    result = outcome.result
    return {
        "result": str(result.result),
        "policy": result.policy and str(result.policy),
        "policy_domain": result.policy_domain,
        "org_domain": result.org_domain,
        "aligned_by": list(result.aligned_by),
    }


def accepted(case: dict[str, Any], got: dict[str, Any]) -> bool:
    wanted = [case["expect"], *(case.get("alternatives", []) if case.get("contested") else [])]
    return any(all(got[key] == value for key, value in one.items()) for one in wanted)


def test_every_published_case_of_rfc9989_comes_out_as_expected(shared_data: Path) -> None:
    cases = yaml.safe_load((shared_data / "dmarc" / "cases.yml").read_text(encoding="utf-8"))["cases"]
    wrong = {}
    for case in cases:
        got = shown(conclude(check_of(case), World(case["zone"]).evidence()))
        if not accepted(case, got):
            wrong[case["id"]] = (got, case["expect"])
    assert len(cases) == 181
    assert not wrong


def test_asking_in_rounds_and_replaying_what_was_asked_gives_the_same_results(shared_data: Path) -> None:
    cases = yaml.safe_load((shared_data / "dmarc" / "cases.yml").read_text(encoding="utf-8"))["cases"]
    for case in cases:
        world = World(case["zone"])
        outcome, evidence = asyncio.run(drive(check_of(case), Evidence(), world))
        assert outcome == conclude(check_of(case), world.evidence()), case["id"]
        assert outcome == conclude(check_of(case), closed(evidence)), case["id"]
        assert world.rounds <= 4, case["id"]


def test_all_names_of_a_walk_are_asked_in_one_round() -> None:
    world = World({"_dmarc.example.com": {"TXT": ["v=DMARC1; p=reject"]}})
    outcome, _ = asyncio.run(drive(check_dmarc(("a.b.example.com",), (), NO_SPF), Evidence(), world))
    assert world.rounds == 1
    assert {q.name for q in world.asked} == {
        f"_dmarc.{n}." for n in ("a.b.example.com", "b.example.com", "example.com", "com")
    }
    assert outcome.result.result is AuthResult.FAIL


@pytest.mark.parametrize(
    ("name", "visited"),
    [
        ("com", 1),
        ("a.b.c.d.e.f.g", 7),
        ("a.b.c.d.e.f.g.h", 8),
        ("a.b.c.d.e.f.g.h.i", 8),
        (".".join("abcdefghijklmnopqrstuvwxyz"), 8),
    ],
)
def test_rfc9989_4_10_a_walk_asks_at_most_eight_names(name: str, visited: int) -> None:
    names = walk_names(name)
    assert len(names) == visited
    assert names[0] == name
    assert names[-1] == name.rsplit(".", 1)[-1]
    assert all(n.count(".") < 7 for n in names[1:])


def test_a_dkim_key_in_test_mode_does_not_feed_dmarc() -> None:
    world = World({"_dmarc.example.com": {"TXT": ["v=DMARC1; p=reject"]}})
    outcome = conclude(
        check_dmarc(("example.com",), (signature("example.com", testing=True),), NO_SPF), world.evidence()
    )
    assert outcome.result.result is AuthResult.FAIL
    assert outcome.aligned_dkim == frozenset()


def test_rfc7208_2_4_the_helo_identity_counts_only_for_an_empty_reverse_path() -> None:
    evidence = World({"_dmarc.example.com": {"TXT": ["v=DMARC1; p=reject"]}}).evidence()
    apart = SpfResult(AuthResult.PASS, "mx.example.com", "helo", "192.0.2.1", "session")
    empty = SpfResult(AuthResult.PASS, "mx.example.com", "helo", "192.0.2.1", "session", null_path=True)
    assert conclude(check_dmarc(("example.com",), (), apart), evidence).result.result is AuthResult.FAIL
    assert conclude(check_dmarc(("example.com",), (), empty), evidence).result.aligned_by == ("spf",)


def test_without_a_record_a_signature_by_the_authors_own_domain_is_aligned_and_the_result_is_none() -> None:
    signatures = (
        signature("evil.test"),
        signature("Example.com.", index=1),
        signature("m.example.com", index=2),
    )
    outcome = conclude(check_dmarc(("example.com",), signatures, NO_SPF), World({}).evidence())
    assert outcome.result.result is AuthResult.NONE
    assert outcome.result.aligned_by == ()
    assert outcome.aligned_dkim == {1}


@pytest.mark.parametrize("zone", [{}, {"_dmarc.example.com": {"status": "SERVFAIL"}}])
def test_no_author_is_never_a_pass(zone: dict[str, Any]) -> None:
    for domains in (
        None,
        (),
        ("example.com", "evil.test"),
        ("[192.0.2.1]",),
        ("",),
        ("..",),
        ("a..b",),
        ("x" * 9_000,),
    ):
        outcome = conclude(check_dmarc(domains, (signature("example.com"),), NO_SPF), World(zone).evidence())
        assert outcome.result.result is AuthResult.PERMERROR
        assert outcome.result.reason


def test_a_cname_to_nowhere_exists_and_does_not_get_the_policy_for_missing_names() -> None:
    class Dangling(World):
        def __getitem__(self, question: Question):
            if question == Question("news.example.com.", "CNAME"):
                return super().__getitem__(Question("alias.", "CNAME"))
            return super().__getitem__(question)

    record = {"_dmarc.example.com": {"TXT": ["v=DMARC1; p=none; sp=none; np=reject"]}}
    plain = conclude(check_dmarc(("news.example.com",), (), NO_SPF), World(record).evidence())
    alias = {**record, "alias": {"CNAME": ["gone.test."]}}
    dangling = conclude(check_dmarc(("news.example.com",), (), NO_SPF), Dangling(alias).evidence())
    assert plain.result.policy == "reject"
    assert dangling.result.policy == "none"


def test_a_flood_of_signatures_costs_ten_walks_and_is_then_a_temporary_error() -> None:
    world = World(
        {"_dmarc.example.com": {"TXT": ["v=DMARC1; p=reject"]}}
        | {f"_dmarc.s{i}.example.com": {"TXT": ["v=DMARC1; p=reject; psd=n"]} for i in range(40)}
    )
    flood = tuple(signature(f"s{i}.example.com", index=i) for i in range(40))
    outcome, _ = asyncio.run(drive(check_dmarc(("example.com",), flood, NO_SPF), Evidence(), world))
    assert outcome.result.result is AuthResult.TEMPERROR
    assert len({q for q in world.asked if q.name.startswith("_dmarc.s")}) == MAX_ALIGNMENT_WALKS


def test_strangers_signatures_cause_no_question() -> None:
    world = World({"_dmarc.example.com": {"TXT": ["v=DMARC1; p=reject"]}})
    strangers = tuple(signature(f"s{i}.evil.test", index=i) for i in range(8))
    asyncio.run(
        drive(
            check_dmarc(("example.com",), strangers, SpfResult(AuthResult.PASS, "evil.test")),
            Evidence(),
            world,
        )
    )
    assert not [q for q in world.asked if "evil" in q.name]


def test_over_budget_is_a_temporary_error_and_no_failure() -> None:
    world = World({"_dmarc.example.com": {"TXT": ["v=DMARC1; p=reject"]}})
    outcome, _ = asyncio.run(
        drive(check_dmarc(("example.com",), (), NO_SPF), Evidence(), world, budget=Budget(0))
    )
    assert outcome.result.result is AuthResult.TEMPERROR


def test_author_questions_are_exactly_those_of_the_authors_walk() -> None:
    assert author_questions(("A.Example.com",)) == {
        Question.of(f"_dmarc.{n}", "TXT") for n in ("a.example.com", "example.com", "com")
    }
    assert (
        author_questions(None)
        == author_questions(("a.test", "b.test"))
        == author_questions(("[1]",))
        == frozenset()
    )


@pytest.mark.parametrize(
    "text",
    [
        "", ";", "=", "v", "v=", "v=DMARC1", "v=DMARC1;=;==;;;", "v=DMARC1;p", "v=DMARC1;p=\x00", "\udcff\udc80",
        "v=DMARC1;" + "a=b;" * 10_000, "v=DMARC1;" + "=" * 60_000, "v=DMARC1;rua=" + "," * 60_000, " " * 65_000 + "v",
        "v=DMARC1;p=reject" + ";" * MAX_RECORD,
    ],
    ids=range(15),
)  # fmt: skip
def test_hostile_records_are_read_in_linear_time_without_an_exception(text: str) -> None:
    began = time.perf_counter()
    record = parse(text)
    assert record is None or record.p in {None, *Policy}
    assert time.perf_counter() - began < 2


def test_a_record_cut_at_any_octet_is_a_record_or_none() -> None:
    whole = (
        "v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s; aspf=s; t=y; psd=n; rua=mailto:a@example.com"
    )
    for end in range(len(whole) + 1):
        parse(whole[:end])
    record = parse(whole)
    assert record is not None
    assert (record.p, record.sp, record.np, record.testing, record.psd) == (
        "reject",
        "quarantine",
        "none",
        True,
        "n",
    )


@pytest.mark.parametrize(
    ("domain", "name"),
    [
        ("EXAMPLE.com", "example.com"),
        ("example.com.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("", None),
        (".", None),
        ("a..b", None),
        ("[192.0.2.1]", None),
        ("ü" * 2_000, None),
        ("\udcff.example", None),
    ],
)
def test_domains_are_compared_as_a_labels(domain: str, name: str | None) -> None:
    assert a_label_name(domain) == name
