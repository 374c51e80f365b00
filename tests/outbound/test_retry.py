from __future__ import annotations

from datetime import timedelta

import pytest

from outbound.approval import SEND_WINDOW
from outbound.model import DeliveryState, Failure, Reply
from outbound.retry import JITTER_SHARE, LEAST_AGE, MAX_AGE, MOST_AGE, WAITS, decide
from tests.outbound.conftest import NOW

NOTHING = Reply(0, "no connection")


def decision(failure, reply=NOTHING, attempts=1, age=timedelta(0), jitter=0.0):
    return decide(attempts=attempts, failure=failure, reply=reply, created=NOW - age, now=NOW, jitter=jitter)


@pytest.mark.parametrize(
    ("failure", "state"),
    [
        (None, DeliveryState.DELIVERED),
        (Failure.REFUSED, DeliveryState.FAILED),
        (Failure.NO_MAIL, DeliveryState.FAILED),
        (Failure.REFUSED_FOR_NOW, DeliveryState.DEFERRED),
        (Failure.CONNECTION, DeliveryState.DEFERRED),
        (Failure.TIMEOUT, DeliveryState.DEFERRED),
        (Failure.DNS, DeliveryState.DEFERRED),
        (Failure.PROTOCOL, DeliveryState.DEFERRED),
        (Failure.LOCAL, DeliveryState.DEFERRED),
    ],
)
def test_only_a_final_refusal_ends_a_mail_at_once(failure, state):
    assert decision(failure).state is state


def test_waits_grow_and_then_stay():
    waits = [decision(Failure.CONNECTION, attempts=n).next_attempt_at - NOW for n in range(1, len(WAITS) + 4)]
    assert waits == [*WAITS, WAITS[-1], WAITS[-1], WAITS[-1]]


def test_jitter_only_stretches_a_wait():
    assert decision(Failure.DNS, jitter=1.0).next_attempt_at == NOW + WAITS[0] * (1 + JITTER_SHARE)
    assert decision(Failure.DNS, jitter=99.0).next_attempt_at == NOW + WAITS[0] * (1 + JITTER_SHARE)


def test_the_last_try_falls_on_the_give_up_time_and_is_the_last():
    before = decision(Failure.CONNECTION, attempts=9, age=MAX_AGE - timedelta(minutes=1))
    assert before.next_attempt_at == NOW + timedelta(minutes=1)
    after = decision(Failure.REFUSED_FOR_NOW, Reply(450, "later"), attempts=9, age=MAX_AGE)
    assert after.state is DeliveryState.EXPIRED
    assert "450 later" in after.reason


@pytest.mark.parametrize(
    ("give_up", "words"),
    [
        (LEAST_AGE, "after 1 hour;"),
        (timedelta(hours=30), "after 30 hours;"),
        (timedelta(days=1), "after 1 day;"),
        (MAX_AGE, "after 5 days;"),
        (MOST_AGE, "after 6 days;"),
    ],
)
def test_a_mail_is_given_up_when_the_settings_say_so(give_up, words):
    def tried(age):
        return decide(
            attempts=9, failure=Failure.CONNECTION, reply=NOTHING, created=NOW - age, now=NOW, jitter=1.0, give_up=give_up
        )  # fmt: skip

    before = tried(give_up - timedelta(seconds=1))
    assert (before.state, before.next_attempt_at) == (DeliveryState.DEFERRED, NOW + timedelta(seconds=1))
    after = tried(give_up)
    assert after.state is DeliveryState.EXPIRED
    assert words in after.reason


def test_a_mail_is_given_up_before_its_approval_ends():
    assert LEAST_AGE < MAX_AGE < MOST_AGE < SEND_WINDOW
