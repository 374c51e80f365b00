"""Tokens of programs: which count, from where, how often wrong ones may come, and what is told of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import select
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from expertmail.console.api import ApiParts
from expertmail.console.api_failures import MAX_ADDRESSES, MAX_FAILURES, WINDOW_SECONDS, Failures
from expertmail.console.api_incidents import MAX_ENTRIES, MAX_TEXT
from expertmail.console.api_work import MAX_WAITING, MAX_WORKING, Places
from expertmail.console.app import Console, ConsoleParts
from expertmail.metrics import Metrics
from threads.api_token import ApiToken, Scope, digest_of_token, public_id_of, token_text, why_refused
from threads.model import Assignee, EntryKind, Mark, State, TimelineEntry
from threads.schema import api_requests
from threads.store import (
    Database,
    RefusedRecord,
    add_organisation,
    append,
    list_threads,
    open_database,
    open_incident,
    thread_by_reference,
    upgrade,
)
from threads.store import thread as thread_store
from threads.store.api_tokens import add_token, find_token, list_tokens, revoke_token
from threads.store.circumstances import set_retention
from threads.store.people import organisation
from threads.store.tasks import list_tasks
from threads.store.thread import set_state, timeline_of
from threads.store.thread_retention import empty_thread

NOW = datetime(2026, 11, 25, 10, tzinfo=UTC)
TEXT = token_text(b"\x01" * 8, b"\x02" * 32)
RFC822 = {"Content-Type": "message/rfc822"}
ELSEWHERE = "192.0.2.7"


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class World:
    """A record, a clock, and one console on both."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = Clock()

        async def judge(raw: bytes) -> Mapping[str, Any]:
            del raw
            return {"verdict": "no-claim"}

        async def ready() -> Mapping[str, str]:
            await asyncio.sleep(0)
            return {}

        api = ApiParts(database, None, self.clock)  # type: ignore[arg-type]  # nothing is written to anybody here
        self.app = Console(ConsoleParts(judge, ready, Metrics(), 1_000, api, None)).application()

    def client(self, host: str = ELSEWHERE) -> TestClient:
        return TestClient(self.app, client=(host, 1), raise_server_exceptions=False)

    def ask(
        self, authorization: str | None, host: str = ELSEWHERE, path: str = "/incidents/INC-000001"
    ) -> Any:
        headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}
        return self.client(host).get(f"/api/v1{path}", headers=headers)

    def add(self, text: str = TEXT, name: str = "portal", **more: Any) -> ApiToken:
        with self.database.writing() as conn:
            return add_token(
                conn, text, name, more.pop("scopes", [Scope.READ_INCIDENTS]), NOW, by="ana", **more
            )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    database = open_database(f"sqlite:///{tmp_path}/record.db")
    upgrade(database)
    with database.writing() as conn:
        contoso = add_organisation(conn, "Contoso", NOW)
        open_incident(conn, contoso.id, "Odd sign-ins", NOW)
    yield World(database)
    database.close()


def test_a_token_is_stored_as_its_digest_and_shown_nowhere(world: World) -> None:
    made = world.add()
    assert made.digest == digest_of_token(TEXT)
    assert made.digest not in repr(made)
    with world.database.reading() as conn:
        rows = conn.exec_driver_sql("SELECT * FROM api_tokens").all()
    assert TEXT.rpartition("_")[2] not in repr(rows)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Basic {TEXT}",
        f"Bearer {TEXT[:-1]}",
        f"Bearer {TEXT}0",
        f"Bearer {TEXT[:-1]}f",
        f"Bearer {TEXT.replace('01', '03')}",
        f"Bearer {TEXT.upper()}",
        f"Bearer {TEXT} {TEXT}",
        "Bearer " + "x" * 10_000,
        "Bearer em1__",
        "Bearer \xe4",
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_no_token_that_counts_hears_the_same(world: World, authorization: str | None) -> None:
    world.add()
    assert world.ask(f"Bearer {TEXT}").status_code == 200
    nothing = world.ask(None, host="192.0.2.8")
    answer = world.ask(authorization)
    assert answer.status_code == nothing.status_code == 401
    assert answer.json() == nothing.json()
    assert answer.headers["www-authenticate"] == "Bearer"


def test_an_expired_or_revoked_token_hears_the_same_as_an_unknown_one(world: World) -> None:
    world.add(expires=NOW + timedelta(hours=1))
    assert world.ask(f"Bearer {TEXT}").status_code == 200
    unknown = world.ask(f"Bearer {token_text(b'9' * 8, b'9' * 32)}")
    world.clock.now += timedelta(hours=1)
    expired = world.ask(f"Bearer {TEXT}")
    other = token_text(b"5" * 8, b"5" * 32)
    world.add(other, "second")
    with world.database.writing() as conn:
        revoke_token(conn, "second", NOW, by="ana")
    revoked = world.ask(f"Bearer {other}")
    for one in (expired, revoked):
        assert (one.status_code, one.json(), one.headers["www-authenticate"]) == (
            401,
            unknown.json(),
            "Bearer",
        )


def test_two_authorization_fields_are_none(world: World) -> None:
    world.add()
    good = ("Authorization", f"Bearer {TEXT}")
    for fields in ([good, good], [good, ("Authorization", "Bearer x")]):
        assert world.client().get("/api/v1/incidents/INC-000001", headers=fields).status_code == 401


def test_why_a_token_does_not_count_is_decided_from_its_row_alone(world: World) -> None:
    made = world.add(expires=NOW + timedelta(days=1))
    assert why_refused(made, TEXT, NOW) is None
    assert why_refused(made, TEXT, NOW + timedelta(days=1)) == "expired"
    assert (
        why_refused(made, TEXT[:-1] + "f", NOW + timedelta(days=1)) == "unknown"
    )  # nothing is told without the secret
    assert why_refused(None, TEXT, NOW) == "unknown"


def test_wrong_tokens_of_one_address_are_soon_not_looked_at_and_a_proven_one_still_is(world: World) -> None:
    world.add()
    good, unknown = f"Bearer {TEXT}", token_text(b"7" * 8, b"7" * 32)
    assert world.ask(good).status_code == 200
    with capture_logs() as logs:
        assert [world.ask("Bearer x").status_code for _ in range(MAX_FAILURES)] == [401] * MAX_FAILURES
        late = world.ask("Bearer x")
    assert late.status_code == 429
    assert late.headers["retry-after"] == str(int(WINDOW_SECONDS))
    assert world.ask(f"Bearer {unknown}").status_code == 429
    assert world.ask(good).status_code == 200  # behind a proxy nobody can shut the portal out
    assert world.ask("Bearer x", host="192.0.2.9").status_code == 401
    told = [one["event"] for one in logs]
    assert told.count("API token refused") == MAX_FAILURES
    assert told.count("too many API tokens refused: waiting") == 1


def test_however_many_fail_at_one_proxy_a_token_on_record_is_let_in_from_its_first_request_on(
    world: World,
) -> None:
    world.add()
    revoked = token_text(b"8" * 8, b"8" * 32)
    world.add(revoked, "revoked")
    with world.database.writing() as conn:
        revoke_token(conn, "revoked", NOW, by="ana")
    assert [world.ask("Bearer x").status_code for _ in range(MAX_FAILURES + 1)][-2:] == [401, 429]
    assert world.ask(f"Bearer {revoked}").status_code == 429
    assert world.ask(f"Bearer {TEXT}").status_code == 200


def test_the_log_tells_why_and_holds_no_token(world: World) -> None:
    world.add(expires=NOW + timedelta(hours=1))
    world.clock.now += timedelta(hours=2)
    with capture_logs() as logs:
        world.ask(f"Bearer {TEXT}")
        world.ask(f"Bearer {TEXT[:-1]}f")
        world.ask(None)
    assert [(one["why"], one["token"]) for one in logs] == [
        ("expired", "portal"), ("unknown", None), ("missing", None),
    ]  # fmt: skip
    assert TEXT.split("_")[2][:8] not in repr(logs)


def test_the_failures_of_a_network_count_together_and_end_with_their_window() -> None:
    failures = Failures()
    for number in range(MAX_FAILURES):
        assert failures.may_try(f"2001:db8::{number:x}", None, 5.0)
        assert failures.failed(f"2001:db8::{number:x}", 5.0) == (number == MAX_FAILURES - 1)
    assert not failures.may_try("2001:db8::ffff", None, 5.0)
    assert failures.may_try("2001:db8:0:1::1", None, 5.0)
    assert failures.may_try("2001:db8::1", None, 5.0 + WINDOW_SECONDS)
    for number in range(MAX_FAILURES):
        failures.failed("::ffff:192.0.2.1" if number % 2 else "192.0.2.1", 5.0)
    assert not failures.may_try("192.0.2.1", None, 6.0)


def test_so_many_addresses_and_no_more_are_remembered() -> None:
    failures = Failures()
    for number in range(MAX_ADDRESSES + 100):
        failures.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)
    assert len(failures._at) == MAX_ADDRESSES


def test_the_last_use_is_written_down_once_a_minute(world: World) -> None:
    world.add()
    for seconds, noted in ((0, 0), (59, 0), (60, 60), (61, 60), (200, 200)):
        world.clock.now = NOW + timedelta(seconds=seconds)
        assert world.ask(f"Bearer {TEXT}").status_code == 200
        with world.database.reading() as conn:
            found = find_token(conn, public_id_of(TEXT) or "")
        assert found is not None
        assert found.last_used_at == NOW + timedelta(seconds=noted)


def test_a_token_whose_only_customer_was_forgotten_may_touch_nobody(world: World) -> None:
    with world.database.reading() as conn:
        contoso = conn.exec_driver_sql("SELECT id FROM organisations").scalar_one()
    with world.database.writing() as conn:
        other = add_organisation(conn, "Fabrikam", NOW)
    world.add(organisations=[other])
    assert world.ask(f"Bearer {TEXT}").status_code == 404
    with world.database.writing() as conn:
        conn.exec_driver_sql("DELETE FROM api_token_organisations")
    with world.database.reading() as conn:
        (found,) = list_tokens(conn)
    assert found.organisations == frozenset()
    assert not found.may_touch(contoso)
    assert world.ask(f"Bearer {TEXT}").status_code == 404


@pytest.mark.parametrize("name", ["", "Portal", "a b", "-a", "a\n", "x" * 61, "é"])
def test_a_name_that_is_none_is_refused(world: World, name: str) -> None:
    with pytest.raises(RefusedRecord, match="name"):
        world.add(name=name)


def test_a_name_is_given_once_and_no_token_is_without_scope_or_already_over(world: World) -> None:
    world.add()
    other = token_text(b"5" * 8, b"5" * 32)
    with pytest.raises(RefusedRecord, match="named portal"):
        world.add(other)
    with pytest.raises(RefusedRecord, match="scope"):
        world.add(other, "second", scopes=[])
    with pytest.raises(RefusedRecord, match="past"):
        world.add(other, "second", expires=NOW)


def test_a_verdict_may_be_asked_from_elsewhere_with_a_token_and_from_here_without_one(world: World) -> None:
    reader, judge = token_text(b"5" * 8, b"5" * 32), TEXT
    world.add(reader, "reader")
    world.add(judge, "judge", scopes=[Scope.VERIFY])
    for host, token, status in (
        ("127.0.0.1", None, 200),
        ("::1", None, 200),
        ("127.0.0.1", judge, 200),
        ("127.0.0.1", "wrong", 401),  # a token that is over is told of here, too
        ("127.0.0.1", reader, 403),
        (ELSEWHERE, None, 401),
        (ELSEWHERE, "wrong", 401),
        (ELSEWHERE, reader, 403),
        (ELSEWHERE, judge, 200),
    ):
        headers = {**RFC822, **({} if token is None else {"Authorization": f"Bearer {token}"})}
        answer = world.client(host).post("/api/v1/verify", content=b"From: a@b.test\r\n\r\n", headers=headers)
        assert answer.status_code == status, (host, token)


def test_a_database_that_cannot_be_had_is_told_without_its_name(world: World) -> None:
    world.add()
    path = world.database.path
    assert path is not None
    world.database.close()
    path.write_bytes(b"no database " * 1_000)
    answer = world.ask(f"Bearer {TEXT}")
    assert answer.status_code == 503
    assert "database" in answer.json()["error"]
    assert str(path) not in answer.text


def test_of_released_mail_that_nobody_proved_a_portal_sees_only_that_it_is_there(world: World) -> None:
    world.add()
    with world.database.writing() as conn:
        thread = thread_by_reference(conn, "INC-000001")
        for mark, text in ((Mark.UNVERIFIED, "Pay this invoice"), (Mark.VERIFIED, "x" * (MAX_TEXT + 1))):
            append(
                conn,
                thread.id,
                NOW,
                EntryKind.MAIL_IN,
                actor="a@b.test",
                mark=mark,
                text=text,
                quoted="> old",
            )
    answer = world.ask(f"Bearer {TEXT}")
    *_, unproven, proven = answer.json()["timeline"]
    assert (unproven["mark"], unproven["text"], unproven["actor"]) == ("unverified", None, None)
    assert (proven["actor"], len(proven["text"]), proven["cut"]) == ("a@b.test", MAX_TEXT, True)
    assert "old" not in answer.text


def test_a_long_timeline_is_answered_with_its_end(world: World) -> None:
    world.add()
    with world.database.writing() as conn:
        thread = thread_by_reference(conn, "INC-000001")
        for number in range(MAX_ENTRIES):
            append(conn, thread.id, NOW, EntryKind.STATE, actor="ana", mark=Mark.EXPERT, text=str(number))
    told = world.ask(f"Bearer {TEXT}").json()
    assert [one["text"] for one in told["timeline"]] == [str(number) for number in range(MAX_ENTRIES)]
    assert told["timeline_complete"] is False
    # Notes stay with the experts, and take no place from what a portal sees.
    with world.database.writing() as conn:
        for _ in range(MAX_ENTRIES):
            append(conn, thread.id, NOW, EntryKind.NOTE, actor="ana", mark=Mark.EXPERT, text="The CFO?")
    assert world.ask(f"Bearer {TEXT}").json() == told


def test_what_was_posted_is_not_done_anew_when_its_content_is_not_kept_any_longer(world: World) -> None:
    world.add(scopes=[Scope.WRITE_INCIDENTS])
    headers = {"Authorization": f"Bearer {TEXT}", "Idempotency-Key": "k"}
    posts = (
        ("/api/v1/incidents", {"organisation": "Contoso", "title": "T"}),
        ("/api/v1/incidents/INC-000002/tasks", {"title": "Look"}),
    )
    assert [world.client().post(path, json=form, headers=headers).status_code for path, form in posts] == [
        201,
        201,
    ]
    over = NOW + timedelta(days=9)
    with world.database.writing() as conn:
        thread = thread_by_reference(conn, "INC-000002")
        set_retention(conn, organisation(conn, thread.organisation_id), 1)
        set_state(conn, thread.id, State.RESOLVED, NOW, actor="ana", assigned_to=Assignee.UNASSIGNED)
        assert empty_thread(conn, thread.id, over, by="ana")
    again = [world.client().post(path, json=form, headers=headers) for path, form in posts]
    assert [one.status_code for one in again] == [201, 404]
    assert (again[0].json()["reference"], again[0].headers["idempotent-replayed"]) == ("INC-000002", "true")
    with world.database.reading() as conn:
        assert [one.reference for one in list_threads(conn)] == ["INC-000002", "INC-000001"]
        assert list_tasks(conn, thread.id) == ()
        assert set(conn.execute(select(api_requests.c.digest)).scalars()) == {""}


def test_of_a_long_timeline_no_more_is_read_than_is_answered(world: World) -> None:
    world.add(scopes=[Scope.READ_INCIDENTS, Scope.WRITE_INCIDENTS])
    with world.database.writing() as conn:
        thread = thread_by_reference(conn, "INC-000001")
        for number in range(3 * MAX_ENTRIES):
            append(conn, thread.id, NOW, EntryKind.CHAT, actor="ana", mark=Mark.EXPERT, text=f"word {number}")
        assert [one.text for one in timeline_of(conn, thread.id, latest=2)] == [
            f"word {3 * MAX_ENTRIES - 2}",
            f"word {3 * MAX_ENTRIES - 1}",
        ]
        assert len(timeline_of(conn, thread.id)) == 3 * MAX_ENTRIES + 1
        assert len(timeline_of(conn, thread.id, latest=5, without={EntryKind.CHAT})) == 1
    made: list[int] = []
    with patch.object(
        thread_store, "TimelineEntry", side_effect=lambda *a: made.append(1) or TimelineEntry(*a)
    ):
        assert world.ask(f"Bearer {TEXT}").status_code == 200
        headers = {"Authorization": f"Bearer {TEXT}"}
        changed = world.client().patch(
            "/api/v1/incidents/INC-000001", json={"severity": "Low"}, headers=headers
        )
        assert changed.status_code == 200
    assert len(made) <= MAX_ENTRIES + 2


def test_a_body_of_unknown_length_is_cut_at_the_cap(world: World) -> None:
    world.add(scopes=[Scope.WRITE_INCIDENTS])

    def endless() -> Iterator[bytes]:
        for _ in range(1_000):
            yield b" " * 1_000

    headers = {"Authorization": f"Bearer {TEXT}", "Idempotency-Key": "k", "Content-Type": "application/json"}
    answer = world.client().post("/api/v1/incidents", content=endless(), headers=headers)
    assert answer.status_code == 413


def test_a_body_whose_end_is_told_twice_is_refused(world: World) -> None:
    world.add(scopes=[Scope.WRITE_INCIDENTS])
    headers = {"Authorization": f"Bearer {TEXT}", "Idempotency-Key": "k", "Content-Type": "application/json"}
    body = b'{"organisation": "Contoso", "title": "T"}'
    twice = {**headers, "Transfer-Encoding": "chunked", "Content-Length": str(len(body))}
    answer = world.client().post("/api/v1/incidents", content=body, headers=twice)
    assert (answer.status_code, answer.headers["connection"]) == (400, "close")
    assert world.client().post("/api/v1/incidents", content=body, headers=headers).status_code == 201


def test_only_so_many_requests_may_wait() -> None:
    async def crowd() -> None:
        places = Places()
        async with AsyncExitStack() as stack:
            for _ in range(MAX_WORKING + MAX_WAITING):
                await stack.enter_async_context(places.presence())
            with pytest.raises(HTTPException) as refused:
                await stack.enter_async_context(places.presence())
            assert refused.value.status_code == 503
        async with places.presence():  # they went, and there is room again
            assert await places.run(lambda: 5) == 5

    asyncio.run(crowd())


def test_tokens_are_made_shown_once_listed_and_revoked_at_the_command_line(command) -> None:
    assert command("dns", "show").code == 0
    assert command("orgs", "add", "Contoso").code == 0
    made = command(
        "tokens",
        "add",
        "portal",
        "--scope",
        "incidents:read",
        "--org",
        "contoso",
        "--expires",
        "2999-01-31",
        "--by",
        "ana",
    )
    assert made.code == 0, made.err
    text = made.out.strip()
    assert public_id_of(text) is not None
    (listed,) = command("tokens", "list", "--json").json
    assert (listed["state"], listed["scopes"], listed["organisations"]) == (
        "in force",
        ["incidents:read"],
        ["Contoso"],
    )
    assert listed["expires_at"].startswith("2999-01-31T00:00:00")
    assert digest_of_token(text) not in command("tokens", "list", "--json").out
    assert text.rpartition("_")[2] not in command("tokens", "list").out
    assert command("tokens", "revoke", "portal", "--by", "ben").code == 0
    assert command("tokens", "list", "--json").json[0]["state"] == "revoked"
    assert command("tokens", "revoke", "portal").code == 65
    assert command("tokens", "revoke", "nobody").code == 66
    trail = command("audit", "show").out
    assert "token-added" in trail
    assert "token-revoked" in trail
    assert text.rpartition("_")[2] not in trail


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("portal",), 64),
        (("portal", "--scope", "everything"), 64),
        (("Portal", "--scope", "verify"), 65),
        (("portal", "--scope", "verify", "--expires", "soon"), 65),
        (("portal", "--scope", "verify", "--expires", "2001-01-01"), 65),
        (("portal", "--scope", "verify", "--expires", "0001-01-01T00:00:00+14:00"), 65),
        (("portal", "--scope", "verify", "--expires", "9999-12-31T23:59:59-14:00"), 65),
        (("portal", "--scope", "verify", "--org", "Nobody"), 66),
    ],
)
def test_a_token_that_cannot_be_is_not_made(command, arguments: tuple[str, ...], code: int) -> None:
    assert command("dns", "show").code == 0
    refused = command("tokens", "add", *arguments)
    assert refused.code == code
    assert "em1_" not in refused.out
