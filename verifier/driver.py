"""Runs a check against the world: asks DNS and the second implementation for what the check misses.

The only place where evidence is gathered. Its budget turns what costs too much into temporary errors, so a
message can make a verdict "unproven" but never "forged" or an exception by being expensive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, Protocol, TypeVar

from verifier.dkim_key import MAX_KEY_RECORDS
from verifier.evidence import (
    Absent,
    Answer,
    AnswerStatus,
    Ask,
    Check,
    Evidence,
    Opinion,
    OpinionQuestion,
    Question,
)
from verifier.own_records import NO_RECORDS, OwnRecords, RecordsQuestion

T = TypeVar("T")

# Eight keys, those of fifty seals, SPF at its own cap, and a DMARC walk with ten alignment walks stay below this.
MAX_QUESTIONS: Final = 200
# RFC 7208 4.6.4 allows SPF 20 s; a client waits ten minutes for the reply to its dot, an analyst does not. Three silent
# resolvers cost 12 s a question, and a message that asks them is to be answered by then.
MAX_SECONDS: Final = 10.0
# The second opinion has a deadline of its own (1 s); this is for one that does not keep it.
MAX_OPINION_SECONDS: Final = 3.0

_KEY: Final = "._domainkey."
_GIVEN_UP: Final = Answer(AnswerStatus.TIMEOUT)


class Resolves(Protocol):
    """Answers DNS questions; never raises for what the DNS says or does not say."""

    async def ask(
        self, questions: Iterable[Question], seconds: float | None = None
    ) -> Mapping[Question, Answer]:
        """An answer for each question, within ``seconds``: what takes longer is a timeout."""
        ...


class HasOpinion(Protocol):
    """A second implementation of DKIM."""

    async def ask(self, raw: bytes, index: int, txt: Mapping[str, str]) -> Opinion:
        """Its word on signature ``index`` of a message, given TXT values by absolute name."""
        ...


class HasRecords(Protocol):
    """Our own records: what we sent, what came in, which keys were seen."""

    async def ask(self, question: RecordsQuestion) -> OwnRecords:
        """What they say of one message; raises whatever the store raises, for then there is no verdict."""
        ...


class Runs(Protocol):
    """Runs a step of a check, which takes time and waits for nothing."""

    async def __call__(self, step: Callable[[], T], /) -> T:
        """What the step returns; raises what it raises."""
        ...


async def here(step: Callable[[], T], /) -> T:
    """Run a step at once, where the caller is."""
    return step()


@dataclass(frozen=True, slots=True)
class Budget:
    """What one message may cost: DNS questions and seconds in all."""

    questions: int = MAX_QUESTIONS
    seconds: float = MAX_SECONDS


async def drive(
    check: Check[T],
    evidence: Evidence,
    resolver: Resolves | None = None,
    opinion: HasOpinion | None = None,
    *,
    raw: bytes = b"",
    budget: Budget = Budget(),
    records: HasRecords | None = None,
    run: Runs = here,
) -> tuple[T, Evidence]:
    """Run a check to its end; returns its result and all the evidence that it used.

    Questions that the evidence leaves open go to ``resolver``, all those of a round at once; without a
    resolver, and over budget, they are temporary errors. The second opinion is asked about ``raw``, the
    message's bytes; without one it is skipped. Without ``records`` nothing is known of earlier mail. ``run`` may
    take the steps between two rounds of questions elsewhere. The returned evidence, run again, gives the same result.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + budget.seconds
    left = budget.questions
    asked = await run(partial(_begun, check, evidence))
    while not isinstance(asked, _Done):
        missing = sorted(
            (q for q in asked if isinstance(q, Question) and evidence.get(q) is None),
            key=lambda q: (q.name, q.type),
        )
        answers: dict[Question, Answer] = dict.fromkeys(missing, _GIVEN_UP)
        seconds = deadline - loop.time()
        affordable = missing[:left] if resolver is not None and seconds > 0 else []
        if affordable and resolver is not None:
            left -= len(affordable)
            answers.update(await resolver.ask(affordable, seconds))
        evidence = evidence.adding(answers)
        wanted = sorted(
            (q for q in asked if isinstance(q, OpinionQuestion) and evidence.opinion(q.index) is None),
            key=lambda q: q.index,
        )
        if wanted:
            evidence = evidence.adding(opinions=await _opinions(opinion, raw, wanted, evidence))
        for question in asked:
            if isinstance(question, RecordsQuestion):
                told = NO_RECORDS if records is None else await records.ask(question)
                evidence = evidence.adding(records={question.number: told})
        asked = await run(partial(_step, check, evidence))
    return asked.result, evidence


class _Done(Generic[T]):
    """A check's result. No dataclass: a generic one with slots cannot be made machine code."""

    __slots__ = ("result",)

    def __init__(self, result: T) -> None:
        self.result = result


def _begun(check: Check[T], evidence: Evidence) -> frozenset[Ask] | _Done[T]:
    """Run a check to its first questions: what it yields to receive the first evidence is seldom one."""
    try:
        asked = next(check)
    except StopIteration as done:
        return _Done(done.value)
    return asked or _step(check, evidence)


def _step(check: Check[T], evidence: Evidence) -> frozenset[Ask] | _Done[T]:
    """Run a check to its next questions, or to its end."""
    try:
        return check.send(evidence)
    except StopIteration as done:
        return _Done(done.value)


async def _opinions(
    opinion: HasOpinion | None, raw: bytes, wanted: list[OpinionQuestion], evidence: Evidence
) -> Mapping[int, Opinion]:
    """The second implementation's words, one after the other: it is one worker, and few are asked for."""
    if opinion is None:
        return dict.fromkeys((q.index for q in wanted), Opinion.SKIPPED)
    keys = {
        question.name: answer.records
        for question, answer in evidence.answers.items()
        if question.type == "TXT" and answer.records
    }
    # dkimpy reads one record of a name. Where a name has several, as in a key rollover, each is tried in its turn.
    turns = max(
        (min(len(records), MAX_KEY_RECORDS) for name, records in keys.items() if _KEY in name), default=1
    )
    words: dict[int, Opinion] = {}
    for question in wanted:
        of = raw if question.raw is None else question.raw
        for turn in range(turns):
            txt = {name: records[min(turn, len(records) - 1)] for name, records in keys.items()}
            if question.key is not None:
                txt[question.key[0]] = question.key[1]
            try:
                async with asyncio.timeout(MAX_OPINION_SECONDS):
                    words[question.index] = await opinion.ask(of, question.signature, txt)
            except TimeoutError:
                words[question.index] = Opinion.SKIPPED
            if words[question.index] is not Opinion.FAIL:
                break
    return words


def closed(evidence: Evidence) -> Evidence:
    """The same answers with nothing left to ask: what is missing is a temporary error (offline, replay)."""
    if evidence.absent is not Absent.ASK:
        return evidence
    return Evidence(evidence.answers, evidence.opinions, Absent.UNKNOWN, evidence.at, evidence.records)
