"""The audit trail: who did what, and whether the chain holds."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import looked_up, names_of, number_of
from threads.access import Permission
from threads.model import Chain
from threads.model.audit import told
from threads.store import Connection
from threads.store.audit import audit_page, check_audit, trail_is_guarded

PAGE: Final = 100


async def show(visit: Visit) -> Response:
    """A page, newest first; who keeps some customers only sees what was done about them."""
    return await _page(visit, None, guarded=True)


async def check(visit: Visit) -> Response:
    """Work the whole chain out again."""
    visit.require(Permission.READ_AUDIT, None)
    chain, guarded = await looked_up(visit, lambda conn: (check_audit(conn), trail_is_guarded(conn)))
    return await _page(visit, chain, guarded=guarded)


async def _page(visit: Visit, chain: Chain | None, *, guarded: bool) -> Response:
    reach = visit.signed_in.account.reach(Permission.READ_AUDIT)
    only, before = visit.query("customer"), visit.query("before")
    asked = {"act": visit.query("act"), "customer": only}

    def work(conn: Connection) -> tuple[list[dict[str, object]], dict[int, str]]:
        rows = audit_page(
            conn,
            reach,
            organisation_id=number_of(only) if only else None,
            act=asked["act"] or None,
            before=number_of(before) if before else None,
            limit=PAGE + 1,
        )
        return [dict(one) for one in told(rows)], dict(names_of(conn, visit, Permission.READ_AUDIT))

    rows, names = await looked_up(visit, work)
    more = len(rows) > PAGE
    rows = rows[:PAGE]
    last = {**asked, "before": rows[-1]["number"]} if more else {}
    return await visit.page(
        "audit.html",
        rows=rows,
        names=names,
        asked=asked,
        chain=chain,
        guarded=guarded,
        may_check=reach is None,
        later=f"/audit?{urlencode(last)}" if more else "",
    )


PAGES: Final = (
    Page("GET", "/audit", "audit", Permission.READ_AUDIT, show),
    Page("POST", "/audit/check", "audit-check", Permission.READ_AUDIT, check),
)
