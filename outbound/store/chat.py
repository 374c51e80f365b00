"""Where there is a chat, and what experts wrote there that contacts who read mail only have not got yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, String, cast, exists, literal, or_, select

from outbound.model import MailKind
from outbound.schema import deliveries, outgoing, send_requests
from outbound.store.approvals import claim_request
from threads.chat import CARRY_FOR, entry_name, mail_key, no_chat
from threads.model import ContactKind, EntryKind, Mark, TaskSource, Thread, ThreadKind
from threads.schema import chat_messages, contacts, organisations, tasks, threads, timeline
from threads.store.thread import append

MAX_LOOKED_AT: Final = 1_000
"""Messages of chats that are looked at, the latest ones: more than all experts write in a day."""
_AT_ONCE: Final = 500  # keys in one question
_GIVEN_UP: Final = "given up"


@dataclass(frozen=True, slots=True)
class Untold:
    """What one contact is to get by mail. ``untrusted``: the customer's mail is, so that the mail may say nothing of it."""

    entry_id: int
    thread_id: int
    reference: str
    title: str
    expert: str
    text: str
    contact_id: int
    address: str
    untrusted: bool
    place: str = "chat"

    @property
    def key(self) -> str:
        """Under which it goes once."""
        return mail_key(self.entry_id, self.contact_id)


def chat_refusal(conn: Connection, thread: Thread) -> str | None:
    """Why there is no chat about a thread, as a sentence; None if there is."""
    by_mail = (
        select(outgoing.c.id)
        .join(deliveries, deliveries.c.outgoing_id == outgoing.c.id)
        .where(
            outgoing.c.thread_id == thread.id,
            outgoing.c.kind == MailKind.MANAGED_RESPONSE.value,
            deliveries.c.checked_at.is_not(None),  # neither withheld nor waiting for somebody's word
        )
    )
    by_task = select(tasks.c.id).where(
        tasks.c.thread_id == thread.id, tasks.c.source == TaskSource.MANAGED_RESPONSE.value
    )
    responded = conn.execute(select(or_(exists(by_mail), exists(by_task)))).scalar_one()
    return no_chat(thread, responded=bool(responded))


def experts_words(now: datetime) -> Select[Any]:
    """What experts wrote lately on timelines that programs read, as ``untold_of`` reads it; whom it is for has to be joined."""
    recent = (
        select(chat_messages.c.entry_id)
        .order_by(chat_messages.c.entry_id.desc())
        .limit(MAX_LOOKED_AT)
        .subquery()
    )
    return (
        select(
            timeline.c.id,
            timeline.c.actor,
            timeline.c.text,
            threads.c.id.label("thread_id"),
            threads.c.reference,
            threads.c.title,
            contacts.c.id.label("contact_id"),
            contacts.c.address,
            organisations.c.untrusted_at,
        )
        .select_from(timeline)
        .join(recent, recent.c.entry_id == timeline.c.id)
        .join(threads, threads.c.id == timeline.c.thread_id)
        .where(
            timeline.c.kind == EntryKind.CHAT.value,
            timeline.c.mark == Mark.EXPERT.value,
            timeline.c.at > now - CARRY_FOR,
        )
    )


def untold_of(row: Row[Any], place: str = "chat") -> Untold:
    """A row of such a query; ``place`` is where it was written, in the words of the mail."""
    return Untold(
        row.id,
        row.thread_id,
        row.reference,
        row.title,
        row.actor,
        row.text,
        row.contact_id,
        row.address,
        row.untrusted_at is not None,
        place,
    )


def untold_chat(conn: Connection, now: datetime) -> tuple[Untold, ...]:
    """What is to go by mail, in the order in which it was written: a look that takes no lock."""
    # As threads.chat.mail_key makes it: asked here, for each look has all that was written in a day before it.
    key = literal("chat ") + cast(timeline.c.id, String) + " " + cast(contacts.c.id, String)
    told = exists().where(send_requests.c.key == key).correlate(timeline, contacts)
    query = (
        experts_words(now)
        .join(organisations, organisations.c.id == threads.c.organisation_id)
        .join(contacts, contacts.c.organisation_id == threads.c.organisation_id)
        .where(
            threads.c.kind == ThreadKind.INCIDENT.value,
            contacts.c.kind == ContactKind.INCIDENT_NOTIFICATION.value,
            contacts.c.reads_chat.is_(False),
            contacts.c.left_at.is_(None),
            contacts.c.created_at <= timeline.c.at,  # who came later was told nothing by mail before either
            ~told,
        )
        .order_by(timeline.c.id, contacts.c.id)
    )
    return tuple(untold_of(row) for row in conn.execute(query))


def not_told(conn: Connection, found: Sequence[Untold]) -> tuple[Untold, ...]:
    """Those of them that were neither sent nor given up."""
    keys, told = [one.key for one in found], set[str]()
    for start in range(0, len(keys), _AT_ONCE):
        some = send_requests.c.key.in_(keys[start : start + _AT_ONCE])
        told.update(conn.execute(select(send_requests.c.key).where(some)).scalars())
    return tuple(one for one in found if one.key not in told)


def give_up(conn: Connection, one: Untold, why: str, now: datetime) -> None:
    """Let a contact get nothing of an entry by mail, and tell the experts, once."""
    if claim_request(conn, one.key, _GIVEN_UP, now):
        text = (
            f"What was written in the chat ({entry_name(one.entry_id)}) was not sent to {one.address}: {why}"
        )
        append(conn, one.thread_id, now, EntryKind.NOTE, actor="chat", mark=Mark.AUTOMATION, text=text)
