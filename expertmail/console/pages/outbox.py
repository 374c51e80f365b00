"""Mail on its way out: the list, one mail with each try, and what may be done with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.message import saved
from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import looked_up, names_of, number_of, thread_for, word_of, written
from expertmail.console.pages.security import MAIL_FRAME_HEADERS
from expertmail.own_mail import html_of
from outbound import store
from outbound.mail_event import MailEvent
from outbound.model import DeliveryState, OutboxEntry
from outbound.store.approvals import send_window
from outbound.store.outbox_pages import OutboxPage, outbox_page
from threads.access import Permission
from threads.store import Connection
from threads.store.audit import record_act
from threads.store.errors import UnknownRecord
from threads.store.thread import thread_by_id

MAX_REFERENCE: Final = 100
"""Characters of what is typed for an incident; a reference has far fewer."""
WORDS: Final = {
    DeliveryState.QUEUED: ("waits for its time", "calm"),
    DeliveryState.LEASED: ("is being sent", "calm"),
    DeliveryState.DELIVERED: ("delivered", "good"),
    DeliveryState.DEFERRED: ("refused for now; tried again", "warn"),
    DeliveryState.FAILED: ("failed", "bad"),
    DeliveryState.EXPIRED: ("given up", "bad"),
    DeliveryState.BOUNCED: ("came back", "bad"),
    DeliveryState.SUPPRESSED: ("not sent: address is suppressed", "bad"),
    DeliveryState.AWAITING_APPROVAL: ("waits for approval", "warn"),
    DeliveryState.WITHDRAWN: ("withdrawn: not needed any more", "calm"),
    DeliveryState.WITHHELD: ("withheld", "bad"),
    DeliveryState.UNREADABLE: ("set aside: its row is damaged", "bad"),
}
"""Each state in words, and how bad it is."""


async def show(visit: Visit) -> Response:
    """A page of the list, newest first; mail on no thread is for who sees all."""
    state = word_of(DeliveryState, visit.query("state"))
    reach = visit.signed_in.account.reach(Permission.READ)
    only, reference = visit.query("customer"), visit.query("incident")
    customer = number_of(only) if only else None

    def work(conn: Connection) -> tuple[OutboxPage, dict[int, str], str]:
        names = dict(names_of(conn, visit))
        thread_id = None
        if reference:
            try:
                thread_id = thread_for(conn, visit, reference[:MAX_REFERENCE])[0].id
            except (UnknownRecord, HTTPException):  # one of another customer's is told in the same words
                return OutboxPage((), None), names, "There is no such incident."
        found = outbox_page(
            conn,
            reach,
            state=state,
            recipient=visit.query("to"),
            organisation_id=customer,
            thread_id=thread_id,
            cursor=visit.query("after"),
        )
        return found, names, ""

    page, names, trouble = await looked_up(visit, work)
    asked = {name: visit.query(name) for name in ("state", "customer", "incident", "to")}
    return await visit.page(
        "outbox.html",
        status=422 if trouble else 200,
        trouble=trouble,
        items=page.items,
        words=WORDS,
        states=[("", "any"), *((one.value, WORDS[one][0]) for one in DeliveryState)],
        names=names,
        asked=asked,
        narrowed=any(asked.values()),
        later="" if page.cursor is None else f"/outbox?{urlencode({**asked, 'after': page.cursor})}",
    )


async def show_one(visit: Visit) -> Response:
    """One mail."""
    return await _page(visit)


async def _page(visit: Visit, *, trouble: str = "", status: int = 200) -> Response:
    def work(conn: Connection) -> tuple[OutboxEntry, tuple[MailEvent, ...], object, str, int | None]:
        number, whose = _mail(conn, visit, Permission.READ)
        entry = store.show_outbox(conn, number)
        thread_id = entry.item.thread_id
        reference = "" if thread_id is None else thread_by_id(conn, thread_id).reference
        return entry, store.events_of(conn, outgoing_id=number), send_window(conn, number), reference, whose

    entry, events, window, reference, whose = await looked_up(visit, work)
    return await visit.page(
        "outbox_mail.html",
        status=status,
        trouble=trouble,
        entry=entry,
        item=entry.item,
        events=events,
        window=window,
        reference=reference,
        words=WORDS,
        may_act=visit.signed_in.may(Permission.COMPOSE, whose),
        has_html=html_of(entry.raw) is not None,
        may_cancel=not entry.item.state.undelivered and entry.item.state is not DeliveryState.DELIVERED,
        may_retry=entry.item.state is not DeliveryState.DELIVERED,
    )


async def show_html(visit: Visit) -> Response:
    """The mail's HTML, for a frame."""

    def work(conn: Connection) -> str | None:
        return html_of(store.show_outbox(conn, _mail(conn, visit, Permission.READ)[0]).raw)

    page = await looked_up(visit, work)
    if page is None:
        raise HTTPException(404)
    return Response(page, headers=dict(MAIL_FRAME_HEADERS), media_type="text/html; charset=utf-8")


async def download(visit: Visit) -> Response:
    """The mail's octets as they are sent."""

    def work(conn: Connection) -> tuple[int, bytes]:
        number, _ = _mail(conn, visit, Permission.READ)
        return number, store.show_outbox(conn, number).raw

    number, raw = await looked_up(visit, work)
    return saved(raw, f"mail-{number}.eml")


async def retry(visit: Visit) -> Response:
    """Try it again now."""

    def act(conn: Connection, number: int) -> str:
        store.retry_now(conn, number, visit.now)
        return "It is tried again when its time comes."

    answer = await _acted(visit, "mail-retried", act)
    visit.parts.api.outgoing.queued()
    return answer


async def cancel(visit: Visit) -> Response:
    """Give it up."""

    def act(conn: Connection, number: int) -> str:
        store.cancel(conn, number, visit.now, actor=visit.actor)
        return "It is cancelled."

    return await _acted(visit, "mail-cancelled", act)


async def _acted(visit: Visit, name: str, act: Callable[[Connection, int], str]) -> Response:
    def work(conn: Connection) -> tuple[int, str]:
        number, whose = _mail(conn, visit, Permission.COMPOSE)
        said = act(conn, number)
        record_act(conn, name, visit.now, by=visit.actor, subject=f"mail {number}", organisation_id=whose)
        return number, said

    try:
        number, said = await written(visit, work)
    except HTTPException as error:
        if error.status_code != 409:  # noqa: PLR2004
            raise
        return await _page(visit, trouble=error.detail, status=409)
    return visit.go(f"/outbox/{number}", said)


def _mail(conn: Connection, visit: Visit, permission: Permission) -> tuple[int, int | None]:
    """The mail's number and whose it is; HTTPException 404 for what may not be seen."""
    number = number_of(visit.request.path_params["number"])
    store.show_outbox(conn, number)
    whose = store.organisation_of_mail(conn, number)
    visit.require(permission, whose)
    return number, whose


_ON: Final = "/outbox/{number}"
PAGES: Final = (
    Page("GET", "/outbox", "outbox", Permission.READ, show),
    Page("GET", _ON, "outbox-mail", Permission.READ, show_one),
    Page("GET", f"{_ON}/html", "outbox-html", Permission.READ, show_html),
    Page("GET", f"{_ON}/mail.eml", "outbox-download", Permission.READ, download),
    Page("POST", f"{_ON}/retry", "outbox-retry", Permission.COMPOSE, retry),
    Page("POST", f"{_ON}/cancel", "outbox-cancel", Permission.COMPOSE, cancel),
)
