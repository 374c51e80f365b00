"""Putting a backup in the place of the record.

The copy is checked first, and what is there is kept: as a backup beside it, or, where it cannot be read any more, moved
away. The copy then goes in through SQLite itself, in one transaction: a program that has the database open sees the old
record or the restored one, and a crash leaves one of the two.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, select, text

from threads.schema import audit, messages, organisations, threads
from threads.store.engine import BUSY_TIMEOUT_MS, DATABASE_MODE, Database, open_database
from threads.store.errors import RefusedRecord, StoreError, UnknownRecord
from threads.store.migration import KNOWN, backup, check, schema_version, upgrade
from threads.store.turn import TRY_AGAIN_SECONDS

_HOLDING: Final = (organisations, threads, messages, audit)
"""A record in which one of these has a row holds something."""
_LOGS: Final = ("-wal", "-shm")


def restore(target: Path, copy: Path, at: datetime, *, force: bool = False) -> Path | None:
    """Let ``copy`` be the record in ``target``, an SQLite file that need not be there; returns where the old record is kept, if there was one.

    Stop the gateway before: what it knows of the old record is of no use. Raises UnknownRecord for a copy that is not there,
    RefusedRecord for one that is damaged, newer than the program, or no record, and for a target that holds something
    unless ``force``; StoreError where the disk refuses.
    """
    if not copy.is_file():
        raise UnknownRecord(f"There is no file {copy}.")
    if target.exists() and copy.resolve() == target.resolve():
        raise RefusedRecord(f"{copy} is the record itself.")
    try:
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=target.parent) as folder:
            checked = _checked(copy, Path(folder) / "copy.db")
            kept = _put_aside(target, at, force=force)
            _pour(checked, target)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"{copy} cannot be restored ({error}); see that the gateway is stopped and the disk has room."
        ) from error
    return kept


def _checked(copy: Path, own: Path) -> Path:
    """A copy of the copy, brought up to date and found sound: what is wrong is found before anything is touched."""
    shutil.copyfile(copy, own)
    own.chmod(DATABASE_MODE)
    try:
        database = open_database(f"sqlite:///{own}")
    except StoreError as error:
        raise RefusedRecord(f"{copy} is no database, or is damaged; choose another copy.") from error
    try:
        known = schema_version(database) in KNOWN
        wrong = _upgraded(database) if known else ()
    except StoreError as error:
        raise RefusedRecord(f"{copy} cannot be read to its end; choose another copy.") from error
    finally:
        database.close()
    if not known:
        raise RefusedRecord(f"{copy} is no record of this program, or one of a newer version.")
    if wrong:
        raise RefusedRecord(f"{copy} is not sound: {wrong[0]}")
    return own


def _upgraded(database: Database) -> tuple[str, ...]:
    upgrade(database)
    return check(database)


def _put_aside(target: Path, at: datetime, *, force: bool) -> Path | None:
    """Keep the record that is there. RefusedRecord when it holds something, or cannot be read, and nobody forces it."""
    if not target.exists() or not target.stat().st_size:
        return None
    name = target.with_name(f"{target.name}.before-restore-{at:%Y%m%d-%H%M%S}")
    if name.exists():
        raise RefusedRecord(f"{name} exists already; move it away.")
    try:
        holds = _kept(target, name if force else None)
    except StoreError as error:
        if not force:
            raise RefusedRecord(f"{target} is there but cannot be read; --force moves it away.") from error
        return _move_away(target, name)
    if holds and not force:
        raise RefusedRecord(f"{target} holds a record; --force replaces it, and keeps it beside the new one.")
    return name if holds else None


def _kept(target: Path, name: Path | None) -> bool:
    """Whether the record holds something; it is then copied to ``name``."""
    database = open_database(f"sqlite:///{target}")
    try:
        with database.reading() as conn:
            holds = _holds(conn)
        if holds and name is not None:
            backup(database, name)
    finally:
        database.close()
    return holds


def _holds(conn: Connection) -> bool:
    there = set(inspect(conn).get_table_names())
    return any(
        conn.execute(select(text("1")).select_from(table).limit(1)).first() is not None
        for table in _HOLDING
        if table.name in there
    )


def _move_away(target: Path, name: Path) -> Path:
    target.rename(name)
    for log in _LOGS:
        beside = target.with_name(target.name + log)
        if beside.exists():
            beside.rename(name.with_name(name.name + log))
    return name


def _pour(source: Path, target: Path) -> None:
    """Write the pages of ``source`` into ``target`` in one transaction; sqlite3.OperationalError where somebody writes for too long."""
    target.touch(mode=DATABASE_MODE)
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1_000

    def bounded(status: int, _remaining: int, _total: int) -> None:
        """Python itself would wait for a lock without an end."""
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() >= deadline:
            raise sqlite3.OperationalError("the database is in use")

    with closing(sqlite3.connect(source)) as pages, closing(sqlite3.connect(target, timeout=0)) as place:
        pages.backup(place, progress=bounded, sleep=TRY_AGAIN_SECONDS)
