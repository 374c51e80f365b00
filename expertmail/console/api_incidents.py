"""Incidents and their tasks over HTTP, by the same functions of the record as ``expertmail incidents``."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from expertmail.console.api_forms import IncidentChange, NewIncident, NewTask, TaskChange
from expertmail.console.api_once import RacedError, once
from expertmail.console.api_work import content_digest, customer_of, key_digest, thread_for
from outbound.quiet import CLOCKS_DIFFER
from outbound.store.quiet import mark_quiet
from threads.api_token import ApiToken
from threads.model import Assignee, EntryKind, Mark, Organisation, State, Task, Thread, TimelineEntry
from threads.store import Connection
from threads.store.api_requests import done_before, note_done
from threads.store.audit import record_act
from threads.store.engine import Database
from threads.store.errors import RefusedRecord
from threads.store.feed import INTERNAL, MAX_ENTRIES, MAX_TEXT, copies_among
from threads.store.tasks import add_task, list_tasks, set_task, task
from threads.store.thread import open_incident, set_state, thread_by_id, timeline_of
from threads.store.thread_changes import change_thread
from threads.transitions import state_refusal

_MAIL: Final = frozenset({EntryKind.MAIL_IN, EntryKind.MAIL_OUT, EntryKind.EVENT})

Json = dict[str, Any]
Answer = tuple[Json, bool]
"""What is answered, and whether the same request had it before."""


def open_(database: Database, token: ApiToken, form: NewIncident, *, key: str, now: datetime) -> Answer:
    """Open an incident; UnknownRecord for a customer that is none or that the token may not touch."""
    kept, digest = key_digest(token, "incident", key), content_digest(form)

    def work() -> Answer:
        with database.writing() as conn:
            before = done_before(conn, kept, digest)
            if before is not None:
                thread = thread_by_id(conn, before.thread_id)
                return brief(*thread_for(conn, thread.reference, token)), True
            customer = customer_of(conn, form.organisation, token)
            at, by = _opening(form, now), token.name
            thread = open_incident(
                conn,
                customer.id,
                form.title,
                at,
                severity=form.severity,
                assigned_to=form.assigned_to,
                actor=by,
            )
            if form.classification is not None:
                thread = change_thread(conn, thread, now, actor=by, classification=form.classification)
            quiet = mark_quiet(conn, thread, now, imported=form.imported)
            if not note_done(conn, kept, digest, thread.id, now):
                raise RacedError
            _acted(conn, "thread-opened", token, thread, at=now, detail=thread.title)
            return {**brief(thread, customer), "sends_nothing_by_itself": quiet}, False

    return once(work)


def _opening(form: NewIncident, now: datetime) -> datetime:
    """When an incident was opened: by the portal's clock, which may be some minutes ahead of ours."""
    at = form.opened_at or now
    if at > now + CLOCKS_DIFFER:
        raise RefusedRecord("opened_at has to be past.")
    return min(at, now)


def show(database: Database, token: ApiToken, reference: str) -> Json:
    """An incident with its tasks and timeline."""
    with database.reading() as conn:
        thread, customer = thread_for(conn, reference, token)
        entries = timeline_of(conn, thread.id, latest=MAX_ENTRIES + 1, without=INTERNAL)
        tasks = list_tasks(conn, thread.id)
        ours = [one.message_id for one in entries if one.kind is EntryKind.MAIL_OUT and one.message_id]
        copies = copies_among(conn, ours)
    return {
        **brief(thread, customer),
        "tasks": [_task_json(one) for one in tasks],
        "timeline": [_entry_json(one, copies.get(one.message_id or "")) for one in entries[-MAX_ENTRIES:]],
        "timeline_complete": len(entries) <= MAX_ENTRIES,
    }


def change(
    database: Database, token: ApiToken, reference: str, form: IncidentChange, *, now: datetime
) -> Json:
    """Change an incident, all or nothing; RefusedRecord for a step of its state that is none."""
    with database.writing() as conn:
        before, customer = thread_for(conn, reference, token)
        by = token.name
        after = change_thread(
            conn,
            before,
            now,
            actor=by,
            severity=form.severity,
            classification=form.classification,
            assigned_to=form.assigned_to if form.state is None else None,
        )
        if after != before:
            told = timeline_of(conn, after.id, latest=1)[-1].text
            _acted(conn, "thread-changed", token, after, at=now, detail=told)
        if form.state is not None:
            refused = state_refusal(before.state, form.state)
            if refused is not None:
                raise RefusedRecord(f"{before.reference} cannot be {form.state}: {refused}.")
            # As `expertmail incidents resolve`: nobody has the next move on what is resolved.
            nobody = Assignee.UNASSIGNED if form.state is State.RESOLVED else None
            stood, to = after, form.assigned_to or nobody
            after = set_state(conn, before.id, form.state, now, actor=by, assigned_to=to)
            if after != stood:
                told = f"{stood.state}, {stood.assigned_to} -> {after.state}, {after.assigned_to}"
                _acted(conn, "state-set", token, after, at=now, detail=told)
    return brief(after, customer)


def add_task_(
    database: Database, token: ApiToken, reference: str, form: NewTask, *, key: str, now: datetime
) -> Answer:
    """Add a task to an incident."""
    kept, digest = key_digest(token, "task", key), content_digest(form, reference.strip().upper())

    def work() -> Answer:
        with database.writing() as conn:
            thread, _ = thread_for(conn, reference, token)
            before = done_before(conn, kept, digest)
            if before is not None and before.task is not None:
                return _task_json(task(conn, thread_by_id(conn, before.thread_id), before.task)), True
            made = add_task(conn, thread, form.title, form.source, now, by=token.name)
            if not note_done(conn, kept, digest, thread.id, now, task=made.number):
                raise RacedError
            _acted(conn, "task-added", token, thread, at=now, detail=made.title, task=made.number)
            return _task_json(made), False

    return once(work)


def set_task_(
    database: Database, token: ApiToken, reference: str, form: TaskChange, *, number: int, now: datetime
) -> Json:
    """Say where a task stands; RefusedRecord for a step that is none."""
    with database.writing() as conn:
        thread, _ = thread_for(conn, reference, token)
        before = task(conn, thread, number)
        after = set_task(conn, thread, number, form.status, now, by=token.name)
        if after != before:
            _acted(conn, "task-set", token, thread, at=now, detail=after.status, task=number)
    return _task_json(after)


def _acted(
    conn: Connection,
    act: str,
    token: ApiToken,
    thread: Thread,
    *,
    at: datetime,
    detail: str,
    task: int | None = None,
) -> None:
    record_act(
        conn,
        act,
        at,
        by=token.name,
        subject=thread.reference if task is None else f"{thread.reference} task {task}",
        detail=detail,
        organisation_id=thread.organisation_id,
    )


def brief(thread: Thread, customer: Organisation | str) -> Json:
    """Where a thread stands."""
    return {
        "reference": thread.reference,
        "kind": thread.kind,
        "organisation": customer if isinstance(customer, str) else customer.name,
        "title": thread.title,
        "state": thread.state,
        "severity": thread.severity,
        "classification": thread.classification,
        "assigned_to": thread.assigned_to,
        "opened_at": thread.opened_at.isoformat(),
        "updated_at": thread.updated_at.isoformat(),
    }


def _task_json(one: Task) -> Json:
    return {
        "number": one.number,
        "title": one.title,
        "source": one.source,
        "status": one.status,
        "updated_at": one.updated_at.isoformat(),
    }


def _entry_json(one: TimelineEntry, copy_of: int | None) -> Json:
    """An entry; of mail that an expert released without knowing who wrote it only that it is there."""
    text = None if one.mark is Mark.UNVERIFIED else one.text[:MAX_TEXT]
    return {
        "at": one.at.isoformat(),
        "kind": one.kind,
        "actor": None if one.mark is Mark.UNVERIFIED else one.actor,
        "mark": one.mark,
        "mail": (one.copy_id or one.message_id) if one.kind in _MAIL else None,
        "text": text,
        "cut": text is not None and len(one.text) > MAX_TEXT,
        "number": one.id,
        "copy_of": copy_of,
    }
