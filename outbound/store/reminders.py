"""Reminders, worked out from the record inside the transaction that orders them.

How often a customer was reminded is counted by the orders themselves, and by the experts' notes to telephone: there is no
state of its own that could disagree. A thread's row is locked while its step is taken (on SQLite the transaction itself is
the lock), so that whoever resolves it does so before, and nothing is sent, or after.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, exists, func, or_, select

from outbound.errors import ComposeError
from outbound.model import AutomaticOrder, DeliveryState, MailKind, OrderOutcome
from outbound.reminders import (
    MAX_STEPS,
    Action,
    NextStep,
    ReminderRules,
    Waiting,
    asked_in_key,
    call_note,
    key_of,
    needless,
    next_step,
    reminder,
)
from outbound.schema import automatic_orders, deliveries, outgoing
from outbound.store.orders import order_automatic
from outbound.store.rows import ORDERED, change, note, outgoing_row, state_of
from outbound.store.suppression import suppressed_among
from threads.model import Contact, ContactKind, EntryKind, Mark, State, ThreadKind
from threads.model.tasks import TaskSource
from threads.schema import carried_mails, organisations, threads, timeline
from threads.store.calls import reached_nobody
from threads.store.people import list_contacts
from threads.store.tasks import list_tasks
from threads.store.thread import append, thread_by_id, thread_of

ACTOR: Final = "reminders"
"""By this name the notes to telephone are known again."""
_AT_ONCE: Final = 400  # names in one query; SQLite takes 999 values of old, and more since
_BY_EXPERTS: Final = tuple(
    kind.value for kind in MailKind if not kind.automatic and kind is not MailKind.RELAYED
)
_AWAITS: Final = f"State: %-> {State.AWAITING_CUSTOMER.value}%"  # as threads.store.thread.set_state writes it

# What counts as asking the customer: an expert's mail, chat or call, or that the thread was set to await them.
# A mail that carries what was written in the chat asks nothing anew: it may come after the answer. A call without an answer
# asks nothing at all.
_COPY: Final = exists().where(carried_mails.c.message_id == timeline.c.message_id).correlate(timeline)
_ASKED: Final = or_(
    and_(
        timeline.c.kind.in_((EntryKind.MAIL_OUT.value, EntryKind.CHAT.value, EntryKind.CALL.value)),
        timeline.c.mark == Mark.EXPERT.value,
        ~_COPY,
        ~reached_nobody(timeline),
    ),
    and_(timeline.c.kind == EntryKind.STATE.value, timeline.c.text.like(_AWAITS)),
)
_ANSWERED: Final = or_(
    timeline.c.kind == EntryKind.MAIL_IN.value,
    and_(
        timeline.c.kind.in_((EntryKind.CHAT.value, EntryKind.CALL.value)),
        timeline.c.mark.not_in((Mark.EXPERT.value, Mark.ASSISTANT.value, Mark.AUTOMATION.value)),
    ),
)
_CALLED: Final = and_(timeline.c.kind == EntryKind.NOTE.value, timeline.c.actor == ACTOR)


def due_reminders(conn: Connection, rules: ReminderRules, now: datetime) -> tuple[int, ...]:
    """Ids of threads whose next step is due, the one that waits longest first: a look that takes no lock."""
    soonest = rules.soonest
    if soonest is None:
        return ()
    rows = [
        row
        for row in conn.execute(_AWAITING, {"asked_before": now - soonest})
        if row.untrusted_at is None and (row.answer is None or row.answer < row.wait)
    ]
    longest = min(max(map(len, rules.plans.values())), MAX_STEPS)
    steps = _steps_of(conn, {row.id: row.wait for row in rows}, longest)
    found = []
    for row in rows:
        rounds, last = steps[row.id]
        try:
            thread = thread_of(row)
        except (
            ValueError
        ):  # a damaged word: whoever takes its step fails and tells, and the others are reminded
            found.append((row.since, row.id))
            continue
        waiting = Waiting(
            thread,
            row.wait,
            row.since,
            rounds=rounds + row.calls,
            last=max(filter(None, (last, row.called_at)), default=None),
        )
        if next_step(waiting, rules, now) is not None:
            found.append((row.since, row.id))
    return tuple(thread_id for _, thread_id in sorted(found))


def _awaiting() -> Select[Any]:
    """Incidents that await the customer, with the question, and what came after it."""
    awaiting = (
        threads.c.state == State.AWAITING_CUSTOMER.value,
        threads.c.kind == ThreadKind.INCIDENT.value,
        threads.c.merged_into.is_(None),
    )
    asked = (
        select(func.max(timeline.c.id)).where(timeline.c.thread_id == threads.c.id, _ASKED).scalar_subquery()
    )
    waits = select(*threads.c, asked.label("wait")).where(*awaiting).subquery()

    def after(column: ColumnElement[Any], which: ColumnElement[bool]) -> Any:
        here = (timeline.c.thread_id == waits.c.id, timeline.c.id > waits.c.wait, which)
        return select(column).where(*here).scalar_subquery()

    question = timeline.alias("question")
    return (
        select(
            *waits.c,
            question.c.at.label("since"),
            organisations.c.untrusted_at,
            after(func.max(timeline.c.id), _ANSWERED).label("answer"),
            after(func.count(), _CALLED).label("calls"),
            after(func.max(timeline.c.at), _CALLED).label("called_at"),
        )
        .select_from(waits)
        .join(question, question.c.id == waits.c.wait)
        .join(organisations, organisations.c.id == waits.c.organisation_id)
        .where(question.c.at <= bindparam("asked_before", type_=timeline.c.at.type))
    )


# Built once: building it costs more than running it.
_AWAITING: Final = _awaiting()


def _steps_of(
    conn: Connection, waits: Mapping[int, int], longest: int = MAX_STEPS
) -> dict[int, tuple[int, datetime | None]]:
    """How many reminders were ordered for each thread's question, and when the last one was; no plan is longer than that."""
    found: dict[int, tuple[int, datetime | None]] = dict.fromkeys(waits, (0, None))
    keys = [
        key_of(thread, wait, number) for thread, wait in waits.items() for number in range(1, longest + 1)
    ]
    table = automatic_orders
    for start in range(0, len(keys), _AT_ONCE):
        wanted = table.c.idempotency_key.in_(keys[start : start + _AT_ONCE])
        for row in conn.execute(select(table.c.idempotency_key, table.c.ordered_at).where(wanted)):
            thread, _ = asked_in_key(
                row.idempotency_key
            )  # the order itself goes along when its thread is merged
            rounds, last = found[thread]
            found[thread] = rounds + 1, row.ordered_at if last is None else max(last, row.ordered_at)
    return found


def take_step(conn: Connection, thread_id: int, rules: ReminderRules, now: datetime) -> NextStep | None:
    """Take a thread's next step if it is still due; None when it is not (any more). The caller commits.

    A reminder is ordered; the order to telephone is a note that only experts see.
    """
    waiting = waiting_of(conn, thread_id)
    step = next_step(waiting, rules, now)
    if step is None:
        return None
    if step.action is Action.TELEPHONE:
        append(
            conn,
            thread_id,
            now,
            EntryKind.NOTE,
            actor=ACTOR,
            mark=Mark.AUTOMATION,
            text=call_note(step.contact),
        )
        return step
    pending = [
        task.title
        for task in list_tasks(conn, thread_id)
        if task.status.pending and task.source is TaskSource.GUIDED_RESPONSE
    ]
    outcome = order_automatic(conn, reminder(waiting, step, pending, now), rules.caps)
    return None if outcome is OrderOutcome.DUPLICATE else step


def waiting_of(conn: Connection, thread_id: int) -> Waiting:
    """How a thread stands, with what its next step needs. It is locked as ``question_of`` says."""
    waiting = question_of(conn, thread_id)
    if waiting.wait is None:
        return waiting
    here = (timeline.c.thread_id == thread_id, timeline.c.id > waiting.wait, _CALLED)
    called = conn.execute(select(timeline.c.at).where(*here)).scalars().all()
    rounds, last = _steps_of(conn, {thread_id: waiting.wait})[thread_id]
    people = people_of(conn, waiting.thread.organisation_id)
    return replace(
        waiting,
        rounds=rounds + len(called),
        last=max(filter(None, (last, *called)), default=None),
        asked=_asked(conn, thread_id),
        contacts=reachable(conn, people),
        phones=tuple(one for one in people if one.phone),
    )


def question_of(conn: Connection, thread_id: int) -> Waiting:
    """Whether a thread still waits, and for what; no steps and no people: that is all that a mail on its way needs.

    Its row is locked until the transaction ends, and so is its customer's mark on PostgreSQL.
    """
    conn.execute(select(threads.c.id).where(threads.c.id == thread_id).with_for_update())
    thread = thread_by_id(conn, thread_id)
    untrusted_at = conn.execute(
        select(organisations.c.untrusted_at)
        .where(organisations.c.id == thread.organisation_id)
        .with_for_update(read=True)
    ).scalar()
    here = timeline.c.thread_id == thread_id
    question = conn.execute(
        select(timeline.c.id, timeline.c.at).where(here, _ASKED).order_by(timeline.c.id.desc()).limit(1)
    ).one_or_none()
    untrusted = untrusted_at is not None
    if question is None:
        return Waiting(thread, None, thread.opened_at, untrusted=untrusted)
    later = and_(here, timeline.c.id > question.id)
    answer = conn.execute(select(timeline.c.id).where(later, _ANSWERED).limit(1)).scalar()
    return Waiting(thread, question.id, question.at, answered=answer is not None, untrusted=untrusted)


def _asked(conn: Connection, thread_id: int) -> int | None:
    """The contact to whom an expert wrote last."""
    mail = outgoing.c
    return conn.execute(
        select(mail.contact_id)
        .where(mail.thread_id == thread_id, mail.kind.in_(_BY_EXPERTS), mail.contact_id.is_not(None))
        .order_by(mail.id.desc())
        .limit(1)
    ).scalar()


def people_of(conn: Connection, organisation_id: int) -> tuple[Contact, ...]:
    """Those of a customer who hear of incidents, in the order in which they are turned to."""
    return tuple(
        one for one in list_contacts(conn, organisation_id) if one.kind is ContactKind.INCIDENT_NOTIFICATION
    )


def reachable(conn: Connection, people: Iterable[Contact]) -> tuple[Contact, ...]:
    """Without those whose address gets no mail of ours, and once each."""
    first: dict[str, Contact] = {}
    for one in people:
        first.setdefault(one.address.lower(), one)
    nobody = suppressed_among(conn, first) if first else frozenset()
    return tuple(one for address, one in first.items() if address not in nobody)


def refuse_needless(conn: Connection, order: AutomaticOrder) -> None:
    """Raise ComposeError for a reminder that nobody needs by now, inside the transaction that queues it.

    Between the order and its mail the thread may have been resolved or answered, or the customer asked again.
    """
    if order.kind is not MailKind.REMINDER:
        return
    if order.thread_id is None:
        raise ComposeError("A reminder is about an incident.")
    waiting = question_of(conn, order.thread_id)
    _, wait = asked_in_key(order.idempotency_key)
    if (reason := needless(waiting, wait)) is not None:
        raise ComposeError(f"Nobody is reminded of {waiting.thread.reference}: {reason}.")


def withdraw_needless(conn: Connection, outgoing_id: int, now: datetime) -> str:
    """Withdraw a leased reminder that nobody needs by now, and tell the experts; returns why, empty while it is needed.

    The last look before its bytes leave: between its queueing and this try, hours after a refusal for now, the incident may
    have been resolved, answered or merged. No try was made, and none is counted.
    """
    mail = outgoing_row(conn, outgoing_id)
    # Of the thread that it was ordered for: a merge takes the mail along.
    thread_id, wait = asked_in_key(mail.idempotency_key.removeprefix(ORDERED))
    # Locked as others do, so that nobody waits in a circle: who marks a customer untrusted holds that mark when withholding
    # mail, and who records a try holds the mail when its thread is told of it.
    customer = select(threads.c.organisation_id).where(threads.c.id == thread_id).scalar_subquery()
    conn.execute(select(organisations.c.id).where(organisations.c.id == customer).with_for_update(read=True))
    state = state_of(conn, outgoing_id)
    if state is not DeliveryState.LEASED:  # somebody else has decided: what is withheld by now must not leave
        return f"it is {state.value} by now"
    reason = needless(question_of(conn, thread_id), wait)
    if reason is None:
        return ""
    maybe = conn.execute(
        select(deliveries.c.maybe_twice).where(deliveries.c.outgoing_id == outgoing_id)
    ).scalar()
    change(
        conn,
        outgoing_id,
        now,
        attempts=deliveries.c.attempts - 1,
        state=DeliveryState.WITHDRAWN.value,
        next_attempt_at=None,
        lease_owner=None,
        lease_until=None,
        last_reply=f"withdrawn: {reason}",
    )
    doubt = " An earlier try may have arrived all the same." if maybe else ""
    note(conn, mail, now, f"The reminder to {mail.rcpt_to} was withdrawn: {reason}.{doubt}")
    return reason
