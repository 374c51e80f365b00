"""An explanation for each verdict: the chain, the checks, what would change it, what to do; and nothing that misleads."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.cases.attacks import ATTACKS
from tests.cases.genuine import ADDRESS, PROTECTED, genuine, zone
from tests.cases.transit import CHANGES
from tests.verifier.judging import judged, txt
from verifier.dkim_reason import DkimReason
from verifier.evidence import Absent, Session, SessionOrigin
from verifier.explanation import as_object, explain
from verifier.identity import Identity
from verifier.reason_codes import ReasonCode
from verifier.report import Effect, Reason, Report, Verdict
from verifier.report_json import as_json


def _report(
    raw: bytes,
    identities: tuple[Identity, ...] = PROTECTED,
    session: Session | None = None,
    *,
    dead: bool = False,
) -> Report:
    evidence = txt(zone())
    if dead:
        evidence = replace(evidence, answers={}, absent=Absent.UNKNOWN)
    return judged([(raw, evidence, session)], identities)[0]


GENUINE = genuine(0).raw
UNPINNED = (replace(PROTECTED[0], addresses=()),)
LIVE = Session("192.0.2.1", "mx.elsewhere.test", "x@elsewhere.test", ("us@contoso.test",), SessionOrigin.LIVE)


@pytest.mark.parametrize(
    ("raw", "identities", "session", "verdict", "change", "do"),
    [
        (GENUINE, PROTECTED, None, Verdict.GENUINE, "Any change", "You may act"),
        (GENUINE, UNPINNED, None, Verdict.AUTHENTIC_UNPINNED, f"Pinning {ADDRESS}", "Ask through a channel"),
        (CHANGES["list footer"].change(GENUINE), PROTECTED, None, Verdict.UNPROVEN, "The original", "Do not act on it yet"),
        (ATTACKS["no signature"].make(GENUINE), PROTECTED, None, Verdict.UNPROVEN, "still carries the signature", "Do not act on it yet"),
        (ATTACKS["signed by somebody else"].make(GENUINE), PROTECTED, None, Verdict.UNPROVEN, "own domain", "Do not act on it yet"),
        (ATTACKS["signature expired"].make(GENUINE), PROTECTED, None, Verdict.UNPROVEN, "--at", "Do not act on it yet"),
        (ATTACKS["second Content-Type"].make(GENUINE), PROTECTED, None, Verdict.UNPROVEN, "covers all that people see", "Do not act on it yet"),
        (ATTACKS["display name"].make(GENUINE), PROTECTED, None, Verdict.FORGED, "known_domains", "Do not act on it, do not answer"),
        (ATTACKS["no signature"].make(GENUINE), PROTECTED, LIVE, Verdict.FORGED, "A signature of the author's domain", "Do not act on it, do not answer"),
        (ATTACKS["another author below the same signature"].make(GENUINE), PROTECTED, None, Verdict.NO_CLAIM, "protected domain", "Treat it like"),
    ],
)  # fmt: skip
def test_each_verdict_says_what_would_change_it_and_what_to_do(
    raw: bytes,
    identities: tuple[Identity, ...],
    session: Session | None,
    verdict: Verdict,
    change: str,
    do: str,
) -> None:
    report = _report(raw, identities, session)
    assert report.verdict is verdict
    told = explain(report)
    assert any(change in text for text in told.would_change)
    assert told.do_now[0].startswith(do)
    assert [link.what for link in told.chain if link.what != "signer"] == [
        "shown From",
        "return path",
        "policy",
    ]
    assert {"signer"} <= {link.what for link in told.chain}


def test_dns_that_does_not_answer_asks_for_another_try() -> None:
    told = explain(_report(GENUINE, dead=True))
    assert told.would_change[0].startswith("The DNS answer that is missing")
    assert any("not known" in link.finding or "nothing" in link.finding for link in told.chain)


@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_is_explained_as_proven(name: str) -> None:
    told = explain(_report(ATTACKS[name].make(GENUINE)))
    assert not any(link.finding.startswith("Proven") for link in told.chain)
    assert told.would_change
    assert "You may act on it." not in told.do_now


def test_the_published_policy_is_told_as_what_is_asked_for_and_not_as_what_happened() -> None:
    for raw in (GENUINE, ATTACKS["no signature"].make(GENUINE)):
        (policy,) = [link for link in explain(_report(raw)).chain if link.what == "policy"]
        assert policy.finding.startswith("For mail that fails it asks receivers for “reject”; this message ")


def test_it_is_json_when_asked_for_and_only_then() -> None:
    report = _report(GENUINE)
    assert "explanation" not in as_json(report, None)
    told = json.loads(json.dumps(as_json(report, None, explained=True)))["explanation"]
    assert told == json.loads(json.dumps(as_object(explain(report))))
    (signature,) = [check for check in told["checks"] if check["check"] == "DKIM 1"]
    assert signature["details"][0] == {"what": "aligned", "text": "yes"}
    assert all(check["rfc"].startswith("RFC ") for check in told["checks"])


def test_every_reason_of_a_failing_signature_leads_to_some_advice() -> None:
    report = _report(CHANGES["list footer"].change(GENUINE))
    for reason in DkimReason:
        changed = replace(report, dkim=(report.dkim[0]._replace(reason=reason.value),))
        assert explain(changed).would_change


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (ReasonCode.LEDGER_IDENTICAL, "a mail that we sent"),
        (ReasonCode.RECORDED_UNDER_KEY, "while the key"),
    ],
)
def test_what_our_own_records_prove_is_not_told_as_a_signatures_proof(code: ReasonCode, said: str) -> None:
    proven = Reason(code, "Text.", None, Effect.PROVES, "s._domainkey.experts.test TXT")
    told = explain(replace(_report(GENUINE), reasons=(proven,)))
    assert told.chain[0].finding.startswith("Proven: ")
    assert said in told.chain[0].finding
    assert told.would_change == ("Any change to the message.",)
    assert (told.checks[-1].check, told.checks[-1].reason) == ("finding", code)
