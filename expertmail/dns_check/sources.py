"""What ``dns check`` reads: settings, key files, TLS files, policies, and where DNS answers come from. Files only."""

from __future__ import annotations

import ipaddress
import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from expertmail.dns_check.facts import PROOF_DIGEST, KeyUse, Operated, OwnKey, TlsFiles
from expertmail.dns_check.finding import Findings
from expertmail.dns_check.mta_sts_policy import MAX_POLICY
from expertmail.faults import ExitCode, FaultError
from expertmail.settings import Settings
from expertmail.signing_keys import keys_in_force, selectors_with_files
from expertmail.verify_plan import name_server_of
from expertmail.world import zone_path
from outbound.errors import SigningError
from outbound.key_files import load_key
from outbound.key_rotation import ED25519_SUFFIX, KeysInForce
from outbound.sign import SigningKey, dns_record
from verifier.driver import Budget, drive
from verifier.evidence import Check, Evidence
from verifier.resolver import NameServer, Resolver
from verifier.zone import Zone, ZoneError, read_zone

MAX_TLS_FILE: Final = 1_000_000  # bytes; a chain has some 10 KB
MAX_ZONE_FILE: Final = 64 * 1024 * 1024  # bytes, as for verify
# Some forty questions a domain, and SPF records that include others: a hundred domains stay below.
BUDGET: Final = Budget(questions=10_000, seconds=60.0)
_NUMBERED: Final = re.compile(r"(.*?)(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Source:
    """Where answers come from: a zone as the only DNS, or a zone before name servers. ``words`` say it to a person."""

    words: str
    only: Zone | None = None
    before: Zone | None = None
    servers: tuple[NameServer, ...] | None = None  # None: those of the system


async def answered(check: Check[Findings], source: Source) -> Findings:
    """Run a check to its end; what is not answered within the budget counts as a temporary error."""
    if source.only is not None:
        return (await drive(check, source.only.evidence()))[0]
    async with Resolver(source.servers, source.before) as resolver:
        return (await drive(check, Evidence(), resolver, budget=BUDGET))[0]


def source_of(settings: Settings, zone: Path | None, resolver: str | None) -> Source:
    """What the options say, else the settings. Raises FaultError for a zone that cannot be read."""
    if zone is not None:
        return Source(f"the zone file {zone} alone", only=_zone(zone))
    if resolver is not None:
        return Source(f"the name server {resolver}", servers=(name_server_of(resolver),))
    servers = tuple(map(name_server_of, settings.dns.resolvers)) or None
    named = ", ".join(settings.dns.resolvers) or "this system's name servers"
    own = zone_path(settings)
    if own is None:
        return Source(named, servers=servers)
    return Source(f"the zone file {own}, then {named}", before=_zone(own), servers=servers)


def _zone(path: Path) -> Zone:
    text = _read(path, MAX_ZONE_FILE).decode("utf-8", "surrogateescape")
    try:
        return read_zone(text, str(path))
    except ZoneError as error:
        raise FaultError(f"{path}: {error}.", ExitCode.NO_INPUT) from None


def operated_of(
    settings: Settings, at: datetime, addresses: Iterable[str], policies: Mapping[str, str]
) -> Operated:
    """What is operated, by the settings and the files that they name. Makes nothing. Raises FaultError."""
    delivery = settings.delivery
    keys, unusable = _keys(settings)
    return Operated(
        domains=settings.mail.domains,
        reply_domain=settings.mail.reply_domain,
        sender_domain=settings.sender_domain,
        hostname=settings.hostname,
        selector=keys_in_force(settings).signs.rsa,
        at=at,
        keys=keys,
        unusable_keys=unusable,
        sending=tuple(map(_address, addresses)),
        smarthost=delivery.smarthost if delivery.mode == "smarthost" else None,
        tls=_tls(settings),
        policies=MappingProxyType(dict(policies)),
        local=delivery.mode == "files",
    )


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise FaultError(f"--address: “{text}” is no IP address.", ExitCode.USAGE) from None


def policies_of(given: Iterable[str], domains: Iterable[str]) -> dict[str, str]:
    """MTA-STS policies by domain out of FILE and DOMAIN=FILE; "" is for the domains that are not named."""
    found: dict[str, str] = {}
    known = set(domains)
    for text in given:
        domain, equals, path = text.partition("=")
        name = domain.strip().lower().rstrip(".") if equals else ""
        if equals and name not in known:
            raise FaultError(f"--policy-file: “{domain}” is none of the operated domains.", ExitCode.USAGE)
        content = _read(Path(path if equals else text), MAX_POLICY * 2)
        found[name] = content.decode("utf-8", "surrogateescape")
    return found


def _keys(settings: Settings) -> tuple[tuple[OwnKey, ...], tuple[tuple[str, str], ...]]:
    """The keys of the sender's domain, the one that signs first; and selectors with why their file is of no use."""
    paths, in_force = selectors_with_files(settings), keys_in_force(settings)
    signing = in_force.signs.selectors
    keys: list[OwnKey] = []
    unusable: list[tuple[str, str]] = []
    for selector in sorted(paths, key=lambda one: (one not in signing, one)):
        try:
            key = load_key(paths[selector])
        except SigningError as error:
            unusable.append((selector, str(error)))
        else:
            keys.append(_own_key(selector, key_use(selector, in_force), key))
    return tuple(keys), tuple(unusable)


def _own_key(selector: str, use: KeyUse, key: SigningKey) -> OwnKey:
    kind, public = key.public_text()
    bits = _rsa_bits(b64decode(public)) if kind == "rsa" else None
    return OwnKey(selector, use, kind, bits, dns_record(key), key.sign(PROOF_DIGEST).signature)


def _rsa_bits(der: bytes) -> int | None:
    public = load_der_public_key(der)
    return public.key_size if isinstance(public, RSAPublicKey) else None


def key_use(selector: str, keys: KeysInForce) -> KeyUse:
    """Where a key stands in a rotation: `keys rotate` counts up, so a lower number of the same stem signed before."""
    if selector in keys.signs.selectors:
        return KeyUse.SIGNS
    if any(selector in one.pair.selectors for one in keys.retiring):
        return KeyUse.PREVIOUS
    if keys.next is not None and selector in keys.next.selectors:
        return KeyUse.NEXT
    here = _NUMBERED.fullmatch(selector.removesuffix(ED25519_SUFFIX))
    there = _NUMBERED.fullmatch(keys.signs.rsa)
    same = here is not None and there is not None and here[1] == there[1]
    if here is not None and there is not None and same and int(here[2]) < int(there[2]):
        return KeyUse.PREVIOUS
    return KeyUse.NEXT


def _tls(settings: Settings) -> TlsFiles | None:
    certificate, key = settings.smtp.tls_certificate, settings.smtp.tls_key
    if certificate is None or key is None:
        return None
    return TlsFiles(str(certificate), str(key), _maybe(certificate), _maybe(key))


def _maybe(path: Path) -> bytes | None:
    """A file's content; None where it cannot be read, which is a finding and no fault of the command."""
    try:
        return _read(path, MAX_TLS_FILE)
    except FaultError:
        return None


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise FaultError(f"Cannot read {path}: {error.strerror}.", ExitCode.NO_INPUT) from None
    if len(data) > most:
        raise FaultError(f"{path} is larger than {most} bytes; is it the right file?", ExitCode.NO_INPUT)
    return data
