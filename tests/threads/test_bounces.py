"""What reports on deliveries say: fields by their grammar, several recipients, and texts that are written for people."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threads.delivery_report import MAX_RECIPIENTS, Bounce, fates_in
from threads.failure_words import failure_status, meant_status, reply_class
from threads.machine_mail import machine_mail
from threads.message_kind import kind_of
from threads.model import MessageKind
from threads.reading import read
from verifier.message import read_message
from verifier.parts import walk


def report(*groups: str) -> bytes:
    """A DSN (RFC 3464) with these groups of per-recipient fields."""
    fields = "\n\n".join(("Reporting-MTA: dns; mx.contoso.test\nArrival-Date: Thu, 1 Jan 2026 10:00:00 +0000", *groups))
    return (
        "From: Mail System <mailer-daemon@contoso.test>\nSubject: Undelivered\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=B\n\n"
        f"--B\n\nNot all of it arrived.\n--B\nContent-Type: message/delivery-status\n\n{fields}\n\n"
        "--B\nContent-Type: message/rfc822\n\nMessage-ID: <ours@experts.test>\nTo: gone@contoso.test\n\nhello\n--B--\n"
    ).replace("\n", "\r\n").encode()  # fmt: skip


def plain(text: str, *fields: str, sender: str = "MAILER-DAEMON@contoso.test", subject: str = "failure notice") -> bytes:
    header = [f"From: {sender}", "To: notice@experts.test", f"Subject: {subject}", *fields]
    return ("\n".join(header) + "\n\n" + text).replace("\n", "\r\n").encode()


def bounce_in(raw: bytes) -> Bounce:
    bounce = read(raw).bounce
    assert bounce is not None
    return bounce


GONE = "Final-Recipient: rfc822; gone@contoso.test\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 no\n such user"
LATE = "Final-Recipient: rfc822; late@contoso.test\nAction: delayed\nStatus: 4.4.1"
HERE = "Original-Recipient: rfc822;alias@contoso.test\nFinal-Recipient: rfc822; here@contoso.test\nAction: delivered\nStatus: 2.0.0"


def test_every_recipient_of_a_report_is_kept_and_the_first_failed_one_is_told() -> None:
    bounce = bounce_in(report(LATE, HERE, GONE))
    assert (bounce.recipient, bounce.status, bounce.action) == ("gone@contoso.test", "5.1.1", "failed")
    assert bounce.diagnostic == "550 5.1.1 no such user"
    assert bounce.original_message_id == "ours@experts.test"
    assert [(f.recipient, f.original_recipient, f.status, f.action) for f in bounce.recipients] == [
        ("late@contoso.test", None, "4.4.1", "delayed"),
        ("here@contoso.test", "alias@contoso.test", "2.0.0", "delivered"),
        ("gone@contoso.test", None, "5.1.1", "failed"),
    ]


@pytest.mark.parametrize(
    ("kind", "groups"),
    [
        (MessageKind.BOUNCE, (LATE, HERE, GONE)),
        (MessageKind.DELAY, (HERE, LATE)),
        (MessageKind.DELIVERED, (HERE,)),
        (MessageKind.DELIVERED, ("Final-Recipient: rfc822; a@b.test\nAction: relayed\nStatus: 2.0.0",)),
        (MessageKind.DELIVERED, ("Final-Recipient: rfc822; a@b.test\nStatus: 2.1.5",)),
        (MessageKind.DELAY, ("Final-Recipient: rfc822; a@b.test\nStatus: 4.2.2",)),
        # A word of the reporter's own, as some senders write where a queue's time is over.
        (MessageKind.BOUNCE, ("Final-Recipient: rfc822; a@b.test\nAction: expired\nStatus:",)),
        (MessageKind.BOUNCE, ("Final-Recipient: rfc822; a@b.test",)),
    ],
)
def test_a_report_is_of_the_worst_kind_that_it_tells_of(kind: MessageKind, groups: tuple[str, ...]) -> None:
    assert read(report(*groups)).kind is kind


@pytest.mark.parametrize(
    ("field", "recipient"),
    [
        ("rfc822; gone@contoso.test", "gone@contoso.test"),
        ("RFC822;<gone@contoso.test>", "gone@contoso.test"),
        ("rfc822; @relay.test:gone@contoso.test", "gone@contoso.test"),
        ('rfc822; "gone away"@contoso.test', '"gone away"@contoso.test'),
        ("utf-8; g\\x{F6}ne@contoso.test", "göne@contoso.test"),
        ("utf-8; \\x{D800}\\x{110000}\\x{0}@contoso.test", "\\x{D800}\\x{110000}\\x{0}@contoso.test"),
        ("x-unix; /dev/null", "/dev/null"),
        ("gone@contoso.test", "gone@contoso.test"),
        ("rfc822; gone@contoso.test (was: a comment)", "gone@contoso.test"),
    ],
)
def test_recipients_of_every_address_type_are_read(field: str, recipient: str) -> None:
    (fate,) = fates_in(f"Final-Recipient: {field}\nStatus: 5.1.1")
    assert fate.recipient == recipient


@pytest.mark.parametrize(
    "fields",
    [
        "Final-Recipient: rfc822; a@b.test\nAction: failed\nStatus: 5.1.1\nFinal-Recipient: rfc822; c@d.test\nStatus: 5.2.2",
        "\n\n\nFinal-Recipient: rfc822; a@b.test\nStatus: 5.1.1\n\n \n\nFINAL-RECIPIENT : rfc822; c@d.test\nstatus: 5.2.2 (full)",
        "Final-Recipient: rfc822;\n a@b.test\nStatus:\n 5.1.1\nno field\n\nFinal-Recipient: rfc822; c@d.test\nStatus: 5.2.2",
        "Final-Recipient: rfc822; a@b.test\n\nFinal-Recipient: rfc822; a@b.test\nStatus: 5.1.1\n\nFinal-Recipient: rfc822; c@d.test\nStatus: 5.2.2",
    ],
)
def test_careless_reporters_are_read_as_they_meant(fields: str) -> None:
    assert [(f.recipient, f.status) for f in fates_in(fields)] == [("a@b.test", "5.1.1"), ("c@d.test", "5.2.2")]


def test_a_report_without_a_status_takes_it_from_its_text() -> None:
    raw = report("Final-Recipient: rfc822; gone@contoso.test\nAction: failed").replace(
        b"Not all of it arrived.", b"<gone@contoso.test>: mailbox is full"
    )
    assert (bounce_in(raw).recipient, bounce_in(raw).status) == ("gone@contoso.test", "5.2.2")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            ("I wasn't able to deliver your message.\n\n<a@b.test>:\n550 5.1.1 <a@b.test>... User unknown\n\n"
            "<c@d.test>:\nSorry, the mailbox is full.\n\n--- Below this line is a copy of the message.\n\n"
            "Message-ID: <ours@experts.test>\nTo: other@e.test\n\n<f@g.test>: quoted"),
            [("a@b.test", "5.1.1"), ("c@d.test", "5.2.2")],
        ),
        (
            "   ----- Transcript of session follows -----\n550 <a@b.test>... User unknown\n554 <c@d.test>... 550 Host unknown\n",
            [("a@b.test", "5.1.1"), ("c@d.test", "5.1.2")],
        ),
        ("Your message to notice@experts.test, sent by notice@experts.test\n  RCPT TO: a@b.test\nno such user", [("a@b.test", "5.1.1")]),
        ("It could not be delivered, write to <postmaster@b.test>.\n<a@b.test>: reason unknown", [("a@b.test", "5.0.0")]),
        # An IP address, a date and a version hold three numbers with dots as well.
        ("<a@b.test>: host 5.1.1.7 of 5.10.2014 (Postfix 4.3.2.1) said: 552 quota exceeded", [("a@b.test", "5.2.2")]),
        ("<a@b.test>: 554 because I say so", [("a@b.test", "5.0.0")]),
        ("Nobody is named here, and no reason either.", [(None, "5.0.0")]),
        ("", [(None, "5.0.0")]),
    ],
)  # fmt: skip
def test_bounces_for_people_tell_each_recipient_with_its_own_reason(
    text: str, told: list[tuple[str | None, str]]
) -> None:
    assert [(fate.recipient, fate.status) for fate in bounce_in(plain(text)).recipients] == told


def test_the_returned_mail_is_found_below_the_line_that_announces_it() -> None:
    text = "<a@b.test>: gone\n\n--- Below this line is a copy of the message.\n\nReceived: x\nMessage-ID: <ours@experts.test>\n"
    assert bounce_in(plain(text)).original_message_id == "ours@experts.test"


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (MessageKind.DELAY, plain("The message is delayed and will be retried.\n\n<a@b.test>", subject="Delivery Status Notification (Delay)")),
        (MessageKind.BOUNCE, plain("421 Deferred: connection timed out", subject="Returned mail: Deferred: timed out")),
        (MessageKind.BOUNCE, plain("Unable to deliver your mail to <a@b.test>", sender="no-reply@b.test", subject="Mail")),
        (MessageKind.HUMAN, plain("I was unable to deliver it by hand.", sender="Alex <alex@contoso.test>", subject="Re: failure notice")),
        (MessageKind.HUMAN, plain("> could not be delivered to a@b.test", sender="Alex <alex@contoso.test>", subject="Fwd: Returned mail: see transcript")),
        (MessageKind.HUMAN, plain("It works again, thank you for telling us about it. Alex and everybody here wish you a good week, "
                                  "and the phone number for next time is the one that you have; ask for the night shift if it is late, please.\n\n"
                                  "> <a@b.test>: could not be delivered", "In-Reply-To: <x@experts.test>",
                                  sender="Postmaster <postmaster@contoso.test>", subject="Re: Undeliverable mail")),
        (MessageKind.HUMAN, plain("We are looking into it.", sender="Postmaster <postmaster@contoso.test>", subject="Re: your question")),
        (MessageKind.FEEDBACK_REPORT, (b"From: staff@hotmail.com\r\nSubject: complaint about message from 192.0.2.1\r\n"
                                       b"Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\nContent-Type: message/rfc822\r\n\r\nTo: a@b.test\r\n\r\nx\r\n--B--\r\n")),
    ],
)  # fmt: skip
def test_machines_are_told_from_people_who_write_of_bounces(kind: MessageKind, raw: bytes) -> None:
    assert read(raw).kind is kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("I am at sea.", MessageKind.AUTO_REPLY),
        ("Your mail could not be delivered to: <a@b.test>\nmailbox is full", MessageKind.BOUNCE),
        ("Your mail is delayed and will be retried", MessageKind.HUMAN),
    ],
)
def test_nothing_on_the_empty_path_is_a_persons(text: str, kind: MessageKind) -> None:
    message = read_message(plain(text, sender="Alex <alex@contoso.test>", subject="Mail"))
    assert kind_of(message, walk(message), "Mail", text)[0] in (MessageKind.HUMAN, MessageKind.UNSUBSCRIBE)
    on_null = kind_of(message, walk(message), "Mail", text, null_path=True)[0]
    assert on_null is (MessageKind.AUTO_REPLY if kind is MessageKind.HUMAN else kind)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("550 5.1.1 user unknown", "5.1.1"),
        ("(#5.04.007)", "5.4.7"),
        ("2.1.5 Ok, then 4.3.0 Error", "4.3.0"),
        ("10.5.1.1 and 5.1.1.1 and v5.1.1.2 and a5.1.1", None),
        ("said: 5.7.26.", "5.7.26"),
    ],
)
def test_an_enhanced_status_is_told_from_other_numbers(words: str, status: str | None) -> None:
    assert failure_status(words) == status


def test_words_mean_a_status_of_the_class_that_fits_the_kind() -> None:
    assert meant_status("The mailbox is FULL") == "5.2.2"
    assert meant_status("The mailbox\n  is full", passing=True) == "4.2.2"
    assert meant_status("delivery failed 12 attempts") == "5.4.7"
    assert meant_status("hello") is None
    assert reply_class("host said: 452 try later") == "4.0.0"
    assert reply_class("in 1550 or 5501 words") is None


HOSTILE = {
    "recipients": "".join(f"<a{n}@b.test>: mailbox full\n" for n in range(20_000)),
    "fields": "Final-Recipient: rfc822; a@b.test\nStatus: 5.1.1\n" * 8_000,
    "folds": "Final-Recipient: rfc822;" + "\n a" * 80_000,
    "bullets": "* " * 120_000,
    "dashes": "-" * 240_000,
    "dashed lines": ("-" * 79 + " \n") * 3_000,
    "blank lines": "\n" * 240_000,
    "spaces": " " * 240_000,
    "ats": "a@" * 120_000,
    "quotes": '"' * 240_000,
    "quoted": '"a"@' * 60_000,
    "numbers": "5.1." * 60_000,
    "digits": "5" * 240_000,
    "labels": "recipient: " * 22_000,
    "message ids": "Message-ID: <\n" * 16_000,
    "names": "a:\n" * 80_000,
    "delivery of": "delivery of " * 20_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bounces_are_read_in_linear_time(text: str) -> None:
    dsn = report().replace(b"Arrival-Date: Thu, 1 Jan 2026 10:00:00 +0000", text.replace("\n", "\r\n").encode())
    for raw in (plain(text), plain(text, "X-Failed-Recipients: " + "a@b.test," * 20), dsn):
        message = read_message(raw)
        parts = walk(message)
        for subject in ("failure notice", "x"):
            start = time.process_time()
            kind_of(message, parts, subject, text)
            assert time.process_time() - start < 1  # takes under a tenth of it


def seconds(work: Callable[[], object]) -> float:
    """CPU time; the best of three, so that nothing else is counted."""
    taken = []
    for _ in range(3):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def inside_each_other(number: int) -> list[str]:
    """Addresses of which each is the beginning of the one before."""
    return [f"a@b.{'c' * length}" for length in range(number + 20, 20, -1)]


def one_place(number: int) -> tuple[str, list[str]]:
    """All recipients stand in one place, with much text behind it."""
    names = inside_each_other(number)
    return f"told {names[0]}\n" + "x\n" * 160 * number, [f"X-Failed-Recipients: {name}" for name in names]


def sentences(number: int) -> tuple[str, list[str]]:
    names = inside_each_other(number)
    return "".join(f"unable to deliver message to: {name}\n" + "x\n" * 90 for name in names), []


def fields(number: int) -> tuple[str, list[str]]:
    """One recipient under many original names."""
    groups = (f"Final-Recipient: rfc822; a@b.test\nOriginal-Recipient: rfc822; a{n}@b.test\n\n" for n in range(number))
    return "".join(groups) + "x\n" * 90 * number, []


@pytest.mark.parametrize("make", [one_place, sentences, fields])
def test_many_recipients_of_a_bounce_share_its_text_in_time_that_grows_with_it(
    make: Callable[[int], tuple[str, list[str]]],
) -> None:
    def cost(number: int) -> float:
        text, header = make(number)
        message = read_message(plain(text, *header))
        parts = walk(message)
        kind, bounce = kind_of(message, parts, "failure notice", text, null_path=True)
        assert kind is MessageKind.BOUNCE
        assert bounce is not None
        assert len(bounce.recipients) == number
        return seconds(lambda: kind_of(message, parts, "failure notice", text, null_path=True))

    small, large = cost(MAX_RECIPIENTS // 4), cost(MAX_RECIPIENTS)
    # Four times the recipients and the text; each of them read all of it for 0.04 and 0.5 seconds.
    assert large < 8 * max(small, 0.002)


def test_an_address_that_begins_another_has_its_own_words() -> None:
    header = "X-Failed-Recipients: jo@b.com, jo@b.com.test, jo@b.co"
    bounce = bounce_in(plain("We tell of jo@b.com.test: mailbox full\nand of jo@b.com: no such user\n", header))
    assert [(fate.recipient, fate.status) for fate in bounce.recipients] == [
        ("jo@b.com", "5.1.1"),
        ("jo@b.com.test", "5.2.2"),
        ("jo@b.co", "5.2.2"),  # stands nowhere: what is said of all
    ]


def receipt(groups: int) -> bytes:
    """A read receipt of so many groups, each with a field of its own name."""
    fields = "".join(f"a{n}: {n}\n\n" for n in range(groups))
    return (
        "From: x@contoso.test\n"
        "Content-Type: multipart/report; report-type=disposition-notification; boundary=B\n\n--B\n\nRead.\n--B\n"
        f"Content-Type: message/disposition-notification\n\n{fields}Disposition: manual; Displayed\n\n--B--\n"
    ).replace("\n", "\r\n").encode()


def test_a_receipt_of_many_groups_is_read_in_time_that_grows_with_them() -> None:
    def cost(groups: int) -> float:
        message = read_message(receipt(groups))
        parts = walk(message)
        told = machine_mail(message, parts, MessageKind.DISPOSITION, None)
        assert told is not None
        assert told.action == "displayed"
        return seconds(lambda: machine_mail(message, parts, MessageKind.DISPOSITION, None))

    small, large = cost(1_000), cost(4_000)
    assert large < 10 * max(small, 0.002)  # four times the groups; a square would be sixteen


WORDS = st.sampled_from([
    "<a@b.test>", "a@b.test", "5.1.1", "550", "\n", "\n\n", ":", "-", "--- ", "Original message", "Final-Recipient:", "Status:", "rfc822;",
    "To:", "Message-ID: <", ">", '"', "mailbox is full", "\x00", "\ud83d", "é", "日本", "\\x{41}", "RCPT TO:", "(", "@", " ", "\t", "Received: x",
])  # fmt: skip


@given(st.lists(WORDS, max_size=60).map("".join), st.booleans())
def test_no_bounce_raises_and_each_tells_a_status_and_fitting_recipients(text: str, null_path: bool) -> None:
    raw = plain(text.encode("utf-8", "replace").decode())
    message = read_message(raw)
    for subject in ("failure notice", "x"):
        kind, bounce = kind_of(message, walk(message), subject, text, null_path=null_path)
        if kind is MessageKind.BOUNCE:
            assert bounce is not None
            assert bounce.status is not None
            assert bounce.status[0] in "245"
            assert len(bounce.recipients) <= MAX_RECIPIENTS
            assert all(fate.recipient is None or fate.recipient.strip() for fate in bounce.recipients)


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        ("Onbestelbaar: Aanmelding", "Uw bericht is niet bezorgd bij:\n\ngone@contoso.test\n550 5.1.1"),
        ("Kan inte levereras: Inloggning", "Meddelandet kom inte fram:\n\ngone@contoso.test\n550 5.1.1"),
        ("无法投递: 登录", "您的邮件无法投递到:\n\ngone@contoso.test\n550 5.1.1 用户不存在"),
        ("Недоставленное сообщение", "Письмо не доставлено:\n\ngone@contoso.test\n550 5.1.1 нет такого"),
        # A language that no list knows: the refusal itself says it.
        ("Nid yw wedi cyrraedd", "Ni chyrhaeddodd eich neges:\n\ngone@contoso.test\n550 5.1.1 dim blwch"),
        ("Ez da iritsi", "Zure mezua ez da iritsi:\n\n<gone@contoso.test>: 550-5.1.1 ez dago"),
    ],
)
def test_a_mailer_of_any_language_tells_a_bounce(subject: str, words: str) -> None:
    message = read(plain(words, "Return-Path: <>", sender="postmaster@contoso.test", subject=subject))
    assert message.kind is MessageKind.BOUNCE
    assert message.bounce is not None
    assert (message.bounce.recipient, message.bounce.status) == ("gone@contoso.test", "5.1.1")


def test_a_postmaster_who_answers_with_a_refusal_in_the_text_is_a_person() -> None:
    raw = plain("It said 550 5.1.1 to us.", sender="Postmaster <postmaster@contoso.test>", subject="Re: your question")
    assert read(raw).kind is MessageKind.HUMAN


def test_a_delay_tells_the_recipient_that_waits_not_one_that_was_reached() -> None:
    bounce = bounce_in(report(HERE, LATE))
    assert (bounce.recipient, bounce.status, bounce.action) == ("late@contoso.test", "4.4.1", "delayed")


@pytest.mark.parametrize(
    "words",
    [
        "  per.o'neil@contoso.test\n    550 5.1.1 unknown",
        "<per.o'neil@contoso.test>: 550 5.1.1 unknown",
        "'per.o'neil@contoso.test' 550 5.1.1 unknown",
        "550 5.1.1 <per.o'neil@contoso.test>... User unknown",
        "Your mail could not be delivered to per.o'neil@contoso.test (550 5.1.1)",
    ],
)
def test_an_apostrophe_belongs_to_the_address(words: str) -> None:
    bounce = bounce_in(plain(f"These were not reached.\n\n{words}\n"))
    assert (bounce.recipient, bounce.status) == ("per.o'neil@contoso.test", "5.1.1")


def test_an_original_message_that_was_received_is_not_yet_the_returned_one() -> None:
    bounce = bounce_in(
        plain(
            "The original message was received at Thu, 1 Jan 2026 10:00:00 GMT\n\n"
            "   ----- Transcript of session follows -----\n<late@contoso.test>... Deferred: timed out with mail.contoso.test.\n"
            "Will keep trying until message is 5 days old\n",
            subject="Warning: could not send message for past 4 hours",
        )
    )
    assert (bounce.recipient, bounce.action) == ("late@contoso.test", "delayed")


@pytest.mark.parametrize("mark", [":", ": ", " :", ">: ", "\n", "\n  "])
def test_the_remote_s_words_begin_behind_the_mark_after_the_address(mark: str) -> None:
    bounce = bounce_in(plain(f"Not delivered to gone@contoso.test{mark}550 5.1.1 user unknown\n"))
    assert bounce.diagnostic is not None
    assert bounce.diagnostic.endswith("550 5.1.1 user unknown")
    assert bounce.diagnostic[0] not in ": >"
