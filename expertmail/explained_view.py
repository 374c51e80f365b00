"""An explanation as lines for a terminal: the chain, what would change the verdict, what to do, and every check."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from expertmail.reason_words import SPF
from expertmail.reasons_table import ARC, DMARC, MEANING
from verifier.checks import Checked
from verifier.explanation import Explanation, Link
from verifier.signature_words import REASONS, WEAKNESSES

MAX_SHOWN: Final = 300  # characters of one text from a message
MAX_WIDTH: Final = 120  # columns; longer lines are hard to read, however wide the window
MIN_WIDTH: Final = 40  # columns; in a narrower window lines break as they will
INDENT: Final = "  "

_SENTENCE: Final = 48  # columns in which a sentence is still pleasant to read
_LABEL: Final = 16  # columns of what stands left: "second opinion" and two blanks
_FIELD: Final = 10  # columns of "oversigned", the longest word there


def plain(text: str) -> str:
    """A text from a message, safe to print: no control, bidi or other unprintable characters."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:MAX_SHOWN])
    return shown if len(text) <= MAX_SHOWN else f"{shown} …"


def columns() -> int:
    """The width of the terminal (or COLUMNS, or 80) within what is readable."""
    return max(MIN_WIDTH, min(shutil.get_terminal_size().columns, MAX_WIDTH))


def lines_of(told: Explanation, width: int) -> Iterator[str]:
    """The lines of an explanation, safe to print, each at most ``width`` columns wide unless one word is wider."""
    yield "who answers for it:"
    yield from _chain(told.chain, width)
    yield "what would change this verdict:"
    yield from _list(told.would_change, width)
    yield "what to do now:"
    yield from _list(told.do_now, width)
    yield "checks:"
    for check in told.checks:
        yield from _check(check, width)


def hanging(text: str, first: str, width: int) -> list[str]:
    """A text after ``first``, broken at blanks, the further lines below its beginning."""
    return textwrap.wrap(
        plain(text),
        width,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]


def _chain(chain: tuple[Link, ...], width: int) -> Iterator[str]:
    """Who and finding side by side where that leaves room enough for a sentence, else one below the other."""
    left = max(len(link.what) for link in chain) + 2
    middle = max(len(link.who or "-") for link in chain) + 2
    beside = len(INDENT) + left + middle + _SENTENCE <= width
    for link in chain:
        first = f"{INDENT}{link.what:<{left}}"
        if beside:
            yield from hanging(link.finding, f"{first}{plain(link.who or '-'):<{middle}}", width)
        elif link.who is None:
            yield from hanging(link.finding, first, width)
        else:
            yield f"{first}{plain(link.who)}"
            yield from hanging(link.finding, " " * len(first), width)


def _list(texts: Iterable[str], width: int) -> Iterator[str]:
    for text in texts:
        yield from hanging(text, f"{INDENT}- ", width)


def _check(check: Checked, width: int) -> Iterator[str]:
    """The result with its RFC, and below it reason, evidence and whatever else was found, in columns."""
    rfc = f"  [{check.rfc}]" if check.rfc else ""
    yield f"{INDENT}{check.check:<{_LABEL}}{check.result}{rfc}"
    rows = [("reason", _reason(check.check, code)) for code in (check.reason, *check.also) if code]
    if check.evidence:
        rows.append(("evidence", check.evidence))
    rows += [(detail.what, detail.text) for detail in check.details]
    for what, text in rows:
        first = f"{INDENT}{'':<{_LABEL}}{what:<{_FIELD}}  "
        yield from hanging(text, first, width)


def _reason(check: str, code: str) -> str:
    """A code with its words; one about a header field is followed by a colon and the field's name."""
    name = code.partition(":")[0]
    own = next((table for kind, table in _OWN_WORDS.items() if check.startswith(kind)), {})
    words = own.get(name) or _VERDICT_WORDS.get(name)
    return code if words is None else f"{code}: {words}"


# Two checks may give the same code, so each has its own words.
_OWN_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "DKIM": {**REASONS, **WEAKNESSES},
    "SPF": {reason.value: text for reason, text in SPF.items()},
    "DMARC": DMARC,
    "ARC": {reason.value: text for reason, text in ARC.items()},
}
_VERDICT_WORDS: Final[Mapping[str, str]] = {code.value: text for code, text in MEANING.items()}
