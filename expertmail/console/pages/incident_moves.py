"""Moves mails to another thread, splits a thread, merges one into another: first what will happen, in words, then the deed."""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.incident import Found, find
from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import looked_up, thread_for, written
from expertmail.incident_moves import move_one, open_beside
from threads.access import Permission
from threads.model import EntryKind, Organisation, Thread, TimelineEntry
from threads.store import Connection
from threads.store.audit import record_act
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.moving import MovedMail, merge_refusal, merge_threads
from threads.store.thread import thread_by_id, timeline_of

MAX_MAILS: Final = 100
"""Shown and moved at one time, the latest ones: each leaves two entries."""
_MAIL: Final = frozenset({EntryKind.MAIL_IN, EntryKind.MAIL_OUT, EntryKind.EVENT})
_NO_MAIL: Final = frozenset(EntryKind) - _MAIL


async def show(visit: Visit) -> Response:
    """The form: which mails, and where they go."""
    return await _form(visit)


async def move(visit: Visit) -> Response:
    """Move what was ticked to another thread, or to a new one."""
    reference, target, title = (
        visit.request.path_params["reference"],
        visit.form.one("to"),
        visit.form.one("title"),
    )
    names, across = visit.form.all("mail"), visit.form.one("across") == "yes"

    def work(conn: Connection) -> Thread:
        source, _ = thread_for(conn, visit, reference, Permission.WORK)
        if not names or len(names) > MAX_MAILS:
            raise RefusedRecord(f"Tick the mails that belong elsewhere, {MAX_MAILS} at most at one time.")
        if bool(target) == bool(title):
            raise RefusedRecord("Name the thread they belong to, or give a title for a new one.")
        if target:
            try:
                there, _ = thread_for(conn, visit, target, Permission.WORK)
            except (HTTPException, UnknownRecord) as error:
                raise RefusedRecord(f"There is no thread {target} that you may work on.") from error
            act = "mail-moved"
        else:
            there = open_beside(conn, source, title, source.kind, visit.now, by=visit.actor)
            act = "thread-split"
        moved = [
            move_one(conn, one, there, visit.now, by=visit.actor, source=source, across=across)
            for one in names
        ]
        for one in moved:
            _audit(conn, visit, act, one)
        return thread_by_id(conn, there.id)

    try:
        there = await written(visit, work)
    except HTTPException as error:
        if error.status_code not in {404, 409, 422}:
            raise
        gone = "One of these mails is not on this thread any more."
        told = gone if error.status_code == 404 else error.detail  # noqa: PLR2004
        return await _form(visit, trouble=told, status=422)
    number = len(names)
    return visit.go(f"/incidents/{there.reference}", f"{number} mail{'' if number == 1 else 's'} moved here.")


async def show_merge(visit: Visit) -> Response:
    """The form, and once a thread is named what will happen."""
    return await _merge_form(visit, visit.query("into"))


async def merge(visit: Visit) -> Response:
    """Let another thread go on for this one."""
    reference, into = visit.request.path_params["reference"], visit.form.one("into")

    def work(conn: Connection) -> Thread:
        source, _ = thread_for(conn, visit, reference, Permission.WORK)
        target, _ = thread_for(conn, visit, into, Permission.WORK)
        merged = merge_threads(conn, source, target, visit.now, by=visit.actor)
        record_act(
            conn, "thread-merged", visit.now, by=visit.actor, subject=merged.reference,
            detail=f"into {target.reference}", organisation_id=merged.organisation_id,
        )  # fmt: skip
        return target

    try:
        target = await written(visit, work)
    except HTTPException as error:
        if error.status_code not in {404, 409}:
            raise
        told = _NONE if error.status_code == 404 else error.detail  # noqa: PLR2004
        return await _merge_form(visit, "", trouble=told, status=422)
    return visit.go(f"/incidents/{target.reference}", f"{reference.upper()} is merged into this one.")


_NONE: Final = "There is no thread of that name that you may work on."


async def _form(visit: Visit, *, trouble: str = "", status: int = 200) -> Response:
    reference = visit.request.path_params["reference"]

    def work(conn: Connection) -> tuple[Thread, Organisation, list[TimelineEntry]]:
        thread, customer = thread_for(conn, visit, reference, Permission.WORK)
        entries = list(timeline_of(conn, thread.id, latest=MAX_MAILS, without=_NO_MAIL))
        named = visit.query("mail")
        if named and named not in {one.copy_id or one.message_id for one in entries}:
            older = timeline_of(conn, thread.id, without=_NO_MAIL)
            entries = [one for one in older if (one.copy_id or one.message_id) == named] + entries
        return thread, customer, entries

    thread, customer, entries = await looked_up(visit, work)
    return await visit.page(
        "incident_move.html",
        status=status,
        trouble=trouble,
        typed=visit.form,
        ticked=set(visit.form.all("mail")) or {visit.query("mail")},
        thread=thread,
        customer=customer,
        entries=entries,
    )


async def _merge_form(visit: Visit, into: str, *, trouble: str = "", status: int = 200) -> Response:
    reference = visit.request.path_params["reference"]

    def work(conn: Connection) -> tuple[Found, Thread | None, int, str]:
        thread_for(conn, visit, reference, Permission.WORK)
        source = find(conn, visit, reference, None)
        mails = len(timeline_of(conn, source.thread.id, without=_NO_MAIL))
        target, refused = None, ""
        if into:
            try:
                target, _ = thread_for(conn, visit, into, Permission.WORK)
            except HTTPException:
                target = None
            except UnknownRecord:
                target = None
            refused = _NONE if target is None else merge_refusal(source.thread, target) or ""
        return source, None if refused else target, mails, refused

    source, target, mails, refused = await looked_up(visit, work)
    if refused:
        trouble, status = refused, 422
    return await visit.page(
        "incident_merge.html",
        status=status,
        trouble=trouble,
        thread=source.thread,
        customer=source.customer,
        target=target,
        mails=mails,
        tasks=len(source.tasks),
    )


def _audit(conn: Connection, visit: Visit, act: str, one: MovedMail) -> None:
    record_act(
        conn,
        act,
        visit.now,
        by=visit.actor,
        subject=one.target.reference,
        detail=f"from {one.source.reference}: entry {one.entry_id}",
        organisation_id=one.target.organisation_id,
    )


_ON: Final = "/incidents/{reference}"
PAGES: Final = (
    Page("GET", f"{_ON}/move", "incident-move", Permission.WORK, show),
    Page("POST", f"{_ON}/move", "incident-move-do", Permission.WORK, move),
    Page("GET", f"{_ON}/merge", "incident-merge", Permission.WORK, show_merge),
    Page("POST", f"{_ON}/merge", "incident-merge-do", Permission.WORK, merge),
)
