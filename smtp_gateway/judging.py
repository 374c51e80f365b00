"""Judges and reads one message: on the event loop when it is small, in a thread when it is large.

Nothing here holds the loop for long. A large message is worked on by a thread with an event loop of its own,
whose questions to DNS and to the second implementation are asked from the main loop, where their caches are.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from threads.reading import Reading, read_parsed
from verifier.driver import Budget, HasOpinion, HasRecords, Resolves, drive
from verifier.evaluate import Context, judge
from verifier.evidence import Answer, Evidence, Opinion, Question
from verifier.message import Message, read_message
from verifier.parts import Part, walk
from verifier.report import Report
from verifier.spf import load as load_spf

ON_THE_LOOP = 16 * 1024
"""Octets of a message that is judged on the event loop: 62 KB of dense HTML took 100 ms, so that a quarter of it
stays below 50 ms; an ordinary message of that size takes two."""
THREADS = 2
"""Large messages judged at one time; each holds its bytes several times over."""
WAIT_SECONDS = 300.0
"""How long a large message may wait for one of them; then it is put off (451), for the client has it still. The
client waits ten minutes for the reply to its dot (RFC 5321 4.5.3.2.6). Five of them are enough for a queue of some
hundred large messages, judging takes one at most, and four are left for storing and for a slow way back. A shorter
wait would put off mail that could be taken; a longer one would let the client go and send the same again."""

T = TypeVar("T")


class Busy(Exception):  # noqa: N818 - a state of the machine, no error of the message
    """No thread came free for a large message in time."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A message, read and judged, with the evidence that decided."""

    message: Message
    report: Report
    evidence: Evidence
    reading: Reading
    parts: tuple[Part, ...] = ()


class Judge:
    """Judges messages against live DNS. ``opinion`` None means that nothing is ever called genuine."""

    def __init__(self, resolver: Resolves, opinion: HasOpinion | None, budget: Budget) -> None:
        self._resolver = resolver
        self._opinion = opinion
        self._budget = budget
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="judge")
        self._free = asyncio.Semaphore(THREADS)
        load_spf()  # now, and not while the first message waits

    async def judged(
        self,
        raw: bytes,
        context: Context,
        seconds: float | None = None,
        records: HasRecords | None = None,
    ) -> Judged:
        """Read and judge ``raw`` in the given context; ``records`` tell what we know of earlier mail.

        Raises TimeoutError when the work itself takes longer than ``seconds``, and Busy when a large message had
        to wait too long for its turn: what others cost does not count against it.
        """
        if len(raw) <= ON_THE_LOOP:
            async with asyncio.timeout(seconds):
                return await self._judged(raw, context, self._resolver, self._opinion, records)
        loop = asyncio.get_running_loop()
        resolver = _ResolverOf(self._resolver, loop)
        opinion = None if self._opinion is None else _OpinionOf(self._opinion, loop)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise Busy from None

        def work() -> Judged:
            return asyncio.run(self._judged(raw, context, resolver, opinion, records))

        running = self._threads.submit(work)
        # A thread is free when its work has ended, not when nobody waits for it any more.
        running.add_done_callback(lambda _: _released(loop, self._free))
        async with asyncio.timeout(seconds):
            return await asyncio.wrap_future(running)

    async def _judged(
        self,
        raw: bytes,
        context: Context,
        resolver: Resolves,
        opinion: HasOpinion | None,
        records: HasRecords | None,
    ) -> Judged:
        message = read_message(raw)
        parts = walk(message)  # once, for the verdict and for the reading
        report, evidence = await drive(
            judge(message, context, parts),
            Evidence(at=context.at),
            resolver,
            opinion,
            raw=raw,
            budget=self._budget,
            records=records,
        )
        return Judged(message, report, evidence, read_parsed(message, parts, attachments=False), parts)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()


def _released(loop: asyncio.AbstractEventLoop, free: asyncio.Semaphore) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed, and with it everybody who waited
        loop.call_soon_threadsafe(free.release)


async def _there(work: Awaitable[T]) -> T:
    return await work


@dataclass(frozen=True, slots=True)
class _ResolverOf:
    """A resolver that lives on another event loop."""

    resolver: Resolves
    loop: asyncio.AbstractEventLoop

    async def ask(
        self, questions: Iterable[Question], seconds: float | None = None
    ) -> Mapping[Question, Answer]:
        asked = asyncio.run_coroutine_threadsafe(_there(self.resolver.ask(questions, seconds)), self.loop)
        return await asyncio.wrap_future(asked)


@dataclass(frozen=True, slots=True)
class _OpinionOf:
    """A second implementation that is talked to from another event loop."""

    opinion: HasOpinion
    loop: asyncio.AbstractEventLoop

    async def ask(self, raw: bytes, index: int, txt: Mapping[str, str]) -> Opinion:
        asked = asyncio.run_coroutine_threadsafe(_there(self.opinion.ask(raw, index, txt)), self.loop)
        return await asyncio.wrap_future(asked)
