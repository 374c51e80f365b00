"""Nothing leaves that our own verifier does not call genuine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType

from outbound.model import SelfCheck, Sender
from verifier.report import AuthResult, ClaimedBy, DkimResult, Report, Verdict

Verifies = Callable[[bytes], Awaitable[Report]]
"""Judges signed bytes as a receiver would: live DNS, the operated identity, the clock of now."""

NO_RECORDS: Mapping[str, str] = MappingProxyType({})


async def self_check(
    raw: bytes, verify: Verifies, sender: Sender, identity: str, records: Mapping[str, str] = NO_RECORDS
) -> SelfCheck:
    """Have the signed bytes judged; ``identity`` is the name of the operated one in the identity file.

    ``records`` are the lines to publish for our keys, by selector.
    """
    return conclude_self_check(await verify(raw), sender, identity, records)


def conclude_self_check(
    report: Report, sender: Sender, identity: str, records: Mapping[str, str] = NO_RECORDS
) -> SelfCheck:
    """What a report on our own mail means for sending it. Pure; the reason names the record to repair.

    Each signature of our domain has to hold, not only the one that a verdict needs: customers' servers differ in which
    they can verify. What was signed before a change of keys is judged by the signatures that it bears.
    """
    claimed = any(
        claim.identity == identity and claim.by in (ClaimedBy.AUTHOR_DOMAIN, ClaimedBy.AUTHOR_ADDRESS)
        for claim in report.claims
    )
    own = [one for one in report.dkim if (one.domain or "").lower() == sender.domain.lower()]
    wrong = [fault for one in own if (fault := _fault(one, sender, records)) is not None]
    if report.verdict is Verdict.GENUINE and claimed and own and not wrong:
        return SelfCheck(genuine=True, verdict=report.verdict.value)
    lasting = [fault for fault in wrong if not fault[1]]
    reason, temporary = (
        (lasting or wrong)[0] if wrong else _what_else(report, sender, identity, own, claimed=claimed)
    )
    return SelfCheck(genuine=False, verdict=report.verdict.value, reason=reason, temporary=temporary)


def _fault(own: DkimResult, sender: Sender, records: Mapping[str, str]) -> tuple[str, bool] | None:
    """What is wrong with one signature of ours, and whether that may pass by itself; None: it holds."""
    record = f"the TXT record {own.selector}._domainkey.{sender.domain}"
    if own.result is AuthResult.TEMPERROR:
        return f"DNS gave no answer for {record}; it is asked for again", True
    line = records.get(own.selector or "")
    publish = "" if line is None else f"; publish this record: {line}"
    if own.result is not AuthResult.PASS:
        why = own.reason or own.result.value
        text = f"DKIM says {own.result.value} ({why}): {record} is missing or holds another key{publish}"
        return text, False
    if own.testing:
        return f"{record} has the flag t=y, which tells receivers to ignore it{publish}", False
    if not own.acceptable:
        weak = ", ".join(own.weaknesses) or "see the verdict"
        return f"our signature by {own.selector} passes but is not acceptable ({weak})", False
    return None


def _what_else(
    report: Report, sender: Sender, identity: str, own: Sequence[DkimResult], *, claimed: bool
) -> tuple[str, bool]:
    if not own:
        return "our own signature is missing, so nobody could verify the mail", False
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
