"""DMARC by RFC 7489, section by section, and where it differs from RFC 9989 on the same DNS."""

from __future__ import annotations

import asyncio
import time
from typing import Any, NamedTuple

import pytest

from tests.verifier.judging import AT
from tests.verifier.zones import World
from verifier.dmarc import check_dmarc
from verifier.dmarc_7489 import PublicSuffixes, author_questions_7489, check_dmarc_7489
from verifier.dmarc_7489_record import Record7489, parse_7489
from verifier.dmarc_record import MAX_RECORD, Policy
from verifier.driver import closed, drive
from verifier.evaluate import Context, judge
from verifier.evidence import Evidence, Question, Session, SessionOrigin, conclude
from verifier.explanation import explain
from verifier.identity import Identity
from verifier.message import read_message
from verifier.report import AuthResult, DkimResult, DmarcMode, SpfResult
from verifier.report_json import as_json

NO_SPF = SpfResult(AuthResult.NONE)
SUFFIXES_OF_TEST = ("com", "uk", "co.uk", "github.io", "io", "bank")


def organisation(name: str) -> str:
    """The organisation by a list of six suffixes; what is not listed is a suffix by its last label."""
    labels = name.split(".")
    for start in range(len(labels)):
        if ".".join(labels[start:]) in SUFFIXES_OF_TEST or start == len(labels) - 1:
            return ".".join(labels[max(0, start - 1) :])
    return name


LIST = PublicSuffixes("of-test", organisation)


class Case(NamedTuple):
    """A zone of DMARC records by domain, a message, and what comes out: result, policy, where from, aligned by, reason."""

    section: str
    about: str
    zone: dict[str, Any]
    author: str
    passing: tuple[
        str, ...
    ]  # signers; "spf:DOMAIN" for an SPF pass, "?DOMAIN" for a signature that could not be checked
    result: str
    policy: str | None = None
    policy_domain: str | None = None
    aligned_by: tuple[str, ...] = ()
    reason: str | None = None


REJECT = "v=DMARC1; p=reject"
COM = {"example.com": REJECT}
CASES = [
    Case("3.1.1", "same domain", COM, "example.com", ("example.com",), "pass", "reject", "example.com", ("dkim",)),
    Case("3.1.1", "signed above", COM, "a.example.com", ("example.com",), "pass", "reject", "example.com", ("dkim",)),
    Case("3.1.1", "signed below", COM, "example.com", ("m.example.com",), "pass", "reject", "example.com", ("dkim",)),
    Case("3.1.1", "signed beside", COM, "a.example.com", ("b.example.com",), "pass", "reject", "example.com", ("dkim",)),
    Case("3.1.1", "by others", COM, "example.com", ("evil.com",), "fail", "reject", "example.com", (),
         "no-aligned-identifier"),
    Case("3.1.1", "by a name that only ends alike", COM, "example.com", ("badexample.com",), "fail", "reject",
         "example.com", (), "no-aligned-identifier"),
    Case("3.1.1", "by the public suffix", COM, "example.com", ("com",), "fail", "reject", "example.com", (),
         "no-aligned-identifier"),
    Case("3.1.1", "strict and below", {"example.com": f"{REJECT}; adkim=s"}, "example.com", ("m.example.com",), "fail",
         "reject", "example.com", (), "no-aligned-identifier"),
    Case("3.1.1", "strict and inherited", {"example.com": f"{REJECT}; adkim=s"}, "a.example.com", ("a.example.com",),
         "pass", "reject", "example.com", ("dkim",)),
    Case("3.1.2", "SPF relaxed", COM, "example.com", ("spf:bounce.example.com",), "pass", "reject", "example.com",
         ("spf",)),
    Case("3.1.2", "SPF strict", {"example.com": f"{REJECT}; aspf=s"}, "example.com", ("spf:bounce.example.com",), "fail",
         "reject", "example.com", (), "no-aligned-identifier"),
    Case("3.1.2", "both", COM, "example.com", ("spf:example.com", "example.com"), "pass", "reject", "example.com",
         ("dkim", "spf")),
    Case("3.2", "suffix of two labels", {"a.co.uk": REJECT}, "x.a.co.uk", ("y.a.co.uk",), "pass", "reject", "a.co.uk",
         ("dkim",)),
    Case("3.2", "two customers below a suffix", {"a.co.uk": REJECT}, "a.co.uk", ("b.co.uk",), "fail", "reject", "a.co.uk",
         (), "no-aligned-identifier"),
    Case("3.2", "two customers of a private suffix", {"a.github.io": REJECT}, "a.github.io", ("b.github.io",), "fail",
         "reject", "a.github.io", (), "no-aligned-identifier"),
    Case("3.2", "an author that is a suffix", {"co.uk": REJECT}, "co.uk", ("a.co.uk",), "fail", "reject", "co.uk", (),
         "no-aligned-identifier"),
    Case("3.2", "a top level that is not listed", {"a.zz": REJECT}, "x.a.zz", ("a.zz",), "pass", "reject", "a.zz",
         ("dkim",)),
    Case("6.3", "sp of an inherited record", {"example.com": "v=DMARC1; p=none; sp=reject"}, "a.example.com", (), "fail",
         "reject", "example.com", (), "no-aligned-identifier"),
    Case("6.3", "sp not for the domain itself", {"example.com": "v=DMARC1; p=none; sp=reject"}, "example.com", (), "fail",
         "none", "example.com", (), "no-aligned-identifier"),
    Case("6.3", "sp not of a subdomain's own record", {"a.example.com": "v=DMARC1; p=none; sp=reject"}, "a.example.com",
         (), "fail", "none", "a.example.com", (), "no-aligned-identifier"),
    Case("6.6.3", "own record first", {"a.example.com": "v=DMARC1; p=none", **COM}, "a.example.com", ("example.com",),
         "pass", "none", "a.example.com", ("dkim",)),
    Case("6.6.3", "no name between is asked", {"b.example.com": "v=DMARC1; p=none", **COM}, "a.b.example.com", (), "fail",
         "reject", "example.com", (), "no-aligned-identifier"),
    Case("6.6.3", "nothing anywhere", {}, "a.example.com", ("a.example.com",), "none", reason="no-record"),
    Case("6.6.3", "other TXT is no record", {"example.com": "v=spf1 -all"}, "example.com", (), "none", reason="no-record"),
    Case("6.6.3 step 2", "other versions do not count", {"example.com": ["v=DMARC2; p=none", REJECT]}, "example.com", (),
         "fail", "reject", "example.com", (), "no-aligned-identifier"),
    Case("6.6.3 step 5", "several at the author stop it", {"a.example.com": [REJECT, "v=DMARC1; p=none"], **COM},
         "a.example.com", ("example.com",), "none", reason="several-records"),
    Case("6.6.3 step 5", "several at the organisation", {"example.com": [REJECT, REJECT]}, "a.example.com", (), "none",
         reason="several-records"),
    Case("6.6.3 step 6", "no p, nobody to tell", {"example.com": "v=DMARC1;"}, "example.com", ("example.com",), "none",
         reason="record-without-policy"),
    Case("6.6.3 step 6", "no p, with rua", {"example.com": "v=DMARC1; rua=mailto:a@example.com"}, "example.com", (),
         "fail", "none", "example.com", (), "no-aligned-identifier"),
    Case("6.6.3 step 6", "no p, rua without a valid URI", {"example.com": "v=DMARC1; rua=a@example.com"}, "example.com",
         (), "none", reason="record-without-policy"),
    Case("6.6.3 step 6", "bad p, with rua", {"example.com": "v=DMARC1; p=x; sp=reject; rua=mailto:a@b.test!10m"},
         "a.example.com", (), "fail", "none", "example.com", (), "no-aligned-identifier"),
    Case("6.6.3 step 6", "bad sp, nobody to tell", {"example.com": f"{REJECT}; sp=x"}, "example.com", (), "none",
         reason="record-without-policy"),
    Case("6.6.3 step 6", "an own record without p does not let the parent's apply",
         {"a.example.com": "v=DMARC1;", **COM}, "a.example.com", (), "none", reason="record-without-policy"),
    Case("6.6.3", "tags that came later are unknown", {"example.com": f"{REJECT}; np=x; psd=y; t=y"}, "example.com", (),
         "fail", "reject", "example.com", (), "no-aligned-identifier"),
    Case("6.6.3", "a tag given twice voids it", {"example.com": "v=DMARC1; p=none; p=reject"}, "example.com", (), "none",
         reason="record-without-policy"),
    Case("6.6.2", "a signature that could not be checked", COM, "example.com", ("?m.example.com",), "temperror",
         reason="alignment-unknown"),
    Case("6.6.2", "not that of somebody else", COM, "example.com", ("?evil.com",), "fail", "reject", "example.com", (),
         "no-aligned-identifier"),
    Case("6.6.2", "not where another one passed", COM, "example.com", ("?m.example.com", "spf:example.com"), "pass",
         "reject", "example.com", ("spf",)),
    Case("6.6.2", "not below in strict mode", {"example.com": f"{REJECT}; adkim=s"}, "example.com", ("?m.example.com",),
         "fail", "reject", "example.com", (), "no-aligned-identifier"),
]  # fmt: skip


def world(zone: dict[str, Any]) -> World:
    return World(
        {
            f"_dmarc.{name}": value
            if isinstance(value, dict)
            else {"TXT": [value] if isinstance(value, str) else value}
            for name, value in zone.items()
        }
    )


def identified(passing: tuple[str, ...]) -> tuple[tuple[DkimResult, ...], SpfResult]:
    spf, dkim = NO_SPF, []
    for number, who in enumerate(passing):
        if who.startswith("spf:"):
            spf = SpfResult(AuthResult.PASS, who[4:], "mailfrom", "192.0.2.1", "session")
            continue
        word = AuthResult.TEMPERROR if who.startswith("?") else AuthResult.PASS
        dkim.append(DkimResult(number, word, None, who.removeprefix("?"), "s", "rsa-sha256"))
    return tuple(dkim), spf


def check(author: str, passing: tuple[str, ...] = ()):
    return check_dmarc_7489((author,), *identified(passing), LIST)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.section}: {case.about}")
def test_rfc7489(case: Case) -> None:
    outcome, asked = asyncio.run(drive(check(case.author, case.passing), Evidence(), world(case.zone)))
    got = outcome.result
    assert (got.result, got.policy, got.policy_domain, got.aligned_by, got.reason) == (
        case.result,
        case.policy,
        case.policy_domain,
        case.aligned_by,
        case.reason,
    )
    assert got.mode is DmarcMode.RFC7489
    assert got.org_domain == (None if case.result == "temperror" else organisation(case.author))
    assert conclude(check(case.author, case.passing), closed(asked)) == outcome


SERVFAIL = {"status": "SERVFAIL"}


@pytest.mark.parametrize(
    ("zone", "result"),
    [
        ({"a.example.com": SERVFAIL, **COM}, "temperror"),
        ({"a.example.com": {"status": "NODATA"}, "example.com": SERVFAIL}, "temperror"),
        ({"example.com": {"status": "TIMEOUT"}}, "temperror"),
        ({"a.example.com": REJECT, "example.com": SERVFAIL}, "fail"),
        ({"a.example.com": [REJECT, REJECT], "example.com": SERVFAIL}, "none"),
        ({"a.example.com": REJECT, "com": SERVFAIL}, "fail"),
        ({"com": SERVFAIL, **COM}, "fail"),
        ({"evil.com": SERVFAIL, **COM}, "fail"),
    ],
)
def test_only_an_answer_that_is_needed_makes_a_temporary_error(zone: dict[str, Any], result: str) -> None:
    got = conclude(check("a.example.com", ("evil.com",)), world(zone).evidence()).result
    assert got.result == result
    if result == "temperror":
        assert (got.policy, got.policy_domain, got.org_domain, got.reason) == (
            None,
            None,
            None,
            "discovery-failed",
        )


def test_two_names_are_asked_for_at_once_and_never_more() -> None:
    dns = world(COM)
    signers = tuple(f"s{n}.example.com" for n in range(100))
    outcome, _ = asyncio.run(drive(check("a.b.c.example.com", signers), Evidence(), dns))
    assert outcome.result.result is AuthResult.PASS
    assert len(outcome.aligned_dkim) == 100
    assert dns.rounds == 1
    assert {q.name for q in dns.asked} == {"_dmarc.a.b.c.example.com.", "_dmarc.example.com."}


def test_the_early_questions_are_those_two_and_none_without_one_author() -> None:
    assert author_questions_7489(("A.B.Example.com",), LIST) == {
        Question.of("_dmarc.a.b.example.com", "TXT"),
        Question.of("_dmarc.example.com", "TXT"),
    }
    for domains in (None, (), ("a.test", "b.test"), ("[1]",), ("",)):
        assert author_questions_7489(domains, LIST) == frozenset()


@pytest.mark.parametrize(
    "domains", [None, (), ("example.com", "evil.test"), ("[192.0.2.1]",), ("a..b",), ("x" * 9_000,)]
)
def test_no_author_is_never_a_pass(domains: tuple[str, ...] | None) -> None:
    dkim, spf = identified(("example.com",))
    got = conclude(check_dmarc_7489(domains, dkim, spf, LIST), world(COM).evidence()).result
    assert got.result is AuthResult.PERMERROR
    assert got.reason
    assert got.mode is DmarcMode.RFC7489


@pytest.mark.parametrize("name", [".".join(["x" * 60] * 5) + ".example.com", "x" * 64 + ".example.com"])
def test_a_name_too_long_to_be_asked_for_goes_by_its_organisation(name: str) -> None:
    got = conclude(check(name), world(COM).evidence()).result
    assert (got.result, got.policy_domain) == ("fail", "example.com")


@pytest.mark.parametrize("zone", [{}, {"example.com": "v=DMARC1;"}, {"example.com": SERVFAIL}])
def test_where_no_policy_is_known_only_a_passing_signature_of_the_very_domain_is_aligned(
    zone: dict[str, Any],
) -> None:
    signers = ("evil.com", "Example.com.", "m.example.com", "?example.com")
    outcome = conclude(check("example.com", signers), world(zone).evidence())
    assert outcome.result.result in {"none", "temperror"}
    assert outcome.result.aligned_by == ()
    assert outcome.aligned_dkim == {1}


def test_a_key_in_test_mode_and_a_helo_of_its_own_do_not_count() -> None:
    testing = DkimResult(0, AuthResult.PASS, None, "example.com", "s", "rsa-sha256", testing=True)
    helo = SpfResult(AuthResult.PASS, "example.com", "helo", "192.0.2.1", "session")
    got = conclude(check_dmarc_7489(("example.com",), (testing,), helo, LIST), world(COM).evidence()).result
    assert got.result is AuthResult.FAIL


# -- where the two RFCs differ ---------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("about", "zone", "author", "signer", "newer", "older"),
    [
        ("a record at a subdomain only: 9989 takes that for the organisation", {"a.example.com": REJECT},
         "a.example.com", "example.com", ("fail", "reject"), ("pass", "reject")),
        ("a listed suffix without psd=y whose registry publishes a record", {"co.uk": REJECT}, "a.co.uk", "b.co.uk",
         ("pass", "reject"), ("none", None)),
        ("psd=y at a name that the list does not know", {"x.com": "v=DMARC1; p=reject; psd=y"}, "a.x.com", "b.x.com",
         ("fail", "reject"), ("pass", "reject")),
        ("psd=n at a subdomain", {"a.example.com": "v=DMARC1; p=reject; psd=n", **COM}, "a.example.com", "b.example.com",
         ("fail", "reject"), ("pass", "reject")),
        ("np for a name that does not exist", {"example.com": "v=DMARC1; p=none; np=reject"}, "gone.example.com", None,
         ("fail", "reject"), ("fail", "none")),
        ("np that is no policy", {"example.com": "v=DMARC1; p=reject; np=x"}, "example.com", None, ("none", None),
         ("fail", "reject")),
        ("t=y", {"example.com": "v=DMARC1; p=reject; t=y"}, "example.com", None, ("fail", "quarantine"),
         ("fail", "reject")),
        ("a registry's own policy", {"bank": "v=DMARC1; p=reject; psd=y"}, "a.bank", None, ("fail", "reject"),
         ("none", None)),
        ("several records at the author", {"a.example.com": [REJECT, REJECT], **COM}, "a.example.com", None,
         ("fail", "reject"), ("none", None)),
        ("no difference in ordinary mail", COM, "a.example.com", "example.com", ("pass", "reject"), ("pass", "reject")),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)  # fmt: skip
def test_the_two_rfcs_on_the_same_dns(
    about: str,
    zone: dict[str, Any],
    author: str,
    signer: str | None,
    newer: tuple[str, str | None],
    older: tuple[str, str | None],
) -> None:
    dkim, spf = identified(() if signer is None else (signer,))
    evidence = world(zone).evidence()
    by_9989 = conclude(check_dmarc((author,), dkim, spf), evidence).result
    by_7489 = conclude(check_dmarc_7489((author,), dkim, spf, LIST), evidence).result
    assert (by_9989.result, by_9989.policy) == newer, about
    assert (by_7489.result, by_7489.policy) == older, about
    assert (by_9989.mode, by_7489.mode) == (DmarcMode.RFC9989, DmarcMode.RFC7489)
    assert by_9989.percent is None


# -- the record ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("pct", "percent"),
    [
        ("", 100), ("; pct=100", 100), ("; pct=25", 25), ("; pct=0", 0), ("; pct=007", 7), ("; pct = 5 ", 5),
        ("; pct=101", 100), ("; pct=999", 100), ("; pct=-1", 100), ("; pct=+5", 100), ("; pct=1.5", 100), ("; pct=", 100),
        ("; pct=x", 100), ("; pct=0000", 100), ("; pct=٥", 100), ("; pct=²", 100), ("; pct=" + "9" * 9_000, 100),
    ],
    ids=range(17),
)  # fmt: skip
def test_rfc7489_6_3_pct_is_read_and_what_is_no_percentage_is_ignored(pct: str, percent: int) -> None:
    record = parse_7489(f"v=DMARC1; p=reject{pct}")
    assert record == Record7489(Policy.REJECT, percent=percent)
    got = conclude(check("example.com"), world({"example.com": f"v=DMARC1; p=reject{pct}"}).evidence()).result
    assert (got.policy, got.percent) == ("reject", percent)


@pytest.mark.parametrize(
    "text",
    [
        "", ";", "=", "v", "v=", "v=DMARC1", "v=DMARC1;=;==;;;", "v=DMARC1;p", "v=DMARC1;p=\x00", "\udcff\udc80",
        "v=DMARC1;" + "a=b;" * 10_000, "v=DMARC1;" + "=" * 60_000, "v=DMARC1;rua=" + "," * 60_000, " " * 65_000 + "v",
        "v=DMARC1;p=reject" + ";" * MAX_RECORD, "v=DMARC1;pct=" + "1" * 60_000,
    ],
    ids=range(16),
)  # fmt: skip
def test_hostile_records_are_read_in_linear_time_without_an_exception(text: str) -> None:
    began = time.perf_counter()
    record = parse_7489(text)
    assert record is None or record.p in {None, *Policy}
    assert time.perf_counter() - began < 2


def test_a_record_cut_at_any_octet_is_a_record_or_none() -> None:
    whole = "v=DMARC1; p=reject; sp=quarantine; adkim=s; aspf=s; pct=30; rua=mailto:a@example.com"
    for end in range(len(whole)):
        parse_7489(whole[:end])
    assert parse_7489(whole) == Record7489(
        Policy.REJECT, Policy.QUARANTINE, strict_dkim=True, strict_spf=True, percent=30
    )


# -- in a verdict ----------------------------------------------------------------------------------------
EXAMPLE = Identity("example", domains=("example.com",), signing_domains=("example.com",))
LIVE = Session("192.0.2.9", "mx.evil.com", "x@evil.com", origin=SessionOrigin.LIVE)
MESSAGE = b"From: x@example.com\r\nSubject: x\r\n\r\nx\r\n"


def report_by(record: str, suffixes: PublicSuffixes | None, raw: bytes = MESSAGE):
    context = Context((EXAMPLE,), AT, LIVE, "mx.test", suffixes=suffixes)
    return conclude(judge(read_message(raw), context), world({"example.com": record}).evidence())


def test_the_reasons_of_the_older_mode_cite_its_rfc_and_never_the_newer() -> None:
    for suffixes, cited, other in ((LIST, "RFC 7489 6.6", "RFC 9989"), (None, "RFC 9989", "RFC 7489")):
        for record in (REJECT, "v=DMARC1; p=none", "v=DMARC1;"):
            report = report_by(record, suffixes)
            sections = [reason.rfc or "" for reason in report.reasons if "dmarc" in reason.code]
            assert sections
            assert all(section.startswith(cited) for section in sections), sections
            every = [r.rfc for r in report.reasons] + [c.rfc for c in explain(report).checks]
            assert not [rfc for rfc in every if rfc and rfc.startswith(other)]
    several = report_by(REJECT, LIST, MESSAGE.replace(b"From: ", b"From: y@evil.com, "))
    assert "RFC 7489 6.6.1" in {reason.rfc for reason in several.reasons}


def test_sampling_is_told_and_not_done() -> None:
    report = report_by("v=DMARC1; p=reject; pct=25", LIST)
    told = [reason for reason in report.reasons if reason.code == "dmarc-sampling"]
    assert [(reason.rfc, reason.effect) for reason in told] == [("RFC 7489 6.6.4", "informs")]
    assert "25 %" in told[0].text
    assert (report.verdict, report.dmarc.policy) == ("forged", "reject")
    for record, suffixes in (("v=DMARC1; p=reject; pct=25", None), (REJECT, LIST)):
        assert "dmarc-sampling" not in {reason.code for reason in report_by(record, suffixes).reasons}


def test_the_json_object_says_by_which_rfc() -> None:
    older = as_json(report_by("v=DMARC1; p=reject; pct=25", LIST), None)["dmarc"]
    newer = as_json(report_by("v=DMARC1; p=reject; pct=25", None), None)["dmarc"]
    assert (older["mode"], older["percent"]) == ("rfc7489", 25)
    assert (newer["mode"], newer["percent"]) == ("rfc9989", None)


def test_an_attached_message_is_judged_by_the_same_rfc() -> None:
    outer = (
        b"From: a@contoso.com\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + MESSAGE + b"--b--\r\n"
    )
    report = report_by(REJECT, LIST, outer)
    assert [inner.dmarc.mode for inner in report.inner] == [DmarcMode.RFC7489]
    assert Context((), AT).dmarc_mode is DmarcMode.RFC9989
    assert Context((), AT, suffixes=LIST).dmarc_mode is DmarcMode.RFC7489
