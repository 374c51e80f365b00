"""One message that waits: release or discard it, or decide on a release that another person asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.message import Found, find
from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import copy_for, looked_up, names_of, number_of, thread_for, written
from expertmail.gateway import mailboxes
from expertmail.held_release import asks_second, concerned, release_one
from expertmail.held_time import retention_of
from expertmail.relaying import route_of
from threads.access import Permission
from threads.mailbox_name import forwarded_for
from threads.model import HeldItem
from threads.store import Connection, held
from threads.store.audit import record_act
from threads.store.errors import RefusedRecord
from threads.store.held_requests import HeldRequest, Wish, ask_release, decide_request, open_request
from threads.store.people import organisation
from threads.store.thread import thread_by_id

MAX_AT_ONCE: Final = 100
"""Messages that are put aside together: a page has half as many."""


async def show(visit: Visit) -> Response:
    """The message and the decision."""
    return await _page(visit)


async def release(visit: Visit) -> Response:
    """File it where it was chosen, or ask for that where a second person has to consent."""
    world = visit.parts.api.outgoing.world

    def act(conn: Connection, item: HeldItem) -> str:
        wish = _wish(conn, visit, item)
        if not asks_second(world.settings, item):
            return release_one(conn, world, wish, visit.now, by=visit.actor)
        ask_release(conn, wish, visit.now, by=visit.actor)
        _audit(conn, visit, "release-asked", item)
        return "Asked for; another person has to consent."

    return await _decided(visit, Permission.DECIDE_HELD, act)


async def discard(visit: Visit) -> Response:
    """Put it aside."""
    reason = visit.form.one("reason") or "discarded by an expert"

    def act(conn: Connection, item: HeldItem) -> str:
        held.discard(conn, item.copy.id, reason, visit.now, by=visit.actor)
        _audit(conn, visit, "mail-discarded", item, reason)
        return "It is put aside."

    return await _decided(visit, Permission.DECIDE_HELD, act)


async def discard_several(visit: Visit) -> Response:
    """Put aside what was ticked on the list."""
    ids = visit.form.all("id")
    if not ids or len(ids) > MAX_AT_ONCE:
        raise HTTPException(422, f"Tick the messages to put aside, {MAX_AT_ONCE} at most at one time.")

    def work(conn: Connection) -> int:
        for one in ids:
            item = _item(conn, visit, one, Permission.DECIDE_HELD)
            held.discard(conn, one, "discarded by an expert", visit.now, by=visit.actor)
            _audit(conn, visit, "mail-discarded", item, "discarded by an expert")
        return len(ids)

    number = await written(visit, work)
    return visit.go("/held", f"{number} message{'' if number == 1 else 's'} put aside.")


async def consent(visit: Visit) -> Response:
    """The second person's word: what was asked for is done, or the message waits on."""
    word, shown = visit.form.one("word"), visit.form.one("request")
    consents = word == "consent"
    world = visit.parts.api.outgoing.world

    def act(conn: Connection, item: HeldItem) -> str:
        if word not in {"consent", "refuse"}:
            raise RefusedRecord("Say whether you consent or refuse.")
        asked = open_request(conn, item.copy.id)
        if asked is not None:
            for whose in concerned(conn, asked.wish):
                visit.require(Permission.APPROVE, whose)
        found = decide_request(
            conn, item.copy.id, visit.now, consents=consents, by=visit.actor, shown=number_of(shown or "0")
        )
        by = f", asked for by {found.asked_by}"
        if consents:
            return release_one(conn, world, found.wish, visit.now, by=visit.actor, detail=by)
        _audit(conn, visit, "release-refused", item, by.removeprefix(", "))
        return "It waits on."

    return await _decided(visit, Permission.APPROVE, act)


def _target(conn: Connection, visit: Visit, wish: Wish) -> str:
    """Where a message would be filed, in words, for who may see that."""
    if not all(visit.signed_in.may(Permission.READ, one) for one in concerned(conn, wish)):
        return "onto a thread of a customer that you do not see"
    if wish.thread_id is not None:
        thread = thread_by_id(conn, wish.thread_id)
        return f"onto {thread.reference}: {thread.title} ({organisation(conn, thread.organisation_id).name})"
    if wish.organisation_id is not None:
        return f"onto a new inquiry of {organisation(conn, wish.organisation_id).name}"
    return "where it was recognised to belong"


def _wish(conn: Connection, visit: Visit, item: HeldItem) -> Wish:
    """What the form asks for; each thread and customer in it has to be one of the viewer's."""
    to, customer = visit.form.one("to"), visit.form.one("customer")
    contact = (visit.form.one("contact") or None) if visit.form.one("add") else None
    if visit.form.one("add") and contact is None:
        raise RefusedRecord("Give the contact a name.")
    match visit.form.one("where"):
        case "thread":
            try:
                thread, _ = thread_for(conn, visit, to, Permission.DECIDE_HELD)
            except HTTPException as error:
                raise RefusedRecord(f"There is no thread {to} that you may file on.") from error
            return Wish(item.copy.id, thread_id=thread.id, contact_name=contact)
        case "inquiry":
            number = number_of(customer or "0")
            visit.require(Permission.DECIDE_HELD, number)
            return Wish(item.copy.id, organisation_id=number, contact_name=contact)
        case _:
            return Wish(item.copy.id, contact_name=contact)


def _item(conn: Connection, visit: Visit, copy_id: str, permission: Permission) -> HeldItem:
    copy_for(conn, visit, copy_id, permission)
    return held.held_item(conn, copy_id)


async def _decided(
    visit: Visit, permission: Permission, act: Callable[[Connection, HeldItem], str]
) -> Response:
    copy_id = visit.request.path_params["id"]
    try:
        said = await written(visit, lambda conn: act(conn, _item(conn, visit, copy_id, permission)))
    except HTTPException as error:
        if error.status_code not in {409, 422}:
            raise
        return await _page(visit, trouble=error.detail, status=error.status_code)
    return visit.go(f"/held/{copy_id}", said)


async def _page(visit: Visit, *, trouble: str = "", status: int = 200) -> Response:
    world = visit.parts.api.outgoing.world

    def work(conn: Connection) -> tuple[Found, HeldItem, HeldRequest | None, str, dict[int, str]]:
        found = find(conn, visit)
        item = held.held_item(conn, found.copy.id)
        asked = open_request(conn, found.copy.id)
        target = "" if asked is None else _target(conn, visit, asked.wish)
        return (
            found,
            item,
            asked,
            target,
            dict(names_of(conn, visit, Permission.DECIDE_HELD)),
        )

    found, item, asked, target, names = await looked_up(visit, work)
    whose = None if found.thread is None else found.thread.organisation_id
    route = route_of(mailboxes(world).resolve, item.copy.rcpt_to)
    return await visit.page(
        "held_message.html",
        status=status,
        trouble=trouble,
        typed=visit.form,
        f=found,
        copy=found.copy,
        thread=found.thread,
        item=item,
        forwarded=forwarded_for(found.copy.mail_from) or "",
        asked=asked,
        target=target,
        names=names,
        expires=None if item.legal_hold else retention_of(world.settings).expires(item.copy),
        waits=item.copy.disposition in held.WAITING,
        passes_on=route is not None and route.next_hop is not None,
        second=asks_second(world.settings, item),
        may_decide=visit.signed_in.may(Permission.DECIDE_HELD, whose),
        may_consent=visit.signed_in.may(Permission.APPROVE, whose),
    )


def _audit(conn: Connection, visit: Visit, act: str, item: HeldItem, detail: str = "") -> None:
    thread_id = item.copy.thread_id
    whose = None
    if thread_id is not None:
        whose = thread_by_id(conn, thread_id).organisation_id
    record_act(
        conn, act, visit.now, by=visit.actor, subject=item.copy.id, detail=detail, organisation_id=whose
    )


PAGES: Final = (
    Page("POST", "/held/discard", "held-discard-several", Permission.DECIDE_HELD, discard_several),
    Page("GET", "/held/{id}", "held-message", Permission.READ, show),
    Page("POST", "/held/{id}/release", "held-release", Permission.DECIDE_HELD, release),
    Page("POST", "/held/{id}/discard", "held-discard", Permission.DECIDE_HELD, discard),
    Page("POST", "/held/{id}/consent", "held-consent", Permission.APPROVE, consent),
)
