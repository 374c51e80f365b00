"""The lease is as fast before a long queue as before a short one: by the plan, on either database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Select

from outbound.schema import deliveries
from outbound.store.queue import _run_out, _waiting
from tests.outbound.conftest import NOW
from tests.threads.test_postgresql import server  # noqa: F401 -- a fixture
from threads.store.engine import Database, open_database
from threads.store.migration import upgrade

QUEUED = 20_000
DELIVERED = 20_000


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        found = open_database(f"sqlite:///{tmp_path / 'record.db'}")
    else:
        found = open_database(request.getfixturevalue("server"))
        with found.writing() as conn:
            conn.exec_driver_sql("DROP SCHEMA public CASCADE")
            conn.exec_driver_sql("CREATE SCHEMA public")
    upgrade(found)
    yield found
    found.close()


def plan(conn: Connection, query: Select[tuple[int]]) -> str:
    words = str(query.compile(conn, compile_kwargs={"literal_binds": True}))
    explain = "EXPLAIN QUERY PLAN" if conn.dialect.name == "sqlite" else "EXPLAIN"
    return "\n".join(str(row[-1]) for row in conn.exec_driver_sql(f"{explain} {words.replace('%', '%%')}"))


def fill(conn: Connection) -> None:
    """Deliveries alone: the mails they belong to have no part in the plan."""
    sqlite = conn.dialect.name == "sqlite"
    conn.exec_driver_sql("PRAGMA defer_foreign_keys=ON" if sqlite else "SET session_replication_role = replica")
    row = {"attempts": 0, "last_reply": "", "updated_at": NOW}
    states = ["queued"] * QUEUED + ["delivered"] * DELIVERED
    conn.execute(
        deliveries.insert(),
        [
            {
                **row,
                "outgoing_id": number,
                "state": state,
                "next_attempt_at": NOW - timedelta(seconds=number) if state == "queued" else None,
            }
            for number, state in enumerate(states, 1)
        ],
    )
    conn.exec_driver_sql("ANALYZE")


def test_the_lease_walks_the_indexes_of_what_waits_whatever_the_queue_holds(database: Database) -> None:
    with database.writing() as conn:
        fill(conn)
        waiting, run_out = (plan(conn, query(NOW).limit(100)) for query in (_waiting, _run_out))
        conn.exec_driver_sql("DELETE FROM deliveries")
    assert "ix_deliveries_waiting" in waiting
    assert "ix_deliveries_" in run_out  # PostgreSQL may take the one by state: of what is leased there is little
    for whole_table in ("SCAN deliveries\n", "Seq Scan", "Sort", "TEMP B-TREE"):
        assert whole_table not in f"{waiting}\n", waiting
    for whole_table in ("SCAN deliveries\n", "Seq Scan", "TEMP B-TREE"):
        assert whole_table not in f"{run_out}\n", run_out
