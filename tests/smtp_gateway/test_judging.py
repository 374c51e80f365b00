"""Large messages take turns; what one waits for others does not count as its own time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import pytest

from smtp_gateway import judging
from smtp_gateway.judging import ON_THE_LOOP, THREADS, Busy, Judge, Judged
from verifier.driver import Budget
from verifier.evaluate import Context
from verifier.evidence import Answer, AnswerStatus, Question
from verifier.identity import Identity

CONTEXT = Context((Identity("experts", domains=("experts.test",)),), datetime(2026, 11, 26, tzinfo=UTC))
LARGE = b"From: a@slow.test\r\nSubject: x\r\n\r\n" + b"x" * ON_THE_LOOP + b"\r\n"
SLOW = 0.3  # seconds that each round of DNS takes


class SlowResolver:
    """Every answer takes its time; counts how many messages wait for one at the same time."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0

    async def ask(
        self, questions: Iterable[Question], seconds: float | None = None
    ) -> Mapping[Question, Answer]:
        del seconds
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(SLOW)
        self.now -= 1
        return {question: Answer(AnswerStatus.NXDOMAIN) for question in questions}


async def _many(judge: Judge, count: int, seconds: float) -> list[Judged | BaseException]:
    return await asyncio.gather(
        *(judge.judged(LARGE, CONTEXT, seconds) for _ in range(count)), return_exceptions=True
    )


def test_large_messages_wait_their_turn_and_the_wait_is_not_their_time() -> None:
    async def scenario() -> None:
        resolver = SlowResolver()
        judge = Judge(resolver, None, Budget())
        try:
            done = await _many(judge, 3 * THREADS, SLOW * 2.5)  # the last ones wait longer than they may take
            assert all(isinstance(one, Judged) for one in done)
            assert resolver.most == THREADS
        finally:
            judge.close()

    asyncio.run(scenario())


def test_one_that_never_gets_a_turn_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "WAIT_SECONDS", SLOW / 3)

    async def scenario() -> None:
        judge = Judge(SlowResolver(), None, Budget())
        try:
            done = await _many(judge, THREADS + 2, 10)
            assert sum(isinstance(one, Judged) for one in done) == THREADS
            assert sum(isinstance(one, Busy) for one in done) == 2
            assert isinstance(await judge.judged(LARGE, CONTEXT), Judged)
        finally:
            judge.close()

    asyncio.run(scenario())


def test_a_thread_whose_message_ran_out_of_time_is_taken_only_when_it_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judging, "WAIT_SECONDS", SLOW / 3)

    async def scenario() -> None:
        judge = Judge(SlowResolver(), None, Budget())
        try:
            late = await _many(judge, THREADS, SLOW / 3)
            assert all(isinstance(one, TimeoutError) for one in late)
            with pytest.raises(Busy):  # both threads still wait for DNS
                await judge.judged(LARGE, CONTEXT)
            await asyncio.sleep(SLOW)
            assert isinstance(await judge.judged(LARGE, CONTEXT), Judged)
        finally:
            judge.close()

    asyncio.run(scenario())


def test_a_small_message_waits_for_nobody() -> None:
    async def scenario() -> None:
        judge = Judge(SlowResolver(), None, Budget())
        try:
            large = asyncio.ensure_future(_many(judge, 2 * THREADS, 10))
            await asyncio.sleep(SLOW / 10)
            async with asyncio.timeout(SLOW * 1.8):
                await judge.judged(LARGE[:200], CONTEXT)
            await large
        finally:
            judge.close()

    asyncio.run(scenario())
