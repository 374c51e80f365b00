"""Which incidents send nothing by themselves: those of another time or place, whose customers were told long ago. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

# The clock of a portal that opens incidents here may be some minutes behind ours.
CLOCKS_DIFFER = timedelta(minutes=10)
IMPORTED = "it was imported"
BACKDATED = "it was opened with a time in the past"


def why_quiet(opened: datetime, now: datetime, *, imported: bool) -> str | None:
    """Why an incident that is recorded now and was opened then sends no automatic mail; None: it does."""
    if imported:
        return IMPORTED
    return BACKDATED if now - opened > CLOCKS_DIFFER else None
