"""Opens an incident, an inquiry or a service thread."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import looked_up, names_of, number_of, thread_for, word_of, written
from expertmail.past_time import past_time
from outbound.store.quiet import mark_quiet
from threads.access import Permission
from threads.model import Assignee, Mark, Severity, Thread, ThreadKind
from threads.store import Connection
from threads.store.audit import record_act
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.people import find_organisation, organisation
from threads.store.thread import open_incident, open_inquiry, open_service
from threads.store.thread_changes import change_thread

MAX_TITLE: Final = 200
"""Characters: customers see it in the subject of each mail."""


async def show(visit: Visit) -> Response:
    """The form."""
    return await _form(visit)


async def open_(visit: Visit) -> Response:
    """Open it, as the command does."""
    kind = word_of(ThreadKind, visit.form.one("kind")) or ThreadKind.INCIDENT
    severity = word_of(Severity, visit.form.one("severity")) or Severity.MEDIUM
    assigned_to = word_of(Assignee, visit.form.one("assigned")) or Assignee.DEFENDER_EXPERTS
    customer, title = number_of(visit.form.one("customer") or "0"), " ".join(visit.form.one("title").split())

    about = visit.form.one("about")

    def work(conn: Connection) -> tuple[Thread, str | None]:
        visit.require(Permission.WORK, customer)
        whose = find_organisation(conn, organisation(conn, customer).name)
        if whose is None:  # erased: a shell is left of it
            raise UnknownRecord("There is no such customer.")
        if not title or len(title) > MAX_TITLE:
            raise RefusedRecord(f"Say what it is about in one line of at most {MAX_TITLE} characters.")
        at, by = _opened(visit), visit.actor
        match kind:
            case ThreadKind.INCIDENT:
                made = open_incident(
                    conn, whose.id, title, at, severity=severity, assigned_to=assigned_to, actor=by
                )
            case ThreadKind.INQUIRY:
                made = open_inquiry(conn, whose.id, title, at, actor=by, mark=Mark.EXPERT)
            case ThreadKind.SERVICE:
                made = open_service(conn, whose.id, title, at, actor=by, mark=Mark.EXPERT)
        if about:
            made = change_thread(conn, made, at, actor=by, about=_incident(conn, visit, about))
        quiet = mark_quiet(conn, made, visit.now, imported=visit.form.one("imported") == "yes")
        record_act(
            conn,
            "thread-opened",
            visit.now,
            by=by,
            subject=made.reference,
            detail=made.title,
            organisation_id=whose.id,
        )
        return made, quiet

    try:
        made, quiet = await written(visit, work)
    except HTTPException as error:
        if error.status_code != 409:  # noqa: PLR2004
            raise
        return await _form(visit, trouble=error.detail, status=422)
    told = "" if quiet is None else f" It sends nothing by itself: {quiet}."
    return visit.go(f"/incidents/{made.reference}", f"{made.reference} is opened.{told}")


def _incident(conn: Connection, visit: Visit, reference: str) -> Thread:
    try:
        return thread_for(conn, visit, reference)[0]
    except (HTTPException, UnknownRecord) as error:
        raise RefusedRecord("There is no such incident for an inquiry to be about.") from error


def _opened(visit: Visit) -> datetime:
    typed = visit.form.one("opened")
    try:
        return past_time(typed, visit.now, zone_is_utc=True) if typed else visit.now
    except ValueError as error:
        raise RefusedRecord(str(error)) from error


async def _form(visit: Visit, *, trouble: str = "", status: int = 200) -> Response:
    names = await looked_up(visit, lambda conn: names_of(conn, visit, Permission.WORK))
    return await visit.page(
        "new_incident.html",
        status=status,
        trouble=trouble,
        typed=visit.form,
        names=names,
        kinds=[(one.value, one.value) for one in ThreadKind],
        severities=[(one.value, one.value) for one in Severity],
        assignees=[(one.value, one.value) for one in Assignee],
    )


PAGES: Final = (
    Page("GET", "/incidents/new", "new-incident", Permission.WORK, show),
    Page("POST", "/incidents/new", "new-incident-open", Permission.WORK, open_),
)
