"""DNS evidence as a value, and checks that ask for what they miss.

The verifier does no I/O. A check is a generator: it yields the questions it cannot answer yet and is
resumed with evidence that answers them. A driver (``verifier.driver``) asks DNS; a test or a replay
resumes with a dictionary. Nothing a check has worked out is worked out twice.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar

from verifier.own_records import NO_RECORDS, OwnRecords, RecordsQuestion

T = TypeVar("T")


class AnswerStatus(StrEnum):
    """What became of a DNS question (RFC 1035 4.1.1, RFC 2308 2)."""

    ANSWER = "answer"
    NODATA = "nodata"
    NXDOMAIN = "nxdomain"
    SERVFAIL = "servfail"
    TIMEOUT = "timeout"


class Absent(StrEnum):
    """What evidence says of a question it holds no answer for."""

    ASK = "ask"  # open evidence: the driver has to ask
    NXDOMAIN = "nxdomain"  # closed world: a zone file, an evidence file that is complete
    UNKNOWN = "unknown"  # closed but incomplete: a temporary error


_ASK: Final = Absent.ASK  # read once: a look at an Enum class takes as long as a call


class Question(NamedTuple):
    """A DNS question: ``name`` absolute, lower case, A-labels, with its final dot; ``type`` upper case.

    A named tuple, since each is hashed and compared a dozen times for every message.
    """

    name: str
    type: str

    @classmethod
    def of(cls, name: str, rrtype: str) -> Question:
        """Normalise a name with or without its final dot."""
        return cls(name.rstrip(".").lower() + ".", rrtype.upper())


_TEMPORARY: Final = frozenset({AnswerStatus.SERVFAIL, AnswerStatus.TIMEOUT})


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. ``records`` are presentation text, except TXT: its strings joined, UTF-8 with surrogateescape."""

    status: AnswerStatus
    records: tuple[str, ...] = ()
    ttl: int = 0
    ad: bool = False
    at: datetime | None = None

    @property
    def temporary(self) -> bool:
        """Whether asking again later may give another answer."""
        return self.status in _TEMPORARY


@dataclass(frozen=True, slots=True)
class OpinionQuestion:
    """Asks what a second implementation (dkimpy) says of signature number ``signature`` (topmost is 0).

    ``index`` keys the answer in the evidence: the signature's number for the message itself, and a number
    above MAX_OWN_OPINIONS for an attached message, whose bytes stand in ``raw`` (None: the message itself).
    """

    index: int
    raw: bytes | None = field(default=None, repr=False)
    key: tuple[str, str] | None = (
        None  # a key's absolute name and its record, where DNS does not hold it any more
    )

    @property
    def signature(self) -> int:
        """The signature's number within its own message."""
        return self.index % MAX_OWN_OPINIONS


MAX_OWN_OPINIONS = 1_000  # more signatures than any message is judged on


class Opinion(StrEnum):
    """What the second implementation said."""

    PASS = "pass"
    FAIL = "fail"
    SKIPPED = "skipped"  # too costly for it, past its deadline, or it broke


Ask = Question | OpinionQuestion | RecordsQuestion

_ABSENT_ANSWER = {
    Absent.NXDOMAIN: Answer(AnswerStatus.NXDOMAIN),
    Absent.UNKNOWN: Answer(AnswerStatus.TIMEOUT),
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """Answers known so far. ``at`` is the time (UTC) at which they were gathered."""

    answers: Mapping[Question, Answer] = field(default_factory=lambda: MappingProxyType({}))
    opinions: Mapping[int, Opinion] = field(default_factory=lambda: MappingProxyType({}))
    absent: Absent = Absent.ASK
    at: datetime | None = None
    records: Mapping[int, OwnRecords] = field(default_factory=lambda: MappingProxyType({}))

    def get(self, question: Question) -> Answer | None:
        """The answer, or None when the question must still be asked."""
        found = self.answers.get(question)
        return found if found is not None else _ABSENT_ANSWER.get(self.absent)

    def opinion(self, index: int) -> Opinion | None:
        """The second implementation's word on a signature, or None when it must still be asked."""
        return self.opinions.get(index)

    def adding(
        self,
        answers: Mapping[Question, Answer] = MappingProxyType({}),
        opinions: Mapping[int, Opinion] = MappingProxyType({}),
        records: Mapping[int, OwnRecords] = MappingProxyType({}),
    ) -> Evidence:
        """This evidence with more answers; an answer already held is kept, and so is a mapping that needs none."""
        return Evidence(
            MappingProxyType({**answers, **self.answers}) if answers else self.answers,
            MappingProxyType({**opinions, **self.opinions}) if opinions else self.opinions,
            self.absent,
            self.at,
            MappingProxyType({**records, **self.records}) if records else self.records,
        )


Check = Generator[frozenset[Ask], Evidence, T]
"""A check in progress: yields what it misses, is sent evidence, returns its result.

Every check starts by yielding once (an empty set will do) to receive the first evidence.
"""


NOTHING: Final[frozenset[Ask]] = frozenset()
"""What a check yields first, to receive evidence. A constant: building the generic alias costs more than the set."""


def ask(evidence: Evidence, questions: Iterable[Question]) -> Generator[frozenset[Ask], Evidence, Evidence]:
    """Yield until every question has an answer; returns evidence that holds them all."""
    wanted = tuple(questions)
    while evidence.absent is _ASK and (missing := [q for q in wanted if q not in evidence.answers]):
        evidence = yield frozenset(missing)
    return evidence


def ask_own_records(question: RecordsQuestion) -> Check[OwnRecords]:
    """Yield until our own records have answered, or are known not to be at hand."""
    evidence = yield NOTHING
    while (found := evidence.records.get(question.number)) is None:
        evidence = yield frozenset((question,))
    return found


def together(checks: Iterable[Check[T]]) -> Check[tuple[T, ...]]:
    """Run checks side by side, so that one round asks for all that any of them misses."""
    running: dict[int, Check[T]] = dict(enumerate(checks))
    results: dict[int, T] = {}
    count = len(running)
    wanted: dict[int, frozenset[Ask]] = {}
    for number, check in running.items():
        try:
            wanted[number] = next(check)
        except StopIteration as done:
            results[number] = done.value
    while wanted:
        evidence = yield NOTHING.union(*wanted.values())
        for number in tuple(wanted):
            try:
                wanted[number] = running[number].send(evidence)
            except StopIteration as done:
                results[number] = done.value
                del wanted[number]
    return tuple(results[number] for number in range(count))


def conclude(check: Check[T], evidence: Evidence) -> T:
    """Run a check on closed evidence; raises LookupError if it still asks for something."""
    try:
        asked = next(check)
        while True:
            if evidence.absent is Absent.ASK and any(
                isinstance(q, Question) and evidence.get(q) is None for q in asked
            ):
                raise LookupError(f"evidence holds no answer for {sorted(map(str, asked))}")
            if asked:
                evidence = evidence.adding(
                    opinions={q.index: Opinion.SKIPPED for q in asked if isinstance(q, OpinionQuestion)},
                    records={q.number: NO_RECORDS for q in asked if isinstance(q, RecordsQuestion)},
                )
            asked = check.send(evidence)
    except StopIteration as done:
        result: T = done.value
        return result


class SessionOrigin(StrEnum):
    """Where the facts of an SMTP session come from; only live and stored ones can prove a forgery."""

    LIVE = "live"  # our own gateway's session, now
    STORED = "stored"  # the same, replayed
    SUPPLIED = "supplied"  # somebody's claim about a saved message


@dataclass(frozen=True, slots=True)
class Session:
    """An SMTP session. ``mail_from`` is "" for the empty reverse path, None when not known."""

    client_ip: str | None
    helo: str | None
    mail_from: str | None
    rcpt_to: tuple[str, ...] = ()
    origin: SessionOrigin = SessionOrigin.SUPPLIED
