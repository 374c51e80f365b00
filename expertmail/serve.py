"""Gateway, delivery and console on the same record: one process, or one that starts workers to take the mail.

Start: everything that can refuse does so before the first client is let in. Reload: another generation beside the one
there is (``generation``). Stop: no new mail, what is in the middle of a transaction ends, deliveries under way end,
then the record is closed. Nothing is kept in memory that a restart would miss.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from expertmail import logs, service_manager
from expertmail.alerting import AlertKeeper, alert_rules_of
from expertmail.call_keeper import CallKeeper
from expertmail.channels import teller_of
from expertmail.chat_mail import ChatMailKeeper
from expertmail.console.api import ApiParts
from expertmail.console.api_notifications import Outgoing
from expertmail.console.app import Console, ConsoleParts
from expertmail.console.server import ConsoleServer, console_server, readiness
from expertmail.desk import now
from expertmail.faults import ExitCode, FaultError
from expertmail.garbage import spare_what_stays
from expertmail.generation import Duties, Generation, Lasting
from expertmail.held_time import retention_of
from expertmail.indexing import SearchIndexer
from expertmail.late_mail import LateMailKeeper, late_rules_of
from expertmail.metrics import Metrics
from expertmail.reload import ONLY_AT_THE_START, Generations, changed
from expertmail.reminding import ReminderKeeper, reminder_rules_of
from expertmail.retention import RetentionKeeper, watch_held
from expertmail.review_keeper import ReviewKeeper
from expertmail.smtp_workers import SmtpWorkers
from expertmail.watching import watch_process, watch_record
from expertmail.worker_processes import Forked, WorkerProcesses
from expertmail.world import World
from smtp_gateway import replies
from smtp_gateway.listener import Listener
from smtp_gateway.own_records import StoredRecords
from smtp_gateway.server import HANDSHAKE_SECONDS
from threads.retention import Retention
from threads.store.engine import Database
from threads.store.writer import Writer

_log = structlog.get_logger("expertmail")


@dataclass(frozen=True, slots=True)
class Sockets:
    """What was bound or handed over before privileges were dropped."""

    smtp: Listener
    console: socket.socket


@dataclass(frozen=True, slots=True)
class Start:
    """All that a start has opened. ``reread`` reads settings and files again; it raises FaultError.

    ``forked`` is what workers are forked from, where there are several.
    """

    world: World
    database: Database
    sockets: Sockets
    reread: Callable[[], World]
    forked: Forked | None = None


async def serve(start: Start, announce: Callable[[int, int], None]) -> None:
    """Run until SIGTERM or SIGINT. ``announce`` hears the SMTP and console ports once both listen.

    Raises FaultError when something cannot be started, or a part of it ends by itself.
    """
    stop, again = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, again.set)
    async with AsyncExitStack() as stack:
        # Left in the opposite order: the record is closed last.
        writer = Writer(start.database)
        stack.push_async_callback(asyncio.to_thread, writer.close)
        records = StoredRecords(start.database)
        stack.push_async_callback(asyncio.to_thread, records.close)
        service = await _Service.made(start, writer, records)
        try:
            spare_what_stays()
            await service.begin()
            announce(start.sockets.smtp.port, start.sockets.console.getsockname()[1])
            service_manager.notify(service_manager.READY)
            while not await service.ended(stop, again):
                again.clear()
                service_manager.notify(*service_manager.reloading(time.monotonic()))
                await service.reload()
                service_manager.notify(service_manager.READY)
        finally:
            service_manager.notify(service_manager.STOPPING)
            _log.info("stopping")
            await service.stop()
    _log.info("stopped")


class Keeper(Protocol):
    """Work of the server that goes on beside the mail."""

    async def run(self) -> None:
        """Work until stopped."""

    def stop(self) -> None:
        """Begin nothing new; ``run`` returns when what is under way is done."""


class _Service:
    """The parts that run, and how they are replaced."""

    def __init__(self, start: Start, lasting: Lasting, duties: Duties, first: Generation) -> None:
        self._start = start
        self._lasting = lasting
        self._duties = duties
        self._generations = Generations(first)
        self._listener = start.sockets.smtp
        self._workers: SmtpWorkers | None = None
        settings = first.world.settings
        if duties.listener is None:
            processes = WorkerProcesses(start.forked)
            self._workers = SmtpWorkers(processes, self._listener, settings, self.wake)
            lasting.metrics.add_others(self._workers.counts)
        self._ready = readiness(
            self._listener.host,
            self._listener.port,
            lasting.writer,
            self._is_proxy,
        )
        self._console = Console(self._console_parts())
        self._web: ConsoleServer = console_server(self._console)
        self._showing: asyncio.Task[None] | None = None
        self._keepers = self._made_keepers()
        self._keeping: asyncio.Future[list[None]] | None = None
        watch_record(lasting.metrics, lasting.database)
        watch_held(lasting.metrics, lasting.database, self._retention_in_force, now)
        watch_process(lasting.metrics, lasting.writer, self._generations.asked)

    def _made_keepers(self) -> tuple[Keeper, ...]:
        """All that works beside the mail, by what is in force at each of its rounds."""
        database, writer = self._lasting.database, self._lasting.writer

        def in_force() -> World:
            return self._generations.current.world

        return (
            RetentionKeeper(
                database, writer, self._lasting.metrics, retention=self._retention_in_force, clock=now
            ),
            SearchIndexer(database),
            AlertKeeper(
                database,
                writer,
                rules=lambda: alert_rules_of(in_force().settings),
                clock=now,
                ordered=self.wake,
            ),
            ReminderKeeper(
                database,
                writer,
                rules=lambda: reminder_rules_of(in_force().settings),
                clock=now,
                ordered=self.wake,
            ),
            CallKeeper(database, writer, clock=now),
            LateMailKeeper(database, writer, rules=lambda: late_rules_of(in_force().settings), clock=now),
            ChatMailKeeper(database, writer, outgoing=self._outgoing, clock=now),
            ReviewKeeper(database, outgoing=self._outgoing, clock=now),
            teller_of(in_force, database, writer, self._lasting.metrics, now),
        )

    @classmethod
    async def made(cls, start: Start, writer: Writer, records: StoredRecords) -> _Service:
        alone = start.world.settings.smtp.workers == 1
        made: list[_Service] = []

        def wake() -> None:  # what was taken may have ordered an acknowledgement
            made[0].wake()

        lasting = Lasting(start.database, records, writer, Metrics(), wake)
        duties = Duties(start.sockets.smtp if alone else None, delivers=True)
        first = await Generation.made(start.world, lasting, duties)
        made.append(cls(start, lasting, duties, first))
        return made[0]

    def wake(self) -> None:
        self._generations.current.wake()

    async def begin(self) -> None:
        await self._generations.current.start()
        if self._workers is not None:
            await self._workers.start()
        self._showing = asyncio.create_task(self._web.serve([self._start.sockets.console]))
        self._keeping = asyncio.gather(*(one.run() for one in self._keepers))

    async def ended(self, stop: asyncio.Event, again: asyncio.Event) -> bool:
        """Wait for a signal; whether it is the end. A part that ends before ends everything: half a gateway helps nobody."""
        parts = {"delivery": self._generations.current.delivering, "console": self._showing}
        signals = [asyncio.create_task(event.wait()) for event in (stop, again)]
        running = [task for task in parts.values() if task is not None]
        try:
            await asyncio.wait((*signals, *running), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for asked in signals:
                asked.cancel()
        for name, task in parts.items():
            if task is not None and task.done() and not stop.is_set():
                fault = None if task.cancelled() else task.exception()
                _log.error("part ended", part=name, fault=type(fault).__name__)
                raise FaultError(
                    f"The {name} ended by itself; the log says more. Start again.", ExitCode.SOFTWARE
                )
        return stop.is_set()

    async def reload(self) -> None:
        """Read everything anew. A fault leaves all as it is, and is told."""
        old = self._generations.current.world.settings
        try:
            world = await asyncio.to_thread(self._start.reread)
            await self._generations.replace(await Generation.made(world, self._lasting, self._duties))
        except FaultError as fault:
            _log.error("not reloaded: the old settings stay", why=fault.sentence)
            return
        except Exception:  # noqa: BLE001 - no descriptor left, a fault of ours: mail goes on as before, and it is told
            _log.exception("not reloaded: the old settings stay", why="a fault that was not foreseen")
            return
        for name in changed(old, world.settings, ONLY_AT_THE_START):
            _log.warning("changes only with a restart", setting=name)
        logs.configure(world.settings.log)
        self._console.replace(self._console_parts())
        if self._workers is not None:
            self._workers.renew(world.settings)
        _log.info("reloaded")

    async def stop(self) -> None:
        """Drain what takes mail; the console shows health until that is done."""
        for one in self._keepers:
            one.stop()
        try:
            self._listener.close_to_new()
            if self._workers is not None:
                await self._workers.stop(HANDSHAKE_SECONDS)
            await self._generations.stop(HANDSHAKE_SECONDS)
            self._listener.turn_away(replies.SHUTTING_DOWN.line())
            self._listener.close()
            if self._keeping is not None:
                await self._keeping
        finally:
            self._console.stop()
            self._web.should_exit = True
            if self._showing is not None:
                await asyncio.gather(self._showing, return_exceptions=True)

    def _retention_in_force(self) -> Retention:
        return retention_of(self._generations.current.world.settings)

    def _is_proxy(self, address: str) -> bool:
        return self._generations.current.values.is_proxy(address)

    def _outgoing(self) -> Outgoing:
        generation = self._generations.current
        return Outgoing(generation.world, generation.judging.check, self.wake)

    def _console_parts(self) -> ConsoleParts:
        generation, lasting = self._generations.current, self._lasting
        return ConsoleParts(
            partial(generation.judging.judge.saved, records=lasting.records),
            self._ready,
            lasting.metrics,
            generation.world.settings.console.max_verify_bytes,
            ApiParts(lasting.database, self._outgoing(), now),
            partial(generation.judging.judge.whole, records=lasting.records),
            partial(os.kill, os.getpid(), signal.SIGHUP),  # one way to a reload, whoever asks for it
        )
