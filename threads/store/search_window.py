"""What a search of either database is given beside its query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from threads.search_query import Query

WHOSE: Final = (
    "(SELECT threads.organisation_id FROM search_documents"
    " JOIN messages ON messages.id = search_documents.copy_id JOIN threads ON threads.id = messages.thread_id"
    " WHERE search_documents.number = search_words.{number})"
)
"""The customer on whose thread a hit is, in SQL: asked of each hit by itself, so that no planner looks for all of theirs first."""


@dataclass(frozen=True, slots=True)
class Window:
    """Numbers from ``first`` up to, not with, ``end``; ``only`` names the own ones of a thread or customers, the newest first.

    ``of``: those on threads of these customers only, which are too many to be named.
    """

    first: int
    end: int
    only: tuple[int, ...] | None = None
    of: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, where to look, and which fact has to hold beside it, as ``search_index.fact`` writes it."""

    query: Query
    window: Window
    fact: str | None = None
