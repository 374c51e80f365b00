"""Tasks of incidents."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from threads.model import (
    EntryKind,
    Mark,
    Task,
    TaskSource,
    TaskStatus,
    Thread,
    ThreadKind,
)
from threads.schema import tasks, threads
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.thread import append
from threads.store.values import MAX_LINE, storable
from threads.transitions import task_refusal


def add_task(
    conn: Connection, thread: Thread, title: str, source: TaskSource, at: datetime, *, by: str
) -> Task:
    """Put an open task on an incident, and tell of it on the timeline; RefusedRecord on another kind of thread, or without a title."""
    title = " ".join(storable(title, MAX_LINE).split())
    if not title:
        raise RefusedRecord("A task needs a title.")
    if thread.kind is not ThreadKind.INCIDENT:
        raise RefusedRecord(f"{thread.reference} is no incident; only incidents have tasks.")
    # Of two who add one at the same time the second waits here for the first: numbers are given once.
    conn.execute(select(threads.c.id).where(threads.c.id == thread.id).with_for_update())
    last = conn.execute(select(func.max(tasks.c.number)).where(tasks.c.thread_id == thread.id)).scalar()
    number = (last or 0) + 1
    values: dict[str, Any] = {
        "thread_id": thread.id,
        "number": number,
        "title": title,
        "created_at": at,
        "created_by": storable(by, MAX_LINE),
        "updated_at": at,
        "updated_by": storable(by, MAX_LINE),
    }
    made = conn.execute(
        insert(tasks)
        .values(**values, source=source.value, status=TaskStatus.OPEN.value)
        .returning(tasks.c.id)
    ).scalar_one()
    told = f"Task {number} ({source}): {title}"
    append(conn, thread.id, at, EntryKind.STATE, actor=by, mark=Mark.EXPERT, text=told)
    return Task(id=made, source=source, status=TaskStatus.OPEN, **values)


def set_task(
    conn: Connection, thread: Thread, number: int, status: TaskStatus, at: datetime, *, by: str
) -> Task:
    """Say where a task stands; a change is a timeline entry, no change is none. RefusedRecord for a step that is none."""
    before = task(conn, thread, number)
    refused = task_refusal(before.status, status)
    if refused is not None:
        raise RefusedRecord(f"Task {number} of {thread.reference} cannot be {status}: {refused}.")
    if status is before.status:
        return before
    conn.execute(
        update(tasks)
        .where(tasks.c.id == before.id)
        .values(status=status.value, updated_at=at, updated_by=storable(by, MAX_LINE))
    )
    told = f"Task {number} ({before.title}): {before.status} -> {status}"
    append(conn, thread.id, at, EntryKind.STATE, actor=by, mark=Mark.EXPERT, text=told)
    return task(conn, thread, number)


def task(conn: Connection, thread: Thread, number: int) -> Task:
    """One task of a thread, locked on PostgreSQL until the transaction ends; UnknownRecord when there is none."""
    row = conn.execute(
        select(tasks).where(tasks.c.thread_id == thread.id, tasks.c.number == number).with_for_update()
    ).one_or_none()
    if row is None:
        raise UnknownRecord(f"{thread.reference} has no task {number}.")
    return _task_of(row)


def list_tasks(conn: Connection, thread_id: int) -> tuple[Task, ...]:
    """The tasks of a thread by their numbers."""
    rows = conn.execute(select(tasks).where(tasks.c.thread_id == thread_id).order_by(tasks.c.number))
    return tuple(map(_task_of, rows))


def _task_of(row: Row[Any]) -> Task:
    return Task(
        row.id,
        row.thread_id,
        row.number,
        row.title,
        TaskSource(row.source),
        TaskStatus(row.status),
        row.created_at,
        row.created_by,
        row.updated_at,
        row.updated_by,
    )
