"""The steps of a key rotation as commands and pages take them: what each does is on the audit trail and on the disk before it counts.

A step that is cut off is taken again in the same way. Nobody else changes keys meanwhile (``outbound.key_files.alone``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from expertmail.key_sight import look
from expertmail.settings import Settings
from expertmail.signing_keys import (
    key_file,
    keys_folder,
    keys_in_force,
    lines_to_publish,
    rotation_file,
    selectors_with_files,
)
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
from threads.store.audit import record_act
from threads.store.engine import Database
from verifier.zone import Zone


@dataclass(frozen=True, slots=True)
class Hand:
    """Who takes a step, when, and on what. ``by`` is the name for the audit trail."""

    settings: Settings
    database: Database
    by: str
    now: datetime


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key that was made; ``zone``: the file of our own zone that has its record, if there is one."""

    path: Path
    zone: Path | None


@dataclass(frozen=True, slots=True)
class GivenUp:
    """An earlier pair whose private keys are gone, or ``why`` its records are still needed."""

    pair: Pair
    why: str | None


def named(pair: Pair) -> str:
    """A pair for people."""
    return " with ".join(pair.selectors)


def publish(hand: Hand) -> tuple[KeysInForce, tuple[MadeKey, ...]]:
    """Make the next keys, of which those that are there stay. Raises SigningError or FaultError."""
    made: list[MadeKey] = []
    with _changing(hand.settings) as keys:
        begun = begin(keys, selectors_with_files(hand.settings), hand.now)
        if begun != keys:
            _record(hand, "keys-made", begun.next, "")
            _keep(hand, begun)
        selectors = () if begun.next is None else begun.next.selectors
        for selector, kind in zip(selectors, ("rsa", "ed25519"), strict=False):
            path = key_file(hand.settings, selector)
            if not path.exists():
                key = generate_key(path, kind=kind)
                made.append(MadeKey(path, add_to_trial_zone(hand.settings, key, selector)))
    return begun, tuple(made)


def next_keys(settings: Settings, keys: KeysInForce) -> dict[str, SigningKey]:
    """The keys that wait, by selector. Raises SigningError for one that is not there."""
    selectors = () if keys.next is None else keys.next.selectors
    return {one: load_key(key_file(settings, one)) for one in selectors}


def records_of_next(settings: Settings, keys: KeysInForce) -> tuple[str, ...]:
    """The lines of a zone file that have to be published before the next keys sign. Raises SigningError."""
    return tuple(lines_to_publish(settings, next_keys(settings, keys)).values())


async def see(settings: Settings, keys: KeysInForce, zone: Zone | None) -> tuple[Sighting, ...]:
    """Who has the next keys' records now; of no keys nothing. Raises SigningError where a private key is missing."""
    return () if keys.next is None else await look(settings, next_keys(settings, keys), zone)


def sign(
    hand: Hand, shown: Pair | None, sightings: tuple[Sighting, ...], *, forced: str = ""
) -> tuple[KeysInForce, Pair]:
    """Let the keys ``shown`` sign, of which ``sightings`` were taken a moment ago; what stands now, and who signed before.

    Raises SigningError where somebody lacks a record (unless ``forced`` says why not to wait), where other keys wait by
    now, or where there are none; FaultError.
    """
    with _changing(hand.settings) as keys:
        if keys.next != shown:
            raise SigningError("Meanwhile somebody else has changed the keys; look again.")
        next_keys(hand.settings, keys)  # not without the private keys, whatever DNS says
        switched = switch(keys, sightings, hand.now, forced=forced)
        wanting = "; ".join(f"{one.server}: {one.selector} {one.seen}" for one in who_lacks(sightings))
        detail = "" if not forced else f"forced: {forced}" + (f" (without {wanting})" if wanting else "")
        _record(hand, "keys-sign", keys.next, detail)
        _keep(hand, switched)
    return switched, keys.signs


def needed(settings: Settings, database: Database, one: Retiring, now: datetime) -> str | None:
    """Why an earlier pair's records have to stay, in one sentence; None when they may go."""
    with database.reading() as conn:
        used = signed_with(conn, one.pair.selectors)
    keep = timedelta(days=settings.dkim.keep_days)
    return still_needed(one, waiting=used.waiting, last=used.last, keep=keep, now=now)


def retire(hand: Hand, *, only: str | None = None, forced: str = "") -> Iterator[GivenUp]:
    """Give up earlier keys, or the pair ``only`` (its RSA key's selector), one after the other, and tell of each.

    ``forced`` says why nobody waits for those that are still needed. Raises SigningError or FaultError.
    """
    with _changing(hand.settings) as keys:
        for one in keys.retiring:
            if only is not None and one.pair.rsa != only:
                continue
            why = needed(hand.settings, hand.database, one, hand.now)
            if why is not None and not forced:
                yield GivenUp(one.pair, why)
                continue
            _record(hand, "keys-retired", one.pair, "" if why is None else f"forced: {forced}; {why}")
            for selector in one.pair.selectors:
                remove_key(key_file(hand.settings, selector))
            keys = retired(keys, one.pair)  # noqa: PLW2901 -- what stands is kept after each pair
            _keep(hand, keys)
            yield GivenUp(one.pair, None)


def revocations(settings: Settings, pair: Pair) -> tuple[str, ...]:
    """What stands in the place of a retired pair's records for some weeks.

    An empty p= says that a key was given up (RFC 6376 3.6.1), where a missing record may be a fault of DNS.
    """
    domain = settings.sender_domain
    return tuple(f'{one}._domainkey.{domain}. 3600 IN TXT "v=DKIM1; p="' for one in pair.selectors)


@contextmanager
def _changing(settings: Settings) -> Iterator[KeysInForce]:
    """What stands, while nobody else changes it."""
    with alone(keys_folder(settings)):
        yield keys_in_force(settings)


def _keep(hand: Hand, keys: KeysInForce) -> None:
    write_state(rotation_file(hand.settings), written(keys))


def _record(hand: Hand, act: str, pair: Pair | None, detail: str) -> None:
    """Into the audit trail first: a step that is cut off then stands there twice, and never not at all."""
    if pair is not None:
        with hand.database.writing() as conn:
            subject = f"{hand.settings.sender_domain} {named(pair)}"
            record_act(conn, act, hand.now, by=hand.by, subject=subject, detail=detail)
