"""Calls on a timeline that reached nobody: nothing was said, so they ask the customer nothing, and answer nothing."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, exists

from threads.schema import calls

REACHED: Final = "reached"
"""The one outcome of a call in which somebody was spoken with."""


def reached_nobody(entries: FromClause) -> ColumnElement[bool]:
    """Whether an entry (of the timeline, or an alias of it) is such a call; what was noted without an outcome is none."""
    entry: ColumnElement[Any] = entries.c.id
    return exists().where(calls.c.entry_id == entry, calls.c.outcome != REACHED).correlate(entries)
