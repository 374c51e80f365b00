"""A rebuilt message is known by its exact bytes: it is never proven, and what is attached to it as it was sent still can be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.cases.genuine import PROTECTED, genuine, zone
from tests.verifier.judging import AT, txt
from verifier.evaluate import Context, judge
from verifier.evidence import Opinion, Session, SessionOrigin, conclude
from verifier.message import read_message
from verifier.report import AuthResult, Report, Verdict

RAW = genuine(0).raw
CARRYING = (
    b"From: Alice <alice@contoso.test>\r\nContent-Type: multipart/mixed; boundary=q9\r\n\r\n"
    b"--q9\r\nContent-Type: message/rfc822\r\n\r\n" + RAW + b"\r\n--q9--\r\n"
)
LIVE = Session("192.0.2.1", "mx.elsewhere.test", "x@elsewhere.test", (), SessionOrigin.LIVE)


def report(raw: bytes, *rebuilt: bytes, session: Session | None = None) -> Report:
    agreeing = dict.fromkeys(range(20_000), Opinion.PASS)
    evidence = replace(txt(zone()), opinions=agreeing)
    context = Context(PROTECTED, AT, session, rebuilt=frozenset(rebuilt))
    return conclude(judge(read_message(raw), context), evidence)


def test_even_a_message_whose_signature_would_hold_is_not_proven_once_it_is_rebuilt() -> None:
    assert report(RAW).verdict is Verdict.GENUINE
    assert report(RAW, b"another message").verdict is Verdict.GENUINE
    found = report(RAW, RAW)
    assert found.verdict is Verdict.UNPROVEN
    assert [(one.result, one.reason, one.acceptable) for one in found.dkim] == [
        (AuthResult.NEUTRAL, "rebuilt-message", False)
    ]
    assert found.dkim[0].domain == report(RAW).dkim[0].domain
    assert (found.dmarc.result, found.dmarc.reason) == (AuthResult.NONE, "alignment-unknown")


@pytest.mark.parametrize(
    ("rebuilt", "verdict"),
    [((CARRYING,), Verdict.GENUINE), ((CARRYING, RAW), Verdict.UNPROVEN), ((RAW,), Verdict.UNPROVEN)],
)
def test_an_attached_message_is_rebuilt_only_if_it_is_named_itself(
    rebuilt: tuple[bytes, ...], verdict: Verdict
) -> None:
    (inner,) = report(CARRYING, *rebuilt).inner
    assert inner.verdict is verdict


def test_a_failure_of_what_cannot_be_checked_never_forges_not_even_in_a_live_session() -> None:
    broken = RAW.replace(b"\r\n\r\n", b"\r\n\r\nchanged ", 1)
    assert report(broken, session=LIVE).verdict is Verdict.FORGED
    assert report(broken, broken, session=LIVE).verdict is Verdict.UNPROVEN
