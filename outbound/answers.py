"""Which words of a reply answer which question of a request for context. Pure; linear in the reply.

People answer below a copied number ("1. Yes"), beside a repeated question ("1. Was this you? Yes"), all on one line
("1) yes 2) no") or between the quoted questions. What fits none of these stays together as the rest, so that no word is
lost; nothing is guessed from its meaning.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from threads.new_text import SpanKind, SplitText

MAX_LOOKED_AT = 200
"""Characters of a line in which its number is looked for."""

_BULLET = r"[ \t\u3000]*(?:[-*•·][ \t\u3000]+)?[*_]{0,2}"
_WORD = r"(?:question|answer|re|ad|no|nr|q|a|pregunta|respuesta|pergunta|resposta|frage|antwort|réponse|問題|質問|設問|回答|問|答)"
_NUMBER = r"(?P<number>\d{1,2}|[\u2460-\u2473])"  # also full-width digits, and circled numbers up to 20
_AFTER = r"(?:[*_]{0,2}(?:[.):：．）】\]、。]+|番|[ \t]+[-–—]+(?=[ \t]))[*_]{0,2})"
_MARKER = re.compile(
    rf"(?:{_BULLET}(?:{_WORD}[ \t]*[.:#]?[ \t]*|#)[(（【\[]?{_NUMBER}(?![A-Za-z0-9]){_AFTER}?(?![.,:]?\d))"
    rf"|(?:{_BULLET}[(（【\[]?{_NUMBER.replace('number', 'bare')}{_AFTER}(?!\d))"
    rf"|(?:{_BULLET}(?P<circled>[\u2460-\u2473]))",
    re.IGNORECASE,
)
_QUOTE = re.compile(r"[ \t]*(?:[>|｜＞][ \t]*)*")
_INDENT = re.compile(r"[ \t\u3000]*")
_DEEPER = 2  # blanks by which a list inside an answer is set in


@dataclass(frozen=True, slots=True)
class Answered:
    """A question as it was asked, and what was written for it; None: nothing was."""

    question: str
    answer: str | None


@dataclass(frozen=True, slots=True)
class Answers:
    """All questions in their order, and the new text that belongs to none of them."""

    answered: tuple[Answered, ...]
    rest: str

    @property
    def complete(self) -> bool:
        """Whether something was written for every question."""
        return all(one.answer is not None for one in self.answered)


def answers_in(reply: SplitText, questions: Sequence[str]) -> Answers:
    """Pair a reply's new text with the questions of the request that it answers. Never raises."""
    reader = _Reader(tuple(questions))
    for span in reply.spans:
        lines = reply.text[span.start : span.end].splitlines()
        if span.kind is SpanKind.NEW:
            reader.new(lines)
        elif span.kind is SpanKind.QUOTED:
            reader.quoted(lines)
    found = {number: _joined(lines) for number, lines in reader.found.items()}
    rest = _joined(reader.rest)
    if len(questions) == 1 and 1 not in found and rest:  # with one question there is nothing to tell apart
        found, rest = {1: rest}, ""
    return Answers(
        tuple(
            Answered(question, _without(question, found.get(number, "")) or None)
            for number, question in enumerate(questions, start=1)
        ),
        rest,
    )


@dataclass(slots=True)
class _Reader:
    """Goes through the spans in their order and puts each new line where it belongs."""

    questions: tuple[str, ...]
    found: dict[int, list[str]] = field(default_factory=dict)
    rest: list[str] = field(default_factory=list)
    below: int | None = None  # the quoted question that stood last
    expected: str = ""  # what of it is still to come
    plain: tuple[str, ...] = field(init=False)  # the questions for comparing: a reply may repeat each any number of times

    def __post_init__(self) -> None:
        self.plain = tuple(map(_plain, self.questions))

    def quoted(self, lines: list[str]) -> None:
        for line in lines:
            words = line[_end(_QUOTE, line) :]
            said = _plain(words)
            if not said:
                continue
            number, start = _marker(words, len(self.questions))
            asked = self.plain[number - 1] if number else ""
            here = _plain(words[start:])
            if number and here and asked.startswith(here):
                self.below, self.expected = number, asked[len(here) :]
            elif self.below is not None and self.expected.startswith(said):
                self.expected = self.expected[len(said) :]
            else:
                self.below = None

    def new(self, lines: list[str]) -> None:
        if self.below is not None and any(line.strip() for line in lines):
            self.found.setdefault(self.below, []).extend(lines)  # a list in it is the answer's own
            return
        marks = [_marker(line, len(self.questions)) for line in lines]
        starting = {number for number, _ in marks}
        current: int | None = None
        base: int | None = None
        for line, (number, start) in zip(lines, marks, strict=True):
            indent = _end(_INDENT, line[:MAX_LOOKED_AT])
            if number and (base is None or indent < base + _DEEPER):
                base = indent if base is None else min(base, indent)
                current = self._beside(line[start:], number, starting)
            elif current is not None:
                self.found[current].append(line)
            else:
                self.rest.append(line)

    def _beside(self, words: str, number: int, starting: set[int]) -> int:
        """Take the answer of one line, and of those behind it on the same line ("1) yes 2) no")."""
        while number < len(self.questions) and number + 1 not in starting:
            following = re.search(rf"(?:^|[\s,;])[(（]?{number + 1}[.)）:](?=\s)", words[:MAX_LOOKED_AT])
            if following is None:
                break
            self.found.setdefault(number, []).append(words[: following.start()].rstrip(" ,;"))
            words, number = words[following.end() :], number + 1
        self.found.setdefault(number, []).append(words)
        return number


def _marker(line: str, count: int) -> tuple[int, int]:
    """The number that a line begins with, and where its words begin; 0 where it begins with none of the questions'."""
    found = _MARKER.match(line[:MAX_LOOKED_AT])
    if found is None:
        return 0, 0
    digits = found["number"] or found["bare"] or found["circled"]
    number = int(unicodedata.normalize("NFKC", digits))
    return (number, found.end()) if 1 <= number <= count else (0, 0)


def _end(pattern: re.Pattern[str], line: str) -> int:
    """Where a run at the line's beginning ends."""
    found = pattern.match(line)
    return 0 if found is None else found.end()


def _plain(text: str) -> str:
    """Text for comparing: without blanks and case, compatible forms alike."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _joined(lines: list[str]) -> str:
    return "\n".join(line.rstrip() for line in lines).strip()


def _without(question: str, answer: str) -> str:
    """The answer without the question that was repeated before it."""
    asked = _plain(question)
    at = matched = 0
    while matched < len(asked) and at < len(answer):
        here = _plain(answer[at])
        if not asked.startswith(here, matched):
            return answer
        matched, at = matched + len(here), at + 1
    return answer[at:].strip() if matched == len(asked) else answer


_ASKED = re.compile(r"(\d{1,2})\. (.+)")


def questions_in(said: str) -> tuple[str, ...]:
    """The questions of a request, from what it said: the last list of ours that is numbered from 1 without a gap."""
    found: list[str] = []
    open_ = False
    for line in said.splitlines():
        asked = _ASKED.fullmatch(line)
        if asked and int(asked[1]) in {1, len(found) + 1}:
            found = [*found, asked[2]] if int(asked[1]) == len(found) + 1 else [asked[2]]
            open_ = True
        elif open_ and line.startswith("   ") and line.strip():
            # Filling broke the line at a blank, or between two letters of a script that has none.
            blank = " " if found[-1][-1].isascii() or line.strip()[0].isascii() else ""
            found[-1] += blank + line.strip()
        else:
            open_ = False
    return tuple(found)
