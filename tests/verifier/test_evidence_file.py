"""Evidence files: written and read back the same, and refused in one sentence when they cannot be used."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from verifier.evidence import (
    Absent,
    Answer,
    AnswerStatus,
    Evidence,
    Opinion,
    Question,
    Session,
    SessionOrigin,
)
from verifier.evidence_file import MAX_OCTETS, EvidenceError, read_evidence, write_evidence

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SESSION = Session("192.0.2.1", "mx.example.com", "a@example.com", ("r@experts.test", "q@experts.test"))
EVIDENCE = Evidence(
    {
        Question.of("sel._domainkey.example.com", "TXT"): Answer(AnswerStatus.ANSWER, ("v=DKIM1; p=" + "A" * 9_000,), 300, ad=True, at=AT),
        Question.of("raw.example.com", "TXT"): Answer(AnswerStatus.ANSWER, ("\udcff\udc80 ü € \x00\x1b", ""), 1, at=AT),
        Question.of("example.com", "MX"): Answer(AnswerStatus.ANSWER, ("10 mx.example.com.",), 2**31 - 1, at=AT),
        Question.of("a.test", "A"): Answer(AnswerStatus.NODATA, (), 30, at=AT),
        Question.of("b.test", "A"): Answer(AnswerStatus.NXDOMAIN, at=AT),
        Question.of("c.test", "A"): Answer(AnswerStatus.SERVFAIL, at=AT),
        Question.of("d.test", "A"): Answer(AnswerStatus.TIMEOUT, at=AT),
    },
    {0: Opinion.PASS, 7: Opinion.SKIPPED},
    Absent.ASK,
    AT,
)  # fmt: skip


def document(**changes: Any) -> bytes:
    answer = {"name": "a.test.", "type": "TXT", "status": "answer", "ttl": 300, "ad": False, "records": ["x"]}
    whole = {"at": "2026-01-02T03:04:05Z", "absent": "nxdomain", "answers": [answer], "session": None}
    return json.dumps(whole | changes).encode()


def entry(**changes: Any) -> list[dict[str, Any]]:
    whole = {"name": "a.test.", "type": "TXT", "status": "answer", "ttl": 300, "ad": False, "records": ["x"]}
    return [{key: value for key, value in (whole | changes).items() if value is not ...}]


@pytest.mark.parametrize("session", [None, SESSION, Session(None, None, None), Session("::1", "", "")])
def test_what_is_written_is_read_again_and_what_it_does_not_hold_is_unknown(session: Session | None) -> None:
    text = write_evidence(EVIDENCE, session)
    assert text.isascii()
    evidence, read = read_evidence(text.encode())
    assert evidence.answers == EVIDENCE.answers
    assert evidence.opinions == EVIDENCE.opinions
    assert (evidence.absent, evidence.at, read) == (Absent.UNKNOWN, AT, session)
    assert json.loads(text)["absent"] == "unknown"


def test_an_empty_evidence_is_a_file_too() -> None:
    evidence, session = read_evidence(write_evidence(Evidence()).encode())
    assert (len(evidence.answers), evidence.at, session) == (0, None, None)


def test_the_defaults_are_those_of_the_contract() -> None:
    evidence, session = read_evidence(b'{"answers": [{"name": "A.Test", "type": "txt", "status": "nodata"}]}')
    assert evidence.absent is Absent.NXDOMAIN
    assert session is None
    assert evidence.answers[Question("a.test.", "TXT")] == Answer(AnswerStatus.NODATA)
    assert evidence.get(Question("b.test.", "A")) == Answer(AnswerStatus.NXDOMAIN)


def test_the_reader_is_told_whose_session_it_is() -> None:
    text = write_evidence(EVIDENCE, SESSION).encode()
    assert read_evidence(text)[1].origin is SessionOrigin.SUPPLIED  # type: ignore[union-attr]
    assert read_evidence(text, SessionOrigin.STORED)[1].origin is SessionOrigin.STORED  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("at", "read"),
    [
        ("2026-01-02T03:04:05Z", AT),
        ("2026-01-02T03:04:05", AT),
        ("2026-01-02T05:04:05+02:00", AT),
        (None, None),
    ],
)
def test_times_are_iso_and_utc_when_they_do_not_say(at: str | None, read: datetime | None) -> None:
    assert read_evidence(document(at=at))[0].at == read


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff\xfe", b"{} {}", b"{}", b'{"answers": {}}', b'{"answers": [NaN]}',
        b'{"answers": [], "answers": []}', b'{"answers": [' + b"1" * 5_000 + b"]}", b"[" * 100_000, b'{"a":' * 100_000,
        document(at=5), document(at="yesterday"), document(at="9999-12-31T23:59:59-23:59"), document(absent="ask"), document(absent=None),
        document(absent=[]), document(session=[]), document(session={"client_ip": 1}), document(session={"rcpt_to": "x"}),
        document(session={"rcpt_to": [1]}), document(opinions=[]), document(opinions={"x": "pass"}), document(opinions={"0": "maybe"}),
        document(opinions={"1234": "pass"}), document(answers=[1]), document(answers=entry(name=...)), document(answers=entry(name=1)),
        document(answers=entry(name="")), document(answers=entry(name="x" * 2_000)), document(answers=entry(type="")),
        document(answers=entry(type=None)), document(answers=entry(type="A A")), document(answers=entry(status="refused")),
        document(answers=entry(status=...)), document(answers=entry(status=["answer"])), document(answers=entry(ttl=-1)),
        document(answers=entry(ttl=2**31)), document(answers=entry(ttl=True)), document(answers=entry(ttl="300")), document(answers=entry(ttl=1.5)),
        document(answers=entry(ad=0)), document(answers=entry(records="x")), document(answers=entry(records=[1])), document(answers=entry(records=[])),
        document(answers=entry(status="nxdomain")), document(answers=entry() + entry(records=["y"])), document(answers=entry() * 10_001),
        b" " * (MAX_OCTETS + 1), document(own_records=[]), document(own_records={"x": {}}), document(own_records={"0": []}),
        document(own_records={"0": {"sent": {}}}), document(own_records={"0": {"sent": [{}]}}), document(own_records={"0": {"seen": [1]}}),
        document(own_records={"0": {"seen": [{"signature": 1, "rcpt_to": "", "at": "2026-01-01T00:00:00+00:00"}]}}),
        document(own_records={"0": {"seen": [{"signature": "", "rcpt_to": "", "at": "2026-01-01"}]}}),
        document(own_records={"0": {"keys": [{"name": "", "record": "", "first": "x", "last": None}]}}),
        document(own_records={"0": {"keys": [{}] * 201}}),
    ],
    ids=range(63),
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(data: bytes) -> None:
    began = time.perf_counter()
    with pytest.raises(EvidenceError) as refusal:
        read_evidence(data)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 400
    assert time.perf_counter() - began < 1


def test_a_file_cut_at_any_octet_is_refused_and_never_raises_anything_else() -> None:
    small = Evidence(
        {Question.of("a.test", "TXT"): Answer(AnswerStatus.ANSWER, ("v=DKIM1 \udcff",), 1)},
        {0: Opinion.FAIL},
        at=AT,
    )
    whole = write_evidence(small, SESSION).encode()
    for end in range(len(whole.rstrip())):
        with pytest.raises(EvidenceError):
            read_evidence(whole[:end])


def test_any_octet_changed_is_read_or_refused() -> None:
    whole = write_evidence(
        Evidence({Question.of("a.test", "A"): Answer(AnswerStatus.NODATA)}, at=AT), SESSION
    ).encode()
    for place in range(len(whole)):
        for octet in b'\x00"{}[]:,\\9\xff':
            try:
                read_evidence(whole[:place] + bytes((octet,)) + whole[place + 1 :])
            except EvidenceError as refusal:
                assert str(refusal)  # noqa: PT017 - whether it is raised depends on the octet


def test_members_that_are_not_known_are_passed_over() -> None:
    assert read_evidence(document(comment="made by hand", answers=entry(source="dig")))[0].answers
