"""Our own mail before our own verifier, with a zone that has the key, and with zones that do not."""

from __future__ import annotations

import asyncio
from functools import partial

import dkim
import pytest

from outbound.compose import compose, compose_automatic, stamp
from outbound.key_files import generate_key
from outbound.model import Attempt, Failure, Finding, MailKind, Reply
from outbound.orders import acknowledgement, delivery_status, verdict_report
from outbound.selfcheck import NO_RECORDS, self_check
from outbound.sign import SecondKey, sign, zone_line
from tests.outbound.catalogue import WORDS, catalogue_mail
from tests.outbound.conftest import NOW, SENDER
from verifier.driver import drive
from verifier.evaluate import Context, judge
from verifier.evidence import Absent, Answer, AnswerStatus, Evidence, Opinion, Question
from verifier.identity import parse_identities
from verifier.message import read_message
from verifier.zone import ZoneAnswers, read_zone

IDENTITIES = """
[[identity]]
name = "operated"
display_names = ["Defender Experts"]
domains = ["experts.test"]
addresses = [{addresses}]
signing_domains = ["experts.test"]
known_domains = ["reply.experts.test"]
"""
PINNED = '"defender-experts@experts.test"'
ZONE = """
experts.test. 3600 IN SOA ns.experts.test. host.experts.test. 1 2 3 4 5
_dmarc.experts.test. 3600 IN TXT "v=DMARC1; p=reject"
experts.test. 3600 IN TXT "v=spf1 -all"
"""


class Dkimpy:
    """The second implementation, asked in this process."""

    async def ask(self, raw, _index, txt):
        found = dkim.verify(raw, dnsfunc=lambda name, **_more: txt.get(name.decode(), "").encode())
        return Opinion.PASS if found else Opinion.FAIL


async def _judged(raw, answers, addresses):
    context = Context(parse_identities(IDENTITIES.format(addresses=addresses)), NOW)
    evidence = Evidence(answers, absent=Absent.NXDOMAIN, at=NOW)
    report, _ = await drive(judge(read_message(raw), context), evidence, opinion=Dkimpy(), raw=raw)
    return report


def checked(raw, answers, addresses=PINNED, records=NO_RECORDS):
    judging = partial(_judged, answers=answers, addresses=addresses)
    return asyncio.run(self_check(raw, judging, SENDER, "operated", records))


def zone(*lines):
    return ZoneAnswers(read_zone("\n".join([ZONE, *lines, ""])), NOW)


KINDS = [kind for kind in MailKind if kind is not MailKind.RELAYED]


@pytest.fixture
def mail(request, office, record):
    """A mail of the kind that a test names, else a request."""
    one = stamp("t1", "experts.test", NOW)
    kind = getattr(request, "param", MailKind.REQUEST_FOR_CONTEXT)
    if not kind.automatic:
        words = {name: word for name, word in WORDS[kind]["ja"].items() if name != "link"}
        (made,) = compose(
            kind,
            office=office,
            thread=record.incident,
            contacts=[record.contact],
            variables=words,
            stamps=[one],
            in_reply_to="q@contoso.test",
            references=tuple(f"m{n}@contoso.test" for n in range(30)),
        )
        return made
    party = {
        "contact_id": record.contact.id,
        "address": "ana@contoso.test",
        "idempotency_key": "k",
        "ordered_at": NOW,
    }
    if kind is MailKind.ACKNOWLEDGEMENT:
        order, thread = acknowledgement(thread_id=record.incident.id, **party), record.incident
    elif kind is MailKind.DELIVERY_STATUS:
        failed = Attempt(NOW, NOW, "next", Reply(550, "5.1.1 who"), Failure.REFUSED)
        order = delivery_status(
            address="ana@contoso.test",
            recipient="bob@customer.test",
            attempt=failed,
            arrived=NOW,
            idempotency_key="k",
            in_reply_to="1@contoso.test",
        )
        return compose_automatic(order, office=office, thread=None, contact=None, one=one)
    elif kind in {MailKind.REMINDER, MailKind.ALERT, MailKind.ATTACHMENT_HELD}:
        return catalogue_mail(kind, kind.value, "en", office)
    else:
        finding = Finding("forged", "operated", "experts-test.example", ("display-name",))
        order, thread = verdict_report(findings=[finding] * 3, **party), None
    return compose_automatic(order, office=office, thread=thread, contact=record.contact, one=one)


@pytest.mark.parametrize("mail", KINDS, indirect=True)
def test_each_kind_of_mail_is_genuine_where_the_key_is_published(mail, key):
    signed = sign(mail, SENDER, key, NOW)
    result = checked(signed.raw, zone(zone_line("s1", "experts.test", key)))
    assert result.genuine, result


def test_a_customer_who_could_verify_one_signature_alone_gets_nothing(mail, key, tmp_path):
    ed25519 = generate_key(tmp_path / "e.pem", kind="ed25519")
    raw = sign(mail, SENDER, key, NOW, SecondKey("e1", ed25519)).raw
    both = {"s1": zone_line("s1", "experts.test", key), "e1": zone_line("e1", "experts.test", ed25519)}
    assert checked(raw, zone(*both.values()), records=both).genuine
    for there, missing in (("s1", "e1"), ("e1", "s1")):
        result = checked(raw, zone(both[there]), records=both)
        assert not result.genuine
        assert not result.temporary
        assert f"publish this record: {both[missing]}" in result.reason


def test_a_missing_key_is_named(mail, key):
    result = checked(sign(mail, SENDER, key, NOW).raw, zone())
    assert not result.genuine
    assert not result.temporary
    assert "s1._domainkey.experts.test" in result.reason


def test_another_key_is_named(mail, key, tmp_path):
    other = generate_key(tmp_path / "other.pem")
    result = checked(sign(mail, SENDER, key, NOW).raw, zone(zone_line("s1", "experts.test", other)))
    assert not result.genuine
    assert "s1._domainkey.experts.test" in result.reason


def test_dns_that_does_not_answer_is_temporary(mail, key):
    silent = {Question.of("s1._domainkey.experts.test", "TXT"): Answer(AnswerStatus.SERVFAIL)}
    result = checked(sign(mail, SENDER, key, NOW).raw, silent)
    assert result.temporary
    assert "s1._domainkey.experts.test" in result.reason


def test_a_key_in_testing_is_named(mail, key):
    testing = zone_line("s1", "experts.test", key).replace("k=rsa;", "k=rsa; t=y;", 1)
    strings = testing.split('"')[1::2]
    whole = "".join(strings)
    line = 's1._domainkey.experts.test. IN TXT "' + whole[:200] + '" "' + whole[200:] + '"'
    line = line.replace(". IN", ". 3600 IN")
    result = checked(sign(mail, SENDER, key, NOW).raw, zone(line))
    assert "t=y" in result.reason


def test_an_address_that_is_not_pinned_is_named(mail, key):
    result = checked(
        sign(mail, SENDER, key, NOW).raw, zone(zone_line("s1", "experts.test", key)), addresses=""
    )
    assert "not pinned" in result.reason
