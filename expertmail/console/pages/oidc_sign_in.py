"""Signing in by way of somebody else: there and back again, and whose account it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import structlog
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from expertmail.account_roles import grants_of
from expertmail.console.invitations import console_url
from expertmail.console.oidc_client import Begun, Client, OidcRefused
from expertmail.console.pages.page import Open, Page, Visit
from expertmail.console.pages.security import PAGE_HEADERS, local_path
from expertmail.console.pages.signing_in import forget, keep, key_of, let_in
from threads.access import Account, Grant
from threads.session import Way
from threads.store import Connection
from threads.store.accounts import (
    account_of_subject,
    add_account,
    find_account,
    list_accounts,
    set_grants,
    tie_subject,
)
from threads.store.audit import record_act
from threads.ticket import read_ticket

LASTS: Final = timedelta(minutes=10)
"""From the button to the answer: a person types a password and a code elsewhere."""
MAX_CLAIMED: Final = 200
"""Groups of one person that are looked at."""
_COOKIE: Final = "expertmail-oidc"
_ANSWER: Final = "/sign-in/oidc/answer"
_STRANGER: Final = "You are signed in there, but have no account here. Ask whoever keeps the accounts."

_log = structlog.get_logger("expertmail")


async def go(visit: Visit) -> Response:
    """Send the browser there."""
    client = _client(visit)

    def there() -> Begun:
        from expertmail.console.oidc import begin  # noqa: PLC0415 -- 5 MB that most never need; a thread loads them

        return begin(client, _answer_at(visit))

    try:
        begun = await visit.run(there)
    except OidcRefused as error:
        raise _told(error) from error
    answer = RedirectResponse(begun.url, 303, headers=dict(PAGE_HEADERS))
    said = {
        "state": begun.state,
        "nonce": begun.nonce,
        "verifier": begun.verifier,
        "next": local_path(visit.query("next")),
    }
    keep(visit, answer, _COOKIE, purpose="oidc", values=said, lasts=LASTS)
    return answer


async def come_back(visit: Visit) -> Response:
    """The browser comes back with a code, if the person was signed in there."""
    client = _client(visit)
    cookie = visit.request.cookies.get(_COOKIE, "")
    said = read_ticket(key_of(visit), "oidc", cookie, visit.now, LASTS)
    code = visit.query("code")
    if said is None or not code or visit.query("state") != said["state"]:
        raise HTTPException(403, "This sign-in was not begun here, or took too long. Begin again.")

    def back() -> Mapping[str, Any]:
        from expertmail.console.oidc import finish  # noqa: PLC0415 -- as above

        return finish(
            client,
            _answer_at(visit),
            code=code,
            nonce=said["nonce"],
            verifier=said["verifier"],
            now=visit.now,
        )

    try:
        claims = await visit.run(back)
    except OidcRefused as error:
        raise _told(error) from error

    def work() -> Account | None:
        with visit.parts.api.database.writing() as conn:
            return _account(conn, visit, client.issuer, claims)

    account = await visit.run(work)
    if account is None or account.disabled_at is not None:
        _log.warning("sign-in failed", client="", wrong="no account for this person")
        raise HTTPException(403, _STRANGER)
    answer = await let_in(visit, account, Way.OIDC, local_path(said["next"]))
    forget(visit, answer, _COOKIE)
    return answer


def _account(conn: Connection, visit: Visit, issuer: str, claims: Mapping[str, Any]) -> Account | None:
    """Whose account it is: that of the person, or of the address that the issuer has verified, or a new one by its roles."""
    settings = visit.parts.api.outgoing.world.settings.console
    subject = str(claims["sub"])
    grants = grants_of(conn, _roles(settings.oidc_roles, claims.get(settings.oidc_roles_claim)))
    account = account_of_subject(conn, issuer, subject)
    if account is None:
        account = _by_address(conn, claims)
        if account is None and grants:
            name = _free_name(conn, claims)
            account = add_account(
                conn, name, str(claims.get("name") or name), grants, visit.now, by="single sign-on",
                address=_verified_address(claims),
            )  # fmt: skip
            record_act(
                conn,
                "account-added",
                visit.now,
                by="single sign-on",
                subject=account.name,
                detail=_words(grants),
            )
        if account is None:
            return None
        tie_subject(conn, account.id, issuer, subject)
    if not settings.oidc_roles or account.disabled_at is not None:
        return account
    if not grants:
        return None  # the issuer gives it no role any more
    if grants != account.grants:
        set_grants(conn, account.id, grants, visit.now, by="single sign-on")
        detail = f"{_words(account.grants)} -> {_words(grants)}"
        record_act(conn, "account-roles", visit.now, by="single sign-on", subject=account.name, detail=detail)
    return account


def _by_address(conn: Connection, claims: Mapping[str, Any]) -> Account | None:
    address = _verified_address(claims)
    if address is None:
        return None
    found = [one for one in list_accounts(conn) if (one.address or "").lower() == address]
    return found[0] if len(found) == 1 else None


def _verified_address(claims: Mapping[str, Any]) -> str | None:
    address = claims.get("email")
    return address.lower() if isinstance(address, str) and claims.get("email_verified") is True else None


def _roles(table: tuple[str, ...], claimed: object) -> list[str]:
    """The roles of the values that the claim holds."""
    several = claimed if isinstance(claimed, list) else [claimed]
    values = {one for one in several[:MAX_CLAIMED] if isinstance(one, str)}
    pairs = (one.rpartition(":") for one in table)
    return [role.strip() for value, _, role in pairs if value.strip() in values]


def _free_name(conn: Connection, claims: Mapping[str, Any]) -> str:
    said = str(claims.get("preferred_username") or claims.get("email") or claims["sub"]).lower()
    plain = re.sub(r"[^a-z0-9._-]+", "-", said.partition("@")[0]).strip("-._")[:50] or "person"
    name, number = plain, 1
    while find_account(conn, name) is not None:
        number += 1
        name = f"{plain}-{number}"
    return name


def _words(grants: frozenset[Grant]) -> str:
    return ", ".join(
        sorted(
            f"{one.role}{'' if one.organisation_id is None else f'@{one.organisation_id}'}" for one in grants
        )
    )


def _client(visit: Visit) -> Client:
    settings = visit.parts.api.outgoing.world.settings.console
    if settings.oidc_issuer is None:
        raise HTTPException(404)
    if not settings.oidc_client_id or settings.oidc_client_secret is None:
        raise HTTPException(
            503, "Set console.oidc_client_id and console.oidc_client_secret, as the issuer gave them."
        )
    return Client(
        settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret.get_secret_value()
    )


def _answer_at(visit: Visit) -> str:
    return f"{console_url(visit.parts.api.outgoing.world.settings, visit.request.url.port)}{_ANSWER}"


def _told(error: OidcRefused) -> HTTPException:
    _log.warning("single sign-on failed", why=error.why)
    return HTTPException(403, error.sentence)


PAGES: Final = (
    Page("GET", "/sign-in/oidc", "oidc", Open.ANYBODY, go),
    Page("GET", _ANSWER, "oidc-answer", Open.ANYBODY, come_back, secret_address=True),
)
