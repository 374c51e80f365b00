"""The fields that thread, bounce and keep robots quiet, for every kind of mail."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace

import pytest

from outbound.compose import compose, compose_automatic, stamp
from outbound.header import MAX_REFERENCES
from outbound.mail_code import MailCodes, codes_in
from outbound.model import Attempt, Failure, MailKind, Reply
from outbound.orders import acknowledgement, attachment_held, delivery_status, verdict_report
from outbound.thread_root import ThreadRoots
from tests.outbound.catalogue import FORMS
from tests.outbound.conftest import NOW

ROOTS = ThreadRoots(b"r" * 32, "experts.test")
CODES = MailCodes([b"c" * 32])
WRITTEN = sorted({kind for kind, _, _ in FORMS.values() if not kind.automatic})


@pytest.fixture
def threading_office(office):
    letterhead = replace(
        office.letterhead, link_hosts=frozenset({"portal.experts.test"}), submission_channel="the portal"
    )
    return replace(office, letterhead=letterhead, codes=CODES, root=ROOTS)


def parsed(mail):
    return email.message_from_bytes(mail.raw, policy=email.policy.default)


def written(office, record, kind, token="t1", **more):
    variables = next(words for one, words, _ in FORMS.values() if one is kind)
    (mail,) = compose(
        kind,
        office=office,
        thread=record.incident,
        contacts=[more.pop("contact", record.contact)],
        variables=variables,
        stamps=[stamp(token, "experts.test", NOW)],
        **more,
    )
    return mail


def automatic(office, record, kind):
    party = {
        "contact_id": record.contact.id,
        "address": "ana@contoso.test",
        "idempotency_key": "k",
        "ordered_at": NOW,
    }
    order, thread = {
        MailKind.ACKNOWLEDGEMENT: (lambda: acknowledgement(thread_id=record.incident.id, in_reply_to="q@contoso.test", **party), record.incident),
        MailKind.VERDICT_REPORT: (lambda: verdict_report(findings=(), in_reply_to="q@contoso.test", **party), None),
        MailKind.ATTACHMENT_HELD: (lambda: attachment_held(thread_id=None, in_reply_to="q@contoso.test", **party), None),
        MailKind.DELIVERY_STATUS: (
            lambda: delivery_status(
                address="ana@contoso.test", recipient="bob@customer.test", arrived=NOW, idempotency_key="k",
                in_reply_to="q@contoso.test",
                attempt=Attempt(NOW, NOW, "next", Reply(550, "5.1.1 who"), Failure.REFUSED),
            ),
            None,
        ),
    }[kind]  # fmt: skip
    contact = None if kind is MailKind.DELIVERY_STATUS else record.contact
    return compose_automatic(
        order(), office=office, thread=thread, contact=contact, one=stamp("a1", "experts.test", NOW)
    )


@pytest.mark.parametrize("kind", WRITTEN)
def test_mail_that_an_expert_writes_threads_and_comes_back(threading_office, record, kind):
    mail = written(threading_office, record, kind)
    message = parsed(mail)
    assert message["References"] == f"<{ROOTS(record.incident.id)}>"
    assert message["Auto-Submitted"] is None
    assert message["X-Auto-Response-Suppress"] == "DR, RN, NRN"
    assert message["Message-ID"] == "<t1@experts.test>"
    assert message["Reply-To"].addresses[0].addr_spec == mail.mail_from
    assert message["Reply-To"].addresses[0].domain == "reply.experts.test"
    assert message["Subject"].startswith("[INC-000001] ")


@pytest.mark.parametrize(
    "kind",
    [MailKind.ACKNOWLEDGEMENT, MailKind.VERDICT_REPORT, MailKind.ATTACHMENT_HELD, MailKind.DELIVERY_STATUS],
)
def test_automatic_mail_says_so_and_threads(threading_office, record, kind):
    mail = automatic(threading_office, record, kind)
    message = parsed(mail)
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["X-Auto-Response-Suppress"] == "DR, RN, NRN"
    assert message["In-Reply-To"] == "<q@contoso.test>"
    on_thread = kind is MailKind.ACKNOWLEDGEMENT
    root = f"<{ROOTS(record.incident.id)}> " if on_thread else ""
    assert message["References"] == f"{root}<q@contoso.test>"
    assert (mail.mail_from != "") == on_thread


def test_a_root_is_the_threads_own_and_stays():
    assert ROOTS(1) == ThreadRoots(b"r" * 32, "Experts.TEST")(1)
    assert (
        len(
            {
                ROOTS(1),
                ROOTS(2),
                ThreadRoots(b"s" * 32, "experts.test")(1),
                ThreadRoots(b"r" * 32, "x.test")(1),
            }
        )
        == 4
    )
    assert "rrrr" not in repr(ROOTS)


def test_a_long_chain_keeps_its_root_and_its_end_in_short_lines(threading_office, record):
    chain = tuple(f"{n}.{'x' * 200}@contoso.test" for n in range(100))
    mail = written(threading_office, record, MailKind.REPLY, references=chain, in_reply_to=chain[-1])
    listed = parsed(mail)["References"].split()
    assert len(listed) == MAX_REFERENCES
    assert listed[0] == f"<{ROOTS(record.incident.id)}>"
    assert listed[1:] == [f"<{one}>" for one in chain[1 - MAX_REFERENCES :]]
    assert max(map(len, mail.raw.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("kind", WRITTEN)
@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_code_stands_in_the_text_and_in_the_html(threading_office, record, kind, language):
    mail = written(threading_office, record, kind, contact=replace(record.contact, language=language))
    code = CODES.of("<t1@experts.test>")
    assert mail.code_key == code.key
    for part in parsed(mail).iter_parts():
        assert code.text in part.get_content()
        assert code.text.replace("-", "") in codes_in(part.get_content())
    assert code.text not in mail.said
    other = written(threading_office, record, kind, token="t2")
    assert other.code_key != mail.code_key


def test_mail_to_nobody_on_record_has_no_code(threading_office, record):
    assert automatic(threading_office, record, MailKind.DELIVERY_STATUS).code_key is None
    assert automatic(threading_office, record, MailKind.VERDICT_REPORT).code_key is not None
