"""Reading rows of which some may be damaged: no row keeps its neighbours back, however many there are.

A query gives its rows by their keys, some hundred at a time: what is in memory does not grow with the table. On SQLite
the key is the rowid, which is a whole number whatever stands in the row; on PostgreSQL, where a column holds its type, it is
the id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, Final, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    LargeBinary,
    Row,
    Select,
    Table,
    cast,
    literal_column,
    select,
)

from threads.store.errors import undecodable

AT_ONCE: Final = 100
"""Rows in memory: a text on record is a million characters at most, and few are longer than a page."""

Key = int | str
T = TypeVar("T")


class Damaged:
    """Stands for a row that cannot be read. ``key`` names it in the database."""

    __slots__ = ("key",)

    def __init__(self, key: Key) -> None:
        self.key = key


def key_of(conn: Connection, table: Table) -> ColumnElement[Any]:
    """The expression that names a row of ``table``, which has a text column ``id``."""
    if conn.dialect.name == "sqlite":
        return literal_column(f"{table.name}.rowid", Integer)
    id_column: ColumnElement[Any] = table.c.id
    return id_column


def keys_of(conn: Connection, table: Table, query: Select[Any]) -> tuple[Key, ...]:
    """The keys of the rows of ``query``, in its order; what it selects is not read."""
    keyed = query.with_only_columns(key_of(conn, table), maintain_column_froms=True)
    return tuple(conn.execute(keyed).scalars())


def read_rows(
    conn: Connection, table: Table, query: Select[Any], keys: Sequence[Key], read: Callable[[Row[Any]], T]
) -> Iterator[T | Damaged]:
    """What ``read`` makes of the rows of ``query`` with these keys, in the keys' order; a row that is gone is left out."""
    key = key_of(conn, table)
    keyed = query.add_columns(key.label("row_key")).order_by(None).limit(None)
    for start in range(0, len(keys), AT_ONCE):
        wanted = keys[start : start + AT_ONCE]
        try:
            rows = {row.row_key: row for row in conn.execute(keyed.where(key.in_(wanted)))}
        except Exception as error:
            if not undecodable(error):
                raise
            yield from _one_by_one(conn, keyed, key, wanted, read)
            continue
        for one in wanted:
            if one in rows:
                yield _read(read, rows[one], one)


def _one_by_one(
    conn: Connection,
    keyed: Select[Any],
    key: ColumnElement[Any],
    wanted: Iterable[Key],
    read: Callable[[Row[Any]], T],
) -> Iterator[T | Damaged]:
    for one in wanted:
        try:
            row = conn.execute(keyed.where(key == one)).one_or_none()
        except Exception as error:
            if not undecodable(error):
                raise
            yield Damaged(one)
        else:
            if row is not None:
                yield _read(read, row, one)


def _read(read: Callable[[Row[Any]], T], row: Row[Any], key: Key) -> T | Damaged:
    try:
        return read(row)
    except Exception as error:
        if not undecodable(error):
            raise
        return Damaged(key)


def well_typed(row: Row[Any], columns: Iterable[Column[Any]]) -> None:
    """Raise TypeError for a value of another type than its column's: SQLite stores any type in any column."""
    for column in columns:
        _check_type(column, getattr(row, column.name))


def _check_type(column: Column[Any], value: object) -> None:
    if not isinstance(value, column.type.python_type) and not (value is None and column.nullable):
        raise TypeError(f"{column.name} is {type(value).__name__}")


def readable_id(conn: Connection, table: Table, key: Key) -> str:
    """The id of a row as text that can be shown, whatever stands there."""
    if isinstance(key, str):
        return key
    kept = conn.execute(select(cast(table.c.id, LargeBinary)).where(key_of(conn, table) == key)).scalar_one()
    return bytes(kept or b"").decode("utf-8", "backslashreplace")


def damaged_columns(
    conn: Connection, table: Table, key: Key, words: dict[str, type[StrEnum]]
) -> tuple[str, ...]:
    """Names of the columns of one row that cannot be read; those in ``words`` hold one of so many words."""
    found = []
    for column in table.c:
        try:
            value = conn.execute(select(column).where(key_of(conn, table) == key)).scalar_one()
            _check_type(column, value)
            if column.name in words:
                words[column.name](value)
        except Exception as error:
            if not undecodable(error):
                raise
            found.append(column.name)
    return tuple(found)
