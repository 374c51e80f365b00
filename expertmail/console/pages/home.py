"""The first page: where somebody is sent by what they may do."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from expertmail.console.pages.page import Open, Page, Visit
from threads.access import Permission


async def show(visit: Visit) -> Response:
    """On to incidents, or to what a customer may do."""
    reads = visit.signed_in.account.may_anywhere(Permission.READ)
    return visit.go("/incidents" if reads else "/verify")


PAGES: Final = (Page("GET", "/", "home", Open.SIGNED_IN, show),)
