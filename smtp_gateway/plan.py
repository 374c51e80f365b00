"""What is done with a judged message: refuse, put off, or accept and file, hold, triage or answer. Pure.

Two steps. :func:`refusal` needs the verdict only and runs before anything is stored. :func:`plan` needs what
the record says about the author and the thread, and runs inside the transaction that stores the message.

Defaults of the design: a doubtful message is held, not refused. 550 takes two independent reasons, and
neither DMARC ``p=reject`` alone (RFC 9989 7.4) nor a display name alone is enough; the text names an RFC-level
reason only, never which look-alike rule fired.
"""

from __future__ import annotations

from dataclasses import dataclass

from smtp_gateway import replies
from smtp_gateway.replies import SmtpReply
from smtp_gateway.routes import OnForgery, OnTemperror, PolicyClass, Route, RouteKind, RoutePolicy
from threads.model import (
    Candidates,
    Disposition,
    MessageKind,
    Standing,
    StandingKind,
    State,
    Thread,
    ThreadKind,
    ThreadMatch,
)
from verifier.message import Field, Message
from verifier.report import AuthResult, DmarcMode, Effect, Report, Verdict

_LIST_FIELDS = frozenset({b"list-id", b"list-unsubscribe", b"list-post", b"list-help", b"mailing-list"})
_BULK = frozenset({b"bulk", b"list", b"junk"})
_ROBOT_LOCALS = frozenset(
    {"mailer-daemon", "postmaster", "noreply", "no-reply", "donotreply", "do-not-reply"}
)


@dataclass(frozen=True, slots=True)
class Refused:
    """Not accepted: the public ``reply`` and the private ``cause`` for the log."""

    reply: SmtpReply
    cause: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """What the plan goes by, beside the record. ``answerable`` is whether an automatic answer could be sent at all."""

    route: Route
    report: Report
    kind: MessageKind
    answerable: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with an accepted copy.

    ``opens`` is the kind of thread to open for ``standing.organisation_id``; ``acknowledges`` orders the
    confirmation of it, ``answers`` the verdict report; ``resumes`` sets the thread In progress.
    """

    disposition: Disposition
    reason: str
    thread_id: int | None = None
    opens: ThreadKind | None = None
    acknowledges: bool = False
    answers: bool = False
    resumes: bool = False


# -- before storing -----------------------------------------------------------------------------------
def refusal(report: Report, route: Route, policy: RoutePolicy, *, bounce: bool) -> Refused | None:
    """Whether the route refuses the message or puts it off; ``bounce`` says that MAIL FROM was empty.

    Only conversation routes do: the verify mailbox rejects nothing on a verdict (an attached message never
    decides the outer reply), and postmaster and abuse take everything (RFC 5321 4.5.1).
    """
    if route.policy_class is not PolicyClass.CONVERSATION:
        return None
    if policy.on_temperror is OnTemperror.DEFER and evidence_missing(report):
        return Refused(replies.EVIDENCE_UNAVAILABLE, "a needed DNS answer was a temporary error")
    if policy.on_forgery is not OnForgery.REJECT or authenticated(report) or evidence_missing(report):
        return None
    if report.author is None and (report.verdict is Verdict.FORGED or not bounce):
        return Refused(replies.MALFORMED_AUTHOR, "no one valid author, and nothing authenticates it")
    if report.verdict is Verdict.FORGED and imitates(report):
        older = report.dmarc.mode is DmarcMode.RFC7489
        reply = replies.UNAUTHENTICATED_7489 if older else replies.UNAUTHENTICATED
        return Refused(reply, "imitation of a protected identity, and nothing authenticates it")
    return None


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


def may_be_answered(
    message: Message, kind: MessageKind, report: Report, own_domains: frozenset[str], *, bounce: bool
) -> bool:
    """Whether an automatic answer is allowed at all (RFC 3834 2): one valid author, a person, no list, no loop."""
    if bounce or kind is not MessageKind.HUMAN or report.author is None:
        return False
    if report.author.domain in own_domains or _robot(report.author.address):
        return False
    return not any(_forbids_answer(field) for field in message.fields)


def _forbids_answer(field: Field) -> bool:
    """Fields of lists and robots (RFC 2919, RFC 2369, RFC 3834 5)."""
    value = field.value.partition(b";")[0].strip().lower()
    match field.lower:
        case b"precedence":
            return value in _BULK
        case b"auto-submitted":
            return value != b"no"
        case b"x-auto-response-suppress":
            return value != b"none"
        case name:
            return name in _LIST_FIELDS


def _robot(address: str) -> bool:
    """Addresses behind which no person reads (RFC 3834 2)."""
    local = address.rpartition("@")[0].lower()
    return local in _ROBOT_LOCALS or local.startswith("owner-") or local.endswith("-request")


# -- inside the transaction ---------------------------------------------------------------------------
def plan(arrived: Arrived, match: ThreadMatch, standing: Standing, candidates: Candidates) -> Plan:
    """What to do with one copy, given the thread it belongs to and its author's standing there."""
    if arrived.route.policy_class is PolicyClass.ROLE:
        return Plan(Disposition.TRIAGE, f"mail for {arrived.route.kind}")
    if arrived.route.kind is RouteKind.VERIFY:
        return _for_the_verify_mailbox(arrived, standing, candidates)
    if match.conflict:
        return Plan(Disposition.HELD, match.reason)
    if standing.may_speak:
        return _entitled(arrived, match, standing, candidates)
    return _not_entitled(arrived, match, standing, candidates)


def _entitled(arrived: Arrived, match: ThreadMatch, standing: Standing, candidates: Candidates) -> Plan:
    if arrived.report.verdict is Verdict.FORGED and standing.kind is not StandingKind.CONTACT:
        return Plan(Disposition.HELD, "it poses as a protected sender", match.thread_id)
    thread = candidates.thread(match.thread_id)
    if thread is None:
        return _anew(arrived, standing)
    return Plan(Disposition.FILED, standing.reason, thread.id, resumes=_resumes(arrived, standing, thread))


def _resumes(arrived: Arrived, standing: Standing, thread: Thread) -> bool:
    """A verified contact's own words end the wait for the customer; a robot's or an unlisted person's do not."""
    return (
        standing.kind is StandingKind.CONTACT
        and arrived.kind is MessageKind.HUMAN
        and thread.state is State.AWAITING_CUSTOMER
    )


def _not_entitled(arrived: Arrived, match: ThreadMatch, standing: Standing, candidates: Candidates) -> Plan:
    if match.thread_id is not None:
        return Plan(Disposition.HELD, standing.reason, match.thread_id)
    if arrived.report.verdict is Verdict.FORGED:
        return Plan(Disposition.HELD, "it poses as a protected sender")
    if candidates.contacts or candidates.domain_organisations:
        return Plan(Disposition.HELD, f"it gives a customer's address as its author; {standing.reason}")
    return Plan(Disposition.TRIAGE, standing.reason)


def _anew(arrived: Arrived, standing: Standing) -> Plan:
    if arrived.kind is not MessageKind.HUMAN:
        return Plan(Disposition.HELD, f"an automatic message ({arrived.kind}) that belongs to no thread")
    if standing.organisation_id is None:
        return Plan(Disposition.HELD, "its author stands for several organisations")
    opens = ThreadKind.SERVICE if arrived.route.kind is RouteKind.SERVICE else ThreadKind.INQUIRY
    acknowledges = opens is ThreadKind.INQUIRY and arrived.answerable
    return Plan(Disposition.FILED, standing.reason, opens=opens, acknowledges=acknowledges)


def _for_the_verify_mailbox(arrived: Arrived, standing: Standing, candidates: Candidates) -> Plan:
    if standing.kind is StandingKind.CONTACT:
        if arrived.answerable:
            return Plan(Disposition.ANSWERED, standing.reason, answers=True)
        return Plan(Disposition.HELD, "a known contact's message that may not be answered automatically")
    if standing.kind is StandingKind.UNAUTHENTICATED and candidates.contacts:
        return Plan(Disposition.HELD, f"it gives a contact's address as its author; {standing.reason}")
    return Plan(Disposition.TRIAGE, standing.reason)
