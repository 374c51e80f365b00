"""A message in the making, from MAIL to its last octet (RFC 5321 3.3). No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field

from smtp_gateway.envelope import Recipient
from smtp_gateway.paths import Path
from smtp_gateway.replies import SmtpReply
from smtp_gateway.routes import RouteKind

SURPLUS_RECIPIENTS = 1_000
"""RCPT commands of one message that may hear 452: more than any mailer puts into one transaction, and it comes back
with the rest (RFC 5321 4.5.3.1.10), so it must not lose the message for them."""
CHUNKS_MAX = 10_000
"""Chunks of one message that do not count as chatter: 35 MiB in the smallest chunks of a known mailer (8 KB) take 4,500."""

ENDS_HERE = frozenset(
    {
        RouteKind.REPLY,
        RouteKind.QUERY,
        RouteKind.VERIFY,
        RouteKind.SERVICE,
        RouteKind.BOUNCE,
        RouteKind.POSTMASTER,
        RouteKind.ABUSE,
    }
)
"""Routes whose mail goes nowhere from here, so that its body may hold bare LF when it came by BDAT. A kind that is not
named relays, or may."""


@dataclass(slots=True)
class Transaction:
    """What MAIL and RCPT said, and how far BDAT has come."""

    id: str
    mail_from: Path
    smtputf8: bool
    recipients: list[Recipient] = field(default_factory=list)
    refused: int = 0
    surplus: int = 0  # recipients that were told to come in another transaction
    chunks: int = 0  # BDAT commands that brought octets
    failed: SmtpReply | None = None  # what one chunk heard, and the others of the message hear, too

    @property
    def ends_here(self) -> bool:
        """Whether no copy is passed on to another server."""
        routes = [recipient.route for recipient in self.recipients]
        return all(route.kind in ENDS_HERE and route.next_hop is None for route in routes)
