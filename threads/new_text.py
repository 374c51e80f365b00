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

from threads.quote_words import FIELD_NAMES, MARKERS, OPENERS, VERB_PARTS, VERBS
from threads.signature import is_banner, signature_start
from threads.signature_words import SENT_FROM, SENT_FROM_ENDS

# Lines longer than this are prose or data, never a heading.
_MAX_HEADING = 400
# "On … wrote:" is wrapped over so many lines at most, blank ones included.
_MAX_HEADING_LINES = 6
# The fields of an Outlook block stand within so many lines (long To: fields wrap).
_MAX_BLOCK_LINES = 12
# A field's label is not longer than this, marks and indentation included.
_MAX_LABEL = 48
# A signature with more lines than this below its "-- " is taken for text.
_MAX_SIGNATURE_LINES = 15
# A telephone's "Sent from …" and its link; longer lines that begin so are prose.
_MAX_SENT_FROM = 160
# Programs wrap at 68 to 80 characters; a quoted line and the word after it that fit into fewer were not wrapped.
_WRAPPED_WIDTH = 68
_MAX_INDENTED_MARK = 8
# What servers put above a mail stands within so many lines from its top.
_MAX_BANNER_LINES = 6

_WORD = re.compile(r"\w+")
_ISO_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}\b")
_TIME_OR_YEAR = re.compile(r"\d[:.h]\d\d|\b(?:19|20)\d\d")
_DELIMITER = re.compile(r"(?:--|—+|–{2,}|__+|--+|\*\*\*+|####*|~~~+|===+|\+\+\++|ᐧ)\s*", re.ASCII)
_NAMED_MARK = re.compile(r"[A-Z][A-Za-z]{0,15}>(?:\s|$)")
_VERB_ENDS = tuple(VERBS)
_DELIMITER_STARTS = frozenset("-—–_*#~=+ᐧ")
_LABEL_MARKS = " *_>-|\u00a0\t"
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
        # For each line the next one that is not blank, so that nothing is searched twice.
        self.solid = [self.count] * (self.count + 1)
        following = self.count
        for number in range(self.count - 1, -1, -1):
            if self.short[number] != "":
                following = number
            self.solid[number] = following

    def kinds(self) -> list[SpanKind]:
        number = self._banner()
        handled = number  # no heading begins above this line
        fenced = False
        while number < self.count:
            if self.marked[number] and not fenced:
                start = self._broken_address(handled, number)
                if start >= 0:
                    number = handled = self._attributed(start, number + 1)
                    continue
                self._heading_above(handled, number)
                number = handled = self._quote_run(number)
                continue
            short = self.short[number]
            if not short:
                number += 1
                continue
            if short.startswith("```"):
                fenced = not fenced
            elif not fenced and (":" in short or "：" in short or short[0] in "-_*=" or short[-1] in "-_*="):
                if self._starts_original(number):
                    self._mark(self._above(number), self.count, SpanKind.QUOTED)
                    break
                start = self._attribution(handled, number)
                if start >= 0:
                    number = handled = self._attributed(start, number + 1)
                    continue
            if not fenced and ("@" in short or short[0].isdigit()) and _is_bare_heading(short):
                number = handled = self._attributed(number, number + 1)
                continue
            number += 1
        self._signatures()
        return self.kind

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
        number = self.solid[0]
        while number < self.count and self.kind[number] is SpanKind.SIGNATURE:
            number = self.solid[number + 1]
        return number

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
            end = number + 1
            following = self.solid[end]
            self._mark(number, end, SpanKind.QUOTED)
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
            if "@" in joined and _TIME_OR_YEAR.search(joined) is not None and _opens_by_date(part):
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

    def _starts_original(self, number: int) -> bool:
        short = self.short[number]
        if not short:
            return False
        if short[0] in "-_*=>" or short[-1] in ":：":
            bare = short.strip(" -_*=>").casefold()
            if bare.rstrip(":： ") in MARKERS and (len(bare) != len(short) or short[-1] in ":："):
                return True
        return _field_name(short) in ("from", "date") and self._is_field_block(number)

    def _is_field_block(self, number: int) -> bool:
        """From:, Sent:, To:, Subject: in some language, three of them close together."""
        seen: set[str] = set()
        for following in range(number, min(number + _MAX_BLOCK_LINES, self.count)):
            short = self.short[following]
            name = _field_name(short) if short else ""
            if name in ("from", "date", "to", "subject"):
                seen.add(name)
                if len(seen) >= 3:  # noqa: PLR2004 -- three of the four
                    return True
        return False

    def _attribution(self, floor: int, last: int) -> int:
        """Where the "On … wrote:" begins that ends with this line; -1 where it ends none."""
        short = self.short[last]
        if not short or not _may_end(short):
            return -1
        joined = ""
        found = -1
        for start in range(last, max(floor, last - _MAX_HEADING_LINES + 1) - 1, -1):
            part = self.short[start]
            if part is None or len(joined) + len(part) > _MAX_HEADING:
                break
            if start < last and self.marked[start]:
                break
            if not part:
                if found >= 0:
                    break
                continue
            if start < last and part[-1] in ":：" and not _opens_by_date(part):
                break
            joined = f"{part} {joined}" if joined else part
            dated = _opens_by_date(part)
            if (dated or _may_open(part)) and _is_attribution(joined):
                found = start
            if dated:
                break
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
        for number in range(start + 1, end - 2):
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
        bare = short.strip("<>()[]{}*_ ").casefold()
        return bare.startswith(SENT_FROM) or bare.endswith(SENT_FROM_ENDS) or _is_delimiter(short)


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


def _field_name(short: str) -> str:
    """What the label at the start of a line stands for, such as "from" or "subject"; empty where it is none."""
    end = short.find(":", 0, _MAX_LABEL)
    if end < 0:
        end = short.find("：", 0, _MAX_LABEL)
    if end <= 0:
        return ""
    return FIELD_NAMES.get(short[:end].strip(_LABEL_MARKS).casefold(), "")


def _first_word(short: str) -> str:
    bare = short[:_MAX_LABEL].lstrip("-*_ \"'[(").casefold()
    end = bare.find(" ")
    return (bare if end < 0 else bare[:end]).rstrip(",.")


def _opens_by_date(short: str) -> bool:
    """Whether a heading begins with this line by its date: "On 25 November", "Mi., 25.11.", "2026-11-25"."""
    first = _first_word(short)
    if first[:1].isdigit():
        return len(first) > 1 or _TIME_OR_YEAR.search(short) is not None
    return first in OPENERS and any(character.isdigit() for character in short)


def _may_open(short: str) -> bool:
    """Whether a heading may begin with this line: a date, a preposition before one, an address, or all of it."""
    if "@" in short or _may_end(short):
        return True
    first = _first_word(short)
    return first in OPENERS or first[:1].isdigit()


def _may_end(short: str) -> bool:
    """Whether a heading may end with this line: a colon, or "---- On … wrote ----"."""
    return short[-1] in ":：" or (short[-1] == "-" and short.rstrip("- ").casefold().endswith(_VERB_ENDS))


def _is_attribution(joined: str) -> bool:
    """Whether a joined heading says who wrote when: a verb, a final colon (or dashes), a number or an address."""
    bare = joined.rstrip(" -*_").casefold()
    if bare[-1:] not in (":", "：") and joined[0] != "-":
        return False
    address = "@" in bare
    if not address and not any(character.isdigit() for character in bare):
        return False
    if address and bare.endswith((">:", ">：")) and (joined[0].isdigit() or _TIME_OR_YEAR.search(bare)):
        return True  # Gmail in Japanese, Russian, Hebrew and others: date, name, address, no verb
    return not VERBS.isdisjoint(_WORD.findall(bare)) or any(part in bare for part in VERB_PARTS)


def _is_bare_heading(short: str) -> bool:
    """A heading of one line without a colon: older Gmail's date and name, and Zoho's "On … wrote"."""
    if _ISO_DATE.match(short):
        return "GMT" in short or ("<" in short and short[-1] == ">")
    return (
        short.casefold().endswith(_VERB_ENDS)
        and _opens_by_date(short)
        and _TIME_OR_YEAR.search(short) is not None
    )
