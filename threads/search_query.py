"""What a person types to search: words, "phrases", beginnings*, and -without. Anything typed is a query or a plain refusal.

All of it has to be found in a message, in any order, in any of its searched fields. Nothing else has a meaning: AND, OR, NOT,
NEAR and from: are words, every other character only parts them. An address, a number with dots or a file's name is a phrase.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from threads.search_words import stands_alone, words_of

MAX_QUERY: Final = 1_000  # characters: some sentences; a pasted mail is no query
MAX_TERMS: Final = 16  # words and phrases of one query: each is looked up on its own
MAX_WORDS: Final = 100  # of all phrases together
MIN_BEGINNING: Final = 2  # one letter begins a tenth of all words there are

_QUOTES: Final = str.maketrans("“”„‟«»＂", '"""""""')
_TERM: Final = re.compile(r'(-?)(?:"([^"]*)"?|([^\s"]+))(\*?)')


class QueryError(ValueError):
    """What was typed cannot be looked for; the text is one sentence that says why."""


@dataclass(frozen=True, slots=True)
class Term:
    """Words that stand one after the other; of ``beginning`` the last one may go on. ``without``: it must not be there."""

    words: tuple[str, ...]
    beginning: bool = False
    without: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """At least one term that must be there."""

    terms: tuple[Term, ...]

    @property
    def wanted(self) -> tuple[Term, ...]:
        """What has to be found."""
        return tuple(term for term in self.terms if not term.without)

    @property
    def unwanted(self) -> tuple[Term, ...]:
        """What must not be found."""
        return tuple(term for term in self.terms if term.without)


def read_query(text: str) -> Query:
    """The query that a text means. Raises QueryError."""
    if len(text) > MAX_QUERY:
        raise QueryError(f"That is too long to look for; give at most {MAX_QUERY:,} characters.")
    terms: dict[Term, None] = {}
    for found in _TERM.finditer(text.translate(_QUOTES)):
        minus, phrase, word, star = found.groups()
        written = word if phrase is None else phrase
        term = _term(written, beginning=bool(star) or (phrase is None and written.endswith("*")), minus=minus)
        if term is not None:
            terms[term] = None
    if len(terms) > MAX_TERMS or sum(len(term.words) for term in terms) > MAX_WORDS:
        raise QueryError(f"That is too much to look for at once; give at most {MAX_TERMS} words or phrases.")
    query = Query(tuple(terms))
    if not query.wanted:
        raise QueryError("There is nothing to look for; give at least one word that has to be there.")
    return query


def _term(written: str, *, beginning: bool, minus: str) -> Term | None:
    words = tuple(words_of(written, MAX_WORDS + 1))
    if not words:
        return None
    if beginning and stands_alone(words[-1]):
        beginning = False  # one character is all there is to such a word
    if beginning and len(words[-1]) < MIN_BEGINNING:
        raise QueryError(f"A beginning needs {MIN_BEGINNING} letters at least: {words[-1]}* is too short.")
    return Term(words, beginning, bool(minus))
