"""A small world for outgoing mail: a database, a customer, an incident, a key, a letterhead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from outbound.compose import Office
from outbound.dispatch import Signer
from outbound.key_files import generate_key
from outbound.model import Letterhead, SelfCheck, Sender
from outbound.sign import SigningKey
from outbound.template import TemplateSet
from outbound.template_files import load_templates
from threads.model import Contact, Thread
from threads.reply_address import ReplyAddresses
from threads.store.engine import Database, open_database
from threads.store.migration import upgrade
from threads.store.people import add_contact, add_organisation
from threads.store.thread import open_incident
from threads.store.writer import Writer

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SENDER = Sender("Defender Experts", "defender-experts@experts.test", "experts.test", "s1")
LETTERHEAD = Letterhead(
    SENDER, "Defender Experts", "verify@experts.test", "query@experts.test", "reply.experts.test"
)
REQUEST = {
    "opening": "We saw a sign-in from an address that is new to us.",
    "questions": ("Was this you?", "Which device was used?"),
    "expert": "Ana, Defender Experts",
}


@pytest.fixture(scope="session")
def templates() -> TemplateSet:
    return load_templates()


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return generate_key(tmp_path_factory.mktemp("keys") / "s1.pem")


@pytest.fixture(scope="session")
def signer(key: SigningKey) -> Signer:
    return Signer(SENDER, key)


@pytest.fixture(scope="session")
def office(templates: TemplateSet) -> Office:
    return Office(LETTERHEAD, templates, ReplyAddresses([b"k" * 32], LETTERHEAD.reply_domain).mint)


@dataclass(frozen=True)
class Record:
    database: Database
    writer: Writer
    incident: Thread
    contact: Contact


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    database = open_database(f"sqlite:///{tmp_path / 'record.db'}")
    upgrade(database)
    with database.writing() as conn:
        customer = add_organisation(conn, "Contoso", NOW)
        contact = add_contact(conn, customer.id, "ana@contoso.test", "Ana Lee", NOW)
        incident = open_incident(conn, customer.id, "Odd sign-in", NOW)
    writer = Writer(database)
    yield Record(database, writer, incident, contact)
    writer.close()
    database.close()


async def always_genuine(_raw: bytes) -> SelfCheck:
    return SelfCheck(genuine=True, verdict="genuine")
