"""A small world for outgoing mail: a database, a customer, an incident, a key, a letterhead."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from outbound.compose import Office, compose, stamp
from outbound.delivery import Handover
from outbound.dispatch import Signer, prepare
from outbound.key_files import generate_key
from outbound.model import Letterhead, MailKind, Reply, SelfCheck, Sender
from outbound.orders import acknowledgement
from outbound.schema import automatic_orders
from outbound.sign import SigningKey
from outbound.store import list_outbox, order_automatic, queue_outgoing, work_waits
from outbound.template import TemplateSet
from outbound.template_files import load_templates
from outbound.worker import OutboundWorker
from threads.model import Contact, Thread
from threads.reply_address import ReplyAddresses
from threads.store.engine import Database, open_database
from threads.store.migration import upgrade
from threads.store.people import add_contact, add_organisation
from threads.store.thread import open_incident, timeline_of
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


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


class Answering:
    """A transport that answers from a list, and keeps what it was given."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.given = []

    async def deliver(self, delivery):
        self.given.append(delivery)
        answer = self.answers.pop(0) if self.answers else Handover("mx", Reply(250, "taken"), begun=True)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def close(self):
        pass


@pytest.fixture
def world(record, office, signer):
    class World:
        def __init__(self):
            self.clock = Clock()
            self.events = []
            self.transport = Answering()
            self.check = always_genuine
            self.tokens = iter(range(1_000))
            self.options = {}

        def worker(self, owner="w"):
            return OutboundWorker(
                writer=record.writer,
                database=record.database,
                office=office,
                transport=self.transport,
                signer=signer,
                check=self.check,
                clock=self.clock,
                observe=self.events.append,
                owner=owner,
                jitter=lambda: 0.0,
                token=lambda: f"auto{next(self.tokens)}",
                **self.options,
            )

        def work(self, *owners):
            """Let workers do all that is ordered or due at this time."""

            async def until_idle():
                async with asyncio.timeout(20):
                    while self.waits():
                        workers = [self.worker(owner) for owner in owners or ("w",)]
                        running = [asyncio.create_task(worker.run()) for worker in workers]
                        while self.waits():
                            await asyncio.sleep(0.005)
                            assert not any(task.done() for task in running)
                        for worker in workers:
                            worker.stop()
                        await asyncio.gather(*running)

            asyncio.run(until_idle())

        def waits(self):
            with record.database.reading() as conn:
                return work_waits(conn, self.clock())

        def write(self, function, *args, **kwargs):
            with record.database.writing() as conn:
                return function(conn, *args, **kwargs)

        def queue(self, token="t1", contact=None):
            (mail,) = compose(
                MailKind.REQUEST_FOR_CONTEXT,
                office=office,
                thread=record.incident,
                contacts=[contact or record.contact],
                variables=REQUEST,
                stamps=[stamp(token, "experts.test", NOW)],
            )
            ready = asyncio.run(prepare(mail, signer, self.check, NOW))
            self.write(
                queue_outgoing,
                ready.signed,
                idempotency_key=token,
                actor="ana",
                checked=ready.checked,
                now=NOW,
            )
            return ready.signed.raw

        def acknowledge(self, key="k", **more):
            order = acknowledgement(
                **{
                    "thread_id": record.incident.id,
                    "contact_id": record.contact.id,
                    "address": "ana@contoso.test",
                    "idempotency_key": key,
                    "ordered_at": NOW,
                    **more,
                }
            )
            return self.write(order_automatic, order)

        def orders(self):
            with record.database.reading() as conn:
                return conn.execute(automatic_orders.select().order_by(automatic_orders.c.id)).all()

        def outbox(self):
            return self.write(list_outbox)

        def timeline(self):
            return self.write(timeline_of, record.incident.id)

    return World()
