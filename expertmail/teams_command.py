"""``expertmail teams``: channels in Teams that follow a customer's incidents, and whose replies come back."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path
from typing import Annotated, Final

import typer

from expertmail.desk import By, Config, acted, actor, now, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.subscriber_commands import Name, Url, host_of, register_shared
from expertmail.tables import say
from outbound.seal import Purpose, sealed
from outbound.store.subscribers import NewSubscriber, add_subscriber, change_secret, subscriber_named
from outbound.subscriber import Sealed, SubscriberKind
from outbound.teams_activity import secret_refusal
from threads.model import Tlp
from threads.store.people import organisation_named

MAX_SECRET: Final = 1_000
"""Characters of a file that holds a security token; those of Teams have 44."""
_SECRET_BYTES: Final = 32
_KIND: Final = SubscriberKind.TEAMS

commands = typer.Typer(
    no_args_is_help=True,
    help="Let Teams channels follow a customer's incidents, and take replies from there.",
)
register_shared(commands, _KIND)


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.add_typer(commands, name="teams")


@commands.command()
def add(
    name: Name,
    url: Url,
    *,
    org: Annotated[str, typer.Option(help="The customer whose incidents it follows.")],
    tlp: Annotated[
        Tlp | None,
        typer.Option(
            help="How far details may go to whoever is in the channel; default: as mail.default_tlp says."
        ),
    ] = None,
    allow_details: Annotated[
        bool, typer.Option("--allow-details", help="The customer wants details there whatever the TLP.")
    ] = False,
    external: Annotated[
        bool, typer.Option("--external", help="People from outside the customer are in the channel.")
    ] = False,
    by: By = None,
    config: Config = None,
) -> None:
    """Add a channel by the address of its workflow, which is kept like a password. It follows what comes from now on."""
    host = host_of(url)
    with open_desk(config) as desk, desk.database.writing() as conn:
        key = desk.world.console_key
        # Until `teams secret` gives it that of Teams, nothing that comes from there can be signed.
        nobodys = base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
        kept = Sealed(sealed(url, key, Purpose.ADDRESS, name), sealed(nobodys, key, Purpose.SECRET, name))
        new = NewSubscriber(
            _KIND, name, host, kept, tlp=tlp, details_allowed=allow_details, external=external
        )
        customer = organisation_named(conn, org)
        made = add_subscriber(conn, new, now(), by=actor(by), organisations=(customer,))
        acted(
            conn, "teams-added", by, made.name, f"at {host}, for {customer.name}",
            organisation_id=customer.id,
        )  # fmt: skip
    say(f"The Teams channel {made.name} follows the incidents of {customer.name}.")


@commands.command()
def secret(
    name: Name,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Holds the security token that Teams has shown.")
    ],
    by: By = None,
    config: Config = None,
) -> None:
    """Let replies come back: give the security token of the channel's outgoing webhook, from a file that only you read."""
    try:
        if file.stat().st_mode & 0o077:
            raise FaultError(f"Others may read {file}; run: chmod 600 {file}", ExitCode.CONFIG)
        with file.open(encoding="utf-8") as opened:
            text = opened.read(MAX_SECRET + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FaultError(f"{file} cannot be read.", ExitCode.NO_INPUT) from error
    refused = secret_refusal(text)
    if refused is not None or len(text) > MAX_SECRET:
        raise FaultError(refused or f"{file} holds more than a security token.", ExitCode.DATA)
    with open_desk(config) as desk, desk.database.writing() as conn:
        one = subscriber_named(conn, name, _KIND)
        change_secret(conn, one, sealed(text, desk.world.console_key, Purpose.SECRET, one.name), now())
        acted(conn, "teams-secret-changed", by, one.name)
    say(f"Replies from {one.name} are taken at /hooks/teams/{one.name}.")
