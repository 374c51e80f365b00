"""What is done with an accepted message: file, hold, triage or answer. Pure.

Whether it is accepted at all, the route's policy says before (``route_policy``). This needs what the record says about
the author and the thread, and runs inside the transaction that stores the message.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from smtp_gateway.route_policy import TAKEN, Action, Treatment
from smtp_gateway.routes import Route, RouteKind
from threads.machine_mail import EVENTS
from threads.model import (
    Candidates,
    Disposition,
    MessageKind,
    Standing,
    StandingKind,
    Thread,
    ThreadKind,
    ThreadMatch,
)
from threads.transitions import resumes
from verifier.message import Field, Message
from verifier.report import Report, Verdict

UNTRUSTED = "the customer's mail is marked untrusted: an intruder may have written it; ask by telephone"
"""Why what comes from a compromised customer is held."""

_LIST_FIELDS = frozenset({b"list-id", b"list-unsubscribe", b"list-post", b"list-help", b"mailing-list"})
_BULK = frozenset({b"bulk", b"list", b"junk"})
_ROBOT_LOCALS = frozenset(
    {"mailer-daemon", "postmaster", "noreply", "no-reply", "donotreply", "do-not-reply"}
)


@dataclass(frozen=True, slots=True)
class Arrived:
    """What the plan goes by, beside the record. ``answerable`` is whether an automatic answer could be sent at all.

    ``returned`` is mail with the empty return path (RFC 5321 4.5.5), which no person's mail has.
    """

    route: Route
    report: Report
    kind: MessageKind
    answerable: bool
    treatment: Treatment = TAKEN
    returned: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with an accepted copy.

    ``opens`` is the kind of thread to open for ``standing.organisation_id``; ``acknowledges`` orders the
    confirmation of it, ``answers`` the verdict report; ``resumes`` sets the thread In progress; ``redirects`` orders the
    note that names the way for files that mail is not the way for.
    """

    disposition: Disposition
    reason: str
    thread_id: int | None = None
    opens: ThreadKind | None = None
    acknowledges: bool = False
    answers: bool = False
    resumes: bool = False
    event: bool = False  # a machine's mail about mail of ours: told as what happened, not as somebody's words
    redirects: bool = False


def may_be_answered(
    message: Message, kind: MessageKind, report: Report, own_domains: frozenset[str], *, bounce: bool
) -> bool:
    """Whether an automatic answer is allowed at all (RFC 3834 2): one valid author, a person, no list, no loop."""
    if bounce or kind is not MessageKind.HUMAN or report.author is None:
        return False
    if report.author.domain in own_domains or _robot(report.author.address):
        return False
    return not any(forbids_answer(field) for field in message.fields)


def forbids_answer(field: Field) -> bool:
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


def plan(arrived: Arrived, match: ThreadMatch, standing: Standing, candidates: Candidates) -> Plan:
    """What to do with one copy, given the thread it belongs to and its author's standing there."""
    if arrived.route.role:
        return Plan(Disposition.TRIAGE, f"mail for {arrived.route.kind}")
    if arrived.treatment.action is Action.HOLD:
        known = standing.kind is StandingKind.CONTACT and arrived.answerable and not candidates.untrusted
        return Plan(
            Disposition.HELD,
            arrived.treatment.cause,
            match.thread_id,
            redirects=known and arrived.treatment.about_files,
        )
    if candidates.untrusted and _untrusted(arrived, match, standing, candidates):
        return Plan(Disposition.HELD, UNTRUSTED, match.thread_id)
    planned = _planned(arrived, match, standing, candidates)
    if arrived.treatment.action is Action.TAG:
        return replace(planned, reason=f"{planned.reason}; marked: {arrived.treatment.cause}")
    return planned


def _untrusted(arrived: Arrived, match: ThreadMatch, standing: Standing, candidates: Candidates) -> bool:
    """Whether an intruder may have written it: from the mail of an organisation that an expert marked.

    That of the thread (whoever the author is: its reply addresses are in the mailboxes that he reads) or of the author's
    standing, or the one whose domain it comes from, whatever it is about. An answer of
    the verify mailbox would go out by itself, so there any organisation that the author speaks for counts.
    """
    thread = candidates.thread(match.thread_id)
    # A mailbox below a customer's domain is made by who rules that domain: an intruder, too.
    concerned = {
        *candidates.domain_organisations,
        *candidates.above_organisations,
        standing.organisation_id,
    }
    if thread is not None:
        concerned.add(thread.organisation_id)
    if arrived.route.kind is RouteKind.VERIFY:
        concerned.update(one.organisation_id for one in candidates.contacts)
    return not candidates.untrusted.isdisjoint(concerned)


def _planned(arrived: Arrived, match: ThreadMatch, standing: Standing, candidates: Candidates) -> Plan:
    if arrived.route.kind is RouteKind.VERIFY:
        return _for_the_verify_mailbox(arrived, standing, candidates)
    if match.conflict:
        return Plan(Disposition.HELD, match.reason)
    if arrived.kind in EVENTS and _tells_of_our_mail(arrived, match, standing, candidates):
        reason = match.reason if match.proven else standing.reason
        return Plan(Disposition.FILED, f"{arrived.kind}: {reason}", match.thread_id, event=True)
    if standing.may_speak:
        return _entitled(arrived, match, standing, candidates)
    return _not_entitled(arrived, match, standing, candidates)


def _tells_of_our_mail(
    arrived: Arrived, match: ThreadMatch, standing: Standing, candidates: Candidates
) -> bool:
    """Whether a machine's mail belongs to a thread: by what only who has a mail of ours can bring, or by its author.

    Everybody else's is no event, so that a bounce that was made up says nothing of a contact.
    """
    if match.thread_id is None:
        return False
    if arrived.report.verdict is Verdict.FORGED:
        return standing.kind is StandingKind.CONTACT
    if standing.may_speak:
        return True
    return match.proven and not _of_another_customer(match, candidates)


def _of_another_customer(match: ThreadMatch, candidates: Candidates) -> bool:
    """Whether the reply address is another customer's than the thread to which an expert moved the conversation."""
    addressed, thread = candidates.thread(match.addressed), candidates.thread(match.thread_id)
    return addressed is not None and thread is not None and addressed.organisation_id != thread.organisation_id


def _entitled(arrived: Arrived, match: ThreadMatch, standing: Standing, candidates: Candidates) -> Plan:
    if arrived.report.verdict is Verdict.FORGED and standing.kind is not StandingKind.CONTACT:
        return Plan(Disposition.HELD, "it poses as a protected sender", match.thread_id)
    thread = candidates.thread(match.thread_id)
    if thread is None:
        return _anew(arrived, standing)
    return Plan(Disposition.FILED, standing.reason, thread.id, resumes=_resumes(arrived, standing, thread))


def _resumes(arrived: Arrived, standing: Standing, thread: Thread) -> bool:
    """A person's own words reopen what was resolved, and a verified contact's end the wait for the customer.

    A robot's do neither: no absence, no bounce, nothing with an empty return path.
    """
    if arrived.kind is not MessageKind.HUMAN or arrived.returned:
        return False
    return resumes(thread.state, contact=standing.kind is StandingKind.CONTACT)


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
