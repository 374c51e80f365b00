"""Binds what the rooms tell about their work to metrics and logs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog

from expertmail.metrics import Metrics
from outbound.store import count_outbox
from outbound.worker import EventKind, WorkerEvent
from threads.store import Connection
from threads.store.engine import Database
from threads.store.errors import StoreError
from threads.store.read import count_copies
from threads.store.writer import DEFAULT_SIZE, Writer

T = TypeVar("T")
_log = structlog.get_logger("expertmail")


class GatewayWatch:
    """Counts what the gateway does (``smtp_gateway.observer.Observer``); ``wake`` is called when there is something to deliver."""

    def __init__(self, metrics: Metrics, wake: Callable[[], None]) -> None:
        self._metrics = metrics
        self._wake = wake

    def connected(self) -> None:
        """A client connected."""
        self._metrics.connections.inc()

    def disconnected(self) -> None:
        """A client is gone."""
        self._metrics.connections.dec()

    def refused(self, stage: str, code: int) -> None:
        """A client heard a negative reply before any message was judged."""
        self._metrics.smtp_refusals.labels(stage=stage, code=str(code)).inc()

    def accepted(self, disposition: str, verdict: str, seconds: float) -> None:
        """A copy was answered with 250: it is stored, now or (a duplicate) before."""
        self._metrics.messages.labels(outcome=disposition, verdict=verdict).inc()
        self._metrics.seconds.observe(seconds)

    def ordered(self) -> None:
        """An automatic answer was ordered."""
        self._wake()

    def rejected(self, code: int) -> None:
        """A message was refused for good."""
        self._metrics.messages.labels(outcome="rejected", verdict="").inc()
        self._metrics.refusals.labels(code=str(code)).inc()

    def deferred(self, code: int) -> None:
        """A message was put off."""
        self._metrics.messages.labels(outcome="deferred", verdict="").inc()
        self._metrics.refusals.labels(code=str(code)).inc()


class TimedWriter:
    """Times each work of the gateway from its submission to its commit."""

    def __init__(self, writer: Writer, metrics: Metrics) -> None:
        self._writer = writer
        self._metrics = metrics

    async def submit(self, work: Callable[[Connection], T], *, size_hint: int = DEFAULT_SIZE) -> T:
        """The same as ``Writer.submit``."""
        with self._metrics.commit.time():
            return await self._writer.submit(work, size_hint=size_hint)


def tell_worker_event(event: WorkerEvent) -> None:
    """One line for each step of a delivery; only the recipient's domain, not the address."""
    usual = event.kind in (EventKind.COMPOSED, EventKind.ATTEMPTED)
    tell = _log.info if usual else _log.warning
    tell(
        f"outbound {event.kind.value}",
        outgoing=event.outgoing_id,
        domain=event.rcpt_to.rpartition("@")[2],
        state=None if event.state is None else event.state.value,
        detail=event.detail,
    )


def watch_record(metrics: Metrics, database: Database) -> None:
    """Export what waits in the record; in one process of a gateway only."""

    def copies() -> dict[str, float]:
        with database.reading() as conn:
            return {word: float(count) for word, count in count_copies(conn).items()}

    def outbox() -> dict[str, float]:
        with database.reading() as conn:
            return {state.value: float(count) for state, count in count_outbox(conn).items()}

    metrics.watch(
        "expertmail_copies", "Messages on record, by what became of them.", "disposition", or_nothing(copies)
    )
    metrics.watch("expertmail_outbox", "Outgoing mail, by state.", "state", or_nothing(outbox))


def watch_process(metrics: Metrics, writer: Writer, asked: Callable[[], int]) -> None:
    """Export what waits before this process' writer, and how much DNS was ``asked``."""
    metrics.watch(
        "expertmail_writer",
        "The writers: works that wait, works and commits since the start.",
        "what",
        lambda: {
            "waiting": float(writer.waiting),
            "works": float(writer.works),
            "commits": float(writer.commits),
        },
    )
    metrics.watch(
        "expertmail_dns_questions",
        "Questions sent to name servers since the start.",
        "to",
        lambda: {"name-servers": float(asked())},
    )


def or_nothing(read: Callable[[], dict[str, float]]) -> Callable[[], dict[str, float]]:
    """Leave a gauge out while the database cannot be had; /readyz tells what is wrong with it."""

    def guarded() -> dict[str, float]:
        try:
            return read()
        except StoreError:
            return {}

    return guarded
