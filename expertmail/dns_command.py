"""``expertmail dns``: the records to publish."""

from __future__ import annotations

import typer

from expertmail.desk import AsJson, Config, open_desk
from expertmail.tables import say, show_json
from expertmail.world import public_records
from verifier.zone import write_zone

commands = typer.Typer(no_args_is_help=True, help="Show the DNS records to publish.")


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.add_typer(commands, name="dns")


@commands.callback()
def _group() -> None:
    """Show the DNS records to publish."""


@commands.command()
def show(as_json: AsJson = False, config: Config = None) -> None:
    """Show the MX, SPF, DKIM and DMARC records of the operated domains, as lines of a zone file.

    The host name's own A and AAAA records are yours to publish. Start DMARC at p=none if other systems
    send for the domain.
    """
    with open_desk(config, make=True) as desk:
        records = tuple(public_records(desk.settings, desk.world.key))
        hostname = desk.settings.hostname
    if as_json:
        show_json(records)
        return
    say(write_zone(records).rstrip("\n"))
    say(f"; and an A or AAAA record for {hostname}, with a PTR record back to that name")
