"""What was passed on to a next hop: who, to whom, the verdict and why, and never the message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RelayedMessage:
    """One message that a next hop took. ``id`` is the one in our reply and in X-Expertmail-Verdict.

    ``sha256`` is the hex digest of the bytes as received, which are not kept. ``marked`` says that the route had it
    flagged, ``reason`` why; ``answer`` is what the next hop said. ``report`` and ``evidence`` are JSON text; the evidence
    is kept of messages that claim something.
    """

    id: str
    sha256: str
    size: int
    mail_from: str
    recipients: tuple[str, ...]
    received_at: datetime
    client_ip: str
    helo: str
    tls: str | None
    message_id: str | None
    author: str | None
    verdict: str
    marked: bool
    reason: str
    next_hop: str
    answer: str
    report: str
    evidence: str | None
    evaluator: str
    settings_hash: str
