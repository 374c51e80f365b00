"""The server's part in telling experts: every few seconds it looks whether something is due, and orders the mail.

It keeps nothing in memory that a restart would miss; the outbound worker composes and delivers as all other mail.
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
from outbound.alerts import AlertKind, AlertRules
from outbound.model import OrderOutcome
from outbound.store.alerts import is_due, look, order_alerts
from threads.store.engine import Database
from threads.store.writer import Writer

LOOK_SECONDS: Final = 5.0
"""Between two looks: "at once" for a person, and nothing for the database."""

_log = structlog.get_logger("expertmail")


def alert_rules_of(settings: Settings) -> AlertRules:
    """Who is told of what, as the settings say."""
    alerts = settings.alerts
    return AlertRules(
        team=alerts.team,
        people=MappingProxyType(dict(entry.split("=", 1) for entry in alerts.people)),
        tell=frozenset(map(AlertKind, alerts.tell)),
        first=timedelta(seconds=alerts.first_seconds),
        digest=timedelta(minutes=alerts.digest_minutes),
        long=alerts.form == "long",
    )


class AlertKeeper:
    """Run it as one task of one process; ``stop`` it and await ``run``.

    ``rules`` gives what is in force; without any address nothing is looked at. ``ordered`` is called when mail was ordered.
    """

    def __init__(
        self,
        database: Database,
        writer: Writer,
        *,
        rules: Callable[[], AlertRules],
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
            waits=lambda why: _log.warning("alerts wait", why=why),
            failed=lambda: _log.exception("alerts failed"),
        )

    def stop(self) -> None:
        """Begin nothing new."""
        self._rounds.stop()

    async def step(self) -> None:
        """One look, and the mail that is due by now."""
        rules, now = self._rules(), self._clock()
        if not rules.addresses or not await asyncio.to_thread(self._due, rules, now):
            return
        outcomes = await self._writer.submit(lambda conn: order_alerts(conn, rules, now))
        capped = outcomes.count(OrderOutcome.CAPPED)
        if capped:
            _log.warning("alerts not sent: a daily cap was reached", number=capped)
        if OrderOutcome.ORDERED in outcomes:
            _log.info("experts are told", mails=outcomes.count(OrderOutcome.ORDERED))
            self._ordered()

    def _due(self, rules: AlertRules, now: datetime) -> bool:
        with self._database.reading() as conn:
            return is_due(look(conn, rules, now), now)
