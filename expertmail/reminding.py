"""The server's part in reminders: every half a minute it looks which customers are to be reminded, and orders the mail.

It keeps nothing in memory that a restart would miss; the outbound worker composes and delivers as all other mail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from types import MappingProxyType
from typing import Final

import structlog

from expertmail.rounds import Rounds
from expertmail.settings import Settings
from outbound.reminders import Action, NextStep, ReminderRules, step_of
from outbound.store.reminders import due_reminders, take_step
from threads.model import Severity
from threads.store import Connection
from threads.store.engine import Database
from threads.store.writer import Writer

LOOK_SECONDS: Final = 30.0
"""Between two looks: reminders count in hours."""

_log = structlog.get_logger("expertmail")


def reminder_rules_of(settings: Settings) -> ReminderRules:
    """The plan of each severity, as the settings say; no plan at all where reminders are switched off."""
    reminders = settings.reminders
    if not reminders.enabled:
        return ReminderRules(MappingProxyType({}))
    plans = {
        Severity.HIGH: reminders.high,
        Severity.MEDIUM: reminders.medium,
        Severity.LOW: reminders.low,
        Severity.INFORMATIONAL: reminders.informational,
    }
    return ReminderRules(
        MappingProxyType({severity: tuple(map(step_of, plan)) for severity, plan in plans.items()})
    )


class ReminderKeeper:
    """Run it as one task of one process; ``stop`` it and await ``run``.

    ``rules`` gives what is in force. ``ordered`` is called when mail was ordered.
    """

    def __init__(
        self,
        database: Database,
        writer: Writer,
        *,
        rules: Callable[[], ReminderRules],
        clock: Callable[[], datetime],
        ordered: Callable[[], None],
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._database = database
        self._writer = writer
        self._rules = rules
        self._clock = clock
        self._ordered = ordered
        self._rounds = Rounds(look_seconds)

    async def run(self) -> None:
        """Look, order, wait, and again, until stopped."""
        await self._rounds.run(
            self.step,
            waits=lambda why: _log.warning("reminders wait", why=why),
            failed=lambda: _log.exception("reminders failed"),
        )

    def stop(self) -> None:
        """Begin nothing new."""
        self._rounds.stop()

    async def step(self) -> None:
        """One look, and the steps that are due by now: a transaction each, so that none holds the others' mail up."""
        rules, now = self._rules(), self._clock()
        due = await asyncio.to_thread(self._due, rules, now)
        await self._rounds.each(
            due,
            lambda number: self._take(number, rules, now),
            failed=lambda number: _log.exception("reminders failed", thread=number),
        )

    async def _take(self, thread_id: int, rules: ReminderRules, now: datetime) -> None:
        def work(conn: Connection) -> NextStep | None:
            return take_step(conn, thread_id, rules, now)

        taken = await self._writer.submit(work)
        if taken is None:
            return
        if taken.action is Action.TELEPHONE:
            _log.warning("a customer does not answer: telephone", thread=thread_id)
            return
        _log.info("a customer is reminded", thread=thread_id, reminder=taken.reminder)
        self._ordered()

    def _due(self, rules: ReminderRules, now: datetime) -> tuple[int, ...]:
        with self._database.reading() as conn:
            return due_reminders(conn, rules, now)
