"""Judging a message with live evidence: the shell around ``verifier`` that console, compose and delivery share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from expertmail.saved_messages import NOTE_TEXT, repaired
from verifier.driver import Budget, HasOpinion, Resolves, drive
from verifier.evaluate import Context, judge
from verifier.evidence import Answer, Evidence, Opinion, Question
from verifier.identity import Identity
from verifier.message import read_message
from verifier.report import Report
from verifier.report_json import as_json

# A message this large takes some 10 ms of hashing and reading; a larger one is judged in a thread, so that
# no session waits for it.
MAX_ON_THE_LOOP = 256 * 1024


@dataclass(frozen=True, slots=True)
class Judging:
    """Judges messages that have no session of ours."""

    identities: tuple[Identity, ...]
    resolver: Resolves
    opinion: HasOpinion | None
    hostname: str
    budget: Budget
    clock: Callable[[], datetime]

    async def report(self, raw: bytes) -> Report:
        """The verdict on a message; a large one is worked on in a thread, its questions asked from here."""
        if len(raw) <= MAX_ON_THE_LOOP:
            return await self._driven(raw, self.resolver, self.opinion)
        loop = asyncio.get_running_loop()
        resolver = _AskedFrom(self.resolver, loop)
        opinion = None if self.opinion is None else _OpinionFrom(self.opinion, loop)
        return await asyncio.to_thread(lambda: asyncio.run(self._driven(raw, resolver, opinion)))

    async def _driven(self, raw: bytes, resolver: Resolves, opinion: HasOpinion | None) -> Report:
        at = self.clock()
        context = Context(identities=self.identities, at=at, receiver=self.hostname)
        check = judge(read_message(raw), context)
        report, _ = await drive(check, Evidence(at=at), resolver, opinion, raw=raw, budget=self.budget)
        return report

    async def saved(self, data: bytes) -> Mapping[str, Any]:
        """The contract's verdict object on a message as somebody saved it; ``notes`` tells of repairs."""
        raw, notes = repaired(data)
        found = as_json(await self.report(raw), None)
        return {**found, "notes": [NOTE_TEXT[note] for note in notes]}


@dataclass(frozen=True, slots=True)
class _AskedFrom:
    """A resolver of another event loop."""

    resolver: Resolves
    loop: asyncio.AbstractEventLoop

    async def ask(
        self, questions: Iterable[Question], seconds: float | None = None
    ) -> Mapping[Question, Answer]:
        """Ask there, wait here."""

        async def there() -> Mapping[Question, Answer]:
            return await self.resolver.ask(questions, seconds)

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(there(), self.loop))


@dataclass(frozen=True, slots=True)
class _OpinionFrom:
    """A second implementation that is talked to from another event loop."""

    opinion: HasOpinion
    loop: asyncio.AbstractEventLoop

    async def ask(self, raw: bytes, index: int, txt: Mapping[str, str]) -> Opinion:
        """Ask there, wait here."""

        async def there() -> Opinion:
            return await self.opinion.ask(raw, index, txt)

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(there(), self.loop))
