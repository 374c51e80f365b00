"""What an empty record of the newest schema consists of: made once by the real migrations, and then written at once.

Twenty revisions one after the other take a second, and thousands of tests begin with an empty record. The tests of the
migrations themselves run the real ones (``real_migrations``), and see that what is written here is the same.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, inspect

from threads import store
from threads.migrations import run

REAL_UPGRADE: Final = run.upgrade
Row = tuple[Any, ...]


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="fresh-record-")


@cache
def fresh_file() -> Path:
    """A file with an empty record, to be copied."""
    path = Path(_folder().name) / "record.db"
    database = store.open_database(f"sqlite:///{path}")
    with database.writing() as conn:
        REAL_UPGRADE(conn)
    database.close()  # the last one to close it moves the log into the file
    return path


def put_fresh_record(path: Path) -> None:
    """Put an empty record where there is none."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        shutil.copyfile(fresh_file(), path)
        path.chmod(0o600)


@cache
def contents() -> tuple[tuple[str, ...], dict[str, tuple[Row, ...]]]:
    """The statements that make the schema, and the rows that an empty record has, by their tables."""
    with closing(sqlite3.connect(fresh_file())) as made:
        declared = made.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
        ).fetchall()
        virtual = tuple(name for _, name, sql in declared if sql.startswith("CREATE VIRTUAL"))
        # An index for words keeps tables of its own, which come with it.
        kept = [
            (kind, name, sql)
            for kind, name, sql in declared
            if not name.startswith(tuple(f"{one}_" for one in virtual)) and not name.startswith("sqlite_")
        ]
        statements = tuple(sql for _, _, sql in sorted(kept, key=lambda one: one[0] == "trigger"))
        tables = [name for kind, name, _ in kept if kind == "table" and name not in virtual]
        rows = {name: tuple(made.execute(f"SELECT * FROM {name}")) for name in tables}
    return statements, {name: found for name, found in rows.items() if found}


def upgrade(connection: Connection) -> None:
    """In place of ``threads.migrations.run.upgrade``: an empty SQLite file gets all at once, anything else the real thing."""
    if connection.dialect.name != "sqlite" or inspect(connection).get_table_names():
        REAL_UPGRADE(connection)
        return
    statements, rows = contents()
    for statement in statements:
        connection.exec_driver_sql(statement)
    for table, found in rows.items():
        marks = ", ".join("?" * len(found[0]))
        connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({marks})", list(found))
