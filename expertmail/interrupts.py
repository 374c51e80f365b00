"""Ctrl-C that does not get lost.

Python raises KeyboardInterrupt wherever it stands; where that is a finaliser or a callback, the exception is dropped and
the work goes on. So it is noted as well, and the work asks between its steps.
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupts:
    """While it is entered, SIGINT is noted beside what it does. Only in the main thread; an ignored SIGINT stays so."""

    def __init__(self) -> None:
        self._seen = False
        self._before: Any = None

    def __enter__(self) -> Self:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def check(self) -> None:
        """Raise KeyboardInterrupt if there was one, wherever it went."""
        if self._seen:
            raise KeyboardInterrupt

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._seen = True
        raise KeyboardInterrupt
