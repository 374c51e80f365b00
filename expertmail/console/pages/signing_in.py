"""Begins and ends sessions: the cookies of a browser, and the rows behind them."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final

import structlog
from starlette.responses import Response

from expertmail.console.login_throttle import LoginThrottle
from expertmail.console.pages.client import address_of
from expertmail.console.pages.page import Visit
from threads.access import Account
from threads.session import LASTS, SECRET_BYTES, Way, is_secret, secret_text
from threads.store.sessions import begin_session, end_session, session_in_force
from threads.ticket import read_ticket, write_ticket

KNOWN_LASTS: Final = timedelta(days=90)
"""How long a browser is known to have signed in: longer than holidays."""
_KNOWN: Final = "known-browser"
_KNOWN_COOKIE: Final = "expertmail-browser"
_ID_BYTES: Final = 16

throttle: Final = LoginThrottle()
"""Of all tries at a password or a code in this process."""

_log = structlog.get_logger("expertmail")


def key_of(visit: Visit) -> bytes:
    """The secret that seals what browsers keep."""
    return visit.parts.api.outgoing.world.console_key


def known_browser(visit: Visit, name: str) -> str | None:
    """The id of this browser if it has signed in to the account of that name before."""
    cookie = visit.request.cookies.get(_KNOWN_COOKIE, "")
    said = read_ticket(key_of(visit), _KNOWN, cookie, visit.now, KNOWN_LASTS)
    return None if said is None or said.get("name") != name else said.get("id")


async def let_in(visit: Visit, account: Account, way: Way, path: str) -> Response:
    """Begin a session, whose secret is always a new one; the one that the browser had is ended."""
    secret = secret_text(secrets.token_bytes(SECRET_BYTES))
    address = address_of(visit)
    agent = visit.request.headers.get("user-agent", "")
    before = visit.request.cookies.get(visit.place.cookie, "")

    def work() -> None:
        with visit.parts.api.database.writing() as conn:
            old = session_in_force(conn, before, visit.now) if is_secret(before) else None
            if old is not None:
                end_session(conn, old[0].id, visit.now, by=account.name)
            begin_session(conn, secret, account, visit.now, way=way, client_ip=address, user_agent=agent)

    await visit.run(work)
    _log.info("signed in", account=account.name, way=way.value, client=address)
    answer = visit.go(path)
    _set(visit, answer, visit.place.cookie, secret, LASTS)
    known = write_ticket(
        key_of(visit), _KNOWN, {"name": account.name, "id": secrets.token_hex(_ID_BYTES)}, visit.now
    )
    _set(visit, answer, _KNOWN_COOKIE, known, KNOWN_LASTS)
    return answer


def keep(
    visit: Visit, answer: Response, name: str, *, purpose: str, values: dict[str, str], lasts: timedelta
) -> None:
    """Have the browser keep a ticket for one purpose."""
    _set(visit, answer, name, write_ticket(key_of(visit), purpose, values, visit.now), lasts)


def forget(visit: Visit, answer: Response, name: str) -> None:
    """Take a cookie away."""
    answer.delete_cookie(name, path="/", secure=visit.place.secure, httponly=True, samesite="lax")


def _set(visit: Visit, answer: Response, name: str, value: str, lasts: timedelta) -> None:
    answer.set_cookie(
        name,
        value,
        max_age=int(lasts.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=visit.place.secure,
    )
