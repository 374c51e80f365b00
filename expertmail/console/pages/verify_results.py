"""Verdicts that somebody has just asked for: kept in memory for a while, for that session alone, and never on disk."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from expertmail.console.pages.message_view import Hop, MarkedField
from verifier.explanation import Explanation
from verifier.report import Report

LASTS: Final = timedelta(minutes=30)
"""To read an answer, print it, and fetch what it was judged by."""
MAX_RESULTS: Final = 200
"""Questions in memory at one time, of all sessions, the latest ones."""
MAX_OF_SESSION: Final = 20
MAX_OCTETS: Final = 64 * 1024 * 1024
"""Of all that is kept; the oldest goes first."""
_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Earlier:
    """The verdict at receipt; ``taken_off``: so many trace fields stand on top now that the stored copy has not."""

    verdict: str
    at: datetime
    copy_id: str
    disposition: str
    taken_off: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The verdict on one message, with all that its page shows; ``earlier`` is the verdict at receipt, if it is on record."""

    file: str
    size: int
    sha256: str
    subject: str
    report: Report
    explanation: Explanation
    inner: tuple[tuple[Report, Explanation], ...]
    fields: tuple[MarkedField, ...]
    hops: tuple[Hop, ...]
    body: str
    more_body: bool
    notes: tuple[str, ...]
    verdict_json: str
    evidence_json: str
    raw: bytes
    earlier: Earlier | None

    @property
    def octets(self) -> int:
        """About how much memory it takes: characters may take four octets each."""
        fields = sum(len(one.name) + len(one.value) for one in self.fields)
        texts = 4 * (fields + len(self.body)) + 2 * (len(self.verdict_json) + len(self.evidence_json))
        return texts + len(self.raw)


@dataclass(frozen=True, slots=True)
class Result:
    """What was asked at one time; ``refused`` are files that could not be read, in words."""

    session_id: int
    at: datetime
    answers: tuple[Answer, ...]
    refused: tuple[str, ...]

    @property
    def octets(self) -> int:
        """About how much memory it takes."""
        return sum(one.octets for one in self.answers)


class Results:
    """Bounded, and forgetful."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Result] = OrderedDict()

    def keep(self, result: Result) -> str:
        """Keep it; the name by which it is found."""
        name = secrets.token_hex(_ID_BYTES)
        for old in [one for one, found in self._kept.items() if result.at - found.at > LASTS]:
            del self._kept[old]
        mine = [one for one, found in self._kept.items() if found.session_id == result.session_id]
        for old in mine[: max(0, len(mine) - MAX_OF_SESSION + 1)]:
            del self._kept[old]
        self._kept[name] = result
        held = sum(one.octets for one in self._kept.values())
        while len(self._kept) > 1 and (len(self._kept) > MAX_RESULTS or held > MAX_OCTETS):
            held -= self._kept.popitem(last=False)[1].octets
        return name

    def find(self, name: str, session_id: int, now: datetime) -> Result | None:
        """What is kept by that name for that session."""
        found = self._kept.get(name)
        if found is None or found.session_id != session_id:
            return None
        if now - found.at > LASTS:
            del self._kept[name]
            return None
        return found
