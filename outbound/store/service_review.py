"""What happened in a customer's period, read from the record once and in its order: incidents, questions, our mail, forged mail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, func, or_, select

from outbound.model import Failure
from outbound.review_period import Period
from outbound.schema import attempts, mail_events, outgoing
from outbound.service_review import (
    ForgedCounts,
    Incident,
    MailCounts,
    Review,
    moved_to,
    review_of,
    speaks_to_customer,
)
from threads.model import (
    Disposition,
    EntryKind,
    Mark,
    MessageKind,
    Organisation,
    Severity,
    StandingKind,
    State,
    ThreadKind,
)
from threads.schema import contacts, expired_messages, messages, organisation_domains, threads, timeline
from threads.store.calls import reached_nobody
from threads.store.inquiries import history
from threads.store.report_counts import FORGED

AT_ONCE: Final = 1_000
"""Rows that are fetched at a time."""
_FOR_GOOD: Final = (Failure.REFUSED.value, Failure.NO_MAIL.value)
_TOLD: Final = (EntryKind.STATE.value, EntryKind.MAIL_OUT.value, EntryKind.CHAT.value, EntryKind.CALL.value)
_UNPROVEN: Final = "not authenticated"
"""How the sentence begins that says why somebody may not speak (``threads.standing``): expired mail has no other trace of it."""


def review(conn: Connection, customer: Organisation, period: Period) -> Review:
    """The figures of a customer's period."""
    theirs = {customer.id}
    asked = history(conn, period.begin, period.end, theirs, short=0, answered_before=period.end)
    return review_of(
        customer.name,
        period,
        _incidents(conn, customer.id, period),
        asked,
        _mail(conn, customer.id, period),
        _forged(conn, customer.id, period),
    )


def _incidents(conn: Connection, organisation_id: int, period: Period) -> Iterator[Incident]:
    """Those of which the period can tell anything: nothing has happened on the others since, and they were resolved then."""
    entry = and_(
        timeline.c.thread_id == threads.c.id,
        timeline.c.kind.in_(_TOLD),
        timeline.c.at < period.end,
        ~reached_nobody(timeline),
    )
    text = case((timeline.c.kind == EntryKind.STATE.value, timeline.c.text), else_="")
    query = (
        select(
            threads.c.id,
            threads.c.severity,
            threads.c.opened_at,
            threads.c.emptied_at,
            timeline.c.at,
            timeline.c.kind.label("entry_kind"),
            timeline.c.mark,
            text.label("said"),
        )
        .select_from(threads)
        .outerjoin_from(threads, timeline, entry)
        .where(
            threads.c.organisation_id == organisation_id,
            threads.c.kind == ThreadKind.INCIDENT.value,
            threads.c.merged_into.is_(None),
            threads.c.opened_at < period.end,
            or_(threads.c.updated_at >= period.begin, threads.c.state != State.RESOLVED.value),
        )
        .order_by(threads.c.id, timeline.c.id)
    )
    rows: Iterable[Row[Any]] = conn.execute(query.execution_options(yield_per=AT_ONCE))
    for _, entries in groupby(rows, key=lambda row: row.id):
        yield _incident(list(entries))


def _incident(rows: list[Row[Any]]) -> Incident:
    first, moves = None, []
    for row in rows:
        if row.entry_kind is None:
            continue
        if first is None and speaks_to_customer(EntryKind(row.entry_kind), Mark(row.mark)):
            first = row.at
        state = moved_to(row.said) if row.entry_kind == EntryKind.STATE.value else None
        if state is not None:
            moves.append((row.at, state is State.RESOLVED))
    severity = Severity.INFORMATIONAL if rows[0].severity is None else Severity(rows[0].severity)
    return Incident(severity, rows[0].opened_at, first, tuple(moves), rows[0].emptied_at is not None)


def _mail(conn: Connection, organisation_id: int, period: Period) -> MailCounts:
    tried = (
        attempts.c.finished_at >= period.begin,
        attempts.c.finished_at < period.end,
        *_ours(organisation_id),
    )
    joined = attempts.c.outgoing_id == outgoing.c.id
    taken = (
        select(outgoing.c.created_at, attempts.c.finished_at)
        .join(attempts, joined)
        .where(*tried, attempts.c.failure.is_(None))
    )
    seconds = tuple(
        max(0.0, (row.finished_at - row.created_at).total_seconds())
        for row in conn.execute(taken.execution_options(yield_per=AT_ONCE))
    )
    failed = (
        select(func.count(attempts.c.outgoing_id.distinct())).select_from(outgoing).join(attempts, joined)
    )
    for_good = attempts.c.failure.in_(_FOR_GOOD)
    deferred = failed.where(*tried, attempts.c.failure.is_not(None), ~for_good)
    refused = failed.where(*tried, for_good)
    returned = (
        select(func.count(mail_events.c.id.distinct()))
        .select_from(mail_events)
        .join(threads, threads.c.id == mail_events.c.thread_id)
        .where(
            threads.c.organisation_id == organisation_id,
            mail_events.c.kind == MessageKind.BOUNCE.value,
            mail_events.c.at >= period.begin,
            mail_events.c.at < period.end,
        )
    )
    return MailCounts(
        seconds,
        deferred=int(conn.execute(deferred).scalar_one()),
        refused=int(conn.execute(refused).scalar_one()),
        returned=int(conn.execute(returned).scalar_one()),
    )


def _ours(organisation_id: int) -> tuple[ColumnElement[bool], ...]:
    """Mail of ours on the customer's threads, or to their contacts on none; what was relayed was never ours."""
    on_theirs = outgoing.c.thread_id.in_(
        select(threads.c.id).where(threads.c.organisation_id == organisation_id)
    )
    people = select(contacts.c.id).where(contacts.c.organisation_id == organisation_id)
    on_none = and_(outgoing.c.thread_id.is_(None), outgoing.c.contact_id.in_(people))
    return or_(on_theirs, on_none), outgoing.c.next_hop.is_(None)


def _forged(conn: Connection, organisation_id: int, period: Period) -> ForgedCounts:
    """Mail of the period that is still there, and what is left of mail whose time was over."""
    theirs = organisation_domains.c.organisation_id == organisation_id
    domains = tuple(conn.execute(select(organisation_domains.c.domain).where(theirs)).scalars())
    unproven = messages.c.standing == StandingKind.UNAUTHENTICATED.value
    there = _came(messages, period, unproven).where(
        messages.c.disposition.in_([one.value for one in Disposition])
    )
    gone = _came(expired_messages, period, expired_messages.c.standing_reason.startswith(_UNPROVEN)).where(
        expired_messages.c.expired_at >= period.begin
    )
    counts = {"as_us": 0, "as_them": 0, "unproven": 0}
    for query in (there, gone):
        for row in conn.execute(query.execution_options(yield_per=AT_ONCE)):
            as_them = _in_domains(row.author or "", domains)
            if row.verdict == FORGED and (as_them or row.organisation_id == organisation_id):
                counts["as_them" if as_them else "as_us"] += 1
            elif row.verdict != FORGED and as_them:
                counts["unproven"] += 1
    return ForgedCounts(**counts)


def _came(table: Any, period: Period, unproven: ColumnElement[bool]) -> Select[Any]:
    return (
        select(table.c.author, table.c.verdict, threads.c.organisation_id)
        .outerjoin_from(table, threads, threads.c.id == table.c.thread_id)
        .where(
            table.c.received_at >= period.begin,
            table.c.received_at < period.end,
            or_(table.c.verdict == FORGED, unproven),
        )
    )


def _in_domains(author: str, domains: Iterable[str]) -> bool:
    """Whether an address is in one of the domains or below it."""
    domain = author.rpartition("@")[2].lower().rstrip(".")
    return any(domain == one or domain.endswith(f".{one}") for one in domains)
