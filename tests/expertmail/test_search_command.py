"""``expertmail search``, and the server's part in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from expertmail import indexing
from expertmail.indexing import SearchIndexer
from tests.threads.conftest import AT, World, arrival, filing, populate
from threads import store
from threads.model import Disposition, StandingKind
from threads.store.errors import StoreUnavailable
from threads.store.search_index import backlog

Command = Callable[..., Any]


@pytest.fixture
def record(tmp_path: Path) -> World:
    """A record alone."""
    database = store.open_database(f"sqlite:///{tmp_path}/record.db")
    store.upgrade(database)
    return populate(database)


@pytest.fixture
def world(command: Command, tmp_path: Path) -> World:
    """A gateway's folder whose record holds Contoso."""
    assert command("dns", "show").code == 0  # makes the world, as serve does
    database = store.open_database(f"sqlite:///{tmp_path}/var/expertmail.db")
    store.upgrade(database)
    return populate(database)


def keep(world: World, copy_id: str, text: str, disposition=Disposition.FILED, **more: Any) -> None:
    standing = StandingKind.CONTACT if disposition is Disposition.FILED else StandingKind.UNKNOWN
    thread_id = None if disposition is Disposition.TRIAGE else world.incident.id
    with world.database.writing() as conn:
        store.store_message(
            conn,
            arrival(copy_id.encode(), copy_id=copy_id, **more),
            filing(disposition, standing, thread_id=thread_id, text=text),
        )


def test_what_was_just_stored_is_found_and_held_mail_is_marked(command: Command, world: World) -> None:
    keep(world, "FILED", "a password spray")
    keep(
        world,
        "HELD",
        "another password",
        Disposition.HELD,
        verdict="forged",
        received_at=AT + timedelta(days=1),
    )
    keep(world, "TRIAGE", "password? \x1b[31m\u202e", Disposition.TRIAGE, author="x@stranger.test")
    said = command("search", "password")
    assert said.code == 0, said.err
    held, *_ = (line for line in said.out.splitlines() if "HELD" in line)
    assert "[held]" in held
    assert "forged" in held
    assert "[triage]" in said.out
    assert said.out.count("INC-000001") == 2
    assert "\x1b" not in said.out  # nor colour in a pipe
    assert "\u202e" not in said.out
    assert said.out.index("HELD") < said.out.index("FILED")


def test_json_tells_all_of_it_and_how_to_go_on(command: Command, world: World) -> None:
    for number in range(5):
        keep(world, f"M{number}", f"see 安全通知 number {number}", received_at=AT + timedelta(hours=number))
    first = command("search", "安全", "--limit", "3", "--json").json
    assert [hit["id"] for hit in first["hits"]] == ["M4", "M3", "M2"]
    assert first["not_indexed"] == first["damaged"] == 0
    hit = first["hits"][0]
    assert [hit["snippet"][start:end] for start, end in hit["marks"]] == ["安全"]
    assert (hit["thread"], hit["disposition"], hit["outside"]) == ("INC-000001", "filed", False)
    rest = command("search", "安全", "--limit", "3", "--json", "--page", first["next"]).json
    assert [hit["id"] for hit in rest["hits"]] == ["M1", "M0"]
    assert rest["next"] is None


OPTIONS = [
    (("password spray",), ["A"]),  # quotes that the shell took away
    (("password", "-a"), []),
    (("spray", "-host"), ["B", "A"]),  # no option, whatever letters are in it
    (("password", "-password spray"), ["B"]),
    (("--best", "spray"), ["B", "A"]),
    (("spray", "--thread", "inc-000001"), ["A"]),
    (("spray", "--since", "2026-11-26"), ["B"]),
    (("spray", "--before", "2026-11-26"), ["A"]),
    (("spray", "--verdict", "genuine"), ["A"]),
    (("nothing", "like", "it"), []),
]


def test_options_narrow_what_is_found(command: Command, world: World) -> None:
    keep(world, "A", "a password spray", verdict="genuine")
    more = {"received_at": AT + timedelta(days=1)}
    keep(world, "B", "spray, spray, spray of a password", Disposition.TRIAGE, **more)
    for arguments, ids in OPTIONS:
        assert [hit["id"] for hit in command("search", *arguments, "--json").json["hits"]] == ids, arguments
    assert command("search", "nothing", "like", "it").out == "Nothing is found.\n"


REFUSED = [
    ((), 64),
    (('"',), 64),
    (("a*",), 64),
    (("x" * 100_000,), 64),
    (("-only",), 64),
    (("x", "--page", "1"), 64),
    (("x", "--since", "yesterday"), 64),
    (("x", "--since", "0001-01-01T00:00+14:00"), 64),
    (("x", "--verdict", "fine"), 64),
    (("x", "--limit", "0"), 64),
    (("x", "--thread", "INC-999999"), 66),
]


def test_what_cannot_be_looked_for_is_refused_in_one_sentence(command: Command, world: World) -> None:
    for arguments, code in REFUSED:
        said = command("search", *arguments)
        assert said.code == code, arguments
        assert said.out == ""
        assert said.err.startswith("expertmail: ")
        assert len(said.err.splitlines()) == 1
        assert "fault of expertmail" not in said.err


def waiting(world: World) -> int:
    with world.database.reading() as conn:
        return backlog(conn).waiting


def serve(world: World, until: Callable[[], bool], *, rounds: int = 500) -> SearchIndexer:
    """Let the server's indexer run until that holds, for so many rounds at most."""

    async def scenario() -> SearchIndexer:
        indexer = SearchIndexer(world.database, round_seconds=0.01)
        task = asyncio.create_task(indexer.run())
        for _ in range(rounds):
            if until():
                break
            await asyncio.sleep(0.01)
        indexer.stop()
        await task
        return indexer

    return asyncio.run(scenario())


def test_the_server_takes_in_what_is_stored(record: World) -> None:
    for number in range(3):
        keep(record, f"M{number}", "hello")
    serve(record, lambda: waiting(record) == 0)
    assert waiting(record) == 0


def test_while_much_mail_comes_in_the_index_waits(record: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "BUSY_RATE", -1.0)  # any rate is fast
    serve(record, lambda: False, rounds=3)
    for number in range(5):
        keep(record, f"M{number}", "hello")

    async def scenario(indexer: SearchIndexer) -> None:
        await indexer._guarded(first=False)
        await indexer._guarded(first=False)

    asyncio.run(scenario(SearchIndexer(record.database)))
    first = waiting(record)
    monkeypatch.setattr(indexing, "MAX_WAITING", 2)
    asyncio.run(scenario(SearchIndexer(record.database)))
    assert (first, waiting(record)) == (0, 0)  # the first look knows no rate yet
    for number in range(5, 9):
        keep(record, f"M{number}", "hello")
    monkeypatch.setattr(indexing, "MAX_WAITING", 1_000)
    indexer = SearchIndexer(record.database)
    indexer._before = (0.0, 0)
    asyncio.run(scenario(indexer))
    assert waiting(record) == 4
    monkeypatch.setattr(indexing, "MAX_WAITING", 4)
    asyncio.run(scenario(indexer))
    assert waiting(record) == 0


def test_a_database_that_is_away_ends_nothing(record: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(record, "A", "hello")
    real, faults = indexing.index_some, [StoreUnavailable("away"), RuntimeError("a fault")]

    def sometimes(database: store.Database) -> int | None:
        if faults:
            raise faults.pop()
        return real(database)

    monkeypatch.setattr(indexing, "index_some", sometimes)
    serve(record, lambda: waiting(record) == 0)
    assert waiting(record) == 0
