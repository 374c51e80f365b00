"""Automatic mail that was approved once: what withdrawing that stops, and what it leaves alone."""

# ruff: noqa: F811 -- fixtures are imported and then taken by their names
from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from outbound.approval import ApprovalState, Basis
from outbound.delivery import Handover
from outbound.model import DeliveryState, Failure, MailKind, Reply
from outbound.schema import approvals, outgoing, standing_approvals
from outbound.store import queue_outgoing, retry_now
from outbound.store.approval_acts import approve
from outbound.store.approvals import list_approvals, show_approval
from outbound.store.rows import change
from outbound.store.standing_approvals import (
    WITHDRAWN,
    StandingApproval,
    approve_standing,
    list_standing,
    withdraw_standing,
)
from tests.outbound.conftest import NOW, Answering
from tests.outbound.test_approval import SECOND, at_once, shared, signed  # noqa: F401 -- fixtures
from tests.threads.test_postgresql import server  # noqa: F401 -- a fixture
from threads.store.audit import list_audit
from threads.store.errors import RefusedRecord

KIND = MailKind.ACKNOWLEDGEMENT
LATER = Handover("mx", Reply(451, "later"), Failure.REFUSED_FOR_NOW, begun=True)


@pytest.fixture
def standing(world, office):
    """A world in which acknowledgements have a standing approval."""
    world.options["terms"] = replace(SECOND, route="mx")
    version = office.templates.get(KIND, "en").version
    world.write(approve_standing, KIND, version, "mx", NOW, actor="ben")
    return world


def acts(world):
    return [(row.act, json.loads(row.content)["by"]) for row in world.write(list_audit)]


def test_those_in_force_are_listed_until_they_are_withdrawn(standing, office) -> None:
    version = office.templates.get(KIND, "en").version
    assert standing.write(list_standing) == (StandingApproval(KIND.value, version, "mx", "ben", NOW),)
    assert standing.write(withdraw_standing, KIND, NOW, actor="ben") == ()
    assert standing.write(list_standing) == ()
    with pytest.raises(RefusedRecord, match="no standing approval"):
        standing.write(withdraw_standing, KIND, NOW, actor="ben")


def test_withdrawing_takes_every_version_and_route_of_the_kind_and_no_other_kind(standing) -> None:
    standing.write(approve_standing, KIND, 99, "smarthost", NOW, actor="ben")
    standing.write(approve_standing, MailKind.REMINDER, 1, "mx", NOW, actor="ben")
    standing.write(withdraw_standing, KIND, NOW, actor="ben")
    assert [one.kind for one in standing.write(list_standing)] == ["reminder"]


@pytest.mark.parametrize("tried", [False, True])
def test_mail_that_has_not_left_waits_for_a_person_who_may_let_it_go(standing, tried) -> None:
    standing.acknowledge("k1")
    standing.transport.answers = [LATER]
    standing.work()
    (item,) = standing.outbox()
    if not tried:  # as it is between its queueing and its first lease
        standing.write(lambda conn: change(conn, item.outgoing_id, NOW, state="queued", next_attempt_at=NOW))
    assert standing.write(withdraw_standing, KIND, NOW, actor="eva") == (item.outgoing_id,)
    (item,) = standing.outbox()
    assert (item.state, item.last_reply) == (DeliveryState.AWAITING_APPROVAL, WITHDRAWN)
    assert ("approval-void", "eva") in acts(standing)
    assert any(WITHDRAWN in (entry.text or "") for entry in standing.timeline())
    standing.clock.now += timedelta(hours=1)
    standing.work()
    assert len(standing.transport.given) == 1
    (waits,) = standing.write(list_approvals)
    assert (waits.state, waits.basis, waits.approver) == (ApprovalState.AWAITING, Basis.STANDING, None)
    standing.write(approve, waits.outgoing_id, waits.digest, standing.clock.now, actor="eva")
    standing.work()
    assert len(standing.transport.given) == 2


def test_mail_that_is_ordered_afterwards_waits_too(standing) -> None:
    standing.write(withdraw_standing, KIND, NOW, actor="ben")
    standing.acknowledge("k1")
    standing.work()
    assert standing.transport.given == []
    assert len(standing.write(list_approvals)) == 1


def test_mail_that_is_being_handed_over_ends_its_try_and_gets_no_other(standing) -> None:
    class Withdrawing(Answering):
        async def deliver(self, delivery):
            await super().deliver(delivery)
            standing.write(withdraw_standing, KIND, NOW, actor="ben")
            assert standing.outbox()[0].state is DeliveryState.LEASED
            return LATER

    standing.transport = Withdrawing()
    standing.acknowledge("k1")
    standing.work()
    assert standing.outbox()[0].state is DeliveryState.DEFERRED
    standing.clock.now += timedelta(hours=1)
    standing.work()
    assert len(standing.transport.given) == 1
    assert standing.outbox()[0].state is DeliveryState.AWAITING_APPROVAL


@pytest.mark.parametrize("state", ["failed", "expired", "bounced", "suppressed", "withheld"])
def test_mail_that_is_done_with_stays_so_and_trying_it_again_asks_somebody(standing, state) -> None:
    standing.acknowledge("k1")
    standing.transport.answers = [LATER]
    standing.work()
    number = standing.outbox()[0].outgoing_id
    standing.write(lambda conn: change(conn, number, NOW, state=state, next_attempt_at=None))
    assert standing.write(withdraw_standing, KIND, NOW, actor="ben") == ()
    assert standing.outbox()[0].state.value == state
    standing.write(retry_now, number, NOW)
    standing.work()
    assert len(standing.transport.given) == 1
    assert standing.outbox()[0].state is DeliveryState.AWAITING_APPROVAL


def test_what_was_delivered_or_what_a_person_approved_by_itself_stays_approved(standing) -> None:
    standing.acknowledge("k1")
    standing.work()
    standing.options["terms"] = replace(SECOND, route="smarthost")  # has no standing approval
    standing.acknowledge("k2")
    standing.work()
    (waits,) = standing.write(list_approvals)
    standing.transport.answers = [LATER]
    standing.write(approve, waits.outgoing_id, waits.digest, NOW, actor="eva")
    standing.work()
    assert standing.write(withdraw_standing, KIND, NOW, actor="ben") == ()
    standing.clock.now += timedelta(hours=1)
    standing.work()
    assert {one.state for one in standing.outbox()} == {DeliveryState.DELIVERED}
    assert standing.write(show_approval, waits.outgoing_id).basis is Basis.SECOND


def test_no_mail_slips_through_while_the_approval_is_withdrawn(shared, signed) -> None:
    terms = replace(SECOND, route="mx")
    ready = [signed(f"t{number}") for number in range(20)]
    mails = [
        replace(
            one.signed,
            rendered=replace(
                one.signed.rendered, kind=KIND, template_version=1, thread_id=None, contact_id=None
            ),
        )
        for one in ready
    ]
    with shared.writing() as conn:
        approve_standing(conn, KIND, 1, "mx", NOW, actor="ben")

    def work(number: int) -> None:
        with shared.writing() as conn:
            if number == 10:
                withdraw_standing(conn, KIND, NOW, actor="ben")
                return
            queue_outgoing(
                conn, mails[number], idempotency_key=f"k{number}", actor="automation",
                checked=ready[number].checked, now=NOW, terms=terms,
            )  # fmt: skip

    assert at_once(20, work) == [None] * 20
    with shared.reading() as conn:
        assert conn.execute(select(standing_approvals)).all() == []
        rows = conn.execute(
            select(approvals.c.state, approvals.c.approver).join(
                outgoing, outgoing.c.id == approvals.c.outgoing_id
            )
        ).all()
    assert [tuple(row) for row in rows] == [("awaiting", None)] * 19
