"""What a route does with a judged message: one action for its verdict, for DMARC, for what is attached. Pure.

Defaults of the design: what is doubtful is held, seldom refused. A forgery is refused only where two independent
reasons prove it, whatever a route says; neither DMARC ``p=reject`` alone (RFC 9989 7.4) nor a display name alone does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from smtp_gateway import replies
from smtp_gateway.replies import SmtpReply
from threads.attachments import AttachedFile, FileFlag, is_program
from verifier.part import Part
from verifier.report import AuthResult, DmarcMode, Effect, Report, Verdict


class Action(StrEnum):
    """What is done with a message. Where several apply, the last of them in this order."""

    ACCEPT = "accept"  # as the plan says: an unproven author is held there, too
    TAG = "tag"  # and marked, so that people and programs behind us see it
    HOLD = "hold"
    DEFER = "defer"
    REJECT = "reject"


_STRICTNESS: Final = {action: place for place, action in enumerate(Action)}


@dataclass(frozen=True, slots=True)
class RoutePolicy:
    """One route's actions. ``on_temperror`` applies where a temporary error left the author unproven.

    ``on_forged`` REJECT holds what only one reason speaks against. ``on_dmarc_fail`` applies where the author's domain
    asks for more than "none". ``on_program`` applies to attached files that a double click would run, also in a listed
    archive or an attached message; ``on_encrypted`` to those that nobody can look into; ``on_macros`` to documents with
    programs of their own.
    """

    on_genuine: Action = Action.ACCEPT
    on_unpinned: Action = Action.ACCEPT
    on_unproven: Action = Action.ACCEPT
    on_forged: Action = Action.REJECT
    on_no_claim: Action = Action.ACCEPT
    on_dmarc_pass: Action = Action.ACCEPT
    on_dmarc_fail: Action = Action.ACCEPT
    on_dmarc_none: Action = Action.ACCEPT
    on_temperror: Action = Action.ACCEPT
    on_program: Action = Action.ACCEPT
    on_encrypted: Action = Action.ACCEPT
    on_macros: Action = Action.ACCEPT
    max_message_bytes: int | None = None  # None: the gateway's own cap

    @property
    def about_files(self) -> bool:
        """Whether it has to be known what is attached."""
        accept = Action.ACCEPT
        return not (self.on_program is accept and self.on_encrypted is accept and self.on_macros is accept)


BY_DEFAULT: Final = RoutePolicy()
TAKES_ALL: Final = RoutePolicy(on_forged=Action.ACCEPT)
"""For mailboxes that refuse nothing on a verdict: verify, postmaster and abuse (RFC 5321 4.5.1)."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """What a route does with one message, and why. ``reply`` is set where the message is not taken.

    ``about_files``: an attached file is the reason, and its sender, once known, may hear of a better way.
    """

    action: Action
    cause: str = ""  # for the log, the timeline and the expert; names no rule to the outside
    reply: SmtpReply | None = None
    about_files: bool = False


TAKEN: Final = Treatment(Action.ACCEPT)


def treatment(
    report: Report,
    policy: RoutePolicy,
    parts: tuple[Part, ...],
    files: tuple[AttachedFile, ...] = (),
    *,
    bounce: bool,
    relays: bool = False,
) -> Treatment:
    """The strictest action that applies; ``bounce`` says that MAIL FROM was empty (a bounce may have no author).

    ``files`` are the attached ones, for a policy that is about files.

    ``relays``: no plan follows that would hold a forgery which only one reason speaks against, so it is held here.
    """
    found = [
        _by_verdict(report, policy, bounce=bounce, relays=relays),
        _by_dmarc(report, policy),
        _by_evidence(report, policy),
    ]
    if policy.about_files:
        found += _by_files(policy, parts, files)
    return max(found, key=lambda one: _STRICTNESS[one.action])


def authenticated(report: Report) -> bool:
    """Whether anything at all vouches for the message: any signature, SPF or DMARC passed.

    Without one valid author there is nothing that such a pass could vouch for.
    """
    if report.author is None and report.verdict is Verdict.FORGED:
        return False
    passed = AuthResult.PASS
    return (
        report.dmarc.result is passed
        or report.spf.result is passed
        or any(signature.result is passed and not signature.testing for signature in report.dkim)
    )


def imitates(report: Report) -> bool:
    """Whether the message comes from elsewhere than the identity it claims (row 1 of the verdict table)."""
    return any(
        reason.effect is Effect.CONTRADICTS and reason.code.startswith("imitates-")
        for reason in report.reasons
    )


def evidence_missing(report: Report) -> bool:
    """Whether a temporary error left the author unproven: DNS may say otherwise later."""
    if report.dmarc.result is AuthResult.PASS:
        return False
    results = (report.dmarc.result, report.spf.result, *(signature.result for signature in report.dkim))
    return AuthResult.TEMPERROR in results


def _unauthenticated(report: Report) -> SmtpReply:
    older = report.dmarc.mode is DmarcMode.RFC7489
    return replies.UNAUTHENTICATED_7489 if older else replies.UNAUTHENTICATED


def _by_verdict(report: Report, policy: RoutePolicy, *, bounce: bool, relays: bool) -> Treatment:
    if policy.on_forged is Action.REJECT and not authenticated(report) and not evidence_missing(report):
        # Two independent reasons each: no author and nothing that vouches; an imitation and nothing that vouches.
        if report.author is None and (report.verdict is Verdict.FORGED or not bounce):
            cause = "no one valid author, and nothing authenticates it"
            return Treatment(Action.REJECT, cause, replies.MALFORMED_AUTHOR)
        if report.verdict is Verdict.FORGED and imitates(report):
            cause = "imitation of a protected identity, and nothing authenticates it"
            return Treatment(Action.REJECT, cause, _unauthenticated(report))
    doubtful = Action.HOLD if relays else Action.ACCEPT
    action = {
        Verdict.GENUINE: policy.on_genuine,
        Verdict.AUTHENTIC_UNPINNED: policy.on_unpinned,
        Verdict.UNPROVEN: policy.on_unproven,
        Verdict.FORGED: doubtful if policy.on_forged is Action.REJECT else policy.on_forged,
        Verdict.NO_CLAIM: policy.on_no_claim,
    }[report.verdict]
    return _treatment(action, f"the route's rule for a message that is {report.verdict.value}", report)


def _by_dmarc(report: Report, policy: RoutePolicy) -> Treatment:
    result = report.dmarc.result
    if result is AuthResult.PASS:
        action = policy.on_dmarc_pass
    elif result is AuthResult.FAIL and report.dmarc.policy not in {None, "none"}:
        action = policy.on_dmarc_fail
    else:
        action = policy.on_dmarc_none
    return _treatment(action, f"the route's rule for DMARC {result.value}", report)


def _by_evidence(report: Report, policy: RoutePolicy) -> Treatment:
    if policy.on_temperror is Action.ACCEPT or not evidence_missing(report):
        return TAKEN
    cause = "a needed DNS answer was a temporary error"
    if policy.on_temperror in {Action.DEFER, Action.REJECT}:  # never for good: the next try may find it
        return Treatment(Action.DEFER, cause, replies.EVIDENCE_UNAVAILABLE)
    return Treatment(policy.on_temperror, cause)


def _by_files(
    policy: RoutePolicy, parts: tuple[Part, ...], files: tuple[AttachedFile, ...]
) -> list[Treatment]:
    found = []
    if policy.on_program is not Action.ACCEPT and (
        any(map(is_program, parts)) or any(file.runs for file in files)
    ):
        cause = "an attached file that a double click would run"
        found.append(_file_treatment(policy.on_program, cause, replies.PROGRAM_ATTACHED))
    flags = {flag for file in files for flag in file.flags}
    if policy.on_encrypted is not Action.ACCEPT and FileFlag.ENCRYPTED in flags:
        cause = "an attached file that is encrypted, so that nobody can look into it"
        found.append(_file_treatment(policy.on_encrypted, cause, replies.ENCRYPTED_ATTACHED))
    if policy.on_macros is not Action.ACCEPT and FileFlag.MACROS in flags:
        cause = "an attached document with macros"
        found.append(_file_treatment(policy.on_macros, cause, replies.MACROS_ATTACHED))
    return found


def _file_treatment(action: Action, cause: str, refused: SmtpReply) -> Treatment:
    reply = {Action.REJECT: refused, Action.DEFER: replies.POLICY_DEFERRED}.get(action)
    return Treatment(action, cause, reply, about_files=True)


def _treatment(action: Action, cause: str, report: Report) -> Treatment:
    if action is Action.ACCEPT:
        return TAKEN
    if action is Action.REJECT:
        return Treatment(action, cause, _unauthenticated(report))
    if action is Action.DEFER:
        return Treatment(action, cause, replies.POLICY_DEFERRED)
    return Treatment(action, cause)
