"""Mail for which a window was chosen goes in it: never before, and after it only when somebody has looked again."""

# ruff: noqa: F811 -- fixtures are imported and then taken by their names
from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from outbound.approval import (
    MAX_AHEAD,
    SEND_WINDOW,
    ApprovalState,
    Terms,
    Window,
    odd_window,
    window_approved,
    window_of,
)
from outbound.delivery import Handover
from outbound.model import DeliveryState, Failure, Reply, SelfCheck
from outbound.schema import approvals
from outbound.store import lease_due, queue_outgoing, retry_now
from outbound.store.approval_acts import approve
from outbound.store.approvals import list_approvals, show_approval
from outbound.store.rows import change
from tests.outbound.conftest import NOW
from tests.outbound.test_approval import SECOND, queued, shared, signed  # noqa: F401 -- fixtures
from tests.threads.test_postgresql import server  # noqa: F401 -- a fixture
from threads.store.errors import RefusedRecord

HOUR, MOMENT = timedelta(hours=1), timedelta(microseconds=1)
BEGIN, END = NOW + 2 * HOUR, NOW + 5 * HOUR
CHOSEN = Terms(not_before=BEGIN, not_after=END)


@pytest.mark.parametrize(
    ("terms", "window"),
    [
        (Terms(), Window(NOW, NOW + SEND_WINDOW)),
        (Terms(not_before=BEGIN), Window(BEGIN, BEGIN + SEND_WINDOW)),
        (Terms(not_before=NOW - HOUR), Window(NOW, NOW + SEND_WINDOW)),
        (Terms(not_after=END), Window(NOW, END, end_chosen=True)),
        (CHOSEN, Window(BEGIN, END, end_chosen=True)),
    ],
)
def test_a_window_is_what_was_chosen_and_else_from_now_for_a_week(terms: Terms, window: Window) -> None:
    assert window_of(terms, NOW) == window
    assert odd_window(terms, NOW) is None


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        (Terms(not_after=NOW), "ends before it begins"),
        (Terms(not_after=NOW - HOUR), "over already"),
        (Terms(not_before=END, not_after=BEGIN), "ends before it begins"),
        (Terms(not_before=BEGIN, not_after=BEGIN), "ends before it begins"),
        (Terms(not_before=NOW + MAX_AHEAD + MOMENT), "30 days ahead"),
        (Terms(not_after=NOW + MAX_AHEAD + MOMENT), "30 days ahead"),
    ],
)
def test_a_window_in_which_nothing_can_go_is_refused_and_nothing_is_queued(world, signed, terms, why) -> None:
    ready = signed()
    with pytest.raises(RefusedRecord, match=why):
        world.write(queue_outgoing, ready.signed, idempotency_key="k", actor="ana", checked=ready.checked, now=NOW, terms=terms)  # fmt: skip
    assert world.outbox() == ()


@given(begin=st.integers(-50, 50), length=st.integers(1, 50), chosen=st.booleans(), late=st.integers(0, 200))
def test_an_approval_never_makes_a_chosen_window_begin_earlier_or_end_later(
    begin, length, chosen, late
) -> None:
    before = Window(NOW + begin * HOUR, NOW + (begin + length) * HOUR, end_chosen=chosen)
    now = NOW + late * HOUR
    after = window_approved(before, now)
    assert now <= after.not_before < after.not_after
    assert after.not_before >= before.not_before
    if chosen and now < before.not_after:
        assert (after.not_after, after.end_chosen) == (before.not_after, True)
    else:
        assert (after.not_after, after.end_chosen) == (after.not_before + SEND_WINDOW, False)


def test_mail_waits_for_its_window_and_is_judged_and_told_of_when_it_goes(world, queued) -> None:
    judged = []

    async def check(raw):
        judged.append(raw)
        return SelfCheck(genuine=True, verdict="genuine")

    number = queued(CHOSEN)
    world.check = check
    (item,) = world.outbox()
    assert (item.state, item.next_attempt_at) == (DeliveryState.QUEUED, BEGIN)
    for early in (NOW, BEGIN - MOMENT):
        world.clock.now = early
        world.work()
        assert (world.transport.given, judged) == ([], [])
        assert not any("Was this you" in (entry.text or "") for entry in world.timeline())
    world.clock.now = BEGIN
    world.work()
    assert [one.outgoing_id for one in world.transport.given] == [number]
    assert len(judged) == 1
    assert any("Was this you" in (entry.text or "") for entry in world.timeline())


def test_mail_that_somebody_made_due_goes_back_until_its_window_begins(world, queued) -> None:
    number = queued(CHOSEN)
    assert world.write(retry_now, number, NOW) == BEGIN
    world.write(lambda conn: change(conn, number, NOW, next_attempt_at=NOW))  # as an older program does
    world.work()
    (item,) = world.outbox()
    assert world.transport.given == []
    assert (item.state, item.next_attempt_at, item.attempts, item.maybe_twice) == (
        DeliveryState.QUEUED,
        BEGIN,
        0,
        False,
    )
    assert world.write(show_approval, number).state is ApprovalState.APPROVED
    world.clock.now = BEGIN
    world.work()
    assert len(world.transport.given) == 1


def test_after_its_window_mail_waits_for_somebody_else(world, queued) -> None:
    number = queued(CHOSEN)
    world.clock.now = END + MOMENT
    world.work()
    assert world.transport.given == []
    (item,) = world.write(list_approvals)
    assert (item.outgoing_id, item.state) == (number, ApprovalState.VOID)
    assert "is over" in world.outbox()[0].last_reply
    assert world.outbox()[0].state.value == "unapproved"


def test_mail_that_was_put_off_past_the_end_of_its_window_is_not_tried_again(world, queued) -> None:
    queued(CHOSEN)
    world.clock.now = END
    world.transport.answers = [Handover("mx", Reply(451, "later"), Failure.REFUSED_FOR_NOW, begun=True)]
    world.work()
    world.clock.now = END + HOUR
    world.work()
    assert len(world.transport.given) == 1
    assert world.outbox()[0].state is DeliveryState.AWAITING_APPROVAL


@pytest.mark.parametrize(
    ("terms", "late", "window"),
    [
        (CHOSEN, NOW + HOUR, (BEGIN, END)),
        (CHOSEN, NOW + 3 * HOUR, (NOW + 3 * HOUR, END)),
        (CHOSEN, END, (END, END + SEND_WINDOW)),
        (CHOSEN, END + HOUR, (END + HOUR, END + HOUR + SEND_WINDOW)),
        (Terms(not_before=BEGIN), NOW + HOUR, (BEGIN, BEGIN + SEND_WINDOW)),
        (Terms(not_before=BEGIN), BEGIN + 6 * 24 * HOUR, (BEGIN + 6 * 24 * HOUR, BEGIN + 6 * 24 * HOUR + SEND_WINDOW)),
        (Terms(not_before=BEGIN, not_after=BEGIN + SEND_WINDOW), BEGIN + HOUR, (BEGIN + HOUR, BEGIN + SEND_WINDOW)),
        (Terms(not_after=END), NOW + HOUR, (NOW + HOUR, END)),
    ],
)  # fmt: skip
def test_an_approval_keeps_a_chosen_window_that_is_open(world, queued, terms, late, window) -> None:
    number = queued(replace(terms, second_person=SECOND.second_person))
    digest = world.write(show_approval, number).digest
    assert world.write(approve, number, digest, late, actor="ben") == window[0]
    item = world.write(show_approval, number)
    assert (item.not_before, item.not_after) == window
    assert item.digest == item.approved
    world.clock.now = window[0] - MOMENT
    world.work()
    assert world.transport.given == []
    world.clock.now = window[0]
    world.work()
    assert len(world.transport.given) == 1


@pytest.mark.parametrize("moved", [{"not_before": NOW}, {"not_after": END + HOUR}])
def test_a_window_that_was_moved_voids_the_approval(world, queued, moved) -> None:
    number = queued(CHOSEN)
    world.write(lambda conn: conn.execute(update(approvals).values(**moved)))
    world.clock.now = BEGIN
    world.work()
    assert world.transport.given == []
    assert world.write(show_approval, number).state is ApprovalState.VOID


def test_what_our_verifier_refuses_is_withheld_at_once_whatever_its_window(world, signed) -> None:
    ready = signed()
    wrong = SelfCheck(genuine=False, verdict="unproven", reason="no record")
    world.write(
        queue_outgoing, ready.signed, idempotency_key="k", actor="ana", checked=wrong, now=NOW, terms=CHOSEN
    )
    number = world.outbox()[0].outgoing_id
    assert world.outbox()[0].state is DeliveryState.WITHHELD
    assert world.write(retry_now, number, NOW) == BEGIN
    world.clock.now = BEGIN
    world.work()
    assert len(world.transport.given) == 1


def test_mail_that_waits_for_a_person_does_not_hide_until_its_window_when_it_is_tried_again(
    world, queued
) -> None:
    number = queued(replace(CHOSEN, second_person=SECOND.second_person))
    assert world.write(retry_now, number, NOW) == NOW
    world.work()
    assert [one.outgoing_id for one in world.write(list_approvals)] == [number]


def test_no_database_leases_mail_before_its_window(shared, signed) -> None:
    ready = signed()
    unbound = replace(ready.signed, rendered=replace(ready.signed.rendered, thread_id=None, contact_id=None))
    with shared.writing() as conn:
        made = queue_outgoing(conn, unbound, idempotency_key="k", actor="ana", checked=ready.checked, now=NOW, terms=CHOSEN)  # fmt: skip
        change(conn, made.outgoing_id, NOW, next_attempt_at=NOW)
    for at, leased in ((NOW, 0), (BEGIN - MOMENT, 0), (BEGIN, 1)):
        with shared.writing() as conn:
            assert len(lease_due(conn, at, "w", 10)) == leased
