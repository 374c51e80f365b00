"""The piece of a text that shows why it was found, with the places of the hits."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from threads.search_query import Query, Term
from threads.search_words import placed_words

BEFORE: Final = 60  # characters shown ahead of the first hit
LENGTH: Final = 200  # about two lines
MAX_SEEN: Final = 50_000  # characters looked through for the hit: twenty such texts are a tenth of a second


@dataclass(frozen=True, slots=True)
class Snippet:
    """One line of text; ``hits`` are places in it, from and to, in order and apart from each other."""

    text: str
    hits: tuple[tuple[int, int], ...] = ()


def snippet(text: str, query: Query) -> Snippet:
    """The first piece of ``text`` with a hit, or its beginning where there is none (it may be in another field)."""
    seen = text[:MAX_SEEN]
    places = _places(seen, query.wanted)
    start = max(0, places[0][0] - BEFORE) if places else 0
    if start:
        blank = seen.find(" ", start, places[0][0])
        start = blank + 1 if blank >= 0 else start
    end = start + LENGTH
    shown = seen[start:end]
    lead, trail = "… " if start else "", " …" if end < len(text) else ""
    hits = tuple(
        (begin - start + len(lead), min(stop, end) - start + len(lead))
        for begin, stop in places
        if begin < end
    )
    # One blank for each control character, so that the places stay right.
    return Snippet(lead + "".join(" " if c.isspace() else c for c in shown) + trail, hits)


def _places(text: str, terms: tuple[Term, ...]) -> list[tuple[int, int]]:
    longest = max(len(term.words) for term in terms)
    behind: deque[tuple[int, int, str]] = deque(maxlen=longest)
    found: list[tuple[int, int]] = []
    limit = len(text)
    for placed in placed_words(text):
        if placed[0] > limit:
            break
        behind.append(placed)
        for term in terms:
            begin = _ends_with(behind, term)
            if begin is None:
                continue
            limit = min(limit, begin + LENGTH)
            if found and begin < found[-1][1]:
                found[-1] = (min(begin, found[-1][0]), max(placed[1], found[-1][1]))
            else:
                found.append((begin, placed[1]))
    return found


def _ends_with(behind: deque[tuple[int, int, str]], term: Term) -> int | None:
    """Where the term begins if it ends with the last word seen."""
    size = len(term.words)
    if len(behind) < size:
        return None
    last = behind[-1][2]
    if not (last.startswith(term.words[-1]) if term.beginning else last == term.words[-1]):
        return None
    first = len(behind) - size
    if any(behind[first + n][2] != word for n, word in enumerate(term.words[:-1])):
        return None
    return behind[first][0]
