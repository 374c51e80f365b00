from __future__ import annotations

import email
import email.policy
from dataclasses import replace

import pytest

from outbound.compose import Office, compose, compose_automatic, stamp
from outbound.errors import ComposeError
from outbound.model import AutomaticOrder, Finding, MailKind, Sender
from outbound.orders import acknowledgement, verdict_report
from tests.outbound.conftest import LETTERHEAD, NOW, REQUEST
from threads.model import State

REPLY = {"text": "Hello.\n\nWe looked into it.\nIt is fine.", "expert": "Ana"}


def stamped(token="t1"):
    return stamp(token, "experts.test", NOW)


@pytest.fixture
def write(office, record):
    def made(kind=MailKind.REQUEST_FOR_CONTEXT, variables=REQUEST, **more):
        return compose(
            kind,
            office=office,
            **{
                "thread": record.incident,
                "contacts": [record.contact],
                "variables": variables,
                "stamps": [stamped(), stamped("t2"), stamped("t3")],
                **more,
            },
        )

    return made


def parsed(mail):
    return email.message_from_bytes(mail.raw, policy=email.policy.default)


def bodies(mail):
    message = parsed(mail)
    return tuple(part.get_content() for part in message.iter_parts())


def test_a_request_has_everything_that_lets_the_answer_find_its_way_back(write, record):
    (mail,) = write(in_reply_to="old@contoso.test", references=("first@contoso.test", "old@contoso.test"))
    message = parsed(mail)
    assert message["Subject"] == "[INC-000001] We need more information: Odd sign-in"
    assert str(message["From"]) == "Defender Experts <defender-experts@experts.test>"
    assert str(message["To"]) == "Ana Lee <ana@contoso.test>"
    assert message["Reply-To"].addresses[0].domain == "reply.experts.test"
    assert message["Message-ID"] == "<t1@experts.test>"
    assert message["In-Reply-To"] == "<old@contoso.test>"
    assert message["References"] == "<first@contoso.test> <old@contoso.test>"
    assert message["Date"] == "Wed, 25 Nov 2026 12:00:00 +0000"
    assert message["Auto-Submitted"] is None
    text, html = bodies(mail)
    for words in (text, html):
        assert "Was this you?" in words
        assert "verify@experts.test" in words
        assert "No code, reference or link in a mail proves that it is genuine" in " ".join(words.split())
    assert "1. Was this you?" in text
    assert mail.said.startswith("We saw a sign-in")
    assert "verify@" not in mail.said
    assert mail.mail_from == message["Reply-To"].addresses[0].addr_spec


def test_the_same_arguments_give_the_same_bytes(write):
    assert write() == write()
    assert write()[0].raw != write(stamps=[stamped("other")])[0].raw


def test_each_address_gets_one_mail_of_its_own(write, record):
    other = replace(record.contact, id=77, address="soc@contoso.test")
    again = replace(record.contact, id=78, address="ANA@contoso.test")
    mails = write(contacts=[record.contact, other, again])
    assert [mail.rcpt_to for mail in mails] == ["ana@contoso.test", "soc@contoso.test"]
    assert len({parsed(mail)["Reply-To"] for mail in mails}) == 2
    assert len({mail.message_id for mail in mails}) == 2


@pytest.mark.parametrize("kind", list(MailKind)[:2])
@pytest.mark.parametrize("number", range(3))
def test_each_declared_variable_is_needed(write, kind, number, templates):
    given = {**(REQUEST if kind is MailKind.REQUEST_FOR_CONTEXT else REPLY), "title": "T"}
    name = [v.name for v in templates.get(kind, "en").variables if v.name != "title"][number % 2]
    del given[name]
    with pytest.raises(ComposeError, match=name):
        write(kind, given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expert": "Ana\r\nBcc: all@contoso.test"}, "line break"),
        ({"expert": "Ana\nBcc: x@y"}, "line break"),
        ({"expert": "Ana\x00"}, "control"),
        ({"expert": "Ana\u202eevil"}, "control"),
        ({"expert": "Ana\u2028x"}, "line break"),
        ({"expert": "Ana\ud800"}, "control"),
        ({"expert": ""}, "empty"),
        ({"expert": "x" * 101}, "longer"),
        ({"expert": 7}, "text"),
        ({"opening": "a\x1b[31mred"}, "control"),
        ({"opening": "x" * 8001}, "longer"),
        ({"questions": ()}, "at least one"),
        ({"questions": "Was this you?"}, "list"),
        ({"questions": ("a\nb",)}, "line break"),
        ({"questions": ("a",) * 21}, "more than 20"),
        ({"opening": "see https://evil.example/x"}, "evil.example"),
        ({"opening": "see HTTP://good.test@evil.example"}, "evil.example"),
        ({"opening": "see www.evil.example"}, "evil.example"),
        ({"surprise": "x"}, "no place"),
    ],
)
def test_a_variable_that_does_not_fit_is_refused_in_words(write, change, message):
    with pytest.raises(ComposeError, match=message):
        write(variables={**REQUEST, **change})


@pytest.mark.parametrize(
    "title",
    [
        "Hi\r\nBcc: all@contoso.test",
        "a\x00b\nc",
        "x" * 900,
        "日本語の件名 " * 20,
        "=?utf-8?B?QQ==?=",
        "\u202egnihsihp",
        "see https://evil.example/login",
        "word" * 60,
    ],
)
def test_a_title_of_a_customer_becomes_one_plain_bounded_line(write, record, title):
    (mail,) = write(thread=replace(record.incident, title=title))
    message = parsed(mail)
    assert message["Bcc"] is None
    assert str(message["Subject"]).startswith("[INC-000001] ")
    assert str(message["Subject"]) == mail.subject
    assert len(mail.subject) <= 150
    assert "https://" not in mail.subject
    assert mail.raw.isascii()
    assert b"Subject: [INC-000001]" in mail.raw


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=y>",
        "{{ 7*7 }}",
        "{% include 'x' %}",
        "{{ ''.__class__ }}",
        '"><a href=x>',
    ],
)
def test_markup_and_template_syntax_in_a_variable_stay_text(write, hostile):
    (mail,) = write(variables={"opening": hostile, "questions": (hostile,), "expert": hostile})
    text, html = bodies(mail)
    assert text.count(hostile) == 3
    for forbidden in ("<script", "<img", "<a ", "49"):
        assert forbidden not in html.split("</head>")[1]


def test_a_long_text_in_any_script_is_seven_bit_and_short_lined(write):
    opening = "日本語" * 500 + "\n" + "x" * 900 + "\nFrom here on\n.\n" + "word " * 300
    (mail,) = write(variables={**REQUEST, "opening": opening})
    assert mail.raw.isascii()
    assert max(map(len, mail.raw.split(b"\r\n"))) <= 78
    assert b"\n" not in mail.raw.replace(b"\r\n", b"")
    assert b"\r" not in mail.raw.replace(b"\r\n", b"")
    assert b"\r\nFrom " not in mail.raw
    text, _html = bodies(mail)
    assert "x" * 900 in text


def test_html_reads_in_the_dark_on_a_phone_and_without_images(write):
    (mail,) = write()
    _text, html = bodies(mail)
    assert "prefers-color-scheme: dark" in html
    assert 'name="color-scheme"' in html
    assert "max-width: 480px" in html
    assert 'name="viewport"' in html
    assert 'lang="en"' in html
    assert "style=" in html.split("</head>")[1]
    for remote in ("http:", "https:", "<img", "url(", "src=", "href=", "<link", "@import"):
        assert remote not in html


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contacts": []}, "nobody"),
        ({"stamps": []}, "Message-ID"),
    ],
)
def test_what_is_missing_is_said(write, change, message):
    with pytest.raises(ComposeError, match=message):
        write(**change)


def test_a_resolved_incident_is_not_asked_about_but_may_be_answered_on(write, record):
    resolved = replace(record.incident, state=State.RESOLVED)
    with pytest.raises(ComposeError, match="resolved"):
        write(thread=resolved)
    assert write(MailKind.REPLY, REPLY, thread=resolved)


def test_somebody_of_another_organisation_is_no_recipient(write, record):
    with pytest.raises(ComposeError, match="not a contact"):
        write(contacts=[replace(record.contact, organisation_id=99)])


@pytest.mark.parametrize(
    "address",
    [
        "no-at",
        "a b@c.test",
        "a@",
        "a@-bad-.test",
        "a\r\n@c.test",
        '"a"@c.test',
        "a@b@c.test",
        "x" * 65 + "@c.test",
    ],
)
def test_an_address_that_is_not_plain_is_refused(write, record, address):
    with pytest.raises(ComposeError):
        write(contacts=[replace(record.contact, address=address)])


def test_a_domain_beyond_ascii_goes_as_a_labels(write, record):
    (mail,) = write(contacts=[replace(record.contact, address="ana@bücher.test", name="Ána")])
    assert mail.rcpt_to == "ana@xn--bcher-kva.test"
    assert mail.raw.isascii()


def test_our_mail_never_names_somebody_elses_domain(templates):
    sender = Sender("X", "x@other.test", "experts.test", "s1")
    with pytest.raises(ComposeError, match="domain"):
        Office(replace(LETTERHEAD, sender=sender), templates, lambda _t, _c: "")


@pytest.mark.parametrize("kind", [MailKind.ACKNOWLEDGEMENT, MailKind.VERDICT_REPORT])
def test_nobody_writes_automatic_mail(write, kind):
    with pytest.raises(ComposeError, match="automatically"):
        write(kind)


def automatic(office, order, thread=None, contact=None):
    return compose_automatic(order, office=office, thread=thread, contact=contact, one=stamped())


def test_an_acknowledgement_holds_no_word_of_the_sender(office, record):
    title = "PLEASE PAY at http://evil.example"
    order = acknowledgement(
        thread_id=record.incident.id,
        contact_id=record.contact.id,
        address="ana@contoso.test",
        idempotency_key="k",
        ordered_at=NOW,
        in_reply_to="q1@contoso.test",
    )
    mail = automatic(
        office, order, replace(record.incident, title=title), replace(record.contact, name="PAY ME")
    )
    assert b"PAY" not in mail.raw
    assert "evil" not in "".join(bodies(mail))
    message = parsed(mail)
    assert message["Subject"] == "[INC-000001] We received your question"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["In-Reply-To"] == "<q1@contoso.test>"
    assert str(message["To"]) == "ana@contoso.test"


@pytest.mark.parametrize("reference", ["a b@c", "x>\r\nBcc: y@z", "x" * 300 + "@c", "no-at", "<a@b>", ""])
def test_a_reference_that_is_not_plain_is_left_out(office, record, reference):
    order = acknowledgement(
        thread_id=record.incident.id,
        contact_id=None,
        address="bob@contoso.test",
        idempotency_key="k",
        ordered_at=NOW,
        in_reply_to=reference,
    )
    message = parsed(automatic(office, order, record.incident))
    assert message["In-Reply-To"] is None
    assert message["References"] is None


def report(record, *findings):
    return verdict_report(
        contact_id=record.contact.id,
        address="ana@contoso.test",
        findings=findings,
        idempotency_key="k",
        ordered_at=NOW,
    )


@pytest.mark.parametrize("verdict", ["genuine", "authentic-unpinned", "forged", "unproven", "no-claim"])
def test_a_report_says_the_verdict_and_shows_domains_defanged(office, record, verdict):
    order = report(record, Finding(verdict, "defender-experts", "micros0ft.example", ("lookalike-domain",)))
    mail = automatic(office, order, contact=record.contact)
    text, html = bodies(mail)
    for words in (text, html):
        assert "micros0ft[.]example" in words
        assert "micros0ft.example" not in words
        assert "lookalike-domain" in words
    assert verdict.split("-")[0].upper() in text.upper()
    assert mail.subject == "Result of your verification request"
    assert mail.mail_from == ""
    assert parsed(mail)["Reply-To"] == "query@experts.test"


def test_a_report_on_nothing_says_how_to_attach(office, record):
    text, html = bodies(automatic(office, report(record), contact=record.contact))
    assert "found no attached message" in text
    assert "found no attached message" in " ".join(html.split())


def test_a_report_on_many_messages_says_how_many_it_left_out(office, record):
    text, _html = bodies(
        automatic(office, report(record, *[Finding("unproven")] * 8), contact=record.contact)
    )
    assert "Attached message 5 of 8" in text
    assert "3 more attached messages were not examined" in text


def test_text_cannot_be_smuggled_through_facts(office, record):
    order = report(
        record, Finding("forged", "id", "evil.example/<b>pay now</b>", ("see http://x", "ok-code", "A b"))
    )
    raw = automatic(office, order, contact=record.contact).raw
    assert b"pay now" not in raw
    assert b"evil" not in raw
    assert b"http://x" not in raw
    assert b"ok-code" in raw


@pytest.mark.parametrize(
    "params",
    [
        {"examined": 1, "verdict_1": "genuine and more"},
        {"examined": 1, "verdict_1": "forged", "author_domain_1": "a b"},
        {"examined": 1, "verdict_1": "forged", "reasons_1": "Click Here"},
        {"examined": 1, "verdict_1": "forged", "identity_1": "a\nb"},
        {"examined": "1"},
        {"examined": -1},
        {"examined": 0, "note": "text of the sender"},
    ],
)
def test_facts_that_are_not_ours_are_refused_when_composing(office, record, params):
    order = AutomaticOrder(
        MailKind.VERDICT_REPORT, None, record.contact.id, "ana@contoso.test", "k", NOW, params
    )
    with pytest.raises(ComposeError):
        automatic(office, order, contact=record.contact)


def test_a_verdict_goes_to_a_known_contact_at_that_contacts_address_only(office, record):
    with pytest.raises(ComposeError, match="known contact"):
        automatic(office, report(record, Finding("forged")))
    with pytest.raises(ComposeError, match="address"):
        automatic(office, report(record), contact=replace(record.contact, address="else@contoso.test"))


def test_a_language_without_a_template_falls_back_to_english(write, record):
    (mail,) = write(contacts=[replace(record.contact, language="pt-BR")])
    assert mail.language == "en"
