"""What a person reads of the checks: nothing in it takes a published policy for a result, or cuts without a mark."""

from __future__ import annotations

import asyncio

import pytest

from expertmail.saved_messages import SavedMessage
from expertmail.sessionless import SessionlessJudge
from expertmail.verdict_view import MAX_SHOWN, plain, show
from tests.cases.attacks import ATTACKS
from tests.cases.genuine import PROTECTED, genuine, zone
from tests.verifier.judging import AT, judged, txt
from verifier.driver import Budget

GENUINE = genuine(0).raw


def lines(capsys: pytest.CaptureFixture[str], raw: bytes) -> list[str]:
    show([(SavedMessage("x.eml", raw), judged([(raw, txt(zone()), None)], PROTECTED)[0])], explain=True)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    "raw", [GENUINE, ATTACKS["body replaced"].make(GENUINE), ATTACKS["no signature"].make(GENUINE)]
)
def test_the_published_policy_stands_on_a_line_of_its_own_as_what_is_asked_for(
    capsys: pytest.CaptureFixture[str], raw: bytes
) -> None:
    told = lines(capsys, raw)
    (result,) = [line for line in told if line.strip().startswith("dmarc:")]
    assert "reject" not in result
    assert any("asks receivers for: reject" in line for line in told)


def test_alignment_is_told_of_signatures_that_pass_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert any("dkim 1: pass (aligned)" in line for line in lines(capsys, GENUINE))
    failing = lines(capsys, ATTACKS["body replaced"].make(GENUINE))
    assert any("dkim 1: fail (body-changed), d=experts.test" in line for line in failing)
    weak = lines(capsys, ATTACKS["second Content-Type"].make(GENUINE))
    assert any("aligned, not accepted" in line for line in weak)


def test_what_is_cut_says_so() -> None:
    assert plain("x" * MAX_SHOWN) == "x" * MAX_SHOWN
    assert plain("x" * (MAX_SHOWN + 1)) == "x" * MAX_SHOWN + " …"


def test_over_http_the_verdict_comes_with_its_explanation() -> None:
    class Nobody:
        async def ask(self, questions: object, seconds: float | None = None) -> dict[object, object]:
            del questions, seconds
            return {}

    async def run() -> dict[str, object]:
        judge = SessionlessJudge(PROTECTED, Nobody(), None, "mx.test", budget=Budget(), clock=lambda: AT)
        try:
            return dict(await judge.saved(GENUINE))
        finally:
            judge.close()

    told = asyncio.run(run())
    assert told["verdict"] == "unproven"
    assert told["explanation"]["do_now"]
