"""What a service review tells of a period: figures that come from what is on record, as tables. Pure.

All of them are about what happened before the period's end, so that a period that is over is told alike whenever it is asked for,
as long as its content is kept. A severity counts as it is now. An incident that another one goes on for is none of its own.
"""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from outbound.model import FigureRow, FigureTable, Unit
from outbound.review_period import Period
from threads.inquiry import Question
from threads.model import EntryKind, Mark, Severity, State

_MOVED: Final = re.compile(
    rf"State: [A-Za-z ]+ -> ({'|'.join(one.value for one in State)})(?:; .*)?", re.DOTALL
)
_TO_CUSTOMERS: Final = frozenset({EntryKind.MAIL_OUT, EntryKind.CHAT, EntryKind.CALL})
_ALWAYS: Final = (Severity.HIGH, Severity.MEDIUM)
"""The severities that the service is for; others are told of where there were any."""
_SHARE: Final = 0.95

OPENED, CLOSED, OPEN = "opened", "resolved", "open"
TOTAL: Final = "total"
INCIDENTS: Final = "incidents"
TIMES: Final = "times"
QUESTIONS: Final = "questions"
MAIL: Final = "mail"
FORGED: Final = "forged"


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as far as figures need it.

    ``first_answer``: when the experts first spoke to the customer. ``moves``: when it became resolved (True) or went on (False), in
    order. ``emptied``: its content was removed, so that nobody knows any more when it was resolved.
    """

    severity: Severity
    opened_at: datetime
    first_answer: datetime | None
    moves: tuple[tuple[datetime, bool], ...]
    emptied: bool = False


@dataclass(frozen=True, slots=True)
class MailCounts:
    """Mails of ours: ``seconds`` are from writing to acceptance by the next server, one for each that was delivered.

    ``deferred`` were refused for now at least once, ``refused`` for good, ``returned`` came back after they were taken.
    """

    seconds: tuple[float, ...] = ()
    deferred: int = 0
    refused: int = 0
    returned: int = 0


@dataclass(frozen=True, slots=True)
class ForgedCounts:
    """Mail to us that was not what it claimed.

    ``as_us`` claimed to come from us, on the customer's threads; ``as_them`` claimed that with an author in the customer's domains;
    ``unproven`` had such an author and nothing that proved it.
    """

    as_us: int = 0
    as_them: int = 0
    unproven: int = 0


@dataclass(frozen=True, slots=True)
class Review:
    """The figures of one customer's period."""

    organisation: str
    period: Period
    tables: tuple[FigureTable, ...]


def review_of(  # noqa: PLR0917 -- one call, each argument a different type
    organisation: str,
    period: Period,
    incidents: Iterable[Incident],
    questions: Iterable[Question],
    mail: MailCounts,
    forged: ForgedCounts,
) -> Review:
    """The tables of a period, always the same ones in the same order."""
    counts: Counter[tuple[str, Severity]] = Counter()
    answer_times: list[float] = []
    resolve_times: list[float] = []
    for one in incidents:
        if period.holds(one.opened_at):
            counts[OPENED, one.severity] += 1
            if one.first_answer is not None and one.first_answer < period.end:
                answer_times.append(_seconds(one.opened_at, one.first_answer))
        resolved = _resolved_at(one, period)
        if resolved is not None and period.holds(resolved):
            counts[CLOSED, one.severity] += 1
            resolve_times.append(_seconds(one.opened_at, resolved))
        if resolved is None and one.opened_at < period.end and not one.emptied:
            counts[OPEN, one.severity] += 1
    asked = [one for one in questions if period.holds(one.asked_at)]
    question_times = [
        _seconds(one.asked_at, one.answers[0].at)
        for one in asked
        if one.answers and one.answers[0].at < period.end
    ]
    times = {
        "first-answer": answer_times,
        "until-resolved": resolve_times,
        "question-answer": question_times,
        "delivery": list(mail.seconds),
    }
    waiting = sum(not one.inquiry.emptied for one in asked) - len(question_times)
    return Review(
        organisation,
        period,
        (
            _incidents(counts),
            FigureTable(
                TIMES,
                (("number", Unit.COUNT), ("median", Unit.SECONDS), ("most", Unit.SECONDS)),
                tuple(FigureRow(name, _spread(values)) for name, values in times.items()),
            ),
            _counted(QUESTIONS, asked=len(asked), answered=len(question_times), waiting=waiting),
            _counted(
                MAIL,
                delivered=len(mail.seconds),
                deferred=mail.deferred,
                refused=mail.refused,
                returned=mail.returned,
            ),
            _counted(FORGED, as_us=forged.as_us, as_them=forged.as_them, unproven=forged.unproven),
        ),
    )


def moved_to(text: str) -> State | None:
    """The state that a thread went to, by the words of its timeline entry; None where it went to none."""
    found = _MOVED.fullmatch(text)
    return None if found is None else State(found[1])


def speaks_to_customer(kind: EntryKind, mark: Mark) -> bool:
    """Whether an entry holds an expert's words to the customer."""
    return kind in _TO_CUSTOMERS and mark is Mark.EXPERT


def _resolved_at(one: Incident, period: Period) -> datetime | None:
    """When it came to the state in which it was at the period's end, if that is resolved."""
    before = [move for move in one.moves if move[0] < period.end]
    return before[-1][0] if before and before[-1][1] else None


def _incidents(counts: Counter[tuple[str, Severity]]) -> FigureTable:
    columns = (OPENED, CLOSED, OPEN)
    rows = [
        FigureRow(severity.value, tuple(counts[column, severity] for column in columns))
        for severity in Severity
        if severity in _ALWAYS or any(counts[column, severity] for column in columns)
    ]
    totals = tuple(sum(counts[column, severity] for severity in Severity) for column in columns)
    return FigureTable(
        INCIDENTS, tuple((one, Unit.COUNT) for one in columns), (*rows, FigureRow(TOTAL, totals))
    )


def _counted(name: str, **numbers: int) -> FigureTable:
    rows = tuple(FigureRow(one.replace("_", "-"), (number,)) for one, number in numbers.items())
    return FigureTable(name, (("number", Unit.COUNT),), rows)


def _spread(values: Sequence[float]) -> tuple[int, int | None, int | None]:
    """How many there are, the median, and the value that 95 of 100 do not exceed (the nearest rank); in whole seconds."""
    if not values:
        return 0, None, None
    ordered = sorted(values)
    most = ordered[math.ceil(_SHARE * len(ordered)) - 1]
    return len(ordered), round(statistics.median(ordered)), round(most)


def _seconds(begin: datetime, end: datetime) -> float:
    """Mail that was moved here may be older than the thread: no time is less than none."""
    return max(0.0, (end - begin).total_seconds())
