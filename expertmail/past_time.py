"""When a thread was opened elsewhere, as a person types it. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def past_time(written: str, now: datetime, *, zone_is_utc: bool = False) -> datetime:
    """A time that has come, such as 2026-11-25T10:00:00+00:00. ``zone_is_utc``: one without a zone is UTC.

    Raises ValueError with a sentence.
    """
    try:
        at = datetime.fromisoformat(written)
        if at.tzinfo is None and zone_is_utc:
            at = at.replace(tzinfo=UTC)
        gone = at.tzinfo is not None and at <= now
        at = at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{written[:60]!r} is no time, such as 2026-11-25T10:00:00+00:00.") from error
    if not gone:
        raise ValueError("The time needs a zone, such as +00:00, and has to be past.")
    return at
