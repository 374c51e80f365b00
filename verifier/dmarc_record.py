"""One DMARC policy record (RFC 9989 4.7, 4.8): TXT value in, frozen record or None out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

MAX_RECORD: Final = 65_536  # no DNS message carries more
PARSED_RECORDS: Final = 2_048  # kept by their text
MAX_KEPT_RECORD: Final = 1_024  # characters; real ones stay below, so all that is kept takes 4 MB at most

# RFC 9989 4.8: the version comes first, its value exact; blanks may surround "=" and ";". A leading blank is
# the parent format's (RFC 6376 3.2), which 4.7 names. This alone decides whether a TXT value is a record.
_VERSION: Final = re.compile(r"[ \t]*[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
# RFC 3986 3.1: a scheme, a colon, something; "!" starts the obsolete size limit (RFC 9989 4.7 "rua").
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s,!;]+(?:![0-9]+[kmgtKMGT]?)?\Z")


class Policy(StrEnum):
    """What the domain owner asks for (RFC 9989 4.7 "p")."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"

    @property
    def weaker(self) -> Policy:
        """One step down, as t=y asks (RFC 9989 4.7 "t")."""
        return Policy.QUARANTINE if self is Policy.REJECT else Policy.NONE


_POLICIES: Final = {str(policy): policy for policy in Policy}


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """A record. ``p`` is None where RFC 9989 4.10.1 says that DMARC is not applied; ``psd`` is y, n or u."""

    p: Policy | None
    sp: Policy | None = None
    np: Policy | None = None
    strict_dkim: bool = False
    strict_spf: bool = False
    testing: bool = False
    psd: str = "u"

    def applying(self, *, inherited: bool, exists: bool) -> Policy:
        """The policy for an author domain (RFC 9989 4.10.1, 4.7): own record, or inherited by one that exists or not.

        Only for records that are applied, that is with ``p``.
        """
        policy = self.p or Policy.NONE
        if inherited:
            policy = self.sp or policy
            if not exists:
                policy = self.np or policy
        return policy.weaker if self.testing else policy


def parse(text: str) -> DmarcRecord | None:
    """Read a TXT value; None when it is no DMARC record (RFC 9989 4.8). Linear time, never raises.

    Parsed records are kept by their text, as parsed keys are; what a message gets from them is not.
    """
    if len(text) <= MAX_KEPT_RECORD:
        return _kept(text)
    return _parse(text) if len(text) <= MAX_RECORD else None


@lru_cache(maxsize=PARSED_RECORDS)
def _kept(text: str) -> DmarcRecord | None:
    return _parse(text)


def tags_of(text: str) -> dict[str, str] | None:
    """The tags of a TXT value by their names in lower case; None when it is no DMARC record, empty when it is void."""
    version = _VERSION.match(text)
    if version is None:
        return None
    tags: dict[str, str] = {"v": ""}
    for part in text[version.end() :].split(";"):
        name, equals, value = part.partition("=")
        if not equals:
            continue
        key = name.strip(" \t").lower()
        if key in tags:
            # RFC 6376 3.2, the parent format: a tag given twice voids the list. It stays a record for the walk.
            return {}
        tags[key] = value.strip(" \t")
    return tags


def policy_of(tags: dict[str, str], name: str) -> Policy | None:
    """The policy that a tag names (case does not matter); None when it is absent or names none."""
    return _POLICIES.get(tags.get(name, "").lower())


def is_reported(tags: dict[str, str]) -> bool:
    """Whether rua names anybody to report to: at least one valid URI (RFC 9989 4.10.1, RFC 7489 6.6.3)."""
    return any(_URI.match(uri.strip(" \t")) for uri in tags.get("rua", "").split(","))


def _parse(text: str) -> DmarcRecord | None:
    tags = tags_of(text)
    if not tags:
        return None if tags is None else DmarcRecord(None)
    p = policy_of(tags, "p")
    sp = policy_of(tags, "sp")
    np = policy_of(tags, "np")
    if p is None or ("sp" in tags and sp is None) or ("np" in tags and np is None):
        # RFC 9989 4.10.1: with somebody to report to it is monitored, otherwise DMARC is not applied.
        p = Policy.NONE if is_reported(tags) else None
        sp = np = None
    psd = tags.get("psd", "u").lower()
    return DmarcRecord(
        p,
        sp,
        np,
        strict_dkim=tags.get("adkim", "").lower() == "s",
        strict_spf=tags.get("aspf", "").lower() == "s",
        testing=tags.get("t", "").lower() == "y",
        psd=psd if psd in {"y", "n"} else "u",
    )
