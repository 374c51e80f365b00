"""What a person reads of the checks: nothing in it takes a published policy for a result, or cuts without a mark."""

from __future__ import annotations

import asyncio

from expertmail.explained_view import MAX_SHOWN, plain
from expertmail.saved_messages import SavedMessage
from expertmail.sessionless import SessionlessJudge
from expertmail.verdict_view import Look, text_of
from tests.cases.attacks import ATTACKS
from tests.cases.genuine import PROTECTED, genuine, zone
from tests.verifier.judging import AT, judged, txt
from verifier.driver import Budget

GENUINE = genuine(0).raw


def lines(raw: bytes) -> list[str]:
    report = judged([(raw, txt(zone()), None)], PROTECTED)[0]
    return text_of(SavedMessage("x.eml", raw), report, Look(explain=True)).splitlines()


def test_no_text_of_an_explanation_takes_the_published_policy_for_the_result() -> None:
    for raw in (GENUINE, ATTACKS["body replaced"].make(GENUINE), ATTACKS["no signature"].make(GENUINE)):
        told = lines(raw)
        (result,) = [line for line in told if line.strip().startswith("DMARC")]
        assert "reject" not in result
        assert sum("reject" in line for line in told) == 2, "in the chain and in the check, as what is asked for"


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
