"""What ``verify`` prints: a message as text or as a line of JSON, made by the workers, and the table of all."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from expertmail.saved_messages import NOTE_TEXT, SavedMessage
from expertmail.verdict_view import Look, Row, table_of, text_of
from verifier.report import Report
from verifier.report_json import as_json


@dataclass(frozen=True, slots=True)
class Printing:
    """How it is printed: as lines of JSON, or as a person sees it."""

    as_lines: bool
    look: Look


class OutputClosedError(Exception):
    """Whoever read our output went away."""


def printing(*, as_lines: bool, explain: bool) -> Printing:
    """By the options, and by whether standard output shows colours."""
    wanted = sys.stdout.isatty() or bool(os.environ.get("FORCE_COLOR"))
    return Printing(as_lines, Look(explain=explain, coloured=wanted and not as_lines))


def printed(saved: SavedMessage, report: Report, how: Printing) -> str:
    """The text for one message, with the end of its last line."""
    if not how.as_lines:
        return text_of(saved, report, how.look)
    found = as_json(report, saved.file, explained=how.look.explain)
    found["notes"] = [{"code": note.value, "text": NOTE_TEXT[note]} for note in saved.notes]
    return json.dumps(found) + "\n"


def put(text: str) -> None:
    """Print now. Raises OutputClosedError; what is left in the buffer then does not raise again at exit."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputClosedError from None


def put_table(rows: Sequence[Row], how: Printing) -> None:
    """Print the table of all messages, where there are several. Raises OutputClosedError."""
    if len(rows) > 1 and not how.as_lines:
        put("".join(f"{line}\n" for line in table_of(rows, coloured=how.look.coloured)))
