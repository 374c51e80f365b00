"""The schema comes from its migrations, and they give exactly what the tables in the code say."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import outbound.schema  # noqa: F401 -- its tables belong to the same chain
from tests import fresh_record
from tests.threads.conftest import COMPARED, World
from threads import store
from threads.migrations import run
from threads.migrations.run import configuration
from threads.schema import metadata
from threads.store import migration

pytestmark = pytest.mark.usefixtures("real_migrations")


def test_migrated_and_declared_schema_are_equal(database: store.Database) -> None:
    with database.reading() as conn:
        context = MigrationContext.configure(conn, opts=COMPARED)
        assert compare_metadata(context, metadata) == []


def test_the_empty_record_of_the_other_tests_is_what_the_migrations_make(tmp_path: Path) -> None:
    made = []
    for name, upgrade in (("real", run.upgrade), ("at-once", fresh_record.upgrade)):
        database = store.open_database(f"sqlite:///{tmp_path / name}.db")
        with database.writing() as conn:
            upgrade(conn)
        with database.reading() as conn:
            declared = conn.exec_driver_sql("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2").all()
            tables = [name for kind, name, _, _ in declared if kind == "table"]
            rows = {name: conn.exec_driver_sql(f"SELECT * FROM {name}").all() for name in tables}
        database.close()
        made.append((declared, rows))
    assert made[0] == made[1]
    assert len(made[0][0]) > 100


def test_the_newest_revision_is_the_one_the_program_names() -> None:
    scripts = ScriptDirectory.from_config(configuration())
    assert scripts.get_heads() == [migration.HEAD]
    assert [script.revision for script in scripts.walk_revisions()][::-1] == list(migration.KNOWN)


@pytest.mark.parametrize("revision", migration.KNOWN[:-1])
def test_a_database_of_an_older_revision_is_told_of_and_brought_up_to_date(
    tmp_path: Path, revision: str
) -> None:
    database = store.open_database(f"sqlite:///{tmp_path / 'old.db'}")
    with database.writing() as conn:
        command.upgrade(configuration(conn), revision)
    assert store.check(database) == ("The schema is not up to date; run `expertmail db upgrade`.",)
    assert store.upgrade(database)
    with database.reading() as conn:
        context = MigrationContext.configure(conn, opts=COMPARED)
        assert compare_metadata(context, metadata) == []
    database.close()


@pytest.mark.parametrize(
    ("column", "damage"),
    [
        ("created_at", "'damaged'"),
        ("created_at", "X'ff'"),
        ("created_at", "'9999-12-31 00:00:00.000000'"),
        ("raw", "'text'"),
        ("raw", "5"),
        ("mail_from", "X'ff'"),
        ("rcpt_to", "CAST(X'ff' AS TEXT)"),
        ("actor", "CAST(X'ff' AS TEXT)"),
    ],
)
def test_mail_that_cannot_be_read_keeps_no_other_from_its_approval(
    tmp_path: Path, column: str, damage: str
) -> None:
    database = store.open_database(f"sqlite:///{tmp_path / 'old.db'}")
    with database.writing() as conn:
        command.upgrade(configuration(conn), "0012")
        for number in (1, 2, 3):
            conn.exec_driver_sql(
                "INSERT INTO outgoing (id, idempotency_key, raw, sha256, message_id, kind, template_version,"
                " language, selector, mail_from, rcpt_to, subject, said, actor, created_at)"
                f" VALUES ({number}, 'k{number}', X'0d0a', '', 'm{number}', 'reply', 1, 'en', 's1', '', 'a@b.test',"
                " '', '', 'ana', '2026-01-01 00:00:00.000000')"
            )
            conn.exec_driver_sql(
                "INSERT INTO deliveries (outgoing_id, state, attempts, last_reply, updated_at)"
                f" VALUES ({number}, 'queued', 0, '', '2026-01-01 00:00:00.000000')"
            )
        conn.exec_driver_sql(f"UPDATE outgoing SET {column} = {damage} WHERE id = 2")
    assert store.upgrade(database)
    with database.reading() as conn:
        approved = conn.exec_driver_sql("SELECT outgoing_id FROM approvals ORDER BY 1").scalars().all()
    assert approved == [1, 3]
    database.close()


def test_mail_that_may_go_under_checked_tls_only_is_given_up_with_the_schema_that_says_so(tmp_path: Path) -> None:
    database = store.open_database(f"sqlite:///{tmp_path / 'new.db'}")
    store.upgrade(database)
    states = ("queued", "deferred", "leased", "unapproved", "withheld", "delivered", "bounced")
    with database.writing() as conn:
        for number, state in enumerate([*states, "queued"]):
            conn.exec_driver_sql(
                "INSERT INTO outgoing (id, idempotency_key, raw, sha256, message_id, kind, template_version,"
                " language, selector, mail_from, rcpt_to, subject, said, actor, created_at, needs_tls)"
                f" VALUES ({number}, 'k{number}', X'0d0a', '', 'm{number}', 'reply', 1, 'en', 's1', '', 'a@b.test',"
                f" '', '', 'ana', '2026-01-01 00:00:00.000000', {int(number < len(states))})"
            )
            conn.exec_driver_sql(
                "INSERT INTO deliveries (outgoing_id, state, attempts, last_reply, updated_at)"
                f" VALUES ({number}, '{state}', 0, '', '2026-01-01 00:00:00.000000')"
            )
    with database.writing() as conn:
        command.downgrade(configuration(conn), "0014")
    with database.reading() as conn:
        after = conn.exec_driver_sql("SELECT state FROM deliveries ORDER BY outgoing_id").scalars().all()
    assert after == ["failed"] * 5 + ["delivered", "bounced", "queued"]
    database.close()


def test_an_upgrade_is_done_once(tmp_path: Path) -> None:
    database = store.open_database(f"sqlite:///{tmp_path / 'new.db'}")
    assert store.schema_version(database) is None
    assert store.check(database) == ("The schema is not up to date; run `expertmail db upgrade`.",)
    assert store.upgrade(database)
    assert not store.upgrade(database)
    assert store.schema_version(database) == migration.HEAD
    assert store.check(database) == ()
    database.close()


def test_an_upgrade_that_fails_leaves_nothing(tmp_path: Path) -> None:
    database = store.open_database(f"sqlite:///{tmp_path / 'new.db'}")
    with database.writing() as conn:
        conn.exec_driver_sql("CREATE TABLE timeline (id INTEGER)")  # in the way of the first revision
    with pytest.raises(store.StoreError):
        store.upgrade(database)
    with database.reading() as conn:
        tables = conn.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
    assert tables == ["timeline"]
    database.close()


def test_a_newer_database_is_left_alone(database: store.Database) -> None:
    with database.writing() as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for action in (store.upgrade, store.check):
        with pytest.raises(store.StoreError, match="use the newer program"):
            action(database)


def test_a_backup_of_a_database_in_use_is_complete(world: World, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    with world.database.writing() as conn:
        store.add_note(conn, world.incident.id, "before", world.incident.opened_at, actor="x")
    store.backup(world.database, target)
    copy = store.open_database(f"sqlite:///{target}")
    with copy.reading() as conn:
        assert [entry.text for entry in store.timeline_of(conn, world.incident.id)][-1] == "before"
    assert store.check(copy) == ()
    copy.close()
    with pytest.raises(store.StoreError, match="exists already"):
        store.backup(world.database, target)
    with pytest.raises(store.StoreError, match="cannot be written"):
        store.backup(world.database, tmp_path / "no folder" / "copy.db")


def test_a_damaged_file_is_reported(world: World) -> None:
    path = world.database.path
    assert path is not None
    with world.database.writing() as conn:
        for number in range(200):
            store.add_note(conn, world.incident.id, "x" * 4_000, world.incident.opened_at, actor=str(number))
    world.database.close()
    with sqlite3.connect(path) as plain:
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    plain.close()
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4_096 * 4_096
    data[middle : middle + 16_384] = b"\xff" * 16_384
    path.write_bytes(bytes(data))
    try:
        database = store.open_database(f"sqlite:///{path}")
        try:
            assert store.check(database)
        finally:
            database.close()
    except store.StoreError as error:
        assert "damaged" in str(error)  # noqa: PT017 -- either answer tells the person


@pytest.mark.parametrize(
    ("prepare", "url", "says"),
    [
        ("file", "sqlite:///{}/file", "is not a database"),
        ("", "sqlite:////proc/nowhere/record.db", "writable folder"),
        ("", "sqlite://", "must be a file"),
        ("", "sqlite:///:memory:", "must be a file"),
        ("", "mysql://x/y", "Only SQLite and PostgreSQL"),
        ("", "nonsense", "not understood"),
    ],
)
def test_what_cannot_be_opened_is_told_in_one_sentence(
    tmp_path: Path, prepare: str, url: str, says: str
) -> None:
    if prepare:
        (tmp_path / prepare).write_bytes(b"This is no database, whatever its name says. " * 100)
    with pytest.raises(store.StoreError, match=says):
        store.open_database(url.format(tmp_path))


def test_the_database_is_for_its_owner_only(database: store.Database) -> None:
    assert database.path is not None
    assert database.path.stat().st_mode & 0o077 == 0
