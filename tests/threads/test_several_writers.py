"""Several processes on one SQLite file: each gets its turn, whatever the others have to do."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from threads import store
from threads.store import engine
from threads.store.errors import StoreUnavailable
from threads.store.turn import TURN_SUFFIX

PROCESSES = 4
SECONDS = 2.0
# Writes without a pause, as a worker under load does, and tells how often and how long it waited at most.
HOG = """
import json, sys, time
from threads import store
database = store.open_database(sys.argv[1])
with database.reading():
    pass
print("ready", flush=True)
sys.stdin.readline()
end, commits, longest = time.monotonic() + float(sys.argv[2]), 0, 0.0
while time.monotonic() < end:
    begun = time.monotonic()
    with database.writing() as conn:
        longest = max(longest, time.monotonic() - begun)
        conn.exec_driver_sql("INSERT INTO numbers VALUES (?)", (commits,))
        time.sleep(0.002)  # a disk's, whatever disk this is
    commits += 1
print(json.dumps([commits, longest]))
"""


def database(folder: Path) -> store.Database:
    made = store.open_database(f"sqlite:///{folder / 'record.db'}")
    with made.writing() as conn:
        conn.exec_driver_sql("CREATE TABLE numbers (number INTEGER)")
    return made


def test_processes_that_write_without_a_pause_share_the_lock_evenly(tmp_path: Path) -> None:
    made = database(tmp_path)
    hogs = [
        subprocess.Popen(
            [sys.executable, "-c", HOG, f"sqlite:///{made.path}", str(SECONDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[2],
        )
        for _ in range(PROCESSES)
    ]
    for hog in hogs:
        assert hog.stdout is not None
        assert hog.stdout.readline() == "ready\n"
    for hog in hogs:
        assert hog.stdin is not None
        hog.stdin.write("go\n")
        hog.stdin.flush()
    told = [json.loads(hog.communicate(timeout=60)[0]) for hog in hogs]
    assert [hog.returncode for hog in hogs] == [0] * PROCESSES, (
        "a writer was told that the database is locked"
    )
    with made.reading() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM numbers").scalar() == sum(n for n, _ in told)
    made.close()
    print(f"commits and longest wait of {PROCESSES} processes: {told}")
    assert min(n for n, _ in told) * 4 > max(n for n, _ in told), told
    assert max(longest for _, longest in told) < 1.0, told


def test_a_lock_that_is_never_given_back_is_told_in_time_and_the_turn_is_free_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_MS", 300)
    made = database(tmp_path)
    other = sqlite3.connect(made.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    outcomes: list[type[Exception] | None] = []

    def write() -> None:
        try:
            with made.writing() as conn:
                conn.exec_driver_sql("INSERT INTO numbers VALUES (1)")
            outcomes.append(None)
        except StoreUnavailable as error:
            outcomes.append(type(error))

    begun = time.monotonic()
    waiting = [threading.Thread(target=write) for _ in range(3)]
    for one in waiting:
        one.start()
    for one in waiting:
        one.join(10)
    assert outcomes == [StoreUnavailable] * 3
    assert time.monotonic() - begun < 2, "each waited its own time, not one after the other"
    other.execute("COMMIT")
    other.close()
    write()
    assert outcomes[-1] is None
    made.close()


def test_a_writer_that_waits_gets_the_lock_as_soon_as_it_is_free(tmp_path: Path) -> None:
    made = database(tmp_path)
    other = sqlite3.connect(made.path, isolation_level=None, check_same_thread=False)
    waits: list[float] = []
    for _ in range(5):
        other.execute("BEGIN IMMEDIATE")
        freed: list[float] = []
        timer = threading.Timer(
            0.2, lambda freed=freed: (other.execute("COMMIT"), freed.append(time.monotonic()))
        )
        timer.start()
        with made.writing():
            now = time.monotonic()
        timer.join()
        waits.append(now - freed[0])
    assert sorted(waits)[2] < 0.02, waits
    other.close()
    made.close()


def test_without_the_file_of_the_turn_writing_goes_on(tmp_path: Path) -> None:
    made = database(tmp_path)
    turn = tmp_path / f"record.db{TURN_SUFFIX}"
    turn.unlink()
    turn.mkdir()  # it cannot be opened for writing
    with made.writing() as conn:
        conn.exec_driver_sql("INSERT INTO numbers VALUES (1)")
    made.close()
