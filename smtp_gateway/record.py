"""THE transaction: message, verdict, evidence, timeline, state and any automatic answer, all or nothing.

Runs in the writer's thread on its connection. What was matched is decided here and nowhere before, on the
record as it stands at this moment. A work may run twice (see ``threads.store.writer``): nothing outside the
connection is touched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from outbound.code_orders import code_question
from outbound.mail_code import codes_in
from outbound.mail_event import MailEvent
from outbound.model import AutomaticCaps, AutomaticOrder, Finding
from outbound.orders import acknowledgement, attachment_held, verdict_report
from outbound.store import notice_of, order_automatic, record_event
from smtp_gateway.envelope import copy_id
from smtp_gateway.plan import Arrived, Plan, plan
from smtp_gateway.route_policy import Treatment
from smtp_gateway.routes import Route, RouteKind
from threads.attachments import AttachedFile
from threads.machine_mail import MachineMail
from threads.match import match
from threads.model import (
    Arrival,
    AskedBy,
    Candidates,
    Disposition,
    Filing,
    Outcome,
    Standing,
    StoredCopy,
    Thread,
    ThreadKeys,
    ThreadKind,
    ThreadMatch,
)
from threads.signals import unknown_ancestors
from threads.standing import may_speak
from threads.store import (
    Connection,
    candidates,
    find_copy,
    open_inquiry,
    open_service,
    store_copy,
    supersedes,
    thread_by_id,
)
from threads.store.attachments import store_files
from threads.store.errors import UnknownRecord
from threads.store.signatures import archive_keys, remember_signatures
from threads.store.thread import resume
from verifier.report import Report

ACTOR = "gateway"


@dataclass(frozen=True, slots=True)
class Copy:
    """One recipient's copy to record. ``keys`` hold the token of this recipient's reply address, if it is one."""

    rcpt_to: str
    route: Route
    keys: ThreadKeys


@dataclass(frozen=True, slots=True)
class Intake:
    """All that one SMTP transaction wants recorded. ``arrival`` is the first copy's; the others differ in recipient.

    ``other_way``: there is a way for files that is not mail, which a known sender may be told of.
    """

    arrival: Arrival
    copies: tuple[Copy, ...]
    report: Report
    answerable: bool
    treatment: Treatment
    text: str
    quoted: str
    signatures: tuple[str, ...] = ()  # hashes of those that hold
    keys: tuple[tuple[str, str], ...] = ()  # the key records that they hold by, by name
    machine: MachineMail | None = None  # what a machine's mail tells
    files: tuple[AttachedFile, ...] = ()
    other_way: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of one copy: ``id`` is on record, now or since an earlier try. ``ordered``: an automatic answer is due."""

    id: str
    disposition: Disposition
    outcome: Outcome
    thread: str | None = None
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class _Decided:
    plan: Plan
    match: ThreadMatch
    standing: Standing
    candidates: Candidates
    earlier: StoredCopy | None
    keys: ThreadKeys


def record(conn: Connection, intake: Intake, caps: AutomaticCaps) -> tuple[Recorded, ...]:
    """Record the copies of one message, one for each thread it belongs to; the caller commits. Raises StoreError, and then nothing is recorded."""
    done: list[Recorded] = []
    filed: dict[int, Recorded] = {}  # threads that hold this very message by an earlier copy of it
    opened: int | None = None
    for number, copy in enumerate(intake.copies):
        arrival = intake.arrival  # the first copy's
        if number:
            arrival = replace(arrival, id=copy_id(arrival.id, number), rcpt_to=copy.rcpt_to)
        decided = _decide(conn, intake, arrival, copy, opened)
        earlier = decided.earlier
        if earlier is not None and not supersedes(decided.standing.kind, earlier):
            done.append(Recorded(earlier.id, earlier.disposition, Outcome.DUPLICATE))
            if earlier.thread_id is not None:
                filed.setdefault(earlier.thread_id, done[-1])
            continue
        if (
            earlier is None
            and decided.plan.thread_id in filed
            and decided.plan.disposition is Disposition.FILED
        ):
            # Two of our addresses on one message and one thread: its words stand there already.
            done.append(filed[decided.plan.thread_id])
            continue
        recorded, thread = _carry_out(conn, intake, arrival, decided, caps)
        done.append(recorded)
        if thread is not None:
            filed.setdefault(thread.id, recorded)
            opened = thread.id if decided.plan.opens is not None else opened
    return tuple(done)


def _decide(conn: Connection, intake: Intake, arrival: Arrival, copy: Copy, opened: int | None) -> _Decided:
    author = intake.report.author
    address = None if author is None else author.address
    found = candidates(conn, copy.keys, address)
    matched = match(copy.keys, found, arrival.received_at)
    standing = may_speak(intake.report, found, found.thread(matched.thread_id))
    planned = plan(
        Arrived(
            copy.route,
            intake.report,
            intake.arrival.kind,
            intake.answerable,
            intake.treatment,
            returned=not intake.arrival.mail_from,
        ),
        matched,
        standing,
        found,
    )
    if planned.opens is not None and opened is not None:
        planned = replace(planned, thread_id=opened, opens=None, acknowledges=False)
    earlier = find_copy(conn, arrival.sha256, arrival.mail_from, arrival.rcpt_to)
    return _Decided(planned, matched, standing, found, earlier, copy.keys)


def _carry_out(
    conn: Connection,
    intake: Intake,
    arrival: Arrival,
    decided: _Decided,
    caps: AutomaticCaps,
) -> tuple[Recorded, Thread | None]:
    planned = decided.plan
    thread = _thread_for(conn, arrival, decided)
    machine = intake.machine if planned.event else None
    filing = Filing(
        disposition=planned.disposition,
        reason=planned.reason,
        standing=decided.standing,
        match=decided.match,
        thread_id=None if thread is None else thread.id,
        text=intake.text,
        quoted=intake.quoted,
        own_ids=decided.keys.own_ids,
        ancestors=() if machine is not None else unknown_ancestors(decided.keys, decided.candidates),
        event=None if machine is None else machine.sentence,
    )
    stored = store_copy(conn, arrival, filing, decided.earlier)
    remember_signatures(conn, intake.signatures, arrival.rcpt_to, arrival.received_at)
    archive_keys(conn, intake.keys, arrival.received_at)
    if intake.files:
        store_files(conn, arrival.sha256, intake.files)
    if machine is not None and thread is not None:
        # The mail's own return address, whatever else decided on which thread it is told.
        returned = decided.match.addressed is not None
        record_event(conn, _event(conn, machine, arrival, decided, thread, stored.id), returned=returned)
    if planned.resumes and thread is not None:
        resume(conn, thread.id, arrival.received_at)
    order = _order(intake, arrival, decided, thread, stored.id)
    if order is not None:
        order_automatic(conn, order, caps)
    if planned.answers:
        asked = _code_order(intake, arrival, decided, stored.id)
        if asked is not None:
            order_automatic(conn, asked, caps)
    reference = None if thread is None else thread.reference
    is_filed = planned.disposition is Disposition.FILED
    recorded = Recorded(stored.id, planned.disposition, stored.outcome, reference, order is not None)
    return recorded, thread if is_filed else None


def _event(  # noqa: PLR0917 -- one call, each argument a different type
    conn: Connection,
    machine: MachineMail,
    arrival: Arrival,
    decided: _Decided,
    thread: Thread,
    stored_id: str,
) -> MailEvent:
    """The event, with the mail of ours that it is about where that is certain."""
    token = decided.keys.reply
    contact = None if token is None or not decided.match.proven else token.contact_id
    notice = None
    if decided.match.proven:
        # The address was given for a mail on its own thread, which an expert may have moved the conversation away from.
        sent_on = decided.candidates.thread(decided.match.addressed) or thread
        notice = notice_of(conn, machine.original_ids, sent_on.id, contact)
    if contact is None:
        contact = notice.contact_id if notice is not None else decided.standing.contact_id
    return MailEvent(
        kind=machine.kind,
        at=arrival.received_at,
        copy_id=stored_id,
        thread_id=thread.id,
        contact_id=contact,
        outgoing_id=None if notice is None else notice.outgoing_id,
        recipient=machine.recipient,
        status=machine.status,
        action=machine.action,
        diagnostic=machine.diagnostic,
    )


def _thread_for(conn: Connection, arrival: Arrival, decided: _Decided) -> Thread | None:
    planned, organisation = decided.plan, decided.standing.organisation_id
    if planned.opens is None:
        known = decided.candidates.thread(planned.thread_id)
        if known is not None or planned.thread_id is None:
            return known
        return thread_by_id(conn, planned.thread_id)
    earlier = decided.earlier
    if earlier is not None and earlier.thread_id is not None:
        # These bytes opened a thread, or were released on one, when they came with a worse standing.
        return thread_by_id(conn, earlier.thread_id)
    if organisation is None:
        raise UnknownRecord("There is no organisation to open a thread for.")
    if planned.opens is ThreadKind.SERVICE:
        return open_service(conn, organisation, arrival.subject, arrival.received_at, actor=ACTOR)
    return open_inquiry(
        conn, organisation, arrival.subject, arrival.received_at, actor=ACTOR, asked_by=AskedBy.MAIL
    )


def _order(
    intake: Intake, arrival: Arrival, decided: _Decided, thread: Thread | None, stored_id: str
) -> AutomaticOrder | None:
    """The automatic answer that the plan asks for. It goes to the authenticated author and nobody else."""
    author = intake.report.author
    if author is None:
        return None
    if decided.plan.acknowledges and thread is not None:
        return acknowledgement(
            thread_id=thread.id,
            contact_id=decided.standing.contact_id,
            address=author.address,
            idempotency_key=f"acknowledgement:{stored_id}",
            ordered_at=arrival.received_at,
            in_reply_to=arrival.message_id,
        )
    if decided.plan.redirects and intake.other_way and decided.standing.contact_id is not None:
        return attachment_held(
            thread_id=decided.plan.thread_id,
            contact_id=decided.standing.contact_id,
            address=author.address,
            idempotency_key=f"attachment-held:{stored_id}",
            ordered_at=arrival.received_at,
            in_reply_to=arrival.message_id,
        )
    if decided.plan.answers and decided.candidates.contacts:
        contact = decided.standing.contact_id or decided.candidates.contacts[0].id
        return verdict_report(
            contact_id=contact,
            address=author.address,
            findings=tuple(map(finding, intake.report.inner)),
            codes=len(_codes_in(intake)),
            idempotency_key=f"verdict-report:{stored_id}",
            ordered_at=arrival.received_at,
            in_reply_to=arrival.message_id,
        )
    return None


def _codes_in(intake: Intake) -> tuple[str, ...]:
    """The codes of our mail that a message to the verify mailbox holds: written, or in what it quotes."""
    return codes_in(f"{intake.text}\n{intake.quoted}")


def _code_order(intake: Intake, arrival: Arrival, decided: _Decided, stored_id: str) -> AutomaticOrder | None:
    """A known contact's question about codes. It is ordered whether or not there are such codes: nobody hears which."""
    author, contact, asked = intake.report.author, decided.standing.contact_id, _codes_in(intake)
    if author is None or contact is None or not asked:
        return None
    return code_question(
        contact_id=contact,
        address=author.address,
        codes=asked,
        idempotency_key=f"code:{stored_id}",
        ordered_at=arrival.received_at,
    )


def finding(report: Report) -> Finding:
    """The facts of one verdict that automatic mail may state: words of ours, a domain, codes."""
    return Finding(
        verdict=report.verdict.value,
        identity=report.claims[0].identity if report.claims else "",
        author_domain=report.author.domain if report.author is not None else "",
        reasons=tuple(reason.code for reason in report.reasons),
    )


def tokens_shared(copies: tuple[Copy, ...]) -> tuple[Copy, ...]:
    """Let a copy for a general mailbox follow the one reply address that the same message went to."""
    named = {copy.keys.reply for copy in copies if copy.keys.reply is not None}
    if len(named) != 1:
        return copies
    token = next(iter(named))
    return tuple(
        replace(copy, keys=replace(copy.keys, reply=token))
        if copy.route.kind is not RouteKind.VERIFY
        else copy
        for copy in copies
    )
