"""Statements that every message executes, compiled once and handed to the driver as they stand.

SQLAlchemy works out a statement's text, its parameters and its result anew at each execution, which takes ten times as long
as SQLite takes to carry it out. Here that is done once for each kind of database. What comes out, values and errors,
is what SQLAlchemy would give; only statements without lists of values (``IN``) can be prepared.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement

Processor = Callable[[Any], Any] | None


class _Ready:
    """One statement for one kind of database: text, parameters in the driver's order, and what to do with each value."""

    def __init__(self, statement: ClauseElement, dialect: Dialect, columns: Sequence[str] | None) -> None:
        compiled: Any = statement.compile(dialect=dialect, column_keys=columns)
        if not isinstance(compiled, SQLCompiler) or any(bind.expanding for bind in compiled.bind_names):
            raise TypeError("a statement with lists of values cannot be prepared")
        self.text: Final = str(compiled)
        self.positional: Final = compiled.positiontup is not None
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        processors: Any = compiled._bind_processors  # noqa: SLF001 - what makes a value the driver's has no public name
        names = tuple(compiled.positiontup or binds)
        self._names: Final = names
        # What the caller does not give, the statement holds itself: a limit, a state's name.
        self._held: Final = {binds[n].key: binds[n].effective_value for n in names if not binds[n].required}
        keys = [binds[name].key for name in names]
        self._taken: Final[Any] = itemgetter(*keys) if len(keys) > 1 else _each(keys)
        self._processed: Final = tuple(
            (place, process) for place, name in enumerate(names) if (process := processors.get(name)) is not None
        )
        results: Any = compiled._result_columns  # noqa: SLF001 - as above
        self.row: Final[Any] = namedtuple("Row", [entry.keyname for entry in results]) if results else None  # noqa: PYI024 - made from a statement
        self.results: Final = tuple(_result_processor(entry.type, dialect) for entry in results)
        self.plain: Final = not any(self.results)

    def values(self, given: Mapping[str, Any]) -> tuple[Any, ...] | dict[str, Any]:
        made: tuple[Any, ...] = self._taken({**self._held, **given} if self._held else given)
        if self._processed:
            changed = list(made)
            for place, process in self._processed:
                changed[place] = process(changed[place])
            made = tuple(changed)
        return made if self.positional else dict(zip(self._names, made, strict=True))


def _each(keys: Sequence[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """Like ``itemgetter``, which gives no tuple for a single key."""
    return lambda given: tuple(given[key] for key in keys)


def _result_processor(kind: Any, dialect: Dialect) -> Processor:
    process: Processor = kind.dialect_impl(dialect).result_processor(dialect, None)
    return process


class Prepared:
    """A statement of SQLAlchemy Core; ``columns`` are those of an insert that are given. Made once, at import."""

    def __init__(self, statement: ClauseElement, columns: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._columns = columns
        self._ready: dict[str, _Ready] = {}

    def rows(self, conn: Connection, given: Mapping[str, Any]) -> list[Any]:
        """Execute, and return all rows as named tuples. Raises what SQLAlchemy raises."""
        ready, cursor = self._execute(conn, given)
        try:
            found = cursor.fetchall()
        except conn.dialect.loaded_dbapi.Error as error:  # text that is no UTF-8
            raise _as_sqlalchemy(error, ready.text, conn.dialect) from error
        finally:
            cursor.close()
        row = ready.row
        if row is None:
            return []
        if ready.plain:
            return [row._make(one) for one in found]
        return [
            row._make(
                value if process is None else process(value)
                for process, value in zip(ready.results, one, strict=True)
            )
            for one in found
        ]

    def first(self, conn: Connection, given: Mapping[str, Any]) -> Any | None:
        """The first row, or None."""
        found = self.rows(conn, given)
        return found[0] if found else None

    def one(self, conn: Connection, given: Mapping[str, Any]) -> Any:
        """The one row of a statement that always gives one; ValueError where it does not."""
        (row,) = self.rows(conn, given)
        return row

    def run(self, conn: Connection, given: Mapping[str, Any]) -> int:
        """Execute, and return how many rows were changed."""
        _, cursor = self._execute(conn, given)
        changed = int(cursor.rowcount)
        cursor.close()
        return changed

    def _execute(self, conn: Connection, given: Mapping[str, Any]) -> tuple[_Ready, Any]:
        dialect = conn.dialect
        ready = self._ready.get(dialect.name)
        if ready is None:
            ready = self._ready[dialect.name] = _Ready(self._statement, dialect, self._columns)
        values = ready.values(given)
        driver: Any = conn.connection.dbapi_connection
        cursor = driver.cursor()
        try:
            cursor.execute(ready.text, values)
        except dialect.loaded_dbapi.Error as error:
            cursor.close()
            raise _as_sqlalchemy(error, ready.text, dialect) from error
        return ready, cursor


def _as_sqlalchemy(error: Exception, text: str, dialect: Dialect) -> BaseException:
    base = dialect.loaded_dbapi.Error
    return DBAPIError.instance(text, None, error, base, hide_parameters=True, dialect=dialect)
