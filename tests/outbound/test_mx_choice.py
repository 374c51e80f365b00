from __future__ import annotations

import asyncio

import pytest

from outbound.mx import MAX_ADDRESSES, MxTransport, exchangers
from verifier.evidence import Answer, AnswerStatus


def found(*records):
    return Answer(AnswerStatus.ANSWER, records)


def test_equal_preferences_are_tried_in_the_order_of_the_draw_and_better_ones_first_all_the_same():
    answer = found("20 c.test.", "10 a.test.", "10 b.test.")
    for draws, order in (((0.5, 0.1, 0.9), ["a", "b", "c"]), ((0.0, 0.9, 0.1), ["b", "a", "c"])):
        turn = iter(draws)
        hosts = [one.host for one in exchangers("x.test", answer, "mx.experts.test", lambda: next(turn))]  # noqa: B023
        assert hosts == [f"{name}.test" for name in order]


@pytest.mark.parametrize(
    ("four", "six", "tried"),
    [
        (("192.0.2.1", "192.0.2.2", "192.0.2.3"), ("2001:db8::1",), ("192.0.2.1", "2001:db8::1", "192.0.2.2")),
        ((), ("2001:db8::1", "2001:db8::2"), ("2001:db8::1", "2001:db8::2")),
        (("192.0.2.1",), (), ("192.0.2.1",)),
        (("192.0.2.1",), ("2001:db8::1", "2001:db8::2", "2001:db8::3"), ("192.0.2.1", "2001:db8::1", "2001:db8::2")),
    ],
)
def test_both_families_are_among_the_first_addresses_that_are_tried(four, six, tried):
    async def ask(questions):
        return {q: found(*(six if q.type == "AAAA" else four)) for q in questions}

    transport = MxTransport(ask, "mx.experts.test", private_networks=True)
    addresses = asyncio.run(transport._addresses("mx.contoso.test"))
    assert addresses == tried
    assert len(addresses) <= MAX_ADDRESSES
