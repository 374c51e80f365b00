"""The send ledger: what we sent, for the verifier to recognise it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Connection, or_, select

from outbound.schema import deliveries, outgoing
from threads.store.values import MAX_ID, storable
from verifier.message import read_message
from verifier.own_records import RecordsQuestion, SentMail, shown_fields

MAX_FOUND: Final = 10
"""Mails that are like one message; templates with equal texts to many contacts are cut here."""


def sent_mails(conn: Connection, question: RecordsQuestion) -> tuple[SentMail, ...]:
    """The mails of ours that a message may be, the identical one first. Only what was handed over at least once counts."""
    alike: list[ColumnElement[bool]] = [outgoing.c.sha256.in_(question.sent)] if question.sent else []
    if question.body is not None:
        alike.append(outgoing.c.body_sha256 == question.body)
    if question.message_id is not None:
        alike.append(outgoing.c.message_id == storable(question.message_id, MAX_ID))
    if not alike:
        return ()
    rows = conn.execute(
        select(outgoing)
        .join(deliveries, deliveries.c.outgoing_id == outgoing.c.id)
        .where(
            or_(*alike),
            outgoing.c.next_hop.is_(None),  # what was relayed was never ours
            deliveries.c.checked_at.is_not(None),
            deliveries.c.attempts > 0,
        )
        .order_by(outgoing.c.sha256.in_(question.sent).desc(), outgoing.c.id.desc())
        .limit(MAX_FOUND)
    )
    return tuple(
        SentMail(
            row.sha256,
            row.body_sha256 or "",
            row.message_id,
            row.rcpt_to,
            row.created_at,
            shown_fields(read_message(bytes(row.raw))),
        )
        for row in rows
    )
