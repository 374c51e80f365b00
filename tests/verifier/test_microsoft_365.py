"""What Microsoft 365 says in a header is told in words, and no combination of its fields changes any verdict."""

from __future__ import annotations

import itertools
import random
import time

import pytest

from tests.cases.attacks import ATTACKS
from tests.cases.genuine import ADDRESS, PROTECTED, genuine, zone
from tests.verifier.judging import judged, txt
from verifier.evidence import Session, SessionOrigin
from verifier.message import read_message
from verifier.microsoft_365 import MAX_TOLD, microsoft_fields
from verifier.report import Effect, Verdict

REST = b"From: a@b.test\r\n\r\nx\r\n"
BEFORE = b"Authentication-Results: spf=pass (sender IP is 192.0.2.1)\r\n smtp.mailfrom=b.test; dkim=none;dmarc=pass action=none\r\n header.from=b.test;"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("compauth=pass reason=100", "passed: the author's domain vouched"),
        ("compauth=pass reason=109", "passed: the author's domain vouched"),
        ("compauth=pass reason=130", "trusts vouched for it by ARC"),
        ("compauth=pass reason=702", "passed: the author's domain vouched"),
        ("compauth=fail reason=000", "asks that such mail be stopped"),
        ("compauth=fail reason=001", "publishes no or only a weak policy"),
        ("compauth=fail reason=002", "an administrator has forbidden"),
        ("compauth=fail reason=010", "mail of the receiving organisation"),
        ("compauth=fail reason=601", "mail of the receiving organisation"),
        ("compauth=softpass reason=202", "by a guess"),
        ("compauth=none reason=300", "not checked"),
        ("compauth=none reason=405", "passed over"),
        ("compauth=none reason=905", "passed over"),
        ("compauth=pass reason=000", "does not belong to “pass”"),
        ("compauth=pass reason=501", "not documented"),
        ("compauth=fail reason=099", "not documented"),
        ("compauth=pass", "composite authentication passed"),
    ],
)
@pytest.mark.parametrize("before", [BEFORE, b"Authentication-Results: ", b"Authentication-Results: mx.test; spf=none; "])
def test_composite_authentication_is_told_in_words(said: str, words: str, before: bytes) -> None:
    for text in (said, said.replace(" ", "\r\n "), said.replace("reason", "REASON").replace("compauth", "CompAuth")):
        (found,) = microsoft_fields(read_message(before + text.encode() + b"\r\n" + REST))
        assert found.evidence == said
        assert words in found.words


@pytest.mark.parametrize(
    ("field", "words"),
    [
        (b"X-MS-Exchange-Organization-AuthAs: Internal", "had logged in"),
        (b"X-MS-Exchange-Organization-AuthAs: Anonymous", "a stranger"),
        (b"X-MS-Exchange-CrossTenant-AuthAs:\r\n anonymous", "a stranger"),
        (b"x-ms-exchange-crosstenant-authas: INTERNAL ", "had logged in"),
        (b"X-Forefront-Antispam-Report: CIP:192.0.2.1;CTRY:US;SCL:1;SFV:NSPM;H:x.test;CAT:NONE;", "found no spam, it came from the address 192.0.2.1"),
        (b"X-Forefront-Antispam-Report:\r\n CIP:255.255.255.255;CTRY:;SFV:SKN;CAT:SPOOF;DIR:INB;", "past the filter, it was taken for a forged author"),
        (b"X-Forefront-Antispam-Report: CIP:2001:DB8::1;", "the address 2001:db8::1"),
    ],
)  # fmt: skip
def test_who_the_sender_was_and_what_the_filter_found_is_told_in_words(field: bytes, words: str) -> None:
    (found,) = microsoft_fields(read_message(field + b"\r\n" + field + b"\r\n" + REST))
    assert words in found.words


@pytest.mark.parametrize(
    "field",
    [
        b"Authentication-Results: compauth=genuine reason=100",
        b"Authentication-Results: xcompauth=pass reason=100",
        b"Authentication-Results: (compauth=pass reason=100)",
        b"Authentication-Results: compauth=passed",
        b"Authentication-Results: compauth=",
        b"Authentication-Results: " + b"x" * 9_000 + b"; compauth=pass reason=100",
        b"ARC-Authentication-Results: i=1; mx.microsoft.com 1; compauth=pass reason=100",
        b"X-MS-Exchange-Organization-AuthAs: Administrator",
        b"X-MS-Exchange-Organization-AuthAs: Internal, really",
        b"X-MS-Exchange-Organization-AuthAs: \xff\0",
        b"X-Forefront-Antispam-Report: SFV:<b>GOOD</b>;CAT:YOURS;CIP:experts.test",
        b"X-Forefront-Antispam-Report: ;;;:::",
        b"X-Forefront-Antispam-Report:",
    ],
)
def test_what_is_not_documented_is_not_told(field: bytes) -> None:
    assert microsoft_fields(read_message(field + b"\r\n" + REST)) == ()


def test_a_code_that_is_not_three_digits_is_left_out() -> None:
    for code in (b"1", b"12", b"1000", b"1x0", "١٠٠".encode()):
        found = microsoft_fields(read_message(b"Authentication-Results: compauth=pass reason=" + code + b"\r\n" + REST))
        assert [said.evidence for said in found] == ["compauth=pass"]


FIELDS = (
    *(f"Authentication-Results: spf=pass; dkim=pass; dmarc=pass; compauth={r}\r\n".encode() for r in ("pass reason=100", "fail reason=000", "none reason=900")),
    *(f"X-MS-Exchange-{n}-AuthAs: {w}\r\n".encode() for n in ("Organization", "CrossTenant") for w in ("Internal", "Anonymous")),
    *(f"X-Forefront-Antispam-Report: CIP:203.0.113.7;SFV:{w};CAT:{c}\r\n".encode() for w, c in (("NSPM", "NONE"), ("SPM", "SPOOF"), ("BLK", "PHSH"))),
    b"X-MS-Exchange-Organization-SCL: -1\r\n",
)  # fmt: skip
HEADS = [b"".join(chosen) for size in (1, 2, len(FIELDS)) for chosen in itertools.combinations(FIELDS, size)]
UNSIGNED = b"From: Defender Experts <" + ADDRESS.encode() + b">\r\nSubject: x\r\n\r\nx\r\n"
LIVE = Session("192.0.2.1", "h.test", "x@elsewhere.test", (), SessionOrigin.LIVE)


@pytest.mark.parametrize(
    ("raw", "session", "verdict"),
    [
        (genuine(0).raw, None, Verdict.GENUINE),
        (genuine(0).raw + b"More.\r\n", None, Verdict.UNPROVEN),
        (UNSIGNED, None, Verdict.UNPROVEN),
        (UNSIGNED, LIVE, Verdict.FORGED),
        (ATTACKS["display name"].make(genuine(0).raw), None, Verdict.FORGED),
        (REST, None, Verdict.NO_CLAIM),
    ],
)
def test_no_combination_of_fields_changes_a_verdict(raw: bytes, session: Session | None, verdict: Verdict) -> None:
    plain, *reports = judged([(head + raw, txt(zone()), session) for head in (b"", *HEADS)], PROTECTED)
    assert plain.verdict is verdict
    for report in reports:
        assert report.verdict is verdict
        assert report.sentence == plain.sentence
        assert [r._replace(unsigned=()) for r in report.dkim] == [r._replace(unsigned=()) for r in plain.dkim]
        assert (report.spf, report.dmarc, report.arc) == (plain.spf, plain.dmarc, plain.arc)
        told = [reason for reason in report.reasons if reason.code == "microsoft-365-fields"]
        assert all(reason.effect is Effect.INFORMS and "anybody can write" in reason.text for reason in told)
        assert tuple(reason for reason in report.reasons if reason not in told) == plain.reasons
        if verdict is Verdict.NO_CLAIM or session is not None:
            assert not told


def test_they_are_told_where_something_is_claimed() -> None:
    (report,) = judged([(FIELDS[0] + FIELDS[3] + UNSIGNED, txt(zone()), None)], PROTECTED)
    told = [reason for reason in report.reasons if reason.code == "microsoft-365-fields"]
    assert [reason.evidence for reason in told] == [
        "compauth=pass reason=100",
        "X-MS-Exchange-Organization-AuthAs: Internal",
    ]


def test_hostile_fields_are_read_in_no_time_and_little_is_told() -> None:
    rows = [f"Authentication-Results: compauth=pass reason={n:03}\r\n".encode() for n in range(500)]
    rows += [b"Authentication-Results: " + b"compauth=pass " * 600 + b"\r\n", b"Authentication-Results: compauth=pass" + b" " * 9_000 + b"reason=1\r\n"]
    rows += [b"X-Forefront-Antispam-Report: " + b"CIP:;" * 5_000 + b"\r\n"] * 100  # fmt: skip
    for order in (rows, rows[::-1]):
        message = read_message(b"".join(order) + REST)
        started = time.process_time()
        assert len(microsoft_fields(message)) <= MAX_TOLD
        assert time.process_time() - started < 1


def test_cut_off_and_broken_bytes_never_raise_and_tell_nothing_of_their_own() -> None:
    chance = random.Random(365)
    head = b"".join(FIELDS)
    for end in range(len(head)):
        microsoft_fields(read_message(head[:end]))
    for _ in range(500):
        broken = bytearray(head)
        for _ in range(chance.randrange(1, 20)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        for said in microsoft_fields(read_message(bytes(broken) + REST)):
            assert (said.words + said.evidence).isprintable()
