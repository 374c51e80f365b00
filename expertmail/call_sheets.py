"""A call sheet in words for the terminal and as JSON for programs: the same facts under the same names."""

from __future__ import annotations

import hashlib
import string
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from outbound.call_sheet import Line, Sheet, Then
from threads.model import Contact

Json = dict[str, Any]
_DIGITS: Final = 3
"""Of the shortest number that anybody is called at."""


def sheet_json(customer: str, sheet: Sheet) -> Json:
    """All that a sheet says."""
    one, due, then = sheet.emergency, sheet.due, sheet.then
    return {
        "reference": one.thread.reference,
        "organisation": customer,
        "severity": None if one.thread.severity is None else one.thread.severity.value,
        "state": one.thread.state.value,
        "break_glass": None
        if one.since is None
        else {"since": _iso(one.since), "reason": one.reason, "by": one.by},
        "untrusted": one.untrusted,
        "nobody": sheet.nobody,
        "round": sheet.round,
        "due": None
        if due is None
        else {
            "contact": None if due.contact is None else due.contact.id,
            "since": _iso(due.since),
            "until": None if due.until is None else _iso(due.until),
        },
        "next": None if sheet.waits is None else {"contact": sheet.waits[0].id, "at": _iso(sheet.waits[1])},
        "then": None
        if then is None
        else {
            "contact": then.contact.id,
            "after_seconds": int(then.after.total_seconds()),
            "new_round": then.new_round,
        },
        "contacts": [_line_json(place, line) for place, line in enumerate(sheet.lines, start=1)],
    }


def _line_json(place: int, line: Line) -> Json:
    last = line.last
    return {
        "place": place,
        "contact": line.contact.id,
        "name": line.contact.name,
        "address": line.contact.address,
        "number": line.number,
        "callable": line.callable,
        "language": line.contact.language,
        "time_zone": line.zone or None,
        "local_time": line.local.isoformat(timespec="seconds") if line.zone else None,
        "good": line.good,
        "good_from": _iso(line.good_from),
        "calls": line.calls,
        "last": None if last is None else {"at": _iso(last.at), "outcome": last.outcome.value, "by": last.by},
    }


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")


def due_words(sheet: Sheet) -> str:
    """Who is to be called, in a sentence."""
    if sheet.nobody is not None:
        return f"Nobody is called: {sheet.nobody}."
    if sheet.waits is not None:
        return f"Next: {_who(sheet.waits[0])} at {_utc(sheet.waits[1])}."
    due = sheet.due
    if due is None or due.contact is None:
        return "A call is due, and no contact has a telephone number that works: find one."
    until = "" if due.until is None else f", until {_utc(due.until)}"
    return f"Call {_who(due.contact)} now (due since {_utc(due.since)}{until}). {then_words(sheet.then)}".rstrip()


def then_words(then: Then | None) -> str:
    """Who comes after that, in a sentence; "" where nobody does."""
    if then is None:
        return ""
    when = "at once" if not then.after else f"{span(then.after)} later"
    again = ", and the round begins anew" if then.new_round else ""
    return f"If nobody is reached: {_who(then.contact)} {when}{again}."


def local_words(line: Line) -> str:
    """The time where a contact is, and whether it is a good one."""
    if not line.zone:
        recorded = f"{line.unknown_zone} is no known zone" if line.unknown_zone else "zone unknown"
        there = f"{recorded}, {line.local:%a %H:%M} UTC"
    else:
        there = f"{line.local:%a %H:%M} {line.zone}"
    return there if line.good else f"{there}, good from {_utc(line.good_from)}"


def outcome_words(line: Line) -> str:
    """What became of the calls to a contact."""
    wrong = "" if line.callable else "wrong number"
    if line.last is None:
        return wrong
    times = f"{line.calls}x, last " if line.calls > 1 else ""
    return f"{times}{line.last.outcome.value} {_utc(line.last.at)}"


def span(time: timedelta) -> str:
    """A time span of minutes or hours."""
    minutes = int(time.total_seconds()) // 60
    return f"{minutes} min" if minutes % 60 else f"{minutes // 60} h"


def _who(one: Contact) -> str:
    return f"{one.name} <{one.address}>"


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def tel(number: str) -> str:
    """The link by which a telephone calls a number (RFC 3966); "" for what has too few digits to be one."""
    digits = "".join(one for one in number if one in string.digits)
    plus = "+" if number.lstrip(" (").startswith("+") else ""
    return f"tel:{plus}{digits}" if len(digits) >= _DIGITS else ""


def sheet_version(sheet: Sheet) -> str:
    """What names a sheet: another one once a call was recorded, break-glass began or ended, or somebody's number changed."""
    one = sheet.emergency
    told = [
        one.since,
        len(one.calls),
        *((line.contact.id, line.number, line.callable) for line in sheet.lines),
    ]
    return hashlib.sha256(repr(told).encode("utf-8", "surrogatepass")).hexdigest()[:16]
