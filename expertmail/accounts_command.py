"""``expertmail accounts``: who signs in to the console, and what each may do."""

from __future__ import annotations

from typing import Annotated

import typer

from expertmail.account_roles import grants_of
from expertmail.console.invitations import link_url, new_link
from expertmail.console.pages.role_words import roles_in_words
from expertmail.desk import AsJson, By, Config, acted, actor, now, open_desk
from expertmail.tables import moment, say, show_json, show_table
from threads.access import Account
from threads.store import Connection
from threads.store.accounts import (
    add_account,
    disable_account,
    enable_account,
    find_account,
    list_accounts,
    set_grants,
)
from threads.store.errors import UnknownRecord
from threads.store.people import list_organisations
from threads.store.sessions import end_sessions

commands = typer.Typer(
    no_args_is_help=True, help="Who signs in to the console: add, list, roles, links, disable."
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="What is typed to sign in, such as mia.lang.")]
Roles = Annotated[
    list[str],
    typer.Option("--role", metavar="ROLE[@CUSTOMER]", help="Such as expert, or analyst@Contoso; repeatable."),
]


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.add_typer(commands, name="accounts")


@commands.command()
def add(
    name: Name,
    role: Roles,
    *,
    display: Annotated[str, typer.Option("--name", help="The person's name.")] = "",
    address: Annotated[
        str | None, typer.Option(help="Mail address, by which single sign-on knows the person.")
    ] = None,
    by: By = None,
    config: Config = None,
) -> None:
    """Make an account, and show the link by which its owner sets a password. The first one has to be an admin."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            made = add_account(
                conn, name, display, grants_of(conn, role), now(), by=actor(by), address=address
            )
            secret = new_link(conn, made.id, now(), by=actor(by))
            acted(conn, "account-added", by, made.name, ", ".join(role))
        say(link_url(desk.settings, secret))
        typer.echo(f"That link sets the password of {made.name}: once, and within a day.", err=True)


@commands.command("list")
def list_(as_json: AsJson = False, config: Config = None) -> None:
    """List accounts and their roles."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        found = list_accounts(conn)
        names = {one.id: one.name for one in list_organisations(conn)}
    roles = [[f"{role} for {whose}" for role, whose, _ in roles_in_words(one.grants, names)] for one in found]
    if as_json:
        show_json(
            [
                {
                    "name": one.name,
                    "display_name": one.display_name,
                    "address": one.address,
                    "roles": words,
                    "second_factor": one.totp_sealed is not None,
                    "disabled_at": None if one.disabled_at is None else one.disabled_at.isoformat(),
                }
                for one, words in zip(found, roles, strict=True)
            ]
        )
        return
    show_table(
        ("NAME", "PERSON", "ROLES", "SECOND FACTOR", "DISABLED"),
        [
            (
                one.name,
                one.display_name,
                ", ".join(words),
                "" if one.totp_sealed is None else "on",
                moment(one.disabled_at),
            )
            for one, words in zip(found, roles, strict=True)
        ],
        "There is no account yet; `expertmail serve` prints a link that makes the first one.",
    )


@commands.command()
def roles(name: Name, role: Roles, by: By = None, config: Config = None) -> None:
    """Give an account these roles and no others."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            one = _named(conn, name)
            set_grants(conn, one.id, grants_of(conn, role), now(), by=actor(by))
            acted(conn, "account-roles", by, one.name, ", ".join(role))
        say(f"{one.name} is {', '.join(role)} from now on.")


@commands.command()
def link(name: Name, by: By = None, config: Config = None) -> None:
    """Make a link by which the account's owner sets a new password; earlier links end."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            one = _named(conn, name)
            secret = new_link(conn, one.id, now(), by=actor(by))
            acted(conn, "account-link", by, one.name)
        say(link_url(desk.settings, secret))


@commands.command()
def disable(name: Name, by: By = None, config: Config = None) -> None:
    """Let nobody sign in to an account any more, and end its sessions."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            one = _named(conn, name)
            disable_account(conn, one.id, now(), by=actor(by))
            acted(conn, "account-disabled", by, one.name)
        say(f"{one.name} is out.")


@commands.command()
def enable(name: Name, by: By = None, config: Config = None) -> None:
    """Let an account be used again."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            one = _named(conn, name)
            enable_account(conn, one.id)
            acted(conn, "account-enabled", by, one.name)
        say(f"{one.name} may sign in again.")


@commands.command("end-sessions")
def end_sessions_(name: Name, by: By = None, config: Config = None) -> None:
    """End all sessions of an account; it can sign in again."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            one = _named(conn, name)
            number = end_sessions(conn, one.id, now(), by=actor(by))
            acted(conn, "sessions-ended", by, one.name, str(number))
        say(f"{number} ended.")


def _named(conn: Connection, name: str) -> Account:
    found = find_account(conn, name)
    if found is None:
        raise UnknownRecord(f"There is no account named {name[:60]}; see `expertmail accounts list`.")
    return found
