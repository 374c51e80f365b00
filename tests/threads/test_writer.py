"""The one writer: answers after the commit, few commits, and a bad work harms nobody else's."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.threads.conftest import AT, World, arrival, filing, populate
from threads import store
from threads.model import Disposition
from threads.store import engine
from threads.store import writer as writer_module
from threads.store.works import Work, Works

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def writer(world: World) -> Iterator[store.Writer]:
    made = store.Writer(world.database)
    yield made
    made.close()


class Gate:
    """A work that keeps the writer busy, so that what follows is committed together."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self.go = threading.Event()

    def __call__(self, _conn: store.Connection) -> None:
        self.running.set()
        assert self.go.wait(10)


def note(world: World, text: str, fail: BaseException | None = None):
    def work(conn: store.Connection) -> str:
        store.add_note(conn, world.incident.id, text, AT, actor="x")
        if fail is not None:
            raise fail
        return text

    return work


def submit(writer: store.Writer, work: Callable[[store.Connection], T]) -> T:
    """For a thread that may block."""
    return asyncio.run(writer.submit(work))


def notes(world: World) -> list[str]:
    with world.database.reading() as conn:
        return [entry.text for entry in store.timeline_of(conn, world.incident.id)[1:]]


def test_works_that_wait_are_committed_together_and_answered_with_their_own_values(
    world: World, writer: store.Writer
) -> None:
    async def scenario() -> list[str]:
        gate = Gate()
        first = asyncio.create_task(writer.submit(gate))
        await asyncio.to_thread(gate.running.wait)
        rest = [asyncio.create_task(writer.submit(note(world, str(n)))) for n in range(50)]
        await asyncio.sleep(0)
        gate.go.set()
        await first
        return await asyncio.gather(*rest)

    assert asyncio.run(scenario()) == [str(n) for n in range(50)]
    assert notes(world) == [str(n) for n in range(50)]
    assert writer.commits == 2


def test_in_a_burst_the_first_work_waits_for_its_company_and_a_single_one_for_nobody() -> None:
    waiter: asyncio.Future[None] = asyncio.new_event_loop().create_future()
    work = Work(lambda _conn: None, 1, waiter, waiter.get_loop())
    works, slept = Works(), []

    def came_meanwhile(seconds: float) -> None:
        slept.append(seconds)
        works._waiting.put(work)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("threads.store.works.time.sleep", came_meanwhile)
        sizes = []
        for coming in (1, 1, 2, 1, 1):
            for _ in range(coming):
                works._waiting.put(work)
            sizes.append(len(works.batch(100, 1_000, gather=0.5)))
    assert (sizes, slept) == ([1, 1, 2, 2, 2], [0.5, 0.5])
    waiter.get_loop().close()


def test_a_batch_is_capped_in_works_and_in_bytes(
    world: World, writer: store.Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "MAX_BATCH_WORKS", 10)
    monkeypatch.setattr(writer_module, "MAX_BATCH_BYTES", 1_000)

    async def scenario() -> None:
        gate = Gate()
        first = asyncio.create_task(writer.submit(gate, size_hint=0))
        await asyncio.to_thread(gate.running.wait)
        rest = [asyncio.create_task(writer.submit(note(world, str(n)), size_hint=0)) for n in range(20)]
        rest += [asyncio.create_task(writer.submit(note(world, "big"), size_hint=600)) for n in range(3)]
        await asyncio.sleep(0)
        gate.go.set()
        await asyncio.gather(first, *rest)

    asyncio.run(scenario())
    assert len(notes(world)) == 23
    assert writer.commits == 1 + 2 + 3


def test_only_the_bad_works_waiter_sees_its_error(world: World, writer: store.Writer) -> None:
    async def scenario() -> list[object]:
        gate = Gate()
        first = asyncio.create_task(writer.submit(gate))
        await asyncio.to_thread(gate.running.wait)
        rest = [
            asyncio.create_task(writer.submit(note(world, str(n), KeyError("bad") if n == 3 else None)))
            for n in range(6)
        ]
        await asyncio.sleep(0)
        gate.go.set()
        await first
        return await asyncio.gather(*rest, return_exceptions=True)

    answers = asyncio.run(scenario())
    assert isinstance(answers.pop(3), KeyError)
    assert answers == ["0", "1", "2", "4", "5"]
    assert notes(world) == ["0", "1", "2", "4", "5"]


def test_even_an_exit_in_a_work_leaves_the_writer_alive(world: World, writer: store.Writer) -> None:
    with pytest.raises(SystemExit):
        submit(writer, note(world, "a", SystemExit(3)))
    assert submit(writer, note(world, "b")) == "b"
    assert notes(world) == ["b"]


def test_a_work_that_raises_what_no_future_carries_still_answers(world: World, writer: store.Writer) -> None:
    async def scenario() -> None:
        with pytest.raises(RuntimeError):
            await asyncio.wait_for(writer.submit(note(world, "a", StopIteration())), 5)

    asyncio.run(scenario())


def test_a_cancelled_waiter_never_cancels_the_commit(world: World, writer: store.Writer) -> None:
    async def scenario() -> None:
        gate = Gate()
        first = asyncio.create_task(writer.submit(gate))
        await asyncio.to_thread(gate.running.wait)
        waiting = asyncio.create_task(writer.submit(note(world, "kept")))
        await asyncio.sleep(0)
        waiting.cancel()
        gate.go.set()
        await first
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await writer.submit(note(world, "next")) == "next"

    asyncio.run(scenario())
    assert notes(world) == ["kept", "next"]


def test_a_loop_that_is_gone_harms_nobody(world: World, writer: store.Writer) -> None:
    gate = Gate()

    async def leaves() -> None:
        task = asyncio.create_task(writer.submit(gate))
        await asyncio.to_thread(gate.running.wait)
        task.cancel()

    asyncio.run(leaves())
    gate.go.set()
    assert submit(writer, note(world, "later")) == "later"


def test_close_commits_what_waits_and_then_refuses(world: World) -> None:
    writer = store.Writer(world.database)
    gate = Gate()
    threads = [threading.Thread(target=submit, args=(writer, work)) for work in (gate, note(world, "last"))]
    threads[0].start()
    gate.running.wait()
    threads[1].start()
    while not writer.waiting:
        threading.Event().wait(0.01)
    gate.go.set()
    writer.close()
    for thread in threads:
        thread.join()
    assert notes(world) == ["last"]
    with pytest.raises(store.StoreUnavailable, match="stopping"):
        submit(writer, note(world, "late"))
    writer.close()


def test_too_much_waiting_is_refused_at_once(
    world: World, writer: store.Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "MAX_WAITING_WORKS", 0)
    with pytest.raises(store.StoreUnavailable, match="cannot keep up"):
        submit(writer, note(world, "x"))


def test_a_full_disk_is_told_apart_and_small_works_of_the_batch_still_go_in(
    world: World, writer: store.Writer
) -> None:
    def limit(conn: store.Connection) -> None:
        pages = int(conn.exec_driver_sql("PRAGMA page_count").scalar() or 0)
        conn.exec_driver_sql(f"PRAGMA max_page_count = {pages + 20}")

    async def scenario() -> list[object]:
        await writer.submit(limit)
        gate = Gate()
        first = asyncio.create_task(writer.submit(gate))
        await asyncio.to_thread(gate.running.wait)
        rest = [asyncio.create_task(writer.submit(note(world, t))) for t in ("a", "x" * 900_000, "b")]
        await asyncio.sleep(0)
        gate.go.set()
        await first
        return await asyncio.gather(*rest, return_exceptions=True)

    first, big, last = asyncio.run(scenario())
    assert (first, last) == ("a", "b")
    assert isinstance(big, store.StorageFull)
    assert str(big).endswith("free some space.")
    assert notes(world) == ["a", "b"]


def test_a_database_locked_by_another_program_is_told_apart_and_waited_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_MS", 200)
    database = store.open_database(f"sqlite:///{tmp_path / 'record.db'}")
    store.upgrade(database)
    world = populate(database)
    writer = store.Writer(database)
    other = sqlite3.connect(tmp_path / "record.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def scenario() -> list[object]:
        tasks = [writer.submit(note(world, str(n))) for n in range(20)]
        return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 2)

    try:
        answers = asyncio.run(scenario())
        assert {type(answer) for answer in answers} == {store.StoreUnavailable}
        other.execute("ROLLBACK")
        assert submit(writer, note(world, "now")) == "now"
        assert notes(world) == ["now"]
    finally:
        other.close()
        writer.close()
        database.close()


LOADER = """
import asyncio, sys
from tests.threads.conftest import arrival, filing
from threads import store
from threads.model import Disposition
database = store.open_database(sys.argv[1])
writer = store.Writer(database)
decision = filing(Disposition.FILED, thread_id=1)
for number in range(int(sys.argv[3])):
    name = f"{sys.argv[2]}-{number:05d}"
    message = arrival(name.encode() * 200, copy_id=name)
    asyncio.run(writer.submit(lambda conn: store.store_message(conn, message, decision)))
    print(name, flush=True)
writer.close()
"""


def loader(url: str, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", LOADER, url, name, str(count)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


def test_two_processes_write_into_one_file(world: World) -> None:
    url = f"sqlite:///{world.database.path}"
    processes = [loader(url, name, 100) for name in ("a", "b")]
    for process in processes:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert len(out.splitlines()) == 100
    with world.database.reading() as conn:
        assert store.count_copies(conn) == {Disposition.FILED: 200}
    assert len(notes(world)) == 200


@pytest.mark.parametrize("seen", [1, 40])
def test_what_was_answered_survives_a_kill_exactly_once(world: World, seen: int) -> None:
    process = loader(f"sqlite:///{world.database.path}", "k", 100_000)
    assert process.stdout is not None
    answered = [process.stdout.readline().strip() for _ in range(seen)]
    process.send_signal(signal.SIGKILL)
    answered += process.stdout.read().split()
    process.wait()
    process.stdout.close()
    with world.database.reading() as conn:
        stored = [copy.id for copy in store.list_copies(conn, limit=1_000_000)]
        on_timeline = [entry.copy_id for entry in store.timeline_of(conn, world.incident.id)[1:]]
    assert set(answered[:-1]) <= set(stored)
    assert sorted(stored) == sorted(on_timeline)
    assert len(stored) == len(set(stored))
    assert store.check(world.database) == ()


def test_a_work_that_runs_again_after_a_bad_neighbour_is_recorded_once(world: World) -> None:
    writer = store.Writer(world.database)
    decision = filing(Disposition.FILED, thread_id=world.incident.id)

    async def scenario() -> None:
        gate = Gate()
        first = asyncio.create_task(writer.submit(gate))
        await asyncio.to_thread(gate.running.wait)
        good = asyncio.create_task(writer.submit(lambda conn: store.store_message(conn, arrival(), decision)))
        bad = asyncio.create_task(writer.submit(note(world, "bad", ValueError())))
        await asyncio.sleep(0)
        gate.go.set()
        await asyncio.gather(first, good, bad, return_exceptions=True)

    asyncio.run(scenario())
    writer.close()
    with world.database.reading() as conn:
        assert store.count_copies(conn) == {Disposition.FILED: 1}
    assert notes(world) == ["hello"]
