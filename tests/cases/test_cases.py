"""The corpus, judged: harmless changes never make a genuine message forged, and no attack is ever genuine."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cases.__main__ import main
from tests.cases.attacks import ATTACKS
from tests.cases.genuine import BITS, DOMAIN, PROTECTED, Genuine, genuine, zone
from tests.cases.transit import CHANGES
from tests.verifier.judging import AT, judged, txt
from tests.verifier.signing import rsa_record
from verifier.dkim_key import MAX_KEY_RECORDS
from verifier.driver import drive
from verifier.evaluate import Context, judge
from verifier.evidence import Answer, AnswerStatus, Question
from verifier.message import read_message
from verifier.opinion_worker import SecondOpinion
from verifier.report import Report, Verdict

COUNT = 1_000 if os.environ.get("FULL") == "1" else 24


@pytest.fixture(scope="module")
def messages() -> list[Genuine]:
    return [genuine(number) for number in range(COUNT)]


def _judged(raws: Iterable[bytes]) -> list[Report]:
    evidence = txt(zone())

    async def run() -> list[Report]:
        opinion = SecondOpinion()
        try:
            return [
                (
                    await drive(
                        judge(read_message(raw), Context(PROTECTED, AT)), evidence, None, opinion, raw=raw
                    )
                )[0]
                for raw in raws
            ]
        finally:
            await opinion.close()

    return asyncio.run(run())


def test_each_message_is_genuine_as_it_left(messages: list[Genuine]) -> None:
    verdicts = Counter(report.verdict for report in _judged(message.raw for message in messages))
    assert verdicts == {Verdict.GENUINE: COUNT}


@pytest.mark.parametrize("name", CHANGES)
def test_a_harmless_change_is_never_forgery_and_what_survives_it_is_genuine(
    messages: list[Genuine], name: str
) -> None:
    change = CHANGES[name]
    changed = [change.change(message.raw) for message in messages]
    touched = [new != message.raw for new, message in zip(changed, messages, strict=True)]
    assert any(touched)
    wrong = [
        (number, report.verdict.value, [reason.code for reason in report.reasons])
        for number, (message, report) in enumerate(zip(messages, _judged(changed), strict=True))
        if report.verdict
        is not (Verdict.GENUINE if change.holds(message) or not touched[number] else Verdict.UNPROVEN)
    ]
    assert wrong == []


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_never_genuine_and_is_called_what_it_is(messages: list[Genuine], name: str) -> None:
    attack = ATTACKS[name]
    assert Verdict.GENUINE not in attack.verdicts
    wrong = [
        (number, report.verdict.value, [reason.code for reason in report.reasons])
        for number, report in enumerate(_judged(attack.make(message.raw) for message in messages))
        if report.verdict not in attack.verdicts
    ]
    assert wrong == []


@pytest.mark.parametrize("place", range(MAX_KEY_RECORDS))
def test_a_key_rollover_with_several_records_at_one_name_is_genuine_whichever_comes_first(place: int) -> None:
    name = Question.of(f"rsa._domainkey.{DOMAIN}", "TXT")
    other = rsa_record(2_048)
    records = [other] * MAX_KEY_RECORDS
    records[place] = rsa_record(BITS)
    evidence = txt(zone())
    evidence = replace(
        evidence, answers={**evidence.answers, name: Answer(AnswerStatus.ANSWER, tuple(records), 300)}
    )
    (report,) = judged([(genuine(0).raw, evidence, None)], PROTECTED)
    assert report.verdict is Verdict.GENUINE
    nobody = replace(
        evidence, answers={**evidence.answers, name: Answer(AnswerStatus.ANSWER, (other, other), 300)}
    )
    (report,) = judged([(genuine(0).raw, nobody, None)], PROTECTED)
    assert report.verdict is Verdict.UNPROVEN


def test_the_corpus_as_files_is_judged_as_its_table_says(tmp_path: Path) -> None:
    assert main(tmp_path, 2) == 2 * (1 + len(CHANGES) + len(ATTACKS))
    expected = json.loads((tmp_path / "expected.json").read_text("ascii"))
    files = [str(tmp_path / name) for name in expected]
    told = subprocess.run(
        [sys.executable, "-m", "expertmail", "verify", *files, "--json", "--at", AT.isoformat(),
         "--zone", str(tmp_path / "zone.db"), "--identity", str(tmp_path / "identity.toml")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    verdicts = {Path(one["file"]).name: one["verdict"] for one in map(json.loads, told.stdout.splitlines())}
    assert {name: verdict for name, verdict in verdicts.items() if verdict not in expected[name]} == {}
    assert verdicts.keys() == expected.keys()


def test_there_are_as_many_kinds_as_were_asked_for() -> None:
    assert len(CHANGES) >= 12
    assert len(ATTACKS) >= 20
