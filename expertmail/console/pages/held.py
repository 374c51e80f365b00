"""Mail that waits for a decision: the list, and what is kept of mail whose time is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import looked_up
from expertmail.held_time import retention_of
from threads.access import Permission
from threads.model import DamagedCopy, Disposition, ExpiredMessage
from threads.store import Connection
from threads.store.expiry import expired_items, expired_keys
from threads.store.held_pages import HeldPage, held_page
from threads.store.held_requests import HeldRequest, requests_for

TABS: Final = {"held": "For a thread", "triage": "Of strangers", "expired": "Over"}
EXPIRED_SHOWN: Final = 200
"""The latest ones; all of them are listed by `expertmail held list --expired`."""


async def show(visit: Visit) -> Response:
    """A page of the list, oldest first. What belongs to no customer is for who sees all."""
    tab = visit.query("tab") or "held"
    if tab not in TABS:
        raise HTTPException(404)
    reach = visit.signed_in.account.reach(Permission.READ)
    retention = retention_of(visit.parts.api.outgoing.world.settings)
    if tab == "expired":
        return await visit.page(
            "held_expired.html", tabs=_tabs(reach is None), tab=tab, found=await _expired(visit)
        )

    def work(conn: Connection) -> tuple[HeldPage, Mapping[str, HeldRequest]]:
        page = held_page(conn, Disposition(tab), reach, cursor=visit.query("after"))
        ids = [one.copy.id for one in page.items if not isinstance(one, DamagedCopy)]
        return page, requests_for(conn, ids)

    page, asked = await looked_up(visit, work)
    return await visit.page(
        "held.html",
        tabs=_tabs(reach is None),
        tab=tab,
        items=page.items,
        asked=asked,
        retention=retention,
        may_decide=visit.signed_in.account.may_anywhere(Permission.DECIDE_HELD),
        later="" if page.cursor is None else f"/held?{urlencode({'tab': tab, 'after': page.cursor})}",
    )


def _tabs(sees_all: bool) -> Mapping[str, str]:
    return TABS if sees_all else {"held": TABS["held"]}


async def _expired(visit: Visit) -> tuple[ExpiredMessage | DamagedCopy, ...]:
    if visit.signed_in.account.reach(Permission.READ) is not None:
        raise HTTPException(404)
    return await looked_up(visit, lambda conn: tuple(expired_items(conn, expired_keys(conn)[:EXPIRED_SHOWN])))


PAGES: Final = (Page("GET", "/held", "held", Permission.READ, show),)
