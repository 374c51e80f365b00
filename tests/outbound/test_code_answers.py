"""Who hears which mail of ours bears a code: the contact to whom it went, and nobody else."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace

import pytest

from outbound.code_orders import answer_facts, code_question, codes_asked
from outbound.compose import compose, stamp
from outbound.mail_code import MailCodes, plain_code
from outbound.model import AutomaticOrder, MailKind, OrderState, SelfCheck
from outbound.orders import OrderError
from outbound.store import codes, order_automatic, queue_outgoing
from tests.outbound.conftest import NOW, REQUEST
from threads.store.circumstances import distrust
from threads.store.moving import merge_threads
from threads.store.people import add_contact, add_organisation, organisation
from threads.store.thread import open_inquiry

SECRETS = MailCodes([b"c" * 32])


@pytest.fixture
def asked(world, record, office, monkeypatch):
    """Have a contact ask about codes, and everything be done that follows."""
    with_codes = replace(office, codes=SECRETS)
    plain = world.worker

    def worker(owner="w"):
        made = plain(owner)
        monkeypatch.setattr(made, "_office", with_codes)
        return made

    monkeypatch.setattr(world, "worker", worker)

    def ask(*about, contact=None, key="q1"):
        who = contact or record.contact
        order = code_question(
            contact_id=who.id,
            address=who.address,
            codes=[plain_code(one) for one in about],
            idempotency_key=key,
            ordered_at=NOW,
        )
        world.write(order_automatic, order)
        world.work()
        return [one for one in world.outbox() if one.kind is MailKind.CODE_ANSWER]

    return ask


@pytest.fixture
def written_on(world, record, signer, office):
    """Send Ana a request on a thread; returns its code."""

    def written(thread):
        (mail,) = compose(
            MailKind.REQUEST_FOR_CONTEXT, office=replace(office, codes=SECRETS), thread=thread, contacts=[record.contact],
            variables=REQUEST, stamps=[stamp("t1", "experts.test", NOW)],
        )  # fmt: skip
        world.write(
            queue_outgoing, signer.sign(mail, NOW), idempotency_key="t1", actor="ana",
            checked=SelfCheck(genuine=True, verdict="genuine"), now=NOW,
        )  # fmt: skip
        world.work()
        return SECRETS.of(mail.message_id).text.replace("-", "")

    return written


@pytest.fixture
def sent(record, written_on):
    """A request that went to Ana, and its code."""
    return written_on(record.incident)


def test_the_contact_on_record_hears_which_mail_it_was(world, asked, sent):
    (answer,) = asked(sent)
    assert answer.rcpt_to == "ana@contoso.test"
    raw = next(one.raw for one in world.transport.given if one.outgoing_id == answer.outgoing_id)
    text = email.message_from_bytes(raw, policy=email.policy.default).get_body(("plain",)).get_content()
    for words in (
        "a request for more information",
        "2026-11-25 12:00",
        "Odd sign-in",
        "INC-000001",
        "can be copied",
    ):
        assert words in text
    assert "genuine" in text.split("It does not say")[1]


def test_a_colleague_who_asks_hears_nothing_and_the_contact_does(world, record, asked, sent):
    with record.database.writing() as conn:
        bob = add_contact(conn, record.incident.organisation_id, "bob@contoso.test", "Bob", NOW)
    (answer,) = asked(sent, contact=bob)
    assert answer.rcpt_to == "ana@contoso.test"


def test_another_customer_and_a_code_that_nobody_has_get_the_same_silence(world, record, asked, sent):
    with record.database.writing() as conn:
        other = add_organisation(conn, "Fabrikam", NOW)
        eve = add_contact(conn, other.id, "eve@fabrikam.test", "Eve", NOW)
    assert asked(sent, contact=eve) == []
    assert asked(SECRETS.of("<none@experts.test>").text, contact=eve, key="q2") == []
    first, second = world.orders()
    assert (first.state, first.reason) == (second.state, second.reason)
    assert first.state == OrderState.REFUSED


def test_mail_that_never_left_is_not_told_of(world, asked, sent, record):
    world.write(lambda conn: conn.exec_driver_sql("UPDATE deliveries SET attempts = 0"))
    assert asked(sent) == []


def test_a_customer_whose_mail_an_intruder_may_read_hears_nothing(world, record, asked, sent):
    with record.database.writing() as conn:
        distrust(conn, organisation(conn, record.incident.organisation_id), "an intruder", NOW, by="ana")
    assert asked(sent) == []


def test_one_day_answers_so_many_questions_and_no_more(asked, sent, monkeypatch, world):
    monkeypatch.setattr(codes, "MAX_A_DAY", 1)
    assert len(asked(sent)) == 1
    assert len(asked(sent, key="q2")) == 1
    assert "too many" in world.orders()[-1].reason


def test_one_contact_is_told_so_often_a_day_and_no_more(asked, sent):
    answers = 0
    for number in range(30):
        answers = len(asked(sent, key=f"q{number}"))
    assert answers <= 10


def merged_into_an_incident(world, record, inquiry):
    world.write(merge_threads, inquiry, record.incident, NOW, by="Robin")


def left_where_it_was(world, record, inquiry):
    pass


@pytest.mark.parametrize("happens", [left_where_it_was, merged_into_an_incident])
@pytest.mark.parametrize("title", ["Pay now to hold 1234", "[INC-000001] Pay now to hold 1234"])
def test_a_title_that_a_customer_wrote_is_not_repeated_wherever_the_mail_is_now(
    world, record, asked, written_on, happens, title
):
    inquiry = world.write(open_inquiry, record.incident.organisation_id, title, NOW)
    code = written_on(inquiry)
    happens(world, record, inquiry)
    (answer,) = asked(code)
    raw = next(one.raw for one in world.transport.given if one.outgoing_id == answer.outgoing_id)
    for part in email.message_from_bytes(raw, policy=email.policy.default).walk():
        if part.get_content_maintype() == "text":
            assert "Pay now" not in part.get_content()


@pytest.mark.parametrize(
    "params", [{"code_1": "pay now"}, {}, {"a": 1, "b": 2}, {f"code_{n}": "0" * 12 for n in range(9)}]
)
def test_an_order_that_asks_about_something_else_is_refused(params):
    order = AutomaticOrder(MailKind.CODE_ANSWER, None, 1, "ana@contoso.test", "k", NOW, params)
    with pytest.raises(OrderError):
        codes_asked(order)


@pytest.mark.parametrize(
    "params", [{"about": "reply"}, {"about": "reply", "written": "x", "subject_line": ""}]
)
def test_an_answer_with_other_facts_is_refused(params):
    with pytest.raises(OrderError):
        answer_facts(params)
