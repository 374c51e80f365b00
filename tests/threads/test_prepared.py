"""A prepared statement gives what SQLAlchemy gives: values, types, errors, and what was written."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import bindparam, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from tests.threads.conftest import AT, World
from threads import store
from threads.schema import archived_keys, contacts, organisations, threads
from threads.store.errors import StoreError, StoreUnavailable, undecodable
from threads.store.prepared import Prepared
from threads.store.reader import Reader
from threads.store.statements import insert_or_keep, insert_row, inserted

SELECTS = [
    (select(contacts).where(contacts.c.address_key == bindparam("key")), {"key": "alex@contoso.test"}),
    (select(contacts).where(contacts.c.address_key == bindparam("key")), {"key": "nobody@contoso.test"}),
    (select(threads).where(threads.c.opened_at <= bindparam("at")).order_by(threads.c.id), {"at": AT}),
    (select(threads.c.id, threads.c.opened_at).where(threads.c.state == "Active", threads.c.id == bindparam("n")), {"n": 1}),
    (select(threads.c.id).where(threads.c.severity.is_(None)), {}),
    (select(organisations).limit(1), {}),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "given"), SELECTS)
def test_the_rows_are_those_of_sqlalchemy(world: World, statement, given) -> None:
    with world.database.reading() as conn:
        wanted = conn.execute(statement, given)
        names = tuple(wanted.keys())
        prepared = Prepared(statement)
        for _ in range(2):  # the second time from what was compiled at the first
            rows = prepared.rows(conn, given)
            assert [tuple(row) for row in rows] == [tuple(row) for row in conn.execute(statement, given)]
            assert all(row._fields == names for row in rows)


def test_times_are_given_back_in_utc_and_a_time_without_a_zone_is_refused(world: World) -> None:
    prepared = Prepared(select(threads).where(threads.c.opened_at == bindparam("at")))
    east = AT.astimezone(ZoneInfo("Asia/Tokyo"))
    with world.database.reading() as conn:
        row = prepared.first(conn, {"at": east})
        assert row is not None
        assert (row.opened_at, row.opened_at.tzinfo) == (AT, UTC)
        with pytest.raises(ValueError, match="without a zone"):
            prepared.first(conn, {"at": datetime(2026, 1, 1)})  # noqa: DTZ001 - the bad input


def test_an_update_tells_how_many_rows_it_changed_and_belongs_to_the_transaction(world: World) -> None:
    prepared = Prepared(update(threads).where(threads.c.id == bindparam("n")).values(title=bindparam("now")))
    with world.database.writing() as conn:
        assert prepared.run(conn, {"n": world.incident.id, "now": "Other"}) == 1
        assert prepared.run(conn, {"n": 99, "now": "Other"}) == 0

    def undone() -> None:
        with world.database.writing() as conn:
            prepared.run(conn, {"n": world.incident.id, "now": "Never"})
            raise RuntimeError("undone")

    with pytest.raises(RuntimeError, match="undone"):
        undone()
    with world.database.reading() as conn:
        assert store.thread_by_id(conn, world.incident.id).title == "Other"


def test_a_reading_is_of_one_moment_also_by_prepared_statements(world: World) -> None:
    title = Prepared(select(threads.c.title).where(threads.c.id == bindparam("id")))
    with world.database.reading() as conn:
        before = title.one(conn, {"id": world.incident.id})
        with world.database.writing() as other:
            other.execute(update(threads).values(title="changed meanwhile"))
        assert title.one(conn, {"id": world.incident.id}) == before
    with world.database.reading() as conn:
        assert title.one(conn, {"id": world.incident.id}).title == "changed meanwhile"


def test_a_taken_key_is_the_error_that_sqlalchemy_raises_without_the_values(world: World) -> None:
    row = {"name": "Contoso", "name_key": "contoso", "created_at": AT}
    with pytest.raises(StoreError) as refused, world.database.writing() as conn:
        insert_row(conn, organisations, row)
    assert isinstance(refused.value.__cause__, IntegrityError)
    assert "Contoso" not in str(refused.value.__cause__)
    with world.database.writing() as conn:
        key = {
            "name": "s._domainkey.b.test",
            "record_sha256": "0" * 64,
            "record": "x",
            "first_seen": AT,
            "last_seen": AT,
        }
        assert inserted(conn, archived_keys, key)
        assert not inserted(conn, archived_keys, key)
        insert_or_keep(conn, archived_keys, {**key, "record": "another"})
        assert conn.execute(select(archived_keys.c.record)).scalars().all() == [key["record"]]


def test_a_missing_value_is_an_error_and_a_list_of_values_is_refused(world: World) -> None:
    with world.database.reading() as conn:
        with pytest.raises(KeyError):
            Prepared(select(threads).where(threads.c.id == bindparam("n", required=True))).first(conn, {})
        several = Prepared(select(threads).where(threads.c.id.in_(bindparam("ids", expanding=True))))
        with pytest.raises(TypeError, match="lists of values"):
            several.rows(conn, {"ids": [1]})


def test_columns_that_are_not_given_take_the_tables_own_default(world: World) -> None:
    prepared = Prepared(
        insert(organisations).returning(organisations.c.id), ("name", "name_key", "created_at")
    )
    with world.database.writing() as conn:
        made = prepared.first(
            conn, {"name": "Fabrikam", "name_key": "fabrikam", "created_at": AT + timedelta(1)}
        )
        assert made is not None
        assert made.id > world.contoso.id


def test_the_reader_answers_many_at_one_time_each_with_its_own_error(world: World) -> None:
    def broken(_conn: store.Connection) -> None:
        raise LookupError("mine")

    async def scenario() -> None:
        reader = Reader(world.database)
        try:
            found, fault, sql, *rest = await asyncio.gather(
                reader.ask(partial(store.thread_by_id, thread_id=world.incident.id)),
                reader.ask(broken),
                reader.ask(lambda conn: conn.execute(text("select * from nowhere"))),
                *(reader.ask(lambda _conn, n=n: n) for n in range(300)),
                return_exceptions=True,
            )
        finally:
            reader.close()
        assert found == world.incident
        assert isinstance(fault, LookupError)
        assert isinstance(sql, StoreError)
        assert rest == list(range(300))
        with pytest.raises(StoreUnavailable):
            await reader.ask(lambda _conn: None)
        reader.close()

    asyncio.run(scenario())


def test_a_file_is_read_where_it_is_asked_and_by_the_thread_where_it_would_have_to_wait(world: World) -> None:
    here = threading.get_ident()
    at_once = world.database.path is not None  # a server always takes its time

    def whose(_conn: store.Connection) -> int:
        return threading.get_ident()

    def locked_for_whoever_does_not_wait(_conn: store.Connection) -> int:
        if threading.get_ident() == here:
            raise OperationalError("select", None, sqlite3.OperationalError("database is locked"))
        return threading.get_ident()

    async def scenario() -> None:
        reader = Reader(world.database)
        try:
            assert (await reader.ask(whose) == here) is at_once
            assert await reader.ask(locked_for_whoever_does_not_wait) != here
            elsewhere = await asyncio.to_thread(lambda: asyncio.run(reader.ask(whose)))
            assert elsewhere == reader._thread.ident
        finally:
            reader.close()

    asyncio.run(scenario())


def test_the_reader_sees_what_was_committed_just_before(world: World) -> None:
    async def scenario() -> None:
        reader = Reader(world.database)
        try:
            for number in range(20):
                with world.database.writing() as conn:
                    store.add_note(conn, world.incident.id, f"note {number}", AT, actor="expert")
                seen = await reader.ask(lambda conn: store.timeline_of(conn, world.incident.id))
                assert seen[-1].text == f"note {number}"
        finally:
            reader.close()

    asyncio.run(scenario())


def test_text_that_is_no_text_is_the_error_that_sqlalchemy_raises(world: World) -> None:
    query = select(contacts.c.address)
    with world.database.writing() as conn:
        conn.execute(text("UPDATE contacts SET address = CAST(x'66ff' AS TEXT)"))
    for read in (lambda conn: conn.execute(query).all(), lambda conn: Prepared(query).rows(conn, {})):
        with (
            world.database.reading() as conn,
            pytest.raises(OperationalError, match="Could not decode") as told,
        ):
            read(conn)
        assert undecodable(told.value)
