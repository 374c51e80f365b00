"""Relayed mail in the queue: sent as it is, tried again, and told of to whom it may be when it fails."""

from __future__ import annotations

import email
from dataclasses import replace
from datetime import timedelta

import pytest

from outbound.compose import compose_automatic, stamp
from outbound.delivery import Handover
from outbound.errors import ComposeError
from outbound.model import Attempt, DeliveryState, Failure, MailKind, OrderState, RelayedMail, Reply
from outbound.orders import OrderError, delivery_status, status_facts
from outbound.retry import MAX_AGE
from outbound.store import queue_relayed, record_attempt, retry_now, show_outbox
from outbound.store.ledger import sent_mails
from tests.outbound.conftest import NOW, Answering
from threads.delivery_report import read_report
from threads.reading import read_parsed
from verifier.canonical import BodyHashes
from verifier.message import read_message
from verifier.own_records import RecordsQuestion, body_hash
from verifier.parts import walk

RAW = (
    b"Received: by mx.experts.test\r\nFrom: Ana <ana@contoso.test>\r\nMessage-ID: <m1@contoso.test>\r\n"
    b"Subject: Buy now\r\n\r\nEvil words.\r\n"
)
MAIL = RelayedMail(
    "01A", RAW, "ana@contoso.test", "bob@customer.test", "mail.customer.test:25 none", "ana@contoso.test"
)
REFUSED = Handover("mail.customer.test", Reply(550, "5.1.1 <evil words>"), Failure.REFUSED, begun=True)
DEFERRED = Handover("mail.customer.test", Reply(451, "4.2.1 busy"), Failure.REFUSED_FOR_NOW)


def states(world):
    return [(item.kind, item.state) for item in reversed(world.outbox())]


def test_it_is_sent_as_it_stands_unsigned_and_unjudged_and_only_once(world) -> None:
    world.check = None  # our verifier is not asked
    assert not world.write(queue_relayed, MAIL, NOW).duplicate
    assert world.write(queue_relayed, MAIL, NOW).duplicate
    world.work()
    (sent,) = world.transport.given
    assert (sent.raw, sent.mail_from, sent.rcpt_to) == (RAW, MAIL.mail_from, MAIL.rcpt_to)
    assert sent.next_hop == "mail.customer.test:25 none"
    assert states(world) == [(MailKind.RELAYED, DeliveryState.DELIVERED)]
    assert world.orders() == []


def test_no_copy_is_kept_of_what_the_next_hop_has_taken(world) -> None:
    taken = world.write(queue_relayed, MAIL, NOW)
    refused = world.write(queue_relayed, replace(MAIL, key="01B", dsn_to=None), NOW)
    world.transport = Answering(Handover("mx", Reply(250, "taken"), begun=True), REFUSED)
    world.work()
    assert world.write(show_outbox, taken.outgoing_id).raw == b""
    assert world.write(show_outbox, refused.outgoing_id).raw == RAW  # a person may have it tried again


def test_two_recipients_of_one_message_are_two_mails(world) -> None:
    world.write(queue_relayed, MAIL, NOW)
    world.write(queue_relayed, replace(MAIL, key="01A-2", rcpt_to="eve@customer.test"), NOW)
    world.work()
    assert [sent.rcpt_to for sent in world.transport.given] == ["bob@customer.test", "eve@customer.test"]


def test_a_temporary_failure_is_tried_again_with_the_same_bytes(world) -> None:
    world.write(queue_relayed, MAIL, NOW)
    world.transport = Answering(DEFERRED)
    world.work()
    assert states(world) == [(MailKind.RELAYED, DeliveryState.DEFERRED)]
    world.clock.now += timedelta(minutes=3)
    world.work()
    assert [sent.raw for sent in world.transport.given] == [RAW, RAW]
    assert states(world) == [(MailKind.RELAYED, DeliveryState.DELIVERED)]


def test_the_sender_hears_of_a_refusal_without_a_word_of_the_message_or_of_the_next_hop(world) -> None:
    world.write(queue_relayed, MAIL, NOW)
    world.transport = Answering(REFUSED)
    world.work()
    assert states(world) == [
        (MailKind.RELAYED, DeliveryState.FAILED),
        (MailKind.DELIVERY_STATUS, DeliveryState.DELIVERED),
    ]
    told = world.transport.given[-1]
    assert (told.mail_from, told.rcpt_to, told.next_hop) == ("", "ana@contoso.test", None)
    for word in (b"Buy now", b"Evil", b"evil", b"Ana"):
        assert word not in told.raw
    parsed = email.message_from_bytes(told.raw)
    assert parsed.get_content_type() == "multipart/report"
    assert parsed.get_param("report-type") == "delivery-status"
    assert parsed["Auto-Submitted"] == "auto-replied"
    assert parsed["In-Reply-To"] == "<m1@contoso.test>"
    assert parsed["DKIM-Signature"]
    text, status = parsed.get_payload()
    assert text.get_content_type() == "text/plain"
    whole, one = status.get_payload()
    assert whole["Reporting-MTA"] == "dns; experts.test"
    assert dict(one.items()) | {"Last-Attempt-Date": ""} == {
        "Final-Recipient": "rfc822; bob@customer.test",
        "Action": "failed",
        "Status": "5.1.1",
        "Diagnostic-Code": "smtp; 550 5.1.1",
        "Last-Attempt-Date": "",
    }
    message = read_message(told.raw)
    report = read_report(message, walk(message))
    assert report is not None
    assert (report.recipient, report.status, report.action) == ("bob@customer.test", "5.1.1", "failed")


def test_what_is_given_up_after_days_is_told_as_expired(world) -> None:
    world.write(queue_relayed, MAIL, NOW)
    world.clock.now += MAX_AGE
    world.transport = Answering(Handover("", Reply(0, "no connection"), Failure.CONNECTION))
    world.work()
    told = world.transport.given[-1].raw
    assert b"Status: 4.4.7\r\n" in told
    assert b"Diagnostic-Code" not in told


def test_nobody_hears_where_the_return_path_was_empty_or_not_proven(world) -> None:
    world.write(queue_relayed, replace(MAIL, dsn_to=None), NOW)
    world.transport = Answering(REFUSED)
    world.work()
    assert states(world) == [(MailKind.RELAYED, DeliveryState.FAILED)]
    assert world.orders() == []


def test_notifications_are_capped_like_all_automatic_mail(world) -> None:
    for number in range(12):
        world.write(queue_relayed, replace(MAIL, key=f"k{number}"), NOW)
    world.transport = Answering(*[REFUSED] * 12)
    world.work()
    found = [order.state for order in world.orders()]
    assert (found.count(OrderState.COMPOSED.value), found.count(OrderState.CAPPED.value)) == (10, 2)


def test_a_failure_that_a_person_tries_again_is_told_of_once(world) -> None:
    queued = world.write(queue_relayed, MAIL, NOW)
    world.transport = Answering(REFUSED)
    world.work()
    world.write(retry_now, queued.outgoing_id, NOW)
    world.transport = Answering(REFUSED)
    world.work()
    assert len(world.orders()) == 1
    assert len(world.write(show_outbox, queued.outgoing_id).attempts) == 2


def test_the_notification_is_ordered_in_the_transaction_that_records_the_failure(world, monkeypatch) -> None:
    from outbound.store import queue, tries

    def broken(*_: object) -> None:
        raise RuntimeError

    world.write(queue_relayed, MAIL, NOW)
    (leased,) = world.write(queue.lease_due, NOW, "w", 1)
    monkeypatch.setattr(tries, "tell_sender", broken)
    attempt = Attempt(NOW, NOW, "x", Reply(550, "no"), Failure.REFUSED)
    decision = tries.Decision(DeliveryState.FAILED, None, "no")
    with pytest.raises(RuntimeError):
        world.write(record_attempt, leased.outgoing_id, "w", attempt, decision)
    assert states(world) == [(MailKind.RELAYED, DeliveryState.LEASED)]


def test_the_send_ledger_does_not_take_relayed_mail_for_ours(world, record) -> None:
    world.write(queue_relayed, MAIL, NOW)
    world.work()
    import hashlib

    question = RecordsQuestion(
        number=0,
        sent=(hashlib.sha256(RAW).hexdigest(),),
        body=body_hash(BodyHashes(read_message(RAW))),
        message_id="m1@contoso.test",
        signatures=(),
        keys=(),
    )
    with record.database.reading() as conn:
        assert sent_mails(conn, question) == ()


@pytest.mark.parametrize(
    ("recipient", "shown"),
    [
        ("bob@customer.test", "bob@customer.test"),
        ("o.b+c_d=e@customer.test", "o.b+c_d=e@customer.test"),
        ('"buy pills at evil.test"@customer.test', "unknown@customer.test"),
        ("äöü@customer.test", "unknown@customer.test"),
        ("http://evil.test/@customer.test", "unknown@customer.test"),
        ("x" * 65 + "@customer.test", "unknown@customer.test"),
    ],
)
def test_an_address_that_says_more_than_an_address_is_not_repeated(office, recipient, shown) -> None:
    attempt = Attempt(NOW, NOW, "x", Reply(550, "4.1.1 classes differ"), Failure.REFUSED)
    order = delivery_status(
        address="ana@contoso.test", recipient=recipient, attempt=attempt, arrived=NOW,
        idempotency_key="k", in_reply_to=None,
    )  # fmt: skip
    assert status_facts(order.params).recipient == shown
    assert status_facts(order.params).status == "5.0.0"
    made = compose_automatic(
        order, office=office, thread=None, contact=None, one=stamp("t", "experts.test", NOW)
    )
    assert recipient == shown or recipient.encode() not in made.raw


@pytest.mark.parametrize(
    "wrong",
    [
        {"recipient": "buy pills@customer.test"},
        {"status": "5.1.1 evil"},
        {"status": "2.0.0"},
        {"code": "550"},
        {"code": 250},
        {"arrived": "yesterday"},
        {"arrived": "2026-11-25T12:00:00"},
        {"more": "words"},
    ],
)
def test_facts_that_are_none_of_ours_are_refused(office, wrong) -> None:
    attempt = Attempt(NOW, NOW, "x", Reply(550, "no"), Failure.REFUSED)
    order = delivery_status(
        address="ana@contoso.test", recipient="bob@customer.test", attempt=attempt, arrived=NOW,
        idempotency_key="k", in_reply_to=None,
    )  # fmt: skip
    with pytest.raises(OrderError):
        status_facts({**order.params, **wrong})
    with pytest.raises(ComposeError):
        compose_automatic(
            replace(order, params={**order.params, **wrong}), office=office, thread=None, contact=None,
            one=stamp("t", "experts.test", NOW),
        )  # fmt: skip


def test_what_we_send_is_read_as_a_bounce_and_answered_by_no_robot(world) -> None:
    world.write(queue_relayed, MAIL, NOW)
    world.transport = Answering(REFUSED)
    world.work()
    message = read_message(world.transport.given[-1].raw)
    assert read_parsed(message, walk(message), attachments=False).kind.value == "bounce"
