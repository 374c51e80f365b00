"""The verdict's table: each row, in its order, on facts as values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from verifier.claims import Claims
from verifier.evidence import Opinion, SessionOrigin
from verifier.identity import Identity
from verifier.mentions import Mentions
from verifier.proofs import Proofs
from verifier.rebuilt import uncheckable_seals, uncheckable_signatures, without_signatures
from verifier.report import (
    ArcResult,
    AuthorView,
    AuthResult,
    Claim,
    ClaimedBy,
    DkimResult,
    DmarcResult,
    Effect,
    SpfResult,
    Verdict,
)
from verifier.verdict import Decision, candidates, decide

OWNER = Identity(
    "operated",
    display_names=("Defender Experts",),
    domains=("experts.test",),
    addresses=("d@experts.test",),
    signing_domains=("experts.test",),
)
GOOD = DkimResult(
    0,
    AuthResult.PASS,
    None,
    "experts.test",
    "s1",
    "rsa-sha256",
    ("from", "to", "subject"),
    ("from",),
    ("date",),
    acceptable=True,
    aligned=True,
)
FAIL = DmarcResult(AuthResult.FAIL, "reject", "experts.test", "experts.test")
CLAIM = Claim("operated", ClaimedBy.AUTHOR_DOMAIN, "d@experts.test")
IMITATION = Claim("operated", ClaimedBy.DISPLAY_NAME, "the author's name reads “Defender Experts”")
BASE = Proofs(
    claims=Claims((CLAIM,), (), OWNER, pinned=True),
    author=AuthorView("d@experts.test", "experts.test", "Defender Experts"),
    dkim=(GOOD,),
    spf=SpfResult(AuthResult.NONE),
    dmarc=DmarcResult(AuthResult.PASS, "reject", "experts.test", "experts.test", ("dkim",)),
    arc=ArcResult(),
    origin=None,
    opinions={0: Opinion.PASS},
)


def codes(decision: Decision) -> set[str]:
    return {reason.code for reason in decision.reasons}


def test_row_1_an_imitation_is_forged_even_with_a_perfect_signature_of_its_own() -> None:
    found = decide(replace(BASE, claims=Claims((IMITATION,), (IMITATION,))))
    assert found.verdict is Verdict.FORGED
    assert "imitates-display-name" in codes(found)


@pytest.mark.parametrize(
    ("several", "malformed", "code"), [(True, None, "several-authors"), (False, "nul", "malformed-author")]
)
def test_row_1_several_or_malformed_authors_that_name_a_protected_one_are_forged(
    several: bool, malformed: str | None, code: str
) -> None:
    found = decide(
        replace(BASE, author=None, claims=Claims((CLAIM,), (CLAIM,), several=several, malformed=malformed))
    )
    assert found.verdict is Verdict.FORGED
    assert code in codes(found)


def test_row_2_a_pinned_address_is_genuine() -> None:
    found = decide(BASE)
    assert found.verdict is Verdict.GENUINE
    assert {"signed-by-identity", "address-pinned", "implementations-agree", "unsigned-fields"} <= codes(
        found
    )


def test_row_2_an_address_that_is_not_pinned_is_authentic_unpinned() -> None:
    found = decide(replace(BASE, claims=replace(BASE.claims, pinned=False)))
    assert found.verdict is Verdict.AUTHENTIC_UNPINNED
    assert "address-not-pinned" in codes(found)


def test_row_2_stands_before_a_temporary_error_and_before_a_failing_live_session() -> None:
    broken = GOOD._replace(position=1, result=AuthResult.TEMPERROR, acceptable=False)
    found = decide(replace(BASE, dkim=(broken, GOOD), dmarc=FAIL, origin=SessionOrigin.LIVE))
    assert found.verdict is Verdict.GENUINE


@pytest.mark.parametrize(
    ("opinion", "code"),
    [
        (Opinion.FAIL, "implementations-disagree"),
        (Opinion.SKIPPED, "second-opinion-unavailable"),
        (None, "second-opinion-unavailable"),
    ],
)
def test_row_2_needs_the_second_implementation(opinion: Opinion | None, code: str) -> None:
    found = decide(replace(BASE, opinions={} if opinion is None else {0: opinion}))
    assert found.verdict is Verdict.UNPROVEN
    assert code in codes(found)


@pytest.mark.parametrize(
    "signature",
    [
        GOOD._replace(result=AuthResult.FAIL, acceptable=False),
        GOOD._replace(result=AuthResult.POLICY, acceptable=False),
        GOOD._replace(acceptable=False, weaknesses=("subject-not-signed",)),
        GOOD._replace(acceptable=False, testing=True),
        GOOD._replace(aligned=False),
        GOOD._replace(domain="other.test"),
        GOOD._replace(domain="sub.experts.test"),
        GOOD._replace(domain=None),
    ],
)
def test_row_2_takes_no_signature_that_is_not_acceptable_aligned_and_the_identitys(
    signature: DkimResult,
) -> None:
    assert candidates(BASE.claims, (signature,)) == ()
    found = decide(replace(BASE, dkim=(signature,)))
    assert found.verdict is Verdict.UNPROVEN
    assert any(reason.effect is not Effect.PROVES for reason in found.reasons)


def test_row_3_a_needed_key_that_could_not_be_had_is_unproven_not_forged() -> None:
    broken = GOOD._replace(result=AuthResult.TEMPERROR, acceptable=False, aligned=False)
    found = decide(replace(BASE, dkim=(broken,), dmarc=FAIL, origin=SessionOrigin.LIVE))
    assert found.verdict is Verdict.UNPROVEN
    assert "signature-temporary-error" in codes(found)


def test_row_3_a_dmarc_policy_that_could_not_be_had_is_unproven() -> None:
    dmarc = DmarcResult(AuthResult.TEMPERROR)
    found = decide(replace(BASE, dkim=(), dmarc=dmarc, origin=SessionOrigin.LIVE))
    assert found.verdict is Verdict.UNPROVEN
    assert "dmarc-temporary-error" in codes(found)


def test_row_3_somebody_elses_temporary_error_does_not_hide_a_forgery() -> None:
    other = GOOD._replace(
        domain="mailer.example", result=AuthResult.TEMPERROR, acceptable=False, aligned=False
    )
    found = decide(replace(BASE, dkim=(other,), dmarc=FAIL, origin=SessionOrigin.LIVE))
    assert found.verdict is Verdict.FORGED


@pytest.mark.parametrize("origin", [SessionOrigin.LIVE, SessionOrigin.STORED])
@pytest.mark.parametrize("policy", ["reject", "quarantine"])
def test_row_4_our_own_session_that_fails_dmarc_is_forged(origin: SessionOrigin, policy: str) -> None:
    found = decide(replace(BASE, dkim=(), dmarc=FAIL._replace(policy=policy), origin=origin))
    assert found.verdict is Verdict.FORGED
    assert "live-session-dmarc-fail" in codes(found)


def test_row_4_needs_a_policy_or_an_identity_that_always_signs() -> None:
    failing = replace(BASE, dkim=(), dmarc=FAIL._replace(policy="none"), origin=SessionOrigin.LIVE)
    assert decide(failing).verdict is Verdict.UNPROVEN
    always = replace(OWNER, always_signs=True)
    assert decide(replace(failing, claims=replace(BASE.claims, owner=always))).verdict is Verdict.FORGED


def test_row_4_gives_way_to_a_trusted_relay() -> None:
    arc = ArcResult(AuthResult.PASS, ("relay.example",), trusted=True, reason=None)
    assert (
        decide(replace(BASE, dkim=(), dmarc=FAIL, origin=SessionOrigin.LIVE, arc=arc)).verdict
        is Verdict.UNPROVEN
    )


@pytest.mark.parametrize("origin", [None, SessionOrigin.SUPPLIED])
def test_row_5_a_saved_message_or_a_supplied_session_is_never_forged_for_failing(
    origin: SessionOrigin | None,
) -> None:
    bad = GOOD._replace(result=AuthResult.FAIL, reason="body-hash-mismatch", acceptable=False, aligned=False)
    found = decide(replace(BASE, dkim=(bad,), dmarc=FAIL, origin=origin))
    assert found.verdict is Verdict.UNPROVEN
    assert "signature-fails" in codes(found)


def test_row_5_spf_alone_never_proves() -> None:
    dmarc = DmarcResult(AuthResult.PASS, "reject", "experts.test", "experts.test", ("spf",))
    spf = SpfResult(AuthResult.PASS, "experts.test", client_ip="192.0.2.1", source="session")
    found = decide(replace(BASE, dkim=(), dmarc=dmarc, spf=spf, origin=SessionOrigin.LIVE))
    assert found.verdict is Verdict.UNPROVEN
    assert {"no-signature", "spf-only"} <= codes(found)


def test_without_a_claim_nothing_else_matters() -> None:
    for dmarc in (FAIL, BASE.dmarc, DmarcResult(AuthResult.NONE)):
        found = decide(replace(BASE, claims=Claims(), dmarc=dmarc, origin=SessionOrigin.LIVE))
        assert found.verdict is Verdict.NO_CLAIM


def test_mentions_inform_and_change_no_verdict() -> None:
    mentions = Mentions(("defender experts",), ("evil.example",))
    with_mentions, without = decide(replace(BASE, mentions=mentions)), decide(BASE)
    assert with_mentions.verdict is without.verdict
    added = [r for r in with_mentions.reasons if r.code in ("brand-in-text", "reply-to-elsewhere")]
    assert [r.effect for r in added] == [Effect.INFORMS, Effect.INFORMS]


def test_what_a_user_supplied_is_labelled() -> None:
    assert "supplied-facts" in codes(decide(replace(BASE, supplied=("evidence", "clock"))))


def test_every_sentence_and_reason_is_one_plain_line() -> None:
    failing = GOOD._replace(result=AuthResult.FAIL, acceptable=False)
    for proofs in (
        BASE,
        replace(BASE, claims=Claims()),
        replace(BASE, dkim=()),
        replace(BASE, dkim=(failing,)),
    ):
        found = decide(proofs)
        for text in (found.sentence, *(reason.text for reason in found.reasons)):
            assert text.endswith(".")
            assert "\n" not in text
            assert "None" not in text


REBUILT = replace(
    BASE,
    dkim=uncheckable_signatures((GOOD,)),
    dmarc=without_signatures(FAIL),
    arc=uncheckable_seals(ArcResult(AuthResult.PASS, ("relay.example",), trusted=True)),
    rebuilt=True,
)


def test_row_5_a_rebuilt_message_is_unproven_for_being_rebuilt_and_for_nothing_else() -> None:
    found = decide(REBUILT)
    assert found.verdict is Verdict.UNPROVEN
    assert "Ask for the original" in found.sentence
    weakening = {reason.code for reason in found.reasons if reason.effect is Effect.WEAKENS}
    assert weakening == {"rebuilt-message"}
    assert codes(found).isdisjoint({"signature-fails", "dmarc-fail", "arc-fail", "arc-trusted"})


@pytest.mark.parametrize("origin", [None, *SessionOrigin])
def test_a_rebuilt_message_is_never_forged_for_what_cannot_be_checked(origin: SessionOrigin | None) -> None:
    assert decide(replace(REBUILT, origin=origin)).verdict is Verdict.UNPROVEN


def test_imitation_makes_a_rebuilt_message_forged_all_the_same() -> None:
    found = decide(replace(REBUILT, claims=Claims((IMITATION,), (IMITATION,))))
    assert found.verdict is Verdict.FORGED
    assert "rebuilt-message" in codes(found)


def test_no_signature_of_a_rebuilt_message_is_worth_a_second_opinion() -> None:
    assert candidates(REBUILT.claims, REBUILT.dkim) == ()
