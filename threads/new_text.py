"""What is new in a mail, what it quotes, and its signature: spans over the text, nothing deleted.

Works line by line, once: each line is looked at a bounded number of times and only in its first and last
few hundred characters, so that the time is linear in the text whatever it holds. Where a mail program
marks each quoted line (">"), text between and below is the author's answer and stays new; where it only
puts a heading above the quoted message, everything below the heading is quoted. Below an "On … wrote:" at
the very top, which only people who answer at the bottom leave there, unmarked text is the answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from threads.quote_words import FIELD_NAMES, MARKERS, OPENERS, SENT_FROM, VERB_PARTS, VERBS

# Lines longer than this are prose or data, never a heading.
_MAX_HEADING = 400
# "On … wrote:" is wrapped over so many lines at most, blank ones included.
_MAX_HEADING_LINES = 6
# The fields of an Outlook block stand within so many lines (long To: fields wrap).
_MAX_BLOCK_LINES = 12
# A signature with more lines than this below its "-- " is taken for text.
_MAX_SIGNATURE_LINES = 15
# Programs wrap at 72 to 80 characters; what follows a shorter quoted line was not wrapped off it.
_WRAPPED_WIDTH = 60

_WORD = re.compile(r"\w+")
_ISO_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}\b")
_DELIMITER = re.compile(r"(?:--|—|__+|--+|\*\*\*+|####*|~~~+|===+|\+\+\++|ᐧ)\s*", re.ASCII)
_QUOTE_PREFIX = re.compile(r"[ \t]{0,8}(?:>|\|[ \t]|\|$|[A-Z][A-Za-z]{0,15}>(?:\s|$))")
_HAS_LABEL = re.compile("[:：]")
_LABEL = re.compile(r"\W{0,4}([^:：*]{1,40})[*\s]{0,4}[:：]")
_ADDRESS = re.compile(r"\S@\S")
_VERB_ENDS = tuple(VERBS)
_TRIM = " \t\r\n\u00a0\u200b\ufeff"


class SpanKind(StrEnum):
    """What a stretch of text is."""

    NEW = "new"
    QUOTED = "quoted"
    SIGNATURE = "signature"


@dataclass(frozen=True, slots=True)
class Span:
    """``text[start:end]`` is of that kind."""

    kind: SpanKind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SplitText:
    """A text and its spans, in order, without gaps."""

    text: str
    spans: tuple[Span, ...]

    def of(self, kind: SpanKind) -> str:
        """All text of one kind, without blank lines around it."""
        joined = "".join(self.text[span.start : span.end] for span in self.spans if span.kind is kind)
        return _without_blank_lines(joined)

    @property
    def new(self) -> str:
        """What the author wrote this time."""
        return self.of(SpanKind.NEW)

    @property
    def quoted(self) -> str:
        """What was written before, with its headings."""
        return self.of(SpanKind.QUOTED)

    @property
    def signature(self) -> str:
        """The author's signature, with its delimiter."""
        return self.of(SpanKind.SIGNATURE)


def _without_blank_lines(text: str) -> str:
    text = text.rstrip()
    start = 0
    while (end := text.find("\n", start)) >= 0 and not text[start:end].strip(_TRIM):
        start = end + 1
    return text[start:]


def split_text(text: str) -> SplitText:
    """Tell new text, quoted text and signature apart. Never raises; linear in the text."""
    lines = text.splitlines(keepends=True) if "\n" in text or "\r" in text else [text]
    kinds = _Lines(lines).kinds()
    spans: list[Span] = []
    start = position = 0
    for number, line in enumerate(lines):
        position += len(line)
        if number + 1 == len(lines) or kinds[number + 1] is not kinds[number]:
            if position > start:
                spans.append(Span(kinds[number], start, position))
            start = position
    return SplitText(text, tuple(spans))


class _Lines:
    """One pass over the lines."""

    def __init__(self, lines: list[str]) -> None:
        self.count = len(lines)
        # Only the ends of a line are ever looked at.
        self.short = [line.strip(_TRIM) if len(line) <= _MAX_HEADING else None for line in lines]
        self.blank = [short == "" if short is not None else False for short in self.short]
        self.marked = [
            not blank and _QUOTE_PREFIX.match(line) is not None
            for line, blank in zip(lines, self.blank, strict=True)
        ]
        self.kind = [SpanKind.NEW] * self.count
        self.field = [
            _field_name(short) if short and _HAS_LABEL.search(short) else None for short in self.short
        ]
        # For each line the next one that is not blank, so that nothing is searched twice.
        self.solid = [self.count] * (self.count + 1)
        for number in range(self.count - 1, -1, -1):
            self.solid[number] = self.solid[number + 1] if self.blank[number] else number

    def kinds(self) -> list[SpanKind]:
        number = 0
        fenced = False
        while number < self.count:
            if (self.short[number] or "").startswith("```"):
                fenced = not fenced
            if fenced or self.blank[number]:
                number += 1
            elif self.marked[number]:
                number = self._quote_run(number)
            elif self._starts_original(number):
                self._mark(self._above(number), self.count, SpanKind.QUOTED)
                break
            elif (after := self._attribution(number)) is not None:
                following = self.solid[after]
                answered = self.solid[0] < number
                if answered and following < self.count and not self.marked[following]:
                    self._mark(number, self.count, SpanKind.QUOTED)
                    break
                self._mark(number, following, SpanKind.QUOTED)
                number = following
            else:
                number += 1
        self._signatures()
        return self.kind

    def _mark(self, start: int, end: int, kind: SpanKind) -> None:
        self.kind[start:end] = [kind] * (end - start)

    def _quote_run(self, start: int) -> int:
        """Marked lines, with blank ones and wrapped links between them; returns the line after them."""
        number = start
        while number < self.count and self.marked[number]:
            end = number + 1
            following = self.solid[end]
            self._mark(number, end, SpanKind.QUOTED)
            if self._is_wrapped_link(end):
                self._mark(end, end + 1, SpanKind.QUOTED)
                number = end + 1
            elif following < self.count and self.marked[following]:
                self._mark(end, following, SpanKind.QUOTED)
                number = following
            else:
                return end
        return number

    def _is_wrapped_link(self, number: int) -> bool:
        """Whether an unmarked line is a link that a program broke off the long quoted line above it."""
        if number + 1 >= self.count or not self.marked[number + 1]:
            return False
        above, short = self.short[number - 1], self.short[number]
        return bool(short and above and "://" in short and " " not in short and len(above) >= _WRAPPED_WIDTH)

    def _above(self, number: int) -> int:
        """Where the separator above a heading begins: a line of dashes, blank lines between."""
        before = number - 1
        while before >= 0 and self.blank[before]:
            before -= 1
        short = self.short[before] if before >= 0 else None
        if short and _DELIMITER.fullmatch(short) and self.kind[before] is SpanKind.NEW:
            return before
        return number

    def _starts_original(self, number: int) -> bool:
        short = self.short[number]
        if not short:
            return False
        bare = short.strip(" -_*=>").casefold()
        if bare.rstrip(":： ") in MARKERS and (bare != short.casefold() or short.endswith((":", "："))):
            return True
        return self._is_field_block(number)

    def _is_field_block(self, number: int) -> bool:
        """From:, Sent:, To:, Subject: in some language, three of them close together."""
        first = self.field[number]
        if first not in ("from", "date"):
            return False
        seen = {first}
        for following in range(number + 1, min(number + _MAX_BLOCK_LINES, self.count)):
            name = self.field[following]
            if name is None:
                continue
            seen.add(name)
            if len(seen & {"from", "date", "to", "subject"}) >= 3:  # noqa: PLR2004 -- three of the four
                return True
        return False

    def _attribution(self, number: int) -> int | None:
        """The line after "On … wrote:" if that begins here."""
        short = self.short[number]
        if not short or not _may_open(short):
            return None
        joined = ""
        for following in range(number, min(number + _MAX_HEADING_LINES, self.count)):
            part = self.short[following]
            another = following > number and part and _opens_by_date(part)
            if part is None or len(joined) > _MAX_HEADING or another:
                return None
            joined = f"{joined} {part}".strip()
            if part and _may_end(part):
                if _is_attribution(joined):
                    return following + 1
                break
            if part == "" and not any(c.isdigit() for c in joined):
                return None
        if _ISO_DATE.match(short) and ("GMT" in short or ("<" in short and short.endswith(">"))):
            return number + 1  # older Gmail: a date and a name, no verb
        return None

    def _signatures(self) -> None:
        start = 0
        while start < self.count:
            if self.kind[start] is not SpanKind.NEW:
                start += 1
                continue
            end = start
            while end < self.count and self.kind[end] is SpanKind.NEW:
                end += 1
            self._signature(start, end)
            start = end

    def _signature(self, start: int, end: int) -> None:
        """Mark the signature at the end of one stretch of new text."""
        floor = end
        while floor > start and (self.blank[floor - 1] or self._is_closing(floor - 1)):
            floor -= 1
        if any(self._is_closing(number) for number in range(floor, end)):
            self._mark(floor, end, SpanKind.SIGNATURE)
        else:
            floor = end
        solid = 0
        for number in range(floor - 1, start - 1, -1):
            if self.blank[number]:
                continue
            short = self.short[number]
            if short in ("--", "—") or (short and short.startswith("____") and not short.strip("_")):
                self._mark(number, end, SpanKind.SIGNATURE)
            solid += 1
            if solid > _MAX_SIGNATURE_LINES:
                return

    def _is_closing(self, number: int) -> bool:
        """Whether a line is a telephone's "Sent from …", or a bare row of dashes."""
        short = self.short[number]
        if not short:
            return False
        bare = short.strip("<>()[]{}*_ ").casefold()
        return bare.startswith(SENT_FROM) or _DELIMITER.fullmatch(short) is not None


def _field_name(short: str) -> str | None:
    """What the label at the start of a line stands for, such as "from" or "subject"."""
    found = _LABEL.match(short)
    return None if found is None else FIELD_NAMES.get(found.group(1).strip(" *_>").casefold())


def _first_word(short: str) -> str:
    bare = short.lstrip("-*_ \"'").casefold()
    return next(iter(bare.split(None, 1)), "").rstrip(",.")


def _opens_by_date(short: str) -> bool:
    return _first_word(short) in OPENERS and any(character.isdigit() for character in short)


def _may_open(short: str) -> bool:
    """Whether a heading may begin with this line: a date, a preposition before one, an address, or all of it."""
    first = _first_word(short)
    return first in OPENERS or first[:1].isdigit() or _ADDRESS.search(short) is not None or _may_end(short)


def _may_end(short: str) -> bool:
    """Whether a heading may end with this line: a colon, or "---- On … wrote ----"."""
    return short.endswith((":", "：")) or (
        short.endswith("-") and short.rstrip("- ").casefold().endswith(_VERB_ENDS)
    )


def _is_attribution(joined: str) -> bool:
    """Whether a joined heading says who wrote when: a verb, a final colon (or dashes), a number or an address."""
    bare = joined.rstrip(" -*_").casefold()
    if not bare.endswith((":", "：")) and not joined.startswith("-"):
        return False
    if "@" not in bare and not any(character.isdigit() for character in bare):
        return False
    if "@" in bare and joined[:1].isdigit() and bare.endswith((">:", ">：")):
        return True  # Gmail in Japanese and others: date, name, address, no verb
    return not VERBS.isdisjoint(_WORD.findall(bare)) or any(part in bare for part in VERB_PARTS)
