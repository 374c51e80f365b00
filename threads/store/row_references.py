"""Deleting rows with whatever refers to them, found by the database's own foreign keys: no table can be forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Integer, String, column, delete, inspect, select, table, update

AT_ONCE: Final = 200
"""Rows of one statement: databases bound how many values it may have."""
# Refers to a message but does not go with it, unless its thread goes: the entry, which has a text of its own.
_LET_GO: Final = frozenset({("timeline", "copy_id")})

Key = int | str
Referring = tuple[str, str, str]
"""A table, its column that refers, and the first column of its own key."""
References = Mapping[str, Sequence[Referring]]
"""Who refers to a table, by its name."""


def references_of(conn: Connection) -> References:
    """What the database says of all its tables; foreign keys of one column only, as all are."""
    there = inspect(conn)
    found: dict[str, list[Referring]] = {}
    for name in there.get_table_names():
        for key in there.get_foreign_keys(name):
            own = there.get_pk_constraint(name)["constrained_columns"]
            if len(key["constrained_columns"]) == 1 and own:
                referring = (name, key["constrained_columns"][0], own[0])
                found.setdefault(key["referred_table"], []).append(referring)
    return found


def delete_rows(conn: Connection, references: References, name: str, key: str, values: Sequence[Key]) -> None:
    """Delete rows of a table by a column, and before them whatever refers to them by it."""
    delete_referring(conn, references, name, values)
    for some in _parts(values):
        rows = table(name, column(key, _kind(some)))
        conn.execute(delete(rows).where(rows.c[key].in_(some)))


def delete_referring(
    conn: Connection,
    references: References,
    name: str,
    values: Sequence[Key],
    leave: frozenset[str] = frozenset(),
) -> None:
    """Delete what refers to the rows with these keys, but not the rows, nor anything of the tables in ``leave``."""
    for other, by, own in references.get(name, ()):
        if other in leave:
            continue
        for some in _parts(values):
            rows = table(other, column(by, _kind(some)), column(own))
            referring = rows.c[by].in_(some)
            if (other, by) in _LET_GO:
                conn.execute(update(rows).where(referring).values({by: None}))
                continue
            if other in references and other != name:
                keys = conn.execute(select(rows.c[own]).where(referring)).scalars().all()
                delete_referring(conn, references, other, keys)
            conn.execute(delete(rows).where(referring))


def _parts(values: Sequence[Key]) -> Iterator[Sequence[Key]]:
    for start in range(0, len(values), AT_ONCE):
        yield values[start : start + AT_ONCE]


def _kind(values: Sequence[Key]) -> Any:
    return Integer() if isinstance(values[0], int) else String()
