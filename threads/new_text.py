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

from threads.quote_heading import (
    bare_field_name,
    field_name,
    has_digit,
    has_time_or_year,
    has_verb,
    is_bare_heading,
    is_logged,
    is_notes_rule,
    is_notes_time,
    may_end,
    may_open,
    opens_by_date,
)
from threads.quote_words import MARKERS
from threads.signature import is_banner, signature_start
from threads.signature_words import SENT_FROM, SENT_FROM_ENDS

# Lines longer than this are prose or data, never a heading.
_MAX_HEADING = 400
# "On … wrote:" is wrapped over so many lines at most, blank ones included.
_MAX_HEADING_LINES = 6
# The fields of an Outlook block stand within so many lines (long To: fields wrap).
_MAX_BLOCK_LINES = 12
# Lotus Notes puts the name, and who sent it in its stead, above the time.
_MAX_NOTES_NAME = 2
# A signature with more lines than this below its "-- " is taken for text.
_MAX_SIGNATURE_LINES = 15
# A telephone's "Sent from …" and its link; longer lines that begin so are prose.
_MAX_SENT_FROM = 160
# Programs wrap at 68 to 80 characters; a quoted line and the word after it that fit into fewer were not wrapped.
_WRAPPED_WIDTH = 68
# Below a telephone's line that stands alone a message may stand that nothing marks; who writes so much more than this
# above it does not write on a telephone.
_MAX_ABOVE_OLD = 300
_MAX_INDENTED_MARK = 8
# A signature of several large keys still ends within so many lines.
_MAX_ARMOUR_LINES = 200
# 45 octets of a file inside the text are 61 characters, and some programs add one.
_MAX_UU_LINE = 64
# What servers put above a mail stands within so many lines from its top.
_MAX_BANNER_LINES = 6

_ARMOUR = "-----BEGIN PGP SIGN"
_UU_BEGIN = re.compile(r"begin [0-7]{3,4} \S")
_DELIMITER = re.compile(r"(?:--|—+|–{2,}|__+|--+|\*\*\*+|####*|~~~+|===+|\+\+\++|ᐧ)\s*", re.ASCII)
_NAMED_MARK = re.compile(r"[A-Z][A-Za-z]{0,15}>(?:\s|$)")
_DELIMITER_STARTS = frozenset("-—–_*#~=+ᐧ")
_RULES = "-_*=‐–—"
_RULES_AND_BLANKS = _RULES + " >"
_TRIM = " \t\r\n\u00a0\u200b\u200e\u200f\u202a\u202b\u202c\ufeff"
# What str.strip leaves of those.
_UNSEEN = frozenset("\u200b\u200e\u200f\u202a\u202b\u202c\ufeff")


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
        self.lines = lines
        self.count = len(lines)
        self.kind = [SpanKind.NEW] * self.count
        # Only the ends of a line are ever looked at: no longer one is a heading.
        self.short: list[str | None] = []
        self.marked: list[bool] = []
        for line in lines:
            short = line.strip()
            if short and (short[0] in _UNSEEN or short[-1] in _UNSEEN):
                short = short.strip(_TRIM)
            self.marked.append(bool(short) and _is_marked(line, short))
            self.short.append(short if len(line) <= _MAX_HEADING else None)
        # What each line's label stands for, once it was asked for.
        self.field: list[str | None] = [None] * self.count
        # For each line the next one that is not blank, so that nothing is searched twice.
        self.solid = [self.count] * (self.count + 1)
        following = self.count
        for number in range(self.count - 1, -1, -1):
            if self.short[number] != "":
                following = number
            self.solid[number] = following
        # Where _first_new goes on: no line that is part of a signature becomes anything else.
        self.first = self.solid[0]

    def kinds(self) -> list[SpanKind]:
        number = self._banner()
        handled = number  # no heading begins above this line
        fenced = False
        while number < self.count:
            short = self.short[number]
            if self.marked[number] and not fenced:
                number = handled = self._quoted(handled, number)
                continue
            if short:
                if short.startswith("```"):
                    fenced = not fenced
                elif not fenced and (after := self._announced(handled, number, short)) > number:
                    number = handled = after
                    continue
            number += 1
        self._signatures()
        return self.kind

    def _quoted(self, floor: int, number: int) -> int:
        """Mark a run of marked lines and the heading above it; returns the line after them."""
        start = self._broken_address(floor, number)
        if start >= 0:
            return self._attributed(start, number + 1)
        self._heading_above(floor, number)
        return self._quote_run(number)

    def _announced(self, floor: int, number: int, short: str) -> int:
        """Mark what a line that is not marked itself announces; returns the line to go on with, ``number`` for nothing."""
        first = short[0]
        if ":" in short or "：" in short or first.isdigit() or first in _RULES or short[-1] in _RULES:
            if first == "-" and short.startswith(_ARMOUR) and (after := self._armour(number)) > number:
                self._mark(number, after, SpanKind.SIGNATURE)
                return after
            original = self._original(floor, number, short)
            if original >= 0:
                self._mark(self._above(original), self.count, SpanKind.QUOTED)
                return self.count
            start = self._attribution(floor, number)
            if start >= 0:
                return self._attributed(start, number + 1)
        if first == "b" and (after := self._uuencoded(number)) > number:
            self._mark(number, after, SpanKind.QUOTED)
            return after
        if ("@" in short or first.isdigit()) and is_bare_heading(short):
            return self._attributed(number, number + 1)
        return number

    def _uuencoded(self, number: int) -> int:
        """The line after a file inside the text that begins here ("begin 644 name"); ``number`` where none does."""
        if _UU_BEGIN.match(self.lines[number]) is None:
            return number
        following = number + 1
        while following < self.count:
            line = self.lines[following].rstrip("\r\n")
            following += 1
            if line.rstrip() == "end":
                return following
            # Its first character tells how many octets follow, four characters for three.
            if not line or not " " <= line[0] <= "`" or len(line) > _MAX_UU_LINE:
                break
        return number

    def _armour(self, number: int) -> int:
        """The line after what OpenPGP puts around a signed text (RFC 9580 7): a heading with its Hash, or the signature."""
        short = self.short[number]
        following = number + 1
        if short == "-----BEGIN PGP SIGNED MESSAGE-----":
            while following < self.count and (self.short[following] or "").startswith("Hash: "):
                following += 1
            return following
        if short != "-----BEGIN PGP SIGNATURE-----":
            return number
        while following < min(self.count, number + _MAX_ARMOUR_LINES):
            line = self.short[following] or ""
            following += 1
            if line.startswith("-----"):
                return following if line == "-----END PGP SIGNATURE-----" else number
        return number

    def _broken_address(self, floor: int, number: int) -> int:
        """Where a heading begins whose address was broken off before its ">", which then looks like a mark; or -1."""
        above, short = self.short[number - 1] if number > floor else None, self.short[number]
        if not above or not short or short[-1] not in ":：" or above.rfind("<") <= above.rfind(">"):
            return -1
        return self._attribution(floor, number)

    def _attributed(self, start: int, after: int) -> int:
        """Mark what a heading announces; returns the line to go on with."""
        following = self.solid[after]
        answered = self._first_new() < start
        if answered and following < self.count and not self.marked[following]:
            self._mark(start, self.count, SpanKind.QUOTED)
            return self.count
        self._mark(start, following, SpanKind.QUOTED)
        return following

    def _first_new(self) -> int:
        """The first written line that is not what a server put above the text."""
        while self.first < self.count and self.kind[self.first] is SpanKind.SIGNATURE:
            self.first = self.solid[self.first + 1]
        return self.first

    def _mark(self, start: int, end: int, kind: SpanKind) -> None:
        self.kind[start:end] = [kind] * (end - start)

    def _banner(self) -> int:
        """Mark what a server put above a mail from outside; returns the line after it."""
        number = self.solid[0]
        if number < min(self.count, _MAX_BANNER_LINES) and is_banner(
            self.lines[number][:_MAX_HEADING].strip()
        ):
            self._mark(0, number + 1, SpanKind.SIGNATURE)
            return number + 1
        return 0

    def _quote_run(self, start: int) -> int:
        """Marked lines, with blank ones and wrapped ends between them; returns the line after them."""
        number = start
        while number < self.count and self.marked[number]:
            self.kind[number] = SpanKind.QUOTED
            end = number + 1
            if end < self.count and self.marked[end]:
                number = end
                continue
            following = self.solid[end]
            if self._is_wrapped_end(end):
                self._mark(end, end + 1, SpanKind.QUOTED)
                number = end + 1
            elif following < self.count and self.marked[following]:
                self._mark(end, following, SpanKind.QUOTED)
                number = following
            else:
                return end
        return number

    def _is_wrapped_end(self, number: int) -> bool:
        """Whether an unmarked line is what a program broke off the long quoted line above it."""
        if number + 1 >= self.count or not self.marked[number + 1]:
            return False
        above, short = self.short[number - 1], self.short[number]
        if not short or not above or short[0].isupper() or (short[0].isdigit() and "://" not in short):
            return False
        space = short.find(" ")
        return len(above) + 1 + (len(short) if space < 0 else space) > _WRAPPED_WIDTH

    def _heading_above(self, floor: int, number: int) -> None:
        """Mark a heading in words that are not known, directly above a marked line: who, when, and a colon."""
        last = number - 1
        if last >= floor and self.short[last] == "":
            last -= 1
        short = self.short[last] if last >= floor else None
        if not short or short[-1] not in ":：" or self.kind[last] is not SpanKind.NEW:
            return
        joined = short
        for start in range(last, max(floor, last - 2) - 1, -1):
            part = self.short[start]
            if not part:
                return
            joined = part if start == last else f"{part} {joined}"
            if "@" in joined and has_time_or_year(joined) and opens_by_date(part):
                self._mark(start, number, SpanKind.QUOTED)
                return

    def _above(self, number: int) -> int:
        """Where the separator above a heading begins: a line of dashes, blank lines between."""
        before = number - 1
        while before >= 0 and self.short[before] == "":
            before -= 1
        short = self.short[before] if before >= 0 else None
        if short and self.kind[before] is SpanKind.NEW and _is_delimiter(short):
            return before
        return number

    def _original(self, floor: int, number: int, short: str) -> int:
        """Where the block begins that this line tells to be the message that is answered; -1 where it tells none."""
        if short[0].isdigit():
            return self._notes_block(floor, number) if is_notes_time(short) else -1
        return number if self._starts_original(number) else -1

    def _starts_original(self, number: int) -> bool:
        short = self.short[number]
        if not short:
            return False
        if short[0] in _RULES or short[0] == ">" or short[-1] in ":：":
            bare = short.strip(_RULES_AND_BLANKS)
            if not bare:
                return False
            if short[0] == short[-1] == "-" and is_notes_rule(bare):
                return True
            if (len(bare) != len(short) or short[-1] in ":：") and bare.casefold().rstrip(":： ") in MARKERS:
                return True
        return self._field(number) in ("from", "date") and self._is_field_block(number)

    def _field(self, number: int) -> str:
        found = self.field[number]
        if found is None:
            short = self.short[number]
            found = self.field[number] = field_name(short) if short else ""
        return found

    def _is_field_block(self, number: int) -> bool:
        """From:, Sent:, To:, Subject: in some language, three of them close together."""
        seen: set[str] = set()
        for following in range(number, min(number + _MAX_BLOCK_LINES, self.count)):
            name = self._field(following)
            if name in ("from", "date", "to", "subject"):
                seen.add(name)
                if len(seen) >= 3:  # noqa: PLR2004 -- three of the four
                    return True
        return False

    def _notes_block(self, floor: int, number: int) -> int:
        """Where the heading of Lotus Notes begins whose time stands on this line; -1 where it is none.

        Above the time a name of Notes or an address, below it "To", "cc" and "Subject", each on a line of its own.
        """
        start = number
        while start > max(floor, number - _MAX_NOTES_NAME) and self.short[start - 1]:
            start -= 1
        name = self.short[start] or ""
        if start == number or not ("@" in name or "/" in name):
            return -1
        seen: set[str] = set()
        for following in range(number + 1, min(number + _MAX_BLOCK_LINES, self.count)):
            seen.add(bare_field_name(self.short[following] or "") or self._field(following))
        return start if {"to", "subject"} <= seen else -1

    def _attribution(self, floor: int, last: int) -> int:  # noqa: C901 -- one loop that ends for one of several reasons
        """Where the "On … wrote:" begins that ends with this line; -1 where it ends none.

        Who wrote when: a verb (or an address in angle brackets and a time at the end: Gmail in Japanese, Russian, Hebrew
        and others has no verb), and a number or an address. Looks at no line that an earlier heading could have ended
        with, so each line is looked at once.
        """
        short = self.short[last]
        if not short or not may_end(short):
            return -1
        bracketed = short.rstrip(" -*_").endswith((">:", ">："))
        length = 0
        verb = address = numbered = timed = False
        found = -1
        for start in range(last, max(floor, last - _MAX_HEADING_LINES + 1) - 1, -1):
            part = self.short[start]
            if part is None or length + len(part) > _MAX_HEADING:
                break
            if start < last and self.marked[start]:
                break
            if not part:
                if found >= 0:
                    break
                continue
            if start < last and part[-1] in ":：":
                break
            length += len(part)
            address = address or "@" in part
            numbered = numbered or has_digit(part)
            timed = timed or (bracketed and has_time_or_year(part))
            verb = verb or has_verb(part)
            if is_logged(part):
                break
            said = verb or (bracketed and address and (timed or part[0].isdigit()))
            if said and (address or numbered):
                if opens_by_date(part):
                    return start
                if may_open(part):
                    found = start
        return found

    def _signatures(self) -> None:
        start = 0
        last_start = last_end = 0
        while start < self.count:
            if self.kind[start] is not SpanKind.NEW:
                start += 1
                continue
            end = start
            written = False
            while end < self.count and self.kind[end] is SpanKind.NEW:
                written = written or self.short[end] != ""
                end += 1
            if written:
                floor = self._signature(start, end)
                if self.solid[start] < floor:
                    last_start, last_end = start, floor
            start = end
        if last_end:
            self._last_signature(last_start, last_end)

    def _signature(self, start: int, end: int) -> int:
        """Mark the delimited signature at the end of one stretch of new text; returns where it begins."""
        floor = end
        closed = False
        while floor > start and (self.short[floor - 1] == "" or self._is_closing(floor - 1)):
            floor -= 1
            closed = closed or self.short[floor] != ""
        if not closed:
            floor = end
        found = floor
        solid = 0
        for number in range(floor - 1, start - 1, -1):
            short = self.short[number]
            if short == "":
                continue
            if short and short[0] in "-_—" and _is_rule(short):
                found = number
                solid = 0  # signatures are built of several such blocks
            solid += 1
            if solid > _MAX_SIGNATURE_LINES:
                break
        self._mark(found, end, SpanKind.SIGNATURE)
        return found

    def _last_signature(self, start: int, end: int) -> None:
        """Mark the signature that no delimiter tells, at the end of what was written last."""
        first = self._first_new()
        begins = signature_start(self.lines, self.short, start, end)
        if begins < end and first < begins:
            self._mark(begins, end, SpanKind.SIGNATURE)
            end = begins
        # Below a telephone's line that stands alone, some programs put the message that is answered, unmarked.
        for number in range(start + 1, min(end - 2, start + _MAX_ABOVE_OLD)):
            short = self.short[number]
            if (
                short
                and len(short) <= _MAX_SENT_FROM
                and self.short[number - 1] == ""
                and self.short[number + 1] == ""
                and first < number
                and short[-1] not in ".!?,:"
                and self._is_closing(number)
            ):
                self._mark(number, number + 1, SpanKind.SIGNATURE)
                self._mark(number + 1, end, SpanKind.QUOTED)
                return

    def _is_closing(self, number: int) -> bool:
        """Whether a line is a telephone's "Sent from …", or a bare row of dashes."""
        short = self.short[number]
        if not short or len(short) > _MAX_SENT_FROM:
            return False
        if _is_delimiter(short):
            return True
        bare = short.strip("<>()[]{}*_ ").casefold()
        return bare.startswith(SENT_FROM) or bare.endswith(SENT_FROM_ENDS)


def _is_marked(line: str, short: str) -> bool:
    """Whether a program marked a line as quoted: ">", "|", or the initials of usenet."""
    first = short[0]
    if first in ">|":
        if first == "|" and len(short) > 1 and short[1] not in " \t":
            return False
        return line[0] == first or line.find(first) <= _MAX_INDENTED_MARK
    return "A" <= first <= "Z" and ">" in short[:17] and _NAMED_MARK.match(short) is not None


def _is_delimiter(short: str) -> bool:
    return short[0] in _DELIMITER_STARTS and _DELIMITER.fullmatch(short) is not None


def _is_rule(short: str) -> bool:
    """Whether a line sets a signature off: "-- ", or a row of underscores or long dashes."""
    return short == "--" or not short.strip("—") or (len(short) > 1 and not short.strip("_"))
