"""Judges and reads one message: on the event loop when it is small, in a thread when it is large.

Nothing here holds the loop for long. A large message is worked on by a thread, which others have while it waits long for
DNS, for the second implementation or for our records (``turns``): a dead resolver stops nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from smtp_gateway.turns import Turn, Turns
from threads.attachments import AttachedFile, attached_files, has_files
from threads.reading import Reading, read_parsed
from verifier.driver import Budget, HasOpinion, HasRecords, Resolves, Runs, drive, here
from verifier.evaluate import Context, judge
from verifier.evidence import Answer, Check, Evidence, Opinion, Question
from verifier.message import Message, read_message
from verifier.own_records import OwnRecords, RecordsQuestion
from verifier.parts import Part, walk
from verifier.report import Report
from verifier.spf import load as load_spf

ON_THE_LOOP = 16 * 1024
"""Octets of a message that is judged on the event loop: 62 KB of dense HTML took 100 ms, so that a quarter of it
stays below 50 ms; an ordinary message of that size takes two."""
THREADS = 2
"""Large messages that are worked on at one time."""
IN_HAND_BYTES = 64 * 1024 * 1024
"""Octets of the large messages whose judging has begun, each of which is held several times over; more wait. One may
be larger."""
WAIT_SECONDS = 300.0
"""How long a large message may wait for one of them; then it is put off (451), for the client has it still. The
client waits ten minutes for the reply to its dot (RFC 5321 4.5.3.2.6). Five of them are enough for a queue of some
hundred large messages, judging takes one at most, and four are left for storing and for a slow way back. A shorter
wait would put off mail that could be taken; a longer one would let the client go and send the same again."""


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
    files: tuple[AttachedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class _Whole:
    """What the work on a message makes."""

    message: Message
    parts: tuple[Part, ...]
    report: Report
    reading: Reading
    files: tuple[AttachedFile, ...]


@dataclass(frozen=True, slots=True)
class _Asks:
    """Whom a message's judging may ask."""

    resolver: Resolves
    opinion: HasOpinion | None
    records: HasRecords | None


class Judge:
    """Judges messages against live DNS. ``opinion`` None means that nothing is ever called genuine."""

    def __init__(self, resolver: Resolves, opinion: HasOpinion | None, budget: Budget) -> None:
        self._resolver = resolver
        self._opinion = opinion
        self._budget = budget
        self._turns = Turns(THREADS, IN_HAND_BYTES)
        load_spf()  # now, and not while the first message waits

    async def judged(
        self,
        raw: bytes,
        context: Context,
        seconds: float | None = None,
        records: HasRecords | None = None,
        *,
        files: bool = False,
    ) -> Judged:
        """Read and judge ``raw`` in the given context; ``records`` tell what we know of earlier mail. ``files``: describe them.

        Raises TimeoutError when the work itself takes longer than ``seconds``, and Busy when a large message had
        to wait too long for its turn: what others cost does not count against it.
        """
        if len(raw) <= ON_THE_LOOP:
            async with asyncio.timeout(seconds):
                asks = _Asks(self._resolver, self._opinion, records)
                return await self._judged(raw, _worked(raw, context, files=files), context, asks, here)
        turn = Turn(self._turns, len(raw))
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await turn.begin()
        except TimeoutError:
            raise Busy from None
        with turn:
            async with asyncio.timeout(seconds):
                work = _worked(raw, context, files=files)
                return await self._judged(raw, work, context, self._asks(turn, records), turn.run)

    def _asks(self, turn: Turn, records: HasRecords | None) -> _Asks:
        return _Asks(
            _ResolverOf(self._resolver, turn),
            None if self._opinion is None else _OpinionOf(self._opinion, turn),
            None if records is None else _RecordsOf(records, turn),
        )

    async def _judged(
        self, raw: bytes, work: Check[_Whole], context: Context, asks: _Asks, run: Runs
    ) -> Judged:
        done, evidence = await drive(
            work,
            Evidence(at=context.at),
            asks.resolver,
            asks.opinion,
            raw=raw,
            budget=self._budget,
            records=asks.records,
            run=run,
        )
        return Judged(done.message, done.report, evidence, done.reading, done.parts, done.files)

    def close(self) -> None:
        """End the threads."""
        self._turns.close()


def _worked(raw: bytes, context: Context, *, files: bool) -> Check[_Whole]:
    """All the work on a message as one check: its first step reads, its last one reads for people. Each step is a change of threads."""
    message = read_message(raw)
    parts = walk(message)  # once, for the verdict and for the reading
    report = yield from judge(message, context, parts)
    reading = read_parsed(message, parts, attachments=False)
    listed = attached_files(message, parts) if files and has_files(parts) else ()
    return _Whole(message, parts, report, reading, listed)


@dataclass(frozen=True, slots=True)
class _ResolverOf:
    """Asks a resolver for a message that has a turn."""

    resolver: Resolves
    turn: Turn

    async def ask(
        self, questions: Iterable[Question], seconds: float | None = None
    ) -> Mapping[Question, Answer]:
        return await self.turn.heard(self.resolver.ask(questions, seconds))


@dataclass(frozen=True, slots=True)
class _OpinionOf:
    """Asks the second implementation for a message that has a turn."""

    opinion: HasOpinion
    turn: Turn

    async def ask(self, raw: bytes, index: int, txt: Mapping[str, str]) -> Opinion:
        return await self.turn.heard(self.opinion.ask(raw, index, txt))


@dataclass(frozen=True, slots=True)
class _RecordsOf:
    """Asks our own records for a message that has a turn."""

    records: HasRecords
    turn: Turn

    async def ask(self, question: RecordsQuestion) -> OwnRecords:
        return await self.turn.heard(self.records.ask(question))
