"""Restoring: the copy is checked before anything is touched, and what was there is never lost."""

from __future__ import annotations

import sqlite3
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command

from tests.threads.conftest import AT, populate
from threads import store
from threads.migrations.run import configuration
from threads.store.restore import restore


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where the record is, in a folder of its own."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "expertmail.db"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A backup in which Contoso is the customer."""
    database = store.open_database(f"sqlite:///{tmp_path / 'old.db'}")
    store.upgrade(database)
    populate(database)
    store.backup(database, tmp_path / "copy.db")
    database.close()
    return tmp_path / "copy.db"


def customers(path: Path) -> list[str]:
    database = store.open_database(f"sqlite:///{path}")
    try:
        with database.reading() as conn:
            return [one.name for one in store.list_organisations(conn)]
    finally:
        database.close()


def record(path: Path, *names: str) -> store.Database:
    database = store.open_database(f"sqlite:///{path}")
    store.upgrade(database)
    with database.writing() as conn:
        for name in names:
            store.add_organisation(conn, name, AT)
    return database


def test_a_copy_becomes_the_record_where_there_is_none(target: Path, copy: Path) -> None:
    assert restore(target, copy, AT) is None
    assert customers(target) == ["Contoso"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [one.name for one in target.parent.iterdir() if "restore" in one.name] == []


def test_an_empty_record_is_replaced_and_one_that_holds_something_is_not(target: Path, copy: Path) -> None:
    record(target).close()
    assert restore(target, copy, AT) is None
    assert customers(target) == ["Contoso"]
    with pytest.raises(store.RefusedRecord, match="holds a record; --force"):
        restore(target, copy, AT)
    record(target, "Fabrikam").close()
    kept = restore(target, copy, AT, force=True)
    assert kept == target.with_name("expertmail.db.before-restore-20261125-120000")
    assert (customers(target), customers(kept)) == (["Contoso"], ["Contoso", "Fabrikam"])
    with pytest.raises(store.RefusedRecord, match="exists already"):
        restore(target, copy, AT, force=True)
    assert restore(target, copy, AT + timedelta(seconds=1), force=True)


def test_who_has_the_database_open_sees_the_old_record_or_the_restored_one(target: Path, copy: Path) -> None:
    database = record(target, "Fabrikam")
    with database.reading() as conn:
        assert [one.name for one in store.list_organisations(conn)] == ["Fabrikam"]
    restore(target, copy, AT, force=True)
    with database.reading() as conn:
        assert [one.name for one in store.list_organisations(conn)] == ["Contoso"]
    with database.writing() as conn:
        store.add_organisation(conn, "Northwind", AT)
    database.close()
    assert customers(target) == ["Contoso", "Northwind"]
    assert store.check(record(target)) == ()


def test_nothing_is_replaced_while_somebody_writes(
    target: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("threads.store.restore.BUSY_TIMEOUT_MS", 50)
    database = record(target, "Fabrikam")
    with database.writing() as conn:
        store.add_organisation(conn, "Northwind", AT)
        with pytest.raises(store.StoreError, match="see that the gateway is stopped"):
            restore(target, copy, AT, force=True)
    database.close()
    assert customers(target) == ["Fabrikam", "Northwind"]


def test_an_older_copy_is_brought_up_to_date(target: Path, tmp_path: Path) -> None:
    old = store.open_database(f"sqlite:///{tmp_path / 'first.db'}")
    with old.writing() as conn:
        command.upgrade(configuration(conn), "0001")
        conn.exec_driver_sql(
            "INSERT INTO organisations (name, name_key, created_at) VALUES ('Contoso', 'contoso', '2026-01-01')"
        )
    store.backup(old, tmp_path / "copy.db")
    old.close()
    restore(target, tmp_path / "copy.db", AT)
    assert customers(target) == ["Contoso"]


def broken(copy: Path, how: str) -> Path:
    if how == "missing":
        return copy.with_name("nothing.db")
    if how == "no database":
        copy.write_bytes(b"This is no database, whatever its name says. " * 100)
    if how == "empty":
        copy.write_bytes(b"")
    if how == "another program's":
        copy.unlink()
        with sqlite3.connect(copy) as plain:
            plain.execute("CREATE TABLE stamps (id INTEGER)")
        plain.close()
    if how == "newer":
        with sqlite3.connect(copy) as plain:
            plain.execute("UPDATE alembic_version SET version_num = '9999'")
        plain.close()
    if how == "rows without their rows":
        with sqlite3.connect(copy) as plain:
            plain.execute("DELETE FROM organisations")
        plain.close()
    if how == "damaged":
        data = bytearray(copy.read_bytes())
        data[8_192 : len(data) - 4_096] = b"\xff" * (len(data) - 12_288)
        copy.write_bytes(bytes(data))
    return copy


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("missing", "There is no file"),
        ("no database", "is no database, or is damaged"),
        ("empty", "is no record of this program"),
        ("another program's", "is no record of this program"),
        ("newer", "of a newer version"),
        ("rows without their rows", "is not sound: .* refer to rows that are gone"),
        ("damaged", "is not sound|cannot be read|is damaged|no record of this program"),
    ],
)
def test_a_copy_that_is_not_sound_touches_nothing(target: Path, copy: Path, how: str, says: str) -> None:
    record(target, "Fabrikam").close()
    before = target.read_bytes()
    with pytest.raises(store.StoreError, match=says):
        restore(target, broken(copy, how), AT, force=True)
    assert target.read_bytes() == before
    assert customers(target) == ["Fabrikam"]
    assert [one.name for one in target.parent.iterdir() if "restore" in one.name] == []


def test_a_record_that_cannot_be_read_is_moved_away_only_by_force(target: Path, copy: Path) -> None:
    target.write_bytes(b"This was a database, and is none any more. " * 200)
    with pytest.raises(store.RefusedRecord, match="cannot be read; --force moves it away"):
        restore(target, copy, AT)
    kept = restore(target, copy, AT, force=True)
    assert kept is not None
    assert kept.read_bytes().startswith(b"This was a database")
    assert customers(target) == ["Contoso"]


def test_the_record_is_not_its_own_copy(target: Path, copy: Path) -> None:
    restore(target, copy, AT)
    with pytest.raises(store.RefusedRecord, match="the record itself"):
        restore(target, target, AT, force=True)
