"""The months and quarters that a service review is about. Pure. They begin and end in UTC, as everything on record is told in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

_MONTH: Final = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])", re.ASCII)
_QUARTER: Final = re.compile(r"(20[0-9]{2})-?[Qq]([1-4])", re.ASCII)
_MONTHS_OF_A_YEAR: Final = 12
_OF_A_QUARTER: Final = 3


@dataclass(frozen=True, slots=True)
class Period:
    """From ``begin`` on and before ``end``; ``name`` is such as 2026-10 or 2026-Q3."""

    name: str
    begin: datetime
    end: datetime

    def holds(self, at: datetime) -> bool:
        """Whether a moment is in it."""
        return self.begin <= at < self.end

    def over(self, now: datetime) -> bool:
        """Whether nothing more can happen in it."""
        return self.end <= now

    @property
    def first_day(self) -> date:
        """Its first day."""
        return self.begin.date()

    @property
    def last_day(self) -> date:
        """Its last day."""
        return (self.end - timedelta(days=1)).date()


def period_named(text: str) -> Period:
    """The month or quarter of that name; ValueError, with a sentence for people, for what is none."""
    text = text.strip()
    if found := _MONTH.fullmatch(text):
        return _from(int(found[1]), int(found[2]), 1, text)
    if found := _QUARTER.fullmatch(text):
        first = (int(found[2]) - 1) * _OF_A_QUARTER + 1
        return _from(int(found[1]), first, _OF_A_QUARTER, f"{found[1]}-Q{found[2]}")
    raise ValueError(f"{text[:40]!r} is no period; write a month as 2026-10, or a quarter as 2026-Q3.")


def last_month(now: datetime) -> Period:
    """The month before that of ``now``: the latest one that is over."""
    year, month = divmod(now.year * _MONTHS_OF_A_YEAR + now.month - 2, _MONTHS_OF_A_YEAR)
    return _from(year, month + 1, 1, f"{year}-{month + 1:02}")


def _from(year: int, month: int, months: int, name: str) -> Period:
    after_year, after_month = divmod(year * _MONTHS_OF_A_YEAR + month - 1 + months, _MONTHS_OF_A_YEAR)
    return Period(
        name, datetime(year, month, 1, tzinfo=UTC), datetime(after_year, after_month + 1, 1, tzinfo=UTC)
    )
