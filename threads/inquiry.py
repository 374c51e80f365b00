"""A question to the experts and what was answered, as its timeline has it, and the moments between which that is looked for. Pure.

Only the customer's own words make a question: mail that was released although nobody knows who wrote it makes none.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from threads.model import ActorKind, AskedBy, EntryKind, Mark, State

MONTHS: Final = 6
"""How far the history of questions goes back where nobody says otherwise."""
MAX_MONTHS: Final = 120
_MONTHS_OF_A_YEAR: Final = 12
_SPOKEN: Final = frozenset({EntryKind.CHAT, EntryKind.CALL})


class AnswerChannel(StrEnum):
    """The way that an answer went."""

    MAIL = "mail"
    CHAT = "chat"
    CALL = "call"


_CHANNELS: Final = {
    EntryKind.MAIL_OUT: AnswerChannel.MAIL,
    EntryKind.CHAT: AnswerChannel.CHAT,
    EntryKind.CALL: AnswerChannel.CALL,
}


@dataclass(frozen=True, slots=True)
class Words:
    """A timeline entry in which somebody may have spoken. ``copy``: a mail that carries what is another entry already."""

    at: datetime
    kind: EntryKind
    actor: str
    mark: Mark
    text: str
    copy: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What an expert answered, and by which way."""

    at: datetime
    channel: AnswerChannel
    by: str
    text: str


@dataclass(frozen=True, slots=True)
class Inquiry:
    """The thread of a question, as far as the history tells of it; ``about`` is the incident's reference."""

    reference: str
    organisation: str
    title: str
    state: State
    opened_at: datetime
    asked_by: AskedBy | None
    about: str | None
    emptied: bool


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its answers in their order. ``by`` is who asked; ``channel`` None: nobody wrote that down.

    Where the content was removed (``inquiry.emptied``) it has no text and no answers, and ``by`` is empty.
    """

    inquiry: Inquiry
    asked_at: datetime
    channel: AskedBy | None
    by: str
    text: str
    answers: tuple[Answer, ...]

    @property
    def seconds(self) -> float | None:
        """From the question to the first answer; None while there is none."""
        return (self.answers[0].at - self.asked_at).total_seconds() if self.answers else None


def question_of(inquiry: Inquiry, entries: Iterable[Words]) -> Question | None:
    """The question that an inquiry holds, with the answers after it; None where no customer's words stand on it.

    ``entries`` are those of its timeline, in their order.
    """
    asked: Words | None = None
    answers: list[Answer] = []
    for one in entries:
        if asked is None and asks(one.kind, one.mark):
            asked = one
        elif asked is not None and answers_something(one.kind, one.mark) and not one.copy:
            answers.append(Answer(one.at, _CHANNELS[one.kind], one.actor, one.text))
    if asked is not None:
        channel = inquiry.asked_by
        if channel is None and asked.kind is EntryKind.MAIL_IN:
            channel = AskedBy.MAIL
        return Question(inquiry, asked.at, channel, asked.actor, asked.text, tuple(answers))
    if inquiry.emptied and inquiry.asked_by is not None:
        return Question(inquiry, inquiry.opened_at, inquiry.asked_by, "", "", ())
    return None


def asks(kind: EntryKind, mark: Mark) -> bool:
    """Whether an entry holds a customer's own words."""
    spoken = kind is EntryKind.MAIL_IN or kind in _SPOKEN
    return spoken and mark.actor_kind is ActorKind.CUSTOMER and mark is not Mark.UNVERIFIED


def answers_something(kind: EntryKind, mark: Mark) -> bool:
    """Whether an entry holds an expert's words to the customer."""
    return kind in _CHANNELS and mark is Mark.EXPERT


def months_before(now: datetime, months: int) -> datetime:
    """The same moment so many months ago, or the last day of that month where it has no such day."""
    count = now.year * _MONTHS_OF_A_YEAR + now.month - 1 - months
    year, month = divmod(count, _MONTHS_OF_A_YEAR)
    day = min(now.day, calendar.monthrange(year, month + 1)[1])
    return now.replace(year=year, month=month + 1, day=day)
