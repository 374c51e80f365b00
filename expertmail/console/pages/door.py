"""The door to every page: whose session it is, where the request comes from, what was sent, and how a refusal looks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from expertmail.console.api_work import Places, refusals
from expertmail.console.pages.form_reading import form_of
from expertmail.console.pages.page import Open, Page, Viewer, Visit
from expertmail.console.pages.security import PAGE_HEADERS, SECRET_ADDRESS_HEADERS, Place
from threads.access import Permission
from threads.session import is_form_token, is_secret
from threads.store.engine import Database
from threads.store.sessions import is_due, note_seen, session_in_force

if TYPE_CHECKING:
    from expertmail.console.app import ConsoleParts

SIGN_IN: Final = "/sign-in"
TOKEN_FIELD: Final = "token"
"""Of every form of somebody who is signed in."""
_BUSY: Final = 503
_SAFE: Final = frozenset({"GET", "HEAD"})
_SENTENCES: Final = {
    404: "There is no such page, or nothing that you may see.",
    405: "That cannot be done here.",
}

_log = structlog.get_logger("expertmail")


class Door:
    """Makes routes of pages. ``parts`` gives what is in force at each request."""

    def __init__(self, parts: Callable[[], ConsoleParts]) -> None:
        self._parts = parts
        self._places = Places()

    def routes(self, pages: Sequence[Page]) -> list[Route]:
        """A route for each page."""
        return [self._route(one) for one in pages]

    def _route(self, page: Page) -> Route:
        async def reached(request: Request) -> Response:
            return await self._reached(page, request)

        return Route(page.path, reached, methods=[page.method], name=page.name)

    async def refused(self, request: Request, status: int, sentence: str = "") -> Response:
        """How a refusal looks to whoever asked, also where there is no such page."""
        parts = self._parts()
        place, now = place_of(parts), parts.api.clock()
        visit = Visit(request, parts, self._places, place, now, None)
        try:
            viewer = await self._viewer(request, parts.api.database, place, now)
            visit = Visit(request, parts, self._places, place, now, viewer)
        except HTTPException:
            pass  # the record cannot be read: that is told to nobody in particular
        text = _SENTENCES.get(status, sentence or "That did not work.")
        return await visit.page("refused.html", status=status, code=status, sentence=text)

    async def _reached(self, page: Page, request: Request) -> Response:
        outcome = "500"
        try:
            async with self._places.presence():
                answer = await self._let_in(page, request)
            outcome = str(answer.status_code)
        except HTTPException as error:
            outcome = str(error.status_code)
            answer = await self._told(request, error)
        finally:
            self._parts().metrics.page_requests.labels(page=page.name, outcome=outcome).inc()
        if page.secret_address:
            answer.headers.update(SECRET_ADDRESS_HEADERS)
        return answer

    async def _told(self, request: Request, error: HTTPException) -> Response:
        if error.status_code == _BUSY:  # a page would wait for what all others are waiting for
            answer = Response(error.detail, _BUSY, headers=dict(PAGE_HEADERS), media_type="text/plain")
        else:
            answer = await self.refused(request, error.status_code, error.detail)
        answer.headers.update(error.headers or {})
        return answer

    async def _let_in(self, page: Page, request: Request) -> Response:
        parts = self._parts()
        place, now = place_of(parts), parts.api.clock()
        host = request.headers.get("host", "")
        if not place.is_host(host):
            raise HTTPException(
                421, "The console does not go by that name; set console.url to the address people use."
            )
        if request.method not in _SAFE:
            _refuse_other_origins(page, request, place, host)
        if page.same_for_all:
            return await page.work(Visit(request, parts, self._places, place, now, None))
        viewer = await self._viewer(request, parts.api.database, place, now)
        if page.needs is not Open.ANYBODY:
            if viewer is None:
                return _to_sign_in(request)
            if isinstance(page.needs, Permission) and not viewer.account.may_anywhere(page.needs):
                raise HTTPException(403, "Your roles do not allow that.")
        visit = Visit(request, parts, self._places, place, now, viewer)
        if request.method in _SAFE:
            return await page.work(visit)
        async with form_of(request, page.takes, page.files) as form:
            if viewer is not None and not is_form_token(viewer.secret, form.one(TOKEN_FIELD)):
                raise HTTPException(
                    403, "This form is from an older sign-in. Go back, load the page anew, and try again."
                )
            return await page.work(Visit(request, parts, self._places, place, now, viewer, form))

    async def _viewer(
        self, request: Request, database: Database, place: Place, now: datetime
    ) -> Viewer | None:
        secret = request.cookies.get(place.cookie, "")
        if not is_secret(secret):
            return None
        with refusals():
            # A page that asks for news by itself is nobody at the desk.
            live = "x-live" in request.headers
            return await asyncio.to_thread(_looked_up, database, secret, now, used=not live)


def place_of(parts: ConsoleParts) -> Place:
    """Where people find the console, as the settings in force say."""
    return Place(parts.api.outgoing.world.settings.console.url)


def _looked_up(database: Database, secret: str, now: datetime, *, used: bool) -> Viewer | None:
    with database.reading() as conn:
        found = session_in_force(conn, secret, now)
    if found is None:
        return None
    session, account = found
    if used and is_due(session, now):
        with database.writing() as conn:
            note_seen(conn, session, now)
    return Viewer(account, session, secret)


def _refuse_other_origins(page: Page, request: Request, place: Place, host: str) -> None:
    """A browser says where a form stands (Fetch 3.2), whatever that page wants; what says nothing is no browser."""
    origins = request.headers.getlist("origin")
    if len(origins) != 1 or not place.is_origin(origins[0], host):
        _log.warning("form from elsewhere refused", page=page.name)  # a path may hold a secret
        raise HTTPException(403, "This form was not sent from the console.")
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise HTTPException(403, "This form was not sent from the console.")


def _to_sign_in(request: Request) -> Response:
    """Who only looked comes back here afterwards; what was sent is not sent again."""
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    after = f"?next={quote(path, safe='')}" if request.method in _SAFE and path != "/" else ""
    return RedirectResponse(f"{SIGN_IN}{after}", 303, headers=dict(PAGE_HEADERS))
