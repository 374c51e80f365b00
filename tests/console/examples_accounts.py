"""Accounts and tokens."""

from __future__ import annotations

from tests.console.examples import Example
from tests.console.place import Place, now
from threads.access import Grant, Role
from threads.store.accounts import add_account, find_account


def kept(rest: str = ""):
    def path(place: Place) -> str:
        place.person(Role.ADMIN)  # somebody has to be
        with place.database.writing() as conn:
            if find_account(conn, "kept.one") is None:
                add_account(
                    conn, "kept.one", "Kept One", [Grant(Role.ANALYST, place.contoso.id)], now(), by="test"
                )
        return f"/accounts/kept.one{rest}"

    return path


EXAMPLES: tuple[Example, ...] = (
    Example("accounts", lambda _: "/accounts", "all"),
    Example("account-add", lambda _: "/accounts", "all", lambda _: {"name": "x y", "role": "analyst"}),
    Example("account-kept", kept(), "contoso"),
    Example("account-roles", kept("/roles"), "contoso"),
    Example("account-state", kept("/state"), "contoso"),
    Example("account-link", kept("/link"), "contoso"),
    Example("oidc", lambda _: "/sign-in/oidc", "all", off=True),
    Example("oidc-answer", lambda _: "/sign-in/oidc/answer", "all", off=True),
    Example("tokens", lambda _: "/tokens", "all"),
    Example("token-add", lambda _: "/tokens", "all", lambda _: {"name": "x y", "scope": "verify"}),
    Example("token-revoke", lambda _: "/tokens/revoke", "all", lambda _: {"name": "none"}),
)
