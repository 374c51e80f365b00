"""What outgoing mail costs: composing and signing, delivering to a sink, leasing from a long queue.

    python -m bench.outgoing    # this part alone; FULL=1 and ENGINE=SQLite or ENGINE=PostgreSQL as you like

Composing is the expert's and the order's own: words are checked, the templates filled in, both signatures made. Delivery is
the worker's: leases, a mail transaction each on connections that are shared, the record of each try, on SQLite. The lease is the queue's own.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from sqlalchemy import Table, insert, select

from bench import postgresql, record
from bench.smtp_sink import sink
from outbound.compose import Office, compose, compose_automatic, stamp
from outbound.delivery import Tls, smarthost
from outbound.dispatch import Signer
from outbound.mail_code import MailCodes
from outbound.model import (
    Delivery,
    DeliveryState,
    Letterhead,
    MailKind,
    Rendered,
    SelfCheck,
    Sender,
    Signed,
)
from outbound.orders import acknowledgement
from outbound.schema import approvals, deliveries, outgoing
from outbound.sign import SecondKey, SigningKey
from outbound.store import lease_due, queue_outgoing, release
from outbound.template_files import load_templates
from outbound.worker import CONCURRENT, EventKind, OutboundWorker, WorkerEvent
from tests.outbound.catalogue import FORMS, NOW, PORTAL
from threads import store
from threads.model import Contact, Thread
from threads.reply_address import ReplyAddresses
from threads.store.engine import Database
from threads.store.people import add_contact, add_organisation
from threads.store.thread import open_incident
from threads.store.writer import Writer

GOAL_COMPOSE: Final = 300  # messages a second and core
GOAL_DELIVERY: Final = 500  # messages a second
GOAL_GROWTH: Final = 1.5  # times as long, in the median
TURNS: Final = 5  # of which the median counts: a shared machine has slow moments
LEASES: Final = 100  # of CONCURRENT mails each, from the long queue and the short one in turn
TOGETHER: Final = 5_000  # rows in one transaction of the filling
APART: Final = timedelta(milliseconds=50)  # between two queued mails
SECONDS: Final = 300

Goal = tuple[str, bool]


@dataclass(frozen=True, slots=True)
class Run:
    """How much is measured: mails composed in a turn, mails delivered in a turn, rows of the two queues."""

    composed: int
    delivered: int
    queues: tuple[int, int]


SHORT_RUN: Final = Run(100, 300, (10_000, 1_000))
LONG_RUN: Final = Run(1_000, 2_000, (1_000_000, 10_000))


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything that composing needs: made once, as the server does."""

    office: Office
    signer: Signer
    thread: Thread
    contact: Contact


@dataclass(frozen=True, slots=True)
class Rate:
    """Mails a second: by the clock, and of one core by the CPU time that the process took; octets of a mail."""

    clock: float
    core: float
    octets: float


def _key(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> SigningKey:
    return SigningKey.from_pem(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def new_desk(database: Database) -> Desk:
    """A desk with RSA 2048 and Ed25519 keys, and a customer with one contact and one incident on record."""
    sender = Sender("Defender Experts", "defender-experts@experts.test", "experts.test", "s1")
    letterhead = Letterhead(
        sender,
        "Defender Experts",
        "verify@experts.test",
        "query@experts.test",
        "reply.experts.test",
        link_hosts=frozenset({PORTAL}),
        phone="+1 555 0100",
    )
    office = Office(
        letterhead,
        load_templates(),
        ReplyAddresses([b"k" * 32], letterhead.reply_domain).mint,
        codes=MailCodes([b"c" * 32]),
        root=lambda number: f"{number}.thread@experts.test",
    )
    second = SecondKey("e1", _key(ed25519.Ed25519PrivateKey.generate()))
    signer = Signer(sender, _key(rsa.generate_private_key(65537, 2048)), second)
    with database.writing() as conn:
        customer = add_organisation(conn, "Contoso", NOW)
        contact = add_contact(conn, customer.id, "ana@contoso.test", "Ana Lee", NOW)
        incident = open_incident(conn, customer.id, "Odd sign-in", NOW)
    return Desk(office, signer, incident, contact)


def written(desk: Desk, number: int, turn: int) -> Rendered:
    """One mail: of every kind and form that experts write, in both languages, and an acknowledgement, one after the other."""
    one = stamp(f"m{turn}.{number}", "experts.test", NOW)
    name, (kind, english, japanese) = _EXPERTS[number % len(_EXPERTS)]
    if name == "acknowledgement":
        order = acknowledgement(
            thread_id=desk.thread.id,
            contact_id=desk.contact.id,
            address=desk.contact.address,
            idempotency_key="k",
            ordered_at=NOW,
            in_reply_to="question@contoso.test",
        )
        return compose_automatic(order, office=desk.office, thread=desk.thread, contact=desk.contact, one=one)
    foreign = number // len(_EXPERTS) % 2 == 1
    (mail,) = compose(
        kind,
        office=desk.office,
        thread=desk.thread,
        contacts=[replace(desk.contact, language="ja" if foreign else "en")],
        variables=japanese if foreign else english,
        stamps=[one],
        references=("first@contoso.test", "second@contoso.test"),
    )
    return mail


_EXPERTS: Final = [
    (name, form)
    for name, form in FORMS.items()
    if not form[0].automatic or form[0] is MailKind.ACKNOWLEDGEMENT
]


def composing(desk: Desk, number: int) -> Rate:
    """Compose, render and sign ``number`` mails in each turn."""
    rates = []
    octets = 0
    for turn in range(TURNS + 1):
        clock, cpu = time.perf_counter(), time.process_time()
        octets = sum(len(desk.signer.sign(written(desk, n, turn), NOW).raw) for n in range(number))
        rates.append((number / (time.perf_counter() - clock), number / (time.process_time() - cpu)))
    return _median(rates[1:], octets / number)  # the first one loads the templates


def _median(rates: list[tuple[float, float]], octets: float) -> Rate:
    return Rate(statistics.median(r[0] for r in rates), statistics.median(r[1] for r in rates), octets)


def delivering(database: Database, desk: Desk, number: int) -> Rate:
    """Let the worker deliver ``number`` mails in each turn; AssertionError unless each arrives exactly once."""
    rates, octets = [], 0.0
    for turn in range(3):
        signed = [desk.signer.sign(written(desk, n, 100 + turn), NOW) for n in range(number)]
        octets = sum(len(one.raw) for one in signed) / number
        with database.writing() as conn:
            for one in signed:
                _queue(conn, one)
        with sink() as there:
            clock, cpu = time.perf_counter(), time.process_time()
            events = asyncio.run(_deliver(database, desk, there.port, number))
            rates.append((number / (time.perf_counter() - clock), number / (time.process_time() - cpu)))
        delivered = sum(event.state is DeliveryState.DELIVERED for event in events)
        if not delivered == there.mails == there.different == number:
            others = {
                (event.kind.value, event.detail) for event in events if event.kind is not EventKind.ATTEMPTED
            }
            raise AssertionError(
                f"{number} mails queued, {delivered} delivered, {there.mails} came, {there.different} different: {others}"
            )
    return _median(rates, octets)


def _queue(conn: Any, signed: Signed) -> int:
    genuine = SelfCheck(genuine=True, verdict="genuine")
    key = signed.rendered.message_id
    return queue_outgoing(
        conn, signed, idempotency_key=key, actor="ana", checked=genuine, now=NOW
    ).outgoing_id


async def _deliver(database: Database, desk: Desk, port: int, number: int) -> list[WorkerEvent]:
    async def genuine(_raw: bytes) -> SelfCheck:
        return SelfCheck(genuine=True, verdict="genuine")

    events: list[WorkerEvent] = []
    done = asyncio.Event()

    def observe(event: WorkerEvent) -> None:
        events.append(event)
        if len(events) == number:
            done.set()

    writer = Writer(database)
    worker = OutboundWorker(
        writer=writer,
        database=database,
        office=desk.office,
        transport=smarthost("127.0.0.1", port, tls=Tls.NONE, hostname="mail.experts.test"),
        signer=desk.signer,
        check=genuine,
        clock=lambda: NOW,
        observe=observe,
    )
    running = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(SECONDS):
            await done.wait()
    finally:
        worker.stop()
        await running
        writer.close()
    return events


@dataclass(frozen=True, slots=True)
class Leases:
    """Seconds of each lease, sorted, from the long queue and from the short one."""

    engine: str
    rows: tuple[int, int]
    filled: float
    long: tuple[float, ...]
    short: tuple[float, ...]

    @property
    def growth(self) -> float:
        """How many times as long the median lease takes from the long queue."""
        return statistics.median(self.long) / statistics.median(self.short)


def leasing(engine: str, opened: Callable[[], Any], rows: tuple[int, int]) -> Leases:
    """Lease from two queues in turn, so that what else the machine does meets both alike."""
    with ExitStack() as stack:
        databases = []
        begun = time.perf_counter()
        for number in rows:
            database = store.open_database(stack.enter_context(opened()))
            stack.callback(database.close)
            store.upgrade(database)
            fill(database, number)
            record.settle(database)
            databases.append(database)
        filled = time.perf_counter() - begun
        times: tuple[list[float], list[float]] = ([], [])
        for turn in range(LEASES + 5):
            for database, seconds in zip(databases, times, strict=True):
                took = _lease(database, turn)
                if turn >= 5:  # the first ones warm up
                    seconds.append(took)
        return Leases(engine, rows, filled, tuple(sorted(times[0])), tuple(sorted(times[1])))


def _lease(database: Database, turn: int) -> float:
    """Seconds of one lease; the mails go back behind the others, so that the queue stays as long."""
    now = NOW + timedelta(seconds=turn)
    begun = time.perf_counter()
    with database.writing() as conn:
        leased = lease_due(conn, now, "bench", CONCURRENT)
    took = time.perf_counter() - begun
    fine = [one.outgoing_id for one in leased if isinstance(one, Delivery) and not one.unapproved]
    if len(fine) != CONCURRENT:
        raise AssertionError(f"only {len(fine)} of {CONCURRENT} mails could be leased: {leased[:1]}")
    with database.writing() as conn:
        release(conn, fine, "bench", now)
    return took


def fill(database: Database, number: int) -> None:
    """Queue ``number`` short signed mails that are due: one by the queue's own function, the others as copies of its rows."""
    desk = new_desk(database)
    one = stamp("first", "experts.test", NOW)
    raw = (
        b"From: defender-experts@experts.test\r\nTo: ana@contoso.test\r\nSubject: A short mail\r\n\r\n"
        + b"Yes.\r\n" * 20
    )
    short = replace(written(desk, 0, 0), raw=raw, message_id=one.message_id)
    with database.writing() as conn:
        first = _queue(conn, desk.signer.sign(short, NOW))
    with database.reading() as conn:
        rows = [
            (table, dict(conn.execute(select(table).where(key == first)).mappings().one()))
            for table, key in (
                (outgoing, outgoing.c.id),
                (deliveries, deliveries.c.outgoing_id),
                (approvals, approvals.c.outgoing_id),
            )
        ]
    for begin in range(1, number, TOGETHER):
        numbers = range(first + begin, first + min(begin + TOGETHER, number))
        with database.writing() as conn:
            for table, row in rows:
                conn.execute(insert(table), [_copy(table, row, n, first + number) for n in numbers])


def _copy(table: Table, row: dict[str, Any], number: int, end: int) -> dict[str, Any]:
    if table is outgoing:
        digest = f"{number:064x}"
        return {
            **row,
            "id": number,
            "idempotency_key": f"copy {number}",
            "message_id": f"copy{number}@experts.test",
            "sha256": digest,
            "code_key": digest,
        }
    changed = {"next_attempt_at": NOW - APART * (end - number)} if table is deliveries else {}
    return {**row, "outgoing_id": number, **changed}


@contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="outgoing-") as folder:
        yield f"sqlite:///{Path(folder) / 'record.db'}"


def report(*, full: bool) -> list[Goal]:
    """Measure and print; the goals."""
    run = LONG_RUN if full else SHORT_RUN
    print("\nOutgoing mail")
    with _sqlite() as url:
        database = store.open_database(url)
        try:
            store.upgrade(database)
            desk = new_desk(database)
            made = composing(desk, run.composed)
            print(
                f"  composed, rendered and signed by RSA 2048 and Ed25519: {made.core:,.0f} messages/s a core by CPU time,"
                f" {made.clock:,.0f} by the clock (goal {GOAL_COMPOSE}); {made.octets / 1000:.1f} KB each"
            )
            sent = delivering(database, desk, run.delivered)
        finally:
            database.close()
    print(
        f"  delivered to a sink and recorded: {sent.clock:,.0f} messages/s by the clock, {sent.core:,.0f}"
        f" a core by CPU time (goal {GOAL_DELIVERY}); each came exactly once"
    )
    goals = [
        (f"{made.core:,.0f} messages a second and core are composed and signed, not {GOAL_COMPOSE}", made.core >= GOAL_COMPOSE),
        (f"{sent.clock:,.0f} messages a second are delivered, not {GOAL_DELIVERY}", sent.clock >= GOAL_DELIVERY),
    ]  # fmt: skip
    engines: list[tuple[str, Callable[[], Any]]] = [("SQLite", _sqlite)]
    if (why := postgresql.missing()) is None:
        engines.append(("PostgreSQL", postgresql.private_cluster))
    else:
        print(f"  Not measured on PostgreSQL: {why}.")
    for engine, opened in engines:
        if os.environ.get("ENGINE") not in (None, engine):
            continue
        found = leasing(engine, opened, run.queues)
        tell(found)
        text = (
            f"a lease from {found.rows[0]:,} queued mails on {engine} takes {found.growth:.2f} times as long as from"
            f" {found.rows[1]:,}, not {GOAL_GROWTH}"
        )
        goals.append((text, found.growth <= GOAL_GROWTH))
    return goals


def tell(found: Leases) -> None:
    """Print what leasing took."""
    print(
        f"  {found.engine}, leases of {CONCURRENT} mails from {found.rows[0]:,} and from {found.rows[1]:,} queued ones"
        f" (filled in {found.filled:.0f} s):"
    )
    for number, times in zip(found.rows, (found.long, found.short), strict=True):
        p99 = times[min(len(times) - 1, int(0.99 * len(times)))]
        print(f"    {number:>9,} p50 {statistics.median(times) * 1000:6.2f} ms, p99 {p99 * 1000:6.2f} ms")
    print(f"    the median grew {found.growth:.2f} times (goal {GOAL_GROWTH})")


def main() -> int:
    """Measure this part alone; exit 1 where a goal is missed under FULL=1."""
    full = bool(os.environ.get("FULL"))
    goals = report(full=full)
    print()
    missed = [text for text, met in goals if not met]
    for text in missed:
        print(f"Goal missed: {text}.")
    print(f"{len(goals) - len(missed)} of {len(goals)} goals met.")
    return 1 if full and missed else 0


if __name__ == "__main__":
    sys.exit(main())
