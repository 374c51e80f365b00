"""Reports: how much came in and how it was judged, who imitates us, and how our own mail fared."""

from __future__ import annotations

import csv
import io
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.answer_bars import bar
from expertmail.console.pages.charts import Series, by_day, legend, stacked_bars
from expertmail.console.pages.message import saved
from expertmail.console.pages.outbox import WORDS
from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import looked_up, names_of, number_of
from outbound.model import DeliveryState
from outbound.store.report_counts import Sent, delivery_seconds, sent_since
from threads.access import Permission
from threads.store import Connection
from threads.store.answer_times import AnswerTimes, answer_times
from threads.store.imitation_counts import TrickCount, tricks_by_day
from threads.store.report_counts import FORGED, DayCount, Source, counts_by_day, forged_from
from verifier.report import ClaimedBy

PERIODS: Final = {"7": "a week", "30": "30 days", "90": "90 days"}
"""What is counted at once. A longer look back takes a copy of the database."""
_VERDICTS: Final = {
    "genuine": "good",
    "authentic-unpinned": "warn",
    "unproven": "odd-look",
    "forged": "bad",
    "no-claim": "calm",
}
_TRICKS: Final[Mapping[ClaimedBy, tuple[str, str]]] = {
    ClaimedBy.AUTHOR_DOMAIN: ("our domain as author", "bad"),
    ClaimedBy.AUTHOR_ADDRESS: ("our address as author", "warn"),
    ClaimedBy.DISPLAY_NAME: ("our name as display name", "odd-look"),
    ClaimedBy.LOOKALIKE_DOMAIN: ("a look-alike domain", "good"),
    ClaimedBy.HIDDEN_ADDRESS: ("our address hidden in a name", "calm"),
}
_WHERE: Final = {"filed": "good", "held": "warn", "triage": "odd-look", "discarded": "bad", "relayed": "calm"}
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Found:
    """What is counted of a period."""

    days: tuple[str, ...]
    counts: tuple[DayCount, ...]
    sources: tuple[Source, ...]
    sent: tuple[Sent, ...]
    seconds: tuple[float, ...]
    tricks: tuple[TrickCount, ...]
    answers: tuple[AnswerTimes, ...]


async def show(visit: Visit) -> Response:
    """The charts, each with its table."""
    period, customer = _asked(visit)
    found, names = await _counted(visit)
    verdicts = _series(found, lambda one: one.verdict, _VERDICTS)
    wheres = _series(found, lambda one: one.disposition, _WHERE)
    forged = tuple(one for one in verdicts if one.name == FORGED)
    tricks = by_day(
        found.days,
        {(one.day, _TRICKS[one.trick][0]): one.number for one in found.tricks},
        dict(_TRICKS.values()),
    )
    return await visit.page(
        "reports.html",
        periods=PERIODS,
        period=period,
        customer=customer,
        names=names,
        days=found.days,
        charts=[
            _chart("Messages by verdict", found.days, verdicts),
            _chart("Messages by what became of them", found.days, wheres),
            _chart("Imitations: forged messages", found.days, forged),
            _chart("Imitations by trick; a message may use several", found.days, tricks),
        ],
        total=sum(one.number for one in found.counts),
        machines=sum(one.number for one in found.counts if one.kind != "human"),
        sources=found.sources,
        sent=_sent_table(found.sent),
        times=times_of(found.seconds),
        answers=answers_of(found.answers, names),
        bar=bar,
        longest=max((one.seconds[-1] for one in found.answers if one.seconds), default=0.0),
        query=f"period={period}&customer={customer}",
    )


async def table(visit: Visit) -> Response:
    """The numbers by day, for a spreadsheet."""
    found, _ = await _counted(visit)
    rows = [(one.day, one.verdict, one.disposition, one.kind, one.number) for one in found.counts]
    return _csv("messages.csv", ("day", "verdict", "disposition", "kind", "messages"), rows)


async def table_of_tricks(visit: Visit) -> Response:
    """Imitations by day and trick, for a spreadsheet."""
    found, _ = await _counted(visit)
    rows = [(one.day, one.trick.value, one.number) for one in found.tricks]
    return _csv("imitations.csv", ("day", "trick", "messages"), rows)


async def table_of_answers(visit: Visit) -> Response:
    """How long each customer waited, in seconds, for a spreadsheet."""
    found, names = await _counted(visit)
    rows: list[tuple[object, ...]] = []
    for name, times, waiting in answers_of(found.answers, names):
        known = ("", "", "") if times is None else (times["median"], times["p95"], times["longest"])
        rows.append((name, 0 if times is None else times["number"], *known, waiting))
    heads = ("customer", "answered", "median_seconds", "p95_seconds", "longest_seconds", "unanswered")
    return _csv("answers.csv", heads, rows)


async def _counted(visit: Visit) -> tuple[Found, Mapping[int, str]]:
    period, customer = _asked(visit)
    return await looked_up(
        visit, lambda conn: (find(conn, visit, period, customer), dict(names_of(conn, visit)))
    )


def _csv(name: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> Response:
    out = io.StringIO()
    write = csv.writer(out)
    write.writerow(heads)
    write.writerows([_plain(one) if isinstance(one, str) else one for one in row] for row in rows)
    answer = saved(out.getvalue().encode(), name)
    answer.headers["Content-Type"] = "text/csv; charset=utf-8"
    return answer


def find(conn: Connection, visit: Visit, period: str, customer: str) -> Found:
    """Count; only what belongs to customers that the viewer may see."""
    reach = visit.signed_in.account.reach(Permission.READ)
    if customer:
        number = number_of(customer)
        visit.require(Permission.READ, number)
        reach = frozenset({number})
    return counted(conn, visit.now, int(period), reach)


def counted(conn: Connection, now: datetime, number: int, reach: frozenset[int] | None) -> Found:
    """The same of so many days, of these customers (None: of all, and of what belongs to none)."""
    days = days_until(now, number)
    since = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=number - 1)
    return Found(
        days,
        counts_by_day(conn, since, reach),
        forged_from(conn, since, reach),
        sent_since(conn, since, reach),
        delivery_seconds(conn, since, reach),
        tricks_by_day(conn, since, reach),
        answer_times(conn, since, reach),
    )


def days_until(now: datetime, number: int) -> tuple[str, ...]:
    """The last days (UTC), today the last of them."""
    return tuple((now - timedelta(days=back)).strftime("%Y-%m-%d") for back in reversed(range(number)))


def _asked(visit: Visit) -> tuple[str, str]:
    period = visit.query("period") or "30"
    if period not in PERIODS:
        raise HTTPException(404)
    return period, visit.query("customer")


def _series(found: Found, name_of: Callable[[DayCount], str], looks: Mapping[str, str]) -> tuple[Series, ...]:
    numbers: Counter[tuple[str, str]] = Counter()
    for one in found.counts:
        numbers[one.day, name_of(one)] += one.number
    return by_day(found.days, numbers, looks)


def _chart(title: str, days: Sequence[str], series: tuple[Series, ...]) -> dict[str, object]:
    rows = [(day, [one.numbers[at] for one in series]) for at, day in enumerate(days)]
    return {
        "title": title,
        "svg": stacked_bars(title, days, series) if series else "",
        "legend": legend(series),
        "names": [one.name for one in series],
        "rows": [(day, numbers) for day, numbers in rows if any(numbers)],
    }


def _sent_table(sent: Sequence[Sent]) -> list[tuple[str, list[tuple[str, str, int]]]]:
    kinds: dict[str, list[tuple[str, str, int]]] = {}
    for one in sent:
        known = one.state in {state.value for state in DeliveryState}
        words, look = WORDS[DeliveryState(one.state)] if known else (one.state, "calm")
        kinds.setdefault(one.kind, []).append((words, look, one.number))
    return list(kinds.items())


def answers_of(
    found: Sequence[AnswerTimes], names: Mapping[int, str]
) -> list[tuple[str, Mapping[str, float] | None, int]]:
    """Customers by name, with their times; one that is erased has no name."""
    there = [one for one in found if one.organisation_id in names]
    there.sort(key=lambda one: names[one.organisation_id].lower())
    return [(names[one.organisation_id], times_of(one.seconds), one.waiting) for one in there]


def times_of(seconds: Sequence[float]) -> dict[str, float] | None:
    """How many there are of these times in seconds, shortest first, and what most of them are; None where there is none."""
    if not seconds:
        return None
    at = min(len(seconds) - 1, int(0.95 * len(seconds)))
    return {
        "number": len(seconds),
        "median": statistics.median(seconds),
        "p95": seconds[at],
        "longest": seconds[-1],
    }


def _plain(text: str) -> str:
    """No spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


PAGES: Final = (
    Page("GET", "/reports", "reports", Permission.READ, show),
    Page("GET", "/reports/messages.csv", "reports-table", Permission.READ, table),
    Page("GET", "/reports/imitations.csv", "reports-tricks", Permission.READ, table_of_tricks),
    Page("GET", "/reports/answers.csv", "reports-answers", Permission.READ, table_of_answers),
)
