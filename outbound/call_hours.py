"""When it is a good time to telephone somebody: their weekdays, 08:00 to 20:00 where they are. Pure.

A contact's place is an IANA time zone. Where none is recorded, or one that nobody knows, hours are UTC's, and the sheet says so.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

BEGINS: Final = time(8)
ENDS: Final = time(20)
WEEKDAYS: Final = range(5)
"""Monday to Friday, by the calendar of the contact's place."""
MAX_ZONE: Final = 64
"""Characters of a zone's name; the longest one has 32."""
_WEEK: Final = 8
"""Days within which there is a weekday that has not ended, whatever day it is."""
_ZONES: Final = 1_000
"""More than there are zones."""


@lru_cache(_ZONES)
def zone_of(name: str | None) -> tzinfo | None:
    """The zone of that name; None for no name, and for one that is not in the database of zones."""
    if not name or len(name) > MAX_ZONE:
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # no name of a zone, a folder of the database, not there
        return None


def window(zone: tzinfo, at: datetime) -> tuple[datetime, datetime] | None:
    """Begin and end (UTC) of the good time in which ``at`` lies, its end not included; None where it lies in none."""
    day = at.astimezone(zone).date()
    if day.weekday() not in WEEKDAYS:
        return None
    begins, ends = _hours(zone, day)
    return (begins, ends) if begins <= at < ends else None


def good_from(zone: tzinfo, at: datetime) -> datetime:
    """The first good moment from ``at`` on (UTC); ``at`` itself where that is one."""
    day = at.astimezone(zone).date()
    for later in range(_WEEK):
        one = day + timedelta(days=later)
        begins, ends = _hours(zone, one)
        if one.weekday() in WEEKDAYS and at < ends:
            return max(at, begins)
    raise AssertionError(at)


def _hours(zone: tzinfo, day: date) -> tuple[datetime, datetime]:
    """Each end by its own offset: on the day of a change of the clock these are not twelve hours everywhere."""
    begins, ends = (datetime.combine(day, one, zone).astimezone(UTC) for one in (BEGINS, ENDS))
    return begins, ends
