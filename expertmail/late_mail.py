"""The server's part in the alarm for late mail: every half a minute it looks which mail is late, and tells the experts.

It keeps nothing in memory that a restart would miss; ``expertmail.alerting`` mails what is told here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

import structlog

from expertmail.rounds import Rounds
from expertmail.settings import Settings
from outbound.late_delivery import LateMail, LateRules
from outbound.store.late_delivery import due_alarms, raise_alarm
from threads.model import Severity
from threads.store import Connection
from threads.store.engine import Database
from threads.store.writer import Writer

LOOK_SECONDS: Final = 30.0
"""Between two looks: alarms count in minutes."""

_log = structlog.get_logger("expertmail")


def late_rules_of(settings: Settings) -> LateRules:
    """After how long mail is late, as the settings say; 0 minutes: never."""
    late = settings.late_delivery
    minutes = {
        Severity.HIGH: late.high,
        Severity.MEDIUM: late.medium,
        Severity.LOW: late.low,
        Severity.INFORMATIONAL: late.informational,
    }
    return LateRules(
        MappingProxyType({severity: timedelta(minutes=after) for severity, after in minutes.items() if after})
    )


class LateMailKeeper:
    """Run it as one task of one process; ``stop`` it and await ``run``. ``rules`` gives what is in force."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        *,
        rules: Callable[[], LateRules],
        clock: Callable[[], datetime],
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._database = database
        self._writer = writer
        self._rules = rules
        self._clock = clock
        self._rounds = Rounds(look_seconds)

    async def run(self) -> None:
        """Look, tell, wait, and again, until stopped."""
        await self._rounds.run(
            self.step,
            waits=lambda why: _log.warning("late mail waits to be told of", why=why),
            failed=lambda: _log.exception("late mail failed to be told of"),
        )

    def stop(self) -> None:
        """Begin nothing new."""
        self._rounds.stop()

    async def step(self) -> None:
        """One look, and what is late by now: a transaction each, so that none holds the others' mail up."""
        rules, now = self._rules(), self._clock()
        due = await asyncio.to_thread(self._due, rules, now)
        await self._rounds.each(
            due,
            lambda number: self._tell(number, rules, now),
            failed=lambda number: _log.exception("late mail failed to be told of", outgoing=number),
        )

    async def _tell(self, outgoing_id: int, rules: LateRules, now: datetime) -> None:
        def work(conn: Connection) -> LateMail | None:
            return raise_alarm(conn, outgoing_id, rules, now)

        mail = await self._writer.submit(work)
        if mail is not None:
            _log.warning("a mail on an incident is late", outgoing=outgoing_id, state=mail.state.value)

    def _due(self, rules: LateRules, now: datetime) -> tuple[int, ...]:
        with self._database.reading() as conn:
            return due_alarms(conn, rules, now)
