"""Begins and ends sessions: the cookies of a browser, and the rows behind them."""

from __future__ import annotations

import hashlib
import hmac
import math
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
from threads.store.accounts import find_account
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


async def known_browser(visit: Visit, name: str) -> str | None:
    """The id of this browser if it has signed in to the account of that name before, by the password of today."""
    cookie = visit.request.cookies.get(_KNOWN_COOKIE, "")
    said = read_ticket(key_of(visit), _KNOWN, cookie, visit.now, KNOWN_LASTS)
    if said is None or said.get("name") != name:
        return None

    def is_bound() -> bool:
        with visit.parts.api.database.reading() as conn:
            account = find_account(conn, name)
        return account is not None and hmac.compare_digest(said.get("bound", ""), bound_to_password(account))

    return said.get("id") if await visit.run(is_bound) else None


def know(visit: Visit, answer: Response, account: Account) -> None:
    """Have the browser keep that it has signed in to the account: until its password is another one."""
    values = {
        "name": account.name,
        "id": secrets.token_hex(_ID_BYTES),
        "bound": bound_to_password(account),
    }
    keep(visit, answer, _KNOWN_COOKIE, purpose=_KNOWN, values=values, lasts=KNOWN_LASTS)


def bound_to_password(account: Account) -> str:
    """What a ticket says of the password that was right, and what it says no more of another one."""
    return hashlib.sha256((account.password_hash or "").encode()).hexdigest()


def wait_words(wait: float) -> str:
    """How long somebody has to wait, as a sentence."""
    seconds = math.ceil(wait)
    return f"That was tried too often. Wait {seconds} second{'' if seconds == 1 else 's'}, then try again."


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
    know(visit, answer, account)
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
