from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from outbound.selfcheck import conclude_self_check, self_check
from tests.outbound.conftest import SENDER
from verifier.report import (
    ArcResult,
    AuthorView,
    AuthResult,
    Claim,
    ClaimedBy,
    DkimResult,
    DmarcResult,
    Effect,
    Reason,
    Report,
    SpfResult,
    Verdict,
)

OURS = DkimResult(0, AuthResult.PASS, None, "experts.test", "s1", "rsa-sha256", acceptable=True, aligned=True)
CLAIM = Claim("operated", ClaimedBy.AUTHOR_ADDRESS, "")
GOOD = Report(
    verdict=Verdict.GENUINE,
    sentence="",
    author=AuthorView(SENDER.address, SENDER.domain, SENDER.display_name),
    claims=(CLAIM,),
    dkim=(OURS,),
    spf=SpfResult(AuthResult.NONE),
    dmarc=DmarcResult(AuthResult.PASS),
    arc=ArcResult(),
    reasons=(),
)
BAD = replace(GOOD, verdict=Verdict.UNPROVEN)


def test_a_genuine_report_on_the_operated_identity_lets_the_mail_go():
    async def judge(raw):
        assert raw == b"bytes"
        return GOOD

    assert asyncio.run(self_check(b"bytes", judge, SENDER, "operated")).genuine


def test_mail_that_was_signed_before_a_change_of_keys_is_judged_by_the_signatures_that_it_bears():
    earlier = replace(GOOD, dkim=(OURS._replace(selector="s0"), OURS._replace(selector="s0-ed25519")))
    assert conclude_self_check(earlier, SENDER, "operated").genuine


@pytest.mark.parametrize(
    ("report", "words", "temporary"),
    [
        (replace(BAD, dkim=()), "signature is missing", False),
        (replace(BAD, dkim=(OURS._replace(domain="contoso.test"),)), "signature is missing", False),
        (
            replace(GOOD, dkim=(OURS, OURS._replace(selector="e1", result=AuthResult.FAIL))),
            'e1._domainkey.experts.test is missing or holds another key; publish this record: e1 IN TXT "k"',
            False,
        ),
        (
            replace(GOOD, dkim=(OURS._replace(selector="e1", result=AuthResult.TEMPERROR), OURS)),
            "e1._domainkey",
            True,
        ),
        (
            replace(
                BAD,
                dkim=(
                    OURS._replace(selector="e1", result=AuthResult.TEMPERROR),
                    OURS._replace(result=AuthResult.PERMERROR, reason="no-key"),
                ),
            ),
            "s1._domainkey",
            False,
        ),
        (
            replace(BAD, dkim=(OURS._replace(result=AuthResult.PERMERROR, reason="no-key"),)),
            "s1._domainkey.experts.test is missing or holds another key",
            False,
        ),
        (
            replace(BAD, dkim=(OURS._replace(result=AuthResult.FAIL, reason="bad-signature"),)),
            "bad-signature",
            False,
        ),
        (
            replace(BAD, dkim=(OURS._replace(result=AuthResult.TEMPERROR),)),
            "no answer for the TXT record s1",
            True,
        ),
        (replace(BAD, dkim=(OURS._replace(testing=True, acceptable=False),)), "t=y", False),
        (replace(BAD, dkim=(OURS._replace(acceptable=False, weaknesses=("x-y",)),)), "x-y", False),
        (replace(GOOD, claims=()), "does not belong to the identity", False),
        (replace(GOOD, claims=(replace(CLAIM, identity="other"),)), "does not belong", False),
        (replace(GOOD, claims=(replace(CLAIM, by=ClaimedBy.DISPLAY_NAME),)), "does not belong", False),
        (replace(BAD, verdict=Verdict.AUTHENTIC_UNPINNED), "is not pinned", False),
        (replace(BAD, dmarc=DmarcResult(AuthResult.TEMPERROR)), "_dmarc.experts.test", True),
        (
            replace(BAD, reasons=(Reason("second-opinion-unavailable", "", None, Effect.WEAKENS),)),
            "second-opinion-unavailable",
            True,
        ),
        (
            replace(BAD, reasons=(Reason("implementations-disagree", "", None, Effect.WEAKENS),)),
            "disagree",
            False,
        ),
    ],
)
def test_anything_else_names_what_is_to_be_repaired(report, words, temporary):
    checked = conclude_self_check(report, SENDER, "operated", {"e1": 'e1 IN TXT "k"'})
    assert not checked.genuine
    assert words in checked.reason
    assert checked.temporary is temporary
