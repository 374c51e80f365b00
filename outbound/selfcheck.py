"""Nothing leaves that our own verifier does not call genuine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from outbound.model import SelfCheck, Sender
from verifier.report import AuthResult, ClaimedBy, DkimResult, Report, Verdict

Verifies = Callable[[bytes], Awaitable[Report]]
"""Judges signed bytes as a receiver would: live DNS, the operated identity, the clock of now."""


async def self_check(raw: bytes, verify: Verifies, sender: Sender, identity: str) -> SelfCheck:
    """Have the signed bytes judged; ``identity`` is the name of the operated one in the identity file."""
    return conclude_self_check(await verify(raw), sender, identity)


def conclude_self_check(report: Report, sender: Sender, identity: str) -> SelfCheck:
    """What a report on our own mail means for sending it. Pure; the reason names the record to repair."""
    claimed = any(
        claim.identity == identity and claim.by in (ClaimedBy.AUTHOR_DOMAIN, ClaimedBy.AUTHOR_ADDRESS)
        for claim in report.claims
    )
    if report.verdict is Verdict.GENUINE and claimed:
        return SelfCheck(genuine=True, verdict=report.verdict.value)
    reason, temporary = _what_is_wrong(report, sender, identity, claimed=claimed)
    return SelfCheck(genuine=False, verdict=report.verdict.value, reason=reason, temporary=temporary)


def _what_is_wrong(  # noqa: PLR0911 -- a table: the first line that fits
    report: Report, sender: Sender, identity: str, *, claimed: bool
) -> tuple[str, bool]:
    record = f"the TXT record {sender.selector}._domainkey.{sender.domain}"
    own = _own_signature(report, sender)
    if own is None:
        return "our own signature is missing, so nobody could verify the mail", False
    if own.result is AuthResult.TEMPERROR:
        return f"DNS gave no answer for {record}; it is asked for again", True
    if own.result is not AuthResult.PASS:
        why = own.reason or own.result.value
        return f"DKIM says {own.result.value} ({why}): {record} is missing or holds another key", False
    if own.testing:
        return f"{record} has the flag t=y, which tells receivers to ignore it", False
    if not own.acceptable:
        weak = ", ".join(own.weaknesses) or "see the verdict"
        return f"our signature passes but is not acceptable ({weak})", False
    if not claimed:
        return (
            f"{sender.domain} does not belong to the identity {identity!r}; add it to the identity file",
            False,
        )
    if report.verdict is Verdict.AUTHENTIC_UNPINNED:
        return f"the address {sender.address} is not pinned for the identity {identity!r}", False
    if report.dmarc.result is AuthResult.TEMPERROR:
        return f"DNS gave no answer for the TXT record _dmarc.{sender.domain}; it is asked for again", True
    codes = ", ".join(reason.code for reason in report.reasons)
    temporary = any(reason.code == "second-opinion-unavailable" for reason in report.reasons)
    return f"our own verifier says {report.verdict.value} ({codes or 'no reason given'})", temporary


def _own_signature(report: Report, sender: Sender) -> DkimResult | None:
    """Our signature: the topmost one of our domain and selector."""
    for one in report.dkim:
        if (one.domain or "").lower() == sender.domain.lower() and one.selector == sender.selector:
            return one
    return None
