"""The benchmark of large records fills what it says and measures what it says, on few messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import record, scale
from bench.scale import Scale, Size, Times
from threads import store
from threads.model import ThreadKeys
from threads.search_query import read_query
from threads.store.search import search
from threads.store.search_index import catch_up


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> store.Database:
    opened = store.open_database(f"sqlite:///{tmp_path_factory.mktemp('scale') / 'record.db'}")
    store.upgrade(opened)
    record.fill(opened, 300)
    return opened


def test_a_record_is_whole_and_holds_what_the_replies_of_the_benchmark_refer_to(
    database: store.Database,
) -> None:
    assert store.check(database) == ()
    filled = record.sizes(300)
    with database.reading() as conn:
        assert sum(store.count_copies(conn).values()) == 300
        assert len(store.list_threads(conn)) == filled.threads == 25
        known = 0
        for number in range(300):
            thread = record.thread_of(filled, number)
            assert 0 <= thread < filled.threads
            keys = ThreadKeys(in_reply_to=(record.message_id(number),), tags=(record.reference(thread),))
            found = store.candidates(conn, keys, record.author(filled, thread, number))
            known += len(found.known)
            assert found.tagged == {record.reference(thread): thread + 1}
            assert len(found.contacts) == len(found.domain_organisations) == 1
    assert known > 240


def test_its_messages_are_found_by_words_and_attachments(database: store.Database) -> None:
    assert catch_up(database, 60)
    with database.reading() as conn:
        assert search(conn, read_query("please")).hits
        assert [hit.copy.subject for hit in search(conn, read_query("report_20.pdf")).hits]
        assert not search(conn, read_query("report_21.pdf")).hits


def test_a_run_measures_every_kind_and_tells_its_goals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {
        "SHORT_RUN": (120, 60),
        "MATCHES": 20,
        "TURNS": 2,
        "FIRST": 5,
        "WARM_UP": 1,
        "SEARCHES": 1,
    }.items():
        monkeypatch.setattr(scale, name, value)
    monkeypatch.setenv("ENGINE", "SQLite")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    goals = scale.report(full=False)
    said = capsys.readouterr().out
    assert len(goals) == 3
    assert "SQLite, 120 messages" in said
    assert "a phrase" in said
    assert "the first 5 after the start" in said


@pytest.mark.parametrize(
    ("large", "small", "searching", "met"),
    [
        (0.004, 0.004, 0.1, [True, True, True]),
        (0.006, 0.005, 0.1, [False, True, True]),
        (0.004, 0.001, 0.3, [True, False, False]),
    ],
)
def test_a_goal_is_met_or_missed(large: float, small: float, searching: float, met: list[bool]) -> None:
    def size(seconds: float) -> Size:
        return Size(1, 1.0, 1.0, Times((seconds,)), (Times((seconds,)),), {"x": Times((searching,))})

    assert [is_met for _, is_met in Scale("SQLite", size(large), size(small)).goals()] == met
