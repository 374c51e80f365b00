"""Opens an incident, an inquiry or a service thread."""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import looked_up, names_of, number_of, word_of, written
from outbound.store.quiet import mark_quiet
from threads.access import Permission
from threads.model import Assignee, Mark, Severity, Thread, ThreadKind
from threads.store import Connection
from threads.store.audit import record_act
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.people import find_organisation, organisation
from threads.store.thread import open_incident, open_inquiry, open_service

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

    def work(conn: Connection) -> Thread:
        visit.require(Permission.WORK, customer)
        whose = find_organisation(conn, organisation(conn, customer).name)
        if whose is None:  # erased: a shell is left of it
            raise UnknownRecord("There is no such customer.")
        if not title or len(title) > MAX_TITLE:
            raise RefusedRecord(f"Say what it is about in one line of at most {MAX_TITLE} characters.")
        at, by = visit.now, visit.actor
        match kind:
            case ThreadKind.INCIDENT:
                made = open_incident(
                    conn, whose.id, title, at, severity=severity, assigned_to=assigned_to, actor=by
                )
            case ThreadKind.INQUIRY:
                made = open_inquiry(conn, whose.id, title, at, actor=by, mark=Mark.EXPERT)
            case ThreadKind.SERVICE:
                made = open_service(conn, whose.id, title, at, actor=by, mark=Mark.EXPERT)
        mark_quiet(conn, made, at, imported=False)
        record_act(
            conn,
            "thread-opened",
            at,
            by=by,
            subject=made.reference,
            detail=made.title,
            organisation_id=whose.id,
        )
        return made

    try:
        made = await written(visit, work)
    except HTTPException as error:
        if error.status_code != 409:  # noqa: PLR2004
            raise
        return await _form(visit, trouble=error.detail, status=422)
    return visit.go(f"/incidents/{made.reference}", f"{made.reference} is opened.")


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
