"""Amazon SES's notices of bounces and complaints, which SNS sends as JSON in a mail: read, and never believed for that."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threads.machine_mail import machine_mail
from threads.model import MessageKind
from threads.reading import Reading, read
from verifier.message import read_message
from verifier.parts import walk

MAIL = {
    "messageId": "0101-abc-000000",
    "sourceArn": "arn:aws:ses:eu-west-1:123456789012:identity/experts.test",
    "headers": [
        {"name": "From", "value": "e@experts.test"},
        {"name": "Message-ID", "value": "<q1@experts.test>"},
    ],
}
GONE = {
    "emailAddress": "Alex <alex@contoso.test>",
    "action": "failed",
    "status": "5.1.1",
    "diagnosticCode": "smtp; 550 5.1.1 no such user",
}
BOUNCE = {
    "notificationType": "Bounce",
    "bounce": {"bounceType": "Permanent", "bouncedRecipients": [GONE]},
    "mail": MAIL,
}
FOOTER = "\r\n\r\n--\r\nIf you wish to stop receiving notifications from this topic, please click the link below to unsubscribe:\r\n"


def sent(body: str, author: str = "SES <no-reply@sns.amazonaws.com>") -> bytes:
    header = f"From: {author}\r\nSubject: AWS Notification Message\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\n"
    return header.encode() + body.encode()


def told(notice: dict[str, Any]) -> Reading:
    return read(sent(json.dumps(notice) + FOOTER))


def test_a_bounce_tells_recipient_status_words_and_our_message_id() -> None:
    wrapped = {"Type": "Notification", "Message": json.dumps(BOUNCE)}
    broken = json.dumps(BOUNCE).replace("such user", "su!\r\n ch user")  # as SES breaks long lines
    for raw in (sent(json.dumps(BOUNCE) + FOOTER), sent(json.dumps(wrapped, indent=2)), sent(broken)):
        reading = read(raw)
        assert reading.kind is MessageKind.BOUNCE
        bounce = reading.bounce
        assert bounce is not None
        assert (bounce.recipient, bounce.status, bounce.action) == ("alex@contoso.test", "5.1.1", "failed")
        assert bounce.diagnostic == "550 5.1.1 no such user"
        assert bounce.original_message_id == "q1@experts.test"


@pytest.mark.parametrize(
    ("notice", "kind", "status", "action"),
    [
        ({"bounce": {"bounceType": "Transient", "bouncedRecipients": [{"emailAddress": "a@b.test"}]}}, MessageKind.BOUNCE, "4.0.0", "failed"),
        ({"bounce": {"bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": "a@b.test"}]}}, MessageKind.BOUNCE, "5.0.0", "failed"),
        ({"complaint": {"complainedRecipients": [{"emailAddress": "a@b.test"}], "complaintFeedbackType": "abuse"}}, MessageKind.FEEDBACK_REPORT, None, "abuse"),
        ({"complaint": {"complainedRecipients": [{"emailAddress": "a@b.test"}]}}, MessageKind.FEEDBACK_REPORT, None, "complaint"),
        ({"delivery": {"recipients": ["a@b.test"], "smtpResponse": "250 2.6.0 received"}}, MessageKind.DELIVERED, "2.6.0", "delivered"),
        ({"deliveryDelay": {"delayedRecipients": [{"emailAddress": "a@b.test", "status": "4.4.1"}]}}, MessageKind.DELAY, "4.4.1", "delayed"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("member", ["notificationType", "eventType"])
def test_each_kind_of_notice_is_an_event_of_its_kind(
    member: str, notice: dict[str, Any], kind: MessageKind, status: str | None, action: str
) -> None:
    raw = sent(json.dumps({member: next(iter(notice)), **notice, "mail": MAIL}) + FOOTER)
    reading = read(raw)
    assert reading.kind is kind
    message = read_message(raw)
    event = machine_mail(message, walk(message), kind, reading.bounce)
    assert event is not None
    assert (event.recipient, event.status, event.action) == ("a@b.test", status, action)
    assert event.original_ids == ("q1@experts.test",)


@pytest.mark.parametrize(
    ("mail", "named"),
    [
        (MAIL, "q1@experts.test"),
        ({**MAIL, "headers": [], "commonHeaders": {"messageId": "<q2@experts.test>"}}, "q2@experts.test"),
        ({**MAIL, "headers": None}, "0101-abc-000000@eu-west-1.amazonses.com"),
        ({"messageId": "0101-abc", "sourceArn": "arn:aws:ses:us-east-1:1:identity/x"}, "0101-abc@email.amazonses.com"),
        ({}, None),
    ],
)  # fmt: skip
def test_the_mail_is_named_as_we_or_else_as_ses_named_it(mail: dict[str, Any], named: str | None) -> None:
    bounce = told({**BOUNCE, "mail": mail}).bounce
    assert bounce is not None
    assert bounce.original_message_id == named


@pytest.mark.parametrize(
    "raw",
    [
        sent(json.dumps(BOUNCE), "Alex <alex@contoso.test>"),
        sent(json.dumps(BOUNCE), '"no-reply@sns.amazonaws.com" <alex@contoso.test>'),
        sent("Look what came:\r\n" + json.dumps(BOUNCE)),
        sent(json.dumps({**BOUNCE, "notificationType": "AmazonSnsSubscriptionSucceeded"})),
        sent(json.dumps({**BOUNCE, "bounce": {"bouncedRecipients": []}})),
        sent(json.dumps({**BOUNCE, "bounce": []})),
        sent('{"notificationType": "Bounce", "bounce":'),
        sent('{"notificationType":' + "[" * 50_000),
        sent('{"Message": "{\\"notificationType\\":' + "[" * 50_000 + '"}'),
    ],
)
def test_nothing_else_is_such_a_notice(raw: bytes) -> None:
    reading = read(raw)
    assert reading.kind not in (MessageKind.BOUNCE, MessageKind.FEEDBACK_REPORT)
    assert reading.bounce is None


_JSON = st.recursive(st.none() | st.integers() | st.text(max_size=9), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("bounce", "mail", "headers", "name", "bouncedRecipients", "emailAddress", "status", "Message")), inner, max_size=4))  # fmt: skip


@given(_JSON)
def test_no_notice_raises(value: object) -> None:
    for notice in (
        {"notificationType": "Bounce", "bounce": value, "mail": value},
        {**BOUNCE, "bounce": {"bouncedRecipients": [value]}},
    ):
        read(sent(json.dumps(notice)))


def test_a_large_notice_is_read_in_time() -> None:
    many = {**BOUNCE, "bounce": {"bouncedRecipients": [GONE] * 5_000}}
    start = time.perf_counter()
    told(many)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("odd", ["\n", "\r\n", "\0", "\x1b", "\x85", "\u2028", "\ud800"])
def test_what_json_can_hold_and_a_header_field_cannot_is_in_nothing_that_is_told(odd: str) -> None:
    word = f"a{odd}b"
    recipient = {"emailAddress": f"{word}@x.test", "status": word, "diagnosticCode": f"550 {word}"}
    for mail in ({"messageId": word}, {"commonHeaders": {"messageId": f"<{word}@x.test>"}}):
        notices = (
            {**BOUNCE, "bounce": {"bounceType": word, "bouncedRecipients": [recipient]}, "mail": mail},
            {
                "notificationType": "Complaint",
                "complaint": {"complaintFeedbackType": word, "complainedRecipients": [recipient]},
                "mail": mail,
            },
        )
        for notice in notices:
            reading = told(notice)
            assert reading.kind in (MessageKind.BOUNCE, MessageKind.FEEDBACK_REPORT)
            bounce = reading.bounce
            assert bounce is not None
            for said in (
                bounce.recipient,
                bounce.status,
                bounce.action,
                bounce.diagnostic,
                bounce.original_message_id,
            ):
                assert odd not in (said or "")
