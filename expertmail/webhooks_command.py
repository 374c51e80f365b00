"""``expertmail webhooks``: programs that hear of each timeline entry at once."""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated, Final

import typer

from expertmail.channels import call_now
from expertmail.desk import AsJson, By, Config, acted, actor, now, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.subscriber_commands import Name, Url, host_of, register_shared, told_of
from expertmail.tables import moment, say, show_json
from outbound.errors import SealError
from outbound.seal import Purpose, sealed
from outbound.store.subscriber_events import new_event_id
from outbound.store.subscribers import (
    NewSubscriber,
    add_subscriber,
    change_secret,
    subscriber_named,
)
from outbound.subscriber import Sealed, SubscriberKind
from outbound.subscriber_calls import signed_call
from outbound.webhook import SECRET_BYTES, secret_text
from threads.store.people import organisation_named

commands = typer.Typer(
    no_args_is_help=True, help="Let programs hear of each timeline entry, and see what they were told."
)

_KIND: Final = SubscriberKind.WEBHOOK
register_shared(commands, _KIND)


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.add_typer(commands, name="webhooks")


@commands.command()
def add(
    name: Name,
    url: Url,
    *,
    org: Annotated[
        list[str] | None,
        typer.Option(help="The only customer that it hears of; repeatable. Without it: all."),
    ] = None,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Add one, and show its secret this once. It hears of what comes on timelines from now on."""
    host = host_of(url)
    with open_desk(config) as desk:
        secret = secret_text(secrets.token_bytes(SECRET_BYTES))
        with desk.database.writing() as conn:
            whose = [organisation_named(conn, one) for one in org or ()]
            kept = Sealed(
                sealed(url, desk.world.console_key, Purpose.ADDRESS, name),
                sealed(secret, desk.world.console_key, Purpose.SECRET, name),
            )
            new = NewSubscriber(_KIND, name, host, kept)
            made = add_subscriber(conn, new, now(), by=actor(by), organisations=whose)
            names = ", ".join(one.name for one in whose) or "all customers"
            acted(conn, "webhook-added", by, made.name, f"at {host}, for {names}")
        if as_json:
            show_json({**told_of(made, [one.name for one in whose]), "secret": secret})
            return
        say(secret)
        typer.echo(
            f"That is the secret of the webhook {made.name}; it is shown this once. Its receiver checks signatures with it.",
            err=True,
        )


@commands.command()
def rotate(name: Name, by: By = None, config: Config = None) -> None:
    """Give it another secret, shown this once; for a day each call is signed with both."""
    with open_desk(config) as desk:
        secret = secret_text(secrets.token_bytes(SECRET_BYTES))
        with desk.database.writing() as conn:
            one = subscriber_named(conn, name, _KIND)
            kept = sealed(secret, desk.world.console_key, Purpose.SECRET, one.name)
            until = change_secret(conn, one, kept, now())
            acted(conn, "webhook-secret-changed", by, one.name, f"the old one until {moment(until)}")
        say(secret)
        typer.echo(
            f"That is the new secret of {one.name}. Until {moment(until)} calls are signed with the old one too.",
            err=True,
        )


@commands.command("test")
def call_once(name: Name, config: Config = None) -> None:
    """Call it once with an event of type `test`, and say what it answers."""
    with open_desk(config) as desk:
        with desk.database.reading() as conn:
            one = subscriber_named(conn, name, _KIND)
            event = new_event_id()
            try:
                call = signed_call(
                    conn, one, event, {"type": "test", "event": event}, desk.world.console_key, now()
                )
            except SealError as error:
                raise FaultError(str(error), ExitCode.CONFIG) from error
        answer = asyncio.run(call_now(desk.settings, call))
    if not answer.taken:
        raise FaultError(f"{one.name} did not take it: {answer.words}.", ExitCode.UNAVAILABLE)
    say(f"{one.name} took it: {answer.words}.")
