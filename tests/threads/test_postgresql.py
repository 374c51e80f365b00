"""The record on PostgreSQL: the same statements, the same answers. Starts a server of its own on a socket."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, select, update

from outbound.alerts import AlertRules
from outbound.mail_event import MailEvent
from outbound.model import AutomaticOrder, Delivery, LeasedOrder, OrderOutcome, Unreadable
from outbound.orders import acknowledgement
from outbound.schema import deliveries, outgoing
from outbound.store import (
    CAPS,
    lease_due,
    list_outbox,
    next_orders,
    order_automatic,
    set_aside,
    show_outbox,
    withhold_waiting,
    work_waits,
)
from outbound.store.alerts import order_alerts
from outbound.store.ledger import sent_mails
from outbound.store.mail_events import events_of, notice_of, record_event, undelivered
from tests.outbound.test_store import heard
from tests.threads.conftest import AT, COMPARED, World, arrival, filing, populate
from threads import store
from threads.attachments import attached_files
from threads.match import match
from threads.model import (
    Direction,
    Disposition,
    EntryKind,
    Mark,
    MessageKind,
    Outcome,
    StandingKind,
    TaskSource,
    ThreadKeys,
)
from threads.schema import metadata
from threads.store.attachments import files_of, messages_with, store_files
from threads.store.expiry import due, expire, expired_items, expired_keys, forget_traces
from threads.store.held import count_waiting, oldest_waiting
from threads.store.moving import merge_threads, move_mail
from threads.store.prepared import Prepared
from threads.store.signatures import archive_keys, archived, remember_signatures, seen
from threads.store.tasks import add_task, list_tasks
from threads.store.thread import add_note, thread_locked
from verifier.message import read_message
from verifier.own_records import RecordsQuestion
from verifier.parts import walk


def programs() -> Path | None:
    """Where initdb and pg_ctl are: on the path, or where Debian keeps them."""
    found = shutil.which("pg_ctl")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((p for p in places if (p / "initdb").exists() and (p / "pg_ctl").exists()), None)


def as_somebody(folder: Path) -> list[str]:
    """PostgreSQL refuses to run as root: then an unprivileged user owns the folder and runs it."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("PostgreSQL does not run as root, and setpriv (util-linux) is not installed")
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pytest.importorskip("psycopg", reason="psycopg, the driver for PostgreSQL, is not installed")
    there = programs()
    if there is None:
        pytest.skip("PostgreSQL's server programs are not installed (Debian: postgresql)")
    # A short path: the socket's name has room for 107 characters. Outside pytest's folder, which is closed to others.
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        folder = Path(name)
        user = as_somebody(folder)
        data = folder / "data"

        def run(*command: str) -> None:
            done = subprocess.run(
                [*user, *command], capture_output=True, text=True, timeout=60, check=False, cwd=folder
            )
            assert done.returncode == 0, done.stderr

        run(
            str(there / "initdb"),
            "-D",
            str(data),
            "-U",
            "expertmail",
            "--auth=trust",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
        )
        options = f"-c listen_addresses= -c fsync=off -k {folder}"
        run(str(there / "pg_ctl"), "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start")
        try:
            yield f"postgresql+psycopg://expertmail@/postgres?host={folder}"
        finally:
            run(str(there / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")


@pytest.fixture
def world(server: str) -> Iterator[World]:
    database = store.open_database(server)
    with database.writing() as conn:
        conn.exec_driver_sql("DROP SCHEMA public CASCADE")
        conn.exec_driver_sql("CREATE SCHEMA public")
    assert store.upgrade(database)
    yield populate(database)
    database.close()


def test_migrated_and_declared_schema_are_equal(world: World) -> None:
    with world.database.reading() as conn:
        context = MigrationContext.configure(conn, opts=COMPARED)
        assert compare_metadata(context, metadata) == []
    assert store.check(world.database) == ()


def test_a_message_is_stored_once_filed_held_released_and_refiled(world: World) -> None:
    hostile = {"subject": "\x00\ud800", "helo": "\x00", "message_id": "<" + "x" * 998 + ">"}
    with world.database.writing() as conn:
        stored = store.store_message(
            conn, arrival(b"\x00\xff", **hostile), filing(Disposition.HELD, StandingKind.UNKNOWN)
        )
        assert store.raw_message(conn, stored.id) == b"\x00\xff"
        store.release(conn, stored.id, AT, by="Ana", thread_id=world.incident.id)
        better = filing(Disposition.FILED, thread_id=world.incident.id)
        again = store.store_message(conn, arrival(b"\x00\xff", copy_id="01B", **hostile), better)
        assert again.outcome is Outcome.REFILED
        once_more = store.store_message(conn, arrival(b"\x00\xff", copy_id="01C", **hostile), better)
        assert once_more.outcome is Outcome.DUPLICATE
        entry = store.timeline_of(conn, world.incident.id)[-1]
        assert (entry.mark, entry.at) == (Mark.VERIFIED, AT)
        found = store.candidates(
            conn, ThreadKeys(None, ("x" * 998,), (), ("INC-000001",)), "alex@contoso.test"
        )
        assert found.contacts == (world.alex,)
        assert list(found.known) == ["x" * 998]


def test_the_writer_keeps_the_good_works_of_a_batch(world: World) -> None:
    writer = store.Writer(world.database)

    def bad(conn: store.Connection) -> None:
        conn.exec_driver_sql("SELECT nonsense")

    async def scenario() -> list[object]:
        good = [
            writer.submit(lambda conn, n=n: store.open_incident(conn, world.contoso.id, str(n), AT).reference)
            for n in range(10)
        ]
        return await asyncio.gather(*good[:5], writer.submit(bad), *good[5:], return_exceptions=True)

    answers = asyncio.run(scenario())
    writer.close()
    assert isinstance(answers.pop(5), store.StoreError)
    assert sorted(map(str, answers)) == [f"INC-{number:06d}" for number in range(2, 12)]


def test_two_nodes_never_give_one_reference_twice(world: World, server: str) -> None:
    nodes = [store.open_database(server) for _ in range(2)]
    writers = [store.Writer(node) for node in nodes]

    async def scenario() -> list[str]:
        return await asyncio.gather(
            *(
                writer.submit(lambda conn: store.open_inquiry(conn, world.contoso.id, "x", AT).reference)
                for _ in range(40)
                for writer in writers
            )
        )

    references = asyncio.run(scenario())
    for writer, node in zip(writers, nodes, strict=True):
        writer.close()
        node.close()
    assert len(set(references)) == 80


def test_two_nodes_that_take_the_same_copy_store_it_once(world: World, server: str) -> None:
    nodes = [store.open_database(server) for _ in range(2)]
    writers = [store.Writer(node) for node in nodes]
    decision = filing(Disposition.FILED, thread_id=world.incident.id)

    async def scenario() -> list[store.Stored]:
        return await asyncio.gather(
            *(
                writer.submit(
                    lambda conn, n=n, w=w: store.store_message(
                        conn, arrival(str(n).encode(), copy_id=f"{w}-{n}"), decision
                    )
                )
                for n in range(30)
                for w, writer in enumerate(writers)
            )
        )

    outcomes = [stored.outcome for stored in asyncio.run(scenario())]
    assert sorted(outcomes) == [Outcome.DUPLICATE] * 30 + [Outcome.STORED] * 30
    for writer, node in zip(writers, nodes, strict=True):
        writer.close()
        node.close()
    with world.database.reading() as conn:
        assert store.count_copies(conn) == {Disposition.FILED: 30}
        assert len(store.timeline_of(conn, world.incident.id)) == 31


def hold(world: World, *ids: str, thread_id: int | None = None) -> None:
    with world.database.writing() as conn:
        for copy_id in ids:
            store.store_message(
                conn,
                arrival(copy_id.encode(), copy_id=copy_id, received_at=AT - timedelta(days=31)),
                filing(Disposition.HELD, StandingKind.UNKNOWN, thread_id=thread_id),
            )


def test_held_mail_is_listed_and_expires_with_its_trace_kept(world: World) -> None:
    hold(world, *(f"X{number:03}" for number in range(150)))
    limit = AT - timedelta(days=30)
    with world.database.reading() as conn:
        listed = [item.copy.id for item in store.held_list(conn)]
        assert listed == [f"X{number:03}" for number in range(150)]
        keys = due(conn, limit)
        assert dict(oldest_waiting(conn)) == {Disposition.HELD: AT - timedelta(days=31)}
        assert count_waiting(conn, limit)[Disposition.HELD] == 150
    with world.database.writing() as conn:
        gone = expire(conn, keys[:100], limit, AT, by="gateway")
    assert [copy.id for copy in gone] == listed[:100]
    with world.database.reading() as conn:
        assert [item.copy.id for item in store.held_list(conn)] == listed[100:]
        traces = list(expired_items(conn, expired_keys(conn)))
        assert [(one.id, one.report, one.expired_at) for one in traces][::-1] == [
            (copy_id, '{"verdict": "no-claim"}', AT) for copy_id in listed[:100]
        ]
        with pytest.raises(store.UnknownRecord, match="was removed"):
            store.raw_message(conn, "X000")
    with world.database.writing() as conn:
        assert forget_traces(conn, AT + timedelta(days=366)) == 100


def test_what_an_expert_is_deciding_on_does_not_expire_meanwhile(world: World) -> None:
    hold(world, "A", "B")
    limit = AT - timedelta(days=30)
    with world.database.reading() as conn:
        keys = due(conn, limit)
    with world.database.writing() as expert:
        store.release(expert, "A", AT, by="Ana", thread_id=world.incident.id)
        with world.database.writing() as conn:
            assert [copy.id for copy in expire(conn, keys, limit, AT, by="gateway")] == ["B"]
    with world.database.reading() as conn:
        assert store.raw_message(conn, "A") == b"A"


def test_two_experts_who_release_one_message_put_it_on_the_timeline_once(world: World) -> None:
    hold(world, "A")
    began, ended = threading.Event(), []

    def second() -> None:
        began.set()
        try:
            with world.database.writing() as conn:
                store.release(conn, "A", AT, by="Bob", thread_id=world.incident.id)
        except store.StoreError as error:
            ended.append(error)

    with world.database.writing() as conn:
        store.release(conn, "A", AT, by="Ana", thread_id=world.incident.id)
        other = threading.Thread(target=second)
        other.start()
        assert began.wait(10)
        time.sleep(0.2)  # it waits for the first one's decision by now
    other.join(20)
    (error,) = ended
    assert "it is filed" in str(error)
    with world.database.reading() as conn:
        entries = [e for e in store.timeline_of(conn, world.incident.id) if e.copy_id == "A"]
        assert len(entries) == 1
        assert store.stored_copy(conn, "A").released_by == "Ana"


def test_bytes_that_come_again_while_they_expire_are_on_record(world: World, server: str) -> None:
    hold(world, "A")
    limit = AT - timedelta(days=30)
    node = store.open_database(server)
    writer = store.Writer(node)

    async def scenario() -> store.Stored:
        with world.database.writing() as conn:
            assert len(expire(conn, due(conn, limit), limit, AT, by="gateway")) == 1
            again = asyncio.create_task(
                writer.submit(
                    lambda conn: store.store_message(
                        conn,
                        arrival(b"A", copy_id="AGAIN"),
                        filing(Disposition.HELD, StandingKind.UNKNOWN),
                    )
                )
            )
            await asyncio.sleep(0.3)  # it has found the copy that is about to go, or waits for its end
        return await again

    stored = asyncio.run(scenario())
    writer.close()
    node.close()
    with world.database.reading() as conn:
        if stored.outcome is Outcome.STORED:
            assert store.raw_message(conn, "AGAIN") == b"A"
        else:  # it found the copy that was there until then, and that is on record as what it was
            assert stored.id == "A"
        assert [one.id for one in expired_items(conn, expired_keys(conn))] == ["A"]


def order(world: World, key: str) -> AutomaticOrder:
    return acknowledgement(
        thread_id=world.incident.id,
        contact_id=world.alex.id,
        address="alex@contoso.test",
        idempotency_key=key,
        ordered_at=AT,
    )


def test_an_order_is_new_once(world: World) -> None:
    with world.database.writing() as conn:
        assert order_automatic(conn, order(world, "1")) is OrderOutcome.ORDERED
        assert order_automatic(conn, order(world, "1")) is OrderOutcome.DUPLICATE


def test_capped_orders_are_not_looked_at_when_orders_are_counted(world: World, monkeypatch) -> None:
    said: list[tuple[str, Any]] = []

    with world.database.writing() as conn:
        for number in range(CAPS.per_address + 1):
            outcome = order_automatic(conn, order(world, str(number)))
        assert outcome is OrderOutcome.CAPPED
        columns = (
            "kind, thread_id, contact_id, address, address_key, domain_key, params, ordered_at, state, reason"
        )
        conn.exec_driver_sql(
            f"INSERT INTO automatic_orders (idempotency_key, {columns})"
            f" SELECT 'more' || n, {columns} FROM automatic_orders, generate_series(1, 20000) n WHERE state = 'capped'"
        )
        conn.exec_driver_sql("ANALYZE automatic_orders")
        monkeypatch.setattr(Prepared, "one", heard(said))
        assert order_automatic(conn, order(world, "last")) is OrderOutcome.CAPPED
        plans = [
            conn.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).scalar_one()
            for statement, parameters in said
        ]
    (plan,) = plans  # the address alone is above its cap
    text = json.dumps(plan)
    assert "_key_ordered_at" in text  # either index holds only what counts
    looked_at = [float(found) for found in re.findall(r'"Actual Rows": ([\d.]+)', text)]
    looked_at += [float(found) for found in re.findall(r'"Rows Removed by [^"]*": ([\d.]+)', text)]
    assert max(looked_at) <= CAPS.per_address


def test_an_order_with_a_time_that_python_has_not_keeps_no_other_back(world: World) -> None:
    with world.database.writing() as conn:
        for key in ("1", "2", "3"):
            order_automatic(conn, order(world, key))
        conn.exec_driver_sql("UPDATE automatic_orders SET ordered_at = 'infinity' WHERE id = 2")
    with world.database.writing() as conn:
        first, broken, last = next_orders(conn, AT, "w", 10)
    assert isinstance(first, LeasedOrder)
    assert isinstance(last, LeasedOrder)
    assert broken == Unreadable(2, "DataError")


def put_mail(world: World, conn: store.Connection, number: int, state: str = "queued") -> None:
    conn.execute(
        insert(outgoing).values(
            id=number,
            idempotency_key=str(number),
            raw=b"\x00\xff",
            sha256="0" * 64,
            message_id=f"{number}@experts.test",
            kind="reply",
            template_version=1,
            language="en",
            selector="s1",
            thread_id=world.incident.id,
            contact_id=world.alex.id,
            mail_from="",
            rcpt_to="alex@contoso.test",
            subject="",
            said="",
            actor="",
            created_at=AT,
        )
    )
    conn.execute(
        insert(deliveries).values(
            outgoing_id=number,
            state=state,
            attempts=0,
            next_attempt_at=AT,
            last_reply="",
            updated_at=AT,
        )
    )


@pytest.mark.parametrize("became", ["delivered", "failed", "expired", "suppressed"])
def test_a_mail_that_is_done_with_while_its_customer_is_marked_stays_what_it_is(world: World, became: str) -> None:
    with world.database.writing() as conn:
        put_mail(world, conn, 1, "leased")
        put_mail(world, conn, 2)
    stopped: list[tuple[int, int]] = []

    def withhold() -> None:
        with world.database.writing() as conn:
            stopped.append(withhold_waiting(conn, world.contoso.id, AT))

    withholding = threading.Thread(target=withhold)
    with world.database.writing() as conn:
        conn.execute(update(deliveries).where(deliveries.c.outgoing_id == 1).values(state=became))
        withholding.start()
        withholding.join(0.3)
        assert withholding.is_alive(), "it has to wait for what is recorded at this moment"
    withholding.join(30)
    assert stopped == [(1, 0)]
    with world.database.reading() as conn:
        states = conn.execute(select(deliveries.c.state).order_by(deliveries.c.outgoing_id)).scalars().all()
    assert states == [became, "withheld"]


def test_a_mail_is_leased_and_shown_and_a_damaged_one_is_put_away(world: World) -> None:
    with world.database.writing() as conn:
        for number in (1, 2, 3):
            put_mail(world, conn, number)
        conn.exec_driver_sql("UPDATE outgoing SET created_at = '-infinity' WHERE id = 2")
        conn.exec_driver_sql("UPDATE outgoing SET kind = 'love-letter' WHERE id = 3")
    with world.database.writing() as conn:
        assert work_waits(conn, AT)
        good, *broken = lease_due(conn, AT, "w", 10)
        assert isinstance(good, Delivery)
        assert (good.raw, good.attempts) == (b"\x00\xff", 1)
        assert broken == [Unreadable(2, "DataError"), Unreadable(3, "ValueError")]
        for mail in broken:
            set_aside(conn, mail, AT)
    with world.database.writing() as conn:
        assert not work_waits(conn, AT)
        assert [item.state.value for item in list_outbox(conn)] == ["unreadable", "unreadable", "leased"]
        assert show_outbox(conn, 1).raw == b"\x00\xff"
        with pytest.raises(store.RefusedRecord, match="cannot be read"):
            show_outbox(conn, 2)


def test_our_own_records_are_kept_and_found(world: World) -> None:
    with world.database.writing() as conn:
        for hours, whom in ((0, "a@x.test"), (1, "b@x.test"), (2, "a@x.test")):
            remember_signatures(conn, ["f" * 64], whom, AT + timedelta(hours=hours))
            archive_keys(conn, [("s1._domainkey.x.test", "v=DKIM1; p=AA")], AT + timedelta(hours=2 * hours))
        assert [(one.rcpt_to, one.at) for one in seen(conn, ["f" * 64, "0" * 64])] == [
            ("a@x.test", AT),
            ("b@x.test", AT + timedelta(hours=1)),
        ]
        (key,) = archived(conn, ["s1._domainkey.x.test"])
        assert (key.record, key.first, key.last) == ("v=DKIM1; p=AA", AT, AT + timedelta(hours=4))
        hostile = RecordsQuestion(0, ("0" * 64,), "1" * 64, "\x00" + "x" * 5_000)
        assert sent_mails(conn, hostile) == sent_mails(conn, RecordsQuestion(0)) == ()


def test_a_bounce_finds_the_mail_that_it_names_and_is_kept_once(world: World) -> None:
    with world.database.writing() as conn:
        store.store_message(
            conn, arrival(b"x", copy_id="01B"), filing(Disposition.FILED, StandingKind.UNKNOWN, thread_id=world.incident.id)
        )
        for number, kind in ((7, "reply"), (8, "acknowledgement")):
            conn.execute(
                insert(outgoing).values(
                    id=number, idempotency_key=f"b{number}", raw=b"", sha256="0", message_id=f"{number}@experts.test",
                    kind=kind, template_version=1, language="en", selector="s1", thread_id=world.incident.id,
                    contact_id=world.alex.id, mail_from="", rcpt_to="alex@contoso.test", subject="", said="",
                    actor="bob", created_at=AT,
                )
            )  # fmt: skip
        notice = notice_of(conn, ("\0unknown", "7@experts.test"), world.incident.id, world.alex.id)
        assert notice is not None
        assert notice.outgoing_id == 7
        assert notice_of(conn, ("7@experts.test",), world.incident.id, world.alex.id + 1) is None
        assert notice_of(conn, (), world.incident.id, world.alex.id) is None  # two went to that contact
        event = MailEvent(
            MessageKind.BOUNCE, AT, "01B", world.incident.id, 999, 7, "a\0b@c.test", "5.1.1" * 9, "failed" * 9, "\ud800" * 2_000
        )  # fmt: skip
        record_event(conn, event, returned=True)
        record_event(conn, event, returned=True)
        (kept,) = events_of(conn, outgoing_id=7)
        assert (kept.contact_id, kept.recipient) == (None, "a\N{REPLACEMENT CHARACTER}b@c.test")
        assert [found.event for found in undelivered(conn, AT)] == [kept]
        assert undelivered(conn, AT + timedelta(seconds=1)) == ()


def test_files_are_listed_by_hash_and_experts_are_told_once_by_two_nodes(world: World, server: str) -> None:
    rules = AlertRules(team=("team@desk.test",), people=MappingProxyType({"ana": "ana@desk.test"}))
    message = read_message(b"Content-Type: application/pdf; name=a\\0.pdf\r\n\r\n%PDF-1.7")
    with world.database.writing() as conn:
        assert order_alerts(conn, rules, AT - timedelta(minutes=1)) == ()  # it begins here
        for number, (disposition, standing) in enumerate(
            [(Disposition.FILED, StandingKind.CONTACT), (Disposition.HELD, StandingKind.UNKNOWN)]
        ):
            came = arrival(b"%d" % number, copy_id=f"01{number}")
            store.store_message(conn, came, filing(disposition, standing, thread_id=world.incident.id))
            store_files(conn, came.sha256, attached_files(message, walk(message)))
            store_files(conn, came.sha256, attached_files(message, walk(message)))
        conn.execute(
            insert(outgoing).values(
                id=9, idempotency_key="9", raw=b"", sha256="0", message_id="9@experts.test", kind="reply",
                template_version=1, language="en", selector="s1", thread_id=world.incident.id, mail_from="",
                rcpt_to="alex@contoso.test", subject="", said="", actor="bob", created_at=AT,
            )
        )  # fmt: skip
        conn.execute(
            insert(deliveries).values(
                outgoing_id=9, state="failed", attempts=1, last_reply="550 no", updated_at=AT
            )
        )
        event = MailEvent(MessageKind.BOUNCE, AT, "010", world.incident.id, None, 9, None, None, None, None)
        record_event(conn, event, returned=True)
    nodes = [store.open_database(server) for _ in range(2)]
    writers = [store.Writer(node) for node in nodes]

    async def look() -> list[int]:
        works = [writer.submit(lambda conn: len(order_alerts(conn, rules, AT))) for writer in writers]
        return sorted(await asyncio.gather(*works))

    assert asyncio.run(look()) == [0, 1]
    for writer, node in zip(writers, nodes, strict=True):
        writer.close()
        node.close()
    with world.database.reading() as conn:
        (order,) = conn.exec_driver_sql("SELECT address, params FROM automatic_orders").all()
        counts = {name: count for name, count in json.loads(order.params).items() if name.startswith("count_")}
        assert (order.address, counts) == ("team@desk.test", {"count_bounce": 2, "count_held": 1, "count_reply": 1})
        (file,) = files_of(conn, "010")
        assert [seen_file.copy_id for seen_file in messages_with(conn, file.sha256)] == ["011", "010"]
    with world.database.writing() as conn:
        conn.exec_driver_sql("DELETE FROM mail_events")
        conn.exec_driver_sql("UPDATE timeline SET copy_id = NULL")
        conn.exec_driver_sql("DELETE FROM evidence")
        conn.exec_driver_sql("DELETE FROM messages")
        conn.exec_driver_sql("DELETE FROM raw_messages")  # the lists go with the bytes
        assert conn.exec_driver_sql("SELECT count(*) FROM attachments").scalar_one() == 0


def test_a_server_that_is_gone_is_told_in_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="psycopg, the driver for PostgreSQL, is not installed")
    with pytest.raises(store.StoreError, match="cannot be reached; check its address"):
        store.open_database(f"postgresql+psycopg://x@/postgres?host={tmp_path}")


def test_mail_is_moved_and_threads_are_merged(world: World) -> None:
    raw = (
        b"X-Microsoft-Original-Message-ID: <own@contoso.test>\r\nReferences: <root@vendor.test>\r\n\r\nhello\r\n"
    )
    here = world.incident
    with world.database.writing() as conn:
        other = store.open_incident(conn, world.contoso.id, "Another one", AT)
        for thread in (here, other):
            add_task(conn, thread, "Look", TaskSource.GUIDED_RESPONSE, AT, by="Ana")
        related = replace(
            filing(Disposition.FILED, thread_id=here.id),
            own_ids=("own@contoso.test",),
            ancestors=("root@vendor.test",),
        )
        store.store_message(conn, arrival(raw), related)
        move_mail(conn, "01A", other, AT, by="Robin")
        keys = ThreadKeys(None, ("own@contoso.test",), ("root@vendor.test",))
        matched = match(keys, store.candidates(conn, keys, "alex@contoso.test"))
        assert (matched.thread_id, matched.signals[-1].direction) == (other.id, Direction.REF)
        merge_threads(conn, here, other, AT, by="Robin")
        assert [task.number for task in list_tasks(conn, other.id)] == [1, 2]
        keys = ThreadKeys(None, (), (), (here.reference,))
        assert match(keys, store.candidates(conn, keys, None)).thread_id == other.id


def test_who_files_on_a_thread_and_who_merges_it_wait_for_each_other(world: World) -> None:
    with world.database.writing() as conn:
        other = store.open_incident(conn, world.contoso.id, "Another one", AT)
    merged = threading.Event()

    def merge() -> None:
        with world.database.writing() as conn:
            merge_threads(conn, world.incident, other, AT, by="Robin")
        merged.set()

    merging = threading.Thread(target=merge)
    with world.database.writing() as conn:
        keys = ThreadKeys(None, (), (), (world.incident.reference,))
        found = match(keys, store.candidates(conn, keys, None)).thread_id
        assert found == world.incident.id
        merging.start()
        assert not merged.wait(0.3), "it has to wait for the message that is being filed"
        store.store_message(conn, arrival(), filing(Disposition.FILED, thread_id=found))
    merging.join(30)
    with world.database.reading() as conn:
        assert [e.copy_id for e in store.timeline_of(conn, other.id) if e.copy_id] == ["01A"]
        assert [e.copy_id for e in store.timeline_of(conn, world.incident.id) if e.copy_id] == []


def test_entries_of_one_thread_are_numbered_in_the_order_of_their_commits(world: World) -> None:
    made: list[int] = []

    def second() -> None:
        with world.database.writing() as conn:
            made.append(add_note(conn, world.incident.id, "second", AT, actor="Ana"))

    other = threading.Thread(target=second)
    with world.database.writing() as conn:
        thread_locked(conn, world.incident)  # before its first entry, where both could have taken a number
        other.start()
        other.join(0.3)
        assert other.is_alive(), "it has to wait for the first one's commit"
        first = add_note(conn, world.incident.id, "first", AT, actor="Robin")
    other.join(30)
    assert made[0] > first


def test_nodes_that_file_on_several_threads_in_any_order_do_not_lock_each_other_out(
    world: World, server: str
) -> None:
    with world.database.writing() as conn:
        some = [
            world.incident,
            *(store.open_incident(conn, world.contoso.id, f"No. {n}", AT) for n in range(3)),
        ]
    nodes = [store.open_database(server) for _ in range(3)]
    writers = [store.Writer(node) for node in nodes]

    def work(conn: store.Connection, number: int) -> None:
        for at in range(2):
            add_note(conn, some[(number * (1, -1)[number % 2] + at) % 4].id, f"{number}", AT, actor="Ana")

    async def file() -> None:
        works = [writers[n % 3].submit(lambda conn, n=n: work(conn, n)) for n in range(90)]
        await asyncio.gather(*works)

    asyncio.run(file())
    for writer, node in zip(writers, nodes, strict=True):
        writer.close()
        node.close()
    with world.database.reading() as conn:
        kept = [e.text for one in some for e in store.timeline_of(conn, one.id) if e.kind is EntryKind.NOTE]
    assert sorted(kept, key=int) == [f"{n}" for n in range(90) for _ in range(2)]
