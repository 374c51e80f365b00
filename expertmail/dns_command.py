"""``expertmail dns``: the records to publish, and whether they are published."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from expertmail.desk import AsJson, Config, now, open_desk, require_data
from expertmail.faults import ExitCode, FaultError
from expertmail.settings import load
from expertmail.tables import say, show_json
from expertmail.world import public_records
from verifier.zone import write_zone

commands = typer.Typer(
    no_args_is_help=True, help="Show the DNS records to publish, and check whether they are."
)

OnlyZone = Annotated[
    Path | None, typer.Option("--zone", metavar="FILE", help="Use this RFC 1035 master file as the only DNS.")
]
Resolver = Annotated[
    str | None,
    typer.Option(
        metavar="HOST[:PORT]", help="Ask this name server (an IP address) alone, and no zone file of ours."
    ),
]
Addresses = Annotated[
    list[str] | None,
    typer.Option(
        "--address",
        metavar="IP",
        help="An address that our mail leaves from (repeatable); those of the host name by default.",
    ),
]
PolicyFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--policy-file",
        metavar="[DOMAIN=]FILE",
        help="A copy of the MTA-STS policy (repeatable), for one domain or for all; nothing is fetched from the web.",
    ),
]


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.add_typer(commands, name="dns")


@commands.callback()
def _group() -> None:
    """Show the DNS records to publish, and check whether they are."""


@commands.command()
def show(as_json: AsJson = False, config: Config = None) -> None:
    """Show the MX, SPF, DKIM and DMARC records of the operated domains, as lines of a zone file.

    The host name's own A and AAAA records are yours to publish. Start DMARC at p=none if other systems
    send for the domain.
    """
    with open_desk(config, make=True) as desk:
        records = tuple(public_records(desk.settings, desk.world.key, desk.world.second))
        hostname = desk.settings.hostname
    if as_json:
        show_json(records)
        return
    say(write_zone(records).rstrip("\n"))
    say(f"; and an A or AAAA record for {hostname}, with a PTR record back to that name")


@commands.command()
def check(
    *,
    as_json: AsJson = False,
    zone: OnlyZone = None,
    resolver: Resolver = None,
    address: Addresses = None,
    policy_file: PolicyFiles = None,
    config: Config = None,
) -> None:
    """Check MX, SPF, DKIM, DMARC, MTA-STS, TLS-RPT, PTR, TLSA and the certificate of the operated domains.

    Each finding tells what was found, why it matters, and the exact record to publish.

    Exit code: 1 if there is a fault, else 75 if the DNS gave no answer about something, else 0 (advice is no fault).
    """
    # Loaded here: certificates and SPF take time, which `dns show` does not need.
    from expertmail.dns_check import sources, view  # noqa: PLC0415
    from expertmail.dns_check.check import check_all, exit_code  # noqa: PLC0415

    if zone is not None and resolver is not None:
        raise FaultError("--zone excludes --resolver: give one source of DNS.", ExitCode.USAGE)
    settings = load(config)
    require_data(settings)
    policies = sources.policies_of(policy_file or (), (*settings.mail.domains, settings.mail.reply_domain))
    operated = sources.operated_of(settings, now(), address or (), policies)
    source = sources.source_of(settings, zone, resolver)
    findings = asyncio.run(sources.answered(check_all(operated), source))
    if as_json:
        show_json(view.as_object(findings, operated, source.words))
    else:
        view.show(findings, operated, source.words)
    raise typer.Exit(exit_code(one.severity for one in findings))
