"""``expertmail contacts``: who speaks for which customer."""

from __future__ import annotations

import shlex
from enum import StrEnum
from typing import Annotated

import typer

from expertmail.contact_changes import what_changed
from expertmail.desk import AsJson, By, Config, acted, actor, now, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.tables import moment, plain, say, show_facts, show_json, show_table
from threads.model import Contact, ContactForm, ContactKind, Permission, Tlp
from threads.store import Connection
from threads.store.people import (
    add_contact,
    add_domain,
    add_organisation,
    allow_details,
    change_contact,
    find_contacts,
    find_organisation,
    list_contacts,
    list_domains,
    list_organisations,
    organisation,
    organisation_named,
    remove_contact,
    set_tlp,
)

commands = typer.Typer(no_args_is_help=True, help="Add, list, show, change and remove customers' contacts.")


class TlpWord(StrEnum):
    """What may be said of a contact's TLP."""

    RED = Tlp.RED.value
    AMBER_STRICT = Tlp.AMBER_STRICT.value
    AMBER = Tlp.AMBER.value
    GREEN = Tlp.GREEN.value
    CLEAR = Tlp.CLEAR.value
    DEFAULT = "default"


Address = Annotated[str, typer.Argument(help="Mail address of the contact.")]
OfKind = Annotated[
    ContactKind | None, typer.Option(help="Which contact, if the address is one of several kinds.")
]
TlpOption = Annotated[
    TlpWord | None,
    typer.Option(
        "--tlp",
        case_sensitive=False,
        help="How far details may go to the contact by mail; default: as mail.default_tlp says.",
    ),
]
External = Annotated[
    bool | None,
    typer.Option(
        "--external/--internal",
        help="Outside the customer's organisation, such as a service provider; by default told by its domains.",
    ),
]

ReadsChat = Annotated[
    bool | None,
    typer.Option(
        "--reads-chat/--mail-only",
        help="It reads the portal's chat and gets no mail of what is said there; --mail-only, as everybody at first: it does.",
    ),
]
CallOrder = Annotated[
    int | None,
    typer.Option(
        "--call-order", help="The place in which it is telephoned: 1 first; 0: after those with a place."
    ),
]
TimeZone = Annotated[
    str | None,
    typer.Option(
        "--time-zone", metavar="ZONE", help="Where it is, such as Europe/Madrid; empty: nobody knows."
    ),
]


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.add_typer(commands, name="contacts")


@commands.command()
def add(
    address: Annotated[str, typer.Argument(help="Mail address of the person or team mailbox.")],
    *,
    name: Annotated[str, typer.Option(help="Name of the person or team.")],
    org: Annotated[str, typer.Option(help="The customer; recorded when it is new.")],
    domain: Annotated[
        list[str] | None,
        typer.Option(
            help="A mail domain of the customer that you have checked to be theirs: from now on its "
            "authenticated users may speak. May be given several times."
        ),
    ] = None,
    kind: Annotated[ContactKind, typer.Option(help="What the contact is there for.")] = (
        ContactKind.INCIDENT_NOTIFICATION
    ),
    language: Annotated[str, typer.Option(help="Language of mail to the contact.")] = "en",
    phone: Annotated[str | None, typer.Option(help="Telephone number, for break-glass calls.")] = None,
    form: Annotated[ContactForm, typer.Option(help="Who reads the mail.")] = ContactForm.PERSON,
    external: External = None,
    reads_chat: ReadsChat = None,
    call_order: CallOrder = None,
    time_zone: TimeZone = None,
    tlp: TlpOption = None,
    agreed: Annotated[
        bool,
        typer.Option("--allow-details", help="The contact agreed to get details by mail whatever its way."),
    ] = False,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Record a contact, and the customer if it is new."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            at = now()
            known = find_organisation(conn, org)
            customer = known or add_organisation(conn, org, at)
            for one in domain or ():
                add_domain(conn, customer.id, one, at, verified=True, by=actor(by))
            made = add_contact(
                conn,
                customer.id,
                address,
                name,
                at,
                kind=kind,
                language=language,
                phone=phone,
                form=form,
                external=external,
                tlp=_tlp(tlp),
                reads_chat=bool(reads_chat),
                call_order=call_order,
                time_zone=time_zone,
            )
            if agreed:
                made = allow_details(conn, made, Permission(at, actor(by)))
            if known is None:
                acted(conn, "customer-added", by, customer.name, organisation_id=customer.id)
            for one in domain or ():
                acted(
                    conn,
                    "domain-added",
                    by,
                    one,
                    f"of {customer.name}, verified",
                    organisation_id=customer.id,
                )
            detail = f"{made.name}, {made.kind} of {customer.name}"
            acted(conn, "contact-added", by, made.address, detail, organisation_id=customer.id)
            _acted_on_details(conn, None, made, by)
        if as_json:
            show_json({**plain(made), "organisation": customer.name})
            return
        say(f"{made.address} ({made.name}) is a contact of {customer.name}.")
        for one in domain or ():
            say(f"Authenticated mail from {one} may speak for {customer.name}.")
        told = shlex.join(("--org", customer.name, "--to", made.address))
        say(f"Tell them: expertmail compose write contact-added {told}")


@commands.command("list")
def list_(
    org: Annotated[str | None, typer.Option(help="Only this customer's.")] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """List contacts by address."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        names = {one.id: one.name for one in list_organisations(conn)}
        only = None
        if org is not None:
            only = organisation_named(conn, org).id
        contacts = list_contacts(conn, only)
    if as_json:
        show_json([{**plain(one), "organisation": names[one.organisation_id]} for one in contacts])
        return
    show_table(
        ("ADDRESS", "NAME", "CUSTOMER", "KIND", "FORM", "LANGUAGE", "TELEPHONE", "CALLED", "ZONE", "READS"),
        [
            (
                c.address,
                c.name,
                names[c.organisation_id],
                c.kind.value,
                _form(c),
                c.language,
                c.phone or "",
                "" if c.call_order is None else str(c.call_order),
                c.time_zone or "",
                _reads(c),
            )
            for c in contacts
        ],
        "There are no contacts yet; add one with: expertmail contacts add ADDRESS --name NAME --org CUSTOMER",
    )


@commands.command()
def show(
    address: Address,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Show a contact with its customer and the customer's domains."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        found = find_contacts(conn, address)
        if not found:
            raise FaultError(f"{address} is no contact; see: expertmail contacts list", ExitCode.NO_INPUT)
        customers = [organisation(conn, one.organisation_id).name for one in found]
        domains = [list_domains(conn, one.organisation_id) for one in found]
    if as_json:
        show_json(
            [
                {**plain(one), "organisation": customer, "domains": plain(theirs)}
                for one, customer, theirs in zip(found, customers, domains, strict=True)
            ]
        )
        return
    for number, (one, customer, theirs) in enumerate(zip(found, customers, domains, strict=True)):
        if number:
            say()
        show_facts(
            {
                **_facts(one),
                "customer": customer,
                "domains": ", ".join(f"{d.domain}{'' if d.verified else ' (not verified)'}" for d in theirs),
            }
        )


def _facts(one: Contact) -> dict[str, str]:
    """A contact's own facts by name."""
    return {
        "address": one.address,
        "name": one.name,
        "kind": one.kind.value,
        "form": _form(one),
        "language": one.language,
        "phone": one.phone or "",
        "call order": "" if one.call_order is None else str(one.call_order),
        "time zone": one.time_zone or "",
        "reads": _reads(one),
        "tlp": "" if one.tlp is None else one.tlp.value,
        "details": _allowed(one.details_allowed),
    }


def _allowed(permission: Permission | None) -> str:
    """Whether a contact gets details whatever the way, since when, and on whose word."""
    return (
        ""
        if permission is None
        else f"allowed by mail since {moment(permission.at)}, recorded by {permission.by}"
    )


def _tlp(word: TlpWord | None) -> Tlp | None:
    """The TLP of that name; None where the settings decide."""
    return None if word is None or word is TlpWord.DEFAULT else Tlp(word.value)


def _acted_on_details(conn: Connection, before: Contact | None, after: Contact, by: str | None) -> None:
    """Record in the audit trail, on a row of its own, that a contact's permission was given or taken back."""
    had = None if before is None else before.details_allowed
    if had != after.details_allowed:
        act = "details-allowed" if after.details_allowed is not None else "details-forbidden"
        acted(conn, act, by, after.address, after.name, organisation_id=after.organisation_id)


def _reads(one: Contact) -> str:
    return "chat" if one.reads_chat else "mail only"


def _form(one: Contact) -> str:
    return f"{one.form}, external" if one.external else one.form.value


@commands.command()
def change(
    address: Address,
    *,
    name: Annotated[str | None, typer.Option(help="Name of the person or team.")] = None,
    kind: Annotated[ContactKind | None, typer.Option(help="What the contact is there for.")] = None,
    language: Annotated[str | None, typer.Option(help="Language of mail to the contact.")] = None,
    phone: Annotated[str | None, typer.Option(help="Telephone number; empty takes it away.")] = None,
    form: Annotated[ContactForm | None, typer.Option(help="Who reads the mail.")] = None,
    external: External = None,
    reads_chat: ReadsChat = None,
    call_order: CallOrder = None,
    time_zone: TimeZone = None,
    tlp: TlpOption = None,
    details: Annotated[
        bool | None,
        typer.Option(
            "--allow-details/--forbid-details",
            help="The contact agreed to get details by mail whatever its way, or takes that back.",
        ),
    ] = None,
    org: Annotated[
        str | None, typer.Option(help="The customer, if the address is a contact of several.")
    ] = None,
    of_kind: OfKind = None,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Change what is recorded of a contact."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            before = _one(conn, address, org, of_kind)
            after = change_contact(
                conn,
                before,
                name=name,
                kind=kind,
                language=language,
                phone=phone,
                form=form,
                external=external,
                reads_chat=reads_chat,
                call_order=call_order,
                time_zone=time_zone,
            )
            if tlp is not None:
                after = set_tlp(conn, after, _tlp(tlp))
            if details is not None:
                after = allow_details(conn, after, Permission(now(), actor(by)) if details else None)
            _acted_on_details(conn, before, after, by)
            told = what_changed(before, after)
            if told:
                acted(conn, "contact-changed", by, after.address, told, organisation_id=after.organisation_id)
        if as_json:
            show_json(after)
        else:
            say(f"{after.address}: {told or 'nothing changed'}.")


@commands.command()
def remove(
    address: Address,
    org: Annotated[
        str | None, typer.Option(help="The customer, if the address is a contact of several.")
    ] = None,
    of_kind: OfKind = None,
    by: By = None,
    config: Config = None,
) -> None:
    """Let a contact speak for its customer no more. What was said stays on record."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            one = _one(conn, address, org, of_kind)
            remove_contact(conn, one, now())
            acted(conn, "contact-removed", by, one.address, one.name, organisation_id=one.organisation_id)
        say(f"{one.address} is no contact any more.")


def _one(conn: Connection, address: str, org: str | None, kind: ContactKind | None) -> Contact:
    """The contact meant; a fault where there is none, or several."""
    found = find_contacts(conn, address)
    if org is not None:
        whose = organisation_named(conn, org).id
        found = tuple(one for one in found if one.organisation_id == whose)
    if kind is not None:
        found = tuple(one for one in found if one.kind is kind)
    if not found:
        raise FaultError(f"{address} is no such contact; see: expertmail contacts list", ExitCode.NO_INPUT)
    if len(found) > 1:
        kinds = ", ".join(f"{one.kind} of {organisation(conn, one.organisation_id).name}" for one in found)
        raise FaultError(
            f"{address} is several contacts ({kinds}); name the one with --org and --of-kind.", ExitCode.DATA
        )
    return found[0]
