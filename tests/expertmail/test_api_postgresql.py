"""The HTTP interface on several nodes with one PostgreSQL: what one key asks for is done once, whoever is asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from expertmail.console.api_forms import NewIncident, NewTask
from expertmail.console.api_incidents import add_task_, open_
from expertmail.letters import Letter, Posted, post_letter
from expertmail.settings import load
from expertmail.world import open_world
from outbound.model import MailKind, SelfCheck
from outbound.store import list_outbox
from tests.threads.test_postgresql import server  # the fixture
from threads.api_token import Scope, token_text
from threads.model import EntryKind
from threads.store import (
    Database,
    add_contact,
    add_organisation,
    list_threads,
    open_database,
    open_incident,
    upgrade,
)
from threads.store.api_tokens import add_token, find_token, list_tokens, note_use, revoke_token
from threads.store.tasks import list_tasks
from threads.store.thread import timeline_of

__all__ = ["server"]

NOW = datetime(2026, 11, 25, 10, tzinfo=UTC)
AT_ONCE = 12


@pytest.fixture
def database(server: str) -> Iterator[Database]:
    made = open_database(server)
    with made.writing() as conn:
        conn.exec_driver_sql("DROP SCHEMA public CASCADE")
        conn.exec_driver_sql("CREATE SCHEMA public")
    upgrade(made)
    yield made
    made.close()


def test_one_key_makes_one_incident_and_one_task_however_many_ask_at_one_time(database: Database) -> None:
    with database.writing() as conn:
        contoso = add_organisation(conn, "Contoso", NOW)
        text = token_text(b"1" * 8, b"2" * 32)
        token = add_token(
            conn, text, "portal", [Scope.WRITE_INCIDENTS], NOW, by="ana", organisations=[contoso]
        )
    together = threading.Barrier(AT_ONCE)
    incident = NewIncident(organisation="Contoso", title="Once")

    def opened(_: int) -> tuple[str, bool]:
        together.wait(30)
        told, again = open_(database, token, incident, key="k", now=NOW)
        return told["reference"], again

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(opened, range(AT_ONCE)))
    assert len({reference for reference, _ in answers}) == 1
    assert sum(not again for _, again in answers) == 1
    with database.reading() as conn:
        (thread,) = list_threads(conn)

    def added(_: int) -> tuple[int, bool]:
        together.wait(30)
        told, again = add_task_(database, token, thread.reference, NewTask(title="Look"), key="k", now=NOW)
        return told["number"], again

    with ThreadPoolExecutor(AT_ONCE) as pool:
        tasks = list(pool.map(added, range(AT_ONCE)))
    assert {number for number, _ in tasks} == {1}
    assert sum(not again for _, again in tasks) == 1
    with database.reading() as conn:
        assert len(list_tasks(conn, thread.id)) == 1


def test_tokens_are_kept_used_and_ended_there_too(database: Database) -> None:
    text = token_text(b"1" * 8, b"2" * 32)
    with database.writing() as conn:
        made = add_token(
            conn, text, "portal", list(Scope), NOW, by="ana", expires=datetime(2027, 1, 1, tzinfo=UTC)
        )
        note_use(conn, made, NOW)
        revoke_token(conn, "portal", NOW, by="ben")
    with database.reading() as conn:
        found = find_token(conn, made.public_id)
        assert (found,) == list_tokens(conn)
    assert found is not None
    assert (found.last_used_at, found.revoked_by, found.scopes) == (NOW, "ben", frozenset(Scope))


def test_one_key_sends_one_mail_to_each_address_whichever_node_is_asked(
    database: Database, server: str, command: Callable[..., Any]
) -> None:
    assert command("dns", "show").code == 0
    world = open_world(load(None))
    with database.writing() as conn:
        contoso = add_organisation(conn, "Contoso", NOW)
        add_contact(conn, contoso.id, "ana@contoso.test", "Ana", NOW)
        thread = open_incident(conn, contoso.id, "Odd sign-ins", NOW)
    other = open_database(server)
    letter = Letter(
        MailKind.REPLY, thread.reference, ("ana@contoso.test", "counsel@lawyers.test"), {"text": "We saw it."},
        actor="portal", key="k", outside="they asked", not_after=datetime.now(UTC) + timedelta(hours=1),
    )  # fmt: skip
    together = threading.Barrier(AT_ONCE)

    async def check(raw: bytes) -> SelfCheck:
        return SelfCheck(genuine=True, verdict="genuine")

    def post(number: int) -> Posted:
        together.wait(30)
        return asyncio.run(
            post_letter(world, (database, other)[number % 2], letter, datetime.now(UTC), check)
        )

    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(post, range(AT_ONCE)))
    finally:
        other.close()
    assert len({tuple(mail.number for mail in one.mails) for one in answers}) == 1
    assert sum(not one.known for one in answers) == 1
    with database.reading() as conn:
        assert sorted(one.rcpt_to for one in list_outbox(conn)) == [
            "ana@contoso.test",
            "counsel@lawyers.test",
        ]
        notes = [one.text for one in timeline_of(conn, thread.id, latest=5) if one.kind is EntryKind.NOTE]
    assert sum("they asked" in one for one in notes) == 1
