"""A record with a customer in it, for the tests of the store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from threads import store
from threads.model import (
    Arrival,
    Contact,
    Disposition,
    Filing,
    MatchRule,
    MessageKind,
    Organisation,
    Standing,
    StandingKind,
    Strength,
    Thread,
    ThreadMatch,
)

AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
# How the declared tables are compared with those that are there: the words to search in are each database's own.
COMPARED = {
    "compare_type": True,
    "include_name": lambda name, kind, _parents: kind != "table" or not name.startswith("search_words"),
}
NOTHING = ThreadMatch(None, MatchRule.NONE, "nothing in it names a thread")


@dataclass(frozen=True)
class World:
    """A database with Contoso, its contact Alex and one incident."""

    database: store.Database
    contoso: Organisation
    alex: Contact
    incident: Thread


@pytest.fixture
def database(tmp_path: Path) -> Iterator[store.Database]:
    opened = store.open_database(f"sqlite:///{tmp_path / 'record.db'}")
    store.upgrade(opened)
    yield opened
    opened.close()


def populate(database: store.Database) -> World:
    with database.writing() as conn:
        contoso = store.add_organisation(conn, "Contoso", AT)
        store.add_domain(conn, contoso.id, "contoso.test", AT, verified=True)
        alex = store.add_contact(conn, contoso.id, "Alex@contoso.test", "Alex", AT)
        incident = store.open_incident(conn, contoso.id, "Odd sign-in", AT)
    return World(database, contoso, alex, incident)


@pytest.fixture
def world(database: store.Database) -> World:
    return populate(database)


def arrival(
    raw: bytes = b"From: alex@contoso.test\r\n\r\nhello\r\n",
    *,
    copy_id: str = "01A",
    mail_from: str = "alex@contoso.test",
    **changes: object,
) -> Arrival:
    values: dict[str, object] = {
        "id": copy_id,
        "raw": raw,
        "sha256": hashlib.sha256(raw).hexdigest(),
        "mail_from": mail_from,
        "rcpt_to": "query@experts.test",
        "received_at": AT,
        "client_ip": "192.0.2.1",
        "helo": "mail.contoso.test",
        "tls": None,
        "message_id": "<m1@contoso.test>",
        "subject": "Re: Odd sign-in",
        "author": "alex@contoso.test",
        "kind": MessageKind.HUMAN,
        "verdict": "no-claim",
        "report": '{"verdict": "no-claim"}',
        "evidence": '{"answers": []}',
        "evaluator": "1",
        "settings_hash": "0" * 64,
        **changes,
    }
    return Arrival(**values)  # type: ignore[arg-type]


def filing(
    disposition: Disposition,
    standing: StandingKind = StandingKind.CONTACT,
    *,
    thread_id: int | None = None,
    text: str = "hello",
) -> Filing:
    return Filing(
        disposition,
        "because",
        Standing(standing, "it says so", strength=Strength.STRONG),
        NOTHING,
        thread_id,
        text,
        "> old",
    )
