"""What a link that is good once opens: the first account is made, or a password is set."""

from __future__ import annotations

from typing import Final

import structlog
from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.page import Open, Page, Visit
from expertmail.console.pages.signing_in import let_in
from expertmail.console.passwords import hash_password, password_refusal
from threads.access import Account, Grant, Role
from threads.session import Way, is_secret
from threads.store.account_secrets import set_password
from threads.store.accounts import account_by_id, add_account, any_account
from threads.store.audit import record_act
from threads.store.errors import RefusedRecord
from threads.store.sessions import end_sessions, link_in_force, use_link

_OVER: Final = "This link was used, or is over. Ask whoever runs the console for another one."
_REFUSED: Final = 422

_log = structlog.get_logger("expertmail")


async def show(visit: Visit) -> Response:
    """The form that the link is for."""
    return await _form(visit, await visit.run(lambda: _whose(visit)))


async def set_up(visit: Visit) -> Response:
    """Make the account, or set the password; then its owner is signed in."""
    whose = await visit.run(lambda: _whose(visit))
    password = visit.form.text("password")
    name = visit.form.one("name") if whose is None else whose.name
    refusal = password_refusal(password, name)
    if refusal is None and password != visit.form.text("again"):
        refusal = "The two passwords differ; type the same one twice."
    if refusal is not None:
        return await _form(visit, whose, trouble=refusal, status=_REFUSED)
    try:
        account = await visit.run(lambda: _done(visit, password))
    except HTTPException as error:
        if error.status_code != 409:  # noqa: PLR2004 -- what the record refuses
            raise
        return await _form(visit, whose, trouble=error.detail, status=_REFUSED)
    _log.info("password set by a link", account=account.name)
    if account.totp_sealed is not None:  # a link stands for the password, not for the second factor
        return visit.go("/sign-in")
    return await let_in(visit, account, Way.LINK, "/")


def _whose(visit: Visit) -> Account | None:
    """The account that the link is for; None: it makes the first one."""
    secret = visit.request.path_params["secret"]
    with visit.parts.api.database.reading() as conn:
        found = link_in_force(conn, secret, visit.now) if is_secret(secret) else None
        if found is None:
            raise HTTPException(410, _OVER)
        if found[1] is not None:
            account = account_by_id(conn, found[1])
            if account.disabled_at is None:
                return account
        elif not any_account(conn):
            return None
    raise HTTPException(410, _OVER)


def _done(visit: Visit, password: str) -> Account:
    hashed = hash_password(password)
    with visit.parts.api.database.writing() as conn:
        found = link_in_force(conn, visit.request.path_params["secret"], visit.now)
        if found is None or not use_link(conn, found[0], visit.now):
            raise HTTPException(410, _OVER)
        if found[1] is not None:
            account = account_by_id(conn, found[1])
            act = "password-set"
            end_sessions(conn, account.id, visit.now, by=account.name)
        elif any_account(conn):
            raise RefusedRecord("There is an account by now; sign in.")
        else:
            name = visit.form.one("name")
            grants = [Grant(Role.ADMIN, None), Grant(Role.EXPERT, None)]
            account = add_account(conn, name, visit.form.one("display_name"), grants, visit.now, by=name)
            act = "account-added"
        set_password(conn, account.id, hashed, visit.now)
        record_act(conn, act, visit.now, by=account.name, subject=account.name, detail="by a link")
        return account_by_id(conn, account.id)


async def _form(visit: Visit, whose: Account | None, *, trouble: str = "", status: int = 200) -> Response:
    return await visit.page(
        "set_up.html",
        status=status,
        whose=whose,
        trouble=trouble,
        name=visit.form.one("name"),
        display_name=visit.form.one("display_name"),
    )


PAGES: Final = (
    Page("GET", "/set-up/{secret}", "set-up", Open.ANYBODY, show, secret_address=True),
    Page("POST", "/set-up/{secret}", "set-up-do", Open.ANYBODY, set_up, secret_address=True),
)
