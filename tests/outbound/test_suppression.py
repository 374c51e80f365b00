from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from outbound.delivery import Handover
from outbound.hard_bounce import no_mailbox
from outbound.mail_event import MailEvent
from outbound.model import DeliveryState, Failure, Reply
from outbound.pace import CROWDED_WAIT, Pace, PaceLimits
from outbound.schema import outgoing, suppressed
from outbound.store import (
    LEASE,
    allow_again,
    lease_due,
    list_suppressed,
    queue_relayed,
    record_event,
    retry_now,
    show_outbox,
    suppress,
)
from outbound.store.suppression import suppressed_among
from outbound.worker import EventKind
from tests.outbound.conftest import NOW, Answering
from tests.outbound.test_relayed_mail import MAIL as RELAYED
from threads.model import MessageKind
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.people import add_contact

GONE = Handover("mx", Reply(550, "5.1.1 nobody of that name"), Failure.REFUSED, begun=True)
FULL_BOX = Handover("mx", Reply(552, "5.2.2 mailbox full"), Failure.REFUSED, begun=True)


@pytest.mark.parametrize(
    ("status", "gone"),
    [
        ("5.1.1", True),
        ("5.1.10 RESOLVER.ADR.RecipientNotFound", True),
        ("5.2.1 disabled", True),
        ("5.1.11", False),
        ("5.2.2", False),
        ("5.7.1", False),
        ("4.1.1", False),
        ("see 5.1.1", False),
        ("", False),
        (None, False),
    ],
)
def test_only_a_mailbox_that_does_not_exist_is_gone(status, gone):
    assert no_mailbox(status) is gone


def test_nothing_is_sent_to_a_suppressed_address_and_its_thread_says_so(world):
    world.write(suppress, "ANA@contoso.test", "asked by telephone", NOW, actor="bob")
    world.queue()
    world.work()
    assert world.transport.given == []
    item = world.outbox()[0]
    assert (item.state, item.last_reply) == (
        DeliveryState.SUPPRESSED,
        "the address is suppressed: asked by telephone",
    )
    assert (
        world.timeline()[-1].text
        == "Not sent to ana@contoso.test: the address is suppressed: asked by telephone"
    )
    assert [event.kind for event in world.events] == [EventKind.SUPPRESSED]


@pytest.mark.parametrize(
    "spellings",
    [("ana@contoso.test", "ANA@contoso.test"), ("Ana@Contoso.Test", "ana@CONTOSO.test", "Ana@Contoso.Test")],
)
def test_every_spelling_of_a_suppressed_address_gets_nothing_in_one_and_the_same_lease(world, spellings):
    world.write(suppress, "ana@contoso.test", "asked by telephone", NOW, actor="bob")
    assert world.write(suppressed_among, (*spellings, "bob@contoso.test")) == frozenset(spellings)
    for number, spelling in enumerate(spellings):
        world.queue(f"t{number}")
        world.write(
            lambda conn, number=number, spelling=spelling: conn.execute(
                update(outgoing).where(outgoing.c.id == number + 1).values(rcpt_to=spelling)
            )
        )
    world.work()
    assert world.transport.given == []
    assert {one.state for one in world.outbox()} == {DeliveryState.SUPPRESSED}


SPELT = ("mo@b\u00fccher.test", "MO@xn--bcher-kva.TEST", "Mo@B\u00dcCHER.test", "mo@b\u00fccher\u3002test")


@pytest.mark.parametrize("listed", SPELT)
@pytest.mark.parametrize("sent", SPELT)
def test_mail_of_people_and_automatic_mail_stop_however_a_domain_is_written(world, record, listed, sent):
    world.write(suppress, listed, "asked by telephone", NOW, actor="bob")
    world.acknowledge(address=sent, contact_id=None)
    contact = world.write(add_contact, record.incident.organisation_id, sent, "Mo", NOW)
    world.queue(contact=contact)
    world.work()
    assert world.transport.given == []
    told = {(one.state, one.last_reply) for one in world.outbox()}
    assert told == {(DeliveryState.SUPPRESSED, "the address is suppressed: asked by telephone")}
    assert len(world.outbox()) == 2
    world.write(allow_again, sent)
    assert world.write(list_suppressed) == ()
    for item in world.outbox():
        world.write(retry_now, item.outgoing_id, NOW)
    world.work()
    assert {one.state for one in world.outbox()} == {DeliveryState.DELIVERED}


@pytest.mark.parametrize("old", ["mo@b\u00fccher.test", "mo@xn--bcher-kva.test"])
def test_an_address_that_was_listed_by_another_spelling_before_stays_listed_once(world, old):
    world.write(
        lambda conn: conn.execute(
            insert(suppressed).values(address_key=old, address=old, since=NOW, reason="x", actor="bob")
        )
    )
    for spelt in SPELT:
        world.write(suppress, spelt, "again", NOW, actor="bob")
    (item,) = world.write(list_suppressed)
    assert (item.address, item.reason) == (old, "x")
    assert world.write(suppressed_among, (*SPELT, "mo@bucher.test")) == frozenset(SPELT)
    world.write(allow_again, SPELT[1])
    assert world.write(list_suppressed) == ()


@pytest.mark.parametrize(
    "odd",
    [
        "no address",
        "mo@",
        "mo@xn--\u00fc.test",
        "mo@-.test",
        "mo@a..test",
        "\udc80@contoso.test",
        "m\x00o@contoso.test",
    ],
)
def test_what_is_no_address_goes_on_the_list_as_it_is(world, odd):
    world.write(suppress, odd, "x", NOW, actor="bob")
    assert len(world.write(list_suppressed)) == 1


def test_what_was_closed_for_it_goes_out_when_the_address_is_allowed_again(world):
    world.write(suppress, "ana@contoso.test", "x", NOW, actor="bob")
    world.queue()
    world.work()
    with pytest.raises(RefusedRecord, match="outbox allow"):
        world.write(retry_now, 1, NOW)
    world.write(allow_again, "Ana@contoso.test")
    with pytest.raises(UnknownRecord):
        world.write(allow_again, "ana@contoso.test")
    world.write(retry_now, 1, NOW)
    world.work()
    assert world.outbox()[0].state is DeliveryState.DELIVERED


def test_relayed_mail_is_somebody_elses_and_goes_on(world):
    world.write(suppress, RELAYED.rcpt_to, "x", NOW, actor="bob")
    world.write(queue_relayed, RELAYED, NOW)
    world.work()
    assert [given.rcpt_to for given in world.transport.given] == [RELAYED.rcpt_to]


@pytest.mark.parametrize(("answer", "listed"), [(GONE, ["ana@contoso.test"]), (FULL_BOX, [])])
def test_a_refusal_that_says_that_nobody_is_there_suppresses_and_another_does_not(world, answer, listed):
    world.queue()
    world.transport = Answering(answer)
    world.work()
    assert world.outbox()[0].state is DeliveryState.FAILED
    assert [one.address for one in world.write(list_suppressed)] == listed


@pytest.mark.parametrize(
    ("recipient", "status", "listed"),
    [
        ("Ana@contoso.test", "5.1.1", ["ana@contoso.test"]),
        ("ana@contoso.test", "5.2.2", []),
        ("carl@contoso.test", "5.1.1", []),
        (None, "5.1.1", []),
    ],
)
def test_a_proven_bounce_ends_a_mail_and_suppresses_its_own_recipient_only(
    world, record, recipient, status, listed
):
    from threads.schema import messages

    world.queue()
    world.work()
    with record.database.writing() as conn:
        conn.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        assert conn.execute(select(messages.c.id)).all() == []
        event = MailEvent(
            MessageKind.BOUNCE, NOW, "copy", record.incident.id, record.contact.id, 1, recipient, status, "failed", None,
        )  # fmt: skip
        record_event(conn, event, returned=True)
        conn.exec_driver_sql("DELETE FROM mail_events")  # the machine's mail is not part of this test
    item = world.outbox()[0]
    assert (item.state, item.last_reply) == (DeliveryState.BOUNCED, f"it came back: {status}")
    assert [one.address for one in world.write(list_suppressed)] == listed


def test_a_mail_whose_worker_did_not_come_back_is_marked_when_it_is_sent_again(world):
    world.queue()
    world.write(lease_due, NOW, "the dead worker", 1)
    assert not world.outbox()[0].maybe_twice
    world.clock.now = NOW + LEASE
    world.work()
    item = world.outbox()[0]
    assert (item.state, item.maybe_twice) == (DeliveryState.DELIVERED, True)
    assert world.timeline()[-1].text.startswith("Possibly delivered twice to ana@contoso.test")


def test_a_server_that_breaks_off_after_the_final_dot_leaves_a_mark_and_one_before_it_none(world):
    for number, doubt in enumerate((True, False)):
        broke = Handover(
            "mx", Reply(0, "the connection broke"), Failure.CONNECTION, begun=True, in_doubt=doubt
        )
        world.transport = Answering(broke)
        world.queue(f"t{number}")
        world.work()
    world.clock.now += timedelta(minutes=10)
    world.work()
    assert [(one.state, one.maybe_twice) for one in world.outbox()] == [
        (DeliveryState.DELIVERED, False),
        (DeliveryState.DELIVERED, True),
    ]


def test_each_try_keeps_its_dialogue(world):
    world.queue()
    world.transport = Answering(
        Handover("mx", Reply(250, "taken"), begun=True, transcript="> EHLO\n< 250 mx")
    )
    world.work()
    assert world.write(show_outbox, 1).attempts[0].transcript == "> EHLO\n< 250 mx"


def test_a_domain_has_so_many_dialogues_at_one_time_and_others_do_not_wait_for_it():
    pace = Pace(PaceLimits(at_once=2))
    assert [pace.begin("a.test", NOW) for _ in range(3)] == [None, None, NOW + CROWDED_WAIT]
    assert pace.begin("b.test", NOW) is None
    pace.end("a.test")
    assert pace.begin("a.test", NOW) is None


def test_a_domain_with_a_rate_gets_its_mails_one_by_one():
    pace, second = Pace(PaceLimits(a_minute=60)), timedelta(seconds=1)
    assert pace.begin("a.test", NOW) is None
    assert pace.begin("a.test", NOW) == NOW + second
    assert pace.begin("a.test", NOW + second) is None
    assert pace.begin("a.test", NOW + second) == NOW + 2 * second
    assert pace.begin("b.test", NOW) is None


def test_mail_over_the_pace_of_its_domain_waits_without_a_try_and_comes_later(world, monkeypatch):
    worker = world.worker
    monkeypatch.setattr(world, "worker", lambda owner="w": paced(worker(owner)))
    for number in range(3):
        world.queue(f"t{number}")
    world.work()
    assert len(world.transport.given) == 1
    with_state = {(one.state, one.attempts) for one in world.outbox()}
    assert with_state == {(DeliveryState.DELIVERED, 1), (DeliveryState.QUEUED, 0)}
    for _ in range(2):
        world.clock.now += timedelta(minutes=1)
        world.work()
    assert len({given.raw for given in world.transport.given}) == 3


def paced(worker):
    worker._pace = Pace(PaceLimits(a_minute=1))
    return worker
