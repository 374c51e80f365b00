"""Recipients are asked for at the next hop: once, remembered for their time, and refused only by a clear no."""

from __future__ import annotations

import asyncio

import pytest

from smtp_gateway import recipient_check
from smtp_gateway.next_hop import HopAnswer, HopTls, NextHop, Step, Trouble, answered
from smtp_gateway.recipient_check import (
    KNOWN_SECONDS,
    UNKNOWN_SECONDS,
    UNSURE_SECONDS,
    RecipientCheck,
    asks_next_hop,
)
from tests.smtp_gateway.scripted_hop import HOST, in_a_loop, scripted_hop

HOP = NextHop(HOST, 25)
YES = answered(Step.RCPT, 250, "2.1.5 ok")
NO = answered(Step.RCPT, 550, "5.1.1 no such user")


class Asked:
    """A next hop that gives one answer, and a clock."""

    def __init__(self, answer: HopAnswer, seconds: float = 0.0) -> None:
        self.answer, self.seconds = answer, seconds
        self.asked: list[str] = []
        self.now = 1_000.0
        self.check = RecipientCheck(self.ask, lambda: self.now)

    async def ask(self, recipient: str, _hop: NextHop) -> HopAnswer:
        self.asked.append(recipient)
        await asyncio.sleep(self.seconds)
        return self.answer

    async def says(self, recipient: str = "bob@customer.test", hop: NextHop = HOP) -> str:
        reply = await self.check.refusal(recipient, hop)
        return "taken" if reply is None else str(reply)


@pytest.mark.parametrize(
    ("answer", "wanted", "seconds"),
    [
        (YES, "taken", KNOWN_SECONDS),
        (answered(Step.RCPT, 251, "elsewhere"), "taken", KNOWN_SECONDS),
        (NO, "550 5.1.1", UNKNOWN_SECONDS),
        (answered(Step.RCPT, 550, "unknown"), "550 5.0.0", UNKNOWN_SECONDS),
        (answered(Step.RCPT, 550, "5.2.1 disabled"), "550 5.2.1", UNKNOWN_SECONDS),
        (answered(Step.RCPT, 501, "5.1.3 syntax"), "550 5.1.3", UNKNOWN_SECONDS),
        (HopAnswer(Step.MAIL, trouble=Trouble.NO_SMTPUTF8_PATH), "550 5.6.7", UNKNOWN_SECONDS),
        (answered(Step.RCPT, 550, "5.7.1 I do not like empty paths"), "taken", UNSURE_SECONDS),
        (answered(Step.RCPT, 450, "4.2.0 greylisted"), "taken", UNSURE_SECONDS),
        (answered(Step.RCPT, 452, "4.2.2 full"), "taken", UNSURE_SECONDS),
        (answered(Step.MAIL, 550, "5.1.8 who are you"), "taken", UNSURE_SECONDS),
        (answered(Step.RCPT, 530, "5.7.0 log in"), "taken", UNSURE_SECONDS),
    ],
)
@in_a_loop
async def test_each_answer_decides_for_its_time_and_is_asked_for_again_after_it(
    answer, wanted, seconds
) -> None:
    hop = Asked(answer)
    assert (await hop.says()).startswith(wanted)
    hop.now += seconds - 1
    assert (await hop.says()).startswith(wanted)
    assert len(hop.asked) == 1
    hop.now += 2
    await hop.says()
    assert len(hop.asked) == 2


@pytest.mark.parametrize(
    "trouble", [Trouble.UNREACHABLE, Trouble.DROPPED, Trouble.TIMEOUT, Trouble.NOT_SMTP, Trouble.TLS]
)
@in_a_loop
async def test_a_hop_that_gives_no_answer_is_left_alone_for_a_while_and_mail_for_it_taken(trouble) -> None:
    hop = Asked(HopAnswer(Step.CONNECT, trouble=trouble))
    assert [await hop.says(f"u{n}@customer.test") for n in range(50)] == ["taken"] * 50
    assert len(hop.asked) == 1
    assert await hop.says(hop=NextHop("other.test", 25, HopTls.NONE)) == "taken"
    assert len(hop.asked) == 2  # another hop is another matter
    hop.now += UNSURE_SECONDS + 1
    await hop.says()
    assert len(hop.asked) == 3


@in_a_loop
async def test_many_who_ask_for_one_address_at_once_make_one_question() -> None:
    hop = Asked(NO, seconds=0.05)
    said = await asyncio.gather(*(hop.says() for _ in range(100)))
    assert {word[:9] for word in said} == {"550 5.1.1"}
    assert len(hop.asked) == 1


@in_a_loop
async def test_one_who_goes_away_takes_the_answer_from_nobody() -> None:
    hop = Asked(NO, seconds=0.05)
    first = asyncio.create_task(hop.says())
    await asyncio.sleep(0.01)
    second = asyncio.create_task(hop.says())
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).startswith("550")
    assert len(hop.asked) == 1


@in_a_loop
async def test_guessers_have_so_many_connections_and_so_much_memory_and_no_more(monkeypatch) -> None:
    monkeypatch.setattr(recipient_check, "ENTRIES_MAX", 10)
    most = running = 0

    async def ask(_recipient: str, _hop: NextHop) -> HopAnswer:
        nonlocal most, running
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return NO

    check = RecipientCheck(ask, lambda: 0.0)
    await asyncio.gather(*(check.refusal(f"u{n}@customer.test", HOP) for n in range(200)))
    assert most == recipient_check.QUESTIONS_MAX
    assert len(check._remembered) == 10
    assert check._asking == {}


@in_a_loop
async def test_what_a_transaction_found_out_is_asked_for_again() -> None:
    hop = Asked(YES)
    await hop.says()
    hop.answer = NO
    assert await hop.says() == "taken"
    hop.check.forget("bob@customer.test", HOP)
    assert (await hop.says()).startswith("550")


@in_a_loop
async def test_a_real_hop_is_asked_over_smtp() -> None:
    async with scripted_hop(faults={"RCPT no@customer.test": "550 5.1.1 who is that"}) as hop:
        check = RecipientCheck(asks_next_hop("mx.experts.test"), lambda: 0.0)
        at = NextHop(HOST, hop.port, HopTls.NONE)
        assert await check.refusal("bob@customer.test", at) is None
        refused = await check.refusal("no@customer.test", at)
        assert str(refused) == "550 5.1.1 Refused by the next server"
        assert hop.taken == []
