"""Domains made to look like a protected one: homoglyphs, typing errors, added words, other top levels.

Everything is compared by a key in which look-alike letters are equal. An ordinary domain costs a few
dictionary lookups and one bounded comparison per protected name. A listed name is unrelated, whatever it
looks like.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from verifier.identity import Identity, a_label_name
from verifier.letters import key_of, letters_of, one_edit, outline_of, paired, plural, unicode_label

MIN_TYPO = 6  # letters: shorter names are one letter away from many ordinary words
MIN_SHORT = 4  # letters: so many are near only under the same top level; shorter ones are near to everybody's
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
# Names and words so well known on their own that nobody takes them for a short name one letter away.
_WELL_KNOWN = frozenset({"ample", "ups", "vista", "xing"})
_SECOND_LEVEL = frozenset(
    {"ac", "co", "com", "edu", "go", "gob", "gov", "ltd", "ne", "net", "or", "org", "plc"}
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
    outline: str


class Lookalikes:
    """Judges domains against all protected names of a set of identities. Built once, used for each message."""

    def __init__(self, identities: Iterable[Identity]) -> None:
        self._identities = tuple(identities)
        names = [(i.name, d.lstrip(".")) for i in self._identities for d in i.domains]
        self._known = frozenset(
            d.lstrip(".")
            for i in self._identities
            for d in (*i.domains, *i.known_domains, *i.signing_domains)
        )
        self._targets = tuple(_target(name, domain) for name, domain in dict.fromkeys(names))

    def find(self, domain: str) -> Resemblance | None:
        """What a domain (A-labels or Unicode) looks like; None when it is theirs, listed or unrelated."""
        name = _normal(domain)
        if self._knows(name):
            return None
        seen = _Candidate(name)
        for target in self._targets:
            how = seen.resembles(target)
            if how is not None:
                return Resemblance(target.identity, target.domain, how)
        return None

    def _knows(self, name: str) -> bool:
        """Whether the name, or one above it, belongs to any of the identities."""
        while name not in self._known:
            _, dot, name = name.partition(".")
            if not dot:
                return False
        return True


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
        self.own = [unicode_label(label) for label in self.labels[:-cut]] or [unicode_label(self.labels[0])]
        self.letters = [letters_of(label) for label in self.own]
        self.keys = [paired(letters) for letters in self.letters]

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
            if registered and self._one_edit_from(target, same_suffix=same_suffix):
                return "one letter away"
            if registered and same_suffix and len(target.key) >= MIN_SHORT:
                how = self._drawn_like(target)
                if how is not None:
                    return how
            how = _added(self.own[position], key, target)
            if how is not None:
                return how
        return None

    def _one_edit_from(self, target: _Target, *, same_suffix: bool) -> bool:
        """By single letters too: one that was changed may have made or broken a pair."""
        if len(target.key) < MIN_TYPO:
            if len(target.key) < MIN_SHORT or not same_suffix or self.own[-1] in _WELL_KNOWN:
                return False
        elif plural(self.letters[-1], target.letters):
            return True
        return one_edit(self.keys[-1], target.key) or one_edit(self.letters[-1], target.letters)

    def _drawn_like(self, target: _Target) -> str | None:
        """Under the same top level: the name cut by dots, or another one of the same outline."""
        if len(self.own) > 1:
            return "its name cut by dots" if "".join(self.own) == target.brand else None
        label = self.own[0]
        if label in _WELL_KNOWN:
            return None
        seen = outline_of(self.letters[0])
        if seen == target.outline or (not label.isascii() and one_edit(seen, target.outline)):
            return "letters of the same outline"
        return None

    def _whole_name_at(self, position: int, target: _Target) -> bool:
        wanted = target.domain.split(".")
        return self.labels[position : position + len(wanted)] == wanted


def _added(label: str, key: str, target: _Target) -> str | None:
    """Words added before or after the name, with or without hyphens."""
    brand = target.key
    if "-" in label:
        tokens = [key_of(token) for token in label.split("-")]
        if brand in tokens or any(key_of(token) == target.joined for token in label.split("-")):
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
    return frozenset(key_of(word) for word in _BAIT.split())


def _target(identity: str, domain: str) -> _Target:
    labels = domain.split(".")
    cut = _suffix_length(labels)
    brand = unicode_label(labels[-cut - 1] if len(labels) > cut else labels[0])
    joined = key_of(brand + "".join(labels[-cut:]))
    return _Target(
        identity,
        domain,
        brand,
        letters_of(brand),
        key_of(brand),
        joined,
        ".".join(labels[-cut:]),
        brand in _ORDINARY,
        outline_of(letters_of(brand)),
    )


def _suffix_length(labels: list[str]) -> int:
    """Labels that belong to a registry: one, or two as in co.uk. Good enough for a resemblance."""
    country = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL  # noqa: PLR2004 - country codes
    return 2 if country else 1


def _normal(domain: str) -> str:
    name = domain.rstrip(".")
    return a_label_name(name) or name.lower()
