"""Who speaks for customers, over HTTP."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from expertmail.console.api_forms import Language, Line, Number, QueryForm, StrictForm
from expertmail.console.api_operation import Call, Json, Nothing, Operation, Told
from expertmail.console.api_schema import (
    FLAG,
    NUMBER,
    NUMBER_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    list_,
    object_,
    words,
)
from expertmail.console.api_work import customer_of
from expertmail.contact_changes import what_changed
from outbound.call_hours import MAX_ZONE
from outbound.store.suppression import allow_again
from threads.api_token import Scope
from threads.model import Contact, ContactForm, ContactKind, Organisation, Permission, Tlp
from threads.store import Connection
from threads.store.audit import record_act
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.people import (
    MAX_CALL_ORDER,
    add_contact,
    allow_details,
    change_contact,
    contact,
    list_contacts,
    organisation,
    remove_contact,
    set_tlp,
)

MAX_CONTACTS: Final = 200
"""In one answer; `next` goes on."""
MAX_ADDRESS: Final = 320
"""Characters: 64 before the at sign, 255 after it (RFC 5321 4.5.3.1)."""
_WORD: Final = Field(strict=False)
_KindWord = Annotated[ContactKind, _WORD]
_FormWord = Annotated[ContactForm, _WORD]
_TlpWord = Annotated[Tlp, _WORD]
_Phone = Annotated[str, Field(max_length=100)]


class ListContacts(QueryForm):
    """Whose contacts; ``after`` is a contact's number."""

    organisation: Line
    after: Number | None = None


_CallOrder = Annotated[int, Field(ge=0, le=MAX_CALL_ORDER)]
_TimeZone = Annotated[str, Field(max_length=MAX_ZONE)]


class NewContact(StrictForm):
    """A person or team mailbox that speaks for a customer."""

    organisation: Line
    address: Annotated[str, Field(min_length=3, max_length=MAX_ADDRESS)]
    name: Line
    kind: _KindWord = ContactKind.INCIDENT_NOTIFICATION
    form: _FormWord = ContactForm.PERSON
    language: Language = "en"
    phone: _Phone = ""
    external: bool | None = None
    tlp: _TlpWord | None = None
    reads_chat: bool = False
    call_order: _CallOrder = 0
    time_zone: _TimeZone = ""


class ContactChange(StrictForm):
    """What is to be different about a contact; an empty phone or zone, and the call order 0, take it away."""

    name: Line | None = None
    kind: _KindWord | None = None
    form: _FormWord | None = None
    language: Language | None = None
    phone: _Phone | None = None
    external: bool | None = None
    tlp: _TlpWord | Literal["default"] | None = None
    reads_chat: bool | None = None
    call_order: _CallOrder | None = None
    time_zone: _TimeZone | None = None
    details_allowed: bool | None = None

    @model_validator(mode="after")
    def _something(self) -> ContactChange:
        if not self.model_fields_set:
            raise ValueError("name at least one field that is to change")
        return self


def list_some(call: Call, form: ListContacts) -> Told:
    """Contacts of one customer, in the order in which they were recorded."""
    with call.database.reading() as conn:
        customer = customer_of(conn, form.organisation, call.token)
        people = sorted(list_contacts(conn, customer.id), key=lambda one: one.id)
    rest = [one for one in people if one.id > (form.after or 0)]
    page = rest[:MAX_CONTACTS]
    more = page[-1].id if len(rest) > MAX_CONTACTS else None
    return Told({"contacts": [_contact_json(one, customer) for one in page], "next": more})


def add(call: Call, form: NewContact) -> Told:
    """Record a contact; RefusedRecord for one that is there already."""
    with call.database.writing() as conn:
        customer = customer_of(conn, form.organisation, call.token)
        made = add_contact(
            conn,
            customer.id,
            form.address,
            form.name,
            call.now,
            kind=form.kind,
            language=form.language,
            phone=form.phone or None,
            form=form.form,
            external=form.external,
            tlp=form.tlp,
            reads_chat=form.reads_chat,
            call_order=form.call_order,
            time_zone=form.time_zone,
        )
        _audit(conn, call, "contact-added", made, f"{made.name}, {made.kind} of {customer.name}")
    return Told(_contact_json(made, customer))


def change(call: Call, form: ContactChange) -> Told:
    """Change what is recorded of a contact."""
    with call.database.writing() as conn:
        before, customer = _contact(conn, call)
        after = change_contact(
            conn,
            before,
            name=form.name,
            kind=form.kind,
            language=form.language,
            phone=form.phone,
            form=form.form,
            external=form.external,
            reads_chat=form.reads_chat,
            call_order=form.call_order,
            time_zone=form.time_zone,
        )
        if form.tlp is not None:
            after = set_tlp(conn, after, None if form.tlp == "default" else form.tlp)
        if form.details_allowed is not None:
            after = _consents(conn, call, after, allowed=form.details_allowed)
        told = what_changed(before, after)
        if told:
            _audit(conn, call, "contact-changed", after, told)
    return Told(_contact_json(after, customer))


def _consents(conn: Connection, call: Call, before: Contact, *, allowed: bool) -> Contact:
    """Note whether the contact agreed to get details by mail whatever the way."""
    after = allow_details(conn, before, Permission(call.now, call.by) if allowed else None)
    if (before.details_allowed is None) != (after.details_allowed is None):
        word = "details-allowed" if allowed else "details-forbidden"
        _audit(conn, call, word, after, after.name)
    return after


def allow(call: Call, form: Nothing) -> Told:
    """Send to a contact's address again that got no mail; RefusedRecord where it gets it."""
    del form
    with call.database.writing() as conn:
        one, customer = _contact(conn, call)
        try:
            allow_again(conn, one.address)
        except UnknownRecord as error:
            raise RefusedRecord(str(error)) from error
        _audit(conn, call, "address-allowed", one, "")
    return Told(_contact_json(one, customer))


def remove(call: Call, form: Nothing) -> Told:
    """Let a contact speak no more; what was said stays on record."""
    del form
    with call.database.writing() as conn:
        one, customer = _contact(conn, call)
        remove_contact(conn, one, call.now)
        _audit(conn, call, "contact-removed", one, one.name)
    return Told(_contact_json(one, customer))


def _contact(conn: Connection, call: Call) -> tuple[Contact, Organisation]:
    """A contact that speaks; UnknownRecord for any other, and for another customer's."""
    one = contact(conn, call.number("contact"))
    if not call.token.may_touch(one.organisation_id) or one not in list_contacts(conn, one.organisation_id):
        raise UnknownRecord("There is no such contact.")
    return one, organisation(conn, one.organisation_id)


def _audit(conn: Connection, call: Call, act: str, one: Contact, detail: str) -> None:
    record_act(
        conn,
        act,
        call.now,
        by=call.by,
        subject=one.address,
        detail=detail,
        organisation_id=one.organisation_id,
    )


def _contact_json(one: Contact, customer: Organisation) -> Json:
    return {
        "number": one.id,
        "organisation": customer.name,
        "address": one.address,
        "name": one.name,
        "kind": one.kind,
        "form": one.form,
        "language": one.language,
        "phone": one.phone,
        "external": one.external,
        "tlp": one.tlp,
        "reads_chat": one.reads_chat,
        "call_order": one.call_order,
        "time_zone": one.time_zone,
        "details_allowed": one.details_allowed is not None,
    }


SCHEMAS: Final[Json] = {
    "Contact": object_(
        {
            "number": NUMBER,
            "organisation": TEXT,
            "address": TEXT,
            "name": TEXT,
            "kind": words(ContactKind),
            "form": words(ContactForm),
            "language": TEXT,
            "phone": TEXT_OR_NULL,
            "external": FLAG,
            "tlp": words(Tlp, or_null=True),
            "reads_chat": FLAG,
            "call_order": NUMBER_OR_NULL,
            "time_zone": TEXT_OR_NULL,
            "details_allowed": FLAG,
        }
    ),
    "Contacts": object_(
        {"contacts": list_({"$ref": "#/components/schemas/Contact"}), "next": {"type": ["integer", "null"]}}
    ),
}

OPERATIONS: Final = (
    Operation(
        "GET",
        "/contacts",
        "list-contacts",
        Scope.READ_CONTACTS,
        "Who speaks for a customer; `next` is the next page's `after`.",
        ListContacts,
        list_some,
        {200: ("A page of them.", "Contacts")},
        refusals=(404,),
    ),
    Operation(
        "POST",
        "/contacts",
        "add-contact",
        Scope.WRITE_CONTACTS,
        "Record a contact; 409 where it is one already.",
        NewContact,
        add,
        {201: ("It is recorded.", "Contact")},
        refusals=(404, 409),
    ),
    Operation(
        "PATCH",
        "/contacts/{contact}",
        "change-contact",
        Scope.WRITE_CONTACTS,
        "Change what is recorded of a contact.",
        ContactChange,
        change,
        {200: ("The contact as it is now.", "Contact")},
        refusals=(409,),
    ),
    Operation(
        "DELETE",
        "/contacts/{contact}",
        "remove-contact",
        Scope.WRITE_CONTACTS,
        "Let a contact speak no more; what was said stays on record.",
        Nothing,
        remove,
        {200: ("The contact as it was.", "Contact")},
    ),
    Operation(
        "POST",
        "/contacts/{contact}/allow",
        "allow-contact",
        Scope.WRITE_CONTACTS,
        "Send to a contact's address again that is on the list of those which get no mail.",
        Nothing,
        allow,
        {200: ("The contact.", "Contact")},
        refusals=(409,),
    ),
)
