"""Worker processes with a deadline for each piece of work: one that hangs or dies costs its own piece and no other.

Pieces go to the workers by pipe, several ahead, and what they made of them comes out in order. A worker has one
piece in hand at a time, so that it is known which one it was lost over; the others that waited for it are given
to another. A worker is a process group of its own: what it started ends with it.
"""

from __future__ import annotations

import heapq
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkContext, SpawnContext
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from types import MappingProxyType, TracebackType
from typing import Any, Final, Generic, NamedTuple, Self, TypeVar, cast

from expertmail.faults import ExitCode, FaultError
from expertmail.worker_process import Broke, frozen, run

Piece = TypeVar("Piece")
Made = TypeVar("Made")

# Frozen mappings are values like others, but pickle does not know them.
ForkingPickler.register(MappingProxyType, lambda mapping: (frozen, (dict(mapping),)))

MAX_SECONDS: Final = 30.0  # of wall time for one piece; a message of 1 MB takes a quarter of one
MAX_WAITING: Final = 32  # pieces given to one worker ahead: enough that it never waits for the next
# Octets given to a worker ahead. A pipe holds 64 KB on Linux: so little never blocks us while the worker, for its
# part, waits until we read what it made. Whoever has nothing to do is reading, and can be given any size.
MAX_WAITING_OCTETS: Final = 32 * 1024
MAX_AHEAD: Final = 512  # pieces handed out or done while an earlier one is not: this much is held in memory


class Lost(NamedTuple):
    """A piece that nothing came of, in words that follow its name; ``fault`` is what the fault is of."""

    words: str
    fault: ExitCode = ExitCode.NO_INPUT


class _Given(NamedTuple):
    number: int
    octets: int
    piece: Any


class _Worker:
    """A worker process, our ends of its pipes, and what it was given, the piece in hand first."""

    def __init__(self, process: BaseProcess, pieces: Connection, made: Connection) -> None:
        self.process = process
        self.pieces = pieces
        self.made = made
        self.given: deque[_Given] = deque()
        self.octets = 0
        self.since = 0.0  # when it took the piece in hand, as far as we know

    def has_room(self, octets: int) -> bool:
        return not self.given or (
            len(self.given) < MAX_WAITING and self.octets + octets <= MAX_WAITING_OCTETS
        )

    def give(self, given: _Given, pickled: Any) -> None:
        """A process that is gone is found out when what it made before was read, so that the right piece is blamed."""
        self.given.append(given)
        self.octets += given.octets
        if len(self.given) == 1:
            self.since = time.monotonic()
        with suppress(OSError):
            self.pieces.send_bytes(pickled)

    def took_next(self) -> _Given:
        first = self.given.popleft()
        self.octets -= first.octets
        self.since = time.monotonic()
        return first

    def end(self) -> int | None:
        """Kill it and all that it started; its exit code, negative for a signal."""
        if self.process.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()  # where it had no time yet to become a group; what has ended keeps its exit code
        self.process.join()
        self.pieces.close()
        self.made.close()
        return self.process.exitcode


class WorkerPool(Generic[Piece, Made]):
    """Up to ``count`` processes that run ``work``, started when there is something to do; a context manager.

    ``work(pieces, made)`` takes pieces from an iterator and calls ``made`` once for each, in turn. On Linux it runs
    in a copy of this process, which costs 3 ms; elsewhere, and beside threads, in a new one, and must be picklable.
    """

    def __init__(
        self,
        work: Callable[[Iterator[Piece], Callable[[Made], None]], None],
        count: int,
        seconds: float = MAX_SECONDS,
    ) -> None:
        self._work = work
        self._count = count
        self._seconds = seconds
        self._workers: list[_Worker] = []
        self._again: list[tuple[int, Piece]] = []  # given to a worker that was lost over another; a heap
        self._done: dict[int, tuple[Piece, Made | Lost]] = {}
        self._next = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _without_interrupts():
            for worker in self._workers:
                worker.end()
            self._workers.clear()

    def in_order(self, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Made | Lost]]:
        """Each piece with what was made of it, or how it was lost. Takes a few hundred pieces ahead. To be used once."""
        source = enumerate(pieces)
        more = True
        while more or self._again or self._done or any(worker.given for worker in self._workers):
            more = self._hand_out(source)
            while self._next in self._done:
                self._next += 1
                yield self._done.pop(self._next - 1)
            if any(worker.given for worker in self._workers):
                self._receive()

    def _hand_out(self, source: Iterator[tuple[int, Piece]]) -> bool:
        """Give out pieces until nobody has room for the next; whether there may be more."""
        while len(self._done) + sum(len(worker.given) for worker in self._workers) < MAX_AHEAD or self._again:
            following = heapq.heappop(self._again) if self._again else next(source, None)
            if following is None:
                return False
            number, piece = following
            pickled = ForkingPickler.dumps(piece)
            worker = self._with_room(len(pickled))
            if worker is None:
                heapq.heappush(self._again, (number, piece))
                return True
            worker.give(_Given(number, len(pickled), piece), pickled)
        return True

    def _with_room(self, octets: int) -> _Worker | None:
        """An idle worker, or a new one, or the one with the least to do."""
        least = min(self._workers, key=lambda worker: len(worker.given), default=None)
        if least is None or (least.given and len(self._workers) < self._count):
            return self._start()
        return least if least.has_room(octets) else None

    def _start(self) -> _Worker:
        # A copy of a process with threads may hold their locks for ever.
        forks = sys.platform == "linux" and threading.active_count() == 1
        context: ForkContext | SpawnContext = get_context("fork") if forks else get_context("spawn")
        theirs_pieces, ours_pieces = Pipe(duplex=False)
        ours_made, theirs_made = Pipe(duplex=False)
        # Copies of our ends would keep a worker waiting for us when we are gone.
        ours = [end for worker in self._workers for end in (worker.pieces, worker.made)]
        process = context.Process(
            target=run,
            args=(
                self._work,
                theirs_pieces,
                theirs_made,
                (*ours, ours_pieces, ours_made) if forks else (),
                self._seconds,
            ),
            daemon=True,
        )
        try:
            with _without_interrupts():
                process.start()
                worker = _Worker(process, ours_pieces, ours_made)
                self._workers.append(worker)
        except OSError as error:
            raise FaultError(
                f"No process can be started: {error.strerror}. Try again when the machine has less to do.",
                ExitCode.TEMPORARY,
            ) from error
        finally:
            theirs_pieces.close()
            theirs_made.close()
        return worker

    def _receive(self) -> None:
        """Wait for what the workers make, no longer than to the next deadline."""
        busy = {worker.made: worker for worker in self._workers if worker.given}
        earliest = min(worker.since for worker in busy.values()) + self._seconds
        ready = wait(list(busy), max(0.0, earliest - time.monotonic()))
        for end in ready:
            worker = busy.pop(cast("Connection", end))
            try:
                made = worker.made.recv()
            except (EOFError, OSError):
                self._lose(worker)
                continue
            if isinstance(made, Broke):
                self._lose(worker, Lost(f"could not be judged: {made.words}", ExitCode.SOFTWARE))
                continue
            first = worker.took_next()
            self._done[first.number] = (first.piece, made)
        now = time.monotonic()
        for worker in busy.values():  # those that have nothing to be read
            if now - worker.since >= self._seconds:
                self._lose(worker, Lost(f"could not be judged in {self._seconds:g} s"))

    def _lose(self, worker: _Worker, why: Lost | None = None) -> None:
        """End a worker. What it had in hand is lost, what waited goes to another."""
        with _without_interrupts():
            self._workers.remove(worker)
            code = worker.end()
        first = worker.given.popleft()
        self._done[first.number] = (first.piece, why or Lost(_ended(code, self._seconds)))
        for given in worker.given:
            heapq.heappush(self._again, (given.number, given.piece))


def _ended(code: int | None, seconds: float) -> str:
    if code == -signal.SIGALRM:
        return f"could not be judged in {seconds:g} s"
    if code is not None and code < 0:
        return f"could not be judged: the process that judged it was ended by {signal.Signals(-code).name}"
    return f"could not be judged: the process that judged it ended with code {code}"


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Let Ctrl-C wait: no process is started or ended by half."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
