"""Searching by tsvector.

Which way is quicker depends on how common the words are, and PostgreSQL's planner does not know that of rare ones and of phrases: it
would walk through a million messages for a word that stands in five, or compare all messages that hold both words of a
phrase. So the newest messages are looked at one by one. Where that is not enough, few that hold all the words are had by their
words; of many, ever more of the newest are.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, text

from threads.search_query import Term
from threads.store.search_window import WHOSE, Asked

NEAR: Final = 1_000
"""So many of the newest messages are looked at one by one: some milliseconds, and common words are found among them."""
FEW: Final = 2_000  # so many messages with all the words are compared one by one, too
MOST_FARTHER: Final = 20  # times as far in the next part, where next to nothing was found
LEAST_FARTHER: Final = 4

# How much a hit counts by its weight D, C, B, A: in the text, not used, in addresses and attachments' names, in the subject.
_RANK: Final = "ts_rank('{0.125, 0.125, 0.5, 1.0}', words, CAST(:query AS tsquery), 1)"
_WHERE: Final = "words @@ CAST(:query AS tsquery) AND number >= :first AND number < :end"
_OF: Final = f" AND {WHOSE.format(number='number')} = ANY(CAST(:of AS integer[]))"
_ALWAYS: Final = {
    "plan_cache_mode": "force_custom_plan",  # what a query costs hangs on its words
    "jit": "off",  # compiling takes longer than searching
    "enable_seqscan": "off",
    "max_parallel_workers_per_gather": "0",  # the processors are the gateway's
}
_BY_WORDS: Final = {"enable_indexscan": "off", "enable_bitmapscan": "on"}
_BY_NUMBER: Final = {"enable_indexscan": "on", "enable_bitmapscan": "off"}


def newest(conn: Connection, asked: Asked, most: int) -> list[int]:
    """Numbers of what is found, the newest first."""
    window = asked.window
    values: dict[str, Any] = {"query": _query(asked), "first": window.first, "end": window.end}
    wanted = _WHERE
    if window.of is not None:
        wanted += _OF
        values["of"] = list(window.of)
    _plan(conn, _ALWAYS | _BY_NUMBER)
    if window.only is not None:
        where = f"{wanted} AND number = ANY(CAST(:only AS bigint[]))"
        return _sorted(_numbers(conn, where, values | {"only": list(window.only)}), most)
    far = NEAR
    while True:
        start = _first_of(conn, asked, far)
        if far > NEAR:
            _plan(conn, _BY_WORDS)
        found = _numbers(conn, wanted, values if start is None else values | {"first": start})
        if start is None or len(found) >= most:
            return _sorted(found, most)
        if far == NEAR:
            _plan(conn, _BY_WORDS)
            held = {**values, "query": _words(asked), "few": FEW + 1}
            if len(_numbers(conn, f"{_WHERE} LIMIT :few", held)) <= FEW:
                return _sorted(_numbers(conn, wanted, values), most)
        _plan(conn, _BY_NUMBER)
        far *= min(MOST_FARTHER, max(LEAST_FARTHER, 2 * most // (len(found) + 1)))


def _first_of(conn: Connection, asked: Asked, far: int) -> int | None:
    """The number with which the newest ``far`` messages of the window begin; None where it holds fewer."""
    statement = text(
        "SELECT number FROM search_words WHERE number >= :first AND number < :end ORDER BY number DESC OFFSET :far LIMIT 1"
    )
    window = asked.window
    found = conn.execute(statement, {"first": window.first, "end": window.end, "far": far - 1}).scalar()
    return None if found is None else int(found)


def _sorted(numbers: list[int], most: int) -> list[int]:
    return sorted(numbers, reverse=True)[:most]


def best(conn: Connection, asked: Asked, most: int) -> list[int]:
    """Numbers of the newest ``most`` that are found, the best first."""
    found = newest(conn, asked, most)
    _plan(conn, _BY_NUMBER)
    where = f"number = ANY(CAST(:found AS bigint[])) ORDER BY {_RANK} DESC, number DESC"
    return _numbers(conn, where, {"query": _query(asked), "found": found})


def _plan(conn: Connection, settings: dict[str, str]) -> None:
    """Tell the planner what is known of this search; it holds until the end of the transaction."""
    said = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    conn.execute(text(f"SELECT {said}"))


def _numbers(conn: Connection, where: str, values: dict[str, Any]) -> list[int]:
    return list(conn.execute(text(f"SELECT number FROM search_words WHERE {where}"), values).scalars())


def _query(asked: Asked) -> str:
    """The query as a tsquery. Words hold letters, digits and signs only: nothing in them can end a string."""
    parts = [*map(_term, asked.query.wanted), *(f"!{_term(term)}" for term in asked.query.unwanted)]
    if asked.fact is not None:
        parts.append(f"'{asked.fact}'")
    return " & ".join(parts)


def _words(asked: Asked) -> str:
    """What the index knows by itself: which messages hold all the words, wherever they stand."""
    parts = []
    for term in asked.query.wanted:
        words = [f"'{word}'" for word in term.words]
        parts += [*words[:-1], words[-1] + (":*" if term.beginning else "")]
    if asked.fact is not None:
        parts.append(f"'{asked.fact}'")
    return " & ".join(parts)


def _term(term: Term) -> str:
    words = [f"'{word}'" for word in term.words]
    if term.beginning:
        words[-1] += ":*"
    return "(" + " <-> ".join(words) + ")"
