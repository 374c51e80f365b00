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

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH_OF_A_PIPE = 200  # columns where the output is no terminal: programs want whole lines
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
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(safe(cell), style=MARK_STYLES.get(cell, "")) for cell in row))
    if table.row_count:
        console().print(table)
    else:
        say(nothing)


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
