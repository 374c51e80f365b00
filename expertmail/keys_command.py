"""``expertmail keys``: the DKIM keys that sign our mail."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from expertmail.desk import AsJson, Config, Desk, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.keys_rotate_command import commands as rotate_commands
from expertmail.signing_keys import key_file, key_state, selectors_with_files
from expertmail.tables import say, show_json, show_table
from expertmail.world import add_to_trial_zone
from outbound.errors import SigningError
from outbound.key_files import generate_key, load_key
from outbound.key_rotation import ED25519_SUFFIX, plain_selector
from outbound.sign import SigningKey, zone_line

commands = typer.Typer(no_args_is_help=True, help="List, make and rotate DKIM keys.")
commands.add_typer(rotate_commands, name="rotate")

Selector = Annotated[str, typer.Argument(metavar="SELECTOR", help="Such as s2.")]
Kind = Annotated[str, typer.Option(help="rsa or ed25519; rsa is understood everywhere.")]


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.add_typer(commands, name="keys")


@commands.command("list")
def list_(as_json: AsJson = False, config: Config = None) -> None:
    """List the keys of the sender's domain and tell which ones sign."""
    with open_desk(config, make=True) as desk:
        found = [
            (selector, path, _load(path)) for selector, path in selectors_with_files(desk.settings).items()
        ]
        keys = desk.world.keys
        domain = desk.settings.sender_domain
    if as_json:
        show_json(
            [
                {
                    "selector": selector,
                    "domain": domain,
                    "algorithm": key.algorithm.decode(),
                    "signs": selector in keys.signs.selectors,
                    "state": key_state(selector, keys),
                    "file": str(path),
                }
                for selector, path, key in found
            ]
        )
        return
    show_table(
        ("SELECTOR", "DOMAIN", "ALGORITHM", "STATE", "FILE"),
        [
            (selector, domain, key.algorithm.decode(), key_state(selector, keys), str(path))
            for selector, path, key in found
        ],
        "There is no key.",
    )


@commands.command()
def generate(selector: Selector, kind: Kind = "rsa", config: Config = None) -> None:
    """Make a key under a selector of your choice. It signs nothing until dkim.selector names it."""
    with open_desk(config, make=True) as desk:
        if selector == f"{desk.world.keys.signs.rsa}{ED25519_SUFFIX}":
            raise FaultError(
                f"A key {selector} would sign at the next start, before its record is published. Add an Ed25519 key by a "
                "rotation: expertmail keys rotate publish",
                ExitCode.USAGE,
            )
        _make(desk, selector, kind)


@commands.command()
def show(selector: Selector, config: Config = None) -> None:
    """Show the DNS record of a key. The private key is never shown."""
    with open_desk(config, make=True) as desk:
        key = _load(key_file(desk.settings, _checked(selector)))
        say(zone_line(selector, desk.settings.sender_domain, key))


def _make(desk: Desk, selector: str, kind: str) -> None:
    path = key_file(desk.settings, _checked(selector))
    try:
        key = generate_key(path, kind=kind)
    except SigningError as error:
        raise FaultError(str(error), ExitCode.CANNOT_CREATE) from error
    say(f"Made {path}.")
    zone = add_to_trial_zone(desk.settings, key, selector)
    if zone is not None:
        say(f"Its record is in {zone}; a running serve reads it at its next start.")
        return
    say("Publish this record:")
    say(zone_line(selector, desk.settings.sender_domain, key))


def _checked(selector: str) -> str:
    """A selector that is one DNS label, so that it can never be a path."""
    if not plain_selector(selector):
        raise FaultError(
            "A selector is letters, digits and hyphens in lower case, such as s2.", ExitCode.USAGE
        )
    return selector


def _load(path: Path) -> SigningKey:
    try:
        return load_key(path)
    except SigningError as error:
        raise FaultError(str(error), ExitCode.NO_INPUT) from error
