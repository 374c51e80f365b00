"""The loop that composes what was ordered and delivers what is due.

Everything it does is a step that may be cut off: an order or a delivery is leased, worked on, and closed in
one transaction. What a crash leaves behind is leased again when its lease has run out, with the same key or
the same bytes. No row stops another: one that cannot be read is refused or set aside, and told. See ``outbound.store`` for the one window in which a mail can arrive twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from outbound.approval import OWN_WORD, Terms
from outbound.code_orders import codes_asked
from outbound.compose import Office, compose_automatic, stamp
from outbound.delivery import ATTEMPT_SECONDS, Handover, Transport
from outbound.dispatch import SelfChecker, Signer, prepare
from outbound.errors import ComposeError, SigningError
from outbound.model import (
    Attempt,
    AutomaticCaps,
    Delivery,
    DeliveryState,
    Failure,
    LeasedOrder,
    OrderState,
    Protection,
    Reply,
    TlsLevel,
    Unreadable,
)
from outbound.orders import OrderError
from outbound.pace import Pace, PaceLimits, pace_key
from outbound.retry import MAX_AGE, decide
from outbound.store import (
    WHY,
    close_order,
    close_suppressed,
    lease_due,
    next_orders,
    queue_ordered,
    record_attempt,
    record_check,
    release,
    set_aside,
    work_waits,
)
from outbound.store.approvals import hold_unapproved
from outbound.store.codes import answer_codes
from outbound.store.reminders import withdraw_needless
from threads.model import Contact, Thread
from threads.store import Connection
from threads.store.circumstances import untrusted_recipient
from threads.store.engine import Database
from threads.store.errors import StorageFull, StoreError, StoreUnavailable, UnknownRecord
from threads.store.people import contact
from threads.store.thread import thread_by_id
from threads.store.writer import Writer

# Deliveries at one time, unless the settings say otherwise: a slow server holds one of them and not the others.
CONCURRENT = 50
# Mails that are leased in one transaction. A try begins with its lease, or the lease goes back at once.
LEASE_BATCH = 100
# Tries that end together are followed by one look for more work and not by one each.
GATHER_SECONDS = 0.01
# Orders composed in one round.
ORDERS = 20
# An order whose composing fails for a reason that we do not know is tried again, at the end of its lease, until
# it is so old: an acknowledgement after a day helps nobody.
ORDER_AGE = timedelta(hours=24)
# Another process (a command, another node) may queue mail without waking us.
POLL_SECONDS = 2.0
# How long a stop waits for tries that are under way; one that retires waits for all, for each has an end of its own.
GRACE_SECONDS = 10.0


class EventKind(StrEnum):
    """What the worker tells its observer."""

    COMPOSED = "composed"
    REFUSED = "refused"
    WITHHELD = "withheld"
    UNREADABLE = "unreadable"
    SUPPRESSED = "suppressed"
    UNAPPROVED = "unapproved"
    WITHDRAWN = "withdrawn"
    ATTEMPTED = "attempted"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class WorkerEvent:
    """One step, for the log and the metrics. ``detail`` is one line; it holds no text of a mail."""

    kind: EventKind
    outgoing_id: int | None
    rcpt_to: str
    state: DeliveryState | None
    detail: str


def _ignore(_event: WorkerEvent) -> None:
    """Observe nothing."""


class OutboundWorker:
    """Run it as one task; ``wake`` it when something was ordered or queued; ``stop`` it and await ``run``."""

    def __init__(
        self,
        *,
        writer: Writer,
        database: Database,
        office: Office,
        transport: Transport,
        signer: Signer,
        check: SelfChecker,
        clock: Callable[[], datetime],
        observe: Callable[[WorkerEvent], None] = _ignore,
        owner: str | None = None,
        terms: Terms = OWN_WORD,
        concurrent: int = CONCURRENT,
        limits: PaceLimits = PaceLimits(),  # noqa: B008 -- frozen
        caps: AutomaticCaps = AutomaticCaps(),  # noqa: B008 -- frozen
        give_up: timedelta = MAX_AGE,
        jitter: Callable[[], float] = random.random,
        token: Callable[[], str] = lambda: secrets.token_hex(13),
    ) -> None:
        self._writer = writer
        self._database = database
        self._office = office
        self._transport = transport
        self._signer = signer
        self._check = check
        self._clock = clock
        self._observe = observe
        self._terms = terms
        self._owner = owner or secrets.token_hex(8)
        self._concurrent = concurrent
        self._pace = Pace(limits)
        self._caps = caps
        self._give_up = give_up
        self._jitter = jitter
        self._token = token
        self._woken = asyncio.Event()
        self._stopping = False
        self._hurried = asyncio.Event()
        self._hurried.set()
        self._running: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Look for work now; callable from the event loop's thread only."""
        self._woken.set()

    def stop(self) -> None:
        """Begin no new work; ``run`` returns when what is under way has ended or its grace is over."""
        self._stopping = True
        self._hurried.set()
        self._woken.set()

    def retire(self) -> None:
        """Begin no new work, which is another worker's from now on; ``run`` returns when each try has ended by itself.

        A try that is cut off may have delivered its mail: nobody would know. ``stop`` hurries it all the same.
        """
        self._stopping = True
        self._hurried.clear()
        self._woken.set()

    async def run(self) -> None:
        """Work until stopped. A database that cannot be had is waited for."""
        try:
            while not self._stopping:
                self._woken.clear()
                try:
                    if await asyncio.to_thread(self._work_waits):
                        await self._compose_orders()
                        await self._begin_deliveries()
                except StoreError as error:
                    self._tell(EventKind.FAULT, detail=str(error))
                except Exception as error:  # noqa: BLE001 -- delivery goes on at the next look; it is told
                    self._tell(EventKind.FAULT, detail=type(error).__name__)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), POLL_SECONDS)
                if self._running and not self._stopping:
                    await asyncio.sleep(GATHER_SECONDS)
        finally:
            await self._wind_down()

    def _work_waits(self) -> bool:
        with self._database.reading() as conn:
            return work_waits(conn, self._clock())

    async def _compose_orders(self) -> None:
        now = self._clock()
        for leased in await self._writer.submit(lambda conn: next_orders(conn, now, self._owner, ORDERS)):
            try:
                await self._compose_one(leased)
            except Exception as error:  # noqa: BLE001 -- not even a refusal that fails may stop the others
                number = leased.number if isinstance(leased, Unreadable) else leased.order_id
                self._tell(EventKind.FAULT, detail=f"order {number}: {type(error).__name__}")

    async def _compose_one(self, leased: LeasedOrder | Unreadable) -> None:
        if isinstance(leased, Unreadable):
            await self._refuse(leased.number, "", leased.reason)
            return
        try:
            await self._compose(leased)
        except (ComposeError, OrderError, SigningError, UnknownRecord) as error:
            await self._refuse(leased.order_id, leased.order.address, str(error))
        except (StorageFull, StoreUnavailable) as error:
            self._tell(EventKind.FAULT, rcpt_to=leased.order.address, detail=str(error))
        except Exception as error:  # noqa: BLE001 -- one broken order must not stop all others; it is told
            self._tell(EventKind.FAULT, rcpt_to=leased.order.address, detail=type(error).__name__)
            if self._clock() - leased.order.ordered_at >= ORDER_AGE:
                reason = f"composing it failed: {type(error).__name__}"
                await self._refuse(leased.order_id, leased.order.address, reason)

    async def _compose(self, leased: LeasedOrder) -> None:
        order, now = leased.order, self._clock()
        if asked := codes_asked(order):
            await self._answer_codes(leased, asked, now)
            return
        thread, to = await asyncio.to_thread(self._parties, leased)
        mail = compose_automatic(
            order,
            office=self._office,
            thread=thread,
            contact=to,
            one=stamp(self._token(), self._signer.sender.domain, now),
        )
        ready = await prepare(mail, self._signer, self._check, now)
        queued = await self._writer.submit(
            lambda conn: queue_ordered(
                conn, leased, ready.signed, checked=ready.checked, now=now, terms=self._terms
            ),
            size_hint=len(ready.signed.raw),
        )
        if not ready.checked.withheld:
            self._tell(
                EventKind.COMPOSED, queued.outgoing_id, mail.rcpt_to, DeliveryState.QUEUED, order.kind.value
            )
        else:
            self._tell(
                EventKind.WITHHELD,
                queued.outgoing_id,
                mail.rcpt_to,
                DeliveryState.WITHHELD,
                ready.checked.reason,
            )

    async def _answer_codes(self, leased: LeasedOrder, asked: tuple[str, ...], now: datetime) -> None:
        if self._office.codes is None:
            raise ComposeError("There is no secret to find codes by.")
        keys = [self._office.codes.keys_of(code) for code in asked]
        if await self._writer.submit(lambda conn: answer_codes(conn, leased, keys, now, self._caps)):
            self.wake()

    def _parties(self, leased: LeasedOrder) -> tuple[Thread | None, Contact | None]:
        order = leased.order
        with self._database.reading() as conn:
            if untrusted_recipient(conn, order.address, order.contact_id) is not None:
                raise ComposeError(f"{WHY}.")
            return (
                None if order.thread_id is None else thread_by_id(conn, order.thread_id),
                None if order.contact_id is None else contact(conn, order.contact_id),
            )

    async def _refuse(self, order_id: int, address: str, reason: str) -> None:
        await self._writer.submit(lambda conn: close_order(conn, order_id, OrderState.REFUSED, reason=reason))
        self._tell(EventKind.REFUSED, rcpt_to=address, detail=f"order {order_id}: {reason}")

    async def _begin_deliveries(self) -> None:
        free = min(self._concurrent - len(self._running), LEASE_BATCH)
        if free <= 0 or self._stopping:
            return
        now = self._clock()
        due = await self._writer.submit(
            lambda conn: lease_due(conn, now, self._owner, free, self._office.disclosure)
        )
        if self._stopping and due:
            ids = [one.number if isinstance(one, Unreadable) else one.outgoing_id for one in due]
            await self._writer.submit(lambda conn: release(conn, ids, self._owner, now))
            return
        held: dict[datetime, list[int]] = {}
        for delivery in due:
            if isinstance(delivery, Unreadable):
                self._begin(delivery, None)
                continue
            domain = pace_key(delivery)
            again = self._pace.begin(domain, now)
            if again is None:
                self._begin(delivery, domain)
            else:
                held.setdefault(again, []).append(delivery.outgoing_id)
        if held:
            await self._writer.submit(lambda conn: self._hold(conn, held, now))
        if len(due) == free:
            self._woken.set()  # there may be more, for other domains

    def _hold(self, conn: Connection, held: dict[datetime, list[int]], now: datetime) -> None:
        """Let mails wait for their domain's turn, behind the others that are due."""
        for until, ids in held.items():
            release(conn, ids, self._owner, now, until)

    def _begin(self, leased: Delivery | Unreadable, domain: str | None) -> None:
        task = asyncio.create_task(self._guarded(leased, domain))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._woken.set()

    async def _guarded(self, leased: Delivery | Unreadable, domain: str | None) -> None:
        if isinstance(leased, Unreadable):
            number, rcpt_to, work = leased.number, "", self._set_aside(leased)
        else:
            number, rcpt_to, work = leased.outgoing_id, leased.rcpt_to, self._one_try(leased)
        try:
            await work
        except StoreError as error:
            # The lease runs out and the mail is tried again.
            self._tell(EventKind.FAULT, number, rcpt_to, detail=str(error))
        except Exception as error:  # noqa: BLE001 -- one broken mail must not stop all others; it is told
            self._tell(EventKind.FAULT, number, rcpt_to, detail=type(error).__name__)
        finally:
            if domain is not None:
                self._pace.end(domain)

    async def _set_aside(self, mail: Unreadable) -> None:
        now = self._clock()
        await self._writer.submit(lambda conn: set_aside(conn, mail, now))
        self._tell(EventKind.UNREADABLE, mail.number, "", DeliveryState.UNREADABLE, mail.reason)

    async def _one_try(self, delivery: Delivery) -> None:
        """Judge and deliver one mail. A fault that we do not know is a failed try, so that it ends one day."""
        started = self._clock()
        try:
            if delivery.suppressed:
                await self._suppress(delivery)
            elif delivery.unapproved:
                await self._hold_unapproved(delivery)
            elif await self._cleared(delivery) and await self._needed(delivery):
                await self._deliver(delivery, started)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 -- one broken mail must not stop all others; it is told
            name = type(error).__name__
            self._tell(EventKind.FAULT, delivery.outgoing_id, delivery.rcpt_to, detail=name)
            fault = Handover("", Reply(0, f"a fault of ours: {name}"), Failure.LOCAL, in_doubt=True)
            await self._record(delivery, started, fault)

    async def _suppress(self, delivery: Delivery) -> None:
        now = self._clock()
        await self._writer.submit(lambda conn: close_suppressed(conn, delivery.outgoing_id, now))
        self._tell(EventKind.SUPPRESSED, delivery.outgoing_id, delivery.rcpt_to, DeliveryState.SUPPRESSED, "")

    async def _hold_unapproved(self, delivery: Delivery) -> None:
        number, why, now = delivery.outgoing_id, delivery.unapproved, self._clock()
        await self._writer.submit(lambda conn: hold_unapproved(conn, number, why, now))
        self._tell(EventKind.UNAPPROVED, number, delivery.rcpt_to, DeliveryState.AWAITING_APPROVAL, why)

    async def _cleared(self, delivery: Delivery) -> bool:
        """Whether our own verifier calls the mail genuine; judged here unless it was before."""
        if delivery.checked:
            return True
        checked, now = await self._check(delivery.raw), self._clock()
        stands = await self._writer.submit(
            lambda conn: record_check(conn, delivery.outgoing_id, checked, now)
        )
        if stands.withheld:
            self._tell(
                EventKind.WITHHELD,
                delivery.outgoing_id,
                delivery.rcpt_to,
                DeliveryState.WITHHELD,
                stands.reason,
            )
        return stands.genuine

    async def _needed(self, delivery: Delivery) -> bool:
        """Whether somebody still waits for the mail, as the record says now; asked of reminders only."""
        if not delivery.reminder:
            return True
        number, now = delivery.outgoing_id, self._clock()
        why = await self._writer.submit(lambda conn: withdraw_needless(conn, number, now))
        if why:
            self._tell(EventKind.WITHDRAWN, number, delivery.rcpt_to, DeliveryState.WITHDRAWN, why)
        return not why

    async def _deliver(self, delivery: Delivery, started: datetime) -> None:
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                done = await self._transport.deliver(delivery)
        except TimeoutError:
            done = Handover("", Reply(0, "the try took too long"), Failure.TIMEOUT, in_doubt=True)
        await self._record(delivery, started, done)

    async def _record(self, delivery: Delivery, started: datetime, done: Handover) -> None:
        finished = self._clock()
        protection = done.protection
        if done.tls and protection.level is TlsLevel.NONE and done.failure is None:
            protection = Protection(TlsLevel.ENCRYPTED)  # a way out that does not tell more
        attempt = Attempt(
            started,
            finished,
            done.host,
            done.reply,
            done.failure,
            tls=done.tls,
            protection=protection,
            transcript=done.transcript,
            in_doubt=done.in_doubt,
        )
        decision = decide(
            attempts=delivery.attempts,
            failure=done.failure,
            reply=done.reply,
            created=delivery.since,
            now=finished,
            jitter=self._jitter(),
            give_up=self._give_up,
        )
        await self._writer.submit(
            lambda conn: record_attempt(
                conn, delivery.outgoing_id, self._owner, attempt, decision, caps=self._caps
            )
        )
        self._tell(
            EventKind.ATTEMPTED, delivery.outgoing_id, delivery.rcpt_to, decision.state, decision.reason
        )

    async def _wind_down(self) -> None:
        """Let tries under way end; one that does not keeps its lease, for what became of it is not known."""
        if self._running:
            tries, hurried = tuple(self._running), asyncio.create_task(self._hurried.wait())
            ended = asyncio.create_task(asyncio.wait(tries))
            await asyncio.wait((ended, hurried), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((ended,), timeout=GRACE_SECONDS)
            hurried.cancel()
            ended.cancel()
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._transport.close()

    def _tell(
        self,
        kind: EventKind,
        outgoing_id: int | None = None,
        rcpt_to: str = "",
        state: DeliveryState | None = None,
        detail: str = "",
    ) -> None:
        self._observe(WorkerEvent(kind, outgoing_id, rcpt_to, state, detail))
