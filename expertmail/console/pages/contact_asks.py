"""Asks once more, on a page of its own, before a contact or a domain is taken away, or a domain counts as checked."""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.contacts import customer_of, standing
from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import looked_up, number_of
from threads.access import Permission
from threads.model import Contact, Organisation, OrganisationDomain
from threads.store import Connection
from threads.store.customer_pages import contact_page
from threads.store.people import list_domains


async def ask_to_remove(visit: Visit) -> Response:
    """What it means that somebody speaks for the customer no more."""
    number = number_of(visit.request.path_params["contact"])

    def work(conn: Connection) -> tuple[Organisation, Contact]:
        customer = customer_of(conn, visit, Permission.KEEP_CONTACTS)
        found = contact_page(conn, customer.id, only=number).contacts
        if not found:
            raise HTTPException(404)
        return customer, found[0]

    customer, one = await looked_up(visit, work)
    return await visit.page(
        "contact_ask.html",
        customer=customer,
        title=f"Remove {one.name}?",
        sentences=(
            f"{one.address} is no contact of {customer.name} any more, and gets no mail of ours.",
            "Unless its domain is checked to be theirs, what comes from there is held from now on.",
            "What was said stays on record, tied to this person.",
        ),
        action=f"/contacts/organisations/{customer.id}/contacts/{one.id}",
        values={"was": standing(one), "do": "remove"},
        button="Remove",
    )


async def ask_about_domain(visit: Visit) -> Response:
    """What it means that a domain is checked, or is forgotten."""
    name, do = visit.query("domain"), visit.query("do")

    def work(conn: Connection) -> tuple[Organisation, OrganisationDomain]:
        customer = customer_of(conn, visit, Permission.KEEP_CONTACTS)
        found = [one for one in list_domains(conn, customer.id) if one.domain == name]
        if not found or do not in {"verify", "remove"}:
            raise HTTPException(404)
        return customer, found[0]

    customer, one = await looked_up(visit, work)
    if do == "verify":
        title, button = f"Is {one.domain} theirs?", "I have checked it"
        sentences: tuple[str, ...] = (
            f"Whoever is authenticated by {one.domain} may then speak for {customer.name}.",
            "Have you checked by another way than mail that this domain is theirs?",
        )
    else:
        title, button = f"Forget {one.domain}?", "Forget"
        sentences = (f"Only contacts with an address there may then speak for {customer.name}.",)
    return await visit.page(
        "contact_ask.html",
        customer=customer,
        title=title,
        sentences=sentences,
        action=f"/contacts/organisations/{customer.id}/domains",
        values={"domain": one.domain, "do": do},
        button=button,
    )


_ON: Final = "/contacts/organisations/{customer}"
PAGES: Final = (
    Page("GET", f"{_ON}/contacts/{{contact}}/remove", "contact-ask", Permission.KEEP_CONTACTS, ask_to_remove),
    Page("GET", f"{_ON}/domain", "domain-ask", Permission.KEEP_CONTACTS, ask_about_domain),
)
