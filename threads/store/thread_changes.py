"""What an expert changes about a thread, beside its state."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, update

from threads.model import Assignee, Classification, EntryKind, Mark, Severity, Thread, ThreadKind
from threads.schema import threads
from threads.store.errors import RefusedRecord
from threads.store.thread import append, thread_by_id
from threads.store.values import MAX_LINE, storable


def change_thread(
    conn: Connection,
    before: Thread,
    at: datetime,
    *,
    actor: str,
    title: str | None = None,
    severity: Severity | None = None,
    classification: Classification | None = None,
    assigned_to: Assignee | None = None,
    about: Thread | None = None,
) -> Thread:
    """Change what is said of a thread, but for its state; changes are one timeline entry, no change is none.

    RefusedRecord for a severity or classification of what is no incident, and for an ``about`` that is no incident of the same
    organisation, or of what is no inquiry.
    """
    if before.kind is not ThreadKind.INCIDENT and (severity is not None or classification is not None):
        raise RefusedRecord(
            f"{before.reference} is no incident; only incidents have severity and classification."
        )
    if about is not None:
        _refuse_about(before, about)
    wanted: dict[str, tuple[str, Any, Any]] = {
        "title": (
            "Title",
            before.title,
            None if title is None else " ".join(storable(title, MAX_LINE).split()),
        ),
        "severity": ("Severity", before.severity, severity),
        "classification": ("Classification", before.classification, classification),
        "assigned_to": ("Assigned to", before.assigned_to, assigned_to),
        "about_id": ("About", before.about_id, None if about is None else about.id),
    }
    if wanted["title"][2] == "":
        raise RefusedRecord("A thread needs a title.")
    changed = {name: one for name, one in wanted.items() if one[2] is not None and one[2] != one[1]}
    if not changed:
        return before
    said = [
        f"{word}: {about.reference}" if name == "about_id" and about else f"{word}: {old or 'none'} -> {new}"
        for name, (word, old, new) in changed.items()
    ]
    values = {name: new for name, (_, _, new) in changed.items()}
    conn.execute(update(threads).where(threads.c.id == before.id).values(**values))
    append(conn, before.id, at, EntryKind.STATE, actor=actor, mark=Mark.EXPERT, text="; ".join(said))
    return thread_by_id(conn, before.id)


def _refuse_about(inquiry: Thread, incident: Thread) -> None:
    if inquiry.kind is not ThreadKind.INQUIRY:
        raise RefusedRecord(f"{inquiry.reference} is no inquiry; only an inquiry is about an incident.")
    if incident.kind is not ThreadKind.INCIDENT:
        raise RefusedRecord(f"{incident.reference} is no incident.")
    if incident.organisation_id != inquiry.organisation_id:
        raise RefusedRecord(f"{incident.reference} is another customer's.")
