"""Customers and who speaks for them: the list, one customer, and what may be changed there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import looked_up, number_of, word_of, written
from expertmail.contact_changes import what_changed
from outbound.store.suppression import allow_again, keys_of, suppressed_as
from threads.access import Permission
from threads.model import Contact, ContactForm, ContactKind, Organisation, Tlp
from threads.model import Permission as Consent
from threads.store import Connection
from threads.store.audit import record_act
from threads.store.customer_pages import contact_page, customer_page
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.people import (
    add_contact,
    add_domain,
    add_organisation,
    allow_details,
    change_contact,
    find_organisation,
    list_contacts,
    list_domains,
    organisation,
    remove_contact,
    remove_domain,
    set_tlp,
)

_DEFAULT: Final = "default"
Act = Callable[[Connection, Organisation], str]


async def show(visit: Visit) -> Response:
    """All customers that may be seen, or those that are looked for by a name, an address or a domain."""
    return await _list(visit)


async def _list(visit: Visit, *, trouble: str = "") -> Response:
    reach, words = visit.signed_in.account.reach(Permission.READ), visit.query("words")
    page = await looked_up(
        visit, lambda conn: customer_page(conn, reach, words=words, cursor=visit.query("after"))
    )
    later = "" if page.cursor is None else f"/contacts?{urlencode({'words': words, 'after': page.cursor})}"
    return await visit.page(
        "contacts.html",
        found=page.customers,
        words=words,
        later=later,
        may_add=visit.signed_in.may(Permission.KEEP_CONTACTS, None),
        status=422 if trouble else 200,
        trouble=trouble,
        name=visit.form.one("name"),
    )


async def add_customer(visit: Visit) -> Response:
    """Record a customer; only for who keeps all of them."""
    name = " ".join(visit.form.one("name").split())
    visit.require(Permission.KEEP_CONTACTS, None)

    def work(conn: Connection) -> Organisation:
        if not name:
            raise RefusedRecord("A customer needs a name.")
        if find_organisation(conn, name) is not None:
            raise RefusedRecord(f"There is a customer named {name}.")
        made = add_organisation(conn, name, visit.now)
        record_act(
            conn, "customer-added", visit.now, by=visit.actor, subject=made.name, organisation_id=made.id
        )
        return made

    try:
        made = await written(visit, work)
    except HTTPException as error:
        if error.status_code != 409:  # noqa: PLR2004
            raise
        return await _list(visit, trouble=error.detail)
    return visit.go(f"/contacts/organisations/{made.id}", f"{made.name} is a customer.")


async def show_customer(visit: Visit) -> Response:
    """One customer."""
    return await _page(visit)


async def new_contact(visit: Visit) -> Response:
    """Add a contact."""
    form = visit.form

    def act(conn: Connection, customer: Organisation) -> str:
        kind = word_of(ContactKind, form.one("kind")) or ContactKind.INCIDENT_NOTIFICATION
        shape = word_of(ContactForm, form.one("form")) or ContactForm.PERSON
        tlp = None if form.one("tlp") in {"", _DEFAULT} else word_of(Tlp, form.one("tlp"))
        made = add_contact(
            conn,
            customer.id,
            form.one("address"),
            form.one("name"),
            visit.now,
            kind=kind,
            language=form.one("language") or "en",
            phone=form.one("phone") or None,
            form=shape,
            tlp=tlp,
            reads_chat=form.one("reads_chat") == "yes",
            call_order=_place(form.one("call_order")) if "call_order" in form.values else None,
            time_zone=form.one("time_zone") if "time_zone" in form.values else None,
        )
        detail = f"{made.name}, {made.kind} of {customer.name}"
        _audit(conn, visit, "contact-added", made.address, detail, customer.id)
        return f"{made.name} is a contact."

    return await _acted(visit, act)


async def change(visit: Visit) -> Response:
    """Change a contact, or let it speak no more; a form that was made for another state of it is refused."""
    form, number = visit.form, number_of(visit.request.path_params["contact"])
    kind, shape = word_of(ContactKind, form.one("kind")), word_of(ContactForm, form.one("form"))
    tlp = None if form.one("tlp") in {"", _DEFAULT} else word_of(Tlp, form.one("tlp"))

    def act(conn: Connection, customer: Organisation) -> str:
        before = next(iter(contact_page(conn, customer.id, only=number).contacts), None)
        if before is None:
            raise RefusedRecord("That is no contact of this customer any more.")
        if (
            not {"name", "kind", "form", "language", "phone", "tlp"} <= set(form.values)
            and form.one("do") != "remove"
        ):
            raise HTTPException(422, "Send the whole form.")
        if form.one("was") != standing(before):
            raise RefusedRecord("Somebody changed this contact meanwhile; this is how it stands now.")
        if form.one("do") == "remove":
            remove_contact(conn, before, visit.now)
            _audit(conn, visit, "contact-removed", before.address, before.name, customer.id)
            return f"{before.address} is no contact any more; what was said stays on record."
        after = change_contact(
            conn,
            before,
            name=_needed(form.one("name"), "A contact needs a name."),
            kind=kind,
            language=_needed(form.one("language"), "A contact needs a language, such as en."),
            phone=form.one("phone"),
            form=shape,
            external=form.one("external") == "yes",
            reads_chat=form.one("reads_chat") == "yes",
            call_order=_place(form.one("call_order")) if "call_order" in form.values else None,
            time_zone=form.one("time_zone") if "time_zone" in form.values else None,
        )
        after = set_tlp(conn, after, tlp)
        consents = Consent(visit.now, visit.actor) if form.one("details") == "yes" else None
        after = allow_details(conn, after, consents)
        if (before.details_allowed is None) != (after.details_allowed is None):
            word = "details-forbidden" if after.details_allowed is None else "details-allowed"
            _audit(conn, visit, word, after.address, after.name, customer.id)
        told = what_changed(before, after)
        if told:
            _audit(conn, visit, "contact-changed", after.address, told, customer.id)
        return f"{after.address} is changed." if told else "Nothing changed."

    return await _acted(visit, act)


async def domains(visit: Visit) -> Response:
    """Add a domain, say that it was checked to be theirs, or forget it."""
    domain, do = visit.form.one("domain"), visit.form.one("do")

    def act(conn: Connection, customer: Organisation) -> str:
        if do == "remove":
            remove_domain(conn, domain, customer.id)
            _audit(conn, visit, "domain-removed", domain, f"of {customer.name}", customer.id)
            return f"{domain} is no domain of {customer.name} any more."
        if do not in {"add", "verify"}:
            raise HTTPException(422, "Say what is to be done with the domain.")
        plain = domain.strip().rstrip(".").lower()
        if do == "add" and plain in {one.domain for one in list_domains(conn, customer.id)}:
            raise RefusedRecord(f"{plain} is a domain of {customer.name} already.")
        verified = do == "verify"
        made = add_domain(conn, customer.id, domain, visit.now, verified=verified, by=visit.actor)
        word = "verified" if verified else "not verified"
        _audit(conn, visit, "domain-added", made.domain, f"of {customer.name}, {word}", customer.id)
        return f"{made.domain} is a domain of {customer.name}, {word}."

    return await _acted(visit, act)


async def allow(visit: Visit) -> Response:
    """Send to an address again that got no mail."""
    address = visit.form.one("address")

    def act(conn: Connection, customer: Organisation) -> str:
        theirs = {form for one in list_contacts(conn, customer.id) for form in keys_of(one.address)}
        if not keys_of(address) & theirs:
            raise UnknownRecord("That is no contact's address.")
        allow_again(conn, address)
        _audit(conn, visit, "address-allowed", address, "", customer.id)
        return f"{address} gets mail again."

    return await _acted(visit, act)


def _needed(text: str, sentence: str) -> str:
    if not text:
        raise RefusedRecord(sentence)
    return text


def standing(one: Contact) -> str:
    """How a contact stands, as one text."""
    tlp = "" if one.tlp is None else one.tlp.value
    words = (one.name, one.kind.value, one.form.value, one.language, one.phone or "", str(one.external), tlp)
    calls = (str(one.call_order or 0), one.time_zone or "")
    return "|".join((*words, "no" if one.details_allowed is None else "yes", str(one.reads_chat), *calls))


def _place(text: str) -> int:
    """The place in the order of calls; 0 for an empty field. RefusedRecord for what is no number."""
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal()) or len(text) > 4:  # noqa: PLR2004
        raise RefusedRecord("The call order is a number, such as 1 for who is called first.")
    return int(text)


def customer_of(conn: Connection, visit: Visit, permission: Permission) -> Organisation:
    """The customer of the page's path; HTTPException 404 alike for none, another's, and an erased one."""
    number = number_of(visit.request.path_params["customer"])
    visit.require(permission, number)
    found = find_organisation(conn, organisation(conn, number).name)
    if found is None:
        raise UnknownRecord("There is no such customer.")
    return found


async def _acted(visit: Visit, act: Act) -> Response:
    try:
        said = await written(
            visit, lambda conn: act(conn, customer_of(conn, visit, Permission.KEEP_CONTACTS))
        )
    except HTTPException as error:
        if error.status_code not in {409, 422}:
            raise
        return await _page(visit, trouble=error.detail, status=error.status_code)
    return visit.go(f"/contacts/organisations/{visit.request.path_params['customer']}", said)


async def _page(visit: Visit, *, trouble: str = "", status: int = 200) -> Response:
    words, contact = visit.query("words"), visit.request.path_params.get("contact")
    only = None if contact is None else number_of(contact)  # what is wrong with one is told beside it

    def work(conn: Connection) -> dict[str, object]:
        one = customer_of(conn, visit, Permission.READ)
        page = contact_page(conn, one.id, words=words, cursor=visit.query("after"), only=only)
        people = page.contacts
        suppressed = {each.id: suppressed_as(conn, each.address) for each in people}
        asked = urlencode({"words": words, "after": page.cursor or ""})
        return {
            "customer": one,
            "contacts": [(each, standing(each), suppressed[each.id]) for each in people],
            "later": "" if page.cursor is None else f"/contacts/organisations/{one.id}?{asked}",
            "domains": list_domains(conn, one.id),
            "may_keep": visit.signed_in.may(Permission.KEEP_CONTACTS, one.id),
            "may_work": visit.signed_in.may(Permission.WORK, one.id),
            "may_compose": visit.signed_in.may(Permission.COMPOSE, one.id),
        }

    found = await looked_up(visit, work)
    return await visit.page(
        "customer.html",
        status=status,
        trouble=trouble,
        typed=visit.form,
        words=words,
        kinds=[(one.value, one.value) for one in ContactKind],
        forms=[(one.value, one.value) for one in ContactForm],
        tlps=[(_DEFAULT, "as the settings say"), *((one.value, one.value) for one in Tlp)],
        **found,
    )


def _audit(  # noqa: PLR0917 -- one call, each argument a different thing
    conn: Connection, visit: Visit, act: str, subject: str, detail: str, whose: int
) -> None:
    record_act(conn, act, visit.now, by=visit.actor, subject=subject, detail=detail, organisation_id=whose)


_ON: Final = "/contacts/organisations/{customer}"
PAGES: Final = (
    Page("GET", "/contacts", "contacts", Permission.READ, show),
    Page("POST", "/contacts/organisations", "customer-add", Permission.KEEP_CONTACTS, add_customer),
    Page("GET", _ON, "customer", Permission.READ, show_customer),
    Page("POST", f"{_ON}/contacts", "contact-add", Permission.KEEP_CONTACTS, new_contact),
    Page("POST", f"{_ON}/contacts/{{contact}}", "contact-change", Permission.KEEP_CONTACTS, change),
    Page("POST", f"{_ON}/domains", "customer-domains", Permission.KEEP_CONTACTS, domains),
    Page("POST", f"{_ON}/allow", "customer-allow", Permission.KEEP_CONTACTS, allow),
)
