"""The list of incidents, inquiries and service threads, and the search through all mail."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import looked_up, names_of, number_of, thread_for, word_of
from threads.access import Permission
from threads.model import Assignee, Severity, State, ThreadKind
from threads.search_query import QueryError, read_query
from threads.store import Connection
from threads.store.search import Filters, search
from threads.store.search import Page as SearchPage
from threads.store.search_index import catch_up
from threads.store.thread_listing import ThreadPage, Wanted, list_page
from verifier.report import Verdict

KINDS: Final = {
    ThreadKind.INCIDENT: "Incidents",
    ThreadKind.INQUIRY: "Inquiries",
    ThreadKind.SERVICE: "Service threads",
}
_UNRESOLVED: Final = "unresolved"
_MAX_QUERY: Final = 300
CATCH_UP_SECONDS: Final = 1.0
"""For taking in what came in last; the server takes in the rest meanwhile."""


async def show(visit: Visit) -> Response:
    """A page of the list, the latest news first."""
    kind = word_of(ThreadKind, visit.query("kind")) or ThreadKind.INCIDENT
    state = visit.query("state")
    only = visit.query("customer")
    wanted = Wanted(
        organisations=visit.signed_in.account.reach(Permission.READ),
        organisation_id=number_of(only) if only else None,
        kind=kind,
        state=None if state == _UNRESOLVED else word_of(State, state),
        unresolved=state == _UNRESOLVED,
        severity=word_of(Severity, visit.query("severity")),
        assigned_to=word_of(Assignee, visit.query("assigned")),
        words=visit.query("words"),
    )

    def work(conn: Connection) -> tuple[ThreadPage, dict[int, str]]:
        return list_page(conn, wanted, cursor=visit.query("after")), dict(names_of(conn, visit))

    page, names = await looked_up(visit, work)
    asked = {name: value for name, value in visit.request.query_params.items() if name != "after" and value}
    return await visit.page(
        "incidents.html",
        kinds=KINDS,
        kind=kind,
        found=page.threads,
        names=names,
        asked=asked,
        narrowed=bool(set(asked) - {"kind"}),
        states=[(_UNRESOLVED, "Not resolved"), *((one.value, one.value) for one in State)],
        severities=[(one.value, one.value) for one in Severity],
        assignees=[(one.value, one.value) for one in Assignee],
        later="" if page.cursor is None else f"/incidents?{urlencode({**asked, 'after': page.cursor})}",
        may_open=visit.signed_in.account.may_anywhere(Permission.WORK),
        sees_all=wanted.organisations is None,
    )


async def find(visit: Visit) -> Response:
    """Search mail: all that the viewer sees, or what is on one thread. Who sees some customers only searches theirs."""
    words, reference = visit.query("words")[:_MAX_QUERY], visit.query("thread")[:_MAX_QUERY]
    reached = visit.signed_in.account.reach(Permission.READ)
    verdict = word_of(Verdict, visit.query("verdict"))
    trouble, found = "", None
    if words:

        def hits(conn: Connection) -> SearchPage:
            thread = thread_for(conn, visit, reference)[0].id if reference else None
            filters = Filters(
                thread, verdict=None if verdict is None else verdict.value, organisations=reached
            )
            return search(conn, read_query(words), filters, cursor=visit.query("after") or None)

        try:
            await visit.run(lambda: catch_up(visit.parts.api.database, CATCH_UP_SECONDS))
            found = await looked_up(visit, hits)
        except QueryError as error:
            trouble = str(error)
        except HTTPException as error:
            if error.status_code != 404:  # noqa: PLR2004
                raise
            trouble = "There is no such incident."
    asked = {"words": words, "thread": reference, "verdict": visit.query("verdict")}
    more = None if found is None else found.cursor
    return await visit.page(
        "search.html",
        status=422 if trouble else 200,
        trouble=trouble,
        words=words,
        reference=reference,
        verdict=visit.query("verdict"),
        verdicts=[("", "any verdict"), *((one.value, one.value) for one in Verdict)],
        found=found,
        sees_all=reached is None,
        later="" if more is None else f"/search?{urlencode({**asked, 'after': more})}",
    )


PAGES: Final = (
    Page("GET", "/incidents", "incidents", Permission.READ, show),
    Page("GET", "/search", "search", Permission.READ, find),
)
