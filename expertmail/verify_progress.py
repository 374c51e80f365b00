"""How far ``verify`` is: one line on standard error, on terminals only."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final

SHOWN_FROM: Final = 50  # messages; fewer are done before one has read the line
SECONDS_BETWEEN: Final = 0.1  # as often as a person sees a change

_CLEAR: Final = "\r\x1b[2K"  # back to the beginning, and erase the line (ECMA-48 EL)


class ProgressLine:
    """A bar over octets, with the number of messages. Drawn between what is printed: there is no thread behind it.

    ``total`` gives the octets of all and is asked once, when the line is first drawn.
    """

    def __init__(self, total: Callable[[], int]) -> None:
        self._wanted = sys.stderr.isatty()
        self._total_of = total
        self._messages = 0
        self._octets = 0
        self._drawn = False
        self._at = 0.0
        self._line: Callable[[int, int], str] | None = None

    def clear(self) -> None:
        """Make room for what is printed on the same terminal."""
        if self._drawn:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
            self._drawn = False

    def done(self, octets: int) -> None:
        """One more message, of so many octets, is done."""
        self._messages += 1
        self._octets += octets
        now = time.monotonic()
        if not self._wanted or self._messages < SHOWN_FROM or now - self._at < SECONDS_BETWEEN:
            return
        self._at = now
        if self._line is None:
            self._line = _bar(self._total_of())
        sys.stderr.write(_CLEAR + self._line(self._messages, self._octets))
        sys.stderr.flush()
        self._drawn = True


def _bar(total: int) -> Callable[[int, int], str]:
    from rich.console import Console  # noqa: PLC0415 - slow to load, and seldom needed
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.fields[messages]:,} messages"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        auto_refresh=False,
    )
    task = progress.add_task("", total=total or None, messages=0)

    def line(messages: int, octets: int) -> str:
        progress.update(task, completed=octets, messages=messages)
        with console.capture() as captured:
            console.print(progress.get_renderable(), end="")
        return captured.get().rstrip("\n")

    return line
