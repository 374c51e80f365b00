"""What we operate, as ``dns check`` is told: domains, host name, keys, certificate. Frozen; files are read already."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

PROOF_DIGEST: Final = hashlib.sha256(b"expertmail dns check").digest()
"""What each of our keys signs, so that a published key can be held to the private one without either being shown."""


class KeyUse(StrEnum):
    """Where a key of ours stands in a rotation."""

    SIGNS = "signs"
    NEXT = "next"  # made, and about to sign
    PREVIOUS = "previous"  # signed before; its record goes away after a week


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A DKIM key of the sender's domain: ``kind`` rsa or ed25519, ``record`` to publish, ``proof`` over PROOF_DIGEST.

    ``bits`` is the modulus' length of an RSA key.
    """

    selector: str
    use: KeyUse
    kind: str
    bits: int | None
    record: str
    proof: bytes


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The two files of STARTTLS as they are on disk (PEM); None for one that cannot be read."""

    certificate_path: str
    key_path: str
    certificate: bytes | None
    key: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Operated:
    """Everything that the check depends on beside the DNS. Names in lower case without their final dot.

    ``sending`` are the addresses that our mail leaves from; empty means those of ``hostname``, unless mail leaves
    through a ``smarthost``. ``unusable_keys`` are selectors of key files that cannot be used, each with a sentence that
    says why. ``policies`` holds MTA-STS policies by domain, "" for the domains that it does not name.
    ``local`` says that nobody outside is concerned (delivery mode ``files``).
    """

    domains: tuple[str, ...]
    reply_domain: str
    sender_domain: str
    hostname: str
    selector: str
    at: datetime
    keys: tuple[OwnKey, ...] = ()
    unusable_keys: tuple[tuple[str, str], ...] = ()
    sending: tuple[str, ...] = ()
    smarthost: str | None = None
    tls: TlsFiles | None = None
    policies: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    local: bool = False

    @property
    def all_domains(self) -> tuple[str, ...]:
        """Operated domains and the reply domain, each once."""
        return tuple(dict.fromkeys((*self.domains, self.reply_domain)))

    def policy_of(self, domain: str) -> str | None:
        """The MTA-STS policy that was given for a domain."""
        return self.policies.get(domain, self.policies.get(""))
