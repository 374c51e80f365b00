"""A customer whose mail an intruder reads: only a notice to see the portal goes out, and it says nothing else."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from email import message_from_bytes, policy

import pytest

from outbound.compose import compose, stamp
from outbound.delivery import Handover
from outbound.errors import ComposeError
from outbound.model import DeliveryState, Failure, MailKind, Reply, SelfCheck
from outbound.orders import verdict_report
from outbound.store import (
    lease_due,
    list_orders,
    order_automatic,
    queue_outgoing,
    record_check,
    retry_now,
    withhold_waiting,
)
from outbound.store.untrusted import refuse_untrusted
from outbound.worker import EventKind
from tests.outbound.conftest import NOW, REQUEST, Answering
from threads.store.circumstances import distrust, trust
from threads.store.errors import RefusedRecord
from threads.store.people import add_contact, add_domain, add_organisation, organisation
from threads.store.thread import open_incident

GENUINE = SelfCheck(genuine=True, verdict="genuine")
WHY = "the customer's mail is marked untrusted"


@pytest.fixture
def mark(record):
    """Mark Contoso's mail as an expert does; returns how much was stopped."""

    def marked():
        with record.database.writing() as conn:
            one = organisation(conn, record.incident.organisation_id)
            distrust(conn, one, "inbox rules of an intruder", NOW, by="Ana")
            return withhold_waiting(conn, one.id, NOW)

    return marked


@pytest.fixture
def letter(office, record, signer):
    """A signed mail to Contoso's contact."""

    def made(kind, token, **variables):
        (mail,) = compose(
            kind,
            office=office,
            thread=record.incident,
            contacts=[record.contact],
            variables=variables,
            stamps=[stamp(token, "experts.test", NOW)],
        )
        return signer.sign(mail, NOW)

    return made


def put(record, signed, key):
    with record.database.writing() as conn:
        return queue_outgoing(
            conn, signed, idempotency_key=key, actor="Ana", checked=GENUINE, now=NOW
        ).outgoing_id


def test_the_notice_says_to_see_the_portal_and_nothing_of_the_matter(letter, record):
    raw = letter(MailKind.PORTAL_NOTICE, "n1").raw
    mail = message_from_bytes(raw, policy=policy.default)
    assert mail["Subject"] == "[INC-000001] Please see the portal"
    assert mail["In-Reply-To"] is None
    text = "".join(part.get_content() for part in mail.walk() if part.get_content_maintype() == "text")
    assert "Please see the portal." in text
    assert record.incident.title not in raw.decode() + text
    with pytest.raises(ComposeError, match="no place for 'text'"):
        letter(MailKind.PORTAL_NOTICE, "n2", text="The intruder is in the finance mailbox.")


def test_what_waits_is_withheld_and_what_was_ordered_is_refused(world, record, mark):
    world.queue()
    world.acknowledge()
    assert mark() == (1, 1)
    world.work()
    assert world.transport.given == []
    (mail,) = world.outbox()
    assert (mail.state, mail.last_reply) == (DeliveryState.WITHHELD, WHY)
    with record.database.reading() as conn:
        assert [(one.state, one.reason) for one in list_orders(conn)] == [("refused", WHY)]


def test_only_a_notice_is_queued_and_delivered_afterwards(world, record, letter, mark):
    mark()
    with pytest.raises(RefusedRecord, match="The mail of Contoso is marked untrusted: only a notice"):
        put(record, letter(MailKind.REQUEST_FOR_CONTEXT, "r1", **REQUEST), "r1")
    put(record, letter(MailKind.PORTAL_NOTICE, "n1"), "n1")
    world.work()
    assert [one.rcpt_to for one in world.transport.given] == ["ana@contoso.test"]


def test_a_notice_that_waits_when_the_mark_is_set_goes_on(world, record, letter, mark):
    put(record, letter(MailKind.PORTAL_NOTICE, "n1"), "n1")
    assert mark() == (0, 0)
    world.work()
    assert len(world.transport.given) == 1


def test_no_automatic_mail_is_composed_for_whoever_reads_its_mail(world, record, mark):
    mark()
    with record.database.writing() as conn:
        add_domain(conn, record.incident.organisation_id, "contoso.test", NOW, verified=True)
    world.acknowledge("contact")
    world.acknowledge("colleague", address="sam@contoso.test", contact_id=None)
    world.write(
        order_automatic,
        verdict_report(
            contact_id=record.contact.id,
            address="ana@contoso.test",
            findings=[],
            idempotency_key="v",
            ordered_at=NOW,
        ),
    )
    world.work()
    assert world.transport.given == []
    with record.database.reading() as conn:
        assert [(one.state, one.reason) for one in list_orders(conn)] == [("refused", f"{WHY}.")] * 3


def test_another_customers_contact_at_such_a_domain_gets_nothing_either(record, office, signer, mark):
    with record.database.writing() as conn:
        add_domain(conn, record.incident.organisation_id, "contoso.test", NOW, verified=True)
        other = add_organisation(conn, "Fabrikam", NOW)
        here = add_contact(conn, other.id, "sam@contoso.test", "Sam", NOW)
        there = add_contact(conn, other.id, "eve@fabrikam.test", "Eve", NOW)
        thread = open_incident(conn, other.id, "Theirs", NOW)
    mark()
    mails = compose(
        MailKind.REPLY,
        office=office,
        thread=thread,
        contacts=[here, there],
        variables={"text": "Hello.", "expert": "Ana"},
        stamps=[stamp("a", "experts.test", NOW), stamp("b", "experts.test", NOW)],
    )
    with pytest.raises(RefusedRecord, match="Contoso"):
        put(record, signer.sign(mails[0], NOW), "a")
    assert put(record, signer.sign(mails[1], NOW), "b")


def test_a_withheld_mail_is_sent_again_only_when_the_mark_is_gone(world, record, mark):
    world.queue()
    mark()
    with pytest.raises(RefusedRecord, match="marked untrusted"):
        world.write(retry_now, 1, NOW)
    with record.database.writing() as conn:
        trust(conn, organisation(conn, record.incident.organisation_id))
    world.work()
    assert world.transport.given == [], "nothing goes out by itself"
    world.write(retry_now, 1, NOW)
    world.work()
    assert len(world.transport.given) == 1


def test_a_try_that_is_under_way_is_not_repeated(world, record, mark):
    world.queue()

    class Marking(Answering):
        async def deliver(self, delivery):
            await asyncio.to_thread(mark)
            return await super().deliver(delivery)

    world.transport = Marking(Handover("mx", Reply(450, "later"), Failure.REFUSED_FOR_NOW, begun=True))
    world.work()
    world.clock.now += timedelta(days=1)
    world.work()
    assert len(world.transport.given) == 1
    assert world.outbox()[0].state is DeliveryState.WITHHELD


@pytest.mark.parametrize("checked", [GENUINE, SelfCheck(genuine=False, verdict="unproven", temporary=True)])
def test_a_mail_that_is_being_judged_when_the_mark_is_set_stays_here(world, record, mark, checked):
    world.queue()
    world.write(lease_due, NOW, "w", 1)
    mark()
    stands = world.write(record_check, 1, checked, NOW)
    assert not stands.genuine
    assert world.outbox()[0].state is DeliveryState.WITHHELD


def test_a_refused_order_is_told_to_whoever_watches(world, mark):
    mark()
    world.acknowledge()
    world.work()
    assert [(one.kind, WHY in one.detail) for one in world.events] == [(EventKind.REFUSED, True)]


@pytest.mark.parametrize("own", [False, True])
def test_nothing_goes_below_a_domain_of_the_customer_unless_that_one_is_another_customers(record, own):
    with record.database.writing() as conn:
        marked = organisation(conn, record.incident.organisation_id)
        add_domain(conn, marked.id, "theirs.test", NOW, verified=True)
        other = add_organisation(conn, "Other", NOW)
        sam = add_contact(conn, other.id, "sam@lab.theirs.test", "Sam", NOW)
        if own:
            add_domain(conn, other.id, "lab.theirs.test", NOW, verified=True)
        order = verdict_report(
            contact_id=sam.id,
            address="Sam@Lab.theirs.test",
            findings=(),
            codes=0,
            idempotency_key="r",
            ordered_at=NOW,
        )
        order_automatic(conn, order)
        distrust(conn, marked, "an intruder", NOW, by="Ana")
        assert withhold_waiting(conn, marked.id, NOW) == (0, 0 if own else 1)
        if own:
            refuse_untrusted(conn, MailKind.REPLY, "sam@lab.theirs.test", sam.id)
        else:
            with pytest.raises(RefusedRecord, match="untrusted"):
                refuse_untrusted(conn, MailKind.REPLY, "sam@lab.theirs.test", sam.id)
        refuse_untrusted(conn, MailKind.REPLY, "sam@nottheirs.test", sam.id)
