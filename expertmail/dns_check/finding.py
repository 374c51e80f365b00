"""What ``dns check`` finds: one value for each thing looked at, with the records that put it right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from expertmail.dns_check.codes import Area, Code, Severity
from expertmail.dns_check.rules import RULES
from verifier.evidence import NOTHING, Answer, AnswerStatus, Check, Question, ask

MAX_SHOWN: Final = (
    160  # characters of a record that is quoted: a person sees which it is, and no terminal is flooded
)
MAX_QUOTED: Final = 5  # records of one name that are shown
MAX_RECORD: Final = (
    1_024  # characters of a record of fixed form; real ones have a hundred, and more is no such record
)
_GIVEN_UP: Final = Answer(AnswerStatus.TIMEOUT)


class Published(NamedTuple):
    """A record to publish: owner name, type, and its text (for TXT the value itself, of any length)."""

    name: str
    type: str
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``subject`` is the name or address that it is about."""

    severity: Severity
    code: Code
    area: Area
    subject: str
    found: str
    why: str = ""
    rfc: str = ""
    publish: tuple[Published, ...] = ()
    serve: str = ""  # a file's content to serve, for MTA-STS


Findings = tuple[Finding, ...]


def finding(
    code: Code, subject: str, found: str, publish: Iterable[Published] = (), serve: str = ""
) -> Finding:
    """A finding by its rule."""
    rule = RULES[code]
    return Finding(rule.severity, code, rule.area, subject, found, rule.why, rule.rfc, tuple(publish), serve)


def fine(area: Area, subject: str, found: str) -> Finding:
    """Something that is as it should be."""
    return Finding(Severity.OK, Code.OK, area, subject, found)


def unchecked(area: Area, subject: str, questions: Iterable[Question]) -> Finding:
    """What the DNS gave no answer about: never a fault (RFC 1035 4.1.1, RFC 2308 7)."""
    names = ", ".join(f"{question.type} of {shown(question.name)}" for question in dict.fromkeys(questions))
    rule = RULES[Code.UNCHECKED]
    return Finding(
        rule.severity, Code.UNCHECKED, area, subject, f"DNS gave no answer: {names}", rule.why, rule.rfc
    )


def shown(text: str) -> str:
    """Text out of the DNS for people: printable ASCII, other octets as a backslash and three digits, cut where long."""
    cut = text[:MAX_SHOWN]
    octets = cut.encode("utf-8", "surrogateescape")
    clean = "".join(chr(o) if 0x20 <= o < 0x7F else f"\\{o:03d}" for o in octets)  # noqa: PLR2004 - ASCII
    return clean if len(cut) == len(text) else f"{clean}… ({len(text)} characters)"


def quoted(texts: Iterable[str]) -> str:
    """The first few of several texts."""
    held = tuple(texts)
    more = f" and {len(held) - MAX_QUOTED} more" if len(held) > MAX_QUOTED else ""
    return " | ".join(map(shown, held[:MAX_QUOTED])) + more


def fetch(*questions: Question) -> Check[tuple[Answer, ...]]:
    """Answers in the order of the questions."""
    evidence = yield NOTHING
    evidence = yield from ask(evidence, questions)
    return tuple(evidence.get(question) or _GIVEN_UP for question in questions)


def unanswered(questions: Iterable[Question], answers: Iterable[Answer]) -> tuple[Question, ...]:
    """The questions that had a temporary error."""
    return tuple(q for q, answer in zip(questions, answers, strict=True) if answer.temporary)
