"""Break-glass in the console: all that is due, and on an incident its beginning, its end, and calls with their outcomes."""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.call_sheets import sheet_version
from expertmail.console.pages.incident_acts import MAX_NOTE, acted
from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import looked_up, number_of, word_of
from outbound.call_sheet import Outcome
from outbound.store.call_sheets import (
    open_sheets,
    sheet_of,
)
from outbound.store.calls import (
    begin_break_glass,
    end_break_glass,
    record_call,
)
from threads.access import Permission
from threads.model import Thread
from threads.store import Connection
from threads.store.errors import RefusedRecord
from threads.store.thread import thread_locked


async def show(visit: Visit) -> Response:
    """All incidents in break-glass that somebody sees: what is due first, then what waits for its time."""
    reach = visit.signed_in.account.reach(Permission.READ)
    found = await looked_up(visit, lambda conn: open_sheets(conn, visit.now, organisations_=reach))
    return await visit.page("calls.html", found=found)


async def mark(visit: Visit) -> Response:
    """Begin break-glass on an incident, or end it."""
    do, reason = visit.form.one("do"), visit.form.one("reason")

    def act(conn: Connection, thread: Thread) -> str:
        if do == "end":
            end_break_glass(conn, thread, visit.now, by=visit.actor)
            return "Break-glass has ended; nobody is called any more."
        if do != "begin":
            raise HTTPException(422, "Say whether it begins or ends.")
        begin_break_glass(conn, thread, reason, visit.now, by=visit.actor)
        return "Break-glass has begun; the call sheet says whom to call."

    return await acted(visit, act)


async def record(visit: Visit) -> Response:
    """Record a call with its outcome; a form that was made for another sheet is refused, so that none counts twice."""
    form = visit.form
    outcome, text = word_of(Outcome, form.one("outcome")), form.text("text").strip()
    number = number_of(form.one("contact"))

    def act(conn: Connection, thread: Thread) -> str:
        thread = thread_locked(conn, thread)
        sheet = sheet_of(conn, thread, visit.now)
        line = next((one for one in sheet.lines if one.contact.id == number), None)
        if form.one("was") != sheet_version(sheet) or line is None:
            raise RefusedRecord(
                "Somebody recorded a call meanwhile, or a contact changed; this is the sheet now."
            )
        if outcome is None:
            raise RefusedRecord("Choose what became of the call.")
        if len(text) > MAX_NOTE:
            raise HTTPException(422, f"That is longer than {MAX_NOTE:,} characters; say it in short.")
        record_call(conn, thread, line.contact, outcome, text, visit.now, by=visit.actor)
        return "The call is on the timeline."

    return await acted(visit, act)


_ON: Final = "/incidents/{reference}"
PAGES: Final = (
    Page("GET", "/calls", "calls", Permission.READ, show),
    Page("POST", f"{_ON}/break-glass", "incident-break-glass", Permission.WORK, mark),
    Page("POST", f"{_ON}/called", "incident-called", Permission.WORK, record),
)
