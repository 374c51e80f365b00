"""What the daily commands print: aligned tables, plain lines, or JSON. Colour on terminals only."""

from __future__ import annotations

import dataclasses
import json
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH_OF_A_PIPE = 200  # columns where the output is no terminal: programs want whole lines
GAP = 2  # blanks between columns
NARROWEST = 6  # a column in which words are folded is no narrower: below that nobody reads it
SMALL_LACK = 12  # a column that lacks no more is made whole before a long text gets more room
MARK_STYLES = {
    "verified": "green",
    "not listed": "yellow",
    "unverified": "red",
    "forged": "red",
    "genuine": "green",
    "withheld": "red",
    "failed": "red",
    "ok": "green",
    "advice": "yellow",
    "fault": "red",
    "unchecked": "yellow",
}


def console() -> Console:
    """Standard output; without colour and wrapping where it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_PIPE, highlight=False, emoji=False)


def safe(text: str) -> str:
    """Text from mail for a terminal: no control, bidi or zero-width character does anything there."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text.replace("\r\n", "\n"))


def moment(at: datetime | None) -> str:
    """A time in UTC, to the second."""
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]], nothing: str) -> None:
    """Print a table, or the sentence ``nothing`` when there are no rows."""
    shown = console()
    cells = [[Text(safe(cell), style=MARK_STYLES.get(cell, "")) for cell in row] for row in rows]
    if not cells:
        say(nothing)
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
    texts = [[column, *(row[number].plain for row in cells)] for number, column in enumerate(columns)]
    widths = column_widths(texts, shown.width - GAP * (len(columns) - 1))
    for number, column in enumerate(columns):
        width = None if widths is None else widths[number]
        table.add_column(column, no_wrap=number == 0, overflow="fold", width=width)
    for row in cells:
        table.add_row(*row)
    shown.print(table)


def column_widths(columns: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """How wide each column of texts is made, so that words stay whole as long as they can; None: as it comes.

    ``columns`` hold the heading and the cells of each, ``room`` is what the widths may add up to. None where all of it fits
    anyway, and where there is no room for anything.
    """
    whole = [max(cell_len(line) for text in one for line in text.split("\n")) for one in columns]
    words = [max((cell_len(word) for text in one for word in text.split()), default=1) for one in columns]
    if sum(whole) <= room:
        return None
    words[0] = whole[0]  # the name or number that the next command needs is never folded
    cap = max(words)
    while cap >= NARROWEST and words[0] + sum(min(one, cap) for one in words[1:]) > room:
        cap -= 1
    if cap < NARROWEST:
        return None
    widths = [words[0], *(min(one, cap) for one in words[1:])]
    spare = room - sum(widths)
    for number in sorted(range(len(widths)), key=lambda one: whole[one] - widths[one]):
        lack = whole[number] - widths[number]
        if lack <= min(SMALL_LACK, spare):
            widths[number] += lack
            spare -= lack
    for _ in range(spare):
        longest = max(range(len(widths)), key=lambda one: whole[one] / widths[one])
        widths[longest] += 1
    return widths


def say(text: str = "", style: str = "") -> None:
    """Print lines as they are, however long."""
    console().print(Text(safe(text), style=style), soft_wrap=True)


def show_facts(facts: Mapping[str, str]) -> None:
    """Print names and values, one pair a line, empty values left out."""
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        if value:
            say(f"{name:<{width}}  {value}")


def show_json(value: object) -> None:
    """Print one JSON value."""
    sys.stdout.write(json.dumps(plain(value), ensure_ascii=False, indent=2) + "\n")


def show_json_list(values: Iterable[object]) -> None:
    """Print a JSON array as its values come: however many there are, one is in memory."""
    opened = False
    for value in values:
        written = json.dumps(plain(value), ensure_ascii=False, indent=2)
        sys.stdout.write((",\n" if opened else "[\n") + textwrap.indent(written, "  "))
        opened = True
    sys.stdout.write("\n]\n" if opened else "[]\n")


def plain(value: object) -> Any:
    """Frozen values as JSON's own kinds: times as ISO 8601 in UTC, words as text; bytes are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return {name: plain(held) for name, held in pairs.items() if not isinstance(held, bytes)}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(plain(name)): plain(held) for name, held in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(held) for held in value]
    return value
