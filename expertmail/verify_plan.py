"""What the options of ``verify`` say: the facts to judge by, and where DNS answers come from."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from expertmail.faults import ExitCode, FaultError
from verifier.dmarc_7489 import PublicSuffixes
from verifier.evidence import Absent, Evidence, Session, SessionOrigin
from verifier.evidence_file import EvidenceError, read_evidence
from verifier.identity import Identity, IdentityError, parse_identities
from verifier.zone import Zone, ZoneError, read_zone

MAX_OPTION_FILE: Final = 64 * 1024 * 1024  # bytes of a zone, evidence or identity file

_DNS_PORT: Final = 53
_MAX_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Plan:
    """What the options say: the facts to judge by, and where DNS answers come from."""

    identities: tuple[Identity, ...]
    at: datetime
    evidence: Evidence
    session: Session | None
    supplied: tuple[str, ...]
    name_server: tuple[str, int] | None = None
    suffixes: PublicSuffixes | None = None
    zone: Zone | None = None  # where it is the only DNS; ``evidence`` is empty then

    @property
    def asks(self) -> bool:
        """Whether name servers are asked."""
        return self.zone is None and self.evidence.absent is Absent.ASK

    def known(self) -> Evidence:
        """What is known before a message is judged. A zone's evidence keeps what one message asked for."""
        return self.evidence if self.zone is None else self.zone.evidence()


def plan_of(  # noqa: PLR0917 - one argument for each option
    identities: tuple[Identity, ...],
    evidence: Path | None,
    zone: Path | None,
    resolver: str | None,
    session: Session | None,
    at: str | None,
    suffixes: PublicSuffixes | None,
) -> Plan:
    """Read the files that options name and work out what they say together. Raises FaultError."""
    supplied: list[str] = []
    clock = _time(at) if at is not None else None
    known = Evidence()
    only: Zone | None = None
    if evidence is not None:
        supplied.append("evidence")
        try:
            known, stored = read_evidence(_read(evidence))
        except EvidenceError as error:
            raise FaultError(f"{evidence}: {error}.", ExitCode.NO_INPUT) from None
        # What a second implementation said belongs to one message's bytes: it is asked anew.
        known = Evidence(known.answers, {}, known.absent, known.at)
        session = session or stored
        clock = clock or known.at
    elif zone is not None:
        supplied.append("evidence")
        try:
            only = read_zone(_read(zone).decode("utf-8", "surrogateescape"), str(zone))
        except ZoneError as error:
            raise FaultError(f"{zone}: {error}.", ExitCode.NO_INPUT) from None
    if clock is not None:
        supplied.append("clock")
    if session is not None:
        supplied.append("session")
    server = name_server_of(resolver) if resolver is not None else None
    return Plan(identities, clock or datetime.now(UTC), known, session, tuple(supplied), server, suffixes, only)


def session_of(client_ip: str | None, helo: str | None, mail_from: str | None) -> Session | None:
    """The SMTP session that somebody says a message came by; None where nothing is said. Raises FaultError."""
    if client_ip is None and helo is None and mail_from is None:
        return None
    if client_ip is not None:
        try:
            client_ip = str(ipaddress.ip_address(client_ip))
        except ValueError:
            raise FaultError(f"--client-ip: “{client_ip}” is no IP address.", ExitCode.USAGE) from None
    if mail_from is not None:
        mail_from = mail_from.strip()
        if mail_from.startswith("<") and mail_from.endswith(">"):
            mail_from = mail_from[1:-1]
    return Session(client_ip, helo, mail_from, origin=SessionOrigin.SUPPLIED)


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise FaultError(
            f"--at: “{text}” is no ISO time, such as 2026-11-25T10:00:00Z.", ExitCode.USAGE
        ) from None
    try:
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        raise FaultError(f"--at: “{text}” is out of range.", ExitCode.USAGE) from None


def name_server_of(text: str) -> tuple[str, int]:
    """The name server that ``--resolver`` names. Raises FaultError."""
    host, colon, port = text.rpartition(":")
    if text.startswith("[") and "]" in text:
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or str(_DNS_PORT)
    elif not colon or ":" in host:  # a bare IPv4 or IPv6 address
        host, port = text, str(_DNS_PORT)
    try:
        address = str(ipaddress.ip_address(host))
        number = int(port)
    except ValueError:
        address, number = "", 0
    if not address or not 0 < number <= _MAX_PORT:
        raise FaultError(
            f"--resolver: “{text}” must be an IP address with an optional port, such as 192.0.2.1:53.",
            ExitCode.USAGE,
        )
    return address, number


def identities_of(path: Path) -> tuple[Identity, ...]:
    """The protected identities of a TOML file. Raises FaultError."""
    try:
        return parse_identities(_read(path).decode("utf-8"))
    except UnicodeDecodeError:
        raise FaultError(f"{path} is not UTF-8 text.", ExitCode.NO_INPUT) from None
    except IdentityError as error:
        raise FaultError(f"{path}: {error}", ExitCode.NO_INPUT) from None


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_OPTION_FILE:
            raise FaultError(f"{path} is larger than {MAX_OPTION_FILE >> 20} MB.", ExitCode.NO_INPUT)
        return path.read_bytes()
    except OSError as error:
        raise FaultError(f"Cannot read {path}: {error.strerror}.", ExitCode.NO_INPUT) from None
