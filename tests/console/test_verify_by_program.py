"""``POST /api/v1/verify`` is for everybody on this machine until there are accounts; then it takes a token."""

from __future__ import annotations

import secrets

from tests.console.place import Place, now
from threads.access import Grant, Role
from threads.api_token import ID_BYTES, SECRET_BYTES, Scope, token_text
from threads.store.accounts import add_account
from threads.store.api_tokens import add_token

MESSAGE = b"From: a@b.test\r\n\r\nx\r\n"


def asked(place: Place, **headers: str) -> int:
    fields = {"Content-Type": "message/rfc822", "Origin": None, **headers}
    return place.ask("POST", "/api/v1/verify", MESSAGE, headers=fields).status


def test_a_program_on_this_machine_needs_a_token_once_there_are_accounts(place: Place) -> None:
    assert asked(place) == 200
    token = token_text(secrets.token_bytes(ID_BYTES), secrets.token_bytes(SECRET_BYTES))
    with place.database.writing() as conn:
        add_account(conn, "first", "", [Grant(Role.ADMIN, None)], now(), by="test")
        add_token(conn, token, "verifies", [Scope.VERIFY], now(), by="test")
    assert asked(place) == 401
    assert asked(place, Authorization=f"Bearer {token}") == 200
    assert asked(place, Authorization="Bearer made up") == 401
