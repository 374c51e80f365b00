"""Events of sent mail: which mail of ours a machine's mail is about, keeping what it says, and who has to hear of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, select

from outbound.mail_event import MailEvent, Notice, Undelivered
from outbound.model import MailKind
from outbound.schema import mail_events, outgoing
from outbound.store.suppression import close_bounced
from threads.model import MessageKind
from threads.schema import contacts, threads
from threads.store.statements import insert_or_keep
from threads.store.values import MAX_ID, MAX_LINE, MAX_PATH, storable

MAX_LISTED: Final = 1_000
"""Events that are listed at a time; who wants more asks again from the last one on."""
MAX_STATUS: Final = 16
MAX_ACTION: Final = 32


def notice_of(
    conn: Connection, message_ids: Sequence[str], thread_id: int, contact_id: int | None
) -> Notice | None:
    """The mail that one of the Message-IDs names, else the only one that went to the contact on the thread.

    A Message-ID of ours is drawn at random, so that only who has the mail can name it. Where two mails may be meant, or the
    named one went to another contact than ``contact_id``, it is None: nothing is guessed.
    """
    named = [storable(message_id, MAX_ID) for message_id in message_ids]
    found = _two(conn, outgoing.c.message_id.in_(named)) if named else []
    if not found and contact_id is not None:
        found = _two(conn, (outgoing.c.thread_id == thread_id) & (outgoing.c.contact_id == contact_id))
    if len(found) != 1:
        return None
    notice = Notice(found[0].id, MailKind(found[0].kind), found[0].contact_id, found[0].rcpt_to)
    return notice if contact_id is None or notice.contact_id in (None, contact_id) else None


def _two(conn: Connection, which: ColumnElement[bool]) -> list[Row[Any]]:
    """At most two of our own mails; what was relayed was never ours."""
    return list(
        conn.execute(
            select(outgoing.c.id, outgoing.c.kind, outgoing.c.contact_id, outgoing.c.rcpt_to)
            .where(which, outgoing.c.next_hop.is_(None))
            .order_by(outgoing.c.id)
            .limit(2)
        )
    )


def record_event(conn: Connection, event: MailEvent, *, returned: bool) -> None:
    """Keep an event. The same mail on the same thread again changes nothing.

    A contact who is no longer on record, as an old reply address may name one, is left out. A bounce of one mail of ours
    is its end, and suppresses the recipient if nobody is there, where it was ``returned``: it came to the address that the
    mail gave for it (RFC 5321 4.5.5), which nobody else can make up. Who has only seen our Message-ID stops no mail.
    """
    contact = event.contact_id
    if contact is not None:
        contact = conn.execute(select(contacts.c.id).where(contacts.c.id == contact)).scalar()
    insert_or_keep(
        conn,
        mail_events,
        {
            "kind": event.kind.value,
            "at": event.at,
            "copy_id": event.copy_id,
            "thread_id": event.thread_id,
            "contact_id": contact,
            "outgoing_id": event.outgoing_id,
            "recipient": None if event.recipient is None else storable(event.recipient, MAX_PATH),
            "status": None if event.status is None else storable(event.status, MAX_STATUS),
            "action": None if event.action is None else storable(event.action, MAX_ACTION),
            "diagnostic": None if event.diagnostic is None else storable(event.diagnostic, MAX_LINE),
        },
    )
    if returned and event.kind is MessageKind.BOUNCE and event.outgoing_id is not None:
        close_bounced(conn, event.outgoing_id, event.recipient, event.status, event.at)


def events_of(
    conn: Connection, *, outgoing_id: int | None = None, thread_id: int | None = None
) -> tuple[MailEvent, ...]:
    """What became known of one mail, or on one thread, oldest first, as far as the cap."""
    query = select(mail_events).order_by(mail_events.c.id).limit(MAX_LISTED)
    if outgoing_id is not None:
        query = query.where(mail_events.c.outgoing_id == outgoing_id)
    if thread_id is not None:
        query = query.where(mail_events.c.thread_id == thread_id)
    return tuple(map(_event, conn.execute(query)))


def undelivered(conn: Connection, since: datetime, limit: int = MAX_LISTED) -> tuple[Undelivered, ...]:
    """Mails that an expert wrote and that came back since then, in the order in which that became known.

    Only what is tied to one mail of ours is told: a bounce that names none by what nobody can guess alarms nobody.
    """
    rows = conn.execute(
        select(
            mail_events,
            outgoing.c.kind.label("mail_kind"),
            outgoing.c.contact_id.label("mail_contact_id"),
            outgoing.c.rcpt_to,
            outgoing.c.subject,
            outgoing.c.actor,
            threads.c.reference,
        )
        .join(outgoing, outgoing.c.id == mail_events.c.outgoing_id)
        .join(threads, threads.c.id == mail_events.c.thread_id)
        .where(
            mail_events.c.kind == MessageKind.BOUNCE.value,
            mail_events.c.at >= since,
            outgoing.c.kind.in_([kind.value for kind in MailKind if not kind.automatic]),
        )
        .order_by(mail_events.c.at, mail_events.c.id)
        .limit(limit)
    )
    return tuple(
        Undelivered(
            row.id,
            _event(row),
            Notice(row.outgoing_id, MailKind(row.mail_kind), row.mail_contact_id, row.rcpt_to),
            row.reference,
            row.subject,
            row.actor,
        )
        for row in rows
    )


def _event(row: Row[Any]) -> MailEvent:
    return MailEvent(
        MessageKind(row.kind),
        row.at,
        row.copy_id,
        row.thread_id,
        row.contact_id,
        row.outgoing_id,
        row.recipient,
        row.status,
        row.action,
        row.diagnostic,
    )
