"""Judge a message in a test: by a zone given as text or as a dictionary, with the real second implementation."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

from verifier.driver import drive
from verifier.evaluate import Context, judge
from verifier.evidence import Absent, Answer, AnswerStatus, Evidence, Question, Session
from verifier.identity import Identity
from verifier.message import read_message
from verifier.opinion_worker import SecondOpinion
from verifier.report import Report

AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def txt(records: Mapping[str, str]) -> Evidence:
    """Closed evidence that holds these TXT records and nothing else."""
    answers = {Question.of(n, "TXT"): Answer(AnswerStatus.ANSWER, (v,), 300) for n, v in records.items()}
    return Evidence(answers, absent=Absent.NXDOMAIN, at=AT)


def judged(
    messages: list[tuple[bytes, Evidence, Session | None]],
    identities: tuple[Identity, ...],
    at: datetime = AT,
) -> list[Report]:
    """The reports on messages, one after the other, with one worker for the second opinion."""

    async def run() -> list[Report]:
        opinion = SecondOpinion()
        try:
            reports = []
            for raw, evidence, session in messages:
                check = judge(read_message(raw), Context(identities, at, session, "mx.experts.test"))
                report, _ = await drive(check, evidence, None, opinion, raw=raw)
                reports.append(report)
            return reports
        finally:
            await opinion.close()

    return asyncio.run(run())
