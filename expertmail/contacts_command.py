"""``expertmail contacts``: who speaks for which customer."""

from __future__ import annotations

from typing import Annotated

import typer

from expertmail.desk import AsJson, Config, now, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.tables import plain, say, show_facts, show_json, show_table
from threads.model import Contact, ContactKind
from threads.store.people import (
    add_contact,
    add_domain,
    add_organisation,
    find_contacts,
    find_organisation,
    list_contacts,
    list_domains,
    list_organisations,
    organisation,
)

commands = typer.Typer(no_args_is_help=True, help="Add, list and show customers' contacts.")


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
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Record a contact, and the customer if it is new."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            at = now()
            customer = find_organisation(conn, org) or add_organisation(conn, org, at)
            for one in domain or ():
                add_domain(conn, customer.id, one, at, verified=True)
            made = add_contact(
                conn, customer.id, address, name, at, kind=kind, language=language, phone=phone
            )
        if as_json:
            show_json({**plain(made), "organisation": customer.name})
            return
        say(f"{made.address} ({made.name}) is a contact of {customer.name}.")
        for one in domain or ():
            say(f"Authenticated mail from {one} may speak for {customer.name}.")


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
            found = find_organisation(conn, org)
            if found is None:
                raise FaultError(f"There is no customer named {org}.", ExitCode.NO_INPUT)
            only = found.id
        contacts = list_contacts(conn, only)
    if as_json:
        show_json([{**plain(one), "organisation": names[one.organisation_id]} for one in contacts])
        return
    show_table(
        ("ADDRESS", "NAME", "CUSTOMER", "KIND", "LANGUAGE"),
        [(c.address, c.name, names[c.organisation_id], c.kind.value, c.language) for c in contacts],
        "There are no contacts yet; add one with: expertmail contacts add ADDRESS --name NAME --org CUSTOMER",
    )


@commands.command()
def show(
    address: Annotated[str, typer.Argument(help="Mail address of the contact.")],
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
        "language": one.language,
        "phone": one.phone or "",
    }
