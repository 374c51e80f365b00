"""What a recipient's mailbox is for."""

from __future__ import annotations

from enum import StrEnum


class RouteKind(StrEnum):
    """What a mailbox is for."""

    REPLY = "reply"
    QUERY = "query"
    VERIFY = "verify"
    SERVICE = "service"
    BOUNCE = "bounce"  # takes returned mail and nothing else
    RELAY = "relay"  # passed on to a next hop
    POSTMASTER = "postmaster"
    ABUSE = "abuse"
