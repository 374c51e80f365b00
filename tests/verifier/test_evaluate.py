"""The whole verdict as one check: what it asks for and when, attached messages, and inputs that mean harm."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from expertmail.default_identities import default_identities
from verifier.evaluate import MAX_INNER, Context, judge
from verifier.evidence import (
    Absent,
    Answer,
    AnswerStatus,
    Ask,
    Evidence,
    Opinion,
    OpinionQuestion,
    Question,
    Session,
    SessionOrigin,
    conclude,
)
from verifier.message import read_message
from verifier.own_records import NO_RECORDS, RecordsQuestion
from verifier.report import Report, Verdict
from verifier.zone import read_zone

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
CONTEXT = Context(default_identities(), AT)
ZONE = read_zone((SAMPLES / "zone.db").read_text("utf-8"), "samples")


def rounds(raw: bytes, opinion: Opinion, context: Context = CONTEXT) -> tuple[list[frozenset[Ask]], Report]:
    """What each round asked for that was not known, with the sample zone behind it, and the report."""
    check = judge(read_message(raw), context)
    evidence = Evidence()
    asked: list[frozenset[Ask]] = []
    try:
        wanted = next(check)
        while True:
            questions = {q for q in wanted if isinstance(q, Question) and evidence.get(q) is None}
            opinions = {
                q for q in wanted if isinstance(q, OpinionQuestion) and evidence.opinion(q.index) is None
            }
            if questions or opinions:
                asked.append(frozenset(questions | opinions))
            evidence = evidence.adding(
                {q: ZONE.answer(q, AT) for q in questions},
                {q.index: opinion for q in opinions},
                {q.number: NO_RECORDS for q in wanted if isinstance(q, RecordsQuestion)},
            )
            wanted = check.send(evidence)
    except StopIteration as done:
        return asked, done.value


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def enclosed(raw: bytes) -> bytes:
    return (
        b"From: Alice <alice@contoso.test>\r\nContent-Type: multipart/mixed; boundary=q9\r\n\r\n"
        b"--q9\r\nContent-Type: message/rfc822\r\n\r\n" + raw + b"\r\n--q9--\r\n"
    )


def test_keys_and_policies_are_asked_for_in_one_round() -> None:
    asked, report = rounds(sample("customer-question.eml"), Opinion.PASS)
    assert report.verdict is Verdict.NO_CLAIM
    assert len(asked) == 1
    assert any("_domainkey" in q.name for q in asked[0] if isinstance(q, Question))
    assert any(q.name.startswith("_dmarc.") for q in asked[0] if isinstance(q, Question))


def test_without_a_claim_no_second_opinion_is_asked_for() -> None:
    asked, _ = rounds(sample("customer-question.eml"), Opinion.PASS)
    assert not any(isinstance(q, OpinionQuestion) for each in asked for q in each)


@pytest.mark.parametrize(
    "name", ["false-body-changed.eml", "false-display-name.eml", "false-from-not-signed.eml"]
)
def test_a_claim_that_our_own_core_does_not_accept_needs_no_second_opinion(name: str) -> None:
    asked, _ = rounds(sample(name), Opinion.PASS)
    assert not any(isinstance(q, OpinionQuestion) for each in asked for q in each)


@pytest.mark.parametrize(
    ("opinion", "verdict"),
    [(Opinion.PASS, Verdict.GENUINE), (Opinion.FAIL, Verdict.UNPROVEN), (Opinion.SKIPPED, Verdict.UNPROVEN)],
)
def test_genuine_needs_the_second_opinion(opinion: Opinion, verdict: Verdict) -> None:
    asked, report = rounds(sample("genuine-notification.eml"), opinion)
    assert sum(isinstance(q, OpinionQuestion) for each in asked for q in each) == 1
    assert report.verdict is verdict


def test_an_attached_message_is_judged_by_its_own_bytes_and_without_the_session() -> None:
    genuine = sample("genuine-notification.eml")
    session = Session("127.0.0.1", "mx.contoso.test", "alice@contoso.test", (), SessionOrigin.LIVE)
    asked, report = rounds(enclosed(genuine), Opinion.PASS, Context(default_identities(), AT, session))
    (inner,) = report.inner
    assert inner.verdict is Verdict.GENUINE
    assert inner.spf.source == "none"
    assert report.verdict is Verdict.NO_CLAIM
    (question,) = [q for each in asked for q in each if isinstance(q, OpinionQuestion)]
    assert question.raw == genuine
    assert question.signature == 0


def test_an_attached_forgery_does_not_decide_the_outer_verdict() -> None:
    _, report = rounds(enclosed(sample("false-display-name.eml")), Opinion.PASS)
    assert report.verdict is Verdict.NO_CLAIM
    assert [inner.verdict for inner in report.inner] == [Verdict.FORGED]


def test_attached_messages_are_judged_up_to_a_cap_and_a_depth() -> None:
    part = b"--q\r\nContent-Type: message/rfc822\r\n\r\nFrom: a@b.example\r\n\r\nx\r\n"
    many = (
        b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n" + part * 50 + b"--q--\r\n"
    )
    assert len(rounds(many, Opinion.PASS)[1].inner) == MAX_INNER
    deep = b"From: a@b.example\r\n" + b"Content-Type: message/rfc822\r\n\r\nFrom: a@b.example\r\n" * 100
    report = rounds(deep, Opinion.PASS)[1]
    depth = 0
    while report.inner:
        report, depth = report.inner[0], depth + 1
    assert depth == 2


def test_dns_that_fails_for_the_moment_never_forges() -> None:
    live = Session("192.0.2.9", "x.example", "d@experts.test", (), SessionOrigin.LIVE)
    for absent in (Absent.UNKNOWN,):
        for name in ("genuine-notification.eml", "false-dmarc-failure.eml", "false-body-changed.eml"):
            check = judge(read_message(sample(name)), Context(default_identities(), AT, live))
            assert conclude(check, Evidence(absent=absent)).verdict is Verdict.UNPROVEN


def test_each_answer_status_of_the_key_is_told_apart() -> None:
    genuine = read_message(sample("genuine-notification.eml"))
    for status, verdict in [
        (AnswerStatus.NXDOMAIN, Verdict.UNPROVEN),
        (AnswerStatus.NODATA, Verdict.UNPROVEN),
        (AnswerStatus.TIMEOUT, Verdict.UNPROVEN),
        (AnswerStatus.SERVFAIL, Verdict.UNPROVEN),
    ]:
        answers = {Question.of("s1._domainkey.experts.test", "TXT"): Answer(status)}
        report = conclude(judge(genuine, CONTEXT), Evidence(answers, absent=Absent.NXDOMAIN))
        assert report.verdict is verdict
        temporary = "signature-temporary-error" in {r.code for r in report.reasons}
        assert temporary == (status in (AnswerStatus.TIMEOUT, AnswerStatus.SERVFAIL))


def test_a_byte_changed_anywhere_never_makes_a_forgery_genuine_nor_raises() -> None:
    whole = sample("genuine-notification.eml")
    chance = random.Random(20261125)
    for _ in range(150):
        changed = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        _, report = rounds(bytes(changed), Opinion.PASS)
        if report.verdict is Verdict.GENUINE:
            assert report.author is not None
            assert report.author.address == "defender-experts@experts.test"


def test_all_public_mail_is_judged_without_an_exception(shared_data) -> None:
    files = sorted(p for p in (shared_data / "mail").rglob("*") if p.is_file())
    for file in files[::7]:
        conclude(judge(read_message(file.read_bytes()), CONTEXT), Evidence(absent=Absent.UNKNOWN))


def test_an_ordinary_message_costs_about_a_millisecond() -> None:
    message = read_message(sample("customer-question.eml"))
    evidence = ZONE.evidence(AT)
    conclude(judge(message, CONTEXT), evidence)
    started = time.perf_counter()
    for _ in range(50):
        conclude(judge(message, CONTEXT), evidence)
    assert (time.perf_counter() - started) / 50 < 0.01  # measured: 0.4 ms, RSA verification included
