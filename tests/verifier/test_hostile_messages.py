"""Messages made to cost time: the whole verdict stays linear in their size (issue's list, and kin of it)."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from expertmail.default_identities import default_identities
from tests.verifier.test_arc import MESSAGE, closed, sealed, sealing_records
from verifier.evaluate import Context, judge
from verifier.evidence import conclude
from verifier.message import read_message
from verifier.report import Verdict

CONTEXT = Context(default_identities(), datetime(2026, 11, 26, 12, tzinfo=UTC))
EVIDENCE = closed({**sealing_records(), "_dmarc.microsoft.com": "v=DMARC1; p=reject"})

HEAD = b"From: Defender Experts <a@microsoft.com>\r\nSubject: x\r\nDate: Thu, 26 Nov 2026 11:00:00 +0000\r\n"
SIGNED = (
    b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=hop1.test; s=s1; h=from:subject;"
    b" bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=; b="
)
END = b"\r\nx\r\n"
PLAIN = b"From: a@b.test\r\nSubject: x\r\n"


def _sets(count: int) -> bytes:
    raw = sealed(MESSAGE, 50)
    return raw[: read_message(raw).body_start - 2] * (count // 50 - 1) + raw


def _open_multiparts(count: int) -> bytes:
    parts = (
        b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1) for n in range(count)
    )
    return HEAD + b"Content-Type: multipart/mixed; boundary=b0\r\n\r\n" + b"".join(parts)


def _messages_in_messages(count: int) -> bytes:
    return (PLAIN + b"Content-Type: message/rfc822\r\n\r\n") * count + PLAIN + END


# What grows with n, and the n of which eight times as many still fit a message.
KINDS: dict[str, tuple[int, Callable[[int], bytes]]] = {
    "folds in b=": (16_000, lambda n: SIGNED + b"A\r\n " * (n // 4 * 4) + b"\r\n" + HEAD + END),
    "blanks in one body line": (125_000, lambda n: SIGNED + b"AAAA\r\n" + HEAD + b"\r\n" + b" " * n + b"x\r\n"),
    "blanks in one header line": (60_000, lambda n: SIGNED + b"AAAA\r\n" + HEAD + b"X: " + b" \t" * n + b"x\r\n" + END),
    "lines of 998 octets": (2_500, lambda n: SIGNED + b"AAAA\r\n" + HEAD + b"\r\n" + (b"x" * 998 + b"\r\n") * n),
    "header fields": (10_000, lambda n: SIGNED + b"AAAA\r\n" + HEAD + b"X: y\r\n" * n + END),
    "signatures": (100, lambda n: (SIGNED + b"AAAA\r\n") * n + HEAD + END),
    "ARC sets": (200, _sets),
    "open multiparts": (1_000, _open_multiparts),
    "messages in messages": (1_000, _messages_in_messages),
    "parts": (11_000, lambda n: HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * n),
    "comments in From": (4_000, lambda n: b"From: " + b"(" * n + b" a@b.test\r\nSubject: x\r\n" + END),
    "words in From": (3_000, lambda n: b"From: " + b"a " * n + b"<a@b.test>\r\nSubject: x\r\n" + END),
    "encoded words in From": (500, lambda n: b"From: " + b"=?utf-8?q?a?= " * n + b"<a@b.test>\r\nSubject: x\r\n" + END),
    "at signs in From": (6_000, lambda n: b'From: "' + b"@" * n + b'" <a@b.test>\r\nSubject: x\r\n' + END),
    "Received fields": (7_000, lambda n: b"Received: from x by y; z\r\n" * n + HEAD + END),
    "message ids": (12_000, lambda n: HEAD + b"References: " + b"<a@b>\r\n " * n + b"x\r\n" + END),
    "parameters": (12_000, lambda n: HEAD + b"Content-Type: text/plain" + b"; a*0*=x" * n + b"\r\n" + END),
    "empty lines": (60_000, lambda n: SIGNED + b"AAAA\r\n" + HEAD + b"\r\n" + b"\r\n" * n),
    "blank lines": (50_000, lambda n: SIGNED + b"AAAA\r\n" + HEAD + b"\r\n" + b" \r\n" * n),
    "bare CR": (125_000, lambda n: SIGNED + b"AAAA\r\n" + HEAD + b"\r\n" + b"\r" * n),
    "tags in HTML": (40_000, lambda n: HEAD + b"Content-Type: text/html\r\n\r\n" + b"<a>" * n),
    "open tags in HTML": (120_000, lambda n: HEAD + b"Content-Type: text/html\r\n\r\n" + b"<" * n),
    "beginnings of quotes": (20_000, lambda n: HEAD + b"\r\n" + b"On x\r\n" * n),
    "soft line breaks": (40_000, lambda n: HEAD + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=\r\n" * n),
}  # fmt: skip


def _cost(raw: bytes) -> float:
    """The least CPU seconds of three verdicts."""
    best = 60.0
    for _ in range(3):
        started = time.thread_time()
        report = conclude(judge(read_message(raw), CONTEXT), EVIDENCE)
        best = min(best, time.thread_time() - started)
        assert report.verdict is not Verdict.GENUINE
    return best


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("folds in b=", "body-changed"),
        ("blanks in one body line", "body-changed"),
        ("blanks in one header line", "body-changed"),
        ("lines of 998 octets", "body-changed"),
        ("empty lines", "body-changed"),
        ("blank lines", "body-changed"),
        ("bare CR", "body-changed"),
        ("signatures", "body-changed"),
        ("header fields", "malformed-header"),  # over the cap: nothing of it is believed
    ],
)
def test_what_is_meant_to_be_worked_on_is(kind: str, reason: str) -> None:
    """No mistake in a case spares the work whose cost it is for."""
    count, make = KINDS[kind]
    report = conclude(judge(read_message(make(count)), CONTEXT), EVIDENCE)
    assert report.dkim[0].reason == reason


@pytest.mark.parametrize("kind", KINDS)
def test_the_verdict_costs_time_in_proportion_to_the_size(kind: str) -> None:
    count, make = KINDS[kind]
    small, large = make(count), make(8 * count)
    first, second = _cost(small), _cost(large)
    # Eight times the size: a square would take sixty-four times as long. What takes a moment anyhow is not compared.
    assert second < max(20 * first, 0.02)
    assert second < 2.5 * max(1.0, len(large) / 1_000_000)  # a quarter of a second for a megabyte, tenfold
