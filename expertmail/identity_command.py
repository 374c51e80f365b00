"""``expertmail identity``: the senders that are protected."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from expertmail.desk import AsJson, Config
from expertmail.identities import identities_in_force, read_identities
from expertmail.settings import load
from expertmail.tables import say, show_facts, show_json
from verifier.identity import Identity

commands = typer.Typer(no_args_is_help=True, help="Show or check the protected identities.")


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.add_typer(commands, name="identity")


@commands.command()
def show(as_json: AsJson = False, config: Config = None) -> None:
    """Show the identities in force."""
    settings = load(config)
    found = identities_in_force(settings.mail, settings.identities)
    if as_json:
        show_json(found)
        return
    for number, one in enumerate(found):
        if number:
            say()
        _show(one)


@commands.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An identity file (TOML).")],
    as_json: AsJson = False,
) -> None:
    """Check an identity file and say what it means. Nothing is changed."""
    found = read_identities(file)
    if as_json:
        show_json(found)
        return
    for one in found:
        pinned = ", ".join(one.addresses) or "none: its mail is at most authentic-unpinned"
        say(f"{one.name}: domains {', '.join(one.domains)}; pinned addresses {pinned}.")
    say(f"{file} can be used. Set identities to its path in the settings file.")


def _show(one: Identity) -> None:
    say(one.name, style="bold")
    show_facts(
        {
            "display names": ", ".join(one.display_names),
            "domains": ", ".join(one.domains),
            "pinned addresses": ", ".join(one.addresses) or "(none)",
            "signing domains": ", ".join(one.signing_domains),
            "always signs": "yes" if one.always_signs else "no",
            "known domains": ", ".join(one.known_domains),
            "brand terms": ", ".join(one.brand_terms),
            "trusted sealers": ", ".join(one.trusted_sealers),
            "trusted authserv-ids": ", ".join(one.trusted_authserv_ids),
        }
    )
