"""``expertmail orgs``: the customers themselves, their domains, and what is decided about all of their mail."""

from __future__ import annotations

from typing import Annotated

import typer

from expertmail import orgs_erase_command
from expertmail.desk import AsJson, By, Config, acted, actor, now, open_desk
from expertmail.tables import moment, plain, say, show_facts, show_json, show_table
from outbound.store import withhold_waiting
from threads.model import Contact, Decision, Organisation
from threads.store.circumstances import distrust as mark_untrusted
from threads.store.circumstances import end_hold, hold, phones, set_retention
from threads.store.circumstances import trust as end_distrust
from threads.store.people import (
    add_domain,
    add_organisation,
    list_contacts,
    list_domains,
    list_organisations,
    organisation_named,
    remove_domain,
    rename_organisation,
)
from threads.store.thread import list_threads

commands = typer.Typer(no_args_is_help=True, help="Add, show, change or erase customers.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The customer's name.")]
Why = Annotated[str, typer.Option("--reason", help="Why; kept with the decision.")]


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    orgs_erase_command.register(commands)
    app.add_typer(commands, name="orgs")


@commands.command()
def add(name: Name, by: By = None, as_json: AsJson = False, config: Config = None) -> None:
    """Record a customer."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            made = add_organisation(conn, name, now())
            acted(conn, "customer-added", by, made.name, organisation_id=made.id)
        if as_json:
            show_json(made)
        else:
            say(f"{made.name} is a customer.")


@commands.command("list")
def list_(as_json: AsJson = False, config: Config = None) -> None:
    """List customers by name."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        found = list_organisations(conn)
        domains = {one.id: list_domains(conn, one.id) for one in found}
    if as_json:
        show_json([{**plain(one), "domains": plain(domains[one.id])} for one in found])
        return
    show_table(
        ("CUSTOMER", "DOMAINS", "MAIL", "LEGAL HOLD", "KEPT FOR"),
        [
            (
                one.name,
                ", ".join(f"{d.domain}{'' if d.verified else ' (not verified)'}" for d in domains[one.id]),
                "untrusted" if one.untrusted else "trusted",
                "yes" if one.legal_hold else "",
                f"{one.retention_days} days" if one.retention_days else "",
            )
            for one in found
        ],
        "There are no customers yet; add one with: expertmail orgs add NAME",
    )


@commands.command()
def show(name: Name, as_json: AsJson = False, config: Config = None) -> None:
    """Show a customer: domains and who verified them, contacts, open threads, and what is decided about its mail."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        one = organisation_named(conn, name)
        domains, contacts = list_domains(conn, one.id), list_contacts(conn, one.id)
        threads = list_threads(conn, organisation_id=one.id)
    if as_json:
        show_json(
            {**plain(one), "domains": plain(domains), "contacts": plain(contacts), "threads": len(threads)}
        )
        return
    say(one.name, style="bold")
    show_facts(
        {
            "mail": _told(one.untrusted, "untrusted") or "trusted",
            "legal hold": _told(one.legal_hold, "yes"),
            "kept for": f"{one.retention_days} days after a thread is resolved" if one.retention_days else "",
            "threads": str(len(threads)),
        }
    )
    say()
    show_table(
        ("DOMAIN", "VERIFIED", "BY"),
        [
            (d.domain, (moment(d.verified_at) or "yes") if d.verified else "no", d.verified_by or "")
            for d in domains
        ],
        "It has no domain on record.",
    )
    say()
    show_table(
        ("CONTACT", "NAME", "KIND", "FORM", "TELEPHONE"),
        [
            (
                c.address,
                c.name,
                c.kind.value,
                f"{c.form}{', external' if c.external else ''}",
                c.phone or "",
            )
            for c in contacts
        ],
        "It has no contacts.",
    )


def _told(decision: Decision | None, word: str) -> str:
    return f"{word} since {moment(decision.at)} by {decision.by}: {decision.reason}" if decision else ""


@commands.command()
def rename(
    name: Name,
    to: Annotated[str, typer.Argument(metavar="NEW-NAME")],
    by: By = None,
    config: Config = None,
) -> None:
    """Give a customer another name."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            one = organisation_named(conn, name)
            after = rename_organisation(conn, one.id, to)
            acted(conn, "customer-renamed", by, after.name, f"was {one.name}", organisation_id=one.id)
        say(f"{one.name} is {after.name} from now on.")


@commands.command("add-domain")
def add_domain_(
    name: Name,
    domain: Annotated[str, typer.Argument(help="A mail domain, such as contoso.com.")],
    unverified: Annotated[
        bool,
        typer.Option(
            "--unverified", help="Nobody has checked yet that it is theirs: its users may not speak."
        ),
    ] = False,
    by: By = None,
    config: Config = None,
) -> None:
    """Say that a mail domain is the customer's, as you have checked; its authenticated users may speak from now on."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            one = organisation_named(conn, name)
            made = add_domain(conn, one.id, domain, now(), verified=not unverified, by=actor(by))
            word = "verified" if made.verified else "not verified"
            acted(conn, "domain-added", by, made.domain, f"of {one.name}, {word}", organisation_id=one.id)
        may = "may" if made.verified else "may not yet"
        say(f"Authenticated mail from {made.domain} {may} speak for {one.name}.")


@commands.command("remove-domain")
def remove_domain_(
    name: Name,
    domain: Annotated[str, typer.Argument(help="The domain.")],
    by: By = None,
    config: Config = None,
) -> None:
    """Forget a domain: its users may speak no more, unless they are contacts."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            one = organisation_named(conn, name)
            remove_domain(conn, domain, one.id)
            acted(
                conn, "domain-removed", by, domain.strip().lower(), f"of {one.name}", organisation_id=one.id
            )
        say(f"{domain} is no domain of {one.name} any more.")


@commands.command()
def distrust(name: Name, reason: Why, by: By = None, as_json: AsJson = False, config: Config = None) -> None:
    """Mark a customer's mail as untrusted: an intruder may be reading and writing it.

    What comes from it is held, only notices to see the portal go to it, nothing goes to it automatically, and what
    waits to be sent is withheld. Speak by telephone.
    """
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            one = mark_untrusted(conn, organisation_named(conn, name), reason, now(), by=actor(by))
            mails, orders = withhold_waiting(conn, one.id, now())
            detail = f"{reason}; {mails} mails withheld, {orders} orders refused"
            acted(conn, "mail-distrusted", by, one.name, detail, organisation_id=one.id)
            callable_ = phones(conn, one.id)
        if as_json:
            show_json({**plain(one), "withheld": mails, "refused": orders, "telephones": plain(callable_)})
            return
        say(f"The mail of {one.name} is untrusted from now on: what comes from it is held.")
        say(f"Withheld: {mails} mails that waited, {orders} automatic ones that were ordered.")
        say_telephones(one, callable_)


def say_telephones(one: Organisation, contacts: tuple[Contact, ...]) -> None:
    """Print whom to call."""
    for contact in contacts:
        say(f"Call {contact.name}, {contact.phone} ({contact.kind.value}).", style="bold")
    if not contacts:
        say(
            f"No contact of {one.name} has a telephone number on record; find one that is not from their mail."
        )


@commands.command()
def trust(
    name: Name,
    reason: Annotated[str, typer.Option("--reason", help="How it is known; kept in the audit trail.")] = "",
    by: By = None,
    config: Config = None,
) -> None:
    """End that: the customer's mail is in its own hands again. What is held or withheld stays so until you decide."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            one = end_distrust(conn, organisation_named(conn, name))
            acted(conn, "mail-trusted", by, one.name, reason, organisation_id=one.id)
        say(f"The mail of {one.name} is trusted again.")
        say("Held and withheld mail stays so: expertmail held list, expertmail outbox list --state withheld")


@commands.command("hold")
def hold_(name: Name, reason: Why, by: By = None, config: Config = None) -> None:
    """Put a legal hold on a customer: nothing of it is erased, and no time ends anything."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            one = hold(conn, organisation_named(conn, name), reason, now(), by=actor(by))
            acted(conn, "legal-hold-begun", by, one.name, reason, organisation_id=one.id)
        say(f"Nothing of {one.name} is erased until: expertmail orgs end-hold {one.name!r}")


@commands.command("end-hold")
def end_hold_(name: Name, reason: Why, by: By = None, config: Config = None) -> None:
    """End the legal hold on a customer. What was kept by it alone goes at the next look of the server."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            one = end_hold(conn, organisation_named(conn, name))
            acted(conn, "legal-hold-ended", by, one.name, reason, organisation_id=one.id)
        say(f"There is no legal hold on {one.name} any more.")


@commands.command()
def retention(
    name: Name,
    days: Annotated[
        int, typer.Argument(min=0, metavar="DAYS", help="Days after a thread was resolved; 0: no end.")
    ],
    by: By = None,
    config: Config = None,
) -> None:
    """Say how long the content of a customer's resolved threads is kept; the server removes it then."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            one = set_retention(conn, organisation_named(conn, name), days or None)
            acted(
                conn,
                "retention-set",
                by,
                one.name,
                f"{days} days" if days else "without an end",
                organisation_id=one.id,
            )
        if one.retention_days is None:
            say(f"The content of {one.name} is kept without an end.")
        else:
            say(f"The content of resolved threads of {one.name} is removed after {one.retention_days} days.")
