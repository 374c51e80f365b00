"""What one reading of the settings makes: what judges, what takes mail, what delivers.

A process that reads its settings anew makes another generation beside the one there is, on the same sockets and the
same record. The old one takes no more clients, serves those it has to their end with the settings they began with,
and is gone. So nothing is ever half old and half new.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from expertmail.desk import now
from expertmail.dmarc_mode import suffixes_for
from expertmail.faults import FaultError
from expertmail.gateway import gateway_settings, mailboxes
from expertmail.metrics import Metrics
from expertmail.post_room import (
    JudgingSet,
    budget_of,
    caps_of,
    judging_set,
    office_of,
    pace_of,
    signer_of,
    terms_of,
    transport_of,
)
from expertmail.relaying import check_of, relay_of, relay_transport_of
from expertmail.watching import GatewayWatch, TimedWriter, tell_worker_event
from expertmail.world import World
from outbound.worker import OutboundWorker
from smtp_gateway.gateway_settings import GatewaySettings
from smtp_gateway.intake import MailIntake
from smtp_gateway.listener import Listener, ListenError
from smtp_gateway.own_records import StoredRecords
from smtp_gateway.recipient_check import RecipientCheck
from smtp_gateway.server import GatewayServer
from smtp_gateway.shared_memory import Slot
from threads.store.engine import Database
from threads.store.writer import Writer

CONSOLE_SECONDS: Final = 120.0
"""How long what judges outlives its generation, for HTTP requests that were under way: a body has one minute to come
in, and judging it one more."""


@dataclass(frozen=True, slots=True)
class Lasting:
    """What a change of settings does not touch. ``taken`` is called for mail that there is something to deliver for."""

    database: Database
    records: StoredRecords
    writer: Writer
    metrics: Metrics
    taken: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Duties:
    """What this process does: take mail from ``listener`` (``among``: its place, where several processes do), deliver."""

    listener: Listener | None
    delivers: bool
    among: Slot | None = None


class Generation:
    """Make it with ``made``, ``start`` it, and end it with ``retire`` or ``stop``."""

    def __init__(
        self,
        world: World,
        *,
        values: GatewaySettings,
        judging: JudgingSet,
        gateway: GatewayServer | None,
        delivery: OutboundWorker | None,
        stack: AsyncExitStack,
    ) -> None:
        """``stack`` holds what ends with it."""
        self.world = world
        self.values = values
        self.judging = judging
        self._gateway = gateway
        self._delivery = delivery
        self._stack = stack
        self.delivering: asyncio.Task[None] | None = None
        self._retiring: asyncio.Task[None] | None = None
        self._ending = asyncio.Event()

    @classmethod
    async def made(cls, world: World, lasting: Lasting, duties: Duties) -> Generation:
        """Everything that can refuse does so here, and then nothing is left behind. Raises FaultError."""
        # Read by every process, so that one that only delivers still tells of a bad certificate.
        values, boxes = gateway_settings(world), mailboxes(world)
        async with AsyncExitStack() as stack:
            judging = await stack.enter_async_context(judging_set(world, now))
            delivery = _delivery(world, lasting, judging) if duties.delivers else None
            gateway = None
            if duties.listener is not None:
                observer = GatewayWatch(lasting.metrics, lasting.taken)
                check = check_of(world)
                intake = _intake(values, world, lasting, judging, observer=observer, check=check)
                stack.push_async_callback(asyncio.to_thread, intake.close)
                listener = duties.listener.copy()
                stack.callback(listener.close)
                gateway = GatewayServer(
                    values,
                    boxes,
                    intake.take,
                    now,
                    observer,
                    listener=listener,
                    check=check,
                    among=duties.among,
                )
            return cls(
                world,
                values=values,
                judging=judging,
                gateway=gateway,
                delivery=delivery,
                stack=stack.pop_all(),
            )

    async def start(self) -> None:
        """Take mail and deliver from now on. Raises FaultError when nobody can listen."""
        if self._gateway is not None:
            try:
                await self._gateway.start()
            except ListenError as error:
                await self._stack.aclose()
                raise FaultError(f"{str(error).rstrip('.')} (smtp.port).") from error
        if self._delivery is not None:
            self.delivering = asyncio.create_task(self._delivery.run())

    def wake(self) -> None:
        """Something was ordered or queued."""
        if self._delivery is not None:
            self._delivery.wake()

    def retire(self) -> asyncio.Task[None]:
        """Let a newer generation have what comes from now on, and end by itself; the task that does so."""
        self._retiring = asyncio.create_task(self._retire())
        return self._retiring

    async def stop(self, handshakes: float = 0.0) -> None:
        """Drain and end; see ``GatewayServer.stop``. One that retires is hurried."""
        self._ending.set()
        if self._gateway is not None:
            await self._gateway.stop(handshakes)
        await self._end_delivery()
        if self._retiring is not None:
            await self._retiring
        else:
            await self._stack.aclose()

    async def _retire(self) -> None:
        # At once: a client that stays must not let mail go out by keys, authorities or TLS rules of before.
        if self._delivery is not None:
            self._delivery.retire()
        if self._gateway is not None:
            await self._gateway.retire()
        if self.delivering is not None:
            await asyncio.gather(self.delivering, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(CONSOLE_SECONDS):
                await self._ending.wait()
        await self._stack.aclose()

    async def _end_delivery(self) -> None:
        if self._delivery is not None and self.delivering is not None:
            self._delivery.stop()
            await asyncio.gather(self.delivering, return_exceptions=True)


def _delivery(world: World, lasting: Lasting, judging: JudgingSet) -> OutboundWorker:
    return OutboundWorker(
        writer=lasting.writer,
        database=lasting.database,
        office=office_of(world),
        transport=relay_transport_of(world, transport_of(world, judging.resolver)),
        signer=signer_of(world),
        check=judging.check,
        clock=now,
        observe=tell_worker_event,
        terms=terms_of(world.settings),
        concurrent=world.settings.delivery.concurrency,
        limits=pace_of(world.settings),
        caps=caps_of(world.settings),
        give_up=timedelta(hours=world.settings.delivery.give_up_hours),
    )


def _intake(
    values: GatewaySettings,
    world: World,
    lasting: Lasting,
    judging: JudgingSet,
    *,
    observer: GatewayWatch,
    check: RecipientCheck | None,
) -> MailIntake:
    settings = world.settings
    return MailIntake(
        settings=values,
        identities=world.identities,
        own_domains=frozenset((*settings.mail.domains, settings.mail.reply_domain)),
        resolver=judging.resolver,
        opinion=judging.opinion,
        writer=TimedWriter(lasting.writer, lasting.metrics),
        observer=observer,
        budget=budget_of(settings),
        caps=caps_of(settings),
        suffixes=suffixes_for(settings.verifier.dmarc_mode),
        records=lasting.records,
        relay=relay_of(world, lasting.writer, lasting.taken, check),
        other_way=settings.mail.submission_channel is not None,
    )
