"""An incident's call sheet over HTTP: whom to telephone, and when. Calls are recorded by ``api_incident_acts``."""

from __future__ import annotations

from typing import Final

from expertmail.call_sheets import sheet_json
from expertmail.console.api_operation import Call, Json, Nothing, Operation, Told
from expertmail.console.api_schema import (
    FLAG,
    NUMBER,
    NUMBER_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    TIME,
    TIME_OR_NULL,
    list_,
    object_,
    or_null,
    words,
)
from expertmail.console.api_work import thread_for
from outbound.call_sheet import Outcome
from outbound.store.call_sheets import (
    sheet_of,
)
from threads.api_token import Scope
from threads.model import Severity, State


def show(call: Call, form: Nothing) -> Told:
    """The sheet as it is now."""
    del form
    with call.database.reading() as conn:
        thread, customer = thread_for(conn, call.path["reference"], call.token)
        return Told(sheet_json(customer.name, sheet_of(conn, thread, call.now)))


_COUNT: Final = {"type": "integer", "minimum": 0}
_CONTACT: Final = object_(
    {
        "place": NUMBER,
        "contact": NUMBER,
        "name": TEXT,
        "address": TEXT,
        "number": TEXT,
        "callable": FLAG,
        "language": TEXT,
        "time_zone": TEXT_OR_NULL,
        "local_time": TIME_OR_NULL,
        "good": FLAG,
        "good_from": TIME,
        "calls": _COUNT,
        "last": or_null(object_({"at": TIME, "outcome": words(Outcome), "by": TEXT})),
    }
)
SCHEMAS: Final[Json] = {
    "CallSheet": object_(
        {
            "reference": TEXT,
            "organisation": TEXT,
            "severity": words(Severity, or_null=True),
            "state": words(State),
            "break_glass": or_null(object_({"since": TIME, "reason": TEXT, "by": TEXT})),
            "untrusted": FLAG,
            "nobody": TEXT_OR_NULL,
            "round": _COUNT,
            "due": or_null(object_({"contact": NUMBER_OR_NULL, "since": TIME, "until": TIME_OR_NULL})),
            "next": or_null(object_({"contact": NUMBER, "at": TIME})),
            "then": or_null(object_({"contact": NUMBER, "after_seconds": _COUNT, "new_round": FLAG})),
            "contacts": list_(_CONTACT),
        }
    )
}
OPERATIONS: Final = (
    Operation(
        "GET",
        "/incidents/{reference}/calls",
        "show-call-sheet",
        Scope.READ_INCIDENTS,
        "Whom to telephone about an incident in break-glass, in which order and when; `nobody` says why nobody is called.",
        Nothing,
        show,
        {200: ("The sheet as it is now.", "CallSheet")},
    ),
)
