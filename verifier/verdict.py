"""The verdict: what is claimed against what is proven. A table, first match wins, and a reason for each fact.

1. imitation from elsewhere, or several or malformed authors that name a protected identity -> forged
2. an acceptable, aligned signature on which both implementations agree -> genuine / authentic-unpinned
3. a needed answer was a temporary error -> unproven
4. our own session, DMARC fails, policy not none or the identity always signs, no trusted ARC -> forged
5. anything else -> unproven
"""

from __future__ import annotations

from dataclasses import dataclass

from verifier.ambiguity_words import readers_differ
from verifier.claims import Claims
from verifier.evidence import Opinion, SessionOrigin
from verifier.identity import Identity
from verifier.proofs import Proofs
from verifier.reason_codes import ReasonCode
from verifier.reasons import (
    claim_reason,
    imitation_reason,
    informing,
    passes,
    reason,
    session_facts,
    signature_failing,
    spf_only,
)
from verifier.record_reasons import archived_proof, ledger_proof, told_by_records
from verifier.report import AuthResult, DkimResult, Effect, Reason, Verdict
from verifier.signature_words import why_not

_FIELDS_SHOWN = ("from", "to", "cc", "subject", "date", "reply-to", "message-id")  # what a reader relies on
_OWN_SESSION = (SessionOrigin.LIVE, SessionOrigin.STORED)


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict, one sentence for a person, and the reasons in the order in which they counted."""

    verdict: Verdict
    sentence: str
    reasons: tuple[Reason, ...]


def candidates(claims: Claims, dkim: tuple[DkimResult, ...]) -> tuple[DkimResult, ...]:
    """The signatures that could prove the claim, if a second implementation agrees (row 2)."""
    if claims.owner is None or claims.imitations:
        return ()
    return tuple(r for r in dkim if passes(r) and r.acceptable and r.aligned and claims.owner.signs(r.domain))


def decide(proofs: Proofs) -> Decision:
    """The verdict on one message; pure, total, the first matching row wins."""
    claims = proofs.claims
    told = (*told_by_records(proofs), *session_facts(proofs), *informing(proofs))
    if claims.ambiguities:
        told = (*readers_differ(claims.ambiguities), *told)
    if not claims.claims:
        return _no_claim(proofs, told)
    if claims.imitations:
        return _imitation(proofs, told)
    proof = _proof(proofs)
    if proof is not None and claims.owner is not None:
        return _proven(proofs, claims.owner, *proof, told)
    proven = candidates(claims, proofs.dkim)
    claimed = tuple(claim_reason(claim.by, claim.detail) for claim in claims.claims)
    failings = _failings(proofs, proven)
    temporary = _temporary(proofs)
    who = _who(proofs)
    if temporary:
        sentence = (
            f"Not proven: it says it is from {who}, but a DNS answer that is needed to check it could not be had. "
            "Verify it again later, and do not act on it until then."
        )
        return Decision(Verdict.UNPROVEN, sentence, (*claimed, *temporary, *failings, *told))
    if _fails_live(proofs):
        policy = proofs.dmarc.policy or "none"
        found = reason(
            ReasonCode.LIVE_SESSION_DMARC_FAIL,
            f"It came to us from a sender that {proofs.dmarc.policy_domain or who} does not vouch for; "
            f"its policy for such mail is “{policy}”.",
            Effect.CONTRADICTS,
        )
        sentence = (
            f"Forged: it says it is from {who}, but the domain's owner neither signed it nor lists the computer that "
            "sent it. Do not act on it; report it."
        )
        return Decision(Verdict.FORGED, sentence, (*claimed, found, *failings, *told))
    sentence = _unproven_sentence(proofs, proven, who)
    return Decision(Verdict.UNPROVEN, sentence, (*claimed, *failings, *told))


def _proof(proofs: Proofs) -> tuple[tuple[Reason, ...], str] | None:
    """What proves the claim, if anything: reasons, and how, as the end of a sentence (row 2)."""
    claims = proofs.claims
    if claims.owner is None:
        return None
    proven = candidates(claims, proofs.dkim)
    agreed = next((r for r in proven if proofs.opinions.get(r.position) is Opinion.PASS), None)
    if agreed is not None:
        return _by_signature(agreed), f"{agreed.domain} signed this message"
    if records := ledger_proof(proofs):
        return records, "it is a mail that we sent, octet for octet"
    if records := archived_proof(proofs):
        return records, "we took in this very message while the key that it is signed with was published"
    return None


def _no_claim(proofs: Proofs, told: tuple[Reason, ...]) -> Decision:
    found = reason(
        ReasonCode.NOTHING_CLAIMED,
        "Its author does not say it is one of the protected senders.",
        Effect.INFORMS,
    )
    author = proofs.author
    passed = proofs.dmarc.result is AuthResult.PASS
    if author is None:
        sentence = "It names no protected sender, and its author cannot be read."
    elif passed:
        sentence = f"It is from {author.domain}, which vouches for it, and does not say it is from a protected sender."
    else:
        sentence = (
            f"It says it is from {author.domain}, which is not proven, and not from a protected sender."
        )
    return Decision(Verdict.NO_CLAIM, sentence, (found, *told))


def _imitation(proofs: Proofs, told: tuple[Reason, ...]) -> Decision:
    claims = proofs.claims
    reasons: list[Reason] = []
    if claims.malformed is not None:
        reasons.append(
            reason(
                ReasonCode.MALFORMED_AUTHOR,
                f"Its author field is broken ({claims.malformed}), so mail programs may show different authors.",
                Effect.CONTRADICTS,
            )
        )
    if claims.several:
        reasons.append(
            reason(
                ReasonCode.SEVERAL_AUTHORS,
                "It names several authors, so mail programs may show different ones.",
                Effect.CONTRADICTS,
            )
        )
    reasons += [imitation_reason(claim.by, claim.detail) for claim in claims.imitations]
    name = claims.imitations[0].identity
    if claims.malformed is not None or claims.several:
        sentence = (
            f"Forged: its author field is written so that it can be read as “{name}” by some programs and as somebody "
            "else by others. Do not act on it; report it."
        )
    else:
        where = proofs.author.domain if proofs.author else "elsewhere"
        sentence = f"Forged: it imitates “{name}” but comes from {where}. Do not act on it; report it."
    return Decision(Verdict.FORGED, sentence, (*reasons, *told))


def _by_signature(agreed: DkimResult) -> tuple[Reason, ...]:
    """What a signature proves, and what it leaves open."""
    reasons = [
        reason(
            ReasonCode.SIGNED_BY_IDENTITY,
            f"{agreed.domain} signed this very message, its author included, and nothing that it signed was changed.",
            Effect.PROVES,
            evidence=f"{agreed.selector}._domainkey.{agreed.domain} TXT",
        ),
        reason(
            ReasonCode.IMPLEMENTATIONS_AGREE,
            "A second, independent program checked the signature too.",
            Effect.PROVES,
        ),
    ]
    unsigned = tuple(name for name in agreed.unsigned if name in _FIELDS_SHOWN)
    if unsigned:
        reasons.append(
            reason(
                ReasonCode.UNSIGNED_FIELDS,
                f"The signature does not cover {', '.join(unsigned)}: anybody may have changed that.",
                Effect.INFORMS,
            )
        )
    return tuple(reasons)


def _proven(
    proofs: Proofs, owner: Identity, proof: tuple[Reason, ...], how: str, told: tuple[Reason, ...]
) -> Decision:
    """``how`` it is proven, as the end of a sentence."""
    if proofs.claims.ambiguities:
        return _read_differently(proofs, how, told)
    author = proofs.author
    address = author.address if author else ""
    reasons = list(proof)
    if proofs.claims.pinned:
        reasons.append(
            reason(
                ReasonCode.ADDRESS_PINNED, f"{address} is a pinned address of “{owner.name}”.", Effect.PROVES
            )
        )
        sentence = f"Genuine: {address} is a known address of “{owner.name}”, and {how}."
        return Decision(Verdict.GENUINE, sentence, (*reasons, *told))
    reasons.append(
        reason(
            ReasonCode.ADDRESS_NOT_PINNED,
            f"{address} is not among the pinned addresses of “{owner.name}”: somebody else at "
            f"{author.domain if author else 'its domain'} could have written it.",
            Effect.WEAKENS,
        )
    )
    sentence = (
        f"Authentic, address not pinned: {how}, but {address} is not on the list of "
        f"“{owner.name}” addresses. Ask through a channel you know before you act on it."
    )
    return Decision(Verdict.AUTHENTIC_UNPINNED, sentence, (*reasons, *told))


def _read_differently(proofs: Proofs, how: str, told: tuple[Reason, ...]) -> Decision:
    """Proven, but what was signed is not what everybody sees: the signer may not have meant what a reader is shown."""
    claims = proofs.claims
    claimed = tuple(claim_reason(claim.by, claim.detail) for claim in claims.claims)
    shown = "an author other" if claims.ambiguities[0].field in ("from", "header") else "something other"
    sentence = (
        f"Not proven: {how}, but it is written in a way that mail programs read differently, so you may be shown "
        f"{shown} than was meant. Ask through a channel you know before you act on it."
    )
    return Decision(Verdict.UNPROVEN, sentence, (*claimed, *told))


def _temporary(proofs: Proofs) -> tuple[Reason, ...]:
    """Row 3: only an answer that could have changed the verdict counts."""
    owner = proofs.claims.owner
    reasons = [
        reason(
            ReasonCode.SIGNATURE_TEMPORARY_ERROR,
            f"The key of {r.domain} could not be fetched just now, so its signature could not be checked.",
            Effect.WEAKENS,
            evidence=f"{r.selector}._domainkey.{r.domain} TXT",
        )
        for r in proofs.dkim
        if r.result is AuthResult.TEMPERROR and owner is not None and owner.signs(r.domain)
    ]
    if proofs.origin in _OWN_SESSION and proofs.dmarc.result is AuthResult.TEMPERROR:
        reasons.append(
            reason(
                ReasonCode.DMARC_TEMPORARY_ERROR,
                "The author domain's DMARC policy could not be worked out just now.",
                Effect.WEAKENS,
            )
        )
    return tuple(reasons)


def _fails_live(proofs: Proofs) -> bool:
    """Row 4. A session that a user supplied proves nothing; a stored one of our own does."""
    if proofs.origin not in _OWN_SESSION or proofs.dmarc.result is not AuthResult.FAIL or proofs.arc.trusted:
        return False
    owner = proofs.claims.owner
    strict = proofs.dmarc.policy not in (None, "none")
    return strict or (owner is not None and owner.always_signs)


def _failings(proofs: Proofs, proven: tuple[DkimResult, ...]) -> tuple[Reason, ...]:
    """Why row 2 did not match."""
    owner = proofs.claims.owner
    opinions = proofs.opinions
    if proofs.rebuilt:  # told by what is known of its way
        return ()
    if any(opinions.get(r.position) is Opinion.FAIL for r in proven):
        text = "Our own check accepts the signature and a second program refuses it, so it proves nothing."
        return (reason(ReasonCode.IMPLEMENTATIONS_DISAGREE, text, Effect.WEAKENS),)
    if proven:
        text = "The signature passes our own check, but a second program could not check it in time."
        return (reason(ReasonCode.SECOND_OPINION_UNAVAILABLE, text, Effect.WEAKENS),)
    if not proofs.dkim:
        text = "It carries no signature of its sender's domain."
        extra = (spf_only(proofs),) if "spf" in proofs.dmarc.aligned_by else ()
        return (reason(ReasonCode.NO_SIGNATURE, text, Effect.WEAKENS), *extra)
    reasons = [signature_failing(r, owner) for r in proofs.dkim]
    if "spf" in proofs.dmarc.aligned_by:
        reasons.append(spf_only(proofs))
    return tuple(each for each in reasons if each is not None)


def _unproven_sentence(proofs: Proofs, proven: tuple[DkimResult, ...], who: str) -> str:
    advice = "Ask through a channel you know before you act on it."
    if proven:
        return f"Not proven: it is signed by {who}, but two programs do not agree that the signature holds. {advice}"
    if proofs.rebuilt:
        return (
            f"Not proven: it says it is from {who}, but an Outlook .msg file does not hold the message as it was sent, "
            "so nothing in it can be checked. Ask for the original, as .eml or as an attachment, before you act on it."
        )
    owner = proofs.claims.owner
    ours = [r for r in proofs.dkim if owner is not None and owner.signs(r.domain)]
    if not ours:
        return f"Not proven: it says it is from {who}, and no signature of theirs proves it. {advice}"
    holding = next((r for r in ours if passes(r)), None)
    if holding is not None:
        why = why_not(holding) if holding.aligned else "it is not one of the author's domain"
        return f"Not proven: it says it is from {who}, but its signature is no proof: {why}. {advice}"
    why = why_not(ours[0])
    return (
        f"Not proven: it says it is from {who}, but its signature does not hold: {why}. That may be a forgery, or come "
        f"from how the message was forwarded or saved. {advice}"
    )


def _who(proofs: Proofs) -> str:
    if proofs.author is not None and proofs.claims.owner is not None:
        return proofs.author.address
    return f"“{proofs.claims.claims[0].identity}”"
