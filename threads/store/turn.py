"""Whose turn it is to write, among the processes on one SQLite file.

SQLite hands its write lock to whoever asks at the right moment: a process with much to do takes it again within
microseconds of giving it back, and another one that sleeps between its tries may miss every such moment until its
patience ends. So whoever wants the lock first takes the turn (a lock on a file beside the database) and keeps it
while it waits: a process that has just committed has to queue behind it. The system takes the turn of a process
that dies.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

TRY_AGAIN_SECONDS: Final = 0.001  # a commit takes some milliseconds, so this wastes little of the next one's
TURN_SUFFIX: Final = "-turn"
_MODE: Final = 0o600


def begin_in_turn(connection: sqlite3.Connection, database: Path, seconds: float) -> None:
    """Begin a write transaction, behind those who wait already. Raises sqlite3.OperationalError after ``seconds``."""
    deadline = time.monotonic() + seconds
    with _turn(database, deadline):
        # SQLite's own wait sleeps up to 100 ms at a time.
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            _begin(connection, deadline)
        finally:
            connection.execute(f"PRAGMA busy_timeout = {round(seconds * 1_000)}")


def _begin(connection: sqlite3.Connection, deadline: float) -> None:
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(TRY_AGAIN_SECONDS)
        else:
            return


@contextmanager
def _turn(database: Path, deadline: float) -> Iterator[None]:
    """Hold the turn, or go without it when it could not be had: SQLite's lock is the one that protects."""
    try:
        number = os.open(f"{database}{TURN_SUFFIX}", os.O_RDWR | os.O_CREAT, _MODE)
    except OSError:  # no descriptor, or a disk that is full: what follows tells it better
        yield
        return
    try:
        while not _locked(number) and time.monotonic() < deadline:
            time.sleep(TRY_AGAIN_SECONDS)
        yield
    finally:
        os.close(number)


def _locked(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
