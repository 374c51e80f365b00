"""The server's part in service reviews: after each month it writes its figures to the contacts for service reviews, where that is set.

What was written is known by the request's key, so that a restart writes nothing twice. A month whose first days are over by now is
left to people: a review that comes weeks late surprises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from expertmail.console.api_notifications import Outgoing
from expertmail.console.posting import across
from expertmail.letters import LetterRefused, Posted, post_letter
from expertmail.rounds import Rounds
from expertmail.service_reviews import review_letter, review_to_send, reviewers
from outbound.review_period import Period, last_month
from outbound.store.approvals import mails_of_request
from threads.model import Organisation
from threads.store.engine import Database
from threads.store.people import list_organisations, organisation

LOOK_SECONDS: Final = 600.0
"""Between two looks: it is about months."""
SETTLED: Final = timedelta(hours=6)
"""So long after a month's end its figures are counted: mail of its last hours is judged and delivered by then."""
WITHIN: Final = timedelta(days=7)
"""So long after a month's end its review is written by itself."""
ACTOR: Final = "service-reviews"

_log = structlog.get_logger("expertmail")


def due_period(now: datetime) -> Period | None:
    """The month whose review is written by now; None outside the first days of the next one."""
    month = last_month(now)
    return month if month.end + SETTLED <= now < month.end + WITHIN else None


def key_of(organisation_id: int, period: Period) -> str:
    """Under which a customer's review of a period goes once."""
    return f"service-review:{organisation_id}:{period.name}"


class ReviewKeeper:
    """Run it as one task of one process; ``stop`` it and await ``run``. ``outgoing`` gives what is in force."""

    def __init__(
        self,
        database: Database,
        *,
        outgoing: Callable[[], Outgoing],
        clock: Callable[[], datetime],
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._database = database
        self._outgoing = outgoing
        self._clock = clock
        self._rounds = Rounds(look_seconds)
        self._refused: set[str] = set()  # told once in the log, and tried again all the same

    async def run(self) -> None:
        """Look, write, wait, and again, until stopped."""
        await self._rounds.run(
            self.step,
            waits=lambda why: _log.warning("service reviews wait", why=why),
            failed=lambda: _log.exception("service reviews failed"),
        )

    def stop(self) -> None:
        """Begin nothing new."""
        self._rounds.stop()

    async def step(self) -> None:
        """One look, and the reviews that are due by now, one after the other."""
        now = self._clock()
        period = due_period(now)
        if period is None or not self._outgoing().world.settings.service_reviews.monthly:
            return
        due = await asyncio.to_thread(self._due, period)
        await self._rounds.each(
            [one.id for one in due],
            lambda number: self._write(number, period, now),
            failed=lambda number: _log.exception("service reviews failed", organisation=number),
        )

    async def _write(self, organisation_id: int, period: Period, now: datetime) -> None:
        outgoing, key = self._outgoing(), key_of(organisation_id, period)
        check = across(outgoing.check)

        def work() -> Posted:
            with self._database.reading() as conn:
                told, to = review_to_send(conn, organisation(conn, organisation_id), period, ())
            manager = outgoing.world.settings.service_reviews.manager
            letter = review_letter(told, to, manager=manager, actor=ACTOR, key=key)
            return asyncio.run(post_letter(outgoing.world, self._database, letter, now, check))

        try:
            posted = await asyncio.to_thread(work)
        except LetterRefused as refused:
            if key not in self._refused:
                self._refused.add(key)
                _log.warning(
                    "a service review is not sent", organisation=organisation_id, why=refused.sentence
                )
            return
        if not posted.known:
            _log.info("a service review is written", organisation=organisation_id, period=period.name)
            outgoing.queued()

    def _due(self, period: Period) -> tuple[Organisation, ...]:
        with self._database.reading() as conn:
            return tuple(
                one
                for one in list_organisations(conn)
                if one.untrusted is None
                and reviewers(conn, one)
                and not mails_of_request(conn, key_of(one.id, period))
            )
