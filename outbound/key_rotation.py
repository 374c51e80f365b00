"""Changing the keys that sign, in four steps, so that no mail is ever signed with a key that customers cannot find. Pure.

*publish* makes the next keys, which sign nothing; *see* asks who has got their records; *sign* switches to them once
everybody has; *retire* takes the earlier ones away when no mail needs them any more (RFC 6376 3.1 and 8.8: a selector is never
used for another key). What stands where is one value, which is kept in a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

from outbound.errors import SigningError
from outbound.sign import SigningKey
from verifier.dkim_key import BadKey, read_key
from verifier.evidence import Answer

ED25519_SUFFIX: Final = "-ed25519"
"""The Ed25519 key of a pair has the RSA key's selector and this: each selector holds one key (RFC 8463 5)."""
MAX_RETIRING: Final = 50  # pairs that still have a record; each is told until somebody has taken it away
_FORMAT: Final = 1
_SELECTOR: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)  # one DNS label (RFC 6376 3.1)
_NUMBERED: Final = re.compile(r"(.*?)(\d{1,9})", re.ASCII)
_PROOF: Final = sha256(b"expertmail key sighting").digest()


@dataclass(frozen=True, slots=True)
class Pair:
    """Selectors of keys that sign together; ``ed25519`` is None where there is no second key."""

    rsa: str
    ed25519: str | None = None

    @property
    def selectors(self) -> tuple[str, ...]:
        """Those that there are, the RSA one first."""
        return (self.rsa,) if self.ed25519 is None else (self.rsa, self.ed25519)


@dataclass(frozen=True, slots=True)
class Retiring:
    """Keys that sign no more and whose records are still needed. ``forced`` is why nobody waited, or empty."""

    pair: Pair
    since: datetime
    forced: str = ""


@dataclass(frozen=True, slots=True)
class KeysInForce:
    """Which keys sign, which are the next, and which have signed before.

    ``setting`` is what dkim.selector said when this was written: where it says something else now, a person has decided.
    """

    setting: str
    signs: Pair
    next: Pair | None = None
    made: datetime | None = None  # when the next ones were begun
    retiring: tuple[Retiring, ...] = ()

    @property
    def selectors(self) -> frozenset[str]:
        """All that are named here."""
        pairs = [self.signs, *(one.pair for one in self.retiring)] + (
            [] if self.next is None else [self.next]
        )
        return frozenset(selector for pair in pairs for selector in pair.selectors)


def plain_selector(text: str) -> bool:
    """Whether a selector is one DNS label in lower case, so that it can never be a path."""
    return _SELECTOR.fullmatch(text) is not None


class Seen(StrEnum):
    """What one server says of a key's record."""

    YES = "seen"
    NOT_THERE = "not there"
    OTHER = "another record"
    NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one server said of one selector. ``counts``: switching waits for it (a silent name server of the zone's does not)."""

    server: str
    selector: str
    seen: Seen
    detail: str = ""
    authoritative: bool = False

    @property
    def counts(self) -> bool:
        """Whether the switch waits for it: not for a zone's own server that is out of reach from here."""
        return not (self.authoritative and self.seen is Seen.NO_ANSWER)


def begin(keys: KeysInForce, taken: Collection[str], now: datetime) -> KeysInForce:
    """Name the next pair: the number counts up (s1, s2), past all that is ``taken``. One that is named already stays."""
    if keys.next is not None:
        return keys
    used = {*taken, *keys.selectors}
    numbered = _NUMBERED.fullmatch(keys.signs.rsa)
    stem, number = (numbered[1], int(numbered[2])) if numbered else (keys.signs.rsa, 1)
    while True:
        number += 1
        pair = Pair(f"{stem}{number}", f"{stem}{number}{ED25519_SUFFIX}")
        if used.isdisjoint(pair.selectors):
            return replace(keys, next=pair, made=now)


def sighted(  # noqa: PLR0911 -- a table: the first line that fits
    answer: Answer, key: SigningKey
) -> tuple[Seen, str]:
    """Whether an answer holds the record of a key, and only that; and what it holds instead, for a person."""
    if answer.temporary:
        return Seen.NO_ANSWER, answer.status.value
    if not answer.records:
        return Seen.NOT_THERE, ""
    if len(answer.records) > 1:  # RFC 6376 3.6.2.2: what a verifier does then is not defined
        return Seen.OTHER, f"{len(answer.records)} records at one name"
    published = read_key(answer.records[0])
    if isinstance(published, BadKey):
        return Seen.OTHER, published.detail
    kind, _ = key.public_text()
    if published.type != kind or not published.verifies(key.sign(_PROOF).signature, _PROOF):
        return Seen.OTHER, "another public key"
    if published.testing:
        return Seen.OTHER, "the flag t=y, which tells receivers to ignore it"
    return Seen.YES, ""


def who_lacks(sightings: Iterable[Sighting]) -> tuple[Sighting, ...]:
    """Sightings that keep the next keys from signing."""
    return tuple(one for one in sightings if one.counts and one.seen is not Seen.YES)


def switch(
    keys: KeysInForce, sightings: Collection[Sighting], now: datetime, *, forced: str = ""
) -> KeysInForce:
    """Let the next pair sign. Raises SigningError while somebody lacks a record, unless ``forced`` says why not to wait."""
    if keys.next is None:
        raise SigningError("There are no next keys; make them first: expertmail keys rotate publish")
    wanting = who_lacks(sightings)
    looked = {one.selector for one in sightings if one.seen is Seen.YES}
    if not forced and (wanting or not looked.issuperset(keys.next.selectors)):
        who = "; ".join(_said(one) for one in wanting[:5]) or "nobody could be asked"
        raise SigningError(
            f"The next keys do not sign yet, for not everybody has their records: {who}. Look again later: "
            "expertmail keys rotate see"
        )
    earlier = (*keys.retiring, Retiring(keys.signs, now, forced))
    if len(earlier) > MAX_RETIRING:
        raise SigningError(
            "Too many earlier keys wait to be retired; do that first: expertmail keys rotate retire"
        )
    return replace(keys, signs=keys.next, next=None, made=None, retiring=earlier)


def _said(one: Sighting) -> str:
    detail = f" ({one.detail})" if one.detail else ""
    return f"{one.server} says of {one.selector}: {one.seen}{detail}"


def still_needed(
    one: Retiring, *, waiting: int, last: datetime | None, keep: timedelta, now: datetime
) -> str | None:
    """Why an earlier pair's records have to stay, in one sentence; None when they may go.

    ``waiting`` mails that were signed with it have not left; ``last`` is when the last one did. Who gets a mail late, or
    looks at it again, needs the record for ``keep`` from then on.
    """
    if waiting:
        return f"{waiting} mails that were signed with it still wait to be sent"
    until = max(one.since, last or one.since) + keep
    return (
        f"mail that was signed with it may still be on its way; keep it until {until:%Y-%m-%d %H:%M} UTC"
        if now < until
        else None
    )


def retired(keys: KeysInForce, pair: Pair) -> KeysInForce:
    """The keys without one earlier pair."""
    return replace(keys, retiring=tuple(one for one in keys.retiring if one.pair != pair))


def written(keys: KeysInForce) -> str:
    """As the text of a file."""
    table: dict[str, Any] = {
        "format": _FORMAT,
        "setting": keys.setting,
        "signs": list(keys.signs.selectors),
        "next": None if keys.next is None else list(keys.next.selectors),
        "made": None if keys.made is None else keys.made.isoformat(),
        "retiring": [
            {"keys": list(one.pair.selectors), "since": one.since.isoformat(), "forced": one.forced}
            for one in keys.retiring
        ],
    }
    return json.dumps(table, indent=1) + "\n"


def read(text: str) -> KeysInForce:
    """Read such a text. Raises SigningError for anything else: a guess could sign with a key that nobody has."""
    try:
        table = json.loads(text)
        following, made = table["next"], {_FORMAT: table["made"]}[table["format"]]
        return KeysInForce(
            _selector(table["setting"], strict=False),
            _pair(table["signs"]),
            None if following is None else _pair(following),
            None if made is None else _time(made),
            tuple(_retiring(one) for one in table["retiring"][:MAX_RETIRING]),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SigningError("it does not say which keys sign") from error


def _retiring(table: Mapping[str, Any]) -> Retiring:
    return Retiring(_pair(table["keys"]), _time(table["since"]), str(table["forced"]))


def _pair(selectors: Any) -> Pair:
    rsa, *more = selectors
    if not isinstance(selectors, list) or len(more) > 1:
        raise ValueError("a pair")
    return Pair(_selector(rsa), _selector(more[0]) if more else None)


def _selector(text: Any, *, strict: bool = True) -> str:
    if not isinstance(text, str) or (strict and not _SELECTOR.fullmatch(text)):
        raise ValueError("a selector")
    return text


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a zone")
    return at
