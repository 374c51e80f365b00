"""The alarm for mail that is late, worked out from the record inside the transaction that raises it.

A row says of which mail experts were told, once for each time that it was let go: what waited too long for its approval and
then waits for the customer's server is told of for both. Everything else is how things stand. The mail's and the
thread's rows are locked while it is raised (on SQLite the transaction itself is the lock): whoever records that the mail was
accepted, or resolves the incident, does so before, and nothing is raised, or after.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, func, not_, or_, select, update

from outbound.late_delivery import GIVEN_UP, NOT_ACCEPTED, WATCHED, LateMail, LateRules, late_note
from outbound.model import DeliveryState, MailKind
from outbound.schema import approvals, deliveries, late_mails, outgoing, quiet_threads
from outbound.store.reminders import people_of, reachable
from outbound.store.rows import state_of
from outbound.test_mode import MARK
from threads.model import EntryKind, Mark, Severity, State, ThreadKind
from threads.schema import organisations, threads
from threads.store.statements import insert_row
from threads.store.thread import append

ACTOR: Final = "late-delivery"
LOOK_BACK: Final = timedelta(days=7)
"""What could go earlier is no news: its approval ends after seven days."""
MAX_LATE: Final = 500
"""Mails of one look; after an outage of everything the others follow half a minute later."""


def due_alarms(conn: Connection, rules: LateRules, now: datetime) -> tuple[int, ...]:
    """Numbers of mails that are late by now and were told of to nobody, incident by incident: a look that takes no lock."""
    return tuple(conn.execute(_look(rules, now)).scalars()) if rules.after else ()


def _look(rules: LateRules, now: datetime) -> Select[Any]:
    """From the incidents to their mails: all mails of ours, with their bytes, are far more. The order makes SQLite see that."""
    query = _late(rules, now).with_only_columns(outgoing.c.id)
    return query.order_by(threads.c.id, outgoing.c.id).limit(MAX_LATE)


def raise_alarm(conn: Connection, outgoing_id: int, rules: LateRules, now: datetime) -> LateMail | None:
    """Tell the experts of a mail if it still is late, by a note of theirs; None when it is not (any more). The caller commits.

    The note is what an alert tells of (``outbound.store.alerts``).
    """
    # In the order in which whoever records a try takes the locks.
    state = state_of(conn, outgoing_id)
    on = select(outgoing.c.thread_id).where(outgoing.c.id == outgoing_id).scalar_subquery()
    conn.execute(select(threads.c.id).where(threads.c.id == on).with_for_update())
    row = conn.execute(_late(rules, now).where(outgoing.c.id == outgoing_id)).one_or_none()
    if row is None:
        return None
    people = people_of(conn, row.organisation_id)
    mail = LateMail(
        outgoing_id,
        row.rcpt_to,
        row.contact_id,
        None if row.severity is None else Severity(row.severity),
        state,
        untrusted=row.untrusted_at is not None,
        contacts=reachable(conn, people),
        phones=tuple(one for one in people if one.phone),
    )
    text = late_note(mail, rules)
    note = append(conn, row.thread_id, now, EntryKind.NOTE, actor=ACTOR, mark=Mark.AUTOMATION, text=text)
    again = update(late_mails).where(late_mails.c.outgoing_id == outgoing_id).values(at=now, note_id=note)
    if not conn.execute(again).rowcount:
        insert_row(conn, late_mails, {"outgoing_id": outgoing_id, "at": now, "note_id": note})
    return mail


def _late(rules: LateRules, now: datetime) -> Select[Any]:
    """Mail on open incidents that is late. Times are compared by the database and never decoded, so that a damaged one harms nobody."""
    # From when it could go: since its approval, or the window that its writer chose, as long as there is one.
    since = func.coalesce(approvals.c.not_before, outgoing.c.created_at)
    due = rules.due_before(now)
    late = or_(*(and_(_of_severity(severity), since <= at) for severity, at in due.items()))
    return (
        select(
            outgoing.c.rcpt_to,
            outgoing.c.contact_id,
            outgoing.c.thread_id,
            threads.c.severity,
            threads.c.organisation_id,
            organisations.c.untrusted_at,
        )
        .select_from(threads)
        .join(organisations, organisations.c.id == threads.c.organisation_id)
        .join(outgoing, outgoing.c.thread_id == threads.c.id)
        .join(deliveries, deliveries.c.outgoing_id == outgoing.c.id)
        .outerjoin(approvals, approvals.c.outgoing_id == outgoing.c.id)
        .outerjoin(late_mails, late_mails.c.outgoing_id == outgoing.c.id)
        .outerjoin(quiet_threads, quiet_threads.c.thread_id == threads.c.id)
        .where(
            still_late(),
            late,
            since > now - LOOK_BACK,
            outgoing.c.kind.in_([kind.value for kind in WATCHED]),
            not_(outgoing.c.subject.startswith(MARK, autoescape=True)),  # mail of a trial
            or_(late_mails.c.outgoing_id.is_(None), late_mails.c.at < since),
            quiet_threads.c.thread_id.is_(None),
        )
    )


def still_late() -> ColumnElement[bool]:
    """Whether a mail that was late still matters: its incident is open, and nobody accepted it or gave it up."""
    return and_(
        threads.c.kind == ThreadKind.INCIDENT.value,
        threads.c.state != State.RESOLVED.value,
        threads.c.merged_into.is_(None),
        # A reminder that waits for its next try is withdrawn then where the customer has answered: nobody waits for it.
        or_(outgoing.c.kind != MailKind.REMINDER.value, threads.c.state == State.AWAITING_CUSTOMER.value),
        # A damaged word is no reason to be silent about a mail.
        deliveries.c.state.not_in([one.value for one in DeliveryState if one not in NOT_ACCEPTED]),
        *(not_(deliveries.c.last_reply.startswith(words)) for words in GIVEN_UP),
    )


def _of_severity(severity: Severity) -> ColumnElement[bool]:
    column = threads.c.severity
    if severity is Severity.MEDIUM:  # what has none counts as that
        return or_(column == severity.value, column.is_(None))
    return column == severity.value
