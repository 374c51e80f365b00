"""Customers over HTTP, and compromised-customer mode."""

from __future__ import annotations

from typing import Any, Final, Literal

from expertmail.console.api_forms import Line, QueryForm, StrictForm
from expertmail.console.api_operation import Call, Json, Nothing, Operation, Told
from expertmail.console.api_schema import FLAG, TEXT, TIME, list_, object_, or_null
from expertmail.console.api_work import customer_of
from outbound.store.untrusted import withhold_waiting
from threads.api_token import Scope
from threads.model import Organisation, OrganisationDomain
from threads.store import Connection
from threads.store.audit import record_act
from threads.store.circumstances import distrust, trust
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.people import (
    add_domain,
    add_organisation,
    find_organisation,
    list_domains,
    list_organisations,
    remove_domain,
)


class NewCustomer(StrictForm):
    """A customer to record."""

    name: Line


class NewDomain(StrictForm):
    """A mail domain of a customer; ``verified``: it was checked to be theirs, and its authenticated users may speak."""

    organisation: Line
    domain: Line
    verified: bool = False


class GoneDomain(QueryForm):
    """A domain that is to be forgotten."""

    organisation: Line
    domain: Line


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
        domains: dict[int, list[Json]] = {}
        for one in list_domains(conn):
            domains.setdefault(one.organisation_id, []).append(_domain_json(one))
        found = [one for one in list_organisations(conn) if reach is None or one.id in reach]
    return Told({"customers": [{**_customer_json(one), "domains": domains.get(one.id, [])} for one in found]})


def add_customer(call: Call, form: NewCustomer) -> Told:
    """Record a customer; for a token for all customers only."""
    if call.token.organisations is not None:
        raise UnknownRecord("Other customers are not there for this token.")
    name = " ".join(form.name.split())
    with call.database.writing() as conn:
        if find_organisation(conn, name) is not None:
            raise RefusedRecord(f"There is a customer named {name}.")
        made = add_organisation(conn, name, call.now)
        record_act(conn, "customer-added", call.now, by=call.by, subject=made.name, organisation_id=made.id)
    return Told({**_customer_json(made), "domains": []})


def set_domain(call: Call, form: NewDomain) -> Told:
    """Add a domain, or say whether it was checked to be theirs."""
    with call.database.writing() as conn:
        one = customer_of(conn, form.organisation, call.token)
        plain = form.domain.rstrip(".").lower()
        owner = next((each.organisation_id for each in list_domains(conn) if each.domain == plain), one.id)
        if not call.token.may_touch(owner):  # the record would say whose it is
            raise RefusedRecord("That domain is somebody else's.")
        made = add_domain(conn, one.id, form.domain, call.now, verified=form.verified, by=call.by)
        word = "verified" if form.verified else "not verified"
        _audit(conn, call, "domain-added", made.domain, f"of {one.name}, {word}", one)
        return Told(_in_full(conn, one))


def forget_domain(call: Call, form: GoneDomain) -> Told:
    """Forget a domain; UnknownRecord for one that the customer has not."""
    with call.database.writing() as conn:
        one = customer_of(conn, form.organisation, call.token)
        remove_domain(conn, form.domain, one.id)
        _audit(conn, call, "domain-removed", form.domain, f"of {one.name}", one)
        return Told(_in_full(conn, one))


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
        _audit(conn, call, act, one.name, detail, one)
        return Told(_in_full(conn, one))


def _audit(  # noqa: PLR0917 -- one call, each argument a different thing
    conn: Connection, call: Call, act: str, subject: str, detail: str, one: Organisation
) -> None:
    record_act(conn, act, call.now, by=call.by, subject=subject, detail=detail, organisation_id=one.id)


def _in_full(conn: Connection, one: Organisation) -> Json:
    domains = [_domain_json(each) for each in list_domains(conn, one.id)]
    return {**_customer_json(one), "domains": domains}


def _domain_json(one: OrganisationDomain) -> Json:
    return {"domain": one.domain, "verified": one.verified}


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
    "domains": list_(object_({"domain": TEXT, "verified": FLAG})),
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
        "/customers",
        "add-customer",
        Scope.WRITE_CONTACTS,
        "Record a customer; for tokens for all customers.",
        NewCustomer,
        add_customer,
        {201: ("It is recorded.", "Customer")},
        refusals=(404, 409),
    ),
    Operation(
        "POST",
        "/customers/domains",
        "set-domain",
        Scope.WRITE_DOMAINS,
        "Record a mail domain of a customer. Of a verified one all authenticated users may speak for it.",
        NewDomain,
        set_domain,
        {200: ("The customer as it is now.", "Customer")},
        refusals=(404, 409),
    ),
    Operation(
        "DELETE",
        "/customers/domains",
        "forget-domain",
        Scope.WRITE_DOMAINS,
        "Forget a mail domain of a customer.",
        GoneDomain,
        forget_domain,
        {200: ("The customer as it is now.", "Customer")},
        refusals=(404,),
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
