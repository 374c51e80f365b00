"""Opening the database, and transactions on it.

SQLite runs in WAL mode with ``synchronous=FULL``: a commit is on disk when it returns. Writers begin with
``BEGIN IMMEDIATE``, so that two of them queue up instead of failing in mid-transaction, and in turn (``turn``).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)

from threads.store.errors import StoreError, store_error
from threads.store.turn import begin_in_turn

# How long a writer waits for another process's transaction before it gives up with StoreUnavailable.
BUSY_TIMEOUT_MS = 5_000
# Of a new database file. A large message is written page by page, twice: half as many cost a fifth less.
PAGE_OCTETS = 8_192
# Of each connection. SQLite's own 2 MB hold the upper pages of the indexes of some hundred thousand messages; with these a
# million cost 4 reads a message instead of 6.
CACHE_KIB = 8_192
# Pages in the log before it is copied back (16 MB): large enough that a burst of mail does not stall on it.
WAL_CHECKPOINT_PAGES = 2_000
# Mail of customers: nobody else on the machine reads it.
DATABASE_MODE = 0o600

_WRITE = "expertmail_write"


class Database:
    """An open database: hands out transactions, each with library errors turned into StoreError."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writing = engine.execution_options(**{_WRITE: True})  # the same connections

    @property
    def path(self) -> Path | None:
        """The SQLite file, or None for a database server."""
        name = self.engine.url.database
        return Path(name) if self.engine.dialect.name == "sqlite" and name else None

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """The record as of one moment (on a server: of each statement's); nothing written through it is kept."""
        with _translated(), self.engine.connect() as connection:
            connection.begin()  # now: a prepared statement (``prepared``) would not, and have a view of its own
            yield connection

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """A transaction: committed when the block ends, rolled back when it raises."""
        with _translated(), self._writing.connect() as connection, connection.begin():
            yield connection

    def unwaiting(self) -> Connection | None:
        """A connection of its own to an SQLite file, which fails at once where it would have to wait; None for a server.

        Each statement sees the record as it stands. Whoever asks for it closes it.
        """
        if self.path is None:
            return None
        with _translated():
            connection = self.engine.connect()
            connection.detach()  # closing it must not give it to somebody who is ready to wait
            _driver(connection).execute("PRAGMA busy_timeout = 0")
            return connection

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise store_error(error) from error


def open_database(url: str) -> Database:
    """Open ``url`` (``sqlite:///FILE`` or ``postgresql+psycopg://…``); a missing SQLite file is created empty.

    Raises StoreError with what to do: unknown kind of database, unwritable folder, not a database. The
    schema is not touched: see ``upgrade``.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(
            "The database URL is not understood; write it like sqlite:///var/expertmail.db."
        ) from error
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
            raise StoreError("The database must be a file; write its URL like sqlite:///var/expertmail.db.")
        return _open_sqlite(Path(parsed.database))
    if parsed.get_backend_name() != "postgresql":
        raise StoreError(
            "Only SQLite and PostgreSQL are supported; write the URL like sqlite:///var/expertmail.db."
        )
    try:
        engine = create_engine(parsed, pool_pre_ping=True)
    except (ImportError, NoSuchModuleError) as error:
        raise StoreError(
            "The driver for PostgreSQL is not installed; install psycopg and write the URL like"
            " postgresql+psycopg://user@host/expertmail."
        ) from error
    return _tried(Database(engine), "the database server")


def _open_sqlite(path: Path) -> Database:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, DATABASE_MODE))
    except OSError as error:
        raise StoreError(
            f"The database {path} cannot be opened ({error.strerror}); choose a file in a writable folder."
        ) from error
    if not os.access(path.parent, os.W_OK):
        raise StoreError(
            f"The folder {path.parent} is not writable; the database keeps its log beside its file."
        )
    engine = create_engine(
        f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT_MS / 1_000, "check_same_thread": False}
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return _tried(Database(engine), str(path))


def _tried(database: Database, name: str) -> Database:
    """Use the database once, so that a wrong file or server is told at the start and not at the first mail."""
    try:
        with database.engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
            if database.path is not None:
                connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
    except SQLAlchemyError as error:
        database.close()
        if getattr(getattr(error, "orig", None), "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
            raise StoreError(f"{name} is not a database; choose another file, or move it away.") from error
        if isinstance(error, DBAPIError) and database.path is None:
            raise StoreError(
                "The database server cannot be reached; check its address, user and password in the URL."
            ) from error
        raise store_error(error) from error
    return database


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # SQLAlchemy's begin event below starts transactions; the driver must not start its own.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute(f"PRAGMA page_size = {PAGE_OCTETS}")  # says nothing to a file that is there
    cursor.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute(f"PRAGMA wal_autocheckpoint = {WAL_CHECKPOINT_PAGES}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    if not connection.get_execution_options().get(_WRITE, False):
        connection.exec_driver_sql("BEGIN")
        return
    path = Path(connection.engine.url.database or "")
    try:
        begin_in_turn(_driver(connection), path, BUSY_TIMEOUT_MS / 1_000)
    except sqlite3.Error as error:
        raise OperationalError("BEGIN IMMEDIATE", None, error) from error


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.dbapi_connection
    if not isinstance(driver, sqlite3.Connection):
        raise StoreError("The connection to the database is gone.")
    return driver
