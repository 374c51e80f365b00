"""What an SMTP transaction delivered: the session's facts, the envelope and the raw bytes. Frozen, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smtp_gateway.paths import Path
from smtp_gateway.routes import Route

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TIME_BITS = 48
_ENTROPY_BYTES = 10
_ID_LENGTH = 26


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What protects the connection: protocol version and cipher suite as OpenSSL names them."""

    version: str
    cipher: str

    def __str__(self) -> str:
        return f"{self.version} {self.cipher}"


@dataclass(frozen=True, slots=True)
class Peer:
    """The client: its address, what it called itself, whether it said EHLO, and TLS."""

    connection_id: str
    ip: str
    port: int
    helo: str
    extended: bool
    tls: TlsFacts | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """One accepted recipient: the path as given, and where it leads."""

    path: Path
    route: Route


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message as received. ``raw`` is byte for byte what was sent after dot-unstuffing; ``digest`` its SHA-256."""

    id: str
    peer: Peer
    mail_from: Path
    recipients: tuple[Recipient, ...]
    smtputf8: bool
    raw: bytes
    digest: bytes
    received_at: datetime


def sortable_id(at: datetime, entropy: bytes) -> str:
    """An id of 26 characters that sorts by time: 48 bits of milliseconds, then 80 random bits in Crockford's base 32."""
    if len(entropy) != _ENTROPY_BYTES:
        raise ValueError("an id takes ten random bytes")
    number = (int(at.timestamp() * 1_000) & ((1 << _TIME_BITS) - 1)) << (8 * _ENTROPY_BYTES)
    number |= int.from_bytes(entropy)
    return "".join(_CROCKFORD[(number >> (5 * place)) & 31] for place in reversed(range(_ID_LENGTH)))


def copy_id(envelope_id: str, number: int) -> str:
    """The id of one recipient's copy: the message's own id for the first recipient, a suffix for the others."""
    return envelope_id if number == 0 else f"{envelope_id}-{number + 1}"
