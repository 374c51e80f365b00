"""What the next hop gets: our fields on top, forged ones gone, every other octet as it came, and a seal that holds."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import dkim
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import mailauth
from smtp_gateway.authentication_results import is_forged
from smtp_gateway.envelope import Envelope, Peer, Recipient
from smtp_gateway.paths import Path as MailPath
from smtp_gateway.relay_fields import Border, UnfitError, passages, relayed, without_forged
from smtp_gateway.routes import Route, RouteKind
from tests.verifier.signing import rsa_key, rsa_record
from verifier.arc import check_arc
from verifier.arc_seal import Sealer
from verifier.evidence import Answer, AnswerStatus, Evidence, Question, conclude
from verifier.message import MAX_FIELDS, read_message
from verifier.report import (
    ArcResult,
    AuthorView,
    AuthResult,
    DmarcResult,
    Effect,
    Reason,
    Report,
    SpfResult,
    Verdict,
)

OURS = "mx.experts.test"
AT = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)
RAW = (
    b"Received: from a.test ([192.0.2.1]) by b.test; Wed, 25 Nov 2026 09:00:00 +0000\r\n"
    b"From: Ana <ana@contoso.test>\r\nTo: bob@customer.test\r\nSubject: Hello\r\n\tand more\r\n"
    b"Date: Wed, 25 Nov 2026 09:00:00 +0000\r\nMessage-ID: <1@contoso.test>\r\n\r\n.\r\nWords and\tmore  words.\r\n\r\n"
)
REPORT = Report(
    verdict=Verdict.UNPROVEN,
    sentence="",
    author=AuthorView("ana@contoso.test", "contoso.test", "Ana"),
    claims=(),
    dkim=(),
    spf=SpfResult(AuthResult.PASS),
    dmarc=DmarcResult(AuthResult.PASS, "reject"),
    arc=ArcResult(),
    reasons=(
        Reason("no-signature", "There is none.", None, Effect.INFORMS),
        Reason("no-signature", "Twice.", None, Effect.INFORMS),
        Reason("dmarc-pass", "It passes.", None, Effect.INFORMS),
        Reason("evil;\r\nX: y", "No code of ours.", None, Effect.INFORMS),
    ),
)


def _sign(digest: bytes) -> bytes:
    return rsa_key(1024).sign(digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))


SEALER = Sealer("experts.test", "s1", "rsa-sha256", _sign)
PLAIN = Border(OURS, OURS)
SEALING = Border(OURS, OURS, SEALER)
RECORDS = {"s1._domainkey.experts.test": rsa_record(1024), "s1._domainkey.other.test": rsa_record(1024)}


def envelope(raw: bytes = RAW, mail_from: str = "ana@contoso.test") -> Envelope:
    local, _, domain = mail_from.rpartition("@")
    return Envelope(
        id="01KAVJ8ZZZ0000000000000000",
        peer=Peer("c1", "192.0.2.9", 4711, "mail.contoso.test", extended=True),
        mail_from=MailPath(local, domain),
        recipients=(Recipient(MailPath("bob", "customer.test"), Route(RouteKind.QUERY)),),
        smtputf8=False,
        raw=raw,
        digest=b"",
        received_at=AT,
    )


def given_to_the_hop(
    raw: bytes = RAW, border: Border = PLAIN, report: Report = REPORT, *, flagged: bool = False
) -> bytes:
    return relayed(read_message(raw), report, envelope(raw), border, flagged=flagged)


# -- what is added --------------------------------------------------------------------------------------
def test_our_fields_stand_on_top_in_order_and_all_below_is_as_it_came() -> None:
    out = given_to_the_hop()
    assert out.endswith(RAW)
    assert out.removesuffix(RAW).decode() == (
        "X-Expertmail-Verdict: unproven;\r\n\treasons=no-signature,dmarc-pass;\r\n\tid=01KAVJ8ZZZ0000000000000000\r\n"
        "Authentication-Results: mx.experts.test;\r\n\tdkim=none;\r\n\tspf=pass smtp.mailfrom=ana@contoso.test;\r\n"
        "\tdmarc=pass header.from=contoso.test policy.dmarc=reject;\r\n\tarc=none\r\n"
        "Received: from mail.contoso.test ([192.0.2.9])\r\n\tby mx.experts.test with ESMTP id"
        " 01KAVJ8ZZZ0000000000000000\r\n\tfor <bob@customer.test>;\r\n\tWed, 25 Nov 2026 10:00:00 +0000\r\n"
    )


def test_a_tagged_message_bears_the_flag_once() -> None:
    raw = b"X-Expertmail-Flag: NO\r\n" + RAW
    fields = read_message(given_to_the_hop(raw, flagged=True)).named(b"x-expertmail-flag")
    assert [field.value for field in fields] == [b" YES"]
    assert b"X-Expertmail-Flag" not in given_to_the_hop(raw)


def test_a_verdict_without_reasons_and_one_with_a_hundred_stay_within_a_line() -> None:
    bare = given_to_the_hop(report=replace(REPORT, reasons=()))
    assert bare.startswith(b"X-Expertmail-Verdict: unproven;\r\n\tid=")
    many = tuple(Reason(f"{'code-' * 8}{n}", "", None, Effect.INFORMS) for n in range(100))
    out = given_to_the_hop(report=replace(REPORT, reasons=many))
    assert max(map(len, out.split(b"\r\n"))) <= 998


# -- what is taken out ----------------------------------------------------------------------------------
FORGED = [
    b"Authentication-Results: mx.experts.test; dkim=pass",
    b"authentication-results:MX.Experts.Test.; spf=pass",
    b"Authentication-Results: mx.experts.test",
    b"Authentication-Results:\r\n (hello) mx.experts.test 1;\r\n\tdmarc=pass",
    b'Authentication-Results: "mx.experts.test"; dkim=pass',
    b"Authentication-Results : mx.experts.test; dkim=pass",
    b"Authentication-Results\r\n : mx.experts.test; dkim=pass",
    b"Authentication-Results: mx.experts.test; dkim=\xff\xfe",
    b"X-Expertmail-Verdict: genuine; id=1",
    b"x-EXPERTMAIL-flag: NO\r\n folded\r\n\tagain",
    b"X-Expertmail-: nothing",
    b"X-Expertmail-Verdict \t: genuine",
]
HONEST = [
    b"Authentication-Results: mx.other.test; dkim=pass",
    b"Authentication-Results: mx.experts.test.evil.test; dkim=pass",
    b"X-Expertmail: not one of ours",
    b"X-Other: X-Expertmail-Verdict: genuine",
    b"Subject: folded\r\n X-Expertmail-Verdict: genuine",
    b"From: Ana <ana@contoso.test>",
    b"Received: by mx.experts.test; Wed, 25 Nov 2026 09:00:00 +0000",
    b"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=x.test; s=y; b=eA==",
    b"no field at all",
    b"no field X-Expertmail-Verdict: genuine",
    b"X-Empty:",
    b"Subject: caf\xc3\xa9 and \xff",
]


@pytest.mark.parametrize("line", FORGED)
def test_a_forged_field_is_gone_wherever_it_stands(line: bytes) -> None:
    first, rest = RAW.split(b"\r\n", 1)
    for raw in (line + b"\r\n" + RAW, first + b"\r\n" + line + b"\r\n" + rest):
        assert without_forged(read_message(raw), OURS) == RAW
    assert without_forged(read_message(line + b"\r\n\r\n" + RAW), OURS) == b"\r\n" + RAW


@pytest.mark.parametrize("line", HONEST)
def test_any_other_line_stays(line: bytes) -> None:
    raw = line + b"\r\n" + FORGED[0] + b"\r\n" + RAW
    assert without_forged(read_message(raw), OURS) == line + b"\r\n" + RAW


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 11)), max_size=12),
    st.sampled_from([b"\r\nbody X-Expertmail-Verdict: genuine\r\n", b"\r\n", b"\r\n\r\n\r\n", b""]),
)
def test_only_what_is_forged_goes_and_the_rest_is_the_same_to_the_octet(header, body) -> None:
    lines = [(FORGED if forged else HONEST)[at] for forged, at in header]
    wanted = [line for line, (forged, _) in zip(lines, header, strict=True) if not forged]
    raw = b"".join(line + b"\r\n" for line in lines) + body
    assert without_forged(read_message(raw), OURS) == b"".join(line + b"\r\n" for line in wanted) + body


@given(
    st.lists(
        st.sampled_from([*FORGED, *HONEST, b"\r\n", b": ", b"X-Expertmail-", b"\t", b" ", b"a", b":"])
    ).map(b"".join)
)
@settings(max_examples=500)
def test_of_any_header_at_all_nothing_forged_is_left_and_nothing_is_added(raw) -> None:
    message = read_message(raw)
    try:
        left = without_forged(message, OURS)
    except UnfitError:
        assert raw[:1] in {b" ", b"\t"}
        return
    again = read_message(left)
    assert not [f for f in again.fields if f.lower.startswith(b"x-expertmail-")]
    assert not [f for f in again.named(b"authentication-results") if is_forged(f.value, OURS)]
    assert left[again.body_start :] == raw[message.body_start :]
    kept = iter(message.fields)
    assert all(any(field == one for one in kept) for field in again.fields)  # in their order
    assert len(left) <= len(raw) + 2


@pytest.mark.parametrize(
    "raw",
    [
        b" dkim=pass\r\n" + RAW,
        b"\tx\r\n" + RAW,
        b"X: y\r\n" * (MAX_FIELDS + 1) + FORGED[0] + b"\r\n" + RAW,
        b"X: " + b"y" * (1 << 20) + b"\r\n" + FORGED[0] + b"\r\n" + RAW,
        b"X: y\n" + RAW,
        b"X: y\rz\r\n" + RAW,
        b"X: y\0z\r\n" + RAW,
    ],
)
def test_a_header_that_is_not_read_to_its_end_or_would_continue_ours_is_not_relayed(raw: bytes) -> None:
    with pytest.raises(UnfitError):
        given_to_the_hop(raw)


@pytest.mark.parametrize(
    "raw", [b"", b"\r\n", b"\r\nbody\r\n", b"just words\r\n", b"just words", b"A: b", b"A: b\r\n"]
)
def test_a_message_without_a_header_or_without_a_body_passes_as_it_is(raw: bytes) -> None:
    assert given_to_the_hop(raw).endswith(b"+0000\r\n" + raw)


# -- the seal -------------------------------------------------------------------------------------------
def ours_says(raw: bytes) -> str:
    answers = {Question.of(n, "TXT"): Answer(AnswerStatus.ANSWER, (v,), 300) for n, v in RECORDS.items()}
    return conclude(check_arc(read_message(raw), AT), Evidence(answers)).result.value


def dkimpy_says(raw: bytes) -> str:
    records = {(name + ".").encode(): text.encode() for name, text in RECORDS.items()}
    return dkim.arc_verify(raw, dnsfunc=lambda name, **_: records.get(name))[0].decode()


_MAILAUTH = """
import { createRequire } from 'node:module';
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const job = JSON.parse(Buffer.concat(chunks).toString());
const { authenticate } = createRequire(job.module + '/')(job.module);
const resolver = async (name, type) => {
    const text = type === 'TXT' && job.records[name.toLowerCase()];
    if (!text) throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' });
    return [[text]];
};
const raw = Buffer.from(job.raw, 'base64');
const { arc } = await authenticate(raw, { trustReceived: false, disableBimi: true, minBitLength: 1024, resolver,
    ip: '192.0.2.9', helo: 'mail.contoso.test', sender: 'ana@contoso.test', mta: 'next.test' });
console.log(JSON.stringify(arc && arc.status.result));
"""


def mailauth_says(raw: bytes) -> str:
    module = str((mailauth.FOLDER / "node_modules" / "mailauth").resolve())
    job = {"module": module, "records": RECORDS, "raw": base64.b64encode(raw).decode()}
    told = subprocess.run(
        [mailauth.node() or "node", "--input-type=module", "-e", _MAILAUTH],
        input=json.dumps(job), capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return json.loads(told.stdout)


VALIDATORS = [
    ours_says,
    dkimpy_says,
    pytest.param(
        mailauth_says,
        marks=pytest.mark.skipif(mailauth.missing() is not None, reason=str(mailauth.missing())),
    ),
]

SEALED = {
    "plain": RAW,
    "forged fields": b"\r\n".join(FORGED) + b"\r\n" + RAW,
    "no body": RAW[: RAW.index(b"\r\n\r\n") + 4],
    "8 bit": RAW.replace(b"Words", "Wörter".encode()),
    "dots and blanks": RAW + b"..\r\n. \t \r\n\r\n\r\n",
}


@pytest.mark.parametrize("says", VALIDATORS)
@pytest.mark.parametrize("name", SEALED)
def test_our_seal_holds_at_the_next_hop_and_breaks_with_the_message(says, name: str) -> None:
    out = given_to_the_hop(SEALED[name], SEALING)
    assert out.startswith(b"ARC-Seal: a=rsa-sha256;")
    assert says(out) == "pass"
    assert says(out.replace(b"Subject: Hello", b"Subject: Hullo")) == "fail"


@pytest.mark.parametrize("says", VALIDATORS)
def test_a_chain_that_passed_is_continued_over_our_own_results_only(says) -> None:
    first = relayed(
        read_message(RAW), REPORT, envelope(), Border("mx.other.test", "mx.other.test", replace(SEALER, domain="other.test")),
        flagged=False,
    )  # fmt: skip
    forged = b"Authentication-Results: mx.experts.test; dkim=pass header.d=bank.test; arc=fail\r\n"
    passed = replace(REPORT, arc=ArcResult(AuthResult.PASS, ("other.test",)))
    out = given_to_the_hop(forged + first, SEALING, passed)
    results = read_message(out).named(b"arc-authentication-results")
    assert [says(out), len(results)] == ["pass", 2]
    assert b"bank.test" not in out


def test_a_chain_that_failed_is_called_so_once_and_never_continued() -> None:
    first = given_to_the_hop(RAW, replace(SEALING, authserv_id="mx.other.test"))
    broken = first.replace(b"Subject: Hello", b"Subject: Hullo")
    failed = replace(REPORT, arc=ArcResult(AuthResult.FAIL, ("experts.test",)))
    out = given_to_the_hop(broken, SEALING, failed)
    assert b"cv=fail" in read_message(out).named(b"arc-seal")[0].value  # RFC 8617 5.1.2
    assert ours_says(out) == "fail"
    again = given_to_the_hop(out, SEALING, failed)
    assert len(read_message(again).named(b"arc-seal")) == len(read_message(out).named(b"arc-seal"))


def test_a_chain_that_could_not_be_judged_is_left_as_it_is() -> None:
    first = given_to_the_hop(RAW, replace(SEALING, authserv_id="mx.other.test"))
    unknown = replace(REPORT, arc=ArcResult(AuthResult.TEMPERROR))
    assert len(read_message(given_to_the_hop(first, SEALING, unknown)).named(b"arc-seal")) == 1


# -- loops ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "counts"),
    [
        (b"from a ([1.2.3.4])\r\n\tby mx.experts.test with ESMTP id 1", 1),
        (b"by MX.experts.TEST (x); now", 1),
        (b"by mx.experts.test", 1),
        (b"by mx.experts.test.evil.test with SMTP", 0),
        (b"from mx.experts.test by b.test", 0),
        (b"nearby mx.experts.test", 0),
    ],
)
def test_it_is_counted_how_often_a_message_was_here(value: bytes, counts: int) -> None:
    assert passages(read_message(b"Received: " + value + b"\r\n\r\n"), OURS) == counts


def test_what_we_write_ourselves_is_counted() -> None:
    out = RAW
    for _ in range(4):
        out = given_to_the_hop(out)
    assert passages(read_message(out), OURS) == 4
