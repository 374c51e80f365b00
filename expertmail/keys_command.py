"""``expertmail keys``: the DKIM keys that sign our mail."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from expertmail.desk import AsJson, Config, Desk, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.tables import say, show_json, show_table
from expertmail.world import add_to_trial_zone, key_path
from outbound.errors import SigningError
from outbound.key_files import generate_key, load_key
from outbound.sign import SigningKey, zone_line

commands = typer.Typer(no_args_is_help=True, help="List, make and rotate DKIM keys.")

_SELECTOR = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # one DNS label (RFC 6376 3.1)
_NUMBERED = re.compile(r"(.*?)(\d+)")

Selector = Annotated[str, typer.Argument(metavar="SELECTOR", help="Such as s2.")]
Kind = Annotated[str, typer.Option(help="rsa or ed25519; rsa is understood everywhere.")]


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.add_typer(commands, name="keys")


@commands.command("list")
def list_(as_json: AsJson = False, config: Config = None) -> None:
    """List the keys of the sender's domain and tell which one signs."""
    with open_desk(config, make=True) as desk:
        found = [(selector, path, _load(path)) for selector, path in _files(desk)]
        signing = desk.settings.dkim.selector
        domain = desk.settings.sender_domain
    if as_json:
        show_json(
            [
                {
                    "selector": selector,
                    "domain": domain,
                    "algorithm": key.algorithm.decode(),
                    "signs": selector == signing,
                    "file": str(path),
                }
                for selector, path, key in found
            ]
        )
        return
    show_table(
        ("SELECTOR", "DOMAIN", "ALGORITHM", "SIGNS", "FILE"),
        [
            (selector, domain, key.algorithm.decode(), "yes" if selector == signing else "", str(path))
            for selector, path, key in found
        ],
        "There is no key.",
    )


@commands.command()
def generate(selector: Selector, kind: Kind = "rsa", config: Config = None) -> None:
    """Make a key under a selector of your choice. It signs nothing until dkim.selector names it."""
    with open_desk(config, make=True) as desk:
        _make(desk, selector, kind)


@commands.command()
def rotate(kind: Kind = "rsa", config: Config = None) -> None:
    """Make the next key (s1 -> s2) and tell what to do, in order, so that no mail becomes unverifiable."""
    with open_desk(config, make=True) as desk:
        current = desk.settings.dkim.selector
        taken = {selector for selector, _ in _files(desk)} | {current}
        numbered = _NUMBERED.fullmatch(current)
        stem, number = (numbered.group(1), int(numbered.group(2))) if numbered else (current, 1)
        following = next(
            f"{stem}{n}" for n in range(number + 1, number + 10_000) if f"{stem}{n}" not in taken
        )
        _make(desk, following, kind)
        say(f"Then set dkim.selector to {following} and restart serve.")
        say(f"Keep the record of {current} for a week: mail under way is signed with it. Then take it away.")


@commands.command()
def show(selector: Selector, config: Config = None) -> None:
    """Show the DNS record of a key. The private key is never shown."""
    with open_desk(config, make=True) as desk:
        key = _load(key_path(desk.settings, _checked(selector)))
        say(zone_line(selector, desk.settings.sender_domain, key))


def _make(desk: Desk, selector: str, kind: str) -> None:
    path = key_path(desk.settings, _checked(selector))
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
    if not _SELECTOR.fullmatch(selector):
        raise FaultError(
            "A selector is letters, digits and hyphens in lower case, such as s2.", ExitCode.USAGE
        )
    return selector


def _files(desk: Desk) -> list[tuple[str, Path]]:
    """Selectors and files of the sender domain's keys."""
    prefix = desk.settings.sender_domain + "."
    folder = key_path(desk.settings).parent
    names = sorted(folder.glob("*.pem"))
    return [(p.name.removeprefix(prefix).removesuffix(".pem"), p) for p in names if p.name.startswith(prefix)]


def _load(path: Path) -> SigningKey:
    try:
        return load_key(path)
    except SigningError as error:
        raise FaultError(str(error), ExitCode.NO_INPUT) from error
