"""A worker's side of the pool: takes pieces from its pipe until that ends, and has a deadline that no code can miss."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, Final, NamedTuple

# The pool's deadline is kept by the pool. This one is for a worker whose pool was killed while it hung.
SECONDS_MORE: Final = 5.0


class Broke(NamedTuple):
    """An exception that the work let out, without its text, which may be a message's."""

    words: str


def frozen(mapping: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    """A frozen mapping as it was before it went through a pipe."""
    return MappingProxyType(mapping)


def run(
    work: Callable[[Iterator[Any], Callable[[Any], None]], None],
    pieces: Connection,
    made: Connection,
    others: Iterable[Connection],
    seconds: float,
) -> None:
    """Run ``work`` in this process, which was started for it. ``others`` are pipes of other processes, to be closed."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C is for the pool, which ends us
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    for other in others:
        other.close()

    def taken() -> Iterator[Any]:
        while True:
            try:
                piece = pieces.recv()
            except (EOFError, OSError):
                return  # the pool ended, or was killed
            signal.setitimer(signal.ITIMER_REAL, seconds + SECONDS_MORE)  # its default ends the process
            yield piece

    def give(value: Any) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)  # whoever reads it may take their time
        made.send(value)

    try:
        work(taken(), give)
    except Exception as error:  # noqa: BLE001 - told by the pool, with the piece it happened over
        with suppress(OSError):  # the pool may be gone
            give(Broke(_fault_of_ours(error)))


def _fault_of_ours(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"this is a fault of expertmail ({type(error).__name__}{place}); please report it"
