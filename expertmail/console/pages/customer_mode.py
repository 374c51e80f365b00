"""Compromised-customer mode: an intruder may be reading and writing a customer's mail."""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import looked_up, number_of, written
from outbound.store.untrusted import withhold_waiting
from threads.access import Permission
from threads.model import Contact, Organisation
from threads.store import Connection
from threads.store.audit import record_act
from threads.store.circumstances import distrust, phones, trust
from threads.store.errors import UnknownRecord
from threads.store.people import find_organisation, organisation

_MODES: Final = frozenset({"trusted", "untrusted"})


async def show(visit: Visit) -> Response:
    """What it does, and the form that begins or ends it."""
    return await _form(visit)


async def change(visit: Visit) -> Response:
    """Begin or end it, as the commands do."""
    mode, reason = visit.form.one("mode"), visit.form.one("reason")
    begins = mode == "untrusted"

    def work(conn: Connection) -> str:
        one = _customer(conn, visit)
        if mode not in _MODES:
            raise HTTPException(422, "Say whether the customer's mail is trusted.")
        if begins:
            one = distrust(conn, one, reason, visit.now, by=visit.actor)
            mails, orders = withhold_waiting(conn, one.id, visit.now)
            act, detail = "mail-distrusted", f"{reason}; {mails} mails withheld, {orders} orders refused"
            said = f"The mail of {one.name} is untrusted from now on; {mails + orders} that waited were stopped. Call them."
        else:
            one = trust(conn, one)
            act, detail = "mail-trusted", reason
            said = f"The mail of {one.name} is trusted again; what is held or withheld stays so until you decide."
        record_act(
            conn, act, visit.now, by=visit.actor, subject=one.name, detail=detail, organisation_id=one.id
        )
        return said

    try:
        said = await written(visit, work)
    except HTTPException as error:
        if error.status_code != 409:  # noqa: PLR2004
            raise
        return await _form(visit, trouble=error.detail, status=409)
    return visit.go(visit.request.url.path, said)


def _customer(conn: Connection, visit: Visit) -> Organisation:
    number = number_of(visit.request.path_params["customer"])
    visit.require(Permission.WORK, number)
    found = find_organisation(conn, organisation(conn, number).name)
    if found is None:
        raise UnknownRecord("There is no such customer.")
    return found


async def _form(visit: Visit, *, trouble: str = "", status: int = 200) -> Response:
    def work(conn: Connection) -> tuple[Organisation, tuple[Contact, ...]]:
        one = _customer(conn, visit)
        return one, phones(conn, one.id)

    customer, telephones = await looked_up(visit, work)
    return await visit.page(
        "customer_mode.html",
        status=status,
        trouble=trouble,
        customer=customer,
        telephones=telephones,
        reason=visit.form.one("reason"),
    )


PAGES: Final = (
    Page("GET", "/customers/{customer}/mode", "customer-mode", Permission.WORK, show),
    Page("POST", "/customers/{customer}/mode", "customer-mode-change", Permission.WORK, change),
)
