"""The schema's version: upgrade, check and backup."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from threads.schema import metadata
from threads.store.audit import trail_is_guarded
from threads.store.engine import Database
from threads.store.errors import StoreError

# The newest revision in threads/migrations/versions. Written here too, so that a command that finds a
# current database need not load alembic; a test keeps the two equal.
HEAD = "0022"
KNOWN = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    "0010",
    "0011",
    "0012",
    "0013",
    "0014",
    "0015",
    "0016",
    "0017",
    "0018",
    "0019",
    "0020",
    "0021",
    HEAD,
)
"""All revisions, oldest first."""


def schema_version(database: Database) -> str | None:
    """The revision that the database is at, or None for an empty one."""
    with database.reading() as connection:
        return _version(connection)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def upgrade(database: Database) -> bool:
    """Bring the schema up to date; returns whether anything was done.

    Raises StoreError for a database of a newer version of the program, which is left alone.
    """
    version = schema_version(database)
    if version == HEAD:
        return False
    _refuse_newer(version)
    from threads.migrations import run  # noqa: PLC0415 -- alembic takes 0.2 s to load and is seldom needed

    with database.writing() as connection:
        if _version(connection) == HEAD:  # another process was first
            return False
        run.upgrade(connection)
    return True


def _refuse_newer(version: str | None) -> None:
    if version is not None and version not in KNOWN:
        raise StoreError(
            f"The database has schema {version}, which this version of the program does not know;"
            " use the newer program, or restore a backup."
        )


def check(database: Database) -> tuple[str, ...]:
    """What is wrong with the database, one sentence each; empty when it is sound and up to date."""
    version = schema_version(database)
    _refuse_newer(version)
    if version != HEAD:
        return ("The schema is not up to date; run `expertmail db upgrade`.",)
    found = []
    with database.reading() as connection:
        missing = sorted(set(metadata.tables) - set(inspect(connection).get_table_names()))
        found += [f"The table {name} is missing; restore a backup." for name in missing]
        if not trail_is_guarded(connection):
            found.append("The audit trail is not guarded against changes any more; restore a backup.")
        if database.path is not None:
            rows = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
            found += [f"The file is damaged ({row}); restore a backup." for row in rows if row != "ok"]
            broken = len(connection.exec_driver_sql("PRAGMA foreign_key_check").all())
            if broken:
                found.append(f"{broken} rows refer to rows that are gone; restore a backup.")
    return tuple(found)


def backup(database: Database, target: Path) -> None:
    """Copy a SQLite database to ``target`` while it is in use; the copy is complete and consistent.

    Raises StoreError when ``target`` exists or cannot be written, and for a database server, which has its
    own tools for that.
    """
    if database.path is None:
        raise StoreError("A PostgreSQL database is backed up with its own pg_dump.")
    if target.exists():
        raise StoreError(f"{target} exists already; choose another name.")
    unfinished = target.with_name(target.name + ".unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        unfinished.touch(mode=0o600)
        with database.reading() as connection:
            source = connection.connection.driver_connection
            if not isinstance(source, sqlite3.Connection):  # pragma: no cover -- path is set for SQLite only
                raise StoreError("A PostgreSQL database is backed up with its own pg_dump.")
            copy = sqlite3.connect(unfinished)
            try:
                # In one step: it reads one snapshot, which in WAL mode stops no writer; in several steps every
                # commit in between would make it begin again.
                source.backup(copy)
            finally:
                copy.close()
        unfinished.rename(target)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"The backup {target} cannot be written ({error}); choose a folder with room."
        ) from error
