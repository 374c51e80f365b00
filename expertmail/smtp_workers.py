"""Starts the processes that take mail, starts them again when they die or hang, and adds up what they count.

The listening sockets belong to this process: while a worker is down, its clients wait in the queue for the others.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from expertmail.faults import ExitCode, FaultError
from expertmail.metrics_sum import Counts, added, what_stays
from expertmail.settings import Settings
from expertmail.worker_link import Accepting, Begin, Link, Refused, Renew, Stop, Taken, Told
from expertmail.worker_processes import WorkerProcess, WorkerProcesses
from smtp_gateway.listener import Listener
from smtp_gateway.shared_memory import Field, SharedMemory

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 30.0
"""Between a worker's death and its next start: what kills it at once must not take all the machine's time."""
STEADY_SECONDS: Final = 60.0
"""A worker that has lived so long died of something new: the pauses begin anew."""
START_SECONDS: Final = 60.0
"""For the workers to begin, on a machine that is busy."""
DRAIN_SECONDS: Final = 90.0
"""For a worker to end by itself: longer than its own bounds together; then it hangs and is killed."""
END_SECONDS: Final = 10.0
"""For a worker's process to end after its last word."""
HUNG_SECONDS: Final = 60.0
"""A worker whose event loop has had no turn for so long has no client left that waits with hope: it is killed. Nothing
that a worker does in its loop takes a hundredth of that."""
LOOKS: Final = 12
"""Looks at a worker's sign of life in that time. That it is the same in all of them counts, and not what the clock says:
where the whole machine stood still, nobody hangs."""

_log = structlog.get_logger("expertmail")


def next_pause(last: float, lived: float) -> float:
    """Seconds to wait before a worker that has lived for ``lived`` is started again; ``last`` was waited before (0: never)."""
    if lived >= STEADY_SECONDS or last <= 0:
        return FIRST_PAUSE_SECONDS
    return min(last * 2, LONGEST_PAUSE_SECONDS)


class _Worker:
    """One place for a worker, whoever holds it now."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: WorkerProcess | None = None
        self.link: Link | None = None
        self.counts: Counts = ()  # of the process there is
        self.before: Counts = ()  # of those that died
        self.accepts = asyncio.Event()


class SmtpWorkers:
    """``taken`` is called when a worker has stored something to deliver."""

    def __init__(
        self, processes: WorkerProcesses, listener: Listener, settings: Settings, taken: Callable[[], None]
    ) -> None:
        self._listener = listener
        self._settings = settings
        self._taken = taken
        self._processes = processes
        count = settings.smtp.workers
        self._memory = SharedMemory.made(count)
        self._workers = [_Worker(number) for number in range(1, count + 1)]
        self._keeping: list[asyncio.Task[None]] = []
        self._stopping = False
        self._refused = ""

    async def start(self) -> None:
        """Start them all, and return when all take mail. Raises FaultError when one cannot."""
        self._keeping = [asyncio.create_task(self._keep(one)) for one in self._workers]
        accepting = [asyncio.create_task(one.accepts.wait()) for one in self._workers]
        try:
            done, waiting = await asyncio.wait(accepting, timeout=START_SECONDS)
        finally:
            for task in accepting:
                task.cancel()
        if self._refused:
            raise FaultError(self._refused)
        if waiting:
            raise FaultError(
                f"{len(waiting)} of {len(done) + len(waiting)} workers do not start; the log says more.",
                ExitCode.SOFTWARE,
            )

    def renew(self, settings: Settings) -> None:
        """Have them take new clients by these settings."""
        self._settings = settings
        for one in self._workers:
            if one.link is not None:
                one.link.say(Renew(settings))

    def counts(self) -> Counts:
        """What all of them have counted, the dead ones included."""
        return added(counts for one in self._workers for counts in (one.before, one.counts))

    async def stop(self, handshakes: float) -> None:
        """Let them drain and end; one that hangs is killed."""
        self._stopping = True
        for one in self._workers:
            if one.link is not None:
                one.link.say(Stop(handshakes))
        for task, one in zip(self._keeping, self._workers, strict=True):
            if one.process is None:
                task.cancel()  # it waits to start again
        _, late = await asyncio.wait(self._keeping, timeout=DRAIN_SECONDS) if self._keeping else ((), ())
        for one in self._workers if late else ():
            if one.process is not None:
                _log.error("worker does not end: killed", worker=one.number)
                one.process.kill()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        await self._processes.stop()
        self._memory.close()

    async def _keep(self, one: _Worker) -> None:
        """Start a worker, hear it to its end, and start the next one."""
        loop, pause = asyncio.get_running_loop(), 0.0
        while not self._stopping:
            begun = loop.time()
            try:
                code = await self._lived(one)
            except OSError as error:
                code = None
                _log.error("worker cannot be started", worker=one.number, cause=os.strerror(error.errno or 0))
            if self._stopping:
                return
            pause = next_pause(pause, loop.time() - begun)
            _log.error("worker ended: starting it again", worker=one.number, code=code, seconds=pause)
            await asyncio.sleep(pause)

    async def _lived(self, one: _Worker) -> int | None:
        """One worker's life; its exit code, negative for a signal, None when nobody knows it."""
        ours, theirs = socket.socketpair()
        with theirs:
            listening = [two.fileno() for two in self._listener.sockets]
            try:
                one.process = await self._processes.start(
                    [theirs.fileno(), self._memory.descriptor, *listening]
                )
            except OSError:
                ours.close()
                raise
        one.link = await Link.over(ours)
        one.link.say(Begin(self._settings, one.number, len(self._workers), self._listener.ours))
        if self._stopping:
            one.link.say(Stop(0.0))
        watching = asyncio.create_task(self._watch(one.number, one.process))
        try:
            await self._hear(one, one.link)
            # What has closed its link ends; where it does not, or nobody says so, the end is made below.
            with suppress(TimeoutError):
                return await asyncio.wait_for(one.process.wait(), END_SECONDS)
            return None
        finally:
            watching.cancel()
            await one.process.end()
            await one.link.close()
            one.process, one.link = None, None
            self._memory.clear(one.number - 1)
            one.before, one.counts = added((one.before, what_stays(one.counts))), ()

    async def _watch(self, number: int, process: WorkerProcess) -> None:
        """Kill a worker that lives and does nothing."""
        slot = self._memory.slot(number - 1)
        last, same = None, 0
        while same < LOOKS:
            await asyncio.sleep(HUNG_SECONDS / LOOKS)
            beat = slot.get(Field.BEAT)
            last, same = beat, same + 1 if beat == last else 0
        _log.error("worker hangs: killed", worker=number, pid=process.pid, seconds=HUNG_SECONDS)
        process.kill()

    async def _hear(self, one: _Worker, link: Link) -> None:
        while (message := await link.heard()) is not None:
            if isinstance(message, Told):
                one.counts = message.counts
            elif isinstance(message, Taken):
                self._taken()
            elif isinstance(message, Accepting):
                _log.info("worker accepts", worker=one.number, pid=one.process and one.process.pid)
                one.accepts.set()
            elif isinstance(message, Refused):
                _log.error("worker refuses its settings", worker=one.number, why=message.sentence)
                self._refused = message.sentence
                one.accepts.set()
