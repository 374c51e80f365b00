"""Judging a message with live evidence and without a session: for the console, for composing and delivery."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from expertmail.saved_messages import NOTE_TEXT, repaired
from smtp_gateway.judging import Judge, Judged
from verifier.dmarc_7489 import PublicSuffixes
from verifier.driver import Budget, HasOpinion, HasRecords, Resolves
from verifier.evaluate import Context
from verifier.identity import Identity
from verifier.report import Report
from verifier.report_json import as_json


class SessionlessJudge:
    """Judges messages that have no session of ours. ``close`` it to end its threads."""

    def __init__(
        self,
        identities: tuple[Identity, ...],
        resolver: Resolves,
        opinion: HasOpinion | None,
        hostname: str,
        *,
        budget: Budget,
        clock: Callable[[], datetime],
        suffixes: PublicSuffixes | None = None,
    ) -> None:
        self._identities = identities
        self._hostname = hostname
        self._clock = clock
        self._suffixes = suffixes
        self._judge = Judge(resolver, opinion, budget)

    async def report(self, raw: bytes, records: HasRecords | None = None) -> Report:
        """The verdict on a message by the clock of now; a large one is worked on in a thread.

        Mail of ours that is still to be sent is judged without ``records``: they would vouch for themselves.
        """
        return (await self.whole(raw, records)).report

    async def whole(self, raw: bytes, records: HasRecords | None = None) -> Judged:
        """The same with the evidence that decided, and with the message as it was read."""
        context = Context(
            identities=self._identities,
            at=self._clock(),
            receiver=self._hostname,
            suffixes=self._suffixes,
        )
        return await self._judge.judged(raw, context, records=records)

    async def saved(self, data: bytes, records: HasRecords | None = None) -> Mapping[str, Any]:
        """The contract's verdict object on a message as somebody saved it; ``notes`` tells of repairs."""
        raw, notes = repaired(data)
        found = as_json(await self.report(raw, records), None, explained=True)
        return {**found, "notes": [NOTE_TEXT[note] for note in notes]}

    def close(self) -> None:
        """End the threads."""
        self._judge.close()
