"""What each check of a verdict found: result, reason, evidence and RFC section, read off a report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from verifier.reason_codes import RFC, ReasonCode
from verifier.report import AuthResult, Claim, ClaimedBy, DkimResult, DmarcMode, Effect, Report


class Detail(NamedTuple):
    """One thing more that a check found: ``what`` in a word or two, and the finding."""

    what: str
    text: str


class Checked(NamedTuple):
    """One check: its result in the protocol's word, the reason's code or None, what was looked at, and the RFC.

    ``also`` are the codes of further reasons; one about a header field is followed by ":" and its name.
    """

    check: str
    result: str
    reason: str | None
    evidence: str | None
    rfc: str | None
    also: tuple[str, ...] = ()
    details: tuple[Detail, ...] = ()


NOT_ASKED: Final = "dkimpy was not asked: no signature here could prove a claim"

_AUTHOR_FIELD: Final = "RFC 5322 3.6.2"
_SIGNATURES: Final = "RFC 6376 6.1"

# How a claim is told where no reason beside the verdict tells it: it was proven, or it imitates.
_CLAIM_CODES: Final = {
    ClaimedBy.AUTHOR_DOMAIN: ReasonCode.CLAIMS_AUTHOR_DOMAIN,
    ClaimedBy.AUTHOR_ADDRESS: ReasonCode.CLAIMS_AUTHOR_ADDRESS,
    ClaimedBy.DISPLAY_NAME: ReasonCode.CLAIMS_DISPLAY_NAME,
    ClaimedBy.LOOKALIKE_DOMAIN: ReasonCode.IMITATES_DOMAIN,
    ClaimedBy.HIDDEN_ADDRESS: ReasonCode.IMITATES_BY_HIDDEN_ADDRESS,
}
_IMITATIONS: Final = frozenset(
    {
        ReasonCode.IMITATES_DISPLAY_NAME,
        ReasonCode.IMITATES_DOMAIN,
        ReasonCode.IMITATES_BY_HIDDEN_ADDRESS,
    }
)
_CLAIMS: Final = _IMITATIONS | frozenset(_CLAIM_CODES.values())
_OPINIONS: Final = {
    ReasonCode.IMPLEMENTATIONS_AGREE: "pass",
    ReasonCode.IMPLEMENTATIONS_DISAGREE: "fail",
    ReasonCode.SECOND_OPINION_UNAVAILABLE: "skipped",
}
_BY_KEY: Final = (ReasonCode.SIGNED_BY_IDENTITY, ReasonCode.RECORDED_UNDER_KEY)  # their evidence names the key
_PINNED: Final = (ReasonCode.ADDRESS_PINNED, ReasonCode.ADDRESS_NOT_PINNED)
_BESIDE_DMARC: Final = (ReasonCode.LIVE_SESSION_DMARC_FAIL, ReasonCode.DMARC_SAMPLING)
# Reasons that say in a sentence what a check below says by its own result.
_TOLD_BY_RESULTS: Final = frozenset(
    {
        ReasonCode.SIGNED_BY_IDENTITY,
        ReasonCode.NO_SIGNATURE,
        ReasonCode.SIGNATURE_FAILS,
        ReasonCode.SIGNATURE_NOT_ACCEPTABLE,
        ReasonCode.SIGNED_BY_OTHERS,
        ReasonCode.SIGNATURE_TEMPORARY_ERROR,
        ReasonCode.DMARC_TEMPORARY_ERROR,
        ReasonCode.DMARC_PASS,
        ReasonCode.DMARC_FAIL,
        ReasonCode.DMARC_NONE,
        ReasonCode.ARC_FAIL,
    }
)
_STRONG: Final = frozenset({Effect.PROVES, Effect.CONTRADICTS, Effect.WEAKENS})


def checks_of(report: Report) -> tuple[Checked, ...]:
    """All checks in the order in which they are made: the author, claims, signatures, their second reading, SPF, DMARC, ARC.

    Last comes each reason that counted and that none of those tells. Pure; nothing is found out here.
    """
    found = (
        _author(report),
        *_claims(report),
        *_dkim(report),
        _second_opinion(report),
        _spf(report),
        _dmarc(report),
        _arc(report),
    )
    told = {code for check in found for code in (check.reason, *check.also)}
    return (*found, *_others(report, told))


def _codes(report: Report) -> set[str]:
    return {reason.code for reason in report.reasons}


def _author(report: Report) -> Checked:
    author = report.author
    if author is not None:
        shown = f"{author.address}, shown as {author.display}" if author.display else author.address
        return Checked("author", "pass", None, shown, _AUTHOR_FIELD)
    codes = _codes(report)
    refused = ReasonCode.MALFORMED_AUTHOR in codes or report.dmarc.reason == ReasonCode.MALFORMED_AUTHOR
    several = ReasonCode.SEVERAL_AUTHORS in codes or not refused
    code = ReasonCode.SEVERAL_AUTHORS if several else ReasonCode.MALFORMED_AUTHOR
    text = next((reason.text for reason in report.reasons if reason.code == code), None)
    return Checked("author", "fail", code, text, _AUTHOR_FIELD)


def _claims(report: Report) -> Iterator[Checked]:
    if not report.claims:
        yield Checked("claims", "none", ReasonCode.NOTHING_CLAIMED, None, _AUTHOR_FIELD)
    for number, claim in enumerate(report.claims, 1):
        code = _claim_code(claim, report)
        result = "imitated" if code in _IMITATIONS else "claimed"
        pinned = tuple(c for c in _PINNED if c in _codes(report)) if result == "claimed" else ()
        evidence = f"“{claim.identity}”: {claim.detail}"
        yield Checked(f"claim {number}", result, code, evidence, RFC.get(code, _AUTHOR_FIELD), pinned)


def _claim_code(claim: Claim, report: Report) -> ReasonCode:
    """The reason that tells this very claim, or the one that its kind always has."""
    told = (ReasonCode(r.code) for r in report.reasons if r.code in _CLAIMS and claim.detail in r.text)
    return next(told, _CLAIM_CODES[claim.by])


def _dkim(report: Report) -> Iterator[Checked]:
    if not report.dkim:
        code = ReasonCode.NO_SIGNATURE if ReasonCode.NO_SIGNATURE in _codes(report) else None
        yield Checked("DKIM", AuthResult.NONE.value, code, None, _SIGNATURES)
    for signature in report.dkim:
        why = tuple(code for code in (signature.reason, *signature.weaknesses) if code)
        key = f"{signature.selector}._domainkey.{signature.domain} TXT" if signature.domain else None
        evidence = "; ".join(text for text in (key, signature.detail) if text) or None
        yield Checked(
            f"DKIM {signature.position + 1}",
            signature.result.value,
            why[0] if why else None,
            evidence,
            _SIGNATURES,
            why[1:],
            tuple(_fields(signature)),
        )


def _fields(signature: DkimResult) -> Iterator[Detail]:
    if signature.result is AuthResult.PASS:
        yield Detail("aligned", "yes" if signature.aligned else "no: it is not the author's domain")
        yield Detail("accepted", "yes" if signature.acceptable else "no: it is no proof")
    if signature.signed:
        yield Detail("signed", ", ".join(signature.signed))
    if signature.oversigned:
        yield Detail("oversigned", f"{', '.join(signature.oversigned)} (none can be added)")
    if signature.unsigned:
        yield Detail("unsigned", f"{', '.join(signature.unsigned)} (not proven)")


def _second_opinion(report: Report) -> Checked:
    told = next((reason for reason in report.reasons if reason.code in _OPINIONS), None)
    if told is None:
        return Checked("second opinion", "none", None, NOT_ASKED, _SIGNATURES)
    code = ReasonCode(told.code)
    proving = [r for r in report.dkim if r.result is AuthResult.PASS and r.acceptable and r.aligned]
    keys = ", ".join(f"{r.selector}._domainkey.{r.domain} TXT" for r in proving)
    if code is ReasonCode.IMPLEMENTATIONS_AGREE:
        keys = next((r.evidence for r in report.reasons if r.code in _BY_KEY and r.evidence), keys)
    return Checked("second opinion", _OPINIONS[code], code, f"dkimpy, with {keys}", _SIGNATURES)


def _spf(report: Report) -> Checked:
    spf = report.spf
    evidence = None  # without a domain nothing was looked at, and the reason says why
    if spf.domain is not None:
        source = f"{spf.scope} {spf.domain} from {spf.client_ip} ({spf.source})"
        evidence = f"{source}; {spf.detail}" if spf.detail else source
    return Checked("SPF", spf.result.value, spf.reason, evidence, "RFC 7208 4")


def _dmarc(report: Report) -> Checked:
    dmarc = report.dmarc
    record = None if dmarc.policy_domain is None else f"_dmarc.{dmarc.policy_domain} TXT"
    rfc = "RFC 9989 5.3" if dmarc.mode is DmarcMode.RFC9989 else "RFC 7489 6.6"
    codes = _codes(report)
    also = tuple(code for code in _BESIDE_DMARC if code in codes)
    details = []
    if dmarc.aligned_by:
        details.append(Detail("aligned by", " and ".join(word.upper() for word in dmarc.aligned_by)))
    if dmarc.policy:
        asked = f"for mail that fails {dmarc.policy_domain} asks receivers for: {dmarc.policy}"
        details.append(Detail("policy", asked))
    why = (*((dmarc.reason,) if dmarc.reason else ()), *also)
    return Checked("DMARC", dmarc.result.value, why[0] if why else None, record, rfc, why[1:], tuple(details))


def _arc(report: Report) -> Checked:
    arc = report.arc
    sealers = ", ".join(dict.fromkeys(arc.sealers)) or None
    hops = []
    for hop in arc.hops:
        says = f", says dmarc={hop.dmarc}" if hop.dmarc else ""
        says += f" of {hop.author_domain}" if hop.dmarc and hop.author_domain else ""
        text = f"{hop.domain}: seal {hop.seal}, message {hop.message}, chain before {hop.status}{says}"
        hops.append(Detail(f"hop {hop.instance}", text))
    reason = arc.reason or next(
        (code for code in (ReasonCode.ARC_TRUSTED, ReasonCode.ARC_PASS) if code in _codes(report)), None
    )
    return Checked("ARC", arc.result.value, reason, sealers, "RFC 8617 5.2", (), tuple(hops))


def _others(report: Report, told: set[str | None]) -> Iterator[Checked]:
    for reason in report.reasons:
        if reason.effect in _STRONG and reason.code not in told and reason.code not in _TOLD_BY_RESULTS:
            evidence = reason.evidence or reason.text
            yield Checked("finding", reason.effect.value, reason.code, evidence, reason.rfc)
