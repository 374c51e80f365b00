"""A record on SQLite and one on PostgreSQL, for tests that ask both for the same: import the fixtures, and ``server`` with them.

Each test gets a copy of an empty record of the newest schema.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fresh_record import fresh_file
from tests.threads.conftest import World, populate
from threads import store


@pytest.fixture(scope="module", name="made")
def made_record() -> Path:
    """An empty record of the newest schema, to be copied."""
    return fresh_file()


@pytest.fixture(scope="module", name="made_on_server")
def record_on_server(server: str) -> str:
    """The same on PostgreSQL: the name of a database, to be copied."""
    database = store.open_database(server)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql("CREATE DATABASE made")
    database.close()
    database = store.open_database(server.replace("/postgres?", "/made?"))
    store.upgrade(database)
    database.close()
    return "made"


def copied(made: Path, folder: Path) -> store.Database:
    return store.open_database(f"sqlite:///{shutil.copy(made, folder / 'record.db')}")


def copied_on_server(server: str, made: str) -> store.Database:
    database = store.open_database(server)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql("DROP DATABASE IF EXISTS used")
        conn.exec_driver_sql(f"CREATE DATABASE used TEMPLATE {made}")
    database.close()
    return store.open_database(server.replace("/postgres?", "/used?"))


@pytest.fixture(params=["sqlite", "postgresql"], name="world")
def world_of_each(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "sqlite":
        database = copied(request.getfixturevalue("made"), tmp_path)
    else:
        database = copied_on_server(
            request.getfixturevalue("server"), request.getfixturevalue("made_on_server")
        )
    yield populate(database)
    database.close()
