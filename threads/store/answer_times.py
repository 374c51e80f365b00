"""How long customers waited for the first answer of ours, by customer."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, and_, func, or_, select

from threads.model import EntryKind, Mark
from threads.schema import messages, threads, timeline
from threads.store.calls import reached_nobody

MAX_THREADS: Final = 5_000
"""Threads that are looked at, those with the latest news."""
_ASKING: Final = [one.value for one in Mark if one not in (Mark.EXPERT, Mark.ASSISTANT, Mark.AUTOMATION)]
_WORDS: Final = (EntryKind.MAIL_OUT.value, EntryKind.CHAT.value)


@dataclass(frozen=True, slots=True)
class AnswerTimes:
    """Of one customer's threads: seconds from its first words to the first answer, shortest first; ``waiting``: those without one."""

    organisation_id: int
    seconds: tuple[float, ...]
    waiting: int


def answer_times(
    conn: Connection, since: datetime, organisations: Collection[int] | None
) -> tuple[AnswerTimes, ...]:
    """Of threads whose customer first said something since a moment, by mail or chat; None for ``organisations``: of all.

    An answer is an expert's mail or chat, or a call that was answered; what a machine of ours says is none. Words that were released count from when
    they came.
    """
    news = select(threads.c.id).where(threads.c.updated_at >= since, threads.c.merged_into.is_(None))
    if organisations is not None:
        news = news.where(threads.c.organisation_id.in_(sorted(organisations)))
    latest = news.order_by(threads.c.updated_at.desc()).limit(MAX_THREADS)
    asked = (
        select(timeline.c.thread_id, func.min(timeline.c.id).label("id"))
        .where(
            timeline.c.thread_id.in_(latest),
            timeline.c.kind.in_((EntryKind.MAIL_IN.value, EntryKind.CHAT.value)),
            timeline.c.mark.in_(_ASKING),
        )
        .group_by(timeline.c.thread_id)
        .subquery()
    )
    later, question, answer = timeline.alias(), timeline.alias(), timeline.alias()
    ours = or_(
        and_(later.c.kind.in_(_WORDS), later.c.mark == Mark.EXPERT.value),
        and_(later.c.kind == EntryKind.CALL.value, ~reached_nobody(later)),
    )
    first = (
        select(func.min(later.c.id))
        .where(later.c.thread_id == asked.c.thread_id, later.c.id > asked.c.id, ours)
        .scalar_subquery()
    )
    rows = conn.execute(
        select(
            threads.c.organisation_id,
            question.c.at.label("asked_at"),
            messages.c.received_at,
            answer.c.at.label("answered_at"),
        )
        .select_from(asked)
        .join(threads, threads.c.id == asked.c.thread_id)
        .join(question, question.c.id == asked.c.id)
        .outerjoin(messages, messages.c.id == question.c.copy_id)
        .outerjoin(answer, answer.c.id == first)
    )
    found: dict[int, tuple[list[float], int]] = {}
    for row in rows:
        began = row.received_at or row.asked_at
        if began < since:
            continue
        seconds, waiting = found.get(row.organisation_id, ([], 0))
        if row.answered_at is None:
            waiting += 1
        else:
            seconds.append(max(0.0, (row.answered_at - began).total_seconds()))
        found[row.organisation_id] = seconds, waiting
    return tuple(
        AnswerTimes(one, tuple(sorted(seconds)), waiting) for one, (seconds, waiting) in sorted(found.items())
    )
