"""The driver: one round for all questions, budgets that end in temporary errors, evidence that replays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from tests.verifier.zones import PacketServer, World
from verifier.driver import Budget, closed, drive
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
    ask,
    conclude,
    together,
)
from verifier.resolver import Resolver
from verifier.zone import read_zone


def looks_up(*names: str) -> Check[tuple[AnswerStatus, ...]]:
    evidence = yield frozenset[Ask]()
    questions = [Question.of(name, "TXT") for name in names]
    evidence = yield from ask(evidence, questions)
    return tuple(evidence.get(question).status for question in questions)  # type: ignore[union-attr]


def wants_opinion(index: int) -> Check[Opinion | None]:
    evidence = yield frozenset[Ask]()
    while (said := evidence.opinion(index)) is None:
        evidence = yield frozenset[Ask]({OpinionQuestion(index)})
    return said


class Second:
    def __init__(self, said: Opinion = Opinion.PASS, seconds: float = 0) -> None:
        self.said = said
        self.seconds = seconds
        self.asked: list[tuple[bytes, int, Mapping[str, str]]] = []

    async def ask(self, raw: bytes, index: int, txt: Mapping[str, str]) -> Opinion:
        self.asked.append((raw, index, txt))
        await asyncio.sleep(self.seconds)
        return self.said


def test_checks_side_by_side_ask_in_one_round_and_equal_questions_once() -> None:
    world = World({"a.test": {"TXT": ["x"]}, "b.test": {"status": "SERVFAIL"}})
    check = together([looks_up("a.test", "b.test"), looks_up("b.test", "c.test")])
    results, evidence = asyncio.run(drive(check, Evidence(), world))
    assert results == (("answer", "servfail"), ("servfail", "nxdomain"))
    assert (world.rounds, len(world.asked), len(evidence.answers)) == (1, 3, 3)


def test_the_returned_evidence_replays_offline_to_the_same_result() -> None:
    world = World({"a.test": {"TXT": ["x"]}, "b.test": {"status": "TIMEOUT"}})
    result, evidence = asyncio.run(drive(looks_up("a.test", "b.test"), Evidence(), world))
    assert conclude(looks_up("a.test", "b.test"), closed(evidence)) == result
    assert closed(evidence).absent is Absent.UNKNOWN


def test_answers_at_hand_are_not_asked_again() -> None:
    world = World({})
    held = Evidence({Question.of("a.test", "TXT"): Answer(AnswerStatus.ANSWER, ("x",))})
    assert asyncio.run(drive(looks_up("a.test"), held, world))[0] == ("answer",)
    assert world.asked == []


def test_closed_evidence_asks_nobody_even_with_a_resolver() -> None:
    world = World({})
    evidence = read_zone('a.test. TXT "x"').evidence()
    result, used = asyncio.run(drive(looks_up("a.test", "b.test"), evidence, world))
    assert result == ("answer", "nxdomain")
    assert world.asked == []
    assert set(used.answers) == {Question.of("a.test", "TXT"), Question.of("b.test", "TXT")}


def test_over_the_budget_of_questions_all_further_ones_are_timeouts() -> None:
    world = World({f"h{i}.test": {"TXT": ["x"]} for i in range(10)})
    names = [f"h{i}.test" for i in range(10)]
    result, _ = asyncio.run(drive(looks_up(*names), Evidence(), world, budget=Budget(questions=4)))
    assert (result.count("answer"), result.count("timeout")) == (4, 6)
    assert len(world.asked) == 4


def test_without_a_resolver_open_questions_are_timeouts() -> None:
    assert asyncio.run(drive(looks_up("a.test"), Evidence()))[0] == ("timeout",)


def test_a_silent_name_server_costs_at_most_the_budget_of_seconds() -> None:
    def chain() -> Check[int]:
        evidence = yield frozenset[Ask]()
        for i in range(100):
            evidence = yield from ask(evidence, [Question.of(f"h{i}.test", "TXT")])
        return 100

    async def scenario() -> None:
        async with PacketServer(lambda _: ()) as server, Resolver([server.address]) as resolver:
            began = time.perf_counter()
            assert (await drive(chain(), Evidence(), resolver, budget=Budget(seconds=0.4)))[0] == 100
            assert time.perf_counter() - began < 1.5

    asyncio.run(scenario())


def test_the_second_opinion_gets_the_message_and_the_txt_records_that_were_used() -> None:
    second = Second()
    check = together([looks_up("s._domainkey.a.test", "gone.test"), wants_opinion(3)])
    world = World({"s._domainkey.a.test": {"TXT": ["v=DKIM1; p="]}})
    results, evidence = asyncio.run(drive(check, Evidence(), world, second, raw=b"From: x\r\n\r\n"))
    assert results[1] is Opinion.PASS
    assert second.asked == [(b"From: x\r\n\r\n", 3, {"s._domainkey.a.test.": "v=DKIM1; p="})]
    assert evidence.opinions == {3: Opinion.PASS}


def test_without_a_second_implementation_or_with_a_stuck_one_it_is_skipped(monkeypatch) -> None:
    monkeypatch.setattr("verifier.driver.MAX_OPINION_SECONDS", 0.1)
    assert asyncio.run(drive(wants_opinion(0), Evidence()))[0] is Opinion.SKIPPED
    assert asyncio.run(drive(wants_opinion(0), Evidence(), None, Second(seconds=60)))[0] is Opinion.SKIPPED
