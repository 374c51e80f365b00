"""What is sent is what was approved: byte for byte, to the same recipient, in its time, by somebody who may approve it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from outbound.approval import (
    SEND_WINDOW,
    ApprovalState,
    Basis,
    Manifest,
    Terms,
    manifest_of,
    names_digest,
    request_digest,
    why_not,
)
from outbound.compose import compose, stamp
from outbound.delivery import Handover
from outbound.dispatch import prepare
from outbound.model import DeliveryState, Failure, MailKind, Reply, SelfCheck
from outbound.retry import MAX_AGE
from outbound.schema import approvals, outgoing
from outbound.store import RECHECK_FOR, list_outbox, queue_outgoing, retry_now
from outbound.store.approval_acts import approve, break_glass, refuse, review
from outbound.store.approvals import (
    claim_request,
    list_approvals,
    list_reviews,
    mails_of_request,
    request_prefix,
    show_approval,
)
from outbound.store.rows import change
from outbound.store.signed_with import signed_with
from outbound.store.standing_approvals import approve_standing
from tests.outbound.conftest import NOW, REQUEST, always_genuine
from tests.threads.test_postgresql import server  # noqa: F401 -- a fixture
from threads.store.audit import list_audit
from threads.store.circumstances import distrust
from threads.store.engine import Database, open_database
from threads.store.errors import RefusedRecord
from threads.store.migration import upgrade
from threads.store.people import organisation

SECOND = Terms(second_person=frozenset({MailKind.REQUEST_FOR_CONTEXT.value, MailKind.ACKNOWLEDGEMENT.value}))
RAW = b"From: Defender Experts <defender-experts@experts.test>\r\nTo: ana@contoso.test\r\n\r\nHello\r\n"
APPROVED = manifest_of(RAW, "r@reply.experts.test", "ana@contoso.test", NOW, NOW + SEND_WINDOW)


@pytest.fixture
def signed(record, office, signer):
    def make(token="t1"):
        (mail,) = compose(
            MailKind.REQUEST_FOR_CONTEXT,
            office=office,
            thread=record.incident,
            contacts=[record.contact],
            variables=REQUEST,
            stamps=[stamp(token, "experts.test", NOW)],
        )
        return asyncio.run(prepare(mail, signer, always_genuine, NOW))

    return make


@pytest.fixture
def queued(world, signed):
    """Queue a mail under terms; returns its number."""

    def put(terms=SECOND, token="t1", actor="ana"):
        ready = signed(token)
        return world.write(
            queue_outgoing,
            ready.signed,
            idempotency_key=token,
            actor=actor,
            checked=ready.checked,
            now=NOW,
            terms=terms,
        ).outgoing_id

    return put


@given(at=st.integers(0, len(RAW) - 1), other=st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_no_approval_survives_a_changed_byte(at: int, other: int) -> None:
    changed = RAW[:at] + bytes([other]) + RAW[at + 1 :]
    now = manifest_of(changed, APPROVED.mail_from, APPROVED.rcpt_to, NOW, NOW + SEND_WINDOW)
    refused = why_not(now, ApprovalState.APPROVED, APPROVED.digest, NOW) is not None
    assert refused == (changed != RAW)


@given(
    mail_from=st.text(max_size=30) | st.just(APPROVED.mail_from),
    rcpt_to=st.text(max_size=30) | st.just(APPROVED.rcpt_to),
    later=st.sampled_from([timedelta(0), timedelta(microseconds=1), timedelta(days=1)]),
)
@settings(max_examples=300, deadline=None)
def test_no_approval_survives_a_changed_recipient_return_path_or_window(mail_from, rcpt_to, later) -> None:
    now = manifest_of(RAW, mail_from, rcpt_to, NOW, NOW + SEND_WINDOW + later)
    refused = why_not(now, ApprovalState.APPROVED, APPROVED.digest, NOW) is not None
    assert refused == (now != APPROVED)


@given(st.lists(st.text(max_size=8), min_size=4, max_size=4), st.lists(st.text(max_size=8), min_size=4, max_size=4))
def test_two_manifests_have_one_digest_only_if_they_are_equal(one: list[str], other: list[str]) -> None:
    first, second = (Manifest(*parts, NOW, NOW + SEND_WINDOW) for parts in (one, other))
    assert (first.digest == second.digest) == (first == second)


@pytest.mark.parametrize("state", ApprovalState)
def test_only_what_is_approved_is_sent_and_only_in_its_time(state: ApprovalState) -> None:
    good = state is ApprovalState.APPROVED
    assert (why_not(APPROVED, state, APPROVED.digest, NOW) is None) == good
    assert why_not(APPROVED, state, APPROVED.digest, NOW + SEND_WINDOW + timedelta(seconds=1)) is not None
    assert why_not(APPROVED, state, APPROVED.digest, NOW - timedelta(seconds=1)) is not None


def test_the_identity_is_the_address_in_from_also_of_a_folded_field() -> None:
    assert APPROVED.identity == "defender-experts@experts.test"
    folded = RAW.replace(b"Experts <", b"Experts\r\n <")
    assert manifest_of(folded, "", "a@b.test", NOW, NOW).identity == "defender-experts@experts.test"
    assert manifest_of(b"To: a@b.test\r\n\r\nFrom: x@y.test", "", "a@b.test", NOW, NOW).identity == ""


@pytest.mark.parametrize(
    ("given_digits", "names"),
    [("", False), (APPROVED.digest[:11], False), (APPROVED.digest[:12], True), (APPROVED.digest.upper(), True), ("0" * 64, False)],
)  # fmt: skip
def test_a_digest_is_named_by_enough_of_its_digits(given_digits: str, names: bool) -> None:
    assert names_digest(given_digits, APPROVED.digest) == names


@pytest.mark.parametrize(
    "changed",
    [
        {"raw": b"Subject: other\r\n\r\nother"},
        {"rcpt_to": "eve@elsewhere.test"},
        {"mail_from": "other@reply.experts.test"},
    ],
)
def test_a_mail_that_was_changed_after_its_approval_is_not_sent_until_somebody_looks(world, queued, changed) -> None:
    number = queued(Terms())
    world.write(lambda conn: conn.execute(update(outgoing).values(**changed)))
    world.work()
    assert world.transport.given == []
    (item,) = world.outbox()
    assert item.state is DeliveryState.AWAITING_APPROVAL
    assert item.attempts == 0
    assert "is not what would be sent" in item.last_reply
    assert world.write(show_approval, number).state is ApprovalState.VOID
    assert any("Not sent to" in (entry.text or "") for entry in world.timeline())
    assert [row.act for row in world.write(list_audit)] == ["approval-void"]
    world.write(retry_now, number, NOW)
    world.work()
    assert world.transport.given == []  # trying again is no approval


def test_what_is_approved_after_its_bytes_were_changed_is_judged_by_these_bytes(world, queued) -> None:
    number = queued(Terms())
    world.write(lambda conn: conn.execute(update(outgoing).values(raw=b"Subject: other\r\n\r\nother")))
    world.work()
    judged = []

    async def wrong(raw):
        judged.append(raw)
        return SelfCheck(genuine=False, verdict="unproven", reason="nobody signed it")

    world.check = wrong
    world.write(approve, number, world.write(show_approval, number).digest, NOW, actor="ben")
    world.work()
    assert judged == [b"Subject: other\r\n\r\nother"]
    assert world.transport.given == []
    assert world.outbox()[0].state is DeliveryState.WITHHELD


@pytest.mark.parametrize("state", DeliveryState)
def test_a_key_is_needed_while_mail_that_it_signed_may_still_leave(world, queued, state) -> None:
    number = queued()
    world.write(lambda conn: change(conn, number, NOW, state=state.value))
    selector = world.write(lambda conn: conn.execute(select(outgoing.c.selector)).scalar_one())
    waits = state in {
        DeliveryState.QUEUED,
        DeliveryState.LEASED,
        DeliveryState.DEFERRED,
        DeliveryState.AWAITING_APPROVAL,
        DeliveryState.WITHHELD,
    }
    assert world.write(signed_with, tuple(selector.split())).waiting == int(waits)


def test_a_change_between_the_lease_and_the_second_try_is_noticed_too(world, queued) -> None:
    queued(Terms())
    world.transport.answers = [Handover("mx", Reply(451, "later"), Failure.REFUSED_FOR_NOW, begun=True)]
    world.work()
    world.write(lambda conn: conn.execute(update(outgoing).values(rcpt_to="eve@elsewhere.test")))
    world.clock.now += timedelta(hours=1)
    world.work()
    assert len(world.transport.given) == 1


def test_a_mail_without_any_approval_is_not_sent(world, queued) -> None:
    queued(Terms())
    world.write(lambda conn: conn.execute(approvals.delete()))
    world.work()
    assert world.transport.given == []
    assert [one.state for one in world.outbox()] == [DeliveryState.AWAITING_APPROVAL]


def test_mail_without_an_approval_on_record_is_shown_to_somebody_else_who_may_approve_it(world, queued) -> None:
    number = queued(Terms())
    world.write(lambda conn: conn.execute(approvals.delete()))  # as an older program queues it
    world.work()
    (item,) = world.write(list_approvals)
    assert (item.outgoing_id, item.composer, item.approver) == (number, "ana", None)
    assert (item.state, item.basis) == (ApprovalState.AWAITING, Basis.SECOND)
    assert item.digest == item.approved
    with pytest.raises(RefusedRecord, match="somebody else"):
        world.write(approve, number, item.digest, NOW, actor="Ana")
    world.write(approve, number, item.digest, NOW, actor="ben")
    world.work()
    assert len(world.transport.given) == 1


def test_automatic_mail_without_an_approval_on_record_may_be_approved_by_anybody(world) -> None:
    world.acknowledge("k1")
    world.transport.answers = [Handover("mx", Reply(451, "later"), Failure.REFUSED_FOR_NOW, begun=True)]
    world.work()
    world.write(lambda conn: conn.execute(approvals.delete()))
    world.clock.now += timedelta(hours=1)
    world.work()
    assert len(world.transport.given) == 1
    (item,) = world.write(list_approvals)
    assert (item.state, item.basis) == (ApprovalState.AWAITING, Basis.STANDING)
    world.write(approve, item.outgoing_id, item.digest, world.clock.now, actor="ana")
    world.work()
    assert len(world.transport.given) == 2


def test_a_mail_that_bounced_after_it_lost_its_approval_can_be_sent_again(world, queued) -> None:
    number = queued(Terms())
    world.work()
    # As the migration leaves mail that was delivered before it.
    world.write(lambda conn: conn.execute(approvals.delete()))
    world.write(lambda conn: change(conn, number, NOW, state=DeliveryState.BOUNCED.value))
    world.write(retry_now, number, NOW)
    world.work()
    (item,) = world.write(list_approvals)
    world.write(approve, number, item.digest, NOW, actor="ben")
    world.work()
    assert len(world.transport.given) == 2


def test_where_nobody_asks_for_a_second_person_a_mail_goes_on_its_writers_word(world, queued) -> None:
    number = queued(Terms())
    world.work()
    assert len(world.transport.given) == 1
    item = world.write(show_approval, number)
    assert (item.basis, item.approver) == (Basis.COMPOSER, "ana")


def test_a_second_person_approves_by_the_digest_that_was_shown(world, queued) -> None:
    number = queued()
    world.work()
    assert world.transport.given == []
    assert [one.outgoing_id for one in world.write(list_approvals)] == [number]
    assert not any("Was this you" in (entry.text or "") for entry in world.timeline())
    digest = world.write(show_approval, number).digest
    for who in ("ana", "ANA"):
        with pytest.raises(RefusedRecord, match="somebody else"):
            world.write(approve, number, digest, NOW, actor=who)
    with pytest.raises(RefusedRecord, match="look at it again"):
        world.write(approve, number, "0" * 64, NOW, actor="ben")
    world.write(approve, number, digest, NOW, actor="ben")
    with pytest.raises(RefusedRecord, match="does not wait"):
        world.write(approve, number, digest, NOW, actor="ben")
    world.work()
    assert len(world.transport.given) == 1
    assert any("Was this you" in (entry.text or "") for entry in world.timeline())


def test_the_database_itself_refuses_a_writer_who_approves(world, queued) -> None:
    queued()
    for values in ({"approver": "Ana"}, {"state": "approved"}, {"reviewer": "ana"}):
        with pytest.raises(RefusedRecord, match="contradicting"):
            world.write(lambda conn, values=values: conn.execute(update(approvals).values(**values)))


def test_what_was_changed_between_looking_and_approving_is_not_approved(world, queued) -> None:
    number = queued()
    digest = world.write(show_approval, number).digest
    world.write(lambda conn: conn.execute(update(outgoing).values(rcpt_to="eve@elsewhere.test")))
    with pytest.raises(RefusedRecord, match="look at it again"):
        world.write(approve, number, digest, NOW, actor="ben")


def test_a_refused_mail_is_never_sent(world, queued) -> None:
    number = queued()
    world.write(refuse, number, "wrong customer", NOW, actor="ben")
    world.work()
    with pytest.raises(RefusedRecord, match="refused by ben: wrong customer"):
        world.write(retry_now, number, NOW)
    world.work()
    assert world.transport.given == []
    assert world.outbox()[0].state is DeliveryState.FAILED


@pytest.mark.parametrize("terms", [SECOND, Terms(), replace(SECOND, break_glass="encryption is running")])
@pytest.mark.parametrize("held_by", ["other bytes", "its window", "a refusal"])
def test_nobody_approves_what_they_wrote_whatever_held_it(world, queued, terms, held_by) -> None:
    number = queued(terms)
    if held_by == "its window":
        world.clock.now += SEND_WINDOW + timedelta(seconds=1)
    else:
        world.write(lambda conn: conn.execute(update(outgoing).values(raw=b"Subject: other\r\n\r\nother")))
    world.work()
    digest = world.write(show_approval, number).digest
    if held_by == "a refusal":
        world.write(refuse, number, "wrong customer", NOW, actor="ben")
        # As it stands where a refused mail was made due by an older program.
        world.write(
            lambda conn: change(conn, number, NOW, state=DeliveryState.QUEUED.value, next_attempt_at=NOW)
        )
        world.work()
    assert world.outbox()[0].state is DeliveryState.AWAITING_APPROVAL
    for who in ("ana", "ANA"):
        with pytest.raises(RefusedRecord, match="refused" if held_by == "a refusal" else "somebody else"):
            world.write(approve, number, digest, world.clock.now, actor=who)
    world.work()
    assert world.transport.given == []
    if held_by == "a refusal":
        with pytest.raises(RefusedRecord, match="never sent"):
            world.write(approve, number, digest, world.clock.now, actor="ben")
        return
    world.write(approve, number, digest, world.clock.now, actor="ben")
    world.work()
    assert len(world.transport.given) == 1


def test_an_approval_lasts_for_its_window_and_not_longer(world, queued) -> None:
    queued(Terms())
    world.clock.now += SEND_WINDOW + timedelta(seconds=1)
    world.work()
    assert world.transport.given == []
    assert "is over" in world.outbox()[0].last_reply


async def _no_answer(_raw):
    return SelfCheck(genuine=False, verdict="unproven", reason="no answer", temporary=True)


@pytest.mark.parametrize("late", [timedelta(hours=30), MAX_AGE, MAX_AGE + timedelta(days=2)])
def test_mail_that_was_approved_late_is_judged_and_tried_for_as_long_as_any_other(world, queued, late) -> None:
    number = queued()
    world.clock.now = approved = NOW + late
    world.write(approve, number, world.write(show_approval, number).digest, approved, actor="ben")
    genuine, world.check = world.check, _no_answer
    world.work()
    assert world.outbox()[0].state is DeliveryState.QUEUED
    world.check, world.clock.now = genuine, approved + RECHECK_FOR - timedelta(minutes=1)
    world.transport.answers = [Handover("mx", Reply(450, "later"), Failure.REFUSED_FOR_NOW, begun=True)] * 3
    world.work()
    assert world.outbox()[0].state is DeliveryState.DEFERRED
    world.clock.now = approved + MAX_AGE - timedelta(minutes=1)
    world.work()
    item = world.outbox()[0]
    assert (item.state, item.next_attempt_at) == (DeliveryState.DEFERRED, approved + MAX_AGE)
    world.clock.now = approved + MAX_AGE
    world.work()
    assert world.outbox()[0].state is DeliveryState.EXPIRED


def test_mail_that_was_approved_late_is_withheld_when_a_day_brought_no_verdict(world, queued) -> None:
    number = queued()
    world.clock.now = NOW + timedelta(hours=30)
    world.write(approve, number, world.write(show_approval, number).digest, world.clock.now, actor="ben")
    world.check = _no_answer
    world.clock.now += RECHECK_FOR
    world.work()
    assert world.outbox()[0].state is DeliveryState.WITHHELD


def test_breaking_the_glass_sends_at_once_and_is_listed_until_somebody_else_reviewed_it(world, queued) -> None:
    number = queued(replace(SECOND, break_glass="encryption is running"))
    world.work()
    assert len(world.transport.given) == 1
    (item,) = world.write(list_reviews)
    assert (item.outgoing_id, item.reason) == (number, "encryption is running")
    with pytest.raises(RefusedRecord, match="somebody else"):
        world.write(review, number, "fine", NOW, actor="Ana")
    world.write(review, number, "was right", NOW, actor="ben")
    assert world.write(list_reviews) == ()
    with pytest.raises(RefusedRecord):
        world.write(review, number, "again", NOW, actor="ben")


def test_automatic_mail_goes_under_a_standing_approval_of_its_version_and_route(world, queued) -> None:
    terms = replace(SECOND, route="mx")
    make = world.worker
    world.worker = lambda owner="w": _with_terms(make(owner), terms)
    world.acknowledge("k1")
    world.work()
    assert world.transport.given == []
    version = world.write(lambda conn: conn.execute(select(outgoing.c.template_version)).scalar_one())
    world.write(approve_standing, MailKind.ACKNOWLEDGEMENT, version, "smarthost", NOW, actor="ben")
    world.write(approve_standing, MailKind.ACKNOWLEDGEMENT, version + 1, "mx", NOW, actor="ben")
    world.acknowledge("k2")
    world.work()
    assert world.transport.given == []
    world.write(approve_standing, MailKind.ACKNOWLEDGEMENT, version, "mx", NOW, actor="ben")
    world.acknowledge("k3")
    world.work()
    assert len(world.transport.given) == 1
    with pytest.raises(RefusedRecord, match="approved by itself"):
        world.write(approve_standing, MailKind.REPLY, 1, "mx", NOW, actor="ben")


def _with_terms(worker, terms):
    worker._terms = terms
    return worker


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        database = open_database(f"sqlite:///{tmp_path / 'shared.db'}")
    else:
        database = open_database(request.getfixturevalue("server"))
        with database.writing() as conn:
            conn.exec_driver_sql("DROP SCHEMA public CASCADE")
            conn.exec_driver_sql("CREATE SCHEMA public")
    upgrade(database)
    yield database
    database.close()


def at_once(calls: int, work) -> list[object]:
    """Run ``work(number)`` in threads that begin together; what each returned or raised."""
    begin, results = threading.Barrier(calls), [None] * calls

    def one(number: int) -> None:
        begin.wait()
        try:
            results[number] = work(number)
        except Exception as error:  # noqa: BLE001 -- shown by the test
            results[number] = error

    threads = [threading.Thread(target=one, args=(number,)) for number in range(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_one_key_sends_one_mail_under_fifty_calls_at_once(shared: Database, signed) -> None:
    unbound = [replace(one.signed, rendered=replace(one.signed.rendered, thread_id=None, contact_id=None)) for one in map(signed, (f"t{n}" for n in range(50)))]  # fmt: skip
    checked = signed().checked

    def send(number: int) -> int:
        with shared.writing() as conn:
            return queue_outgoing(
                conn, unbound[number], idempotency_key="one", actor="ana", checked=checked, now=NOW
            ).outgoing_id

    results = at_once(50, send)
    assert len(set(results)) == 1, results
    with shared.reading() as conn:
        assert len(list_outbox(conn)) == 1


def test_a_request_is_claimed_once_under_fifty_calls_at_once(shared: Database) -> None:
    digest = request_digest("reply", "INC-000001", ["ana@contoso.test"], {"text": "Hello"})

    def claim(_number: int) -> bool:
        with shared.writing() as conn:
            return claim_request(conn, "key", digest, NOW)

    results = at_once(50, claim)
    assert sorted(results, key=str) == [False] * 49 + [True], results
    other = request_digest("reply", "INC-000001", ["ana@contoso.test"], {"text": "Goodbye"})
    with pytest.raises(RefusedRecord, match="other content"), shared.writing() as conn:
        claim_request(conn, "key", other, NOW)


def test_fifty_requests_with_one_key_at_once_send_one_mail_to_each_and_all_hear_which(shared: Database, signed) -> None:
    ready = [signed(f"t{number}") for number in range(100)]
    mails = [replace(one.signed, rendered=replace(one.signed.rendered, thread_id=None, contact_id=None)) for one in ready]  # fmt: skip
    digest = request_digest("reply", "INC-000001", ["ana@contoso.test", "ben@contoso.test"], {"text": "Hello"})

    def ask(number: int) -> tuple[int, ...]:
        with shared.writing() as conn:
            if not claim_request(conn, "key", digest, NOW):
                return mails_of_request(conn, "key")
            return tuple(
                queue_outgoing(
                    conn, mails[copy], idempotency_key=f"{request_prefix('key')}{copy}", actor="ana",
                    checked=ready[copy].checked, now=NOW,
                ).outgoing_id
                for copy in (2 * number, 2 * number + 1)
            )  # fmt: skip

    results = at_once(50, ask)
    with shared.reading() as conn:
        made = tuple(sorted(item.outgoing_id for item in list_outbox(conn)))
    assert len(made) == 2
    assert set(results) == {made}, results


def test_a_request_is_the_same_whatever_the_order_of_its_recipients_and_no_other_is() -> None:
    asked = ("reply", "INC-000001", ["ana@contoso.test", "Ben@contoso.test"], {"text": "Hello", "expert": "Ana"})
    digest = request_digest(*asked)
    assert request_digest("reply", "INC-000001", ["ben@contoso.test", "ana@contoso.test"], {"expert": "Ana", "text": "Hello"}) == digest  # fmt: skip
    for place, other in enumerate(("notice", "INC-000002", ["ana@contoso.test"], {"text": "Hello"})):
        assert request_digest(*asked[:place], other, *asked[place + 1 :]) != digest


@pytest.mark.parametrize("basis", [Basis.COMPOSER, Basis.SECOND, Basis.BREAK_GLASS])
@given(
    rcpt_to=st.none() | st.text("abc@.", min_size=1, max_size=20),
    at=st.integers(0, 100_000),
    difference=st.integers(1, 255),
)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
def test_on_whatever_ground_no_mail_leaves_with_a_byte_or_a_recipient_that_was_changed(
    world, signed, basis, rcpt_to, at, difference
) -> None:
    token = f"t{len(world.outbox())}"
    ready, terms = signed(token), Terms() if basis is Basis.COMPOSER else SECOND
    number = world.write(
        queue_outgoing, ready.signed, idempotency_key=token, actor="ana", checked=ready.checked, now=NOW, terms=terms
    ).outgoing_id  # fmt: skip
    if basis is not Basis.COMPOSER:
        digest = world.write(show_approval, number).digest
        if basis is Basis.SECOND:
            world.write(approve, number, digest, NOW, actor="ben")
        else:
            world.write(break_glass, number, digest, "encryption is running", NOW, actor="ana")
    raw = bytearray(ready.signed.raw)
    raw[at % len(raw)] ^= difference
    changed = {"raw": bytes(raw)} if rcpt_to is None else {"rcpt_to": rcpt_to}
    world.write(lambda conn: conn.execute(update(outgoing).where(outgoing.c.id == number).values(**changed)))
    before = len(world.transport.given)
    world.work()
    assert len(world.transport.given) == before
    assert world.write(show_approval, number).state is ApprovalState.VOID


@pytest.mark.parametrize("who", ["ana", "ben"])
def test_what_waits_goes_at_once_on_anybodys_word_and_is_reviewed_afterwards(world, queued, who) -> None:
    number = queued(replace(SECOND, not_before=NOW + timedelta(hours=5), not_after=NOW + timedelta(hours=6)))
    digest = world.write(show_approval, number).digest
    world.write(break_glass, number, digest, " encryption is running ", NOW, actor=who)
    world.work()
    assert len(world.transport.given) == 1
    (item,) = world.write(list_reviews)
    assert (item.outgoing_id, item.basis, item.approver) == (number, Basis.BREAK_GLASS, who)
    assert (item.reason, item.state) == ("encryption is running", ApprovalState.APPROVED)
    for sender in {"ana", who}:
        with pytest.raises(RefusedRecord, match="somebody else"):
            world.write(review, number, "fine", NOW, actor=sender.upper())
    world.write(review, number, "was right", NOW, actor="eva")
    assert world.write(list_reviews) == ()


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("no reason", "Say why"),
        ("another digest", "look at it again"),
        ("refused", "does not wait|never sent"),
        ("approved already", "does not wait"),
        ("untrusted", "untrusted"),
    ],
)
def test_the_glass_holds(world, record, queued, how, why) -> None:
    number = queued()
    digest, reason = world.write(show_approval, number).digest, "encryption is running"
    if how == "no reason":
        reason = " \t"
    elif how == "another digest":
        digest = "0" * 64
    elif how == "refused":
        world.write(refuse, number, "wrong customer", NOW, actor="ben")
    elif how == "approved already":
        world.write(approve, number, digest, NOW, actor="ben")
    else:
        customer = world.write(organisation, record.incident.organisation_id)
        world.write(distrust, customer, "an intruder reads it", NOW, by="ben")
    with pytest.raises(RefusedRecord, match=why):
        world.write(break_glass, number, digest, reason, NOW, actor="ana")
    assert world.write(list_reviews) == ()
    world.work()
    assert len(world.transport.given) == (how == "approved already")


def test_a_refused_mail_that_an_older_program_made_due_does_not_break_the_glass(world, queued) -> None:
    number = queued()
    digest = world.write(show_approval, number).digest
    world.write(refuse, number, "wrong customer", NOW, actor="ben")
    world.write(lambda conn: change(conn, number, NOW, state=DeliveryState.QUEUED.value, next_attempt_at=NOW))
    world.work()
    assert world.outbox()[0].state is DeliveryState.AWAITING_APPROVAL
    with pytest.raises(RefusedRecord, match="never sent"):
        world.write(break_glass, number, digest, "encryption is running", NOW, actor="ana")


def test_what_broke_the_glass_is_judged_by_our_own_verifier_first(world, queued) -> None:
    number = queued()

    async def wrong(_raw):
        return SelfCheck(genuine=False, verdict="unproven", reason="nobody signed it")

    world.check = wrong
    world.write(break_glass, number, world.write(show_approval, number).digest, "now", NOW, actor="ana")
    world.work()
    assert world.transport.given == []
    assert world.outbox()[0].state is DeliveryState.WITHHELD


def test_mail_that_breaks_the_glass_a_second_time_is_reviewed_a_second_time(world, queued) -> None:
    number = queued(replace(SECOND, break_glass="encryption is running"))
    world.write(review, number, "was right", NOW, actor="ben")
    world.write(lambda conn: conn.execute(update(outgoing).values(rcpt_to="eve@elsewhere.test")))
    world.work()
    world.write(break_glass, number, world.write(show_approval, number).digest, "she asks for it", NOW, actor="ana")
    (item,) = world.write(list_reviews)
    assert (item.reason, item.reviewer) == ("she asks for it", None)


def test_whoever_approves_mail_that_broke_the_glass_before_has_reviewed_it(world, queued) -> None:
    number = queued(replace(SECOND, break_glass="encryption is running"))
    world.write(lambda conn: conn.execute(update(outgoing).values(rcpt_to="eve@contoso.test")))
    world.work()
    world.write(approve, number, world.write(show_approval, number).digest, NOW, actor="ben")
    item = world.write(show_approval, number)
    assert (item.basis, item.reviewer, item.review) == (Basis.BREAK_GLASS, "ben", "approved as it is now")
    assert world.write(list_reviews) == ()
