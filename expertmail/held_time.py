"""How long held mail waits, by the settings; apart from the server's part in it, which commands need not load."""

from __future__ import annotations

from expertmail.settings import Settings
from threads.retention import Retention


def retention_of(settings: Settings) -> Retention:
    """The retention in force."""
    return Retention(settings.held.retention_days, settings.held.notice_days)
