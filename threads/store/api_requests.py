"""Requests of programs that may come again: each is done once, and the same answer is given to its repetition."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from threads.schema import api_requests
from threads.store.errors import RefusedRecord
from threads.store.statements import inserted

_FORGOTTEN = ""
"""Stands for the digest of content that is not kept any longer: whatever comes with the key then is a repetition."""


@dataclass(frozen=True, slots=True)
class DoneRequest:
    """What a request has made: a thread, or the task with that number on it."""

    thread_id: int
    task: int | None


def done_before(conn: Connection, key: str, digest: str) -> DoneRequest | None:
    """What the request with that key (a SHA-256) has made, if it was done; RefusedRecord where it asked for something else."""
    row = conn.execute(select(api_requests).where(api_requests.c.key == key)).one_or_none()
    if row is None:
        return None
    if row.digest not in (digest, _FORGOTTEN):
        raise RefusedRecord(
            "That Idempotency-Key belongs to a request with other content; nothing is done. Use a new key for new content."
        )
    return DoneRequest(row.thread_id, row.task)


def note_done(
    conn: Connection, key: str, digest: str, thread_id: int, at: datetime, *, task: int | None = None
) -> bool:
    """Write down what a request has made, in the transaction that makes it; False where another one was first."""
    values = {"key": key, "digest": digest, "thread_id": thread_id, "task": task, "at": at}
    return inserted(conn, api_requests, values)


def forget_content(conn: Connection, thread_id: int) -> None:
    """Keep of the requests about a thread that they were done, and no more: repeated, they must not be done anew."""
    conn.execute(update(api_requests).where(api_requests.c.thread_id == thread_id).values(digest=_FORGOTTEN))
