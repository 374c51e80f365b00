"""Large messages take turns; what one waits for others does not count as its own time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from outbound.sign import SigningKey
from smtp_gateway import judging
from smtp_gateway.gateway_settings import Limits
from smtp_gateway.judging import ON_THE_LOOP, THREADS, Busy, Judge, Judged
from tests.smtp_gateway.world import message, signed, whole_gateway
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


class NoRecords:
    """Nothing exists, and that is known at once."""

    async def ask(
        self, questions: Iterable[Question], seconds: float | None = None
    ) -> Mapping[Question, Answer]:
        del seconds
        return {question: Answer(AnswerStatus.NXDOMAIN) for question in questions}


async def _many(judge: Judge, count: int, seconds: float) -> list[Judged | BaseException]:
    return await asyncio.gather(
        *(judge.judged(LARGE, CONTEXT, seconds) for _ in range(count)), return_exceptions=True
    )


def _slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let reading a large message take its time, in the thread that does."""
    real = judging.read_message

    def slow(raw: bytes) -> Any:
        if len(raw) > ON_THE_LOOP:
            Event().wait(SLOW)
        return real(raw)

    monkeypatch.setattr(judging, "read_message", slow)


def test_large_messages_wait_their_turn_and_the_wait_is_not_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    _slowly(monkeypatch)

    async def scenario() -> None:
        judge = Judge(NoRecords(), None, Budget())
        try:
            begun = time.monotonic()
            done = await _many(judge, 3 * THREADS, SLOW * 2.5)  # the last ones wait longer than they may take
            assert all(isinstance(one, Judged) for one in done)
            assert time.monotonic() - begun > SLOW * 2.9
        finally:
            judge.close()

    asyncio.run(scenario())


def test_large_messages_that_wait_for_dns_keep_no_thread_from_others() -> None:
    async def scenario() -> None:
        resolver = SlowResolver()
        judge = Judge(resolver, None, Budget())
        try:
            begun = time.monotonic()
            done = await _many(judge, 10 * THREADS, 10)
            assert all(isinstance(one, Judged) for one in done)
            assert resolver.most > 2 * THREADS
            assert time.monotonic() - begun < SLOW * 10  # and not ten times two rounds of questions
        finally:
            judge.close()

    asyncio.run(scenario())


def test_large_messages_in_hand_have_a_cap_in_octets_and_the_largest_is_taken_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        for cap, most in ((3 * len(LARGE), 3), (len(LARGE) // 2, 1)):
            monkeypatch.setattr(judging, "IN_HAND_BYTES", cap)
            resolver = SlowResolver()
            judge = Judge(resolver, None, Budget())
            try:
                done = await _many(judge, 5, 10)
                assert all(isinstance(one, Judged) for one in done)
                assert resolver.most == most
            finally:
                judge.close()

    asyncio.run(scenario())


def test_one_that_never_gets_a_turn_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "WAIT_SECONDS", SLOW / 3)
    _slowly(monkeypatch)

    async def scenario() -> None:
        judge = Judge(NoRecords(), None, Budget())
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
    _slowly(monkeypatch)

    async def scenario() -> None:
        judge = Judge(NoRecords(), None, Budget())
        try:
            late = await _many(judge, THREADS, SLOW / 3)
            assert all(isinstance(one, TimeoutError) for one in late)
            with pytest.raises(Busy):  # both threads still read
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


def test_waiting_and_judging_leave_a_client_time_for_the_answer() -> None:
    ten_minutes = 600  # RFC 5321 4.5.3.2.6: what a client waits for the reply to its dot
    storing = 120  # a transaction that waits for a busy disk, and the way back
    assert judging.WAIT_SECONDS + 2 * Limits().judging_seconds + storing <= ten_minutes


class HeldReading:
    """Reads as slowly as it is told to, in the thread that judges."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = Event()
        self.running = 0
        self._real = judging.read_message
        monkeypatch.setattr(judging, "read_message", self)

    def __call__(self, raw: bytes) -> Any:
        if len(raw) > ON_THE_LOOP:
            self.running += 1
            assert self.go.wait(20)
        return self._real(raw)


def large(number: int) -> bytes:
    return message("x" * 70 + "\r\n" + "y\r\n" * ON_THE_LOOP, message_id=f"<{number}@contoso.test>")


def test_large_messages_over_smtp_wait_longer_than_they_may_take_and_are_all_taken(
    tmp_path: Path, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = judging.read_message

    def slow(raw: bytes) -> Any:
        Event().wait(0.6)
        return real(raw)

    monkeypatch.setattr(judging, "read_message", slow)

    async def scenario() -> None:
        # Each may take twice judging_seconds, thus 2.0; the last ones are done after four rounds of 0.6.
        async with whole_gateway(tmp_path, key, limits=Limits(judging_seconds=1.0)) as world:
            answers = await asyncio.gather(
                *(
                    world.send(signed(large(n), key), "query@experts.test", "alex@contoso.test")
                    for n in range(4 * THREADS)
                )
            )
            assert [answer[:9] for answer in answers] == ["250 2.0.0"] * 4 * THREADS
            assert len(world.copies()) == 4 * THREADS

    asyncio.run(scenario())


def test_a_large_message_that_gets_no_turn_is_put_off_and_taken_when_it_comes_again(
    tmp_path: Path, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "WAIT_SECONDS", 0.2)
    held = HeldReading(monkeypatch)

    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            first = [
                asyncio.ensure_future(world.send(large(n), "query@experts.test")) for n in range(THREADS)
            ]
            while held.running < THREADS:  # noqa: ASYNC110 -- the threads tell nobody
                await asyncio.sleep(0.01)
            late = large(THREADS)
            answer = await world.send(late, "query@experts.test")
            assert answer.startswith("451 4.3.0 ")
            assert "Busy" not in answer
            assert world.copies() == ()
            assert (await world.send(message(), "query@experts.test")).startswith(
                "250"
            )  # a small one does not wait
            held.go.set()
            assert all([(await one).startswith("250") for one in first])
            assert (await world.send(late, "query@experts.test")).startswith("250")
            assert len(world.copies()) == THREADS + 2

    asyncio.run(scenario())
