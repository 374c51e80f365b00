"""What experts are to be told of, worked out from the record, and how far they were told.

Nothing is written when mail comes in: an event is a row that is there anyway. A transaction may commit a row whose time is
some minutes old (a large message waits for its turn), so the last ``OVERLAP`` before each look is looked at again, and
what was told in it is known by its key. Ordering the mail and keeping what it tells are one transaction: a crash loses
no event and tells none twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)

from outbound.alerts import AlertEvent, AlertKind, AlertRules, Due, about, alert, due
from outbound.model import DeliveryState, MailKind, OrderOutcome
from outbound.schema import (
    alert_progress,
    alert_told,
    alert_turns,
    deliveries,
    late_mails,
    mail_events,
    outgoing,
)
from outbound.store.call_sheets import (
    ACTOR as BREAK_GLASS,
)
from outbound.store.call_sheets import (
    call_still_due,
)
from outbound.store.late_delivery import still_late
from outbound.store.orders import order_automatic
from outbound.store.reminders import ACTOR as REMINDERS
from threads.model import Disposition, EntryKind, Mark, MessageKind, State, ThreadKind
from threads.schema import messages, organisations, threads, timeline
from threads.store.statements import insert_or_keep

OVERLAP: Final = timedelta(minutes=15)
"""A message waits for its turn five minutes at most, is judged in one, and its client gives up after ten."""
LOOK_BACK: Final = timedelta(days=7)
"""What is older is told to nobody: after a week without alerts a person looks at the lists, not at a mail of thousands."""
ADVANCE: Final = timedelta(hours=1)
"""How far the mark may stay behind while nothing happens: moving it is a transaction."""
MAX_EVENTS: Final = 5_000
"""Events of one kind that are read at a time; the rest comes with the next digest."""
_ROW: Final = 1  # of the one progress

_UNSENT: Final = tuple(
    state.value
    for state in (
        DeliveryState.FAILED,
        DeliveryState.EXPIRED,
        DeliveryState.SUPPRESSED,
        DeliveryState.WITHHELD,
    )
)
_WITH_A_NOTE: Final = frozenset({AlertKind.CALL, AlertKind.LATE, AlertKind.BREAK_GLASS})
_BY_EXPERTS: Final = tuple(
    kind.value for kind in MailKind if not kind.automatic and kind is not MailKind.RELAYED
)


@dataclass(frozen=True, slots=True)
class Look:
    """What a look found: what is due, or that there is nothing to write."""

    due: Due
    seen_to: datetime | None  # None: alerts were never looked for before


def look(conn: Connection, rules: AlertRules, now: datetime) -> Look:
    """What is to be told now."""
    progress = conn.execute(select(alert_progress.c.seen_to)).scalar()
    if progress is None:
        return Look(Due((), (), ()), None)
    if progress > now:
        progress = now - OVERLAP
    since = max(progress, now - LOOK_BACK)
    # A clock that was ahead for a while has left times to come; until they have passed experts would hear of nothing.
    last = {row.destination: row.last_at for row in conn.execute(select(alert_turns)) if row.last_at <= now}
    return Look(due(_events(conn, rules, since), rules, last, now), progress)


def begin_alerts(conn: Connection, now: datetime) -> None:
    """Tell of what comes from now on, unless that was said before: nobody wants mail about the past."""
    insert_or_keep(conn, alert_progress, {"id": _ROW, "seen_to": now})


def order_alerts(conn: Connection, rules: AlertRules, now: datetime) -> tuple[OrderOutcome, ...]:
    """Order the mail that is due and keep what it tells; what became of each order. The caller commits."""
    conn.execute(
        select(alert_progress.c.id).with_for_update()
    )  # another node waits here, and then finds it told
    found = look(conn, rules, now)
    if found.seen_to is None:
        begin_alerts(conn, now)
        return ()
    outcomes: list[OrderOutcome] = []
    told: list[AlertEvent] = list(found.due.untold)
    for digest in found.due.digests:
        orders = [alert(digest, address, now, long=rules.long) for address in digest.addresses]
        outcomes += [order_automatic(conn, order, rules.caps) for order in orders]
        told += digest.events
        _turn(conn, digest.destination, now)
    _keep(conn, told, found, now)
    return tuple(outcomes)


def is_due(found: Look, now: datetime) -> bool:
    """Whether ``order_alerts`` has something to write."""
    if found.seen_to is None or found.due.digests or found.due.untold:
        return True
    return not found.due.waiting and now - found.seen_to > ADVANCE


def _keep(conn: Connection, told: Sequence[AlertEvent], found: Look, now: datetime) -> None:
    seen_to = min([now - OVERLAP, *(event.at for event in found.due.waiting)])
    if found.seen_to is not None:
        seen_to = max(seen_to, found.seen_to)
    # What is older than the mark is never looked at again, and needs no row.
    rows = [{"event": event.key, "at": event.at} for event in told if event.at >= seen_to]
    if rows:
        conn.execute(insert(alert_told), rows)
    conn.execute(update(alert_progress).values(seen_to=seen_to))
    conn.execute(delete(alert_told).where(alert_told.c.at < seen_to))


def _turn(conn: Connection, destination: str, now: datetime) -> None:
    named = alert_turns.c.destination == destination
    if not conn.execute(update(alert_turns).where(named).values(last_at=now)).rowcount:
        conn.execute(insert(alert_turns).values(destination=destination, last_at=now))


# -- the events -------------------------------------------------------------------------------------------
_DISPOSITIONS: Final = {
    AlertKind.REPLY: Disposition.FILED,
    AlertKind.HELD: Disposition.HELD,
    AlertKind.TRIAGE: Disposition.TRIAGE,
}


def _events(conn: Connection, rules: AlertRules, since: datetime) -> tuple[AlertEvent, ...]:
    found: list[AlertEvent] = []
    last_writer: dict[int, str] = {}
    for kind in rules.tell:
        query = _query(kind, since)
        rows = conn.execute(query).all()
        last_writer |= _last_writers(conn, {row.thread_id for row in rows if row.thread_id is not None})
        found += (_event(kind, row, last_writer) for row in rows if not _ours(row, rules))
    if AlertKind.REPLY in rules.tell:
        rows = conn.execute(_in_portal(since)).all()
        last_writer |= _last_writers(conn, {row.thread_id for row in rows})
        found += (_event(AlertKind.REPLY, row, last_writer) for row in rows)
    if AlertKind.BOUNCE in rules.tell:
        found += (_event(AlertKind.BOUNCE, row, {}) for row in conn.execute(_not_sent(since)))
    return tuple(found)


def _untold(kind: str, identifier: ColumnElement[Any]) -> ColumnElement[bool]:
    return ~exists().where(alert_told.c.event == literal(f"{kind}:") + identifier)


_CIRCUMSTANCES: Final = (
    threads.c.reference,
    threads.c.kind.label("thread_kind"),
    threads.c.title,
    organisations.c.name.label("organisation"),
)


def _query(kind: AlertKind, since: datetime) -> Select[Any]:
    if kind is AlertKind.BOUNCE:
        return _came_back(since)
    if kind is AlertKind.LATE:
        return _late(since)
    if kind is AlertKind.CALL:
        awaits = threads.c.state == State.AWAITING_CUSTOMER.value
        return _noted("call", REMINDERS, awaits, since)
    if kind is AlertKind.BREAK_GLASS:
        return _noted("breakglass", BREAK_GLASS, call_still_due(), since)
    return _messages(kind, since)


def _late(since: datetime) -> Select[Any]:
    """Mails whose alarm was raised, and that still nobody has accepted, on incidents that still are open."""
    number = cast(late_mails.c.note_id, String)  # a mail that is told of again has another note
    return (
        select(
            (literal("late:") + number).label("key"),
            late_mails.c.at,
            threads.c.reference.label("name"),
            literal("").label("verdict"),
            literal("").label("author"),
            literal("").label("mail_from"),
            outgoing.c.thread_id,
            case((outgoing.c.kind.in_(_BY_EXPERTS), outgoing.c.actor), else_=None).label("actor"),
            timeline.c.text.label("note"),
            *_CIRCUMSTANCES,
        )
        .select_from(late_mails)
        .join(outgoing, outgoing.c.id == late_mails.c.outgoing_id)
        .join(deliveries, deliveries.c.outgoing_id == outgoing.c.id)
        .join(timeline, timeline.c.id == late_mails.c.note_id)
        .join(threads, threads.c.id == outgoing.c.thread_id)
        .join(organisations, organisations.c.id == threads.c.organisation_id)
        .where(late_mails.c.at >= since, still_late(), _untold("late", number))
        .order_by(late_mails.c.at, late_mails.c.outgoing_id)
        .limit(MAX_EVENTS)
    )


def _noted(kind: str, author: str, still: ColumnElement[bool], since: datetime) -> Select[Any]:
    """Our notes to telephone, of incidents of which that still is so."""
    number = cast(timeline.c.id, String)
    return (
        select(
            (literal(f"{kind}:") + number).label("key"),
            timeline.c.at,
            threads.c.reference.label("name"),
            literal("").label("verdict"),
            literal("").label("author"),
            literal("").label("mail_from"),
            timeline.c.thread_id,
            literal(None).label("actor"),
            timeline.c.text.label("note"),
            *_CIRCUMSTANCES,
        )
        .select_from(timeline)
        .join(threads, threads.c.id == timeline.c.thread_id)
        .join(organisations, organisations.c.id == threads.c.organisation_id)
        .where(
            still,
            timeline.c.kind == EntryKind.NOTE.value,
            timeline.c.actor == author,
            timeline.c.mark == Mark.AUTOMATION.value,
            timeline.c.at >= since,
            _untold(kind, number),
        )
        .order_by(timeline.c.at, timeline.c.id)
        .limit(MAX_EVENTS)
    )


def _messages(kind: AlertKind, since: datetime) -> Select[Any]:
    """Messages that came since then and are filed, held or in triage now, the oldest first."""
    wanted = [
        messages.c.disposition == _DISPOSITIONS[kind].value,
        messages.c.received_at >= since,
        _untold(kind.value, messages.c.id),
    ]
    if kind is AlertKind.REPLY:
        # What an expert released is known to the experts; a machine's mail is no reply.
        wanted += [messages.c.released_at.is_(None), messages.c.kind == MessageKind.HUMAN.value]
    return (
        select(
            (literal(f"{kind.value}:") + messages.c.id).label("key"),
            messages.c.received_at.label("at"),
            messages.c.id.label("name"),
            messages.c.verdict,
            messages.c.author,
            messages.c.mail_from,
            messages.c.thread_id,
            literal(None).label("actor"),
            *_CIRCUMSTANCES,
        )
        .select_from(messages)
        .outerjoin(threads, threads.c.id == messages.c.thread_id)
        .outerjoin(organisations, organisations.c.id == threads.c.organisation_id)
        .where(*wanted)
        .order_by(messages.c.received_at, messages.c.id)
        .limit(MAX_EVENTS)
    )


def _in_portal(since: datetime) -> Select[Any]:
    """What customers wrote in the portal: in the chat of an incident, or as a question."""
    number = cast(timeline.c.id, String)
    return (
        select(
            (literal("chat:") + number).label("key"),
            timeline.c.at,
            threads.c.reference.label("name"),
            literal("").label("verdict"),
            timeline.c.thread_id,
            literal(None).label("actor"),
            *_CIRCUMSTANCES,
        )
        .select_from(threads)
        .join(timeline, timeline.c.thread_id == threads.c.id)
        .join(organisations, organisations.c.id == threads.c.organisation_id)
        .where(
            threads.c.updated_at >= since,
            timeline.c.kind == EntryKind.CHAT.value,
            timeline.c.mark == Mark.PORTAL.value,
            timeline.c.at >= since,
            _untold("chat", number),
        )
        .order_by(timeline.c.at, timeline.c.id)
        .limit(MAX_EVENTS)
    )


def _came_back(since: datetime) -> Select[Any]:
    """Bounces of what an expert sent, tied to that very mail."""
    number = cast(mail_events.c.id, String)
    return (
        select(
            (literal("bounce:") + number).label("key"),
            mail_events.c.at,
            mail_events.c.copy_id.label("name"),
            literal("").label("verdict"),
            literal("").label("author"),
            literal("").label("mail_from"),
            mail_events.c.thread_id,
            outgoing.c.actor,
            *_CIRCUMSTANCES,
        )
        .select_from(mail_events)
        .join(outgoing, outgoing.c.id == mail_events.c.outgoing_id)
        .join(threads, threads.c.id == mail_events.c.thread_id)
        .outerjoin(organisations, organisations.c.id == threads.c.organisation_id)
        .where(
            mail_events.c.kind == MessageKind.BOUNCE.value,
            mail_events.c.at >= since,
            outgoing.c.kind.in_(_BY_EXPERTS),
            _untold("bounce", number),
        )
        .order_by(mail_events.c.at, mail_events.c.id)
        .limit(MAX_EVENTS)
    )


def _not_sent(since: datetime) -> Select[Any]:
    """What an expert sent and what was refused by its next server, grew too old, or never left."""
    number = cast(outgoing.c.id, String)
    return (
        select(
            (literal("unsent:") + number).label("key"),
            deliveries.c.updated_at.label("at"),
            (literal("outbox-") + number).label("name"),
            literal("").label("verdict"),
            outgoing.c.thread_id,
            outgoing.c.actor,
            *_CIRCUMSTANCES,
        )
        .select_from(deliveries)
        .join(outgoing, outgoing.c.id == deliveries.c.outgoing_id)
        .outerjoin(threads, threads.c.id == outgoing.c.thread_id)
        .outerjoin(organisations, organisations.c.id == threads.c.organisation_id)
        .where(
            deliveries.c.state.in_(_UNSENT),
            ~deliveries.c.last_reply.startswith("cancelled by "),  # by somebody who knows
            deliveries.c.updated_at >= since,
            outgoing.c.kind.in_(_BY_EXPERTS),
            _untold("unsent", number),
        )
        .order_by(deliveries.c.updated_at, outgoing.c.id)
        .limit(MAX_EVENTS)
    )


def _last_writers(conn: Connection, thread_ids: Iterable[int]) -> dict[int, str]:
    """Who of the experts wrote on each thread last."""
    ids = list(thread_ids)
    if not ids:
        return {}
    last = (
        select(func.max(outgoing.c.id))
        .where(outgoing.c.thread_id.in_(ids), outgoing.c.kind.in_(_BY_EXPERTS))
        .group_by(outgoing.c.thread_id)
    )
    rows = conn.execute(select(outgoing.c.thread_id, outgoing.c.actor).where(outgoing.c.id.in_(last)))
    return {row.thread_id: row.actor for row in rows}


def _ours(row: Any, rules: AlertRules) -> bool:
    """Whether a message came from somebody who is told: an alert about it would be the next one's reason."""
    return not rules.addresses.isdisjoint({(row.author or "").lower(), (row.mail_from or "").lower()})


def _event(kind: AlertKind, row: Any, last_writer: dict[int, str]) -> AlertEvent:
    event = AlertEvent(
        key=row.key,
        kind=kind,
        at=row.at,
        reference=row.reference or row.name,
        verdict=row.verdict,
        expert=row.actor or last_writer.get(row.thread_id),
    )
    if row.organisation is None:
        return event
    # An inquiry's title is its first mail's subject: a customer's text.
    title = row.title if row.thread_kind == ThreadKind.INCIDENT.value else ""
    note = row.note if kind in _WITH_A_NOTE else ""  # whom to call, and the number
    return replace(event, about=about(row.organisation, title, note))
