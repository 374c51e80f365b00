"""Every revision goes up and down with data in the tables, on either database; what an older schema has room for stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

import outbound.schema  # noqa: F401 -- its tables belong to the same chain
from tests.threads.conftest import COMPARED, World, populate
from tests.threads.test_erasure import fill
from tests.threads.test_postgresql import server  # noqa: F401 -- a fixture
from threads import store
from threads.migrations.run import configuration
from threads.schema import metadata
from threads.store import migration
from threads.store.audit import list_audit, trail_is_guarded

# Rows of these are the same whatever schema they pass through.
KEPT = (
    "organisations",
    "contacts",
    "threads",
    "messages",
    "raw_messages",
    "timeline",
    "evidence",
    "outgoing",
)


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "sqlite":
        database = store.open_database(f"sqlite:///{tmp_path / 'record.db'}")
    else:
        database = store.open_database(request.getfixturevalue("server"))
        with database.writing() as conn:
            conn.exec_driver_sql("DROP SCHEMA public CASCADE")
            conn.exec_driver_sql("CREATE SCHEMA public")
    store.upgrade(database)
    world = populate(database)
    fill(world)
    yield world
    database.close()


def down(database: store.Database, revision: str) -> None:
    with database.writing() as conn:
        command.downgrade(configuration(conn), revision)


def contents(database: store.Database) -> dict[str, list[tuple[object, ...]]]:
    """The columns of the first revision, row by row."""
    columns = {
        "organisations": "id, name, name_key",
        "contacts": "id, organisation_id, address, name, kind, language, phone",
        "threads": "id, kind, reference, title, state, organisation_id",
        "messages": "id, sha256, subject, disposition, thread_id, new_text",
        "raw_messages": "sha256, size, raw",
        "timeline": "id, thread_id, kind, actor, mark, text, copy_id",
        "evidence": "id, message_id, verdict, report",
        "outgoing": "id, message_id, rcpt_to, said",
    }
    with database.reading() as conn:
        return {
            name: [tuple(row) for row in conn.execute(text(f"SELECT {listed} FROM {name} ORDER BY 1"))]
            for name, listed in columns.items()
        }


def test_down_to_the_first_revision_and_up_again_keeps_what_there_was_room_for(world: World) -> None:
    before = contents(world.database)
    assert all(before[name] for name in KEPT)
    for revision in migration.KNOWN[-2::-1]:
        down(world.database, revision)
        assert store.schema_version(world.database) == revision
        assert contents(world.database) == before, revision
    assert store.upgrade(world.database)
    assert contents(world.database) == before
    with world.database.reading() as conn:
        context = MigrationContext.configure(conn, opts=COMPARED)
        assert compare_metadata(context, metadata) == []
        assert trail_is_guarded(conn)
        assert list_audit(conn) == ()
        assert [one.external for one in store.list_contacts(conn)] == [False] * 3
    assert store.check(world.database) == ()


def test_nothing_is_left_below_the_first_revision(world: World) -> None:
    down(world.database, "base")
    with world.database.reading() as conn:
        assert [n for n in inspect(conn).get_table_names() if n != "alembic_version"] == []
