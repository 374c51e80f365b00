"""The protected identities: who must not be imitated, and what proves a message to be theirs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import idna

MAX_FILE = 262_144  # characters of an identity file; one identity takes about 500
MAX_IDENTITIES = 200
MAX_ENTRIES = 500  # in one list of an identity
MAX_DOTS = 5_000  # in one line: a full list of addresses; tomllib's time grows with the square of a dotted key's parts
MAX_ENTRY = 320  # characters: the longest address of RFC 5321 4.5.3.1 has 320


# Labels of at most 63 octets (RFC 1035 2.3.4) that hold a letter or a digit and do not begin with a hyphen.
_LABEL = r"(?=[_-]*[a-z0-9])[a-z0-9_][a-z0-9_-]{0,62}"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


class IdentityError(ValueError):
    """An identity file that cannot be used; the text is one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One protected identity. Domains are lower-case A-labels; a leading dot stands for all subdomains."""

    name: str
    display_names: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()  # pinned; empty means that nothing is pinned
    signing_domains: tuple[
        str, ...
    ] = ()  # acceptable DKIM d=; the domains themselves when the file names none
    always_signs: bool = False
    known_domains: tuple[str, ...] = ()
    brand_terms: tuple[str, ...] = ()
    trusted_sealers: tuple[str, ...] = ()
    trusted_authserv_ids: tuple[str, ...] = ()

    def owns(self, domain: str) -> bool:
        """Whether an author at this domain is this identity, exactly or by a leading dot."""
        return _matches(domain, self.domains)

    def pins(self, address: str) -> bool:
        """Whether the address is pinned; local parts are compared without regard to case."""
        return address.lower() in self.addresses

    def signs(self, domain: str | None) -> bool:
        """Whether a signature by this domain (DKIM d=) may prove this identity."""
        return domain is not None and _matches(domain.lower().rstrip("."), self.signing_domains)

    def knows(self, domain: str) -> bool:
        """Whether the domain, or one above it, belongs to this identity: never a look-alike."""
        theirs = (*self.domains, *self.known_domains, *self.signing_domains)
        return any(domain == own.lstrip(".") or domain.endswith("." + own.lstrip(".")) for own in theirs)


def _matches(domain: str, listed: tuple[str, ...]) -> bool:
    return any(domain.endswith(own) if own.startswith(".") else domain == own for own in listed)


_LISTS = frozenset(f.name for f in fields(Identity)) - {"name", "always_signs"}
_DOMAINS = frozenset({"domains", "signing_domains", "known_domains", "trusted_sealers"})
_KEYS = _LISTS | {"name", "always_signs"}


def parse_identities(text: str) -> tuple[Identity, ...]:
    """Read an identity file (TOML text, one ``[[identity]]`` table each).

    Raises IdentityError with one sentence that names the table and the key.
    """
    if len(text) > MAX_FILE:
        raise IdentityError(f"The identity file is larger than {MAX_FILE} characters.")
    if any(line.count(".") > MAX_DOTS for line in text.split("\n")):
        raise IdentityError(f"The identity file has a line with more than {MAX_DOTS} dots.")
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise IdentityError(f"The identity file is not TOML: {error}.") from None
    unknown = sorted(set(document) - {"identity"})
    if unknown:
        raise IdentityError(f"The identity file may hold only [[identity]] tables, not “{unknown[0]}”.")
    tables = document.get("identity")
    if not isinstance(tables, list) or not tables or not all(isinstance(t, dict) for t in tables):
        raise IdentityError("The identity file holds no [[identity]] table.")
    if len(tables) > MAX_IDENTITIES:
        raise IdentityError(f"The identity file holds more than {MAX_IDENTITIES} identities.")
    identities = tuple(_identity(number, table) for number, table in enumerate(tables, 1))
    names = [identity.name for identity in identities]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise IdentityError(f"Two identities are named “{twice}”.")
    return identities


def _identity(number: int, table: Mapping[str, Any]) -> Identity:
    name = table.get("name")
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_ENTRY:
        raise IdentityError(f"Identity {number} needs a name that is a text.")
    where = f"Identity “{name}”"
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise IdentityError(
            f"{where} has the unknown key “{unknown[0]}”; known are {', '.join(sorted(_KEYS))}."
        )
    always = table.get("always_signs", False)
    if not isinstance(always, bool):
        raise IdentityError(f"{where}: always_signs must be true or false.")
    lists = {key: _texts(where, key, table.get(key, [])) for key in _LISTS}
    for key in _DOMAINS:
        lists[key] = tuple(_domain(where, key, entry) for entry in lists[key])
    lists["addresses"] = tuple(_address(where, entry) for entry in lists["addresses"])
    if not lists["domains"]:
        raise IdentityError(f"{where} needs at least one entry in domains.")
    if "signing_domains" not in table:
        lists["signing_domains"] = lists["domains"]
    identity = Identity(name=name.strip(), always_signs=always, **lists)
    for address in identity.addresses:
        if not identity.owns(address.rpartition("@")[2]):
            raise IdentityError(f"{where}: the address {address} is not at one of its domains.")
    return identity


def _texts(where: str, key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise IdentityError(f"{where}: {key} must be a list of texts.")
    if len(value) > MAX_ENTRIES:
        raise IdentityError(f"{where}: {key} has more than {MAX_ENTRIES} entries.")
    if any(not entry.strip() or len(entry) > MAX_ENTRY for entry in value):
        raise IdentityError(
            f"{where}: {key} has an entry that is empty or longer than {MAX_ENTRY} characters."
        )
    return tuple(entry.strip() for entry in value)


def _domain(where: str, key: str, entry: str) -> str:
    dot = "." if entry.startswith(".") else ""
    name = a_label_name(entry.strip("."))
    if name is None:
        raise IdentityError(f"{where}: “{entry}” in {key} is not a domain name.")
    return dot + name


def _address(where: str, entry: str) -> str:
    local, at, domain = entry.rpartition("@")
    name = a_label_name(domain)
    if not at or not local or name is None or any(c.isspace() for c in local):
        raise IdentityError(f"{where}: “{entry}” in addresses is not an address.")
    return f"{local.lower()}@{name}"


def a_label_name(name: str) -> str | None:
    """A domain name in lower-case A-labels (RFC 5890 2.3.2.1), or None when it is none."""
    if len(name) > 253 or not name:  # noqa: PLR2004 - RFC 1035 3.1: 255 octets with length bytes
        return None
    if name.isascii():
        lowered = name.lower()
        return lowered if _NAME.fullmatch(lowered) else None
    try:
        return idna.encode(name, uts46=True, transitional=False).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        return None
