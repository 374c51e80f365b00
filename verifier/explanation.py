"""A verdict explained: who was shown, who vouches, what each check found, what would change it, what to do now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from verifier.checks import Checked, checks_of
from verifier.dkim_reason import DkimReason
from verifier.reason_codes import ReasonCode
from verifier.report import AuthResult, DkimResult, Report, Verdict
from verifier.signature_words import why_not


class Link(NamedTuple):
    """One link of the chain from what a person sees to who answers for it: ``finding`` is a plain sentence."""

    what: str  # "shown From", "signer", "return path", "policy"
    who: str | None
    finding: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """``would_change`` and ``do_now`` are plain sentences, the most important first."""

    chain: tuple[Link, ...]
    checks: tuple[Checked, ...]
    would_change: tuple[str, ...]
    do_now: tuple[str, ...]


MAX_SIGNERS: Final = 3  # told in the chain, the best ones first; most messages have one or two

_ORIGINAL: Final = (
    "The original, saved as source or forwarded as an attachment: this copy is not the one that was signed."
)
_AGAIN: Final = "The DNS answer that is missing: verify it again later."
# What a reason beside an unproven claim asks for.
_WANTED: Final = {
    ReasonCode.SIGNATURE_TEMPORARY_ERROR: _AGAIN,
    ReasonCode.DMARC_TEMPORARY_ERROR: _AGAIN,
    ReasonCode.REBUILT_MESSAGE: "The original, as an .eml file or as an attachment: a .msg file does not hold the message as it was sent.",
    ReasonCode.READERS_DIFFER: "Nothing that you can do: its sender has to write it so that all programs read it alike; ask him.",
    ReasonCode.NO_SIGNATURE: "A copy that still carries the signature of the author's domain.",
    ReasonCode.SIGNED_BY_OTHERS: "A signature of the author's own domain.",
    ReasonCode.SECOND_OPINION_UNAVAILABLE: "A second program's word on the signature: verify it again.",
    ReasonCode.IMPLEMENTATIONS_DISAGREE: "Nothing that you can do: two programs read the signature differently; show it to an expert.",
    ReasonCode.SIGNATURE_NOT_ACCEPTABLE: "A message whose signature covers all that people see; this one's does not, whoever made it.",
}
_FAILED: Final = {
    DkimReason.BODY_CHANGED: _ORIGINAL,
    DkimReason.SIGNATURE_MISMATCH: _ORIGINAL,
    DkimReason.EXPIRED: "The day it came in, if you know it: --at judges it as of then.",
    DkimReason.NO_KEY: "The key that was published when it was sent, from stored evidence.",
}
_PROVEN_BY_RECORDS: Final[dict[str, str]] = {
    ReasonCode.LEDGER_IDENTICAL: "Proven: it is a mail that we sent, octet for octet.",
    ReasonCode.RECORDED_UNDER_KEY: "Proven: we took in this very message while the key of its signature was published.",
}
_OF_DMARC: Final = {
    AuthResult.PASS: "this message did not fail",
    AuthResult.FAIL: "this message failed",
}
_DO_NOW: Final = {
    Verdict.GENUINE: ("You may act on it.",),
    Verdict.AUTHENTIC_UNPINNED: (
        "Ask through a channel you know (portal, phone) whether this address is theirs.",
        "Act on it only after that.",
    ),
    Verdict.UNPROVEN: (
        "Do not act on it yet.",
        "Ask whoever showed it to you for the original as an attachment, or ask the sender through a channel you know.",
    ),
    Verdict.FORGED: (
        "Do not act on it, do not answer it, open nothing in it.",
        "Report it, with the message as an attachment.",
    ),
    Verdict.NO_CLAIM: ("Treat it like any other mail: it does not say that it is from a protected sender.",),
}


def explain(report: Report) -> Explanation:
    """Explain a report. Pure; nothing is found out here that the report does not hold."""
    return Explanation(
        tuple(_chain(report)),
        checks_of(report),
        tuple(dict.fromkeys(_would_change(report))),
        _DO_NOW[report.verdict],
    )


def _chain(report: Report) -> Iterator[Link]:
    yield _shown_from(report)
    signers = sorted(report.dkim, key=lambda r: (r.result is not AuthResult.PASS, not r.aligned))
    if not signers:
        yield Link("signer", None, "It carries no signature.")
    for signer in signers[:MAX_SIGNERS]:
        yield Link("signer", signer.domain, _of_signer(signer))
    if len(signers) > MAX_SIGNERS:
        yield Link("signer", None, _of_more(signers[MAX_SIGNERS:]))
    spf = report.spf
    if spf.domain is None:
        yield Link("return path", None, "How it travelled is not known.")
    elif spf.source == "reconstructed":
        finding = f"By its own header, which can be edited, it came from {spf.client_ip}: SPF says “{spf.result}”. Nothing hangs on it."
        yield Link("return path", spf.domain, finding)
    elif spf.result is AuthResult.PASS:
        yield Link(
            "return path",
            spf.domain,
            f"{spf.client_ip} may send for it; that says nothing about who wrote it.",
        )
    else:
        yield Link("return path", spf.domain, f"It does not vouch for {spf.client_ip} ({spf.result}).")
    dmarc = report.dmarc
    if dmarc.policy is None:
        yield Link("policy", None, "The author's domain asks for nothing.")
    else:
        found = _OF_DMARC.get(dmarc.result, "whether this message fails is not known")
        text = f"For mail that fails it asks receivers for “{dmarc.policy}”; {found}."
        yield Link("policy", dmarc.policy_domain, text)


def _shown_from(report: Report) -> Link:
    author = report.author
    if author is None:
        return Link("shown From", None, "No one author can be read.")
    if report.verdict in (Verdict.GENUINE, Verdict.AUTHENTIC_UNPINNED):
        return Link("shown From", author.address, _proven(report))
    if report.dmarc.result is AuthResult.PASS:
        forged = report.verdict is Verdict.FORGED
        but = ", and is not the sender that it looks like" if forged else ""
        return Link("shown From", author.address, f"{author.domain} vouches for the message{but}.")
    return Link("shown From", author.address, "Not proven: anybody can write that.")


def _proven(report: Report) -> str:
    codes = {reason.code for reason in report.reasons}
    told = (text for code, text in _PROVEN_BY_RECORDS.items() if code in codes)
    return next(told, "Proven: the signature below covers it.")


def _of_more(signers: list[DkimResult]) -> str:
    holding = sum(signer.result is AuthResult.PASS for signer in signers)
    more = "one more signature" if len(signers) == 1 else f"{len(signers)} more signatures"
    return f"And {more}, of which {holding or 'none'} {'holds' if holding <= 1 else 'hold'}; see the checks."


def _of_signer(signer: DkimResult) -> str:
    if signer.result is not AuthResult.PASS:
        return f"Its signature proves nothing: {why_not(signer)}."
    if not signer.aligned:
        return "Its signature holds; it is not the author's domain."
    if not signer.acceptable:
        return f"Its signature holds, and is no proof: {why_not(signer)}."
    return "Its signature holds, and it is the author's domain."


def _would_change(report: Report) -> Iterator[str]:
    codes = {reason.code for reason in report.reasons}
    if report.verdict is Verdict.GENUINE:
        own = codes & _PROVEN_BY_RECORDS.keys()
        yield "Any change to the message." if own else "Any change to what the signature covers."
    elif report.verdict is Verdict.AUTHENTIC_UNPINNED:
        address = report.author.address if report.author else "the address"
        yield f"Pinning {address} in the identity file, once you have confirmed it by another way, makes such mail genuine."
    elif report.verdict is Verdict.NO_CLAIM:
        yield "An author at a protected domain, or a name or domain that looks like a protected one."
    elif report.verdict is Verdict.FORGED:
        if ReasonCode.LIVE_SESSION_DMARC_FAIL in codes:
            yield "A signature of the author's domain that holds."
            yield "A relay of yours that changed it on the way, named in trusted_sealers."
        else:
            yield "Nothing in the message. If the author's domain belongs to the identity after all, list it in known_domains."
    else:
        yield from (text for code, text in _WANTED.items() if code in codes)
        if ReasonCode.SIGNATURE_FAILS in codes:
            failed = [_FAILED[DkimReason(r.reason)] for r in report.dkim if r.reason in _FAILED]
            yield from failed or ["A message whose signature holds."]


def as_object(explanation: Explanation) -> dict[str, object]:
    """For JSON."""
    return {
        "chain": [link._asdict() for link in explanation.chain],
        "checks": [
            {**check._asdict(), "details": [detail._asdict() for detail in check.details]}
            for check in explanation.checks
        ],
        "would_change": list(explanation.would_change),
        "do_now": list(explanation.do_now),
    }
