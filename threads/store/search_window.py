"""What a search of either database is given beside its query."""

from __future__ import annotations

from dataclasses import dataclass

from threads.search_query import Query


@dataclass(frozen=True, slots=True)
class Window:
    """Numbers from ``first`` up to, not with, ``end``; ``only`` names the own ones of a thread, the newest first."""

    first: int
    end: int
    only: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, where to look, and which fact has to hold beside it, as ``search_index.fact`` writes it."""

    query: Query
    window: Window
    fact: str | None = None
