"""What a trusted border noted is told from the block that it wrote itself, and from nowhere else."""

from __future__ import annotations

import time

import pytest

from tests.cases.genuine import PROTECTED, genuine, zone
from tests.verifier.judging import judged, txt
from verifier.border_results import border_results
from verifier.message import read_message
from verifier.report import Verdict

IDS = ("mx.contoso.test",)
OURS = b"Authentication-Results: mx.contoso.test; dkim=pass header.d=experts.test; spf=fail smtp.mailfrom=a@b.test\r\n"
INNER = (
    b"Received: from mx.contoso.test by store.mx.contoso.test with LMTP; Wed, 25 Nov 2026 09:00:00 +0000\r\n"
)
BORDER = b"Received: from evil.test (evil [192.0.2.1])\r\n\tby mx.contoso.test (Postfix) with ESMTP; Wed, 25 Nov 2026 09:00:00 +0000\r\n"
STRANGER = b"Received: from a by relay.evil.test; Wed, 25 Nov 2026 08:00:00 +0000\r\n"
REST = b"From: a@b.test\r\n\r\nx\r\n"
TOLD = ("mx.contoso.test", ("dkim=pass experts.test", "spf=fail a@b.test"))


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (OURS, TOLD),
        (INNER + OURS + BORDER, TOLD),
        (INNER + BORDER + OURS, TOLD),
        (INNER + BORDER + OURS + STRANGER, TOLD),
        (BORDER + STRANGER + OURS, None),  # it came with the message
        (STRANGER + OURS, None),
        (OURS.replace(b"mx.contoso.test", b"mx.evil.test"), None),
        (OURS.replace(b"mx.contoso.test", b"mx.contoso.test.evil.test"), None),
        (BORDER.replace(b"by mx.contoso.test", b"by mx.contoso.test.evil.test") + OURS, None),
        (b"Received: x\r\n" + OURS, None),  # nobody says who wrote it
        (b"Authentication-Results: mx.contoso.test; (broken\r\n", None),
        (OURS.replace(b"mx.contoso.test", b"MX.Contoso.Test."), TOLD),
        (OURS + OURS, TOLD),
        (b"Authentication-Results: mx.contoso.test; none\r\n", ("mx.contoso.test", ())),
        (b"", None),
        (BORDER + INNER + OURS, None),  # it says it is ours, and stands below where the message came in
        (BORDER + BORDER + OURS, None),
        (OURS + BORDER + OURS.replace(b"dkim=pass", b"dkim=fail"), TOLD),  # what is below may have come with the message
        (BORDER.replace(b" [192.0.2.1]", b"") + BORDER + OURS, None),  # nobody knows from where it came
        (b"Received: from evil (by mx.contoso.test) by relay.evil.test with SMTP\r\n" + OURS, None),
        (INNER.replace(b"LMTP", b"ESMTPSA") + INNER + OURS, None),
    ],
)
def test_only_the_block_on_top_is_believed(head: bytes, told: object) -> None:
    assert border_results(read_message(head + REST), IDS) == told
    assert border_results(read_message(head + REST), ()) is None


def test_it_is_told_beside_the_verdict_and_never_changes_it() -> None:
    from dataclasses import replace

    trusting = (replace(PROTECTED[0], trusted_authserv_ids=IDS),)
    changed = genuine(0).raw + b"More.\r\n"
    plain, told = (judged([(OURS + changed, txt(zone()), None)], who)[0] for who in (PROTECTED, trusting))
    assert plain.verdict is told.verdict is Verdict.UNPROVEN
    assert "border-results" not in {reason.code for reason in plain.reasons}
    (reason,) = [reason for reason in told.reasons if reason.code == "border-results"]
    assert "dkim=pass experts.test" in reason.text


def test_a_header_full_of_fields_is_looked_at_in_linear_time() -> None:
    raw = (b"Received: by " + b"a" * 900 + b"\r\n") * 500 + OURS * 500 + REST
    message = read_message(raw)
    started = time.process_time()
    border_results(message, IDS)
    assert time.process_time() - started < 2
