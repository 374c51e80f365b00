"""Answers to questions that stand on the timeline, and that who asked has to get by mail, for they read mail only."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select

from outbound.store.chat import MAX_LOOKED_AT, Untold, not_told
from threads.chat import CARRY_FOR
from threads.model import EntryKind, Mark, ThreadKind
from threads.schema import chat_messages, contacts, organisations, threads, timeline

PLACE: Final = "inquiry"
"""Where a reply was posted, in the words of its mail (``outbound/templates/reply-posted``)."""
_THEIRS: Final = (Mark.PORTAL.value, Mark.REPORTED.value, Mark.VERIFIED.value)
_ASKS: Final = (EntryKind.CHAT.value, EntryKind.MAIL_IN.value)


def untold_answers(conn: Connection, now: datetime) -> tuple[Untold, ...]:
    """What is to go by mail to the contact who asked, in the order in which it was written: a look that takes no lock."""
    recent = (
        select(chat_messages.c.entry_id)
        .order_by(chat_messages.c.entry_id.desc())
        .limit(MAX_LOOKED_AT)
        .subquery()
    )
    question, first = timeline.alias("question"), timeline.alias("first")
    asked = (
        select(func.min(first.c.id))
        .where(first.c.thread_id == threads.c.id, first.c.kind.in_(_ASKS), first.c.mark.in_(_THEIRS))
        .scalar_subquery()
    )
    query = (
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
        .join(recent, recent.c.entry_id == timeline.c.id)
        .join(threads, threads.c.id == timeline.c.thread_id)
        .join(question, question.c.id == asked)
        .join(organisations, organisations.c.id == threads.c.organisation_id)
        .join(
            contacts,
            (contacts.c.organisation_id == threads.c.organisation_id)
            & (contacts.c.address_key == func.lower(question.c.actor)),
        )
        .where(
            timeline.c.kind == EntryKind.CHAT.value,
            timeline.c.mark == Mark.EXPERT.value,
            timeline.c.at > now - CARRY_FOR,
            threads.c.kind == ThreadKind.INQUIRY.value,
            contacts.c.reads_chat.is_(False),
            contacts.c.left_at.is_(None),
        )
        .order_by(timeline.c.id, contacts.c.id)
    )
    first_of: dict[int, Untold] = {}  # one address may be a contact of each kind
    for row in conn.execute(query):
        first_of.setdefault(
            row.id,
            Untold(
                row.id,
                row.thread_id,
                row.reference,
                row.title,
                row.actor,
                row.text,
                row.contact_id,
                row.address,
                row.untrusted_at is not None,
                PLACE,
            ),
        )
    return not_told(conn, tuple(first_of.values()))
