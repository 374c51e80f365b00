"""``expertmail tokens``: let programs use the HTTP interface, and end that."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Annotated

import typer

from expertmail.desk import AsJson, By, Config, acted, actor, now, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.tables import moment, plain, say, show_json, show_table
from threads.api_token import ID_BYTES, SECRET_BYTES, ApiToken, Scope, token_text
from threads.store.api_tokens import add_token, list_tokens, revoke_token
from threads.store.people import list_organisations, organisation_named

commands = typer.Typer(no_args_is_help=True, help="Add, list and revoke tokens for the HTTP interface.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Such as portal; the audit trail shows it.")]


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.add_typer(commands, name="tokens")


@commands.command()
def add(
    name: Name,
    *,
    scope: Annotated[list[Scope], typer.Option(help="What it may do; repeatable.")],
    org: Annotated[
        list[str] | None,
        typer.Option(help="The only customer that it may touch; repeatable. Without it: all."),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="DATE", help="When it ends, as 2027-01-31 (UTC); without it: when you revoke it."
        ),
    ] = None,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Make a token, and show it this once: only its digest is kept."""
    with open_desk(config) as desk:
        text = token_text(secrets.token_bytes(ID_BYTES), secrets.token_bytes(SECRET_BYTES))
        with desk.database.writing() as conn:
            at = now()
            whose = [organisation_named(conn, one) for one in org or ()]
            ends = None if expires is None else _end(expires)
            made = add_token(conn, text, name, scope, at, by=actor(by), organisations=whose, expires=ends)
            names = ", ".join(one.name for one in whose) or "all customers"
            until = f", until {moment(ends)}" if ends else ""
            acted(conn, "token-added", by, made.name, f"{_scopes(made)}, for {names}{until}")
        if as_json:
            show_json({**_told(made, [one.name for one in whose]), "token": text})
            return
        say(text)
        typer.echo(
            f"That is the token {made.name}; it is shown this once. Keep it where only the program reads it.",
            err=True,
        )


@commands.command("list")
def list_(as_json: AsJson = False, config: Config = None) -> None:
    """List tokens: what they may do, for whom, when they end, and when they were last used."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        found = list_tokens(conn)
        names = {one.id: one.name for one in list_organisations(conn)}
    rows = [(one, sorted(names[id_] for id_ in one.organisations or () if id_ in names)) for one in found]
    if as_json:
        show_json([_told(one, whose) for one, whose in rows])
        return
    show_table(
        ("NAME", "STATE", "SCOPES", "CUSTOMERS", "ENDS", "LAST USED", "MADE BY"),
        [
            (
                one.name,
                _state(one),
                _scopes(one),
                "all" if one.organisations is None else ", ".join(whose) or "none any more",
                moment(one.expires_at),
                moment(one.last_used_at),
                one.created_by,
            )
            for one, whose in rows
        ],
        "There are no tokens yet; make one with: expertmail tokens add NAME --scope SCOPE",
    )


@commands.command()
def revoke(name: Name, by: By = None, config: Config = None) -> None:
    """End a token at once and for good."""
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            ended = revoke_token(conn, name, now(), by=actor(by))
            acted(conn, "token-revoked", by, ended.name)
        say(f"The token {ended.name} is revoked.")


def _end(written: str) -> datetime:
    try:
        at = datetime.fromisoformat(written)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as error:  # the second: at the calendar's end, of another zone
        raise FaultError(f"{written!r} is no date, such as 2027-01-31.", ExitCode.DATA) from error


def _scopes(one: ApiToken) -> str:
    return " ".join(sorted(one.scopes))


def _state(one: ApiToken) -> str:
    if one.revoked_at is not None:
        return "revoked"
    return "expired" if one.expires_at is not None and one.expires_at <= now() else "in force"


def _told(one: ApiToken, whose: list[str]) -> dict[str, object]:
    """A token without what its secret could be known by."""
    shown = plain(one)
    del shown["digest"]
    return {
        **shown,
        "state": _state(one),
        "scopes": sorted(one.scopes),
        "organisations": None if one.organisations is None else whose,
    }
