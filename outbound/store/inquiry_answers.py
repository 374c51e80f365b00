"""Answers to questions that stand on the timeline, and that who asked has to get by mail, for they read mail only."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select

from outbound.store.chat import Untold, experts_words, not_told, untold_of
from threads.model import EntryKind, Mark, ThreadKind
from threads.schema import contacts, organisations, threads, timeline

PLACE: Final = "inquiry"
"""Where a reply was posted, in the words of its mail (``outbound/templates/reply-posted``)."""
_THEIRS: Final = (Mark.PORTAL.value, Mark.REPORTED.value, Mark.VERIFIED.value)
_ASKS: Final = (EntryKind.CHAT.value, EntryKind.MAIL_IN.value)


def untold_answers(conn: Connection, now: datetime) -> tuple[Untold, ...]:
    """What is to go by mail to the contact who asked, in the order in which it was written: a look that takes no lock."""
    question, first = timeline.alias("question"), timeline.alias("first")
    asked = (
        select(func.min(first.c.id))
        .where(first.c.thread_id == threads.c.id, first.c.kind.in_(_ASKS), first.c.mark.in_(_THEIRS))
        .scalar_subquery()
    )
    query = (
        experts_words(now)
        .join(question, question.c.id == asked)
        .join(organisations, organisations.c.id == threads.c.organisation_id)
        .join(
            contacts,
            (contacts.c.organisation_id == threads.c.organisation_id)
            & (contacts.c.address_key == func.lower(question.c.actor)),
        )
        .where(
            threads.c.kind == ThreadKind.INQUIRY.value,
            contacts.c.reads_chat.is_(False),
            contacts.c.left_at.is_(None),
        )
        .order_by(timeline.c.id, contacts.c.id)
    )
    first_of: dict[int, Untold] = {}  # one address may be a contact of each kind
    for row in conn.execute(query):
        first_of.setdefault(row.id, untold_of(row, PLACE))
    return not_told(conn, tuple(first_of.values()))
