"""Erasing a customer, ending the content of old threads, and the legal hold that stops both, on either database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, inspect, select, text, update

import outbound.schema
from outbound.model import MailKind, Rendered, SelfCheck, Signed
from outbound.orders import acknowledgement
from outbound.store import list_suppressed, order_automatic, queue_outgoing
from outbound.store.erasure import count_outgoing, erase_outgoing
from outbound.store.suppression import suppress
from tests.threads.conftest import AT, World, arrival, filing, populate
from tests.threads.test_postgresql import server  # noqa: F401 -- a fixture
from threads import store
from threads.model import Disposition, Organisation, State, TaskSource, Thread, ThreadKeys
from threads.schema import (
    attachments,
    expired_messages,
    messages,
    metadata,
    organisations,
    relayed_messages,
    threads,
    timeline,
)
from threads.store.audit import check_audit, list_audit, record_act
from threads.store.circumstances import end_hold, hold, set_retention
from threads.store.erase_traces import finish_on_disk
from threads.store.erasure import EMPTIED, erase_copies, erase_rest, extent
from threads.store.expiry import due, expire, forget_traces
from threads.store.moving import move_mail
from threads.store.people import organisation_named
from threads.store.relayed import drop_old_relayed, list_relayed
from threads.store.search_index import index_some
from threads.store.tasks import add_task, list_tasks
from threads.store.thread_retention import empty_thread, threads_past_time

DAY = timedelta(days=1)
SECRET = "xylophonezebra"  # stands in everything of Contoso's that holds text


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "sqlite":
        database = store.open_database(f"sqlite:///{tmp_path / 'record.db'}")
    else:
        database = store.open_database(request.getfixturevalue("server"))
        with database.writing() as conn:
            conn.exec_driver_sql("DROP SCHEMA public CASCADE")
            conn.exec_driver_sql("CREATE SCHEMA public")
    store.upgrade(database)
    yield populate(database)
    database.close()


def mail_to(address: str, thread_id: int, contact_id: int | None, number: int) -> Signed:
    """A mail of ours, as the queue takes it."""
    word = "harmless" if contact_id is None else SECRET
    raw = f"From: e@experts.test\r\nMessage-ID: <o{number}@experts.test>\r\n\r\n{word}\r\n".encode()
    mail = Rendered(
        raw=raw,
        message_id=f"<o{number}@experts.test>",
        mail_from="r@reply.experts.test",
        rcpt_to=address,
        subject=word,
        said=word,
        kind=MailKind.REPLY,
        template_version=1,
        language="en",
        thread_id=thread_id,
        contact_id=contact_id,
        created=AT,
    )
    return Signed(raw, mail, "s1")


def fill(world: World) -> None:
    """Give Contoso one of everything, and Fabrikam a thread of its own with mail of both."""
    with world.database.writing() as conn:
        fabrikam = store.add_organisation(conn, "Fabrikam", AT)
        store.add_domain(conn, fabrikam.id, "fabrikam.test", AT, verified=True)
        store.add_contact(conn, fabrikam.id, "eve@fabrikam.test", "Eve", AT)
        store.add_contact(conn, fabrikam.id, "Alex@contoso.test", "Alex", AT)
        other = store.open_incident(conn, fabrikam.id, "Theirs", AT)
        mine = world.incident.id
        cases: tuple[tuple[str, Disposition, int | None, str], ...] = (
            ("FILED", Disposition.FILED, mine, "alex@contoso.test"),
            ("HELD", Disposition.HELD, mine, "eve@stranger.test"),
            ("ANON", Disposition.HELD, None, "sam@contoso.test"),
            ("TRIAGE", Disposition.TRIAGE, None, "eve@stranger.test"),
            ("OTHERS", Disposition.FILED, other.id, "eve@fabrikam.test"),
            ("GUEST", Disposition.FILED, other.id, "alex@contoso.test"),
        )
        for number, (copy_id, disposition, thread_id, author) in enumerate(cases):
            word = SECRET if copy_id in ("FILED", "HELD", "ANON") else "harmless"
            raw = f"Subject: {copy_id} {word}\r\n\r\n{word}{number}\r\n".encode()
            one = arrival(
                raw, copy_id=copy_id, author=author, mail_from=author, message_id=f"<{copy_id}@x.test>",
                subject=f"{copy_id} {word}", helo="mx.x.test",
            )  # fmt: skip
            filed = filing(disposition, thread_id=thread_id, text=word)
            if copy_id in ("FILED", "GUEST"):
                filed = replace(filed, standing=replace(filed.standing, contact_id=world.alex.id))
            store.store_message(conn, one, filed)
            conn.execute(
                insert(attachments).values(
                    raw_sha256=one.sha256, number=1, part=1, name=f"{word}.pdf", declared="application/pdf",
                    type="application/pdf", size=1, sha256="0" * 64, flags="",
                )
            )  # fmt: skip
        store.add_note(conn, mine, SECRET, AT, actor="Ana")
        store.add_note(conn, other.id, "theirs", AT, actor="Ana")
        add_task(conn, world.incident, SECRET, TaskSource.GUIDED_RESPONSE, AT, by="Ana")
        genuine = SelfCheck(genuine=True, verdict="genuine")
        for number, (address, thread_id, contact_id) in enumerate(
            (("Alex@contoso.test", mine, world.alex.id), ("eve@fabrikam.test", other.id, None))
        ):
            queue_outgoing(
                conn,
                mail_to(address, thread_id, contact_id, number),
                idempotency_key=str(number),
                actor="Ana",
                checked=genuine,
                now=AT,
            )
        order_automatic(
            conn,
            acknowledgement(
                thread_id=mine,
                contact_id=world.alex.id,
                address="alex@contoso.test",
                idempotency_key="a",
                ordered_at=AT,
            ),
        )
        for whose, subject in ((world.contoso.id, SECRET), (fabrikam.id, "theirs")):
            record_act(conn, "note-added", AT, by="Ana", subject=subject, organisation_id=whose)
    while index_some(world.database):
        pass


def erase(world: World) -> None:
    removed = 1
    while removed:
        with world.database.writing() as conn:
            removed = erase_copies(conn, world.contoso.id, at_once=2)
    with world.database.writing() as conn:
        erase_outgoing(conn, world.contoso.id)
        erase_rest(conn, world.contoso.id, AT)
        record_act(conn, "customer-erased", AT, by="Ana", subject=f"organisation {world.contoso.id}")
    finish_on_disk(world.database)


def everything(world: World) -> dict[str, list[str]]:
    """Every row of every table as text."""
    with world.database.reading() as conn:
        names = [n for n in inspect(conn).get_table_names() if not n.startswith("search_words_")]
        return {
            name: [str(tuple(row)) for row in conn.execute(text(f"SELECT * FROM {name}"))] for name in names
        }


def test_what_is_on_record_of_a_customer_is_counted_before_it_goes(world: World) -> None:
    fill(world)
    with world.database.reading() as conn:
        found = extent(conn, world.contoso.id)
        assert (found.threads, found.messages, found.contacts, found.domains, found.tasks) == (1, 3, 1, 1, 1)
        assert found.audit_rows == 1
        assert found.octets > 0
        assert count_outgoing(conn, world.contoso.id) == 1


def test_an_erased_customer_is_gone_from_every_table_and_nobody_else_is(world: World) -> None:
    fill(world)
    erase(world)
    rows = everything(world)
    assert [row for all_ in rows.values() for row in all_ if SECRET in row] == []
    told = {
        (name, "guest" in row.lower())
        for name, all_ in rows.items()
        for row in all_
        if "contoso" in row.lower()
    }
    assert told - {("search_words", True)} == {("messages", True), ("timeline", True), ("contacts", False)}, (
        "Alex is Fabrikam's contact as well"
    )
    with world.database.reading() as conn:
        left = {copy.id for copy in store.list_copies(conn)}
        assert left == {"TRIAGE", "OTHERS", "GUEST"}
        (his_other, _) = store.list_contacts(conn)
        assert store.stored_copy(conn, "GUEST").contact_id == his_other.id, "by whom it is Fabrikam's record"
        assert [one.name for one in store.list_organisations(conn)] == ["Fabrikam"]
        assert store.find_organisation(conn, "Contoso") is None
        assert [(one.address, one.organisation_id) for one in store.list_contacts(conn)] == [
            ("Alex@contoso.test", 2),
            ("eve@fabrikam.test", 2),
        ]
        assert [one.domain for one in store.list_domains(conn)] == ["fabrikam.test"]
        assert [one.title for one in store.list_threads(conn)] == ["Theirs"]
        shell = store.thread_by_id(conn, world.incident.id)
        assert (shell.title, shell.reference, shell.state) == (EMPTIED, "INC-000001", State.RESOLVED)
        assert store.timeline_of(conn, shell.id) == ()
        assert list_tasks(conn, shell.id) == ()
        assert len(rows["raw_messages"]) == len(rows["attachments"]) == 3
        assert len(rows["outgoing"]) == len(rows["deliveries"]) == 1
        assert rows["automatic_orders"] == []
        assert len(rows["search_documents"]) == 3
        assert store.candidates(conn, ThreadKeys(None, ("FILED@x.test",)), None).threads == {}
    assert store.check(world.database) == ()


def test_the_trail_keeps_that_a_customer_was_erased_and_not_what_was_said_of_it(world: World) -> None:
    fill(world)
    erase(world)
    with world.database.reading() as conn:
        chain = check_audit(conn)
        assert (chain.rows, chain.erased, chain.broken) == (3, 1, None)
        last, theirs, mine = list_audit(conn)
        assert (last.act, mine.content, mine.salt) == ("customer-erased", None, None)
        assert "theirs" in (theirs.content or "")


def test_a_new_customer_gets_no_number_of_an_erased_one(world: World) -> None:
    fill(world)
    erase(world)
    with world.database.writing() as conn:
        again = store.add_organisation(conn, "Contoso", AT)
        assert again.id > world.contoso.id
        made = store.open_incident(conn, again.id, "New", AT)
        assert made.id != world.incident.id
        assert made.reference == "INC-000003"


def test_nothing_of_an_erased_customer_is_left_in_the_file(tmp_path: Path) -> None:
    database = store.open_database(f"sqlite:///{tmp_path / 'record.db'}")
    store.upgrade(database)
    world = populate(database)
    with database.writing() as conn:
        for number in range(30):
            one = arrival(
                f"\r\n{SECRET} {number} {'x' * 3000}".encode(), copy_id=f"C{number:02}", subject=SECRET
            )
            store.store_message(
                conn, one, filing(Disposition.FILED, thread_id=world.incident.id, text=SECRET)
            )
    while index_some(database):
        pass

    def on_disk() -> bool:
        return any(SECRET.encode() in path.read_bytes() for path in tmp_path.iterdir())

    assert on_disk()
    erase(world)
    database.close()
    assert not on_disk()


def test_a_step_that_was_cut_off_is_begun_again(world: World) -> None:
    fill(world)
    with world.database.writing() as conn:
        assert erase_copies(conn, world.contoso.id, at_once=1) == 1
    with pytest.raises(store.RefusedRecord, match="begin again"), world.database.writing() as conn:
        erase_rest(conn, world.contoso.id, AT)
    erase(world)
    with world.database.reading() as conn:
        assert store.find_organisation(conn, "Contoso") is None
    with pytest.raises(store.UnknownRecord), world.database.writing() as conn:
        erase_copies(conn, world.contoso.id)


def test_every_table_that_refers_to_another_is_reached_by_its_foreign_keys() -> None:
    """A column that holds a thread or a message without saying so to the database would be forgotten."""
    assert outbound.schema.outgoing.name in metadata.tables
    silent = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.c
        if column.name in ("thread_id", "copy_id", "contact_id", "raw_sha256", "outgoing_id")
        and not column.foreign_keys
    }
    assert silent == set()


# -- legal hold -----------------------------------------------------------------------------------------
def put_hold(world: World) -> None:
    with world.database.writing() as conn:
        hold(conn, organisation_named(conn, "Contoso"), "a court asked", AT, by="Ana")


def test_a_legal_hold_refuses_to_erase_anything(world: World) -> None:
    fill(world)
    put_hold(world)
    before = everything(world)
    for step in (erase_copies, lambda conn, one: erase_rest(conn, one, AT)):
        with pytest.raises(store.RefusedRecord, match=r"legal hold on Contoso by Ana \(a court asked"):  # noqa: SIM117 -- one thing may raise
            with world.database.writing() as conn:
                step(conn, world.contoso.id)
    assert everything(world) == before


def test_a_legal_hold_stops_the_expiry_of_mail_that_waits_and_of_traces(world: World) -> None:
    fill(world)
    put_hold(world)
    later = AT + 40 * DAY
    with world.database.reading() as conn:
        keys = due(conn, later)
    with world.database.writing() as conn:
        gone = {copy.id for copy in expire(conn, keys, later, later, by="gateway")}
        assert gone == {"TRIAGE"}, "HELD waits for its thread, ANON is from its domain"
        conn.execute(update(expired_messages).values(author="sam@contoso.test"))
        assert forget_traces(conn, later + 400 * DAY) == 0
        end_hold(conn, organisation_named(conn, "Contoso"))
        assert forget_traces(conn, later + 400 * DAY) == 1
    with world.database.writing() as conn:
        assert {copy.id for copy in expire(conn, due(conn, later), later, later, by="gateway")} == {
            "HELD",
            "ANON",
        }
        assert [row.act for row in list_audit(conn)][:2] == ["mail-expired", "mail-expired"]


def test_a_legal_hold_keeps_what_was_relayed_for_its_people(world: World) -> None:
    with world.database.writing() as conn:
        for number, author in enumerate(("sam@contoso.test", "eve@stranger.test")):
            conn.execute(
                insert(relayed_messages).values(
                    id=str(number), sha256="0" * 64, size=1, mail_from=author, recipients="[]", received_at=AT,
                    client_ip="192.0.2.1", helo="x", author=author, verdict="no-claim", marked=False, reason="",
                    next_hop="x", answer="250", report="{}", evaluator="1", settings_hash="",
                )
            )  # fmt: skip
    put_hold(world)
    with world.database.writing() as conn:
        assert drop_old_relayed(conn, AT + 31 * DAY) == 1
        assert [one.author for one in list_relayed(conn)] == ["sam@contoso.test"]
        end_hold(conn, organisation_named(conn, "Contoso"))
        assert drop_old_relayed(conn, AT + 31 * DAY) == 1


# -- the record of another customer -----------------------------------------------------------------------
def second(world: World, *, verified: bool = False, on_hold: bool = False) -> tuple[Organisation, Thread]:
    """Fabrikam with a thread, on which Contoso's people write; Contoso has ``partner.test`` as well."""
    with world.database.writing() as conn:
        fabrikam = store.add_organisation(conn, "Fabrikam", AT)
        store.add_domain(conn, world.contoso.id, "partner.test", AT, verified=verified)
        store.add_contact(conn, fabrikam.id, "eve@partner.test", "Eve", AT)
        store.add_contact(conn, fabrikam.id, "Alex@contoso.test", "Alex", AT)
        if on_hold:
            hold(conn, fabrikam, "a court asked", AT, by="Ana")
        return fabrikam, store.open_incident(conn, fabrikam.id, "Theirs", AT)


def came(world: World, copy_id: str, disposition: Disposition, author: str, thread_id: int | None) -> None:
    with world.database.writing() as conn:
        store.store_message(
            conn,
            arrival(
                copy_id.encode(),
                copy_id=copy_id,
                author=author,
                mail_from=author,
                message_id=f"<{copy_id}@x>",
            ),
            filing(disposition, thread_id=thread_id),
        )


def left(world: World) -> set[str]:
    with world.database.reading() as conn:
        return {copy.id for copy in store.list_copies(conn)}


@pytest.mark.parametrize("disposition", [word for word in Disposition if word is not Disposition.RELAYED])
def test_whatever_is_on_another_customers_thread_stays(world: World, disposition: Disposition) -> None:
    _, theirs = second(world)
    came(world, "THEIRS", disposition, "alex@contoso.test", theirs.id)
    came(world, "MINE", Disposition.TRIAGE, "sam@contoso.test", None)
    erase(world)
    assert left(world) == {"THEIRS"}
    assert store.check(world.database) == ()


@pytest.mark.parametrize(("verified", "kept"), [(False, {"MAIL"}), (True, set())])
def test_only_a_verified_domain_makes_mail_its_customers(
    world: World, verified: bool, kept: set[str]
) -> None:
    second(world, verified=verified)
    came(world, "MAIL", Disposition.HELD, "sam@partner.test", None)
    erase(world)
    assert left(world) == kept


def test_traces_on_another_customers_thread_stay(world: World) -> None:
    _, theirs = second(world)
    came(world, "THEIRS", Disposition.HELD, "alex@contoso.test", theirs.id)
    came(world, "MINE", Disposition.TRIAGE, "sam@contoso.test", None)
    later = AT + 40 * DAY
    with world.database.writing() as conn:
        assert len(expire(conn, due(conn, later), later, later, by="gateway")) == 2
    erase(world)
    with world.database.reading() as conn:
        assert conn.execute(select(expired_messages.c.id)).scalars().all() == ["THEIRS"]


@pytest.mark.parametrize("on_hold", [False, True])
def test_our_mail_on_another_customers_thread_stays(world: World, on_hold: bool) -> None:
    _, theirs = second(world, verified=True, on_hold=on_hold)
    queue(world, theirs.id, ("eve@partner.test", None), ("Alex@contoso.test", world.alex.id))
    with world.database.reading() as conn:
        assert count_outgoing(conn, world.contoso.id) == 0
    erase(world)
    with world.database.reading() as conn:
        rows = conn.execute(select(outbound.schema.outgoing.c.rcpt_to, outbound.schema.outgoing.c.contact_id))
        (his_other, _) = store.list_contacts(conn)
        assert [tuple(row) for row in rows] == [
            ("eve@partner.test", None),
            ("Alex@contoso.test", his_other.id),
        ]


def test_what_a_contact_of_two_customers_wrote_or_was_told_stays_with_the_other_one(world: World) -> None:
    fabrikam, theirs = second(world)
    came(world, "EXPIRED", Disposition.HELD, "Alex@contoso.test", None)
    later = AT + 40 * DAY
    with world.database.writing() as conn:
        expire(conn, due(conn, later), later, later, by="gateway")
    came(world, "THEIRS", Disposition.FILED, "alex@contoso.test", theirs.id)
    came(world, "EITHER", Disposition.HELD, "alex@contoso.test", None)
    came(world, "MINE", Disposition.HELD, "sam@contoso.test", None)
    queue(world, theirs.id, ("Alex@contoso.test", world.alex.id))
    with world.database.writing() as conn:
        conn.execute(update(messages).values(contact_id=world.alex.id))
        for address in ("alex@contoso.test", "sam@contoso.test"):
            suppress(conn, address, "nobody there", AT, actor="gateway")
    erase(world)
    assert left(world) == {"THEIRS", "EITHER"}
    with world.database.reading() as conn:
        (twin,) = [
            one for one in store.list_contacts(conn, fabrikam.id) if one.address == "Alex@contoso.test"
        ]
        assert conn.execute(select(messages.c.contact_id)).scalars().all() == [twin.id, twin.id]
        assert conn.execute(select(outbound.schema.outgoing.c.contact_id)).scalars().all() == [twin.id]
        assert conn.execute(select(expired_messages.c.id)).scalars().all() == ["EXPIRED"]
        assert [entry.address for entry in list_suppressed(conn)] == ["alex@contoso.test"]
    assert store.check(world.database) == ()


SPELT = ("mo@b\u00fccher.test", "mo@xn--bcher-kva.test")


@pytest.mark.parametrize("listed", SPELT)
@pytest.mark.parametrize("known", SPELT)
@pytest.mark.parametrize("also_theirs", [False, True])
def test_a_suppressed_address_goes_with_its_contact_however_its_domain_is_written(
    world: World, listed: str, known: str, *, also_theirs: bool
) -> None:
    fabrikam, _ = second(world)
    with world.database.writing() as conn:
        store.add_contact(conn, world.contoso.id, known, "Mo", AT)
        if also_theirs:
            store.add_contact(conn, fabrikam.id, next(one for one in SPELT if one != known), "Mo", AT)
        for address in (listed, "other@b\u00fccher.test"):
            suppress(conn, address, "nobody there", AT, actor="gateway")
    erase(world)
    with world.database.reading() as conn:
        left_there = {entry.address for entry in list_suppressed(conn)}
    assert left_there == {"other@b\u00fccher.test"} | ({listed} if also_theirs else set())


def test_what_another_customers_hold_covers_stays_on_the_shell_of_its_thread(world: World) -> None:
    fabrikam, _ = second(world, on_hold=True)
    mine = world.incident.id
    came(world, "HELD", Disposition.HELD, "eve@partner.test", mine)
    came(world, "FILED", Disposition.FILED, "eve@partner.test", mine)
    came(world, "GOES", Disposition.FILED, "sam@contoso.test", mine)
    queue(world, mine, ("eve@partner.test", None), ("sam@contoso.test", None))
    erase(world)
    assert left(world) == {"HELD", "FILED"}
    with world.database.reading() as conn:
        assert store.thread_by_id(conn, mine).title == EMPTIED
        assert store.timeline_of(conn, mine) == ()
        assert conn.execute(select(outbound.schema.outgoing.c.rcpt_to)).scalars().all() == [
            "eve@partner.test"
        ]
    assert store.check(world.database) == ()
    with world.database.writing() as conn:
        end_hold(conn, organisation_named(conn, "Fabrikam"))
        assert erase_copies(conn, fabrikam.id) == 2, (
            "the shell is nobody's: its author's organisation has it now"
        )


def test_no_mail_is_moved_to_another_customer_out_of_a_legal_hold(world: World) -> None:
    _, theirs = second(world)
    came(world, "MINE", Disposition.FILED, "sam@contoso.test", world.incident.id)
    put_hold(world)
    with (
        pytest.raises(store.RefusedRecord, match=r"legal hold on Contoso by Ana \(a court asked"),
        world.database.writing() as conn,
    ):
        move_mail(conn, "MINE", theirs, AT, by="Ana", across=True)
    with world.database.writing() as conn:
        assert store.stored_copy(conn, "MINE").thread_id == world.incident.id
        end_hold(conn, organisation_named(conn, "Contoso"))
        move_mail(conn, "MINE", theirs, AT, by="Ana", across=True)
        assert store.stored_copy(conn, "MINE").thread_id == theirs.id


def queue(world: World, thread_id: int, *to: tuple[str, int | None]) -> None:
    """Mails of ours on a thread."""
    with world.database.writing() as conn:
        for number, (address, contact_id) in enumerate(to):
            queue_outgoing(
                conn,
                mail_to(address, thread_id, contact_id, number),
                idempotency_key=str(number),
                actor="Ana",
                checked=SelfCheck(genuine=True, verdict="genuine"),
                now=AT,
            )


# -- retention of resolved threads ----------------------------------------------------------------------
def resolve(world: World, at: datetime, days: int | None = 30) -> None:
    with world.database.writing() as conn:
        store.set_state(conn, world.incident.id, State.RESOLVED, at, actor="Ana")
        set_retention(conn, organisation_named(conn, "Contoso"), days)


def empty(world: World, now: datetime) -> None:
    with world.database.reading() as conn:
        found = threads_past_time(conn, now)
    for thread_id in found:
        done = False
        while not done:
            with world.database.writing() as conn:
                done = empty_thread(conn, thread_id, now, by="gateway", at_once=1)


def test_the_content_of_a_resolved_thread_ends_by_its_customers_time(world: World) -> None:
    fill(world)
    resolve(world, AT)
    empty(world, AT + 29 * DAY)
    with world.database.reading() as conn:
        assert store.stored_copy(conn, "FILED")
    now = AT + 31 * DAY
    empty(world, now)
    with world.database.reading() as conn:
        with pytest.raises(store.UnknownRecord):
            store.stored_copy(conn, "FILED")
        assert store.stored_copy(conn, "HELD").thread_id == world.incident.id, "what waits has its own time"
        thread = store.thread_by_id(conn, world.incident.id)
        assert (thread.title, thread.emptied_at) == (EMPTIED, now)
        (note,) = store.timeline_of(conn, thread.id)
        assert "was removed" in note.text
        assert list_tasks(conn, thread.id) == ()
        assert store.stored_copy(conn, "OTHERS")
        assert threads_past_time(conn, now + 400 * DAY) == ()
        assert list_audit(conn)[0].act == "thread-emptied"
    assert store.check(world.database) == ()


@pytest.mark.parametrize("reason", ["no time", "hold", "open", "news"])
def test_a_thread_keeps_its_content(world: World, reason: str) -> None:
    fill(world)
    resolve(world, AT, None if reason == "no time" else 30)
    now = AT + 31 * DAY
    if reason == "hold":
        put_hold(world)
    with world.database.writing() as conn:
        if reason == "open":
            store.set_state(conn, world.incident.id, State.IN_PROGRESS, AT, actor="Ana")
        if reason == "news":
            store.add_note(conn, world.incident.id, "still of use", now - DAY, actor="Ana")
        assert empty_thread(conn, world.incident.id, now, by="gateway")
        assert store.stored_copy(conn, "FILED")
        assert (
            conn.execute(select(threads.c.emptied_at).where(threads.c.id == world.incident.id)).scalar()
            is None
        )


def test_a_thread_keeps_its_content_under_the_hold_of_an_author_on_it(world: World) -> None:
    second(world, on_hold=True)
    came(world, "FILED", Disposition.FILED, "eve@partner.test", world.incident.id)
    resolve(world, AT)
    empty(world, AT + 31 * DAY)
    assert left(world) == {"FILED"}
    with world.database.writing() as conn:
        end_hold(conn, organisation_named(conn, "Fabrikam"))
    empty(world, AT + 31 * DAY)
    assert left(world) == set()


@pytest.mark.parametrize("by_address", [False, True])
@pytest.mark.parametrize("ordered", [False, True])
def test_a_thread_keeps_its_content_under_the_hold_of_whom_we_wrote_to_on_it(
    world: World, by_address: bool, ordered: bool
) -> None:
    fabrikam, _ = second(world, on_hold=True)
    with world.database.reading() as conn:
        (eve, *_) = [
            one for one in store.list_contacts(conn, fabrikam.id) if one.address == "eve@partner.test"
        ]
    address, contact_id = ("Eve@Partner.test", None) if by_address else ("her@private.test", eve.id)
    if ordered:
        with world.database.writing() as conn:
            order_automatic(
                conn,
                acknowledgement(
                    thread_id=world.incident.id,
                    contact_id=contact_id,
                    address=address,
                    idempotency_key="a",
                    ordered_at=AT,
                ),
            )
    else:
        queue(world, world.incident.id, (address, contact_id))
    resolve(world, AT)
    empty(world, AT + 31 * DAY)
    kept = outbound.schema.automatic_orders if ordered else outbound.schema.outgoing
    with world.database.writing() as conn:
        assert len(conn.execute(select(kept.c.id)).all()) == 1
        assert store.thread_by_id(conn, world.incident.id).emptied_at is None
        end_hold(conn, organisation_named(conn, "Fabrikam"))
    empty(world, AT + 31 * DAY)
    with world.database.reading() as conn:
        assert conn.execute(select(kept.c.id)).all() == []


def test_an_emptied_thread_that_is_reopened_ends_again_by_its_new_time(world: World) -> None:
    resolve(world, AT)
    empty(world, AT + 31 * DAY)
    with world.database.writing() as conn:
        store.set_state(conn, world.incident.id, State.IN_PROGRESS, AT + 40 * DAY, actor="Ana")
        store.add_note(conn, world.incident.id, SECRET, AT + 40 * DAY, actor="Ana")
        store.set_state(conn, world.incident.id, State.RESOLVED, AT + 41 * DAY, actor="Ana")
    empty(world, AT + 60 * DAY)
    with world.database.reading() as conn:
        assert len(conn.execute(select(timeline).where(timeline.c.text == SECRET)).all()) == 1
    empty(world, AT + 80 * DAY)
    with world.database.reading() as conn:
        assert conn.execute(select(timeline).where(timeline.c.text == SECRET)).all() == []
        assert conn.execute(select(organisations.c.retention_days)).scalars().all() == [30]
