"""The loop that tells subscribers what comes on timelines.

Every step may be cut off: a row for each entry is made in one transaction, leased in another, and closed in a third after the
try. What a crash leaves behind is leased again when its lease has run out, with the same number, by which a receiver knows a copy.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import structlog

from outbound.errors import SealError
from outbound.patience import Patience
from outbound.store.subscriber_events import (
    Event,
    anybody_hears,
    close_event,
    lease_events,
    make_events,
    untold_entries,
)
from outbound.store.subscribers import list_subscribers, pause, subscriber
from outbound.subscriber import Answer, EventState, Next, Subscriber, SubscriberKind, decide
from outbound.subscriber_calls import Call, Caller
from threads.store import Connection
from threads.store.engine import Database
from threads.store.errors import StoreError, UnknownRecord
from threads.store.writer import Writer

LOOK_SECONDS: Final = 1.0
"""Between two looks at the record: a chat is no chat if it takes longer."""
SHARE: Final = 10
"""A look that took long is followed by a pause of so many times its length: mail that comes in has the record first."""
AT_ONCE: Final = 32
"""Tries at one time, whomever they go to."""
GRACE_SECONDS: Final = 5.0
"""How long a stop waits for tries that are under way; their leases run out by themselves."""
BY: Final = "channels"
"""Who pauses a subscriber that says that nobody listens there."""

_log = structlog.get_logger("expertmail")


class Post(Protocol):
    """Makes one call; never raises for what the other end does."""

    async def __call__(self, call: Call) -> Answer:
        """Its answer."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One try, for the metrics."""

    kind: SubscriberKind
    outcome: EventState
    answer: Answer


class Teller:
    """Run it as one task of one process; ``stop`` it and await ``run``."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        *,
        callers: Mapping[SubscriberKind, Caller],
        post: Post,
        clock: Callable[[], datetime],
        observe: Callable[[Tried], None] = lambda _: None,
        jitter: Callable[[], float] = random.random,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._database = database
        self._writer = writer
        self._callers = callers
        self._post = post
        self._clock = clock
        self._observe = observe
        self._jitter = jitter
        self._look_seconds = look_seconds
        self._owner = secrets.token_hex(8)
        self._patience = Patience()
        self._under_way: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._again = asyncio.Event()

    def stop(self) -> None:
        """Begin nothing new."""
        self._stopping.set()
        self._again.set()

    def wake(self) -> None:
        """Something came on a timeline."""
        self._again.set()

    async def run(self) -> None:
        """Look, tell, wait, and again, until stopped."""
        while not self._stopping.is_set():
            begun = time.monotonic()
            try:
                await self.step()
            except StoreError as error:
                _log.warning("channels wait", why=str(error))
            except Exception:  # noqa: BLE001 - mail goes on, the next look tries again, and it is told
                _log.exception("channels failed")
            pause_ = max(self._look_seconds, SHARE * (time.monotonic() - begun))
            self._again.clear()
            if self._stopping.is_set():
                break
            try:
                await asyncio.wait_for(self._again.wait(), pause_)
            except TimeoutError:
                continue
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=GRACE_SECONDS)
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def step(self) -> None:
        """One look: rows for what is new, and as many tries begun as there are places."""
        room, untold = await asyncio.to_thread(self._seen)
        now = self._clock()
        if untold:
            await self._writer.submit(lambda conn: make_events(conn, now))
        places = AT_ONCE - len(self._under_way)
        if not room or places <= 0:
            return
        leased = await self._writer.submit(lambda conn: lease_events(conn, self._owner, now, room, places))
        for event in leased:
            self._patience.begun(event.subscriber_id)
            task = asyncio.create_task(self._told(event))
            self._under_way.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._again.set()  # the next of its thread may have its turn

    def _seen(self) -> tuple[dict[int, int], bool]:
        """Who may be told something now and how much, and whether there are entries without rows."""
        with self._database.reading() as conn:
            if not anybody_hears(conn):
                return {}, False
            moment = time.monotonic()
            room = {
                one.id: self._patience.room(one.id, moment)
                for one in list_subscribers(conn)
                if one.paused is None
            }
            return {one: places for one, places in room.items() if places > 0}, untold_entries(
                conn, self._clock()
            )

    async def _told(self, event: Event) -> None:
        """One try and what follows from it."""
        well = False
        try:
            well = await self._tried(event)
        except StoreError as error:
            _log.warning("channels wait", why=str(error))
        except Exception:  # noqa: BLE001 - the lease runs out and it is tried again, others go on, and it is told
            _log.exception("channels failed", event_id=event.event_id)
        finally:
            self._patience.ended(event.subscriber_id, time.monotonic(), well=well)

    async def _tried(self, event: Event) -> bool:
        try:
            one, call = await asyncio.to_thread(self._made, event)
        except (UnknownRecord, SealError) as error:
            # Removed meanwhile, or the key is another one: nothing can be told, and trying again later costs nothing.
            answer = Answer(0, str(error))
            await self._closed(None, event, answer)
            return False
        if call is None:
            gone = Next(EventState.DROPPED, self._clock(), "nobody else may see it any more")
            await self._writer.submit(lambda conn: close_event(conn, event, self._owner, gone, gone.next_at))
            return True
        answer = await self._post(call)
        await self._closed(one, event, answer)
        return answer.taken

    def _made(self, event: Event) -> tuple[Subscriber, Call | None]:
        with self._database.reading() as conn:
            one = subscriber(conn, event.subscriber_id)
            return one, self._callers[one.kind].call(conn, one, event, self._clock())

    async def _closed(self, one: Subscriber | None, event: Event, answer: Answer) -> None:
        now = self._clock()
        then = decide(answer, tries=event.tries, since=event.made_at, now=now, jitter=self._jitter())

        def work(conn: Connection) -> bool:
            if not close_event(conn, event, self._owner, then, now):
                return False
            if one is not None and then.state is EventState.DELIVERED:
                self._callers[one.kind].taken(conn, one, event, answer, now)
            if then.pause:
                stands = subscriber(conn, event.subscriber_id)
                if stands.paused is None:
                    pause(conn, stands, now, by=BY, why="its address says that nobody listens there any more")
            return True

        if not await self._writer.submit(work) or one is None:
            return
        self._observe(Tried(one.kind, then.state, answer))
        if then.state is EventState.DEAD:
            _log.warning("a subscriber was not told: given up", subscriber=one.name, event_id=event.event_id)
        if then.pause:
            _log.warning("a subscriber is paused: nobody listens there", subscriber=one.name)
