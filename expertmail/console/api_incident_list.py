"""The list of threads and the search through their mail, over HTTP, as the pages have them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field
from starlette.exceptions import HTTPException

from expertmail.console.api_forms import Line, Place, QueryForm
from expertmail.console.api_incidents import brief
from expertmail.console.api_operation import Call, Json, Operation, Told
from expertmail.console.api_schema import NUMBER, TEXT, TEXT_OR_NULL, TIME, list_, object_, ref, words
from expertmail.console.api_work import customer_of, thread_for
from expertmail.console.pages.incidents import CATCH_UP_SECONDS
from threads.api_token import Scope
from threads.model import Assignee, Disposition, Severity, State, ThreadKind
from threads.search_query import QueryError, read_query
from threads.store.search import Filters, Hit, search
from threads.store.search_index import catch_up
from threads.store.thread_listing import Wanted, list_page
from verifier.report import Verdict


class ListIncidents(QueryForm):
    """Which threads; all that is named has to hold."""

    organisation: Line | None = None
    kind: ThreadKind = ThreadKind.INCIDENT
    state: State | None = None
    unresolved: bool = False
    severity: Severity | None = None
    assigned_to: Assignee | None = None
    words: Annotated[str, Field(max_length=100)] = ""
    after: Place = ""


class SearchMail(QueryForm):
    """What to look for: words, "phrases", beginnings*, -without; in the mail of one thread, or in all."""

    words: Annotated[str, Field(max_length=300)]
    thread: Line | None = None
    verdict: Verdict | None = None
    after: Place = ""


def list_incidents(call: Call, form: ListIncidents) -> Told:
    """A page of threads, the latest news first."""
    with call.database.reading() as conn:
        only = None
        if form.organisation is not None:
            only = customer_of(conn, form.organisation, call.token).id
        wanted = Wanted(
            organisations=call.token.organisations,
            organisation_id=only,
            kind=form.kind,
            state=form.state,
            unresolved=form.unresolved,
            severity=form.severity,
            assigned_to=form.assigned_to,
            words=form.words,
        )
        page = list_page(conn, wanted, cursor=form.after)
    return Told({"incidents": [brief(one, name) for one, name in page.threads], "next": page.cursor})


def search_mail(call: Call, form: SearchMail) -> Told:
    """A page of messages, the newest first; only what is on threads of customers that are there for the token, or held for them."""
    try:
        query = read_query(form.words)
        catch_up(call.database, CATCH_UP_SECONDS)
        with call.database.reading() as conn:
            thread = None if form.thread is None else thread_for(conn, form.thread, call.token)[0].id
            filters = Filters(
                thread,
                verdict=None if form.verdict is None else form.verdict.value,
                organisations=call.token.organisations,
            )
            page = search(conn, query, filters, cursor=form.after or None)
    except QueryError as error:
        raise HTTPException(422, str(error)) from error
    return Told({"hits": [_hit(one) for one in page.hits], "next": page.cursor})


def _hit(one: Hit) -> Json:
    return {
        "id": one.copy.id,
        "thread": one.thread,
        "received_at": one.copy.received_at.isoformat(),
        "author": one.copy.author,
        "subject": one.copy.subject,
        "verdict": one.copy.verdict,
        "disposition": one.copy.disposition,
        "snippet": one.snippet.text,
        "places": [list(place) for place in one.snippet.hits],
    }


SCHEMAS: Final[Json] = {
    "Incidents": object_({"incidents": list_(ref("Incident")), "next": TEXT_OR_NULL}),
    "Hits": object_(
        {
            "hits": list_(
                object_(
                    {
                        "id": TEXT,
                        "thread": TEXT_OR_NULL,
                        "received_at": TIME,
                        "author": TEXT_OR_NULL,
                        "subject": TEXT,
                        "verdict": TEXT,
                        "disposition": words(Disposition),
                        "snippet": TEXT,
                        "places": list_(list_({**NUMBER, "minimum": 0})),
                    }
                )
            ),
            "next": TEXT_OR_NULL,
        }
    ),
}

OPERATIONS: Final = (
    Operation(
        "GET",
        "/incidents",
        "list-incidents",
        Scope.READ_INCIDENTS,
        "Incidents, or with `kind` inquiries or service threads, the latest news first; `next` is the next page's `after`.",
        ListIncidents,
        list_incidents,
        {200: ("A page of them.", "Incidents")},
        refusals=(404, 409),
    ),
    Operation(
        "GET",
        "/search",
        "search-mail",
        Scope.READ_MAIL,
        "Messages with all these words, held ones and unproven ones too, the newest first.",
        SearchMail,
        search_mail,
        {200: ("A page of them; `places` are the words in the snippet, from and to.", "Hits")},
        refusals=(404,),
    ),
)
