"""Signing in with a password and, where an account has one, a second factor; and signing out."""

from __future__ import annotations

import math
import time
from datetime import timedelta
from typing import Final
from urllib.parse import quote

import structlog
from starlette.responses import Response

from expertmail.console.one_time_codes import opened, recovery_digest, step_of
from expertmail.console.pages.client import address_of
from expertmail.console.pages.page import Open, Page, Visit
from expertmail.console.pages.security import local_path
from expertmail.console.pages.signing_in import (
    bound_to_password,
    forget,
    keep,
    key_of,
    known_browser,
    let_in,
    throttle,
    wait_words,
)
from expertmail.console.passwords import hash_password, is_outdated, is_password
from threads.access import Account
from threads.session import Way
from threads.store.account_secrets import set_password, use_recovery_code, use_step
from threads.store.accounts import account_by_id, account_name, any_account, find_account
from threads.store.sessions import end_session
from threads.ticket import read_ticket

FIRST_STEP_LASTS: Final = timedelta(minutes=5)
"""Between the password and the code: to find the telephone."""
MAX_TYPED: Final = 200
"""Characters of a name that are looked at."""
_STEP: Final = "expertmail-first-step"
_WRONG: Final = "Name or password is wrong."
_WRONG_CODE: Final = "That code is not right, or was used before."

_log = structlog.get_logger("expertmail")


async def show(visit: Visit) -> Response:
    """The form; whoever is signed in goes on."""
    after = local_path(visit.query("next"))
    if visit.viewer is not None:
        return visit.go(after)
    return await _form(visit, after)


async def sign_in(visit: Visit) -> Response:
    """Look at name and password; who is right goes on, or to the second step."""
    name, password = account_name(visit.form.one("name")[:MAX_TYPED]), visit.form.text("password")
    after = local_path(visit.form.one("next"))
    trying = _Trying(visit, name, await known_browser(visit, name))
    if (wait := trying.wait()) > 0:
        return await _too_often(visit, after, wait)
    trying.begun()
    account, right = await visit.run(lambda: _proved(visit, name, password))
    if account is None or not right:
        trying.failed("name or password", account)
        return await _form(visit, after, trouble=_WRONG, status=401)
    trying.succeeded()
    if account.totp_sealed is None:
        return await let_in(visit, account, Way.PASSWORD, after)
    answer = visit.go("/sign-in/code")
    said = {"name": account.name, "next": after, "bound": bound_to_password(account)}
    keep(visit, answer, _STEP, purpose="first-step", values=said, lasts=FIRST_STEP_LASTS)
    return answer


async def show_code(visit: Visit) -> Response:
    """The form for the second factor."""
    if _first_step(visit) is None:
        return visit.go("/sign-in")
    return await visit.page("sign_in_code.html", trouble="")


async def sign_in_code(visit: Visit) -> Response:
    """Look at the one-time code, or at a recovery code."""
    step = _first_step(visit)
    if step is None:
        return visit.go("/sign-in")
    trying = _Trying(visit, f"{step['name']} (code)", await known_browser(visit, step["name"]))
    if (wait := trying.wait()) > 0:
        return await _told(visit, "sign_in_code.html", wait_words(wait), 429, wait)
    trying.begun()
    code = visit.form.one("code")[:MAX_TYPED]
    account, right = await visit.run(lambda: _proved_code(visit, step["name"], step["bound"], code))
    if account is None or not right:
        trying.failed("second factor", account)
        return await visit.page("sign_in_code.html", status=401, trouble=_WRONG_CODE)
    trying.succeeded()
    answer = await let_in(visit, account, Way.PASSWORD_TOTP, local_path(step["next"]))
    forget(visit, answer, _STEP)
    return answer


async def sign_out(visit: Visit) -> Response:
    """End this session."""
    viewer = visit.signed_in

    def work() -> None:
        with visit.parts.api.database.writing() as conn:
            end_session(conn, viewer.session.id, visit.now, by=viewer.account.name)

    await visit.run(work)
    _log.info("signed out", account=viewer.account.name)
    answer = visit.go("/sign-in")
    forget(visit, answer, visit.place.cookie)
    answer.headers["Clear-Site-Data"] = '"cache"'  # nothing is behind the back button
    return answer


class _Trying:
    """One try: counted when it begins, so that many at one time are as many."""

    def __init__(self, visit: Visit, name: str, browser: str | None) -> None:
        self._address = address_of(visit)
        self._name = name
        self._browser = browser

    def wait(self) -> float:
        left = throttle.wait(self._name, self._address, self._browser, time.monotonic())
        if left > 0:
            _log.warning("sign-in has to wait", client=self._address, seconds=math.ceil(left))
        return left

    def begun(self) -> None:
        throttle.begun(self._name, self._address, self._browser, time.monotonic())

    def succeeded(self) -> None:
        throttle.succeeded(self._name, self._address, self._browser)

    def failed(self, what: str, account: Account | None) -> None:
        # The name only of an account that there is: people type their password there.
        known = {} if account is None else {"account": account.name}
        _log.warning("sign-in failed", client=self._address, wrong=what, **known)


def _proved(visit: Visit, name: str, password: str) -> tuple[Account | None, bool]:
    """The account of that name, and whether that is its password; as slow where there is none."""
    with visit.parts.api.database.reading() as conn:
        account = find_account(conn, name)
    usable = account is not None and account.disabled_at is None
    stored = account.password_hash if account is not None and usable else None
    if not is_password(stored, password) or account is None or stored is None:
        return account, False
    if is_outdated(stored):
        newer = hash_password(password)
        with visit.parts.api.database.writing() as conn:
            set_password(conn, account.id, newer, visit.now)
            account = account_by_id(conn, account.id)
    return account, True


def _proved_code(visit: Visit, name: str, bound: str, code: str) -> tuple[Account | None, bool]:
    """The account, and whether the code is one of its."""
    with visit.parts.api.database.writing() as conn:
        account = find_account(conn, name)
        if account is None or account.disabled_at is not None or account.totp_sealed is None:
            return account, False
        if bound_to_password(account) != bound:  # it was changed meanwhile
            return account, False
        secret = opened(account.totp_sealed, key_of(visit), account.id)
        step = None if secret is None else step_of(secret, code, visit.now)
        if step is not None:
            return account, use_step(conn, account.id, step)
        return account, use_recovery_code(conn, account.id, recovery_digest(code, account.id), visit.now)


def _first_step(visit: Visit) -> dict[str, str] | None:
    cookie = visit.request.cookies.get(_STEP, "")
    said = read_ticket(key_of(visit), "first-step", cookie, visit.now, FIRST_STEP_LASTS)
    return None if said is None else dict(said)


async def _too_often(visit: Visit, after: str, wait: float) -> Response:
    answer = await _form(visit, after, trouble=wait_words(wait), status=429)
    answer.headers["Retry-After"] = str(math.ceil(wait))
    return answer


async def _told(visit: Visit, template: str, trouble: str, status: int, wait: float) -> Response:
    answer = await visit.page(template, status=status, trouble=trouble)
    answer.headers["Retry-After"] = str(math.ceil(wait))
    return answer


async def _form(visit: Visit, after: str, *, trouble: str = "", status: int = 200) -> Response:
    def work() -> bool:
        with visit.parts.api.database.reading() as conn:
            return any_account(conn)

    there_is_one = await visit.run(work)
    return await visit.page(
        "sign_in.html",
        status=status,
        trouble=trouble,
        after=after,
        name=visit.form.one("name")[:MAX_TYPED],
        there_is_one=there_is_one,
        oidc_name=oidc_name(visit),
        oidc_path=f"/sign-in/oidc?next={quote(after, safe='')}",
    )


def oidc_name(visit: Visit) -> str:
    """What the button of somebody else who signs people in says; "" where there is none."""
    return visit.parts.api.outgoing.world.settings.console.oidc_name if _has_oidc(visit) else ""


def _has_oidc(visit: Visit) -> bool:
    return visit.parts.api.outgoing.world.settings.console.oidc_issuer is not None


PAGES: Final = (
    Page("GET", "/sign-in", "sign-in", Open.ANYBODY, show),
    Page("POST", "/sign-in", "sign-in-try", Open.ANYBODY, sign_in),
    Page("GET", "/sign-in/code", "sign-in-code", Open.ANYBODY, show_code),
    Page("POST", "/sign-in/code", "sign-in-code-try", Open.ANYBODY, sign_in_code),
    Page("POST", "/sign-out", "sign-out", Open.SIGNED_IN, sign_out),
)
