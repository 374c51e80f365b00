"""What experts do on a thread: say where it stands, note, record calls, give and set tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.incident import NOT_KNOWN, incident_page, standing
from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import number_of, thread_for, word_of, written
from threads.access import Permission
from threads.model import (
    Assignee,
    Classification,
    EntryKind,
    Mark,
    Severity,
    State,
    TaskSource,
    TaskStatus,
    Thread,
    ThreadKind,
)
from threads.store import Connection
from threads.store.audit import record_act
from threads.store.errors import RefusedRecord
from threads.store.tasks import add_task, list_tasks, set_task, task
from threads.store.thread import add_note, append, set_state, thread_locked, timeline_of
from threads.store.thread_changes import change_thread
from threads.transitions import state_refusal

MAX_NOTE: Final = 20_000
"""Characters of a note; who has more has a document."""

Act = Callable[[Connection, Thread], str]
"""Does something to a thread; what was done, in a sentence."""


async def acted(visit: Visit, act: Act) -> Response:
    """Do it in one transaction, and go back to the thread; what is refused is told there, with what was typed."""
    reference = visit.request.path_params["reference"]

    def work(conn: Connection) -> tuple[str, str]:
        thread, _ = thread_for(conn, visit, reference, Permission.WORK)
        if thread.merged_into is not None:
            raise RefusedRecord(f"{thread.reference} was merged into another one.")
        return thread.reference, act(conn, thread)

    try:
        named, said = await written(visit, work)
    except HTTPException as error:
        if error.status_code not in {409, 422}:
            raise
        return await incident_page(visit, trouble=error.detail, status=error.status_code)
    return visit.go(f"/incidents/{named}", said)


async def stands(visit: Visit) -> Response:
    """Change state, severity, classification and who has the next move."""
    state = word_of(State, visit.form.one("state"))
    severity = word_of(Severity, visit.form.one("severity"))
    turned_out = visit.form.one("classification")
    classification = None if turned_out == NOT_KNOWN else word_of(Classification, turned_out)
    assigned_to = word_of(Assignee, visit.form.one("assigned"))
    was, title = visit.form.one("was"), visit.form.one("title")

    def act(conn: Connection, thread: Thread) -> str:
        thread = thread_locked(conn, thread)
        if was != standing(thread):
            raise RefusedRecord("Somebody changed it meanwhile; this is how it stands now.")
        to = state or thread.state
        refused = state_refusal(thread.state, to)
        if refused is not None:
            raise RefusedRecord(f"{thread.reference} cannot be {to}: {refused}.")
        moves = to is not thread.state
        if moves and to is State.RESOLVED and thread.kind is ThreadKind.INCIDENT and not turned_out:
            raise RefusedRecord(
                f"Say what it turned out to be before it is resolved, or that it is {NOT_KNOWN}."
            )
        after = change_thread(
            conn,
            thread,
            visit.now,
            actor=visit.actor,
            title=title or None,
            severity=severity,
            classification=classification,
            assigned_to=None if moves else assigned_to,
        )
        if after != thread:
            told = timeline_of(conn, after.id, latest=1)[-1].text
            _audit(conn, visit, "thread-changed", after, told)
        if moves:
            chosen = assigned_to if assigned_to is not thread.assigned_to else None
            if to is State.RESOLVED and chosen is None:
                chosen = Assignee.UNASSIGNED  # nobody has a move left
            moved = set_state(conn, thread.id, to, visit.now, actor=visit.actor, assigned_to=chosen)
            told = f"{thread.state}, {thread.assigned_to} -> {moved.state}, {moved.assigned_to}"
            _audit(conn, visit, "state-set", moved, told)
        pending = [one for one in list_tasks(conn, thread.id) if one.status.pending]
        if moves and to is State.RESOLVED and pending:
            numbers = ", ".join(str(one.number) for one in pending)
            return f"It is resolved. Still pending: task {numbers}."
        return "It is changed." if moves or after != thread else "It is so already."

    return await acted(visit, act)


async def note(visit: Visit) -> Response:
    """Add a note, which customers never see."""

    def act(conn: Connection, thread: Thread) -> str:
        add_note(conn, thread.id, entered(visit), visit.now, actor=visit.actor)
        _audit(conn, visit, "note-added", thread)
        return "The note is on the timeline."

    return await acted(visit, act)


async def call(visit: Visit) -> Response:
    """Record a telephone call: what was said, and by whom."""
    name = visit.form.one("name")

    def act(conn: Connection, thread: Thread) -> str:
        text = entered(visit)
        speaker, mark = (name, Mark.REPORTED) if name else (visit.actor, Mark.EXPERT)
        append(conn, thread.id, visit.now, EntryKind.CALL, actor=speaker, mark=mark, text=text)
        _audit(conn, visit, "call-recorded", thread, f"of {speaker} ({mark.actor_kind})")
        return "The call is on the timeline."

    return await acted(visit, act)


async def new_task(visit: Visit) -> Response:
    """Add a task."""
    source = word_of(TaskSource, visit.form.one("source")) or TaskSource.GUIDED_RESPONSE
    title = visit.form.one("title")

    def act(conn: Connection, thread: Thread) -> str:
        made = add_task(conn, thread, title, source, visit.now, by=visit.actor)
        subject = f"{thread.reference} task {made.number}"
        record_act(
            conn, "task-added", visit.now, by=visit.actor, subject=subject, detail=made.title,
            organisation_id=thread.organisation_id,
        )  # fmt: skip
        return f"Task {made.number} is added."

    return await acted(visit, act)


async def task_stands(visit: Visit) -> Response:
    """Say where a task stands."""
    number = number_of(visit.request.path_params["task"])
    status, was = word_of(TaskStatus, visit.form.one("status")), visit.form.one("was")

    def act(conn: Connection, thread: Thread) -> str:
        if status is None:
            raise RefusedRecord("Choose where the task stands.")
        if task(conn, thread, number).status.value != was:
            raise RefusedRecord(f"Somebody changed task {number} meanwhile; this is how it stands now.")
        after = set_task(conn, thread, number, status, visit.now, by=visit.actor)
        record_act(
            conn, "task-set", visit.now, by=visit.actor, subject=f"{thread.reference} task {number}",
            detail=after.status, organisation_id=thread.organisation_id,
        )  # fmt: skip
        return f"Task {number} is {after.status}."

    return await acted(visit, act)


def entered(visit: Visit) -> str:
    """The text of a form; HTTPException 422 for an empty one, and for one that is too long."""
    text = visit.form.text("text").strip()
    if not text:
        raise HTTPException(422, "There is nothing in it; write a word or two.")
    if len(text) > MAX_NOTE:
        raise HTTPException(
            422, f"That is longer than {MAX_NOTE:,} characters; put it where documents are, and name it."
        )
    return text


def _audit(conn: Connection, visit: Visit, act: str, thread: Thread, detail: str = "") -> None:
    record_act(
        conn,
        act,
        visit.now,
        by=visit.actor,
        subject=thread.reference,
        detail=detail,
        organisation_id=thread.organisation_id,
    )


_ON: Final = "/incidents/{reference}"
PAGES: Final = (
    Page("POST", f"{_ON}/stands", "incident-stands", Permission.WORK, stands),
    Page("POST", f"{_ON}/notes", "incident-note", Permission.WORK, note),
    Page("POST", f"{_ON}/calls", "incident-call", Permission.WORK, call),
    Page("POST", f"{_ON}/tasks", "incident-task", Permission.WORK, new_task),
    Page("POST", f"{_ON}/tasks/{{task}}", "incident-task-stands", Permission.WORK, task_stands),
)
