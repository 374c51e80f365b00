"""Customers over HTTP, and compromised-customer mode."""

from __future__ import annotations

from typing import Any, Final, Literal

from expertmail.console.api_forms import Line, StrictForm
from expertmail.console.api_operation import Call, Json, Nothing, Operation, Told
from expertmail.console.api_schema import FLAG, TEXT, TIME, list_, object_, or_null
from expertmail.console.api_work import customer_of
from outbound.store.untrusted import withhold_waiting
from threads.api_token import Scope
from threads.model import Organisation
from threads.store.audit import record_act
from threads.store.circumstances import distrust, trust
from threads.store.people import list_domains, list_organisations


class Mode(StrictForm):
    """Whether an intruder may be reading and writing a customer's mail, and why that is believed."""

    organisation: Line
    mode: Literal["trusted", "untrusted"]
    reason: Line


def list_customers(call: Call, form: Nothing) -> Told:
    """All that are there for the token, by name."""
    del form
    reach = call.token.organisations
    with call.database.reading() as conn:
        domains: dict[int, list[str]] = {}
        for one in list_domains(conn):
            domains.setdefault(one.organisation_id, []).append(one.domain)
        found = [one for one in list_organisations(conn) if reach is None or one.id in reach]
    return Told({"customers": [{**_customer_json(one), "domains": domains.get(one.id, [])} for one in found]})


def set_mode(call: Call, form: Mode) -> Told:
    """Begin compromised-customer mode or end it, as the command and the page do."""
    with call.database.writing() as conn:
        one = customer_of(conn, form.organisation, call.token)
        act, detail = "mail-trusted", form.reason
        if form.mode == "untrusted":
            one = distrust(conn, one, form.reason, call.now, by=call.by)
            mails, orders = withhold_waiting(conn, one.id, call.now)
            act, detail = "mail-distrusted", f"{form.reason}; {mails} mails withheld, {orders} orders refused"
        else:
            one = trust(conn, one)
        record_act(conn, act, call.now, by=call.by, subject=one.name, detail=detail, organisation_id=one.id)
        domains = [each.domain for each in list_domains(conn, one.id)]
    return Told({**_customer_json(one), "domains": domains})


def _customer_json(one: Organisation) -> Json:
    mode = one.untrusted
    return {
        "name": one.name,
        "untrusted": None
        if mode is None
        else {"since": mode.at.isoformat(), "by": mode.by, "reason": mode.reason},
        "legal_hold": one.legal_hold is not None,
    }


_CUSTOMER: Final[dict[str, Any]] = {
    "name": TEXT,
    "untrusted": or_null(object_({"since": TIME, "by": TEXT, "reason": TEXT})),
    "legal_hold": FLAG,
    "domains": list_(TEXT),
}
SCHEMAS: Final[Json] = {
    "Customer": object_(_CUSTOMER),
    "Customers": object_({"customers": list_(object_(_CUSTOMER))}),
}
OPERATIONS: Final = (
    Operation(
        "GET",
        "/customers",
        "list-customers",
        Scope.READ_CONTACTS,
        "The customers that are there for the token.",
        Nothing,
        list_customers,
        {200: ("All of them.", "Customers")},
    ),
    Operation(
        "POST",
        "/customers/mode",
        "set-customer-mode",
        Scope.SET_MODE,
        "Begin compromised-customer mode (`untrusted`), which stops what waits to be sent, or end it.",
        Mode,
        set_mode,
        {200: ("The customer as it is now.", "Customer")},
        refusals=(404, 409),
    ),
)
