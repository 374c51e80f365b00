"""Every check of a verdict is told with its result, reason, evidence and RFC, and none is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.cases.attacks import ATTACKS
from tests.cases.genuine import ADDRESS, DOMAIN, PROTECTED, genuine, zone
from tests.cases.transit import CHANGES
from tests.verifier.judging import judged, txt
from tests.verifier.test_arc import sealed, sealing_records
from verifier.checks import NOT_ASKED, Checked, checks_of
from verifier.evidence import Session, SessionOrigin
from verifier.explanation import MAX_SIGNERS, explain
from verifier.reason_codes import ReasonCode
from verifier.report import AuthResult, DkimResult, Effect, Reason, Report, SpfResult

GENUINE = genuine(0).raw
LIVE = Session("192.0.2.1", "mx.elsewhere.test", "x@elsewhere.test", ("us@contoso.test",), SessionOrigin.LIVE)


def report_on(raw: bytes, session: Session | None = None, **more: str) -> Report:
    return judged([(raw, txt({**zone(), **more}), session)], PROTECTED)[0]


def named(report: Report) -> dict[str, Checked]:
    return {check.check: check for check in checks_of(report)}


def test_a_genuine_message_is_told_check_by_check() -> None:
    found = named(report_on(GENUINE))
    assert list(found) == ["author", "claim 1", "DKIM 1", "second opinion", "SPF", "DMARC", "ARC"]
    results = {name: check.result for name, check in found.items()}
    assert results == {
        "author": "pass",
        "claim 1": "claimed",
        "DKIM 1": "pass",
        "second opinion": "pass",
        "SPF": "none",
        "DMARC": "pass",
        "ARC": "none",
    }
    claim = found["claim 1"]
    assert (claim.reason, claim.also) == ("claims-author-address", ("address-pinned",))
    assert claim.evidence == f"“experts”: {ADDRESS}"
    opinion = found["second opinion"]
    assert opinion.reason == "implementations-agree"
    assert opinion.evidence == f"dkimpy, with rsa._domainkey.{DOMAIN} TXT"
    details = dict(found["DKIM 1"].details)
    assert (details["aligned"], details["accepted"]) == ("yes", "yes")
    assert details["signed"].startswith("from, to, ")
    assert details["oversigned"].startswith("content-transfer-encoding, from, subject")
    assert dict(found["DMARC"].details)["aligned by"] == "DKIM"


@pytest.mark.parametrize("name", [*ATTACKS, *CHANGES])
def test_every_check_of_every_case_cites_an_rfc_and_every_failing_one_a_reason(name: str) -> None:
    raw = ATTACKS[name].make(GENUINE) if name in ATTACKS else CHANGES[name].change(GENUINE)
    for check in checks_of(report_on(raw)):
        assert check.rfc is not None
        assert check.rfc.startswith("RFC ")
        if check.result not in {"pass", "none", "claimed"}:
            assert check.reason


@pytest.mark.parametrize(
    ("attack", "result", "reason"),
    [
        ("display name", "imitated", "imitates-display-name"),
        ("look-alike domain", "imitated", "imitates-domain"),
        ("address in the display name", "imitated", "imitates-by-hidden-address"),
        ("no signature", "claimed", "claims-author-address"),
        ("another author below the same signature", "none", "nothing-claimed"),
    ],
)
def test_what_is_claimed_is_a_check(attack: str, result: str, reason: str) -> None:
    found = checks_of(report_on(ATTACKS[attack].make(GENUINE)))
    assert (result, reason) in [(c.result, c.reason) for c in found if c.check.startswith("claim")]


@pytest.mark.parametrize(
    ("attack", "reason"), [("two authors", "several-authors"), ("source route", "malformed-author")]
)
def test_an_author_field_that_cannot_be_read_one_way_only_fails(attack: str, reason: str) -> None:
    author = named(report_on(ATTACKS[attack].make(GENUINE)))["author"]
    assert (author.result, author.reason) == ("fail", reason)


@pytest.mark.parametrize(
    ("code", "result"),
    [
        (ReasonCode.IMPLEMENTATIONS_DISAGREE, "fail"),
        (ReasonCode.SECOND_OPINION_UNAVAILABLE, "skipped"),
    ],
)
def test_a_second_opinion_that_refuses_or_is_missing_names_the_key(code: ReasonCode, result: str) -> None:
    report = replace(report_on(GENUINE), reasons=(Reason(code, "Text.", None, Effect.WEAKENS),))
    opinion = named(report)["second opinion"]
    assert (opinion.result, opinion.reason) == (result, code)
    assert opinion.evidence == f"dkimpy, with rsa._domainkey.{DOMAIN} TXT"


def test_a_second_opinion_that_was_not_asked_for_says_so() -> None:
    opinion = named(report_on(ATTACKS["no signature"].make(GENUINE)))["second opinion"]
    assert (opinion.result, opinion.evidence) == ("none", NOT_ASKED)


def test_every_weakness_of_a_signature_is_told() -> None:
    twice = b"Content-Type: text/html\r\nSubject: Urgent\r\n" + genuine(1).raw
    report = report_on(twice)
    check = named(report)["DKIM 1"]
    assert len(report.dkim[0].weaknesses) > 1
    assert (check.reason, *check.also) == report.dkim[0].weaknesses
    assert dict(check.details)["accepted"].startswith("no")


def test_dmarc_of_a_live_session_names_the_reason_that_made_it_forged() -> None:
    check = named(report_on(ATTACKS["no signature"].make(GENUINE), LIVE))["DMARC"]
    assert (check.reason, check.also) == ("no-aligned-identifier", ("live-session-dmarc-fail",))


@pytest.mark.parametrize(
    ("session", "reason", "evidence"),
    [
        (None, "no-session", None),
        (replace(LIVE, client_ip="nonsense"), "client-address", None),
        (replace(LIVE, mail_from="x@localhost"), "path-domain", None),
        (replace(LIVE, mail_from="a b(c@elsewhere.test"), "path-syntax", None),
        (replace(LIVE, mail_from="", helo="localhost"), "helo-domain", None),
        (LIVE, "no-record", "mailfrom elsewhere.test from 192.0.2.1 (session)"),
        (replace(LIVE, mail_from="x@broken.test"), "record-error", "mailfrom broken.test from 192.0.2.1"),
        (replace(LIVE, mail_from="x@good.test"), None, "mailfrom good.test from 192.0.2.1 (session)"),
    ],
)
def test_spf_says_why_it_has_no_answer(
    session: Session | None, reason: str | None, evidence: str | None
) -> None:
    records: dict[str, Any] = {"broken.test": "v=spf1 nonsense", "good.test": "v=spf1 ip4:192.0.2.1 -all"}
    check = named(report_on(GENUINE, session, **records))["SPF"]
    assert check.reason == reason
    assert check.evidence is evidence or (evidence and str(check.evidence).startswith(evidence))


def test_hops_of_relays_are_told_one_by_one() -> None:
    check = named(report_on(sealed(GENUINE, 2), **sealing_records()))["ARC"]
    assert (check.result, check.reason, check.evidence) == ("pass", "arc-pass", "hop2.test, hop1.test")
    assert [detail.what for detail in check.details] == ["hop 2", "hop 1"]
    assert "says dmarc=pass of contoso.test" in check.details[0].text


def test_a_reason_that_no_check_tells_stands_at_the_end() -> None:
    report = report_on(GENUINE)
    new = Reason("something-new", "Text.", "RFC 5322 2", Effect.WEAKENS, "what was seen")
    told = Reason("also-new", "Text.", None, Effect.INFORMS)
    last = checks_of(replace(report, reasons=(*report.reasons, new, told)))[-1]
    assert last == Checked("finding", "weakens", "something-new", "what was seen", "RFC 5322 2")


@pytest.mark.parametrize(("count", "said"), [(3, None), (4, "one more signature"), (9, "6 more signatures")])
def test_signers_that_the_chain_leaves_out_are_counted(count: int, said: str | None) -> None:
    one = DkimResult(0, AuthResult.FAIL, "body-changed", "a.test", "s", "rsa-sha256")
    report = replace(report_on(GENUINE), dkim=tuple(one._replace(position=n) for n in range(count)))
    signers = [link for link in explain(report).chain if link.what == "signer"]
    assert len(signers) == MAX_SIGNERS + (said is not None)
    assert said is None or (said in signers[-1].finding and "none holds" in signers[-1].finding)
    assert len([check for check in checks_of(report) if check.check.startswith("DKIM")]) == count


def test_a_report_that_holds_next_to_nothing_is_told_without_a_fault() -> None:
    bare = replace(
        report_on(GENUINE), author=None, claims=(), dkim=(), reasons=(), spf=SpfResult(AuthResult.NONE)
    )
    assert [check.check for check in checks_of(bare)][:3] == ["author", "claims", "DKIM"]
