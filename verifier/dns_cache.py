"""Answers of the DNS kept for as long as they say, and no longer than we like. No I/O; time is an argument."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from verifier.evidence import Answer, AnswerStatus, Question

MAX_ENTRIES: Final = 50_000
MAX_OCTETS: Final = 64_000_000  # a TXT answer may have 64 KB, so a count alone is no limit
MAX_TTL: Final = 3_600  # a revoked key or a corrected record is believed within the hour
MAX_NEGATIVE_TTL: Final = 300  # RFC 2308 5 allows three hours; a new key should not wait that long
FAILURE_TTL: Final = 5  # RFC 9520 3.2: failures are kept for at least a second, and five to begin with
_ENTRY_OCTETS: Final = 300  # what an entry without records takes, roughly


class DnsCache:
    """Least recently used answers leave first. ``now`` is any steadily growing number of seconds."""

    def __init__(self, max_entries: int = MAX_ENTRIES, max_octets: int = MAX_OCTETS) -> None:
        self._max_entries = max_entries
        self._max_octets = max_octets
        self._held: OrderedDict[Question, tuple[float, Answer]] = OrderedDict()
        self._octets = 0

    def __len__(self) -> int:
        return len(self._held)

    @property
    def octets(self) -> int:
        """What the answers take, roughly."""
        return self._octets

    def get(self, question: Question, now: float) -> Answer | None:
        """A held answer that is still good."""
        held = self._held.get(question)
        if held is None:
            return None
        if held[0] <= now:
            self._drop(question)
            return None
        self._held.move_to_end(question)
        return held[1]

    def put(self, question: Question, answer: Answer, now: float) -> None:
        """Hold an answer for its TTL, under the caps; one with TTL 0 is not held (RFC 1035 3.2.1)."""
        self._drop(question)
        seconds = lifetime(answer)
        size = _size(question, answer)
        if seconds <= 0 or size > self._max_octets:
            return
        self._held[question] = (now + seconds, answer)
        self._octets += size
        while len(self._held) > self._max_entries or self._octets > self._max_octets:
            self._drop(next(iter(self._held)))

    def _drop(self, question: Question) -> None:
        held = self._held.pop(question, None)
        if held is not None:
            self._octets -= _size(question, held[1])


def lifetime(answer: Answer) -> int:
    """For how many seconds an answer may be reused (RFC 2308 5, RFC 9520 3.2)."""
    if answer.temporary:
        return FAILURE_TTL
    return min(answer.ttl, MAX_TTL if answer.status is AnswerStatus.ANSWER else MAX_NEGATIVE_TTL)


def _size(question: Question, answer: Answer) -> int:
    return _ENTRY_OCTETS + len(question.name) + sum(map(len, answer.records))
