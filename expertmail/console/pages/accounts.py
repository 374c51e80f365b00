"""Accounts of the console: their roles, links and sessions.

Who keeps accounts for some customers only, sees those that have roles for these customers alone, and gives no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.invitations import link_url, new_link
from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import looked_up, names_of, number_of, written
from expertmail.console.pages.role_words import WHAT, roles_in_words
from threads.access import Account, Grant, Permission, Role
from threads.store import Connection
from threads.store.accounts import (
    add_account,
    disable_account,
    enable_account,
    find_account,
    list_accounts,
    set_grants,
)
from threads.store.audit import record_act
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.sessions import end_session, end_sessions, sessions_of

Act = Callable[[Connection, Account], str]


async def show(visit: Visit) -> Response:
    """All that the viewer keeps."""
    return await _list(visit)


async def add(visit: Visit) -> Response:
    """Make an account, and show its link this once."""
    form = visit.form

    def work(conn: Connection) -> tuple[Account, str]:
        grants = _wanted(visit)
        made = add_account(
            conn,
            form.one("name"),
            form.one("display_name"),
            grants,
            visit.now,
            by=visit.actor,
            address=form.one("address") or None,
        )
        secret = new_link(conn, made.id, visit.now, by=visit.actor)
        _audit(conn, visit, "account-added", made, _words(grants))
        return made, secret

    try:
        made, secret = await written(visit, work)
    except HTTPException as error:
        if error.status_code not in {409, 422}:
            raise
        return await _list(visit, trouble=error.detail)
    return await _link(visit, made, secret)


async def show_one(visit: Visit) -> Response:
    """One account."""
    return await _page(visit)


async def change(visit: Visit) -> Response:
    """Give it these roles and no others."""

    def act(conn: Connection, one: Account) -> str:
        grants = _wanted(visit)
        if visit.form.one("was") != _words(one.grants):
            raise RefusedRecord("Somebody changed its roles meanwhile; this is how it stands now.")
        set_grants(conn, one.id, grants, visit.now, by=visit.actor)
        _audit(conn, visit, "account-roles", one, f"{_words(one.grants)} -> {_words(grants)}")
        return "Its roles are changed."

    return await _acted(visit, act)


async def state(visit: Visit) -> Response:
    """Disable it, let it be used again, or end sessions."""
    do, session = visit.form.one("do"), visit.form.one("session")

    def act(conn: Connection, one: Account) -> str:
        if do == "disable":
            disable_account(conn, one.id, visit.now, by=visit.actor)
            _audit(conn, visit, "account-disabled", one, "")
            return f"{one.name} is out, and its sessions are ended."
        if do == "enable":
            enable_account(conn, one.id)
            _audit(conn, visit, "account-enabled", one, "")
            return f"{one.name} may sign in again."
        if session:
            number = number_of(session)
            if number not in {each.id for each in sessions_of(conn, one.id, visit.now)}:
                raise UnknownRecord("There is no such session.")
            ended = int(end_session(conn, number, visit.now, by=visit.actor))
        else:
            ended = end_sessions(conn, one.id, visit.now, by=visit.actor)
        _audit(conn, visit, "sessions-ended", one, str(ended))
        return f"{ended} session{'' if ended == 1 else 's'} ended."

    return await _acted(visit, act)


async def link(visit: Visit) -> Response:
    """A link by which its owner sets a password, shown this once."""

    def work(conn: Connection) -> tuple[Account, str]:
        one = _kept(conn, visit)
        secret = new_link(conn, one.id, visit.now, by=visit.actor)
        _audit(conn, visit, "account-link", one, "")
        return one, secret

    one, secret = await written(visit, work)
    return await _link(visit, one, secret)


def within(visit: Visit, grants: Iterable[Grant]) -> bool:
    """Whether all of some grants lie where the viewer keeps accounts."""
    return all(visit.signed_in.may(Permission.KEEP_ACCOUNTS, one.organisation_id) for one in grants)


def _kept(conn: Connection, visit: Visit) -> Account:
    """The account of the path; HTTPException 404 for one that the viewer does not keep, as for none."""
    one = find_account(conn, visit.request.path_params["name"])
    keeps_all = visit.signed_in.account.reach(Permission.KEEP_ACCOUNTS) is None
    if one is None or not (keeps_all or (one.grants and within(visit, one.grants))):
        raise HTTPException(404)
    return one


def _wanted(visit: Visit) -> frozenset[Grant]:
    """The grants that are ticked: ``role`` or ``role@number of a customer``."""
    found = set()
    for word in visit.form.all("grant"):
        role, at, customer = word.partition("@")
        if role not in {one.value for one in Role}:
            raise HTTPException(422, "There is no such role.")
        found.add(Grant(Role(role), number_of(customer) if at else None))
    role, whose = visit.form.one("role"), visit.form.one("customer")
    if role:
        if role not in {one.value for one in Role}:
            raise HTTPException(422, "There is no such role.")
        found.add(Grant(Role(role), number_of(whose) if whose else None))
    if not within(visit, found):
        raise HTTPException(403, "You keep no accounts for everybody whom these roles are for.")
    keeps_all = visit.signed_in.account.reach(Permission.KEEP_ACCOUNTS) is None
    if not found and not keeps_all:
        raise RefusedRecord("Give it a role; an account without one is kept by who keeps all of them.")
    return frozenset(found)


def _words(grants: Iterable[Grant]) -> str:
    return ", ".join(
        sorted(
            one.role.value if one.organisation_id is None else f"{one.role.value}@{one.organisation_id}"
            for one in grants
        )
    )


async def _acted(visit: Visit, act: Act) -> Response:
    try:
        said = await written(visit, lambda conn: act(conn, _kept(conn, visit)))
    except HTTPException as error:
        if error.status_code not in {409, 422}:
            raise
        return await _page(visit, trouble=error.detail, status=error.status_code)
    return visit.go(f"/accounts/{visit.request.path_params['name']}", said)


async def _list(visit: Visit, *, trouble: str = "") -> Response:
    keeps_all = visit.signed_in.account.reach(Permission.KEEP_ACCOUNTS) is None

    def work(conn: Connection) -> dict[str, object]:
        names = names_of(conn, visit, Permission.KEEP_ACCOUNTS)
        found = [
            (one, roles_in_words(one.grants, names))
            for one in list_accounts(conn)
            if keeps_all or (one.grants and within(visit, one.grants))
        ]
        return {"found": found, "names": names}

    values = await looked_up(visit, work)
    return await visit.page(
        "accounts.html",
        status=422 if trouble else 200,
        trouble=trouble,
        typed=visit.form,
        roles=[(one.value, f"{one.value}: {WHAT[one]}") for one in Role],
        keeps_all=keeps_all,
        **values,
    )


async def _page(visit: Visit, *, trouble: str = "", status: int = 200) -> Response:
    def work(conn: Connection) -> dict[str, object]:
        one = _kept(conn, visit)
        names = names_of(conn, visit, Permission.KEEP_ACCOUNTS)
        grants = sorted(one.grants, key=lambda each: (each.role, each.organisation_id or 0))
        told = [
            (
                _words([each]),
                each.role.value,
                "all customers" if each.organisation_id is None else names.get(each.organisation_id, "?"),
            )
            for each in grants
        ]
        return {
            "account": one,
            "grants": told,
            "names": names,
            "was": _words(one.grants),
            "sessions": sessions_of(conn, one.id, visit.now),
        }

    values = await looked_up(visit, work)
    return await visit.page(
        "account_kept.html",
        status=status,
        trouble=trouble,
        roles=[(one.value, f"{one.value}: {WHAT[one]}") for one in Role],
        keeps_all=visit.signed_in.account.reach(Permission.KEEP_ACCOUNTS) is None,
        **values,
    )


async def _link(visit: Visit, one: Account, secret: str) -> Response:
    settings = visit.parts.api.outgoing.world.settings
    port = visit.request.url.port
    url = link_url(settings, secret, port)
    return await visit.page("account_link.html", account=one, url=url)


def _audit(conn: Connection, visit: Visit, act: str, one: Account, detail: str) -> None:
    record_act(conn, act, visit.now, by=visit.actor, subject=one.name, detail=detail)


_ON: Final = "/accounts/{name}"
PAGES: Final = (
    Page("GET", "/accounts", "accounts", Permission.KEEP_ACCOUNTS, show),
    Page("POST", "/accounts", "account-add", Permission.KEEP_ACCOUNTS, add),
    Page("GET", _ON, "account-kept", Permission.KEEP_ACCOUNTS, show_one),
    Page("POST", f"{_ON}/roles", "account-roles", Permission.KEEP_ACCOUNTS, change),
    Page("POST", f"{_ON}/state", "account-state", Permission.KEEP_ACCOUNTS, state),
    Page("POST", f"{_ON}/link", "account-link", Permission.KEEP_ACCOUNTS, link),
)
