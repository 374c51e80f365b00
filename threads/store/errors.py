"""What can go wrong with the record, as sentences that say what to do."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DataError, DBAPIError, OperationalError, SQLAlchemyError


class StoreError(Exception):
    """The record could not do what was asked; the text is one sentence for a person, without internals."""


class StorageFull(StoreError):  # noqa: N818 -- named after what the SMTP answer 452 4.3.1 says
    """The disk is full. Nothing of the work was stored."""


class StoreUnavailable(StoreError):  # noqa: N818 -- named after what the caller does: try again later
    """The database cannot be had right now: locked, unreachable, or its disk fails. Nothing was stored."""


class UnknownRecord(StoreError):  # noqa: N818 -- named after what it tells the person who asked
    """No such organisation, contact, thread or message."""


class RefusedRecord(StoreError):  # noqa: N818 -- named after what it tells the person who asked
    """What was to be recorded contradicts what is there, or is malformed."""


# SQLite's primary result codes (https://www.sqlite.org/rescode.html); extended codes hold them in the low byte.
_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY: "The database is in use by another program for too long; try again.",
    sqlite3.SQLITE_LOCKED: "The database is in use by another program for too long; try again.",
    sqlite3.SQLITE_IOERR: "The disk of the database reports an error; look at the disk, then try again.",
    sqlite3.SQLITE_NOMEM: "There is not enough memory for the database; free some and try again.",
    sqlite3.SQLITE_CANTOPEN: "The database file cannot be opened; check that its folder exists and is writable.",
    sqlite3.SQLITE_READONLY: "The database cannot be written; make the file and its folder writable.",
    sqlite3.SQLITE_PERM: "The database cannot be written; make the file and its folder writable.",
}
_FULL = "The disk of the database is full; free some space."
_DAMAGED = "The database file is damaged or is not a database; restore it from a backup."
_CONTRADICTS = "The database refused the record as contradicting what is there."

# PostgreSQL error classes (its manual, appendix A).
_PG_FULL = ("53100",)
_PG_UNAVAILABLE = ("08", "40", "53", "55", "57", "58")


def store_error(error: SQLAlchemyError) -> StoreError:
    """The one error type for whatever SQLAlchemy or the driver below it raised."""
    if not isinstance(error, DBAPIError):
        return StoreUnavailable("The database did not answer; try again.")
    code = getattr(error.orig, "sqlite_errorcode", None)
    if isinstance(code, int):
        return _sqlite_error(code & 0xFF)
    state = str(getattr(error.orig, "sqlstate", None) or "")
    if state in _PG_FULL:
        return StorageFull(_FULL)
    if error.connection_invalidated or not state or state.startswith(_PG_UNAVAILABLE):
        return StoreUnavailable("The database cannot be reached right now; try again.")
    return RefusedRecord(_CONTRADICTS)


def undecodable(error: Exception) -> bool:
    """Whether ``error`` says that a row was had but does not hold what its columns promise.

    SQLite keeps any type in any column and text that is no UTF-8; PostgreSQL has times that Python has not.
    """
    if isinstance(error, OperationalError):
        return "Could not decode to UTF-8" in str(error.orig)
    return isinstance(
        error, ValueError | TypeError | LookupError | ArithmeticError | RecursionError | DataError
    )


def _sqlite_error(primary: int) -> StoreError:
    if primary == sqlite3.SQLITE_FULL:
        return StorageFull(_FULL)
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreError(_DAMAGED)
    if primary in _UNAVAILABLE:
        return StoreUnavailable(_UNAVAILABLE[primary])
    return RefusedRecord(_CONTRADICTS)
