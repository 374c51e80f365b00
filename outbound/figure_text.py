"""Figures in the words of a language: cells, and a table as lines of text. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Final

from outbound.model import FigureTable, Unit

NONE: Final = "-"
"""Stands where there is nothing to tell: no median of no times."""
_GAP: Final = 2  # blanks between columns
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def figure(value: int | None, unit: Unit, words: Mapping[str, str]) -> str:
    """A cell. ``words`` has the language's ``day``, ``hour``, ``minute`` and ``second``, each behind its number."""
    if value is None:
        return NONE
    if unit is Unit.COUNT:
        return f"{value:,}"
    days, left = divmod(value, _DAY)
    hours, left = divmod(left, _HOUR)
    minutes, seconds = divmod(left, _MINUTE)
    parts = [(days, "day"), (hours, "hour"), (minutes, "minute"), (seconds, "second")]
    first = next((at for at, (number, _) in enumerate(parts) if number), len(parts) - 1)
    two = [(number, word) for number, word in parts[first : first + 2] if number] or [parts[-1]]
    return " ".join(f"{number}{words[word]}" for number, word in two)


def table_text(table: FigureTable, words: Mapping[str, str]) -> str:
    """The table in lines: names at the left, numbers below the names of their columns. No line ends in blanks."""
    head = ["", *(words[f"{table.name}.{name}"] for name, _ in table.columns)]
    rows = [
        [
            words[f"{table.name}.{row.name}"],
            *(figure(cell, unit, words) for cell, (_, unit) in zip(row.cells, table.columns, strict=True)),
        ]
        for row in table.rows
    ]
    lines = [head, *rows] if len(table.columns) > 1 else rows
    widths = [max(_width(line[at]) for line in lines) for at in range(len(head))]
    return "\n".join(
        (
            _padded(line[0], widths[0])
            + "".join(" " * (_GAP + widths[at] - _width(cell)) + cell for at, cell in enumerate(line) if at)
        ).rstrip()
        for line in lines
    )


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _width(text: str) -> int:
    """Columns: characters of East Asia take two (UAX 11)."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)
