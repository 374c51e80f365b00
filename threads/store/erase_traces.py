"""Taking out of SQLite's files what was deleted: its index of words and its log keep old content for a while."""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy import inspect

from threads.store.engine import Database

PAGES_AT_ONCE: Final = 500
"""Pages of the index that one transaction rewrites: some 20 ms, so that no mail waits."""
MAX_STEPS: Final = 100_000
"""More than an index of any size takes; a bound for the case that it grows while we work."""
_MERGE: Final = "INSERT INTO search_words(search_words, rank) VALUES ('merge', ?)"
# A step that changed fewer rows than this found nothing to do (https://www.sqlite.org/fts5.html#the_merge_command).
_IDLE: Final = 2


def finish_on_disk(database: Database) -> None:
    """Rewrite the index without what was deleted, and empty the log. On PostgreSQL vacuuming does that, by itself.

    A log that somebody reads right now is emptied later, by SQLite itself. Raises StoreError.
    """
    if database.path is None:
        return
    with database.reading() as conn:
        indexed = inspect(conn).has_table("search_words")
    step = -PAGES_AT_ONCE  # a negative number of pages begins to merge everything
    for _ in range(MAX_STEPS if indexed else 0):
        with database.writing() as conn:
            driver = conn.connection.dbapi_connection
            if not isinstance(driver, sqlite3.Connection):  # pragma: no cover -- path is set for SQLite only
                return
            before = driver.total_changes
            driver.execute(_MERGE, (step,))
            if driver.total_changes - before < _IDLE:
                break
        step = PAGES_AT_ONCE
    own = database.unwaiting()
    if own is not None:
        driver = own.connection.dbapi_connection
        if isinstance(driver, sqlite3.Connection):
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
        own.close()
