"""DKIM by the rules of RFC 6376, RFC 8301 and RFC 8463, one row a rule, and by the published vectors."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.verifier.signing import AT, GOOD, HEADERS, ed_record, result, results, rsa_record, signed, zone
from verifier.dkim import MAX_SIGNATURES, check_dkim
from verifier.dkim_reason import RESULT_OF, DkimReason, Weakness
from verifier.evidence import Absent, Answer, AnswerStatus, Evidence, Question, conclude
from verifier.message import read_message
from verifier.report import AuthResult

NOW = int(AT.timestamp())


def _key(answer: Answer) -> Evidence:
    return Evidence({Question.of("rsa._domainkey.example.com", "TXT"): answer}, absent=Absent.NXDOMAIN)


def _rsa(text: str) -> Evidence:
    return zone(rsa=text)


# --- what passes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "raw"),
    [
        ("3.3.1 rsa-sha256", signed()),
        ("RFC 8463 3 ed25519-sha256", signed(a="ed25519-sha256")),
        ("RFC 8301 3.2 an RSA key of 1024 bits", signed(bits=1024, s="small")),
        ("RFC 8301 3.2 an RSA key of 4096 bits", signed(bits=4096, s="large")),
        ("3.2 unknown tags are ignored", signed(foo="bar", zz_9="")),
        ("3.2 a final semicolon and white space around everything", signed(extra="x_y = z ;\t")),
        ("3.5 a= and c= are literals, which know no case", signed(a="RSA-SHA256", c="Relaxed/RELAXED")),
        ("3.5 q= names dns/txt among others", signed(q="x/y : dns/txt")),
        ("3.5 i= below d=", signed(i="@news.example.com")),
        ("3.5 i= in quoted-printable (2.11)", signed(i="=41lice@example=2Ecom")),
        ("3.5 t= now, x= later", signed(t=str(NOW), x=str(NOW + 60))),
        ("3.5 t= a little ahead: clocks differ", signed(t=str(NOW + 3_600))),
        ("5.4 h= may name what is not there", signed(h=HEADERS + ":from:x-none:reply-to")),
        ("3.5 h= with folding white space", signed(h="from : to:\r\n\t subject :date:message-id")),
    ],
)
def test_a_signature_that_keeps_the_rules_passes_and_is_acceptable(rule: str, raw: bytes):
    keys = zone(small=rsa_record(1024), large=rsa_record(4096))
    got = result(raw, keys)
    assert (got.result, got.reason, got.acceptable, got.weaknesses) == (AuthResult.PASS, None, True, ()), rule
    assert got.domain == "example.com"


@pytest.mark.parametrize(
    "text",
    [
        "p={p}",  # 3.6.1: all other tags have defaults
        "v=DKIM1;k=rsa;p={p};",
        "v=DKIM1; n=a note=with signs; p={p}; unknown=1",
        "v=DKIM1; h=sha1:sha256; p={p}",
        "v=DKIM1; s=email:other; p={p}",
        "v=DKIM1; s=*; p={p}",
        "v=DKIM1; t=s; p={p}",
        "v=DKIM1; t=x:z; p={p}",
        "v=DKIM1; g=nobody; p={p}",  # g= is of RFC 4871 and means nothing any more (RFC 6376 C.2)
    ],
)
def test_a_key_record_within_the_rules_is_used(text: str):
    assert result(signed(), _rsa(text.format(p=rsa_record().partition("p=")[2]))).acceptable


def test_folding_white_space_inside_the_key_and_the_signature_means_nothing():
    raw = signed()
    head, _, value = raw.partition(b"; b=")
    folded = head + b"; b=\r\n " + value[:50] + b"\r\n\t" + value[50:]
    text = rsa_record()
    assert result(folded, _rsa(text[:60] + " \t " + text[60:])).acceptable


def test_the_rfc_8463_message_passes_with_both_of_its_signatures(shared_data: Path):
    folder = shared_data / "dkim-dkimpy"
    raw = (folder / "rfc6376.signed.msg").read_bytes()
    raw = raw if b"\r\n" in raw else raw.replace(b"\n", b"\r\n")
    keys = {
        "brisbane": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",  # RFC 8463 A.2
        "test": (folder / "test.txt").read_text("ascii").strip(),
    }
    answers = {
        Question.of(f"{selector}._domainkey.football.example.com", "TXT"): Answer(
            AnswerStatus.ANSWER, (text,)
        )
        for selector, text in keys.items()
    }
    got = results(raw, Evidence(answers, absent=Absent.NXDOMAIN))
    assert [(r.result, r.algorithm, r.acceptable) for r in got] == [
        (AuthResult.PASS, "ed25519-sha256", True),
        (AuthResult.PASS, "rsa-sha256", True),
    ]
    assert got[0].oversigned == ("from", "subject", "date")


# --- what does not -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "raw", "reason"),
    [
        ("3.5 v= must be there", signed(v=None), DkimReason.MISSING_TAG),
        ("3.5 v= must be 1", signed(v="2"), DkimReason.UNSUPPORTED_VERSION),
        ("3.5 a= must be there", signed().replace(b"a=rsa-sha256; ", b""), DkimReason.MISSING_TAG),
        ("6.1.1 an unknown algorithm", signed(a="rsa-md5"), DkimReason.UNSUPPORTED_ALGORITHM),
        ("3.5 d= must be there", signed(d=None), DkimReason.MISSING_TAG),
        ("3.5 s= must be there", signed(s=None), DkimReason.MISSING_TAG),
        ("3.5 s= must not be empty", signed(s=""), DkimReason.MISSING_TAG),
        ("3.5 bh= must be there", signed(bh=None), DkimReason.MISSING_TAG),
        ("3.5 bh= is a hash", signed(bh="AAAA"), DkimReason.SIGNATURE_SYNTAX),
        ("3.5 bh= is base64", signed(bh="*"), DkimReason.SIGNATURE_SYNTAX),
        ("3.5 h= must be there", signed(h=None), DkimReason.MISSING_TAG),
        ("3.5 h= holds no empty name", signed(h="from::to"), DkimReason.SIGNATURE_SYNTAX),
        ("3.5 h= must hold From", signed(h="to:subject"), DkimReason.FROM_NOT_SIGNED),
        ("3.5 c= must be known", signed(c="relaxed/fancy"), DkimReason.UNSUPPORTED_CANONICALIZATION),
        ("3.5 q= must name dns/txt", signed(q="dns"), DkimReason.UNSUPPORTED_QUERY),
        ("3.5 d= is a domain name", signed(d="exa_mple.com"), DkimReason.SIGNATURE_SYNTAX),
        ("3.5 d= has two labels or more", signed(d="com"), DkimReason.SIGNATURE_SYNTAX),
        ("3.5 d= has no address in it", signed(d="a@example.com"), DkimReason.SIGNATURE_SYNTAX),
        ("3.5 a label has 63 octets", signed(s="a" * 64), DkimReason.SIGNATURE_SYNTAX),
        ("RFC 1035 a name has 253 octets", signed(s=".".join(["a" * 60] * 4)), DkimReason.SIGNATURE_SYNTAX),
        ("3.5 s= has no NUL", signed(s="rsa._domainkey.example.com.\0.x"), DkimReason.SIGNATURE_SYNTAX),
        ("3.5 i= is at d= or below", signed(i="@evil.test"), DkimReason.IDENTITY_MISMATCH),
        ("3.5 i= is no other domain's end", signed(i="@badexample.com"), DkimReason.IDENTITY_MISMATCH),
        ("3.5 i= has an at-sign", signed(i="example.com"), DkimReason.SIGNATURE_SYNTAX),
        ("3.2 a tag occurs once", signed(extra="d=evil.test; "), DkimReason.SIGNATURE_SYNTAX),
        ("3.2 a tag has a name", signed(extra="=x; "), DkimReason.SIGNATURE_SYNTAX),
        ("3.2 names start with a letter", signed(extra="9a=x; "), DkimReason.SIGNATURE_SYNTAX),
        ("3.2 a tag has an equals sign", signed(extra="oops; "), DkimReason.SIGNATURE_SYNTAX),
        ("3.2 values are printable ASCII", signed(extra="n=\xe4; "), DkimReason.SIGNATURE_SYNTAX),
        ("3.5 l= is a number", signed(l="-1"), DkimReason.SIGNATURE_SYNTAX),
        ("3.5 l= is not empty", signed(l=""), DkimReason.SIGNATURE_SYNTAX),
        ("3.5 l= is at most the body", signed(l="99999"), DkimReason.LENGTH_TOO_LARGE),
        ("3.5 l= has 76 digits at most", signed(l="9" * 77), DkimReason.SIGNATURE_SYNTAX),
        ("3.5 t= is a number", signed(t="now"), DkimReason.SIGNATURE_SYNTAX),
        ("3.5 t= has 12 digits at most", signed(t="9" * 13), DkimReason.SIGNATURE_SYNTAX),
        ("3.5 x= is later than t=", signed(t=str(NOW), x=str(NOW)), DkimReason.SIGNATURE_SYNTAX),
        ("3.5 x= in the past", signed(x=str(NOW - 1)), DkimReason.EXPIRED),
        ("3.5 t= days ahead", signed(t=str(NOW + 200_000)), DkimReason.TIME_IN_FUTURE),
        ("RFC 8301 3.1 rsa-sha1", signed().replace(b"rsa-sha256", b"rsa-sha1"), DkimReason.WEAK_ALGORITHM),
        ("3.5 l= is what bh= was made of", signed(l="5"), DkimReason.BODY_CHANGED),
        ("6.1.3 a changed body", signed() + b"x\r\n", DkimReason.BODY_CHANGED),
        ("6.1.3 a changed field", signed().replace(b": hi", b": ho"), DkimReason.SIGNATURE_MISMATCH),
        ("6.1.3 an empty b=", signed().partition(b"; b=")[0] + b"; b=\r\n" + GOOD, DkimReason.MISSING_TAG),
        ("6.1.3 a short b=", signed().partition(b"; b=")[0] + b"; b=AAAA\r\n" + GOOD, DkimReason.SIGNATURE_MISMATCH),
        ("8.15 a second From", b"From: evil@evil.test\r\n" + signed(), DkimReason.EXTRA_FROM),
        ("8.14 a line that is no field", b"no field\r\n" + signed(), DkimReason.MALFORMED_HEADER),
        ("8.14 a first line that continues nothing", b" x\r\n" + signed(), DkimReason.MALFORMED_HEADER),
        ("6.1.2 no key there", signed(s="none"), DkimReason.NO_KEY),
        ("3.6.1 k= is not that of a=", signed(s="ed"), DkimReason.KEY_TYPE),
        ("RFC 8463 4 nor the other way round", signed(a="ed25519-sha256", s="rsa"), DkimReason.KEY_TYPE),
    ],
)  # fmt: skip
def test_a_signature_that_breaks_a_rule_gets_its_reason(rule: str, raw: bytes, reason: DkimReason):
    got = result(raw)
    assert (got.reason, got.result, got.acceptable) == (reason, RESULT_OF[reason], False), rule
    assert got.detail


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", DkimReason.KEY_SYNTAX),
        ("v=spf1 -all", DkimReason.KEY_SYNTAX),
        ("v=DKIM1; p=", DkimReason.KEY_REVOKED),
        ("v=DKIM1; k=rsa", DkimReason.KEY_SYNTAX),
        ("v=DKIM2; p={p}", DkimReason.KEY_SYNTAX),
        ("k=rsa; v=DKIM1; p={p}", DkimReason.KEY_SYNTAX),  # v= comes first
        ("v=DKIM1; p={p}; p={p}", DkimReason.KEY_SYNTAX),
        ("v=DKIM1; p=%%%", DkimReason.KEY_SYNTAX),
        ("v=DKIM1; p=AAAA", DkimReason.KEY_SYNTAX),
        ("v=DKIM1; k=ed25519; p=AAAA", DkimReason.KEY_SYNTAX),
        ("v=DKIM1; k=dsa; p={p}", DkimReason.KEY_TYPE),
        ("v=DKIM1; h=sha1; p={p}", DkimReason.KEY_HASH),
        ("v=DKIM1; s=tlsrpt; p={p}", DkimReason.KEY_SERVICE),
        ("v=DKIM1; n=\udcff; p={p}", DkimReason.KEY_SYNTAX),
        ("v=DKIM1; n=" + "x" * 5_000 + "; p={p}", DkimReason.KEY_SYNTAX),
        (
            (
                "v=DKIM1; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALgSoqXVSEmfcIsOzw7oRuCCOwsmtX/SJnTWxYyj2leFxfS/"
                "AVJ+dYfY+hXqMsT7l+MZvvh/R1WzN4MO/kI/7XsCAwEAAQ=="
            ),
            DkimReason.WEAK_KEY,
        ),  # 512 bits (RFC 8301 3.2)
    ],
)
def test_a_key_record_outside_the_rules_gives_its_reason(text: str, reason: DkimReason):
    got = result(signed(), _rsa(text.format(p=rsa_record().partition("p=")[2])))
    assert (got.reason, got.result) == (reason, RESULT_OF[reason])


@pytest.mark.parametrize("status", [AnswerStatus.SERVFAIL, AnswerStatus.TIMEOUT])
def test_a_key_that_could_not_be_fetched_is_a_temporary_error(status: AnswerStatus):
    got = result(signed(), _key(Answer(status)))
    assert (got.result, got.reason) == (AuthResult.TEMPERROR, DkimReason.KEY_UNAVAILABLE)


@pytest.mark.parametrize("status", [AnswerStatus.NXDOMAIN, AnswerStatus.NODATA])
def test_a_key_that_is_not_there_is_a_permanent_error(status: AnswerStatus):
    got = result(signed(), _key(Answer(status)))
    assert (got.result, got.reason) == (AuthResult.PERMERROR, DkimReason.NO_KEY)


def test_of_several_key_records_one_that_verifies_is_enough():
    other = rsa_record(1024)
    both = Answer(AnswerStatus.ANSWER, ("v=spf1 -all", other, rsa_record()))
    assert result(signed(), _key(both)).acceptable
    got = result(signed(), _key(Answer(AnswerStatus.ANSWER, ("v=spf1 -all", other))))
    assert got.reason is DkimReason.SIGNATURE_MISMATCH
    got = result(signed(), _key(Answer(AnswerStatus.ANSWER, ("nonsense", "v=DKIM1; p="))))
    assert got.reason is DkimReason.KEY_REVOKED, "a record that is no key hides no other's reason"


def test_a_key_for_its_domain_alone_refuses_an_identity_below_it():
    flagged = _rsa(rsa_record().replace("k=rsa", "k=rsa; t=s"))  # 3.6.1 t=s
    assert result(signed(i="@news.example.com"), flagged).reason is DkimReason.KEY_SUBDOMAIN
    assert result(signed(i="@example.com"), flagged).acceptable


def test_a_testing_key_gives_its_result_and_is_not_acceptable():
    flagged = _rsa(rsa_record().replace("k=rsa", "k=rsa; t=y:s"))  # 3.6.1 t=y
    got = result(signed(), flagged)
    assert (got.result, got.testing, got.acceptable) == (AuthResult.PASS, True, False)
    assert got.weaknesses == (Weakness.TESTING_KEY,)
    assert result(signed() + b"x\r\n", flagged).testing


def test_a_length_limit_is_policy_even_when_it_covers_the_whole_body():
    got = result(signed(l="14"))  # "Hello world" and CRLF make 13, so that this one is too large
    assert got.reason is DkimReason.LENGTH_TOO_LARGE
    got = result(signed(l="13"))
    assert (got.result, got.reason) == (AuthResult.POLICY, DkimReason.BODY_LENGTH_LIMIT)


# --- what passes and proves too little ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "raw", "weakness"),
    [
        ("8.15 a second Subject", b"Subject: EVIL\r\n" + signed(), "duplicate-field:subject"),
        ("8.15 a second To", b"To: x@y.test\r\n" + signed(), "duplicate-field:to"),
        ("5.4.1 Reply-To added", b"Reply-To: e@evil.test\r\n" + signed(), "unsigned-field:reply-to"),
        (
            "5.4.1 Content-Type added",
            b"Content-Type: text/html\r\n" + signed(),
            "unsigned-field:content-type",
        ),
        ("5.4.1 Subject unsigned", signed(h="from:date"), "unsigned-field:subject"),
        ("5.4.1 Date unsigned", signed(h="from:subject"), "unsigned-field:date"),
        ("RFC 5322 4.5.8 blanks before a colon", b"X-Odd : 1\r\n" + signed(), "malformed-header"),
        ("RFC 5322 4 NUL in the header", b"X-Odd: \0\r\n" + signed(), "nul"),
        ("RFC 5322 2.3 bare LF in the header", b"X-Odd: 1\n" + signed(), "bare-line-end"),
        ("RFC 5322 2.3 bare CR in the header", b"X-Odd: \r1\r\n" + signed(), "bare-line-end"),
        ("RFC 5322 2.3 bare LF in the body", signed(GOOD + b"a\nb\r\n"), "bare-line-end"),
        ("RFC 5322 2.3 bare CR in the body", signed(GOOD + b"a\rb\r\n"), "bare-line-end"),
    ],
)
def test_a_pass_that_leaves_what_people_see_open_is_not_acceptable(rule: str, raw: bytes, weakness: str):
    got = result(raw)
    assert (got.result, got.acceptable) == (AuthResult.PASS, False), rule
    assert weakness in got.weaknesses, rule


def test_a_field_that_stands_twice_is_a_weakness_even_if_both_are_signed():
    twice = GOOD.replace(b"To: ", b"Cc: a@example.net\r\nCc: b@example.net\r\nTo: ")
    assert result(signed(twice, h=HEADERS + ":cc:cc")).weaknesses == ("duplicate-field:cc",)


def test_fields_nobody_is_shown_are_no_weakness():
    assert result(b"X-Spam: no\r\nReceived: from x\r\n" + signed()).acceptable


def test_recipients_may_be_unsigned_since_microsoft_365_signs_none():
    got = result(
        signed(h="From:Date:Subject:Message-ID:Content-Type:MIME-Version:X-MS-Exchange-SenderADCheck")
    )
    assert got.acceptable
    assert got.unsigned == ("to",)


def test_signed_oversigned_and_unsigned_fields_are_told_apart():
    raw = b"X-Late: 1\r\nX-Late: 2\r\n" + signed(
        b"X-Late: 0\r\n" + GOOD, h="from:from:subject:date:x-late:reply-to"
    )
    got = result(raw)
    assert got.signed == ("from", "subject", "date", "x-late", "reply-to")
    assert got.oversigned == ("from", "reply-to")
    assert got.unsigned == ("x-late", "to", "message-id")


# --- several signatures ------------------------------------------------------------------------------------


def test_each_signature_has_its_own_result_topmost_first():
    raw = signed(signed(a="ed25519-sha256"), s="none")
    got = results(raw)
    assert [(r.position, r.result) for r in got] == [(0, AuthResult.PERMERROR), (1, AuthResult.PASS)]


def test_signatures_past_the_limit_are_reported_and_not_looked_at():
    one = signed().partition(b"From:")[0]
    asked: set[Question] = set()
    check = check_dkim(read_message(one * 99 + signed()), AT)
    next(check)
    asked |= check.send(Evidence())
    assert asked == {Question.of("rsa._domainkey.example.com", "TXT")}
    got = results(one * 99 + signed())
    assert len(got) == 100
    assert all(r.acceptable for r in got[:MAX_SIGNATURES])
    assert {(r.result, r.reason) for r in got[MAX_SIGNATURES:]} == {
        (AuthResult.POLICY, DkimReason.TOO_MANY_SIGNATURES)
    }


def test_all_keys_are_asked_for_in_one_round():
    check = check_dkim(read_message(signed(signed(a="ed25519-sha256"))), AT)
    assert next(check) == frozenset()
    assert len(check.send(Evidence())) == 2


def test_a_message_without_signatures_has_no_results_and_asks_nothing():
    assert conclude(check_dkim(read_message(GOOD), AT), Evidence()) == ()


def test_time_is_an_argument():
    raw = signed(t="1000", x="2000")
    assert result(raw, at=datetime.fromtimestamp(1_500, UTC)).acceptable
    assert result(raw, at=datetime.fromtimestamp(2_001, UTC)).reason is DkimReason.EXPIRED
    ahead = datetime.fromtimestamp(1_000, UTC) - timedelta(days=1, seconds=1)
    assert result(raw, at=ahead).reason is DkimReason.TIME_IN_FUTURE


def test_every_reason_has_its_word():
    assert set(RESULT_OF) == set(DkimReason)
    assert ed_record().startswith("v=DKIM1; k=ed25519")


# --- published vectors -------------------------------------------------------------------------------------


def test_every_vector_of_dkim_edge_is_as_expected(shared_data: Path):
    vectors = json.loads((shared_data / "dkim-edge" / "vectors.json").read_text("utf-8"))
    wrong = {}
    for vector in vectors:
        evidence = Evidence(
            {Question.of(n, "TXT"): Answer(AnswerStatus.ANSWER, (t,)) for n, t in vector["zone"].items()},
            absent=Absent.NXDOMAIN,
        )
        got = result(base64.b64decode(vector["msg"]), evidence)
        allowed = vector["expect"].split("-or-")
        fine = got.result in allowed or (vector["expect"] == "policy" and not got.acceptable)
        if vector["id"] in ("base-rsa", "base-ed"):
            fine = got.acceptable
        if vector["id"] == "t-y":
            fine = fine and got.testing and not got.acceptable
        if not fine:
            wrong[vector["id"]] = got
    assert len(vectors) == 28
    assert not wrong


# Signed by drafts of DKIM before RFC 4871 (v= absent or not 1): RFC 6376 3.5 refuses them.
DRAFTS = frozenset(
    {
        *(f"good_ietf00_{n}.txt" for n in range(1, 6)),
        *(f"good_ietf01_{n}.txt" for n in range(1, 3)),
        "multiple_1.txt",
    }
)
# DomainKeys (RFC 4870), which is historic: there is no DKIM-Signature to judge.
DOMAINKEYS = frozenset(
    {
        *(f"good_dk_{n}.txt" for n in range(1, 8)),
        "good_dk_gmail.txt",
        "good_dk_yahoo.txt",
        *(f"bad_dk_{n}.txt" for n in range(1, 6)),
        "dk_headers_1.txt",
        "dk_headers_2.txt",
        "dk_multiple_1.txt",
    }
)
# Sound when they were signed, with rsa-sha1: RFC 8301 3.1 forbids to verify them.
SHA1 = frozenset(
    {
        "good_1878523.txt",
        "good_83176.txt",
        *(f"good_qp_{n}.txt" for n in range(1, 4)),
        "good_rfc4871_3.txt",
        "good_rfc4871_4.txt",
        *(f"goodkey_{n}.txt" for n in range(1, 5)),
    }
)


def test_the_mail_dkim_corpus_agrees_with_its_file_names(shared_data: Path):
    folder = shared_data / "dkim-mail-dkim-corpus"
    answers = {}
    for line in (folder / "FAKE_DNS.dat").read_text("utf-8").splitlines():
        name, _, text = line.partition(" ")
        if not name or name.startswith("#"):
            continue
        text = text.strip()
        status = AnswerStatus.ANSWER
        if text == "NXDOMAIN":
            status = AnswerStatus.NXDOMAIN
        elif text.startswith("~~"):
            status = AnswerStatus.TIMEOUT
        answers[Question.of(name, "TXT")] = Answer(status, (text.strip('"'),) if status == "answer" else ())
    evidence = Evidence(answers, absent=Absent.NXDOMAIN)
    files = sorted((folder / "corpus").iterdir())
    wrong = {}
    for file in files:
        raw = file.read_bytes()
        raw = raw if b"\r\n" in raw else raw.replace(b"\n", b"\r\n")
        got = {(str(r.result), r.reason) for r in results(raw, evidence)}
        words = {word for word, _ in got}
        if file.name in DOMAINKEYS:
            fine = not got
        elif file.name in DRAFTS:
            fine = words == {"permerror"}
        elif file.name in SHA1:
            fine = got == {("policy", DkimReason.WEAK_ALGORITHM)}
        elif file.name.startswith("good"):
            fine = words == {"pass"}
        else:  # bad_, badkey_, ignore_, mine_ (unknown tags of drafts), no_body_, multiple_2 (rsa-sha1 and errors)
            fine = bool(got) and "pass" not in words
        if not fine:
            wrong[file.name] = got
    assert len(files) == 79
    assert not wrong


def test_a_nul_in_the_body_is_a_weakness_as_in_the_header():
    got = result(signed(GOOD.replace(b"Hello", b"Hel\0lo")))
    assert (got.result, got.acceptable) == (AuthResult.PASS, False)
    assert "nul" in got.weaknesses


def test_an_unsigned_disposition_that_hides_the_text_is_a_weakness():
    got = result(b"Content-Disposition: attachment; filename=a.exe\r\n" + signed())
    assert "unsigned-field:content-disposition" in got.weaknesses


# --- RFC 8616: internationalised signers -------------------------------------------------------------------


def _u(text: str) -> str:
    """UTF-8 as ``signed`` takes it: octet for octet."""
    return text.encode().decode("latin-1")


BUECHER = "xn--bcher-kva.example"


def _buecher(selector: str = "rsa") -> Evidence:
    answer = Answer(AnswerStatus.ANSWER, (rsa_record(),), 300)
    return Evidence({Question.of(f"{selector}._domainkey.{BUECHER}", "TXT"): answer}, absent=Absent.NXDOMAIN)


@pytest.mark.parametrize(
    ("selector", "tags"),
    [
        ("rsa", {"d": _u("bücher.example")}),
        ("rsa", {"d": _u("BÜCHER.example")}),
        ("rsa", {"d": BUECHER}),
        ("rsa", {"d": BUECHER, "i": _u("jörg@bücher.example")}),
        ("rsa", {"d": _u("bücher.example"), "i": _u("@news.bücher.example")}),
        ("rsa", {"d": _u("bücher.example"), "i": f"@{BUECHER}"}),
        ("xn--schlssel-95a", {"d": _u("bücher.example"), "s": _u("schlüssel")}),
    ],
)
def test_a_signer_may_be_written_in_u_labels_and_is_told_in_a_labels(
    selector: str, tags: dict[str, str]
) -> None:
    got = result(signed(**tags), _buecher(selector))
    assert (got.result, got.domain, got.selector) == (AuthResult.PASS, BUECHER, selector)


@pytest.mark.parametrize(
    "tags",
    [
        {"d": "b\xfccher.example"},  # Latin-1
        {"d": _u("b\u200bücher.example")},  # zero width
        {"d": _u("bücher\x85.example")},  # a control character of Unicode
        {"d": _u("\u2126.example")},  # a compatible form: IDNA2008 has no such label
        {"d": _u("bücher..example")},
        {"d": _u("bücher")},
        {"d": _u("ü" * 200 + ".example")},
        {"s": _u("schlüssel\u202e")},
        {"i": _u("@bücher.example")},  # not below d=
        {"h": _u("from:tö")},
        {"bh": _u("ü")},
        {"a": _u("rsa-sha256ü")},
    ],
)
def test_what_is_no_name_in_any_script_is_refused(tags: dict[str, str]) -> None:
    got = result(signed(**tags), zone())
    assert got.result is AuthResult.PERMERROR
    assert got.reason in {
        DkimReason.SIGNATURE_SYNTAX,
        DkimReason.IDENTITY_MISMATCH,
        DkimReason.UNSUPPORTED_ALGORITHM,
    }


# RFC 8032 5.1.7 with A of small order: S = 0 and a suitable R of small order satisfy the equation for any message.
_SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]


@pytest.mark.parametrize("key", _SMALL_ORDER)
def test_an_ed25519_key_under_which_anything_verifies_proves_nothing(key: str):
    record = "v=DKIM1; k=ed25519; p=" + base64.b64encode(bytes.fromhex(key)).decode()
    for point in _SMALL_ORDER:
        forged = base64.b64encode(bytes.fromhex(point) + bytes(32))
        raw = re.sub(rb" b=[A-Za-z0-9+/=]+", b" b=" + forged, signed(a="ed25519-sha256"), count=1)
        assert result(raw, zone(ed=record)).result is not AuthResult.PASS


@pytest.mark.parametrize(("first", "last", "more"), [(0, 63, b""), (1, 64, b""), (0, 64, b"\0"), (0, 1, b"")])
def test_an_ed25519_signature_has_64_octets(first: int, last: int, more: bytes):
    def changed(found: re.Match[bytes]) -> bytes:
        return b" b=" + base64.b64encode(base64.b64decode(found[1])[first:last] + more)

    raw = signed(a="ed25519-sha256")
    assert result(raw).result is AuthResult.PASS
    shorter = re.sub(rb" b=([A-Za-z0-9+/=]+)", changed, raw, count=1)
    assert result(shorter).result is AuthResult.FAIL
