"""Tokens of programs: made and shown once, and revoked."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import looked_up, names_of, number_of, written
from threads.access import Permission
from threads.api_token import ID_BYTES, SECRET_BYTES, ApiToken, Scope, token_text
from threads.store import Connection
from threads.store.api_tokens import add_token, list_tokens, revoke_token
from threads.store.audit import record_act
from threads.store.errors import UnknownRecord
from threads.store.people import organisation


async def show(visit: Visit) -> Response:
    """All that the viewer keeps: those for his customers alone, or all."""
    return await _list(visit)


async def add(visit: Visit) -> Response:
    """Make one, and show it this once."""
    form = visit.form
    words = set(form.all("scope"))
    if words - {one.value for one in Scope}:
        raise HTTPException(422, "There is no such scope.")
    whose = [number_of(one) for one in form.all("customer")]
    ends = _end(form.one("expires"))
    text = token_text(secrets.token_bytes(ID_BYTES), secrets.token_bytes(SECRET_BYTES))

    def work(conn: Connection) -> ApiToken:
        everybody: list[int | None] = [*whose] or [None]
        for one in everybody:
            visit.require(Permission.KEEP_ACCOUNTS, one)
        made = add_token(
            conn,
            text,
            form.one("name"),
            map(Scope, words),
            visit.now,
            by=visit.actor,
            organisations=[organisation(conn, one) for one in whose],
            expires=ends,
        )
        detail = f"{' '.join(sorted(words))}, for {len(whose) or 'all'} customers"
        record_act(conn, "token-added", visit.now, by=visit.actor, subject=made.name, detail=detail)
        return made

    try:
        made = await written(visit, work)
    except HTTPException as error:
        if error.status_code not in {409, 422}:
            raise
        return await _list(visit, trouble=error.detail)
    return await visit.page("token_made.html", name=made.name, text=text)


async def revoke(visit: Visit) -> Response:
    """End one for good."""
    name = visit.form.one("name")

    def work(conn: Connection) -> None:
        if name not in {one.name for one in list_tokens(conn) if _keeps(visit, one)}:
            raise UnknownRecord("There is no such token.")
        revoke_token(conn, name, visit.now, by=visit.actor)
        record_act(conn, "token-revoked", visit.now, by=visit.actor, subject=name)

    await written(visit, work)
    return visit.go("/tokens", f"The token {name} is revoked.")


def _keeps(visit: Visit, one: ApiToken) -> bool:
    whose = [None] if one.organisations is None else list(one.organisations)
    return all(visit.signed_in.may(Permission.KEEP_ACCOUNTS, each) for each in whose or [None])


def _end(text: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise HTTPException(422, "The end is a day such as 2027-01-31.") from None


async def _list(visit: Visit, *, trouble: str = "") -> Response:
    def work(conn: Connection) -> dict[str, object]:
        names = names_of(conn, visit, Permission.KEEP_ACCOUNTS)
        found = [one for one in list_tokens(conn) if _keeps(visit, one)]
        return {"found": found, "names": names}

    values = await looked_up(visit, work)
    return await visit.page(
        "tokens.html",
        status=422 if trouble else 200,
        trouble=trouble,
        typed=visit.form,
        scopes=[one.value for one in Scope],
        keeps_all=visit.signed_in.account.reach(Permission.KEEP_ACCOUNTS) is None,
        **values,
    )


PAGES: Final = (
    Page("GET", "/tokens", "tokens", Permission.KEEP_ACCOUNTS, show),
    Page("POST", "/tokens", "token-add", Permission.KEEP_ACCOUNTS, add),
    Page("POST", "/tokens/revoke", "token-revoke", Permission.KEEP_ACCOUNTS, revoke),
)
