"""``expertmail keys rotate``: other keys sign, and no mail is ever signed with one that customers cannot find.

What is done is kept before it is acted on: a step that is cut off is taken again by the same command. A running serve goes by it
after SIGHUP, or from its next start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated

import typer

from expertmail.desk import AsJson, By, Config, Desk, acted, actor, now, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.key_sight import look
from expertmail.signing_keys import (
    key_file,
    keys_folder,
    keys_in_force,
    lines_to_publish,
    rotation_file,
    selectors_with_files,
)
from expertmail.tables import say, show_json, show_table
from expertmail.world import add_to_trial_zone
from outbound.errors import SigningError
from outbound.key_files import alone, generate_key, load_key, remove_key, write_state
from outbound.key_rotation import (
    KeysInForce,
    Pair,
    Retiring,
    Sighting,
    begin,
    retired,
    still_needed,
    switch,
    who_lacks,
    written,
)
from outbound.sign import SigningKey
from outbound.store.signed_with import signed_with

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
        say(f"{_named(keys.signs)} signs.")
        for one in keys.retiring:
            why = _needed(desk, one) or "it may go now: expertmail keys rotate retire"
            say(f"{_named(one.pair)} signed until {one.since:%Y-%m-%d %H:%M} UTC; {why}.")
        if keys.next is None:
            say("Next step: expertmail keys rotate publish")
        else:
            say(f"{_named(keys.next)} waits. Next steps: expertmail keys rotate see, then sign")


@commands.command()
def publish(by: By = None, config: Config = None) -> None:
    """Make the next keys, RSA and Ed25519, and show their records. They sign nothing yet."""
    with open_desk(config, make=True) as desk, _changing(desk) as keys:
        begun = begin(keys, selectors_with_files(desk.settings), now())
        if begun != keys:
            _record(desk, "keys-made", by, begun.next, "")
            _keep(desk, begun)
        for selector, kind in zip(
            begun.next.selectors if begun.next else (), ("rsa", "ed25519"), strict=False
        ):
            path = key_file(desk.settings, selector)
            if path.exists():
                continue
            key = generate_key(path, kind=kind)
            say(f"Made {path}.")
            zone = add_to_trial_zone(desk.settings, key, selector)
            if zone is not None:
                say(f"Its record is in {zone}; a running serve reads it at its next start.")
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
    with open_desk(config, make=True) as desk, _changing(desk) as keys:
        pair = keys.next
        if pair is not None:
            _next_keys(desk, keys)  # not without the private keys, whatever DNS says
        sightings = _sightings(desk, keys) if pair is not None else ()
        switched = switch(keys, sightings, now(), forced=force or "")
        wanting = "; ".join(f"{one.server}: {one.selector} {one.seen}" for one in who_lacks(sightings))
        detail = "" if not force else f"forced: {force}" + (f" (without {wanting})" if wanting else "")
        _record(desk, "keys-sign", by, pair, detail)
        _keep(desk, switched)
        say(f"{_named(switched.signs)} signs. {RELOAD}")
        say(f"Keep the records of {_named(keys.signs)}: mail under way is signed with them.")
        say("Later: expertmail keys rotate retire")


@commands.command()
def retire(force: Force = None, by: By = None, config: Config = None) -> None:
    """Give up earlier keys whose mail has long arrived: their private keys go, and you are told which records may.

    Exit code: 0 if no earlier key is left, else 75.
    """
    left = False
    with open_desk(config, make=True) as desk, _changing(desk) as keys:
        for one in keys.retiring:
            why = _needed(desk, one)
            if why is not None and not force:
                say(f"{_named(one.pair)}: {why}.")
                left = True
                continue
            _record(desk, "keys-retired", by, one.pair, "" if why is None else f"forced: {force}; {why}")
            for selector in one.pair.selectors:
                remove_key(key_file(desk.settings, selector))
            keys = retired(keys, one.pair)  # noqa: PLW2901 -- what stands is kept after each pair
            _keep(desk, keys)
            _show_revocation(desk, one.pair)
        if not keys.retiring and not left:
            say("No earlier key is left.")
    raise typer.Exit(ExitCode.TEMPORARY if left else 0)


@contextmanager
def _changing(desk: Desk) -> Iterator[KeysInForce]:
    """What stands, while nobody else changes it; errors become faults."""
    try:
        with alone(keys_folder(desk.settings)):
            yield keys_in_force(desk.settings)
    except SigningError as error:
        raise FaultError(str(error), ExitCode.TEMPORARY) from error


def _keep(desk: Desk, keys: KeysInForce) -> None:
    write_state(rotation_file(desk.settings), written(keys))


def _record(desk: Desk, act: str, by: str | None, pair: Pair | None, detail: str) -> None:
    """Into the audit trail first: a step that is cut off then stands there twice, and never not at all."""
    if pair is not None:
        with desk.database.writing() as conn:
            acted(conn, act, actor(by), f"{desk.settings.sender_domain} {_named(pair)}", detail)


def _needed(desk: Desk, one: Retiring) -> str | None:
    with desk.database.reading() as conn:
        used = signed_with(conn, one.pair.selectors)
    keep = timedelta(days=desk.settings.dkim.keep_days)
    return still_needed(one, waiting=used.waiting, last=used.last, keep=keep, now=now())


def _next_keys(desk: Desk, keys: KeysInForce) -> dict[str, SigningKey]:
    selectors = () if keys.next is None else keys.next.selectors
    try:
        return {one: load_key(key_file(desk.settings, one)) for one in selectors}
    except SigningError as error:
        raise FaultError(
            f"{error} Make it again: expertmail keys rotate publish", ExitCode.NO_INPUT
        ) from error


def _sightings(desk: Desk, keys: KeysInForce) -> tuple[Sighting, ...]:
    if keys.next is None:
        raise FaultError(
            "There are no next keys; make them first: expertmail keys rotate publish", ExitCode.DATA
        )
    return asyncio.run(look(desk.settings, _next_keys(desk, keys), desk.world.zone))


def _show_records(desk: Desk, keys: KeysInForce) -> None:
    say("Publish these records:")
    for line in lines_to_publish(desk.settings, _next_keys(desk, keys)).values():
        say(line)


def _show_revocation(desk: Desk, pair: Pair) -> None:
    """An empty p= says that a key was given up (RFC 6376 3.6.1), where a missing record may be a fault of DNS."""
    say(
        f"{_named(pair)} is retired. Put this in the place of its records, and take it away after some weeks:"
    )
    for selector in pair.selectors:
        say(f'{selector}._domainkey.{desk.settings.sender_domain}. 3600 IN TXT "v=DKIM1; p="')


def _named(pair: Pair) -> str:
    return " with ".join(pair.selectors)


def _as_json(one: Sighting) -> dict[str, object]:
    return {
        "server": one.server,
        "selector": one.selector,
        "seen": str(one.seen),
        "detail": one.detail,
        "authoritative": one.authoritative,
    }
