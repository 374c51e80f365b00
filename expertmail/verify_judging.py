"""Judges saved messages, in worker processes: reads a file, asks what is missing, and makes what is printed of it."""

from __future__ import annotations

import asyncio
import importlib
import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from expertmail.faults import FaultError
from expertmail.saved_files import files_in
from expertmail.saved_messages import FROM_LINE_OCTETS, SavedMessage, load, starts_mbox
from expertmail.verify_plan import Plan
from expertmail.verify_printing import Printing, printed
from verifier.driver import Resolves, drive
from verifier.evaluate import Context, judge
from verifier.evidence import Answer, Evidence, Question
from verifier.message import read_message
from verifier.opinion_worker import SecondOpinion
from verifier.report import Report, Verdict

# Messages that share what was looked up in a zone: that takes a sixth of the time, and is forgotten before it is much.
RENEWED_AFTER: Final = 1_000

_PAINTER: Final = "rich.console"  # what colours need, and what is slow to load


class Piece(NamedTuple):
    """A piece of work: a file that the worker reads by itself, or a message that was read already."""

    file: str
    octets: int
    saved: SavedMessage | None = None


class Judged(NamedTuple):
    """A judged message: ``verdicts`` of itself and of all in it, what is printed of it, and new DNS answers if kept."""

    file: str
    author: str | None
    verdicts: tuple[Verdict, ...]
    text: str
    answers: Mapping[Question, Answer]


Outcome = Judged | FaultError


def pieces_of(paths: Iterable[str], stdin: BinaryIO, faults: list[FaultError]) -> Iterator[Piece]:
    """The pieces of work of all paths; what cannot be read is added to ``faults``, and does not keep the others.

    Of an mbox file every message is one, so that one in it cannot harm the others. What is no file can be read once
    only, and is read here.
    """
    for path in paths:
        try:
            if path == "-":
                yield from _read_here(path, stdin)
                continue
            place = Path(path)
            for file in (str(inside) for inside in files_in(place, path)) if place.is_dir() else (path,):
                try:
                    yield from _pieces_of_file(file)
                except FaultError as fault:
                    faults.append(fault)
        except FaultError as fault:
            faults.append(fault)


def octets_of(paths: list[str]) -> int:
    """How much there is to judge, for showing how far it is. What cannot be told counts nothing."""
    total = 0
    for path in paths:
        try:
            places = files_in(Path(path), path) if path != "-" and Path(path).is_dir() else (Path(path),)
            total += sum(place.stat().st_size for place in places if path != "-")
        except (FaultError, OSError):
            continue  # told when it is read
    return total


def _pieces_of_file(file: str) -> Iterator[Piece]:
    try:
        with open(file, "rb", buffering=0) as opened:  # noqa: PTH123 - a Path takes as long as the rest of this
            status = os.fstat(opened.fileno())
            plain = stat.S_ISREG(status.st_mode) and not starts_mbox(opened.read(FROM_LINE_OCTETS))
    except OSError:
        plain = False
    if plain:
        yield Piece(file, status.st_size)
    else:
        yield from _read_here(file, io.BytesIO())


def _read_here(path: str, stdin: BinaryIO) -> Iterator[Piece]:
    for saved in load(path, stdin):
        yield Piece(saved.file, len(saved.raw), saved)


@dataclass(frozen=True, slots=True)
class Judging:
    """What a worker does, by the options; ``keep_answers`` for --save-evidence."""

    plan: Plan
    printing: Printing
    keep_answers: bool = False

    def __call__(self, pieces: Iterator[Piece], made: Callable[[list[Outcome]], None]) -> None:
        """Judge piece after piece, and hand over what became of each."""
        asyncio.run(self._all(pieces, made))

    async def _all(self, pieces: Iterator[Piece], made: Callable[[list[Outcome]], None]) -> None:
        async with AsyncExitStack() as open_things:
            if self.printing.look.coloured:
                # A second opinion takes 0.1 s to start; this is done meanwhile.
                loading = asyncio.create_task(asyncio.to_thread(importlib.import_module, _PAINTER))
                open_things.push_async_callback(asyncio.wait, [loading])
            opinion = SecondOpinion()
            open_things.push_async_callback(opinion.close)
            asking: Resolves | None = None
            if self.plan.asks:
                from verifier.resolver import Resolver  # noqa: PLC0415 - it takes 50 ms to load, for DNS only

                servers = None if self.plan.name_server is None else (self.plan.name_server,)
                asking = await open_things.enter_async_context(Resolver(servers))
            judge_saved = _Judge(self, asking, opinion)
            for piece in pieces:  # waits for the next, and this loop has nothing else to do meanwhile
                made(await judge_saved.all_of(piece))


class _Judge:
    """Judges one message after the other, by what its process has open."""

    def __init__(self, judging: Judging, asking: Resolves | None, opinion: SecondOpinion) -> None:
        self._plan = judging.plan
        self._printing = judging.printing
        self._keep_answers = judging.keep_answers
        self._asking = asking
        self._opinion = opinion
        self._kept: set[Question] = set()
        self._known = self._plan.known()
        self._judged = 0

    async def all_of(self, piece: Piece) -> list[Outcome]:
        """What became of a piece: one message, or why there is none."""
        found: list[Outcome] = []
        try:
            for saved in load(piece.file, io.BytesIO()) if piece.saved is None else (piece.saved,):
                found.append(await self._one(saved))  # noqa: PERF401 - what was judged before a fault counts
        except FaultError as fault:
            found.append(fault)
        return found

    async def _one(self, saved: SavedMessage) -> Judged:
        plan = self._plan
        context = Context(
            plan.identities,
            plan.at,
            plan.session,
            "localhost",
            plan.supplied,
            suffixes=plan.suffixes,
            rebuilt=saved.rebuilt,
        )
        if self._keep_answers or self._judged % RENEWED_AFTER == 0:
            self._known = plan.known()
        self._judged += 1
        check = judge(read_message(saved.raw), context)
        report, used = await drive(check, self._known, self._asking, self._opinion, raw=saved.raw)
        return Judged(
            saved.file,
            None if report.author is None else report.author.address,
            tuple(each.verdict for each in _with_inner(report)),
            printed(saved, report, self._printing),
            self._new(used) if self._keep_answers else {},
        )

    def _new(self, used: Evidence) -> Mapping[Question, Answer]:
        """The answers that this process has not handed over yet."""
        new = {question: answer for question, answer in used.answers.items() if question not in self._kept}
        self._kept.update(new)
        return new


def _with_inner(report: Report) -> Iterator[Report]:
    yield report
    for inner in report.inner:
        yield from _with_inner(inner)
