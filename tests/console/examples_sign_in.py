"""Signing in, setting up, and one's own account."""

from __future__ import annotations

import secrets

from expertmail.console.invitations import new_link
from tests.console.examples import Example
from tests.console.place import Place, now
from threads.access import Grant, Role
from threads.store.accounts import add_account


def set_up_path(place: Place) -> str:
    """A link for an account of its own."""
    place.person(Role.ADMIN)  # somebody has to be
    with place.database.writing() as conn:
        one = add_account(
            conn, f"new-{secrets.token_hex(4)}", "", [Grant(Role.CUSTOMER, None)], now(), by="test"
        )
        return f"/set-up/{new_link(conn, one.id, now(), by='test')}"


EXAMPLES: tuple[Example, ...] = (
    Example("sign-in", lambda _: "/sign-in", "all"),
    Example("sign-in-try", lambda _: "/sign-in", "all", lambda _: {"name": "x", "password": "y"}),
    Example("sign-in-code", lambda _: "/sign-in/code", "all"),
    Example("sign-in-code-try", lambda _: "/sign-in/code", "all", lambda _: {"code": "1"}),
    Example("sign-out", lambda _: "/sign-out", "all"),
    Example("set-up", set_up_path, "all"),
    Example("set-up-do", set_up_path, "all"),
    Example("account", lambda _: "/account", "all"),
    Example("account-password", lambda _: "/account/password", "all"),
    Example("second-factor", lambda _: "/account/second-factor", "all"),
    Example("second-factor-on", lambda _: "/account/second-factor", "all"),
    Example("second-factor-off", lambda _: "/account/second-factor/off", "all"),
    Example("recovery-codes", lambda _: "/account/recovery-codes", "all"),
    Example("account-sessions", lambda _: "/account/sessions", "all"),
)
