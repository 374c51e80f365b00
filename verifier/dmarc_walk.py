"""The DNS tree walk of DMARC (RFC 9989 4.10) and what it says of a name's organisation (4.10.2). Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from verifier.dmarc_record import DmarcRecord, parse
from verifier.evidence import Answer, Evidence, Question

MAX_LABELS: Final = (
    7  # RFC 9989 4.10: of longer names only the name itself is asked, then seven labels and fewer
)
KNOWN_WALKS: Final = 1_024  # which names a domain's walk asks for follows from the domain alone; 3 MB at most
_MAX_NAME: Final = 253  # RFC 1035 2.3.4, without the final dot
_MAX_LABEL: Final = 63
_PREFIX: Final = "_dmarc."


class Walk(NamedTuple):
    """A completed walk: names with one record, longest first, and names whose question failed for the moment.

    Nothing above a record with psd=y or psd=n counts (RFC 9989 4.10).
    """

    start: str
    found: tuple[tuple[str, DmarcRecord], ...]
    failed: tuple[str, ...]

    @property
    def organisation(self) -> str:
        """The organisational domain (RFC 9989 4.10.2); only sure when nothing ``failed``."""
        for name, record in self.found:
            if record.psd == "n":
                return name
            if record.psd == "y" and name != self.start:
                return self.start.rpartition("." + name)[0].rpartition(".")[2] + "." + name
        return self.found[-1][0] if self.found else self.start

    @property
    def suffix(self) -> tuple[str, DmarcRecord] | None:
        """The public suffix (psd=y) above the start, with its record."""
        return next(((name, r) for name, r in self.found if r.psd == "y" and name != self.start), None)

    def own(self) -> DmarcRecord | None:
        """The record at the start itself."""
        return self.found[0][1] if self.found and self.found[0][0] == self.start else None

    def at(self, name: str) -> DmarcRecord | None:
        """The record found at a name."""
        return next((record for found, record in self.found if found == name), None)

    def possible_organisation(self) -> str:
        """The highest name that could be the organisation, whatever the failed questions would have said."""
        return min((self.organisation, *self.failed), key=len)


def walk_names(domain: str) -> tuple[str, ...]:
    """The names a walk visits, longest first: at most eight, the top level included, the root not (RFC 9989 4.10)."""
    names = [domain]
    rest = domain
    labels = domain.count(".") + 1
    if labels > MAX_LABELS + 1:
        rest = ".".join(domain.rsplit(".", MAX_LABELS)[1:])
        names.append(rest)
    while dot := rest.find(".") + 1:
        rest = rest[dot:]
        names.append(rest)
    return tuple(names)


@lru_cache(maxsize=KNOWN_WALKS)
def _steps(domain: str) -> tuple[tuple[str, Question], ...]:
    """The names of a walk that can be asked, each with its question; one that cannot is a missing record."""
    return tuple((name, _question(name)) for name in walk_names(domain) if _askable(name))


@lru_cache(maxsize=KNOWN_WALKS)
def walk_questions(domain: str) -> tuple[Question, ...]:
    """All questions of a walk, so that they can be asked at once."""
    return tuple([question for _, question in _steps(domain)])


def walk(domain: str, evidence: Evidence) -> Walk:
    """Walk up from a domain over evidence that holds an answer to each of `walk_questions`."""
    found: list[tuple[str, DmarcRecord]] = []
    failed: list[str] = []
    for name, question in _steps(domain):
        answer = evidence.get(question)
        if answer is None or answer.temporary:
            failed.append(name)
            continue
        record = only_record(answer) if answer.records else None
        if record is not None:
            found.append((name, record))
            if record.psd != "u":
                break
    return Walk(domain, tuple(found), tuple(failed))


def only_record(answer: Answer) -> DmarcRecord | None:
    """The one DMARC record among TXT values; none and several are the same (RFC 9989 4.10)."""
    records = [record for record in map(parse, answer.records) if record is not None]
    return records[0] if len(records) == 1 else None


def record_question(name: str) -> Question | None:
    """The question for one name's own record; None where the name is too long to be asked for, so has none."""
    return _question(name) if _askable(name) else None


def _askable(name: str) -> bool:
    if len(name) <= _MAX_LABEL:  # nearly every name: no label can be too long
        return bool(name) and ".." not in name and name[0] != "." and name[-1] != "."
    return len(name) <= _MAX_NAME - len(_PREFIX) and all(
        0 < len(label) <= _MAX_LABEL for label in name.split(".")
    )


def _question(name: str) -> Question:
    return Question(f"{_PREFIX}{name}.", "TXT")
