"""One process, one event loop: gateway, delivery and console on the same record.

Start: everything that can refuse does so before the first client is let in. Stop: no new mail, what is in the
middle of a transaction ends, deliveries under way end, then the record is closed. Nothing is kept in memory
that a restart would miss.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

import structlog

from expertmail.console.app import ConsoleParts
from expertmail.console.server import console_server, listening, readiness
from expertmail.desk import now
from expertmail.dmarc_mode import suffixes_for
from expertmail.faults import ExitCode, FaultError
from expertmail.gateway import gateway_settings, mailboxes
from expertmail.metrics import Metrics
from expertmail.post_room import (
    budget_of,
    caps_of,
    judging_set,
    office_of,
    signer_of,
    transport_of,
)
from expertmail.relaying import check_of, relay_of, relay_transport_of
from expertmail.watching import GatewayWatch, TimedWriter, tell_worker_event, watch_queues
from expertmail.world import World
from outbound.worker import OutboundWorker
from smtp_gateway.intake import MailIntake
from smtp_gateway.own_records import StoredRecords
from smtp_gateway.server import GatewayServer, ListenError
from threads.store.engine import Database
from threads.store.writer import Writer

_log = structlog.get_logger("expertmail")


async def serve(world: World, database: Database, announce: Callable[[int, int], None]) -> None:
    """Run until SIGTERM or SIGINT. ``announce`` hears the SMTP and console ports once both listen.

    Raises FaultError when something cannot be started, or a part of it ends by itself.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    settings, metrics = world.settings, Metrics()
    gateway_values = gateway_settings(world)
    async with AsyncExitStack() as stack:
        # Left in the opposite order: the record is closed last.
        console_socket = stack.enter_context(listening(settings.console.host, settings.console.port))
        writer = Writer(database)
        stack.push_async_callback(asyncio.to_thread, writer.close)
        records = StoredRecords(database)
        stack.push_async_callback(asyncio.to_thread, records.close)
        judging = await stack.enter_async_context(judging_set(world, now))
        worker = OutboundWorker(
            writer=writer,
            database=database,
            office=office_of(world),
            transport=relay_transport_of(world, transport_of(world, judging.resolver)),
            signer=signer_of(world),
            check=judging.check,
            clock=now,
            observe=tell_worker_event,
        )
        # What was taken may have ordered an acknowledgement.
        observer = GatewayWatch(metrics, worker.wake)
        check = check_of(world)
        intake = MailIntake(
            settings=gateway_values,
            identities=world.identities,
            own_domains=frozenset((*settings.mail.domains, settings.mail.reply_domain)),
            resolver=judging.resolver,
            opinion=judging.opinion,
            writer=TimedWriter(writer, metrics),
            observer=observer,
            budget=budget_of(settings),
            caps=caps_of(settings),
            suffixes=suffixes_for(settings.verifier.dmarc_mode),
            records=records,
            relay=relay_of(world, writer, worker.wake, check),
        )
        stack.push_async_callback(asyncio.to_thread, intake.close)
        gateway = GatewayServer(gateway_values, mailboxes(world), intake.take, now, observer, check=check)
        watch_queues(metrics, database, writer, judging.resolver)
        console = console_server(
            ConsoleParts(
                partial(judging.judge.saved, records=records),
                readiness(gateway, writer),
                metrics,
                settings.console.max_verify_bytes,
            )
        )
        try:
            await gateway.start()
        except ListenError as error:
            raise FaultError(f"{str(error).rstrip('.')} (smtp.port).") from error
        # For a fault before the parts run; a second stop does nothing.
        stack.push_async_callback(gateway.stop)
        parts = {
            "delivery": asyncio.create_task(worker.run()),
            "console": asyncio.create_task(console.serve([console_socket])),
        }
        announce(gateway.port, console_socket.getsockname()[1])
        try:
            await _until_stopped(parts, stop)
        finally:
            _log.info("stopping")
            try:
                await gateway.stop()
            finally:
                worker.stop()
                console.should_exit = True
                await asyncio.gather(*parts.values(), return_exceptions=True)
    _log.info("stopped")


async def _until_stopped(parts: dict[str, asyncio.Task[None]], stop: asyncio.Event) -> None:
    """Wait for the signal; a part that ends before it ends everything, for a half gateway helps nobody."""
    asked = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({asked, *parts.values()}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
    for name, task in parts.items():
        if task.done() and not stop.is_set():
            fault = None if task.cancelled() else task.exception()
            _log.error("part ended", part=name, fault=type(fault).__name__)
            raise FaultError(
                f"The {name} ended by itself; the log says more. Start again.", ExitCode.SOFTWARE
            )
