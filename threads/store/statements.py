"""Statements that SQLite and PostgreSQL spell alike but SQLAlchemy keeps apart."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert


@cache
def _keeping(table: Table, dialect: str) -> ReturningInsert[Any]:
    if dialect == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing().returning(*table.primary_key)
    return sqlite.insert(table).on_conflict_do_nothing().returning(*table.primary_key)


def insert_or_keep(conn: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless its key is taken; returns whether it was inserted."""
    # Asked by what comes back: the count of rows is not known on PostgreSQL where a key is made by the table.
    return conn.execute(_keeping(table, conn.dialect.name), dict(values)).first() is not None
