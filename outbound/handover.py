"""Where a mail is handed over, and what came of it: the words that dialogues and ways out share. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from outbound.model import PLAINTEXT, Failure, Protection, Reply

# A server's words are shown to people and stored; more than this is not an explanation.
_MAX_REPLY = 500
# A dialogue is some twenty lines; a server that says more in each must not fill the database.
MAX_TRANSCRIPT_LINES = 40


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for connecting, for each answer, and for the answer to the final dot (RFC 5321 4.5.3.2)."""

    connect: float = 30.0
    command: float = 300.0
    data: float = 600.0
    quit: float = 5.0


DEFAULT_TIMEOUTS = Timeouts()


class Tls(StrEnum):
    """How a connection is encrypted."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"  # STARTTLS where offered, certificate not checked (RFC 7435)
    STARTTLS = "starttls"  # required, certificate checked (RFC 3207)
    TLS = "tls"  # from the first byte, certificate checked (RFC 8314)


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account on a smarthost. The password is in no repr."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect: ``host`` a name or address; ``name`` is the name for TLS and for people."""

    host: str
    port: int
    tls: Tls
    name: str
    credentials: Credentials | None = None
    cert_bundle: str | None = None


@dataclass(frozen=True, slots=True)
class Handover:
    """What came of handing a mail over. ``begun``: a server had accepted MAIL, so no other host may be tried.

    ``transcript`` and ``in_doubt`` are those of ``outbound.model.Attempt``.
    """

    host: str
    reply: Reply
    failure: Failure | None = None
    tls: bool = False
    begun: bool = False
    protection: Protection = PLAINTEXT
    transcript: str = ""
    in_doubt: bool = False


def joined(*transcripts: str) -> str:
    """One transcript of several dialogues, within the same bound; the last one's lines matter most."""
    lines = [line for one in transcripts for line in one.splitlines()]
    return "\n".join(lines[-MAX_TRANSCRIPT_LINES:])


def plain_reply(text: str) -> str:
    """A server's words as one harmless line."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())[:_MAX_REPLY]
