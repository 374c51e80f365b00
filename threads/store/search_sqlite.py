"""Searching by FTS5 (https://www.sqlite.org/fts5.html). Its index is walked backwards from the newest number and left early."""

from __future__ import annotations

import json
from typing import Any, Final

from sqlalchemy import Connection, text

from threads.search_query import Term
from threads.store.search_window import WHOSE, Asked

# How much a hit counts in the subject, in addresses, in attachments' names, in the text; our own words count nothing.
_SCORE: Final = "-bm25(search_words, 8.0, 4.0, 4.0, 1.0, 0.0)"
_WHERE: Final = "search_words MATCH :query AND rowid >= :first AND rowid < :end"
# The plus keeps SQLite from looking each number up with a search of its own.
_ONLY: Final = " AND +rowid IN (SELECT value FROM json_each(:only))"
_OF: Final = f" AND {WHOSE.format(number='rowid')} IN (SELECT value FROM json_each(:of))"


def newest(conn: Connection, asked: Asked, most: int) -> list[int]:
    """Numbers of what is found, the newest first."""
    where, values = _where(asked, most)
    statement = f"SELECT rowid FROM search_words WHERE {where} ORDER BY rowid DESC LIMIT :most"
    return list(conn.execute(text(statement), values).scalars())


def best(conn: Connection, asked: Asked, most: int) -> list[int]:
    """Numbers of the newest ``most`` that are found, the best first."""
    where, values = _where(asked, most)
    statement = (
        f"SELECT number FROM (SELECT rowid AS number, {_SCORE} AS score FROM search_words WHERE {where}"
        " ORDER BY rowid DESC LIMIT :most) ORDER BY score DESC, number DESC"
    )
    return list(conn.execute(text(statement), values).scalars())


def _where(asked: Asked, most: int) -> tuple[str, dict[str, Any]]:
    window = asked.window
    values: dict[str, Any] = {"query": _query(asked), "first": window.first, "end": window.end, "most": most}
    where = _WHERE
    if window.only is not None:
        where += _ONLY
        values["only"] = json.dumps(window.only)
    if window.of is not None:
        where += _OF
        values["of"] = json.dumps(window.of)
    return where, values


def _query(asked: Asked) -> str:
    """The query in FTS5's language. Words hold letters, digits and signs only: nothing in them can end a string."""
    wanted = [_term(term) for term in asked.query.wanted]
    if asked.fact is not None:
        wanted.append(f'"{asked.fact}"')
    unwanted = (f" NOT {_term(term)}" for term in asked.query.unwanted)
    return "(" + " AND ".join(wanted) + ")" + "".join(unwanted)


def _term(term: Term) -> str:
    return '"' + " ".join(term.words) + '"' + (" *" if term.beginning else "")
