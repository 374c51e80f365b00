"""``expertmail keys rotate``: other keys sign, and no mail is ever signed with one that customers cannot find.

What is done is kept before it is acted on: a step that is cut off is taken again by the same command. A running serve goes by it
after SIGHUP, or from its next start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from expertmail import rotation_steps as steps
from expertmail.desk import AsJson, By, Config, Desk, actor, now, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.rotation_steps import Hand, named
from expertmail.signing_keys import keys_in_force
from expertmail.tables import say, show_json, show_table
from outbound.errors import SigningError
from outbound.key_rotation import KeysInForce, Sighting, who_lacks

commands = typer.Typer(help="Let other keys sign: publish, see, sign, retire.", invoke_without_command=True)

RELOAD = "A running serve goes by it after: kill -HUP, or systemctl reload expertmail"
Force = Annotated[
    str | None,
    typer.Option(metavar="REASON", help="Do not wait, and write down why: a key that leaked, say."),
]


@commands.callback()
def where(context: typer.Context, config: Config = None) -> None:
    """Let other keys sign: publish, see, sign, retire. Without a step: tell what stands where, and the next step."""
    if context.invoked_subcommand is not None:
        return
    with open_desk(config, make=True) as desk:
        keys = desk.world.keys
        say(f"{named(keys.signs)} signs.")
        for one in keys.retiring:
            why = steps.needed(desk.settings, desk.database, one, now())
            said = why or "it may go now: expertmail keys rotate retire"
            say(f"{named(one.pair)} signed until {one.since:%Y-%m-%d %H:%M} UTC; {said}.")
        if keys.next is None:
            say("Next step: expertmail keys rotate publish")
        else:
            say(f"{named(keys.next)} waits. Next steps: expertmail keys rotate see, then sign")


@commands.command()
def publish(by: By = None, config: Config = None) -> None:
    """Make the next keys, RSA and Ed25519, and show their records. They sign nothing yet."""
    with open_desk(config, make=True) as desk, _told():
        begun, made = steps.publish(_hand(desk, by))
        for one in made:
            say(f"Made {one.path}.")
            if one.zone is not None:
                say(f"Its record is in {one.zone}; a running serve reads it at its next start.")
        _show_records(desk, begun)
        say("Then: expertmail keys rotate see")


@commands.command()
def see(as_json: AsJson = False, config: Config = None) -> None:
    """Ask each resolver of ours and the zone's own name servers for the next keys' records.

    Exit code: 0 if all have them, else 1.
    """
    with open_desk(config, make=True) as desk:
        keys = desk.world.keys
        sightings = _sightings(desk, keys)
        wanting = who_lacks(sightings)
        if as_json:
            show_json([{**_as_json(one)} for one in sightings])
        else:
            show_table(
                ("SERVER", "SELECTOR", "SAYS", "DETAIL"),
                [(one.server, one.selector, str(one.seen), one.detail) for one in sightings],
                "Nobody could be asked.",
            )
            if wanting:
                _show_records(desk, keys)
            else:
                say("Everybody who was asked has them. Then: expertmail keys rotate sign")
    raise typer.Exit(1 if wanting or not sightings else 0)


@commands.command()
def sign(force: Force = None, by: By = None, config: Config = None) -> None:
    """Let the next keys sign, once everybody who can be asked has their records."""
    with open_desk(config, make=True) as desk, _told():
        keys = keys_in_force(desk.settings)
        sightings = () if keys.next is None else _sightings(desk, keys)
        switched, before = steps.sign(_hand(desk, by), keys.next, sightings, forced=force or "")
        say(f"{named(switched.signs)} signs. {RELOAD}")
        say(f"Keep the records of {named(before)}: mail under way is signed with them.")
        say("Later: expertmail keys rotate retire")


@commands.command()
def retire(force: Force = None, by: By = None, config: Config = None) -> None:
    """Give up earlier keys whose mail has long arrived: their private keys go, and you are told which records may.

    Exit code: 0 if no earlier key is left, else 75.
    """
    with open_desk(config, make=True) as desk, _told():
        left = False
        for one in steps.retire(_hand(desk, by), forced=force or ""):
            if one.why is not None:
                say(f"{named(one.pair)}: {one.why}.")
                left = True
                continue
            say(
                f"{named(one.pair)} is retired. Put this in the place of its records, and take it away after some weeks:"
            )
            for line in steps.revocations(desk.settings, one.pair):
                say(line)
        if not left:
            say("No earlier key is left.")
    raise typer.Exit(ExitCode.TEMPORARY if left else 0)


@contextmanager
def _told() -> Iterator[None]:
    """Errors become faults."""
    try:
        yield
    except SigningError as error:
        raise FaultError(str(error), ExitCode.TEMPORARY) from error


def _hand(desk: Desk, by: str | None) -> Hand:
    return Hand(desk.settings, desk.database, actor(by), now())


def _sightings(desk: Desk, keys: KeysInForce) -> tuple[Sighting, ...]:
    if keys.next is None:
        raise FaultError(
            "There are no next keys; make them first: expertmail keys rotate publish", ExitCode.DATA
        )
    try:
        return asyncio.run(steps.see(desk.settings, keys, desk.world.zone))
    except SigningError as error:
        raise _not_there(error) from error


def _show_records(desk: Desk, keys: KeysInForce) -> None:
    try:
        lines = steps.records_of_next(desk.settings, keys)
    except SigningError as error:
        raise _not_there(error) from error
    say("Publish these records:")
    for line in lines:
        say(line)


def _not_there(error: SigningError) -> FaultError:
    return FaultError(f"{error} Make it again: expertmail keys rotate publish", ExitCode.NO_INPUT)


def _as_json(one: Sighting) -> dict[str, object]:
    return {
        "server": one.server,
        "selector": one.selector,
        "seen": str(one.seen),
        "detail": one.detail,
        "authoritative": one.authoritative,
    }
