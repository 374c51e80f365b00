"""Reasons in a person's words: one plain sentence for each fact, with its code, RFC section and effect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from verifier.dmarc_7489_record import ALL_MAIL
from verifier.identity import Identity
from verifier.proofs import Proofs
from verifier.reason_codes import RFC, RFC_7489, ReasonCode
from verifier.report import AuthResult, ClaimedBy, DkimResult, Effect, Reason
from verifier.signature_words import why_not


def spf_only(proofs: Proofs) -> Reason:
    """SPF aligned, but nothing else (RFC 7208 11.2)."""
    return reason(
        ReasonCode.SPF_ONLY,
        f"The computer that sent it may send for {proofs.spf.domain}; that alone does not prove who wrote it.",
        Effect.INFORMS,
    )


def signature_failing(result: DkimResult, owner: Identity | None) -> Reason | None:
    """Why a signature does not prove the claim; None for a temporary error, which has a row of its own."""
    domain = result.domain or "an unreadable domain"
    if result.result is AuthResult.TEMPERROR:
        return None
    if owner is not None and result.domain is not None and not owner.signs(result.domain):
        text = f"The signature of {domain} proves nothing about “{owner.name}”."
        return reason(ReasonCode.SIGNED_BY_OTHERS, text, Effect.INFORMS)
    detail = result.detail or None
    if not passes(result):
        text = f"The signature of {domain} does not hold: {why_not(result)}."
        return reason(ReasonCode.SIGNATURE_FAILS, text, Effect.WEAKENS, evidence=detail)
    if not result.aligned:
        text = f"The signature of {domain} is not one of the author's domain."
        return reason(ReasonCode.SIGNED_BY_OTHERS, text, Effect.INFORMS)
    text = f"The signature of {domain} holds but is not accepted as proof: {why_not(result)}."
    return reason(ReasonCode.SIGNATURE_NOT_ACCEPTABLE, text, Effect.WEAKENS, evidence=detail)


def session_facts(proofs: Proofs) -> tuple[Reason, ...]:
    """DMARC as it stands: an ordinary fact beside the verdict. Of a rebuilt message it says nothing."""
    if proofs.rebuilt:
        text = (
            "It was rebuilt from an Outlook .msg file, which does not hold the message as it was sent: "
            "its signatures cannot be checked. Ask for the original, as .eml or as an attachment."
        )
        return (reason(ReasonCode.REBUILT_MESSAGE, text, Effect.WEAKENS),)
    dmarc = proofs.dmarc
    domain = proofs.author.domain if proofs.author else "the author's domain"
    if dmarc.result is AuthResult.PASS:
        by = " and ".join(word.upper() for word in dmarc.aligned_by) or "DMARC"
        text = f"{domain} vouches for it by {by}."
        return (reason(ReasonCode.DMARC_PASS, text, Effect.INFORMS),)
    if dmarc.result is AuthResult.FAIL:
        text = f"Neither a signature nor the sending computer is {domain}'s; its policy is “{dmarc.policy or 'none'}”."
        if proofs.origin is None:
            known = "not known" if proofs.boundary is None else "known from its own header only"
            text = f"No signature of {domain} holds; how the message travelled is {known}."
        failed = reason(ReasonCode.DMARC_FAIL, text, Effect.WEAKENS)
        if dmarc.percent is None or dmarc.percent == ALL_MAIL:
            return (failed,)
        text = f"{dmarc.policy_domain} asks for that in {dmarc.percent} % of such mail; here all of it is judged alike."
        return failed, reason(ReasonCode.DMARC_SAMPLING, text, Effect.INFORMS)
    if dmarc.result is AuthResult.NONE and proofs.author is not None:
        return (reason(ReasonCode.DMARC_NONE, f"{domain} publishes no DMARC policy.", Effect.INFORMS),)
    return ()


def informing(proofs: Proofs) -> tuple[Reason, ...]:
    """What is told beside the verdict and never changes it."""
    reasons: list[Reason] = []
    reasons += _arc(proofs)
    if proofs.border is not None:
        name, words = proofs.border
        text = f"{name}, whose word you trust, noted when it came in: {', '.join(words) or 'nothing'}."
        reasons.append(reason(ReasonCode.BORDER_RESULTS, text, Effect.INFORMS))
    if proofs.boundary is not None or proofs.microsoft:
        reasons += _by_its_header(proofs)
    if proofs.mentions.reply_to:
        text = f"Answers would go elsewhere: {', '.join(proofs.mentions.reply_to[:5])}."
        reasons.append(reason(ReasonCode.REPLY_TO_ELSEWHERE, text, Effect.INFORMS))
    if proofs.mentions.brands:
        text = f"Its text names {', '.join(f'“{term}”' for term in proofs.mentions.brands[:5])}; that claims nothing."
        reasons.append(reason(ReasonCode.BRAND_IN_TEXT, text, Effect.INFORMS))
    if proofs.mentions.forwarded:
        text = "It holds another message inline, which cannot be verified: ask for that one as an attachment."
        reasons.append(reason(ReasonCode.FORWARDED_INLINE, text, Effect.INFORMS))
    if proofs.supplied:
        text = f"Taken as supplied and not seen by us: {', '.join(proofs.supplied)}."
        reasons.append(reason(ReasonCode.SUPPLIED_FACTS, text, Effect.INFORMS))
    return tuple(reasons)


def _by_its_header(proofs: Proofs) -> Iterator[Reason]:
    """What a saved message says of its own way. Whoever had the file may have written that."""
    if proofs.boundary is not None:
        spf = proofs.spf
        asked = "there is no domain whose SPF could be asked about it"
        evidence = None
        if spf.domain is not None:
            asked = f"SPF of {spf.domain} answers “{spf.result}” to that"
            evidence = f"{spf.scope} {spf.domain} from {spf.client_ip}"
        text = (
            f"By its own Received fields {spf.client_ip} handed it to {proofs.boundary}; {asked}. "
            "A saved file can be edited, so that proves and contradicts nothing."
        )
        yield reason(ReasonCode.SPF_RECONSTRUCTED, text, Effect.INFORMS, evidence=evidence)
    for said in proofs.microsoft:
        text = f"A Microsoft 365 field in its header, which anybody can write, says: {said.words}."
        yield reason(ReasonCode.MICROSOFT_365_FIELDS, text, Effect.INFORMS, evidence=said.evidence)


def _arc(proofs: Proofs) -> tuple[Reason, ...]:
    """What relays say that they saw (RFC 8617 7.2): told, and nothing more."""
    arc = proofs.arc
    sealers = ", ".join(dict.fromkeys(arc.sealers[:5]))
    if arc.trusted:
        text = f"A relay that you trust says that the author's domain vouched for it when it came in there ({sealers})."
        return (reason(ReasonCode.ARC_TRUSTED, text, Effect.INFORMS),)
    if arc.result is AuthResult.PASS:
        text = f"Relays sealed what they saw ({sealers}); that is their word, and proves nothing about its author."
        return (reason(ReasonCode.ARC_PASS, text, Effect.INFORMS),)
    if arc.result is AuthResult.FAIL:
        text = "The seals of its relays do not hold, so what they say they saw counts for nothing."
        return (reason(ReasonCode.ARC_FAIL, text, Effect.INFORMS, evidence=arc.reason),)
    return ()


def claim_reason(by: ClaimedBy, detail: str) -> Reason:
    """What is claimed, where the claim alone says nothing against the message."""
    if by is ClaimedBy.AUTHOR_ADDRESS:
        return reason(ReasonCode.CLAIMS_AUTHOR_ADDRESS, f"Its author is given as {detail}.", Effect.INFORMS)
    if by is ClaimedBy.AUTHOR_DOMAIN:
        return reason(ReasonCode.CLAIMS_AUTHOR_DOMAIN, f"Its author is given as {detail}.", Effect.INFORMS)
    return reason(
        ReasonCode.CLAIMS_DISPLAY_NAME, f"It claims the name of a protected sender: {detail}.", Effect.INFORMS
    )


def imitation_reason(by: ClaimedBy, detail: str) -> Reason:
    """How a protected sender is imitated."""
    if by is ClaimedBy.LOOKALIKE_DOMAIN:
        return reason(
            ReasonCode.IMITATES_DOMAIN,
            f"The domain is made to look like another: {detail}.",
            Effect.CONTRADICTS,
        )
    if by is ClaimedBy.DISPLAY_NAME:
        text = f"The name is a protected sender's, the address is not: {detail}."
        return reason(ReasonCode.IMITATES_DISPLAY_NAME, text, Effect.CONTRADICTS)
    if by is ClaimedBy.HIDDEN_ADDRESS:
        text = f"A protected sender's address is shown where the author's name belongs: {detail}."
        return reason(ReasonCode.IMITATES_BY_HIDDEN_ADDRESS, text, Effect.CONTRADICTS)
    return claim_reason(by, detail)


def passes(result: DkimResult) -> bool:
    """Whether a signature holds by the protocol."""
    return result.result is AuthResult.PASS


def reason(code: ReasonCode, text: str, effect: Effect, evidence: str | None = None) -> Reason:
    """A reason with the RFC section of its code."""
    return Reason(code, text, RFC.get(code), effect, evidence)


def by_rfc7489(reasons: tuple[Reason, ...]) -> tuple[Reason, ...]:
    """The same reasons, citing RFC 7489 where they speak of DMARC."""
    return tuple(replace(r, rfc=RFC_7489[r.code]) if r.code in RFC_7489 else r for r in reasons)
