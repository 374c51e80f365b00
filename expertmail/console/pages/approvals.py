"""Mail that waits for another person, and mail that went at once and has to be reviewed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import looked_up, number_of, word_of, written
from expertmail.own_mail import html_of
from expertmail.standing_acts import give_standing, take_standing
from outbound.model import MailKind, OutboxEntry
from outbound.store import organisation_of_mail, show_outbox
from outbound.store.approval_acts import approve, break_glass, refuse, review
from outbound.store.approvals import ApprovalItem, list_approvals, list_reviews, show_approval
from outbound.store.standing_approvals import list_standing
from threads.access import Permission
from threads.store import Connection
from threads.store.audit import record_act
from threads.store.errors import RefusedRecord

Act = Callable[[Connection, int], str]


async def show(visit: Visit) -> Response:
    """What waits, and what is to be reviewed."""
    return await _list(visit)


async def stand(visit: Visit) -> Response:
    """Approve automatic mail of a kind from now on, or take that back."""
    kind, word = word_of(MailKind, visit.form.one("kind")), visit.form.one("word")
    world = visit.parts.api.outgoing.world

    def work(conn: Connection) -> str:
        visit.require(Permission.APPROVE, None)  # it is for all customers' mail
        if kind is None or word not in {"give", "withdraw"}:
            raise RefusedRecord(
                "Choose a kind of automatic mail, and whether its approval is given or withdrawn."
            )
        if word == "give":
            return give_standing(conn, world, kind, visit.now, by=visit.actor)
        said = take_standing(conn, kind, visit.now, by=visit.actor)
        still = " New mail of that kind still goes by itself: sending.second_person does not name it."
        return said + ("" if kind.value in world.settings.sending.second_person else still)

    try:
        said = await written(visit, work)
    except HTTPException as error:
        if error.status_code not in {409, 422}:
            raise
        return await _list(visit, trouble=error.detail, status=error.status_code)
    return visit.go("/approvals", said)


async def _list(visit: Visit, *, trouble: str = "", status: int = 200) -> Response:
    def work(conn: Connection) -> tuple[list[ApprovalItem], list[ApprovalItem], tuple[object, ...]]:
        waits = [one for one in list_approvals(conn) if _seen(conn, visit, one)]
        reviews = [one for one in list_reviews(conn) if _seen(conn, visit, one)]
        return waits, reviews, tuple(list_standing(conn))

    waits, reviews, standing = await looked_up(visit, work)
    kinds = visit.parts.api.outgoing.world.settings.sending.second_person
    return await visit.page(
        "approvals.html",
        status=status,
        trouble=trouble,
        waits=waits,
        reviews=reviews,
        standing=standing,
        kinds=kinds,
        automatic=[(one.value, one.value) for one in MailKind if one.automatic],
        may_give=visit.signed_in.may(Permission.APPROVE, None),
    )


async def show_one(visit: Visit) -> Response:
    """One mail, as it would be approved."""
    return await _page(visit)


async def decide(visit: Visit) -> Response:
    """Approve it as it was shown, or refuse it for good."""
    digest, reason = visit.form.one("digest"), visit.form.one("reason")
    if visit.form.one("word") == "refuse":

        def act(conn: Connection, number: int) -> str:
            if not reason:
                raise HTTPException(422, "Say why; its writer reads it.")
            refuse(conn, number, reason, visit.now, actor=visit.actor)
            _audit(conn, visit, "mail-refused", number, reason)
            return f"Mail {number} is refused and not sent."
    else:

        def act(conn: Connection, number: int) -> str:
            approve(conn, number, digest, visit.now, actor=visit.actor)
            _audit(conn, visit, "mail-approved", number, show_approval(conn, number).approved)
            return f"Mail {number} is approved; it goes in its send window."

    return await _acted(visit, Permission.APPROVE, act)


async def break_the_glass(visit: Visit) -> Response:
    """Send it at once, also one's own; somebody else reviews it afterwards."""
    digest, reason = visit.form.one("digest"), visit.form.one("reason")

    def act(conn: Connection, number: int) -> str:
        if not reason:
            raise HTTPException(422, "Say why it cannot wait; whoever reviews it reads that.")
        break_glass(conn, number, digest, reason, visit.now, actor=visit.actor)
        told = f"{show_approval(conn, number).approved}: {reason}"
        _audit(conn, visit, "mail-break-glass", number, told)
        return f"Mail {number} goes at once; somebody else has to look at it afterwards."

    return await _acted(visit, Permission.COMPOSE, act)


async def note_review(visit: Visit) -> Response:
    """Somebody else has looked at a mail that went at once."""
    words = visit.form.one("reason")

    def act(conn: Connection, number: int) -> str:
        if not words:
            raise HTTPException(422, "Say what you found.")
        review(conn, number, words, visit.now, actor=visit.actor)
        _audit(conn, visit, "mail-reviewed", number, words)
        return f"Mail {number} is reviewed."

    return await _acted(visit, Permission.APPROVE, act)


async def _acted(visit: Visit, permission: Permission, act: Act) -> Response:
    def work(conn: Connection) -> str:
        number = _number(conn, visit)
        visit.require(permission, organisation_of_mail(conn, number))
        return act(conn, number)

    try:
        said = await written(visit, work)
    except HTTPException as error:
        if error.status_code not in {409, 422}:
            raise
        return await _page(visit, trouble=error.detail, status=error.status_code)
    visit.parts.api.outgoing.queued()
    return visit.go("/approvals", said)


async def _page(visit: Visit, *, trouble: str = "", status: int = 200) -> Response:
    def work(conn: Connection) -> tuple[ApprovalItem, OutboxEntry, int | None]:
        number = _number(conn, visit)
        return show_approval(conn, number), show_outbox(conn, number), organisation_of_mail(conn, number)

    item, entry, whose = await looked_up(visit, work)
    return await visit.page(
        "approval.html",
        status=status,
        trouble=trouble,
        item=item,
        entry=entry,
        has_html=html_of(entry.raw) is not None,
        own=item.composer == visit.actor,
        may_approve=visit.signed_in.may(Permission.APPROVE, whose),
        may_break=visit.signed_in.may(Permission.COMPOSE, whose),
    )


def _number(conn: Connection, visit: Visit) -> int:
    number = number_of(visit.request.path_params["number"])
    show_outbox(conn, number)
    visit.require(Permission.READ, organisation_of_mail(conn, number))
    return number


def _seen(conn: Connection, visit: Visit, item: ApprovalItem) -> bool:
    return visit.signed_in.may(Permission.READ, organisation_of_mail(conn, item.outgoing_id))


def _audit(conn: Connection, visit: Visit, act: str, number: int, detail: str) -> None:
    record_act(
        conn,
        act,
        visit.now,
        by=visit.actor,
        subject=f"mail {number}",
        detail=detail,
        organisation_id=organisation_of_mail(conn, number),
    )


_ON: Final = "/approvals/{number}"
PAGES: Final = (
    Page("GET", "/approvals", "approvals", Permission.READ, show),
    Page("POST", "/approvals/standing", "approval-standing", Permission.APPROVE, stand),
    Page("GET", _ON, "approval", Permission.READ, show_one),
    Page("POST", f"{_ON}/decide", "approval-decide", Permission.APPROVE, decide),
    Page("POST", f"{_ON}/break-glass", "approval-break-glass", Permission.COMPOSE, break_the_glass),
    Page("POST", f"{_ON}/review", "approval-review", Permission.APPROVE, note_review),
)
