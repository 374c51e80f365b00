"""What moving mail and splitting threads take, for the commands and the console alike."""

from __future__ import annotations

from datetime import datetime

from outbound.store.by_thread import follow_to_thread
from threads.model import Assignee, Severity, Thread, ThreadKind
from threads.store import Connection
from threads.store.moving import MovedMail, move_mail
from threads.store.thread import open_incident, open_inquiry, open_service


def open_beside(
    conn: Connection, source: Thread, title: str, kind: ThreadKind, at: datetime, *, by: str
) -> Thread:
    """Open a thread of the same customer for a part of another one."""
    if kind is ThreadKind.INCIDENT:
        return open_incident(
            conn,
            source.organisation_id,
            title,
            at,
            severity=source.severity or Severity.MEDIUM,
            assigned_to=Assignee.DEFENDER_EXPERTS,
            actor=by,
        )
    open_thread = open_inquiry if kind is ThreadKind.INQUIRY else open_service
    return open_thread(conn, source.organisation_id, title, at, actor=by)


def move_one(
    conn: Connection,
    name: str,
    target: Thread,
    at: datetime,
    *,
    by: str,
    source: Thread | None = None,
    across: bool = False,
) -> MovedMail:
    """Move one mail, also as others call it; answers to it will land there. Raises what ``move_mail`` does."""
    renamed = follow_to_thread(conn, name, target.id)
    return move_mail(conn, name, target, at, by=by, source=source, across=across, also=renamed)
