"""Questions to the experts and their answers, for people, programs and spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Final

from threads.inquiry import Question
from threads.store import Connection
from threads.store.inquiries import SHORT, history

COLUMNS: Final = (
    "reference", "organisation", "asked_at", "channel", "about", "asked_by", "title", "question", "state",
    "seconds_to_first_answer", "first_answer_at", "answered_by", "answers",
)  # fmt: skip
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def looked_back(
    conn: Connection,
    since: datetime,
    before: datetime,
    customers: Collection[int] | None,
    *,
    whole: bool = False,
) -> tuple[Question, ...]:
    """Questions asked from ``since`` on and before ``before``, the latest first; ``whole``: no text is cut."""
    found = history(conn, since, before, customers, short=None if whole else SHORT)
    return tuple(sorted(found, key=lambda one: (one.asked_at, one.inquiry.reference), reverse=True))


def question_json(one: Question, *, short: bool = False) -> dict[str, Any]:
    """A question for programs; ``short``: texts end in an ellipsis where there is more."""
    of = one.inquiry
    return {
        "reference": of.reference,
        "organisation": of.organisation,
        "title": of.title,
        "state": of.state.value,
        "channel": None if one.channel is None else one.channel.value,
        "about": of.about,
        "asked_at": one.asked_at.isoformat(),
        "asked_by": one.by or None,
        "text": _short(one.text) if short else one.text,
        "seconds_to_first_answer": one.seconds,
        "answers": [
            {
                "at": each.at.isoformat(),
                "channel": each.channel.value,
                "by": each.by,
                "text": _short(each.text) if short else each.text,
            }
            for each in one.answers
        ],
    }


def history_csv(questions: Iterable[Question]) -> str:
    """A line for each question, whole; nothing in it is taken for a formula."""
    out = io.StringIO()
    write = csv.writer(out)
    write.writerow(COLUMNS)
    for one in questions:
        of, first = one.inquiry, next(iter(one.answers), None)
        cells = (
            of.reference,
            of.organisation,
            one.asked_at.isoformat(),
            one.channel or "",
            of.about or "",
            one.by,
            of.title,
            one.text,
            of.state,
            "" if one.seconds is None else f"{max(0.0, one.seconds):.0f}",
            "" if first is None else first.at.isoformat(),
            ", ".join(dict.fromkeys(each.by for each in one.answers)),
            "\n\n".join(
                f"{each.at.isoformat()}, {each.by} ({each.channel}): {each.text}" for each in one.answers
            ),
        )
        write.writerow([_plain(str(cell)) for cell in cells])
    return out.getvalue()


def _short(text: str) -> str:
    return text if len(text) <= SHORT else f"{text[:SHORT]}…"


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
