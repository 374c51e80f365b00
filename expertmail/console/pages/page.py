"""What a page is: its path, who may see it, and the work; and what that work is handed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote, unquote

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from expertmail.console.api_work import Places
from expertmail.console.pages.render import rendered
from expertmail.console.pages.security import PAGE_HEADERS, Place
from threads.access import Account, Permission
from threads.session import Session, notice_seal

if TYPE_CHECKING:
    from expertmail.console.app import ConsoleParts

MAX_FORM: Final = 256 * 1024
"""Octets of a form without files: the longest mail that a template takes is far smaller."""
NOTICE_COOKIE: Final = "expertmail-notice"
_MAX_NOTICE: Final = 500  # characters; a cookie holds 4 KiB

T = TypeVar("T")


class Open(Enum):
    """Pages that need no permission."""

    ANYBODY = "anybody"
    SIGNED_IN = "signed-in"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks, and by which session. ``secret`` is the cookie."""

    account: Account
    session: Session
    secret: str = field(repr=False)

    def may(self, permission: Permission, organisation_id: int | None) -> bool:
        """Whether that is allowed in an organisation's affairs (None: in what belongs to none)."""
        return self.account.may(permission, organisation_id)


@dataclass(frozen=True, slots=True)
class Form:
    """What was sent: each name with its values, and the files."""

    values: Mapping[str, Sequence[str]]
    files: Mapping[str, Sequence[UploadFile]]

    def one(self, name: str) -> str:
        """The value of a field, without blanks around it; "" where there is none."""
        return next(iter(self.values.get(name, ())), "").strip()

    def all(self, name: str) -> tuple[str, ...]:
        """The values of a field that may come several times, the empty ones left out."""
        return tuple(one.strip() for one in self.values.get(name, ()) if one.strip())

    def text(self, name: str) -> str:
        """A text of several lines, as it was typed, with LF between them."""
        return next(iter(self.values.get(name, ())), "").replace("\r\n", "\n")


NO_FORM: Final = Form({}, {})


@dataclass(frozen=True, slots=True)
class Visit:
    """One request for a page, after the door. ``now`` is the clock (UTC)."""

    request: Request
    parts: ConsoleParts
    places: Places
    place: Place
    now: datetime
    viewer: Viewer | None
    form: Form = NO_FORM

    @property
    def signed_in(self) -> Viewer:
        """Who looks; there is somebody on every page but those for ANYBODY."""
        if self.viewer is None:
            raise HTTPException(403, "Sign in first.")
        return self.viewer

    @property
    def actor(self) -> str:
        """The name for the audit trail."""
        return self.signed_in.account.name

    def query(self, name: str) -> str:
        """A parameter of the address, without blanks around it; "" where there is none."""
        return self.request.query_params.get(name, "").strip()

    def require(self, permission: Permission, organisation_id: int | None) -> None:
        """Go on only if the viewer may do that there; HTTPException: 404 where nothing of it may be seen, else 403."""
        if self.signed_in.may(permission, organisation_id):
            return
        if self.signed_in.may(Permission.READ, organisation_id):
            raise HTTPException(403, "Your roles do not allow that.")
        raise HTTPException(404)

    async def run(self, work: Callable[[], T]) -> T:
        """Do what waits for disk or computes for long, off the event loop; what the record refuses becomes an HTTPException."""
        return await self.places.run(work)

    async def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A template, filled in."""
        said = self.request.cookies.get(NOTICE_COOKIE, "")
        text = await self.run(
            lambda: rendered(template, {**values, "visit": self, "notice": _notice(said, self.viewer)})
        )
        answer = Response(text, status, headers=dict(PAGE_HEADERS), media_type="text/html; charset=utf-8")
        if said:
            answer.delete_cookie(NOTICE_COOKIE)
        return answer

    def go(self, path: str, notice: str = "") -> Response:
        """On to another page of ours (after something was done), which tells what was done."""
        answer = RedirectResponse(path, 303, headers=dict(PAGE_HEADERS))
        if notice and self.viewer is not None:
            text = notice[:_MAX_NOTICE]
            seal = notice_seal(self.viewer.secret, text)
            answer.set_cookie(
                NOTICE_COOKIE,
                f"{seal}.{quote(text, safe='')}",
                max_age=60,
                httponly=True,
                samesite="lax",
                secure=self.place.secure,
            )
        return answer


def _notice(cookie: str, viewer: Viewer | None) -> str:
    """What the page before wanted to have told; "" for what it has not said itself."""
    seal, _, quoted = cookie.partition(".")
    text = unquote(quoted)
    if viewer is None or not cookie.isascii():
        return ""
    return text if compare_digest(seal, notice_seal(viewer.secret, text)) else ""


Work = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """One method of one path. ``takes`` bounds its form, in octets; ``files``: how many may come with it.

    ``same_for_all``: nobody is asked who they are, since all get the same octets. ``secret_address``: the address holds
    what lets somebody in, so that no request after it names it.
    """

    method: str
    path: str
    name: str
    needs: Permission | Open
    work: Work
    takes: int = MAX_FORM
    files: int = 0
    same_for_all: bool = False
    secret_address: bool = False
