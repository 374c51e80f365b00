"""How long mail waits for an expert, and when its time is over. Time ends a wait by removing content, never by a release.

A copy that waits (held or triage) counts from its receipt; one that was discarded, or released to a next hop, from
that decision. When its time is over its content (the bytes, the new and the quoted text) is removed; its trace
stays: envelope, verdict, reasons, evidence, who decided what and when (``threads.store.expiry``). What was filed on
a thread is the record and has no end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from threads.model.copies import Disposition, StoredCopy


@dataclass(frozen=True, slots=True)
class Retention:
    """``days`` that content is kept, 0 for as long as nobody decides; ``notice_days`` before its end it is told."""

    days: int
    notice_days: int

    def expires(self, copy: StoredCopy) -> datetime | None:
        """When the copy's content is removed; None for never."""
        since = counts_from(copy)
        return None if since is None or not self.days else since + timedelta(days=self.days)

    def limit(self, now: datetime) -> datetime | None:
        """What counts from before this moment is over; None when nothing ever is."""
        return now - timedelta(days=self.days) if self.days else None

    def notice_limit(self, now: datetime) -> datetime | None:
        """What counts from before this moment is over within the days of notice, or is over."""
        return now - timedelta(days=max(self.days - self.notice_days, 0)) if self.days else None


def counts_from(copy: StoredCopy) -> datetime | None:
    """When the copy's time began; None for one that is kept without an end."""
    match copy.disposition:
        case Disposition.HELD | Disposition.TRIAGE:
            return copy.received_at
        case Disposition.DISCARDED:
            return copy.discarded_at
        case Disposition.RELAYED:
            return copy.released_at
        case Disposition.FILED | Disposition.ANSWERED:
            return None
