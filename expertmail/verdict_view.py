"""Verdicts for a person at a terminal. What the message says is shown without control characters, never as markup."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from expertmail.explained_view import INDENT, columns, hanging, lines_of, plain
from expertmail.saved_messages import NOTE_TEXT, SavedMessage
from verifier.explanation import explain as explained
from verifier.report import Effect, Report, Verdict

_STYLES: Final = {
    Verdict.GENUINE: "bold green",
    Verdict.AUTHENTIC_UNPINNED: "bold yellow",
    Verdict.UNPROVEN: "bold yellow",
    Verdict.FORGED: "bold red",
    Verdict.NO_CLAIM: "bold",
}
_SIGNS: Final = {Effect.PROVES: "+", Effect.CONTRADICTS: "!", Effect.WEAKENS: "-", Effect.INFORMS: " "}
_STRONG: Final = (Effect.PROVES, Effect.CONTRADICTS, Effect.WEAKENS)
MAX_AUTHOR: Final = 48  # columns in the table of all; a longer address moves its file to the right
_NO_AUTHOR: Final = "(none that can be read)"


@dataclass(frozen=True, slots=True)
class Look:
    """How verdicts are shown: with every reason and check, and in colours."""

    explain: bool = False
    coloured: bool = False


class Row(NamedTuple):
    """One message in the table of all; ``author`` is None where none can be read."""

    verdict: Verdict
    author: str | None
    file: str


def text_of(saved: SavedMessage, report: Report, look: Look) -> str:
    """What is printed of one message: its verdict with the sentence, and a blank line."""
    paint = painter() if look.coloured else _uncoloured
    return "\n".join((*_message(saved.file, report, saved, look, paint), ""))


def table_of(rows: Sequence[Row], *, coloured: bool) -> Iterator[str]:
    """A table of all messages, line by line. Laid out here: for 100,000 rows rich takes a minute."""
    from rich.cells import cell_len  # noqa: PLC0415 - for several messages only

    paint = painter() if coloured else _uncoloured
    authors = [plain(row.author) if row.author else _NO_AUTHOR for row in rows]
    left = max(len(row.verdict.value) for row in rows)
    middle = min(max(map(cell_len, authors)), MAX_AUTHOR)
    yield f"{'verdict':<{left}}  {'author':<{middle}}  file"
    for row, author in zip(rows, authors, strict=True):
        verdict = paint(row.verdict, f"{row.verdict.value:<{left}}")
        yield f"{verdict}  {author}{' ' * (middle - cell_len(author))}  {plain(row.file)}"


Paint = Callable[[Verdict, str], str]


def _uncoloured(_verdict: Verdict, text: str) -> str:
    return text


@cache
def painter() -> Paint:
    """Colours as this terminal shows them, by rich, which takes 40 ms to load."""
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(file=io.StringIO(), force_terminal=True, highlight=False, soft_wrap=True)

    def paint(verdict: Verdict, text: str) -> str:
        with console.capture() as captured:
            console.print(Text(text, _STYLES[verdict]), end="")
        return captured.get()

    return cache(paint)


def _message(
    name: str, report: Report, saved: SavedMessage | None, look: Look, paint: Paint
) -> Iterator[str]:
    width = columns() if look.explain else 0
    yield f"{paint(report.verdict, report.verdict.value.upper())}  {plain(name)}"
    yield from hanging(report.sentence, INDENT, width) if look.explain else (f"{INDENT}{plain(report.sentence)}",)
    if report.author is not None:
        display = f" ({plain(report.author.display)})" if report.author.display else ""
        yield f"  author: {plain(report.author.address)}{display}"
    for reason in report.reasons:
        if look.explain or reason.effect in _STRONG:
            rfc = f" [{reason.code}; {reason.rfc}]" if look.explain and reason.rfc else f" [{reason.code}]"
            first = f"{INDENT}{_SIGNS[reason.effect]} "
            if not look.explain:
                yield f"{first}{plain(reason.text)}{rfc}"
                continue
            yield from hanging(f"{plain(reason.text)}{rfc}", first, width)
            if reason.evidence:
                yield from hanging(f"evidence: {reason.evidence}", " " * len(first), width)
    for note in saved.notes if saved is not None else ():
        yield f"  note: {NOTE_TEXT[note]}"
    if look.explain:
        for line in lines_of(explained(report), width - len(INDENT)):
            yield INDENT + line
    for number, inner in enumerate(report.inner, 1):
        yield from _message(f"{name}, attached message {number}", inner, None, look, paint)
    yield ""
