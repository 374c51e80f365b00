"""What is told of a contact that was changed, on the terminal and in the audit trail."""

from __future__ import annotations

from expertmail.tables import plain
from threads.model import Contact


def what_changed(before: Contact, after: Contact) -> str:
    """Each thing that is another one now, as ``name: old -> new``; "" where nothing is."""
    old, new = _told(before), _told(after)
    return "; ".join(f"{key}: {old[key]} -> {new[key]}" for key in new if new[key] != old[key])


def _told(one: Contact) -> dict[str, str | None]:
    tlp = "default" if one.tlp is None else one.tlp.value
    return {**plain(one), "tlp": tlp, "details_allowed": "no" if one.details_allowed is None else "yes"}
