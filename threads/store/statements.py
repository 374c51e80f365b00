"""Statements that SQLite and PostgreSQL spell alike but SQLAlchemy keeps apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import Insert

from threads.store.prepared import Prepared


@cache
def _keeping(table: Table, dialect: str, columns: tuple[str, ...], *, told: bool) -> Prepared:
    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = make(table).on_conflict_do_nothing()
    return Prepared(statement.returning(*table.primary_key) if told else statement.inline(), columns)


def insert_or_keep(conn: Connection, table: Table, values: Mapping[str, Any]) -> None:
    """Insert a row unless its key is taken."""
    _keeping(table, conn.dialect.name, tuple(values), told=False).run(conn, values)


@cache
def _keeping_each(table: Table) -> Insert:
    return postgresql.insert(table).on_conflict_do_nothing()


def insert_or_keep_each(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of the same columns unless their keys are taken, to a server in one turn.

    Rows in one order everywhere keep writers out of each other's way.
    """
    if conn.dialect.name == "postgresql":
        conn.execute(_keeping_each(table), list(rows))
        return
    for row in rows:
        insert_or_keep(conn, table, row)


def inserted(conn: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless its key is taken; returns whether it was inserted."""
    # Asked by what comes back: the count of rows is not known on PostgreSQL where a key is made by the table.
    return _keeping(table, conn.dialect.name, tuple(values), told=True).first(conn, values) is not None


@cache
def _adding(table: Table, columns: tuple[str, ...]) -> Prepared:
    return Prepared(insert(table).inline(), columns)


def insert_row(conn: Connection, table: Table, values: Mapping[str, Any]) -> None:
    """Insert a row; raises IntegrityError where its key is taken."""
    _adding(table, tuple(values)).run(conn, values)
