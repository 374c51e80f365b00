"""Domains made to look like a protected one: homoglyphs, typing errors, added words, other top levels.

Everything is compared by a key in which look-alike letters are equal. An ordinary domain costs a few
dictionary lookups and one bounded comparison per protected name. A listed name is unrelated, whatever it
looks like.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import disarm

from verifier.identity import Identity, a_label_name

MIN_TYPO = 6  # letters: shorter names are one letter away from many ordinary words
MIN_TOKEN = 6  # letters: a longer name beside a hyphen is enough, a shorter one needs a bait word beside it
MIN_CONTAINED = 8  # letters: a longer name inside another is no accident
MAX_LABELS = 12  # labels that are looked at, from the right; real names have under 6

# Words that people who imitate add to a name. Compared by key.
_BAIT = (
    "account accounts admin alert alerts app apps auth billing business care center centre check cloud com "
    "contact corp customer customers desk email expert experts global group help helpdesk home id inc incident "
    "info it live login logon mail managed message messages mfa msg my net noreply notice notification "
    "notifications notify office official online org password pay payment portal protect protection recovery "
    "report reply response reset safe safety secure secured security server service services shop sign signin "
    "soc sso store supp support system team teams tech test the trust update updates user verification verified "
    "verify web www"
)
# Ordinary words as names of protected domains: they stand in honest names too, so what is merely near to
# them counts only under the same top level.
_ORDINARY_WORDS = (
    "alert bank care cloud contact cyber defend defender defense desk expert experts guard help insight mail "
    "managed monitor notice office online portal protect protection respond response safe secure security "
    "service services shield soc support team trust watch"
)
_ORDINARY = frozenset(_ORDINARY_WORDS.split())
_SECOND_LEVEL = frozenset(
    {"ac", "co", "com", "edu", "go", "gob", "gov", "ltd", "ne", "net", "or", "org", "plc"}
)
_FOLD = str.maketrans(
    {
        "i": "l",
        "1": "l",
        "0": "o",
        "3": "e",
        "4": "a",
        "5": "s",
        "7": "t",
        "8": "b",
        "9": "g",
        "-": None,
        "_": None,
    }
)


class Relation(StrEnum):
    """How a domain stands to a protected one."""

    SAME = "same"
    SUBDOMAIN = "subdomain"
    LOOKALIKE = "lookalike"
    UNRELATED = "unrelated"


@dataclass(frozen=True, slots=True)
class Resemblance:
    """A domain looks like ``protected`` of ``identity``; ``how`` is for the operator, never for a reply text."""

    identity: str
    protected: str
    how: str


@dataclass(frozen=True, slots=True)
class _Target:
    """A protected name taken apart once."""

    identity: str
    domain: str
    brand: str  # the name's own label, as text
    letters: str  # look-alike letters made equal
    key: str  # and pairs made into the letter that they look like
    joined: str  # key of the whole name without dots
    suffix: str
    ordinary: bool


class Lookalikes:
    """Judges domains against all protected names of a set of identities. Built once, used for each message."""

    def __init__(self, identities: Iterable[Identity]) -> None:
        self._identities = tuple(identities)
        names = [(i.name, d.lstrip(".")) for i in self._identities for d in i.domains]
        self._targets = tuple(_target(name, domain) for name, domain in dict.fromkeys(names))

    def find(self, domain: str) -> Resemblance | None:
        """What a domain (A-labels or Unicode) looks like; None when it is theirs, listed or unrelated."""
        name = _normal(domain)
        if any(identity.knows(name) for identity in self._identities):
            return None
        seen = _Candidate(name)
        for target in self._targets:
            how = seen.resembles(target)
            if how is not None:
                return Resemblance(target.identity, target.domain, how)
        return None


def relation(candidate: str, protected: str, listed: Iterable[str] = ()) -> Relation:
    """How ``candidate`` stands to one protected name; ``listed`` names are unrelated whatever they look like."""
    name, own = _normal(candidate), _normal(protected)
    if name == own:
        # Full-width or mathematical letters become plain ones on the wire, but a person is shown the odd ones.
        odd = own.isascii() and not candidate.isascii()
        return (
            Relation.LOOKALIKE if odd and not own.startswith("xn--") and "xn--" not in own else Relation.SAME
        )
    if name.endswith("." + own):
        return Relation.SUBDOMAIN
    allowed = [_normal(entry) for entry in listed]
    if any(name == entry or name.endswith("." + entry) for entry in allowed):
        return Relation.UNRELATED
    how = _Candidate(name).resembles(_target("", own))
    return Relation.UNRELATED if how is None else Relation.LOOKALIKE


class _Candidate:
    """A domain to judge, taken apart once."""

    def __init__(self, name: str) -> None:
        self.labels = name.split(".")[-MAX_LABELS:]
        cut = _suffix_length(self.labels)
        self.suffix = ".".join(self.labels[-cut:])
        self.own = [_unicode(label) for label in self.labels[:-cut]] or [_unicode(self.labels[0])]
        self.letters = [_letters(label) for label in self.own]
        self.keys = [_paired(letters) for letters in self.letters]

    def resembles(self, target: _Target) -> str | None:
        same_suffix = self.suffix == target.suffix
        last = len(self.keys) - 1
        for position, key in enumerate(self.keys):
            registered = position == last
            if key == target.key:
                if registered or not target.ordinary or self._whole_name_at(position, target):
                    return "the same name" if registered else "its name as a subdomain"
                continue
            if key == target.joined:
                return "its name and top level as one label"
            if target.ordinary and not same_suffix:
                continue
            if registered and self._one_edit_from(target):
                return "one letter away"
            how = _added(self.own[position], key, target)
            if how is not None:
                return how
        return None

    def _one_edit_from(self, target: _Target) -> bool:
        """By single letters too: one that was changed may have made or broken a pair."""
        if len(target.key) < MIN_TYPO:
            return False
        return _one_edit(self.keys[-1], target.key) or _one_edit(self.letters[-1], target.letters)

    def _whole_name_at(self, position: int, target: _Target) -> bool:
        wanted = target.domain.split(".")
        return self.labels[position : position + len(wanted)] == wanted


def _added(label: str, key: str, target: _Target) -> str | None:
    """Words added before or after the name, with or without hyphens."""
    brand = target.key
    if "-" in label:
        tokens = [_key(token) for token in label.split("-")]
        if brand in tokens or any(_key(token) == target.joined for token in label.split("-")):
            others = [token for token in tokens if token and token != brand]
            if len(brand) >= MIN_TOKEN or all(token in _bait() for token in others):
                return "its name beside a hyphen"
    at = key.find(brand)
    if at < 0:
        return None
    before, after = key[:at], key[at + len(brand) :]
    if len(brand) >= MIN_CONTAINED and not target.ordinary:
        return "its name inside another"
    if _is_bait(before) and _is_bait(after):
        return "its name with a word added"
    return None


def _is_bait(rest: str) -> bool:
    """Whether the rest is made of at most three bait words."""
    ends = {0}
    for _ in range(3):
        if len(rest) in ends:
            return True
        ends = {end + len(word) for end in ends for word in _bait() if rest.startswith(word, end)}
    return len(rest) in ends


@lru_cache(maxsize=1)
def _bait() -> frozenset[str]:
    return frozenset(_key(word) for word in _BAIT.split())


def _one_edit(one: str, other: str) -> bool:
    """Whether one letter was added, left out, changed, or swapped with its neighbour. One pass."""
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) > 1 or one == other:
        return False
    first = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    if len(short) != len(long):
        return short[first:] == long[first + 1 :]
    if short[first + 1 :] == long[first + 1 :]:
        return True
    swapped = short[first + 1 : first + 2] + short[first : first + 1]
    return swapped == long[first : first + 2] and short[first + 2 :] == long[first + 2 :]


def _target(identity: str, domain: str) -> _Target:
    labels = domain.split(".")
    cut = _suffix_length(labels)
    brand = _unicode(labels[-cut - 1] if len(labels) > cut else labels[0])
    joined = _key(brand + "".join(labels[-cut:]))
    return _Target(
        identity,
        domain,
        brand,
        _letters(brand),
        _key(brand),
        joined,
        ".".join(labels[-cut:]),
        brand in _ORDINARY,
    )


def _suffix_length(labels: list[str]) -> int:
    """Labels that belong to a registry: one, or two as in co.uk. Good enough for a resemblance."""
    country = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL  # noqa: PLR2004 - country codes
    return 2 if country else 1


def _normal(domain: str) -> str:
    name = domain.rstrip(".")
    return a_label_name(name) or name.lower()


def _unicode(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, ValueError, OverflowError):
        return label


def _letters(label: str) -> str:
    """A label with look-alike letters made equal and hyphens left out (UTS 39 4)."""
    if not label.isascii():
        folded = disarm.skeleton_key(unicodedata.normalize("NFKC", label), digit_policy="tr39")
        decomposed = unicodedata.normalize("NFKD", folded)
        label = "".join(c for c in decomposed if not unicodedata.combining(c))
    return label.casefold().translate(_FOLD)


def _key(label: str) -> str:
    """The letters, with pairs that look like one letter made into it."""
    return _paired(_letters(label))


def _paired(letters: str) -> str:
    return letters.replace("rn", "m").replace("nn", "m").replace("vv", "w").replace("cl", "d")
