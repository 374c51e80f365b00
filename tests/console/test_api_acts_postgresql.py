"""The console's actions by programs with PostgreSQL: no text breaks a query, and what one key asks for is done once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from expertmail.console.api_incident_acts import NewNote, note
from expertmail.console.api_notifications import Outgoing
from expertmail.console.api_operation import Call, Nothing, Operation
from expertmail.console.api_operations import OPERATIONS
from expertmail.settings import load
from expertmail.world import World, open_world
from outbound.model import SelfCheck
from tests.proofs.served import Served
from tests.threads.test_postgresql import server  # the fixture
from threads.api_token import ApiToken, Scope, token_text
from threads.model import EntryKind
from threads.store import (
    Database,
    add_contact,
    add_organisation,
    open_database,
    open_incident,
    upgrade,
)
from threads.store.api_tokens import add_token
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.people import organisation_named
from threads.store.thread import timeline_of

__all__ = ["server"]

NOW = datetime(2026, 11, 25, 10, tzinfo=UTC)
AT_ONCE = 8
HOSTILE = (
    "a\0b",
    "\ud7ff\U0010ffff",
    "%",
    "'; --",
    "2147483647",
    "9" * 10,
    "n9",
    "INC-000001",
    "x" * 60,
    "7K3M-9QXB-2TFA",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    served = Served(tmp_path_factory.mktemp("world"), forked=True)
    served.run("dns", "show")
    return open_world(load(served.config))


@pytest.fixture(scope="module")
def database(server: str) -> Iterator[Database]:
    made = open_database(server)
    with made.writing() as conn:
        conn.exec_driver_sql("DROP SCHEMA public CASCADE")
        conn.exec_driver_sql("CREATE SCHEMA public")
    upgrade(made)
    with made.writing() as conn:
        contoso = add_organisation(conn, "Contoso", NOW)
        add_contact(conn, contoso.id, "alice@contoso.test", "Alice", NOW)
        open_incident(conn, contoso.id, "Odd sign-ins", NOW)
    yield made
    made.close()


@pytest.fixture(scope="module")
def token(database: Database) -> ApiToken:
    with database.writing() as conn:
        return add_token(conn, token_text(b"1" * 8, b"2" * 32), "portal", list(Scope), NOW, by="ana")


async def _genuine(raw: bytes) -> SelfCheck:
    return SelfCheck(genuine=True, verdict="genuine")


def call(database: Database, world: World, token: ApiToken, path: dict[str, str], key: str = "k") -> Call:
    return Call(database, Outgoing(world, _genuine, lambda: None), token, NOW, path, key)


def forms(operation: Operation, text: str) -> Iterator[Any]:
    """The forms in which a text stands in one of the fields; the others are fit."""
    if operation.form is Nothing:
        yield Nothing()
        return
    fit: dict[str, Any] = {
        "organisation": "Contoso", "words": "sign", "text": "A note", "mails": ["x"], "title": "Apart", "into": "INC-000001",
        "request": 1, "word": "refuse", "digest": "0" * 64, "reason": "why", "address": "a@b.test", "name": "Dan",
        "mode": "untrusted", "code": "ABCD", "domain": "tailspin.test", "kind": "reminder",
    }  # fmt: skip
    fields = operation.form.model_fields
    needed = {name: fit.get(name, text) for name, one in fields.items() if one.is_required()}
    needed |= {
        "move-mails": {"title": "Apart"},
        "change-contact": {"phone": "1"},
        "stand-for-mail": {"word": "give"},
    }.get(operation.name, {})
    with suppress(ValidationError):
        yield operation.form.model_validate(needed)
    for name in fields:
        rest = {word: value for word, value in needed.items() if (word, name) != ("title", "to")}
        for value in (text, [text]):
            with suppress(ValidationError):
                yield operation.form.model_validate({**rest, name: value})


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_no_text_is_more_than_the_record_takes(
    database: Database, world: World, token: ApiToken, operation: Operation
) -> None:
    done = 0
    for text in HOSTILE:
        paths = [dict.fromkeys(operation.places, text)]
        paths += [{"reference": "INC-000001", "number": "1", "contact": "1", "id": "x"}]
        for number, path in enumerate(paths):
            for other, form in enumerate(forms(operation, text)):
                key = f"{text.encode()!r} {number} {other}"
                try:
                    operation.work(call(database, world, token, path, key), form)
                except (HTTPException, UnknownRecord, RefusedRecord):
                    continue
                finally:
                    done += 1
    assert done, "no form was fit; say in `forms` what its fields need"


def test_a_note_that_several_ask_for_with_one_key_is_written_once(
    database: Database, world: World, token: ApiToken
) -> None:
    together = threading.Barrier(AT_ONCE)
    with database.writing() as conn:
        thread = open_incident(conn, organisation_named(conn, "Contoso").id, "Another", NOW)

    def noted(_: int) -> bool:
        together.wait(30)
        path = {"reference": thread.reference}
        return note(call(database, world, token, path), NewNote(text="Once")).again

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert sorted(pool.map(noted, range(AT_ONCE))) == [False] + [True] * (AT_ONCE - 1)
    with database.reading() as conn:
        entries = timeline_of(conn, thread.id)
    assert [one.text for one in entries if one.kind is EntryKind.NOTE] == ["Once"]
