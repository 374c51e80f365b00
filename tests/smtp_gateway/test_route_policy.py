"""What a route does with a judged message: the defaults, each setting, and the strictest of several."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smtp_gateway.replies import (
    EVIDENCE_UNAVAILABLE,
    MALFORMED_AUTHOR,
    POLICY_DEFERRED,
    PROGRAM_ATTACHED,
    UNAUTHENTICATED,
)
from smtp_gateway.route_policy import BY_DEFAULT, TAKES_ALL, Action, RoutePolicy, Treatment, treatment
from tests.smtp_gateway.test_plan import FORGED, NOTHING, SIGNED
from verifier.message import read_message
from verifier.parts import walk
from verifier.report import AuthResult, DmarcMode, DmarcResult, Report, SpfResult, Verdict

PASSED, FAILED, UNKNOWN = AuthResult.PASS, AuthResult.FAIL, AuthResult.TEMPERROR
ACCEPT, TAG, HOLD, DEFER, REJECT = Action


def treated(report: Report, policy: RoutePolicy = BY_DEFAULT, raw: bytes = b"", *, bounce: bool = False) -> Treatment:
    return treatment(report, policy, walk(read_message(raw)) if raw else (), bounce=bounce)


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (NOTHING, None),
        (FORGED, "5.7.1"),
        (replace(FORGED, spf=SpfResult(PASSED)), None),
        (replace(FORGED, dkim=SIGNED), None),
        (replace(FORGED, dkim=(SIGNED[0]._replace(testing=True),)), "5.7.1"),
        (replace(FORGED, dmarc=DmarcResult(UNKNOWN)), None),
        (replace(FORGED, spf=SpfResult(UNKNOWN)), None),
        (replace(NOTHING, dmarc=DmarcResult(FAILED, "reject")), None),
        (replace(NOTHING, verdict=Verdict.FORGED, dmarc=DmarcResult(FAILED, "reject")), None),
        (replace(NOTHING, author=None), "5.7.1"),
        (replace(NOTHING, author=None, spf=SpfResult(PASSED)), None),
        (replace(FORGED, author=None, spf=SpfResult(PASSED)), "5.7.1"),
        (replace(NOTHING, verdict=Verdict.UNPROVEN), None),
    ],
)
def test_a_refusal_takes_two_independent_reasons(report: Report, code: str | None) -> None:
    refused = treated(report)
    assert (refused.reply.enhanced if refused.reply else None) == code
    assert (refused.action is REJECT) == (code is not None)


@pytest.mark.parametrize(("mode", "cited"), [(DmarcMode.RFC9989, "(RFC 9989)"), (DmarcMode.RFC7489, "(RFC 7489)")])
def test_a_refusal_cites_the_rfc_that_dmarc_was_evaluated_by(mode: DmarcMode, cited: str) -> None:
    assert str(treated(replace(FORGED, dmarc=FORGED.dmarc._replace(mode=mode))).reply).endswith(cited)


def test_a_mailbox_that_takes_all_refuses_nothing_on_a_verdict() -> None:
    for report in (FORGED, replace(NOTHING, author=None), replace(NOTHING, dmarc=DmarcResult(UNKNOWN))):
        assert treated(report, TAKES_ALL).action is ACCEPT


def test_a_bounce_without_an_author_is_not_refused() -> None:
    assert treated(replace(NOTHING, author=None), bounce=True).action is ACCEPT


UNSURE = replace(NOTHING, dmarc=DmarcResult(UNKNOWN))
ASKED = replace(NOTHING, dmarc=DmarcResult(FAILED, "quarantine"))
UNASKED = replace(NOTHING, dmarc=DmarcResult(FAILED, "none"))
SAFE = replace(NOTHING, dmarc=DmarcResult(PASSED, "reject"))
POSED = replace(FORGED, spf=SpfResult(PASSED))  # one reason against it only


@pytest.mark.parametrize(
    ("policy", "report", "action", "reply"),
    [
        (RoutePolicy(on_genuine=TAG), replace(NOTHING, verdict=Verdict.GENUINE), TAG, None),
        (RoutePolicy(on_unpinned=HOLD), replace(NOTHING, verdict=Verdict.AUTHENTIC_UNPINNED), HOLD, None),
        (RoutePolicy(on_unproven=DEFER), replace(NOTHING, verdict=Verdict.UNPROVEN), DEFER, POLICY_DEFERRED),
        (RoutePolicy(on_unproven=REJECT), replace(NOTHING, verdict=Verdict.UNPROVEN), REJECT, UNAUTHENTICATED),
        (RoutePolicy(on_no_claim=TAG), NOTHING, TAG, None),
        (RoutePolicy(on_no_claim=TAG), FORGED, REJECT, UNAUTHENTICATED),
        (RoutePolicy(on_forged=HOLD), FORGED, HOLD, None),
        (RoutePolicy(on_forged=TAG), FORGED, TAG, None),
        (RoutePolicy(on_forged=REJECT), POSED, ACCEPT, None),
        (RoutePolicy(on_forged=HOLD), replace(NOTHING, author=None), ACCEPT, None),
        (RoutePolicy(on_dmarc_fail=REJECT), ASKED, REJECT, UNAUTHENTICATED),
        (RoutePolicy(on_dmarc_fail=REJECT), UNASKED, ACCEPT, None),
        (RoutePolicy(on_dmarc_none=TAG), UNASKED, TAG, None),
        (RoutePolicy(on_dmarc_none=TAG), NOTHING, TAG, None),
        (RoutePolicy(on_dmarc_pass=HOLD), SAFE, HOLD, None),
        (RoutePolicy(on_dmarc_fail=REJECT), SAFE, ACCEPT, None),
        (RoutePolicy(on_temperror=DEFER), UNSURE, DEFER, EVIDENCE_UNAVAILABLE),
        (RoutePolicy(on_temperror=REJECT), UNSURE, DEFER, EVIDENCE_UNAVAILABLE),
        (RoutePolicy(on_temperror=HOLD), UNSURE, HOLD, None),
        (RoutePolicy(on_temperror=DEFER), replace(SAFE, spf=SpfResult(UNKNOWN)), ACCEPT, None),
        (RoutePolicy(on_temperror=DEFER, on_no_claim=TAG), UNSURE, DEFER, EVIDENCE_UNAVAILABLE),
        (RoutePolicy(on_no_claim=HOLD, on_dmarc_fail=TAG), ASKED, HOLD, None),
    ],
)  # fmt: skip
def test_each_setting_acts_on_its_own_case_and_the_strictest_wins(
    policy: RoutePolicy, report: Report, action: Action, reply: object
) -> None:
    found = treated(report, policy)
    assert (found.action, found.reply) == (action, reply)
    assert (found.cause == "") == (action is ACCEPT)


def test_a_malformed_author_is_refused_by_name_of_the_rule() -> None:
    assert treated(replace(NOTHING, author=None)).reply == MALFORMED_AUTHOR


def with_file(name: str, kind: str = "application/octet-stream") -> bytes:
    head = f"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: {kind}\r\n"
    return f'{head}Content-Disposition: attachment; filename="{name}"\r\n\r\nx\r\n--b--\r\n'.encode()


@pytest.mark.parametrize(
    ("raw", "runs"),
    [
        (with_file("invoice.exe"), True),
        (with_file("INVOICE.PDF.JS"), True),
        (with_file("invoice.exe. . "), True),
        (with_file("=?utf-8?b?eC5leGU=?="), True),
        (with_file("readme", "application/x-msdownload"), True),
        (with_file("invoice.pdf"), False),
        (with_file("exe"), False),
        (with_file("com.txt"), False),
        (b"Content-Type: application/octet-stream; name=a.scr\r\n\r\nx\r\n", True),
        ((b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
         b'Content-Disposition: attachment; filename*0="a.e"; filename*1="xe"\r\n\r\nx\r\n--b--\r\n'), True),
    ],
)  # fmt: skip
def test_a_file_that_a_double_click_would_run_is_told_by_name_or_type(raw: bytes, runs: bool) -> None:
    found = treated(NOTHING, RoutePolicy(on_program=REJECT), raw)
    assert (found.reply == PROGRAM_ATTACHED) == runs
    assert treated(NOTHING, RoutePolicy(on_program=HOLD), raw).action is (HOLD if runs else ACCEPT)
    assert treated(NOTHING, BY_DEFAULT, raw).action is ACCEPT
