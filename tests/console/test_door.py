"""The door: sessions that count and those that do not, and what is told when too many come at one time."""

from __future__ import annotations

import socket
import time
from datetime import timedelta

import pytest
from sqlalchemy import update

from expertmail.console.api_work import MAX_WAITING, MAX_WORKING
from expertmail.console.pages.security import Place as ConsolePlace
from expertmail.console.pages.security import local_path
from tests.console.place import Place, now
from threads.access import Role
from threads.schema import account_sessions
from threads.store.accounts import disable_account
from threads.store.sessions import end_session, session_in_force


def shown(place: Place, cookie: str) -> bool:
    answer = place.ask("GET", "/", headers={"Cookie": f"expertmail={cookie}"})
    assert answer.status == 303
    return answer.headers["location"] != "/sign-in"


def test_a_session_counts_until_it_is_ended_idle_or_over(place: Place) -> None:
    person = place.person(Role.ANALYST, name="whose-session-ends")
    assert shown(place, person.secret)
    with place.database.reading() as conn:
        found = session_in_force(conn, person.secret, now())
    assert found is not None
    mine = account_sessions.c.id == found[0].id
    for changed in (
        {"ended_at": now()},
        {"ends_at": now() - timedelta(seconds=1)},
        {"seen_at": now() - timedelta(hours=2)},
    ):
        before = {name: getattr(found[0], name) for name in changed}
        with place.database.writing() as conn:
            conn.execute(update(account_sessions).where(mine).values(changed))
        assert not shown(place, person.secret), changed
        with place.database.writing() as conn:
            conn.execute(update(account_sessions).where(mine).values(before))
        assert shown(place, person.secret)
    with place.database.writing() as conn:
        assert end_session(conn, found[0].id, now(), by="test")
    assert not shown(place, person.secret)


def test_a_disabled_account_is_out_at_once(place: Place) -> None:
    person = place.person(Role.ANALYST, name="who-leaves")
    with place.database.writing() as conn:
        disable_account(conn, person.account.id, now(), by="test")
    assert not shown(place, person.secret)


@pytest.mark.parametrize("cookie", ["", "x", "0" * 63, "0" * 64, "0" * 65, "G" * 64, "é" * 64, "'--"])
def test_a_cookie_that_is_none_is_nobody(place: Place, cookie: str) -> None:
    field = f"expertmail={cookie}".encode().decode("latin-1")
    answer = place.ask("GET", "/", headers={"Cookie": field})
    assert (answer.status, answer.headers["location"]) == (303, "/sign-in")


def test_who_comes_when_too_many_are_there_is_told_so_at_once(place: Place) -> None:
    person = place.person(Role.ADMIN)
    waiting = []
    head = (
        f"POST /sign-out HTTP/1.1\r\nHost: 127.0.0.1:{place.served.console_port}\r\nOrigin: {place.url}\r\n"
        f"Cookie: {person.cookie}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\n"
    )
    try:
        for _ in range(MAX_WORKING + MAX_WAITING):
            waiting.append(socket.create_connection(("127.0.0.1", place.served.console_port)))
            waiting[-1].sendall(head.encode())
        answer = place.ask("GET", "/", person=person)
        deadline = time.monotonic() + 20
        while (
            answer.status != 503 and time.monotonic() < deadline
        ):  # they have all come in by now, or very soon
            answer = place.ask("GET", "/", person=person)
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.text == "Too many requests at one time; try again."
    finally:
        for one in waiting:
            one.close()


@pytest.mark.parametrize(
    ("url", "host", "known"),
    [
        (None, "127.0.0.1:8025", True),
        (None, "localhost", True),
        (None, "[::1]:8025", True),
        (None, "127.9.9.9", True),
        (None, "console.experts.test", False),
        (None, "127.0.0.1.evil.test", False),
        (None, "localhost.evil.test", False),
        (None, "", False),
        ("https://console.experts.test", "console.experts.test", True),
        ("https://console.experts.test", "CONSOLE.experts.test", True),
        ("https://console.experts.test", "console.experts.test:8025", False),
        ("https://console.experts.test", "evil.test", False),
    ],
)
def test_only_our_own_names_are_answered(url: str | None, host: str, *, known: bool) -> None:
    assert ConsolePlace(url).is_host(host) is known


@pytest.mark.parametrize(
    ("url", "origin", "host", "ours"),
    [
        (None, "http://127.0.0.1:8025", "127.0.0.1:8025", True),
        (None, "http://127.0.0.1:8026", "127.0.0.1:8025", False),
        (None, "https://127.0.0.1:8025", "127.0.0.1:8025", False),
        (None, "http://evil.test", "evil.test", False),
        ("https://c.test", "https://c.test", "c.test", True),
        ("https://c.test", "http://c.test", "c.test", False),
        ("https://c.test", "https://c.test.evil.test", "c.test", False),
        ("https://c.test", "null", "c.test", False),
    ],
)
def test_forms_come_from_our_own_pages(url: str | None, origin: str, host: str, *, ours: bool) -> None:
    assert ConsolePlace(url).is_origin(origin, host) is ours


@pytest.mark.parametrize(
    ("asked", "goes"),
    [
        ("/incidents?state=Active", "/incidents?state=Active"),
        ("//evil.test", "/"),
        ("/\\evil.test", "/"),
        ("https://evil.test", "/"),
        ("javascript:alert(1)", "/"),
        ("/x\r\nSet-Cookie: a=b", "/"),
        ("/a\\b", "/"),
        ("", "/"),
    ],
)
def test_after_signing_in_nobody_is_sent_elsewhere(asked: str, goes: str) -> None:
    assert local_path(asked) == goes
