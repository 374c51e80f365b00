"""Each fault that is planted in a sound zone is found, and nothing else is; what is told to publish puts it right."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from expertmail.dns_check.certificate import public_key_hash
from expertmail.dns_check.check import check_all, exit_code
from expertmail.dns_check.codes import Code, Severity
from expertmail.dns_check.facts import KeyUse
from expertmail.dns_check.finding import Published
from expertmail.dns_check.rules import RULES
from expertmail.dns_check.sources import key_use
from expertmail.dns_check.spf_record import is_spf
from expertmail.dns_check.table import markdown
from expertmail.dns_check.view import zone_lines
from outbound.key_rotation import KeysInForce, Pair, Retiring
from tests.expertmail.dns_faults import PLANTED, D, R, spf
from tests.expertmail.dns_zone import (
    AT,
    AUTHORITY,
    ED25519_KEY,
    IPV4,
    IPV6,
    LEAF,
    LEAF_KEY,
    MX,
    OPERATED,
    OTHER_RSA_KEY,
    POLICY,
    RSA_KEY,
    Answers,
    everything,
    found,
    own_key,
    pem,
    pem_of,
    sound,
    strings,
    tls_files,
    zone_text,
)
from tests.verifier.test_spf import suite
from verifier.evidence import Absent, Answer, Evidence, Question, conclude
from verifier.zone import read_zone

ROOT = Path(__file__).resolve().parents[2]
# Codes that stand for a state and not for something to plant.
NOT_PLANTED = {Code.OK, Code.UNCHECKED}
# Each question of each case takes a minute; every eighth one shows a slip as well, for cases ask much the same.
EVERY = 1 if os.environ.get("FULL") else 8
# What only a host's address can put right, which nobody but the admin knows.
FOLLOWS = {Code.MTA_STS_MISSING: Code.MTA_STS_HOST, Code.MX_ELSEWHERE: Code.MX_WITHOUT_ADDRESS}


class Noting(Answers):
    """Keeps the questions."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.asked: dict[Question, None] = {}

    def __getitem__(self, question: Question) -> Answer:
        self.asked[question] = None
        return super().__getitem__(question)


def questions(changes: dict[str, list[str]], facts: dict[str, Any]) -> list[str]:
    """Name and type of all that is asked about a zone."""
    noting = Noting(read_zone(zone_text(changes)))
    conclude(check_all(replace(OPERATED, **facts)), Evidence(noting, absent=Absent.NXDOMAIN))
    return [f"{question.name} {question.type}" for question in noting.asked]


def published(changes: dict[str, list[str]], records: tuple[Published, ...]) -> dict[str, list[str]]:
    """The changes with records published in place of those of the same name and kind."""
    held = {**sound(), **changes}
    again = dict(changes)
    for record, line in zip(records, zone_lines(records), strict=True):
        key = f"{record.name}. {record.type}"
        text = line.split(" ", 4)[4]
        kept = []
        if record.type == "TXT" and is_spf(record.text):
            kept = [one for one in held.get(key, []) if "spf" not in one.lower()]
        again[key] = [*kept, text]
        again.pop(f"{record.name}. CNAME", None)
    return again


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found_and_nothing_else(name: str) -> None:
    changes, facts, expected = PLANTED[name]
    assert found(changes, **facts) == expected


def test_in_a_sound_zone_nothing_is_found() -> None:
    assert found() == set()
    assert {one.area for one in everything()} >= {"MX", "PTR", "SPF", "DKIM", "DMARC", "MTA-STS", "TLS-RPT"}


def test_every_kind_of_finding_is_planted_and_has_a_rule() -> None:
    planted = {code for _, _, expected in PLANTED.values() for code, _ in expected}
    assert planted == {str(code) for code in Code if code not in NOT_PLANTED}
    assert RULES.keys() == set(Code) - {Code.OK}
    assert all(re.match(r"RFC [0-9]{4}", rule.rfc) and rule.why.endswith(".") for rule in RULES.values())


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_told_to_publish_puts_it_right(name: str) -> None:
    changes, facts, before = PLANTED[name]
    for one in everything(changes, **facts):
        if one.publish:
            again = everything(published(changes, one.publish), **facts)
            here = (str(one.code), one.subject)
            # A policy or certificate may have to follow a new MX host; the records of one kind make no new fault.
            faults = {o for o in again if o.severity is Severity.FAULT and o.area is one.area}
            follows = {one for one in faults if FOLLOWS.get(here[0]) == one.code}
            assert {(str(o.code), o.subject) for o in faults - follows} <= before - {here}, one.publish
            assert here not in {(str(o.code), o.subject) for o in again}, one.publish


@pytest.mark.parametrize("name", PLANTED)
def test_no_answer_is_never_a_fault(name: str) -> None:
    changes, facts, expected = PLANTED[name]
    for question in questions(changes, facts)[::EVERY]:
        faults = {
            (str(one.code), one.subject)
            for one in everything(changes, re.escape(question), **facts)
            if one.severity is Severity.FAULT
        }
        assert faults <= expected, question


def test_what_the_dns_does_not_answer_is_told_as_unchecked() -> None:
    silent = {
        question
        for question in questions({}, {})
        if {code for code, _ in found({}, re.escape(question))} != {"unchecked"}
    }
    # The host of the policy needs an address of either kind, and may be a CNAME.
    assert {name for name in silent if not name.startswith("mta-sts.")} == set()
    assert {code for code, _ in found({}, ".*")} == {"unchecked"}


def test_the_exit_code_is_1_for_a_fault_before_75_for_a_gap() -> None:
    ok, advice, fault, gap = Severity.OK, Severity.ADVICE, Severity.FAULT, Severity.UNCHECKED
    assert [exit_code(s) for s in ([], [ok, advice], [ok, gap], [gap, fault, ok])] == [0, 0, 75, 1]


def test_a_repaired_spf_record_keeps_who_else_sends() -> None:
    (one,) = (
        f for f in everything(spf("v=spf1 include:x.test ~all", "v=spf1 ip4:198.51.100.7 -all")) if f.publish
    )
    assert one.publish == (Published(D, "TXT", "v=spf1 include:x.test ip4:198.51.100.7 mx ~all"),)
    (one,) = (
        f for f in everything(spf("v=spf1 redirect=x.test", "v=spf1 mx ptr ?all a:y.test")) if f.publish
    )
    assert one.publish[0].text == "v=spf1 mx include:x.test ~all"
    refused = everything(spf("v=spf1 ip4:198.51.100.7 ~all", domain=R))
    (one,) = (f for f in refused if f.publish)
    assert one.publish[0].text == f"v=spf1 ip4:198.51.100.7 ip4:{IPV4} ip6:{IPV6} ~all"


def test_the_first_record_of_a_domain_is_what_dns_show_tells() -> None:
    other = {"other.test. MX": [f"10 {MX}."]}
    told = everything(other, domains=(D, "other.test"))
    (one,) = (f for f in told if f.code is Code.SPF_MISSING)
    assert one.publish == (Published("other.test", "TXT", "v=spf1 mx -all"),)


def test_a_repaired_policy_keeps_what_is_valid() -> None:
    record = (
        "v=DMARC1; p=none; pct=20; adkim=s; ruf=mailto:a@experts.test; rua=mailto:b@experts.test,c@d; x=y"
    )
    one = next(f for f in everything({f"_dmarc.{D}. TXT": [strings(record)]}) if f.code is Code.DMARC_NONE)
    assert one.publish[0].text == (
        "v=DMARC1; p=reject; adkim=s; rua=mailto:b@experts.test; ruf=mailto:a@experts.test"
    )


def test_a_long_record_is_told_in_strings_of_255_octets() -> None:
    one = next(f for f in everything({f"s1._domainkey.{D}. TXT": []}) if f.publish)
    (line,) = zone_lines(one.publish)
    parts = re.findall(r'"([^"]*)"', line)
    assert len(parts) == 2
    assert max(map(len, parts)) == 255
    assert "".join(parts) == OPERATED.keys[0].record


def test_reports_may_go_where_they_are_taken() -> None:
    policy = {f"_dmarc.{D}. TXT": ['"v=DMARC1; p=reject; rua=mailto:a@reports.test!10m"']}
    taken = {f"{D}._report._dmarc.reports.test. TXT": ['"v=DMARC1"']}
    everybodys = {"*._report._dmarc.reports.test. TXT": ['"v=DMARC1;"']}
    wrong = {f"{D}._report._dmarc.reports.test. TXT": ['"yes"']}
    same = {f"_dmarc.{D}. TXT": ['"v=DMARC1; p=reject; rua=mailto:a@lists.experts.test"']}
    assert found({**policy, **taken}) == found({**policy, **everybodys}) == found(same) == set()
    assert found({**policy, **wrong}) == {("dmarc-report-refused", D)}


def test_a_policy_is_enforced_only_where_a_certificate_is() -> None:
    for tls, mode in ((OPERATED.tls, "enforce"), (None, "testing")):
        all_of_it = everything({f"_mta-sts.{D}. TXT": []}, tls=tls)
        (one,) = (f for f in all_of_it if f.code is Code.MTA_STS_MISSING)
        assert one.serve == f"version: STSv1\nmode: {mode}\nmx: {MX}\nmax_age: 1209600\n"


def test_keys_of_a_rotation_are_told_apart() -> None:
    keys = KeysInForce("s2", Pair("s2", "s2-ed25519"), None, None, (Retiring(Pair("old"), AT),))
    assert [key_use(one, keys) for one in ("s2", "s2-ed25519", "s1-ed25519", "old")] == [
        KeyUse.SIGNS,
        KeyUse.SIGNS,
        KeyUse.PREVIOUS,
        KeyUse.PREVIOUS,
    ]
    assert [key_use(one, keys) for one in ("s2", "s1", "s3", "s10", "t1", "new")] == [
        KeyUse.SIGNS,
        KeyUse.PREVIOUS,
        KeyUse.NEXT,
        KeyUse.NEXT,
        KeyUse.NEXT,
        KeyUse.NEXT,
    ]


def test_an_earlier_key_may_be_gone_revoked_or_still_published() -> None:
    keys = (own_key("s1", RSA_KEY), own_key("s0", OTHER_RSA_KEY, KeyUse.PREVIOUS))
    name = f"s0._domainkey.{D}. TXT"
    for records in ([], ['"v=DKIM1; p="'], [strings(keys[1].record)]):
        assert found({name: records}, keys=keys) == set()


def test_an_ed25519_key_and_flags_that_do_no_harm_are_fine() -> None:
    for key, extra in ((ED25519_KEY, ""), (RSA_KEY, "; t=s; h=sha1:sha256; s=email; n=note")):
        own = own_key("s1", key)
        assert found({f"s1._domainkey.{D}. TXT": [strings(own.record + extra)]}, keys=(own,)) == set()


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 mx -all",
        "V=SPF1 MX A:mx.experts.test/32//128 ~ALL",
        "v=spf1 +mx exists:%{ir}.%{v}._spf.%{d2} -all",
        "v=spf1  mx   exp=why.%{d}.test note=anything -all ",
        "v=spf1 a:mx.experts.test. ?ip4:198.51.100.1/24 -all",
    ],
)
def test_an_spf_record_of_any_valid_form_is_fine(record: str) -> None:
    assert found(spf(record)) == set()


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("_dmarc", "v=DMARC1;p=reject;rua=mailto:a@experts.test;"),
        (
            "_dmarc",
            "v=DMARC1 ; p = REJECT ; sp=quarantine; np=reject; rua=mailto:a@experts.test,mailto:b@experts.test",
        ),
        (
            "_dmarc",
            "v=DMARC1; rua=mailto:a@mail.experts.test!10m; fo=1:d:s; adkim=r; psd=n; t=n; p=quarantine",
        ),
        ("_mta-sts", "v=STSv1;id=1"),
        ("_mta-sts", "v=STSv1; id=20261125T100000Z; more=x; "),
        ("_smtp._tls", "v=TLSRPTv1;rua=https://reports.test/v1?x;"),
        ("_smtp._tls", "v=TLSRPTv1; rua=mailto:a@reports.test,https://reports.test/v1"),
    ],
)
def test_a_record_of_any_other_valid_form_is_fine(name: str, record: str) -> None:
    other = '"something else"' if not name.startswith("_dmarc") else '"v=spf1 -all"'
    assert found({f"{name}.{D}. TXT": [strings(record), other]}) == set()


@pytest.mark.parametrize(
    "policy",
    [
        POLICY.replace("\n", "\r\n"),
        POLICY.replace(MX, "*.experts.test").replace(": ", ":"),
        POLICY.replace(MX, MX.upper()) + "note: anything\n\n",
    ],
)
def test_a_policy_of_any_valid_form_is_fine(policy: str) -> None:
    assert found({}, policies={"": policy}) == set()


def test_a_certificate_of_any_usual_kind_is_fine() -> None:
    ed25519_key = ed25519.Ed25519PrivateKey.generate()
    rsa_key = rsa.generate_private_key(65537, 2048)
    for key in (ed25519_key, rsa_key):
        for names in ((MX,), ("*.experts.test",), ("www.experts.test", MX.upper())):
            leaf = AUTHORITY.issue(key, names=names, ends=AT + timedelta(days=21))
            for chain in (
                pem(leaf, AUTHORITY.intermediate),
                pem(leaf, AUTHORITY.intermediate, AUTHORITY.root),
            ):
                assert found({}, tls=tls_files(chain, pem_of(key))) == set(), names
    both = pem(LEAF, AUTHORITY.intermediate) + pem_of(LEAF_KEY)
    assert found({}, tls=tls_files(both, both)) == set()


def test_other_mx_hosts_may_stand_beside_ours() -> None:
    hosts = {f"{D}. MX": ["20 backup.other.test.", f"10 {MX}."], "backup.other.test. A": ["198.51.100.2"]}
    assert found(hosts, policies={"": POLICY, D: POLICY + "mx: backup.other.test\n"}) == set()


def test_our_host_under_another_mx_name_needs_a_certificate_for_it() -> None:
    other = {f"{D}. MX": ["10 in.experts.test."], "in.experts.test. A": [IPV4]}
    policies = {"": POLICY, D: POLICY.replace(MX, "in.experts.test")}
    assert found(other, policies=policies) == {("certificate-name", MX)}
    assert found(other, policies=policies, tls=tls_files(names=("in.experts.test", MX))) == set()


def test_tlsa_records_that_match_are_fine_when_they_are_signed() -> None:
    name = f"_25._tcp.{MX}. TLSA"
    held = [f"3 1 1 {'ab' * 32}", f"3 1 1 {public_key_hash(LEAF)}"]
    assert found({name: held}, ad=True) == set()


def test_a_subdomain_goes_by_the_policy_above_it() -> None:
    above = {f"_dmarc.{D}. TXT": ['"v=DMARC1; p=reject; sp=quarantine; rua=mailto:a@experts.test"']}
    held = {one.subject: one.found for one in everything(above) if one.area == "DMARC"}
    assert held[R] == f"the record of {D} applies: quarantine"
    own = {f"_dmarc.{R}. TXT": ['"v=DMARC1; p=none; rua=mailto:a@experts.test"']}
    assert found({**above, **own}) == {("dmarc-none", R)}


def test_the_document_of_findings_is_up_to_date() -> None:
    document = (ROOT / "docs" / "dns-findings.md").read_text(encoding="utf-8")
    assert document == markdown(), "run: python -m expertmail.dns_check.table > docs/dns-findings.md"
    assert all(f"`{code}`" in document for code in Code if code is not Code.OK)


def test_each_module_decides_or_is_known_to_touch_the_world() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (deciding,) = (
        c["source_modules"] for c in contracts if c["name"] == "What dns check decides does no I/O"
    )
    modules = {path.stem for path in (ROOT / "expertmail" / "dns_check").glob("*.py")} - {"__init__"}
    assert modules == {name.rpartition(".")[2] for name in deciding} | {"sources", "view", "table"}


# Where the suite's answer depends on what a record's evaluation meets first, or it allows either.
OTHERWISE_IN_THE_SUITE = {
    "invalid-domain-empty-label": "either; the name is told as one that does not exist",
    "invalid-domain-long": "either; the same",
    "invalid-domain-long-via-macro": "either; what a macro gives is not known",
    "include-at-limit": "a match comes before the eleventh term; for anybody else it is above the limit",
}
BREAKS = {
    Code.SPF_SYNTAX,
    Code.SPF_SEVERAL,
    Code.SPF_LOOKUPS,
    Code.SPF_VOID_LOOKUPS,
    Code.SPF_INCLUDE,
    Code.SPF_MX_NAMES,
}


def test_spf_records_are_broken_where_the_rfc_7208_suite_says_so(shared_data: Path) -> None:
    differ = set()
    for name, case, world in suite(shared_data):
        domain = (case["mailfrom"].rpartition("@")[2] or case["helo"]).lower().rstrip(".")
        operated = replace(OPERATED, domains=(domain,), sender_domain="x.test", reply_domain="y.test")
        evidence = Evidence(world, absent=Absent.NXDOMAIN)
        told = {one.code for one in conclude(check_all(operated), evidence) if one.subject == domain}
        if bool(told & BREAKS) is not ("permerror" in case["result"]):
            differ.add(name)
    assert differ == OTHERWISE_IN_THE_SUITE.keys()
