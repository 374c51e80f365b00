"""A saved message's way is followed to the trusted host that took it in and no further; SPF by it is told and proves nothing."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from tests.cases.genuine import ADDRESS, PROTECTED, genuine, zone
from tests.verifier.judging import judged, txt
from verifier.evidence import Session, SessionOrigin
from verifier.explanation import explain
from verifier.message import read_message
from verifier.received_walk import MAX_FIELDS, MAX_HOPS, Boundary, boundary_of, is_inside
from verifier.report import AuthResult, Effect, Report, Verdict

IDS = ("contoso.test",)
DATE = b"; Wed, 25 Nov 2026 09:00:00 +0000\r\n"
BORDER = b"Received: from mail.evil.test (mail.evil.test [192.0.2.1]) by mx.contoso.test (Postfix) with ESMTP id 1" + DATE
PRIVATE = b"Received: from mx.contoso.test ([10.0.0.5]) by exchange01.corp.local with Microsoft SMTPSVC(8.5)" + DATE
LOOPBACK = b"Received: from mx.contoso.test ([127.0.0.1]) by localhost (scan [127.0.0.1]) (amavisd-new, port 10024) with ESMTP id 2" + DATE
LMTP = b"Received: from mx.contoso.test by store.contoso.test with LMTP id 3" + DATE
QMAIL = b"Received: (qmail 2022 invoked from network); 25 Nov 2026 09:00:00 -0000\r\n"
NOBODY = b"Received: by store.contoso.test (Postfix) id 4" + DATE
GOOGLE = b"Received: by 2002:a05:6a10:1234:b0:1:2:3 with SMTP id a1csp" + DATE
STRANGER = b"Received: from a ([198.51.100.9]) by relay.evil.test with SMTP id 5" + DATE
FAKE = b"Received: from mail.experts.test (mail.experts.test [203.0.113.7]) by mx.contoso.test with ESMTP id 6" + DATE
PATH = b"Return-Path: <a@evil.test>\r\n"
REST = b"From: a@b.test\r\n\r\nx\r\n"
FOUND = Boundary("mx.contoso.test", "192.0.2.1", "mail.evil.test", "a@evil.test")


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (PATH + BORDER, FOUND),
        (PATH + PRIVATE + BORDER, FOUND),
        (PATH + LMTP + LOOPBACK + PRIVATE + NOBODY + QMAIL + BORDER + STRANGER, FOUND),
        (PRIVATE + PATH + BORDER, FOUND),
        (PATH + GOOGLE + BORDER, FOUND),
        (PATH + b"Return-Path: <other@evil.test>\r\n" + BORDER, FOUND),  # the topmost one
        (BORDER, FOUND._replace(mail_from=None)),
        (BORDER + PATH, FOUND._replace(mail_from=None)),  # it came with the message
        (BORDER + PATH + FAKE, FOUND._replace(mail_from=None)),
        (PATH + BORDER + FAKE, FOUND),  # never past the first outside client
        (PATH + BORDER + PRIVATE + FAKE, FOUND),
        (PATH + BORDER.replace(b"192.0.2.1", b"IPv6:2001:db8::7"), FOUND._replace(client_ip="2001:db8::7")),
        (PATH + BORDER.replace(b"by mx.contoso.test", b"by MX.Contoso.TEST."), FOUND),
        (PATH + BORDER.replace(b"by mx.contoso.test", b"by contoso.test"), FOUND._replace(host="contoso.test")),
        (b"", None),
        (PATH, None),
        (PRIVATE, None),
        (STRANGER + BORDER, None),  # somebody else took it in, and what stands below is anybody's
        (PRIVATE + STRANGER + FAKE, None),
        (BORDER.replace(b"mx.contoso.test", b"mx.contoso.test.evil.test") + FAKE, None),
        (BORDER.replace(b"mx.contoso.test", b"mxcontoso.test") + FAKE, None),
        (b"Received: x\r\n" + BORDER, None),
        (b"Received:\r\n" + BORDER, None),
        (b"Received: " + b"x" * 9_000 + b"\r\n" + BORDER, None),
        (BORDER.replace(b" [192.0.2.1]", b"") + FAKE, None),  # no address: nobody knows where it came from
        (NOBODY.replace(b"contoso.test", b"evil.test") + FAKE, None),
        (LMTP.replace(b"store.contoso.test", b"store.evil.test") + FAKE, None),
        (BORDER.replace(b"ESMTP", b"ESMTPSA"), None),  # one of ours, from wherever that was
        (PRIVATE.replace(b"with Microsoft", b"with ESMTPA") + FAKE, None),
        (BORDER.replace(b"ESMTP", b"HTTPS"), None),
        (BORDER.replace(b"(mail.evil.test [192.0.2.1])", b"(mx2.contoso.test [192.0.2.1])") + FAKE, None),  # one of ours?
        (BORDER.replace(b"from mail.evil.test (mail.evil.test [192.0.2.1])", b"from mx2.contoso.test ([192.0.2.1])") + FAKE, None),
        (  # it greets with our name, and the look-up says who it is
            PATH + BORDER.replace(b"from mail.evil.test", b"from mx2.contoso.test"),
            FOUND._replace(helo="mx2.contoso.test"),
        ),
        (PRIVATE * MAX_HOPS + BORDER, None),
        (b"X-A: b\r\n" * MAX_FIELDS + BORDER, None),
    ],
)  # fmt: skip
def test_the_walk_ends_at_the_first_outside_client_of_a_trusted_host(head: bytes, found: Boundary | None) -> None:
    assert boundary_of(read_message(head + REST), IDS) == found
    assert boundary_of(read_message(head + REST), ()) is None
    assert boundary_of(read_message(head + REST), ("", ".")) is None


@pytest.mark.parametrize(
    ("path", "mail_from"),
    [
        (b"<a@evil.test>", "a@evil.test"),
        (b" a@evil.test ", "a@evil.test"),
        (b"<>", ""),
        (b"< >", ""),
        (b"<MAILER-DAEMON>", ""),
        (b"<@relay.test,@b.test:a@evil.test>", "a@evil.test"),
        (b'<"a b"@evil.test>', '"a b"@evil.test'),
        ("<ä@evil.test>".encode(), "ä@evil.test"),
        (b"<\xff@evil.test>", None),
        (b"<a>", None),
        (b"a@evil.test b@evil.test", None),
        (b"<a@evil.test", None),
        (b"<a@evil.test> <b@evil.test>", None),
        (b"<" + b"a" * 5_000 + b"@evil.test>", None),
        (b"", None),
    ],
)
def test_the_reverse_path_is_read_strictly(path: bytes, mail_from: str | None) -> None:
    found = boundary_of(read_message(b"Return-Path: " + path + b"\r\n" + BORDER + REST), IDS)
    assert found is not None
    assert found.mail_from == mail_from


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.255.0.1", True), ("172.31.0.1", True), ("172.32.0.1", False), ("192.168.1.1", True), ("127.0.0.9", True),
        ("100.64.0.1", True), ("169.254.1.1", True), ("192.0.2.1", False), ("8.8.8.8", False), ("::1", True),
        ("fd00::1", True), ("fe80::1", True), ("2001:db8::1", False), ("2002:a05::1", True), ("2002:808:808::1", False),
    ],
)  # fmt: skip
def test_addresses_of_private_networks_are_told_from_public_ones(address: str, inside: bool) -> None:
    assert is_inside(address) is inside


TRUSTING = (replace(PROTECTED[0], trusted_authserv_ids=IDS),)
RECORDS = zone() | {"evil.test": "v=spf1 ip4:192.0.2.0/24 -all", "experts.test": "v=spf1 ip4:203.0.113.7 -all"}
CLAIMING = b"From: Defender Experts <" + ADDRESS.encode() + b">\r\nSubject: x\r\n\r\nx\r\n"
OF_EXPERTS = PATH.replace(b"evil.test", b"experts.test") + FAKE + CLAIMING


def _report(raw: bytes, session: Session | None = None, who: tuple[object, ...] = TRUSTING) -> Report:
    return judged([(raw, txt(RECORDS), session)], who)[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("raw", "result", "domain", "scope"),
    [
        (PATH + BORDER + CLAIMING, AuthResult.PASS, "evil.test", "mailfrom"),
        (OF_EXPERTS, AuthResult.PASS, "experts.test", "mailfrom"),
        (PATH.replace(b"evil.test", b"experts.test") + BORDER + CLAIMING, AuthResult.FAIL, "experts.test", "mailfrom"),
        (BORDER + CLAIMING, AuthResult.NONE, "mail.evil.test", "helo"),
        (PATH.replace(b"a@evil.test", b"") + BORDER + CLAIMING, AuthResult.NONE, "mail.evil.test", "helo"),
        (PATH.replace(b"evil.test", b"localhost") + BORDER + CLAIMING, AuthResult.NONE, None, "mailfrom"),
    ],
)
def test_spf_is_reconstructed_told_and_never_counted(
    raw: bytes, result: AuthResult, domain: str | None, scope: str
) -> None:
    plain, report = _report(raw, who=PROTECTED), _report(raw)
    assert (report.spf.result, report.spf.domain, report.spf.scope) == (result, domain, scope)
    assert report.spf.source == "reconstructed"
    assert plain.spf.source == "none"
    assert report.verdict is plain.verdict is Verdict.UNPROVEN
    assert report.sentence == plain.sentence
    assert report.dmarc == plain.dmarc
    assert report.dmarc.aligned_by == ()
    (reason,) = [reason for reason in report.reasons if reason.code == "spf-reconstructed"]
    assert reason.effect is Effect.INFORMS
    assert "proves and contradicts nothing" in reason.text
    (link,) = [link for link in explain(report).chain if link.what == "return path"]
    assert "can be edited" in link.finding or domain is None
    same = [(r.code, r.effect) for r in report.reasons if r is not reason]
    assert same == [(r.code, r.effect) for r in plain.reasons]


def test_a_failing_one_forges_nothing_even_for_an_identity_that_always_signs() -> None:
    strict = (replace(TRUSTING[0], always_signs=True),)
    report = _report(PATH.replace(b"evil.test", b"experts.test") + BORDER + CLAIMING, who=strict)
    assert report.spf.result is AuthResult.FAIL
    assert report.dmarc.result is AuthResult.FAIL
    assert report.dmarc.policy == "reject"
    assert report.verdict is Verdict.UNPROVEN


def test_a_genuine_message_stays_genuine_whatever_its_way_was() -> None:
    for head in (PATH + BORDER, PATH + PRIVATE + BORDER + FAKE, STRANGER, b"Received: (\r\n", b"Received: by\r\n" * 1_000):
        assert _report(head + genuine(0).raw).verdict is Verdict.GENUINE


@pytest.mark.parametrize("origin", list(SessionOrigin))
@pytest.mark.parametrize("address", ["198.51.100.1", None])
def test_a_session_that_is_given_is_the_only_one(origin: SessionOrigin, address: str | None) -> None:
    session = Session(address, "h.test", "x@evil.test", (), origin)
    report = _report(OF_EXPERTS, session)
    assert report.spf.source != "reconstructed"
    assert "spf-reconstructed" not in {reason.code for reason in report.reasons}


def _attached(raw: bytes, mark: bytes = b"a") -> bytes:
    return (
        b"From: d@contoso.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=" + mark + b"\r\n\r\n"
        b"--" + mark + b"\r\nContent-Type: message/rfc822\r\n\r\n" + raw + b"\r\n--" + mark + b"--\r\n"
    )


def test_an_attached_message_is_followed_too_but_not_in_one_that_came_in_live() -> None:
    (inner,) = _report(_attached(OF_EXPERTS)).inner
    assert inner.spf.source == "reconstructed"
    supplied = Session("198.51.100.1", "h.test", "x@evil.test")
    (inner,) = _report(_attached(OF_EXPERTS), supplied).inner
    assert inner.spf.source == "reconstructed"
    for origin in (SessionOrigin.LIVE, SessionOrigin.STORED):
        report = _report(_attached(_attached(OF_EXPERTS), b"z"), replace(supplied, origin=origin))
        assert report.inner[0].inner[0].claims
        assert report.inner[0].inner[0].spf.source == "none"


def test_a_message_that_claims_nothing_costs_no_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("walked")

    monkeypatch.setattr("verifier.evaluate.boundary_of", fail)
    monkeypatch.setattr("verifier.evaluate.microsoft_fields", fail)
    assert _report(PATH + BORDER + b"From: a@evil.test\r\n\r\nx\r\n").verdict is Verdict.NO_CLAIM
    live = Session("192.0.2.1", "h.test", "x@evil.test", (), SessionOrigin.LIVE)
    assert _report(PATH + BORDER + CLAIMING, live).verdict is Verdict.FORGED
    assert _report(PATH + BORDER + b"From: a@evil.test\r\n\r\nx\r\n", live).verdict is Verdict.NO_CLAIM


@pytest.mark.parametrize("field", [BORDER[:-2] + b"x" * 4_500 + b"\r\n", PRIVATE, b"Received: " + b"(" * 4_000 + b"\r\n", QMAIL])
def test_a_thousand_fields_take_no_time(field: bytes) -> None:
    message = read_message(field * 1_000 + REST)
    started = time.process_time()
    assert boundary_of(message, IDS) is None
    assert time.process_time() - started < 1


def test_a_header_cut_off_anywhere_gives_the_same_client_or_none() -> None:
    raw = PATH + PRIVATE + BORDER + FAKE + REST
    for end in range(len(raw)):
        found = boundary_of(read_message(raw[:end]), IDS)
        assert found is None or found.client_ip == "192.0.2.1"
