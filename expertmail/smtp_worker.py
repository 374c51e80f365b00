"""A process that takes mail, told what to do by ``expertmail.smtp_workers``; forked from one that runs this module, too.

It obeys its link alone: a signal for the whole group reaches the process that started it, which tells it to drain.
When that process is gone, so is what delivers mail and shows health: the worker drains, too, and ends.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import sys
from contextlib import AsyncExitStack, suppress
from typing import Final, NoReturn

import structlog

from expertmail import logs
from expertmail.desk import opened
from expertmail.faults import FaultError
from expertmail.fork_server import ForkServer
from expertmail.freed_memory import keep_what_is_freed
from expertmail.garbage import spare_what_stays
from expertmail.generation import Duties, Generation, Lasting
from expertmail.metrics import Metrics
from expertmail.reload import Generations
from expertmail.settings import Settings
from expertmail.watching import watch_process
from expertmail.worker_link import Accepting, Begin, Link, Refused, Renew, Stop, Taken, Told
from expertmail.world import open_world
from smtp_gateway.listener import Listener
from smtp_gateway.own_records import StoredRecords
from smtp_gateway.shared_memory import Field, SharedMemory, Slot
from threads.store.writer import Writer

TELL_SECONDS: Final = 1.0
"""Between two reports of what was counted: Prometheus asks every 15 seconds or more."""
BEAT_SECONDS: Final = 1.0
"""Between two signs of life: many of them before somebody thinks that this process hangs."""
WAKE_SECONDS: Final = 0.02
"""Orders of answers within this wake the delivery once."""

_PR_SET_NAME: Final = 15
"""Of Linux' prctl."""

_log = structlog.get_logger("expertmail")


class SmtpWorker:
    """One worker at work."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._metrics = Metrics()
        self._waking: asyncio.TimerHandle | None = None

    async def run(self, memory: int, listening: tuple[int, ...]) -> None:
        """Take mail until told to stop, or until nobody is there to tell; ``memory`` and ``listening`` are descriptors."""
        begin = await self._link.heard()
        if not isinstance(begin, Begin):
            return
        logs.configure(begin.settings.log)
        structlog.contextvars.bind_contextvars(worker=begin.number)
        slot = SharedMemory(memory, begin.workers).slot(begin.number - 1)
        beating = asyncio.create_task(_beat(slot))
        try:
            await self._work(begin, slot, Listener.inherited(listening, ours=begin.ours))
        except FaultError as fault:
            self._link.say(Refused(fault.sentence))
        finally:
            beating.cancel()

    async def _work(self, begin: Begin, slot: Slot, listener: Listener) -> None:
        async with AsyncExitStack() as stack:
            database = stack.enter_context(opened(begin.settings))
            writer = Writer(database)
            stack.push_async_callback(asyncio.to_thread, writer.close)
            records = StoredRecords(database)
            stack.push_async_callback(asyncio.to_thread, records.close)
            lasting = Lasting(database, records, writer, self._metrics, self._taken)
            duties = Duties(listener, delivers=False, among=slot)
            generations = Generations(await _generation(begin.settings, lasting, duties))
            watch_process(self._metrics, writer, generations.asked)
            spare_what_stays()
            await generations.current.start()
            slot.put(Field.TAKES, 1)
            self._link.say(Accepting())
            telling = asyncio.create_task(self._tell())
            handshakes = 0.0
            try:
                while (message := await self._link.heard()) is not None:
                    if isinstance(message, Renew):
                        await self._renew(message.settings, generations, lasting, duties)
                    elif isinstance(message, Stop):
                        handshakes = message.handshakes
                        break
                else:
                    _log.error("the process that started this worker is gone: draining")
            finally:
                slot.put(Field.TAKES, 0)
                listener.close()
                await generations.stop(handshakes)
                telling.cancel()
            self._link.say(Told(self._metrics.counts()))

    async def _renew(
        self, settings: Settings, generations: Generations, lasting: Lasting, duties: Duties
    ) -> None:
        try:
            await generations.replace(await _generation(settings, lasting, duties))
        except FaultError as fault:
            self._link.say(Refused(fault.sentence))
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, mail goes on as before, and it is told
            _log.exception("fault", exc_info=error)
            self._link.say(
                Refused(f"This is a fault of expertmail ({type(error).__name__}); the log says more.")
            )
            return
        logs.configure(settings.log)
        self._link.say(Accepting())

    def _taken(self) -> None:
        if self._waking is None:
            self._waking = asyncio.get_running_loop().call_later(WAKE_SECONDS, self._wake)

    def _wake(self) -> None:
        self._waking = None
        self._link.say(Taken())

    async def _tell(self) -> None:
        last = None
        while True:
            counts = self._metrics.counts()
            if counts != last:
                self._link.say(Told(counts))
                last = counts
            await asyncio.sleep(TELL_SECONDS)


async def _generation(settings: Settings, lasting: Lasting, duties: Duties) -> Generation:
    return await Generation.made(open_world(settings), lasting, duties)


async def _beat(slot: Slot) -> None:
    while True:
        slot.beat()
        await asyncio.sleep(BEAT_SECONDS)


async def _main(link: int, memory: int, listening: tuple[int, ...]) -> None:
    end = await Link.over(socket.socket(fileno=link))
    try:
        await SmtpWorker(end).run(memory, listening)
    finally:
        await end.close()


def live(control: socket.socket) -> NoReturn:
    """Be the server that workers are forked from, and then, in each forked process, that worker; end with the process."""
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _be_called("expertmail-fork")
        given = ForkServer(control).run()
        if given is not None:
            _be_called("expertmail-smtp")
            keep_what_is_freed()
            link, memory, *listening = given
            asyncio.run(_main(link, memory, tuple(listening)))
        code = 0
    except Exception:  # noqa: BLE001 - the process ends here, and says of what
        _log.exception("fault")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # what the process it was forked from would do at its end is not to be done here


def _be_called(name: str) -> None:
    """What the system's lists of processes show; at most 15 octets. Who gave root up may not write it to /proc/self/comm."""
    with suppress(OSError, AttributeError):  # elsewhere than on Linux it keeps its name
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode("ascii"), 0, 0, 0)


if __name__ == "__main__":
    live(socket.socket(fileno=int(sys.argv[1])))
