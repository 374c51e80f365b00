"""What waits for an expert, what of it cannot be read, and what is left of mail whose time is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from threads.model.copies import Disposition, MessageKind, StoredCopy


@dataclass(frozen=True, slots=True)
class HeldItem:
    """A held or triage copy as an expert sees it. ``legal_hold``: one keeps it, so that it never expires."""

    copy: StoredCopy
    thread_reference: str | None
    organisation: str | None
    text: str
    size: int
    legal_hold: bool = False


@dataclass(frozen=True, slots=True)
class DamagedCopy:
    """A row that does not hold what its columns promise. ``id`` is readable text, whatever stands there."""

    id: str
    columns: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What is wrong, and what to do about it."""
        return (
            f"Message {self.id} cannot be read ({', '.join(self.columns) or 'its row'}): correct the row, restore a "
            f"backup, or put it aside with: expertmail held discard {self.id}"
        )


@dataclass(frozen=True, slots=True)
class ExpiredMessage:
    """What is kept of a copy whose content was removed: envelope, verdict and its grounds, and what became of it.

    ``disposition`` is what it was until then. ``report`` and ``evidence`` are JSON text of the last judgement: by
    them the sender's own copy (``sha256``) can be judged again.
    """

    id: str
    sha256: str
    size: int
    mail_from: str
    rcpt_to: str
    received_at: datetime
    client_ip: str
    helo: str
    tls: str | None
    message_id: str | None
    subject: str
    author: str | None
    kind: MessageKind
    verdict: str
    disposition: Disposition
    reason: str
    thread_id: int | None
    standing_reason: str
    released_at: datetime | None
    released_by: str | None
    discarded_at: datetime | None
    discarded_by: str | None
    expired_at: datetime
    expired_by: str
    report: str | None
    evidence: str | None
    evaluator: str | None
    settings_hash: str | None
