"""Searching the record, on SQLite and on PostgreSQL: the same answers."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from tests.threads.both_engines import copied, made_record, record_on_server, world_of_each  # noqa: F401 -- fixtures
from tests.threads.conftest import AT, World, arrival, filing, populate
from tests.threads.test_postgresql import server  # noqa: F401 -- a fixture
from threads import store
from threads.model import Disposition, StandingKind
from threads.schema import evidence
from threads.search_query import QueryError, read_query
from threads.store import search as search_module
from threads.store import search_index, search_postgresql
from threads.store.erasure import erase_copies
from threads.store.expiry import due, expire
from threads.store.search import Filters, Order, Page, search
from threads.store.search_index import backlog, catch_up, index_some, see_to_gaps

MINUTE = timedelta(minutes=1)
SECONDS = 60.0


@pytest.fixture
def sqlite_world(made: Path, tmp_path: Path) -> Iterator[World]:
    database = copied(made, tmp_path)
    yield populate(database)
    database.close()


def keep(
    world: World,
    copy_id: str,
    text: str = "hello",
    *,
    disposition=Disposition.FILED,
    thread: bool | int = True,
    header="",
    **more: Any,
) -> str:
    standing = StandingKind.CONTACT if disposition is Disposition.FILED else StandingKind.UNKNOWN
    raw = f"X: {copy_id}\r\n{header}\r\n\r\n{text}".encode()
    on = None if thread is False else world.incident.id if thread is True else thread
    with world.database.writing() as conn:
        return store.store_message(
            conn,
            arrival(raw, copy_id=copy_id, message_id=f"<{copy_id}@x.test>", **{"subject": "Odd", **more}),
            filing(disposition, standing, thread_id=on, text=text),
        ).id


def page(world: World, typed: str, filters: Filters | None = None, **more: Any) -> Page:
    assert catch_up(world.database, SECONDS)
    with world.database.reading() as conn:
        return search(conn, read_query(typed), filters, **more)


def found(world: World, typed: str, filters: Filters | None = None, **more: Any) -> list[str]:
    return [hit.copy.id for hit in page(world, typed, filters, **more).hits]


def test_messages_are_found_by_what_they_say_who_wrote_and_what_is_attached(world: World) -> None:
    keep(world, "A", "a password spray from three hosts", subject="Sign-in alert")
    keep(world, "B", "spray the password", author="zoe@fabrikam.test", mail_from="bounce+1@lists.test")
    keep(world, "C", "请查看安全通知，谢谢", header="From: =?utf-8?q?J=C3=BCrgen?= <alex@contoso.test>")
    keep(world, "D", "see the file", header='Content-Type: application/pdf; name="Quarterly_Report.pdf"')
    for typed, ids in {
        "password": "BA",
        '"password spray"': "A",
        "spray password three": "A",
        "pass*": "BA",
        "password -three": "B",
        '-"password spray" spray': "B",
        "alert": "A",
        "SIGN-IN": "A",
        '"alert a"': "",  # a phrase stays within its field
        "zoe@fabrikam.test": "B",
        "fabrikam.test": "B",
        "bounce": "B",
        "query@experts.test": "DCBA",
        "安全": "C",
        "通知": "C",
        "全通": "C",
        "安知": "",
        "jürgen": "C",
        "quarterly_report.pdf": "D",
        "report": "D",
        "forged": "",  # what we say of a message is not what it says
        "§forged": "",
        "nothing-like-it": "",
    }.items():
        assert found(world, typed) == list(ids), typed


def test_filters_narrow_by_thread_time_and_verdict(world: World) -> None:
    for number in range(6):
        keep(
            world,
            f"M{number}",
            "hello",
            received_at=AT + number * MINUTE,
            verdict="forged" if number % 2 else "no-claim",
        )
    keep(world, "OTHER", "hello", thread=False, disposition=Disposition.TRIAGE, received_at=AT)
    own = Filters(thread_id=world.incident.id)
    assert found(world, "hello", own) == ["M5", "M4", "M3", "M2", "M1", "M0"]
    assert found(world, "hello", Filters(thread_id=world.incident.id + 7)) == []
    assert found(world, "hello", Filters(since=AT + MINUTE, before=AT + 3 * MINUTE)) == ["M2", "M1"]
    assert found(world, "hello", Filters(verdict="forged")) == ["M5", "M3", "M1"]
    assert found(world, "hello", Filters(verdict="no-claim", since=AT + 4 * MINUTE)) == ["M4"]
    every = Filters(world.incident.id, AT + MINUTE, AT + 5 * MINUTE, "forged")
    assert found(world, "hello", every, order=Order.BEST) == ["M3", "M1"]


@pytest.mark.parametrize("few", [10_000, 1])
def test_who_sees_some_customers_finds_what_is_on_their_threads_or_held_for_them(
    world: World, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(search_module, "FEW_OF_CUSTOMERS", few)
    monkeypatch.setattr(search_postgresql, "NEAR", 2)
    monkeypatch.setattr(search_postgresql, "FEW", 2)
    with world.database.writing() as conn:
        fabrikam = store.add_organisation(conn, "Fabrikam", AT)
        theirs = store.open_incident(conn, fabrikam.id, "Theirs", AT)
    for number in range(8):
        on = theirs.id if number % 2 else world.incident.id
        keep(world, f"M{number}", "hello there", thread=on, received_at=AT + number * MINUTE)
    keep(world, "HELD", "hello", thread=theirs.id, disposition=Disposition.HELD, received_at=AT + 8 * MINUTE)
    keep(world, "NOBODYS", "hello", thread=False, disposition=Disposition.TRIAGE, received_at=AT)
    ours, those = Filters(organisations={world.contoso.id}), Filters(organisations=[fabrikam.id])
    assert found(world, "hello", ours) == ["M6", "M4", "M2", "M0"]
    assert found(world, "hello", those) == ["HELD", "M7", "M5", "M3", "M1"]
    assert found(world, "hello -there", those) == ["HELD"]
    assert sorted(found(world, "hello", ours, order=Order.BEST)) == ["M0", "M2", "M4", "M6"]
    both = Filters(organisations={world.contoso.id, fabrikam.id})
    assert len(found(world, "hello", both)) == 9
    assert found(world, "hello", Filters(organisations=())) == []
    assert found(world, "hello", Filters(organisations={77})) == []
    assert found(world, "hello", Filters(theirs.id, organisations={world.contoso.id})) == []
    assert found(world, "hello", Filters(theirs.id, before=AT + 4 * MINUTE, organisations={fabrikam.id})) == [
        "M3",
        "M1",
    ]
    seen: list[str] = []
    cursor = None
    while cursor is not None or not seen:
        one = page(world, "hello", those, limit=2, cursor=cursor)
        seen += [hit.copy.id for hit in one.hits]
        cursor = one.cursor
    assert seen == ["HELD", "M7", "M5", "M3", "M1"]


@pytest.mark.parametrize("order", list(Order))
def test_pages_hold_everything_once_whatever_comes_in_meanwhile(world: World, order: Order) -> None:
    for number in range(25):
        keep(world, f"M{number:02}", "hello " * (number % 5 + 1), received_at=AT + number // 2 * MINUTE)
    seen: list[str] = []
    cursor = None
    for turn in range(10):
        one = page(world, "hello", order=order, limit=10, cursor=cursor)
        seen += [hit.copy.id for hit in one.hits]
        cursor = one.cursor
        keep(world, f"NEW{turn}", "hello", received_at=AT + (100 + turn) * MINUTE)
        if cursor is None:
            break
    assert sorted(seen) == [f"M{number:02}" for number in range(25)]
    if order is Order.NEWEST:
        times = [int(name[1:]) // 2 for name in seen]
        assert times == sorted(times, reverse=True)


def test_the_best_says_it_in_the_subject_or_more_often(world: World) -> None:
    keep(world, "ONCE", "beacon and many other words " * 1 + "word " * 60, received_at=AT + 2 * MINUTE)
    keep(world, "SUBJECT", "word " * 60, subject="Beacon", received_at=AT)
    keep(world, "OFTEN", "beacon " * 9 + "word " * 50, received_at=AT + MINUTE)
    assert found(world, "beacon", order=Order.BEST)[-1] == "ONCE"
    assert found(world, "beacon") == ["ONCE", "OFTEN", "SUBJECT"]


def test_a_page_that_is_none_of_ours_is_refused(world: World) -> None:
    for name in ("", "n", "x1", "n-1", "n1;", "b1", "b1.99999", "n" + "9" * 30, "\x00", "n١"):
        with pytest.raises(QueryError, match="not understood"):
            page(world, "x", cursor=name)


def test_held_mail_is_found_as_what_it_is_and_a_release_moves_it(world: World) -> None:
    keep(world, "H", "hello", disposition=Disposition.HELD, thread=False)
    own = Filters(thread_id=world.incident.id)
    (hit,) = page(world, "hello").hits
    assert (hit.copy.disposition, hit.thread) == (Disposition.HELD, None)
    assert found(world, "hello", own) == []
    with world.database.writing() as conn:
        store.release(conn, "H", AT, by="Ana", thread_id=world.incident.id)
    (hit,) = page(world, "hello", own).hits
    assert (hit.copy.disposition, hit.thread) == (Disposition.FILED, world.incident.reference)


def test_the_same_bytes_with_a_better_standing_are_found_by_their_new_verdict(world: World) -> None:
    keep(world, "A", disposition=Disposition.HELD, verdict="unproven")
    assert found(world, "hello", Filters(verdict="unproven")) == ["A"]
    keep(world, "AGAIN", verdict="genuine")
    with world.database.writing() as conn:
        raw = b"X: A\r\n\r\n\r\nhello"
        store.store_message(
            conn,
            arrival(raw, copy_id="B", verdict="genuine", message_id="<A@x.test>", subject="Odd"),
            filing(Disposition.FILED, thread_id=world.incident.id, text="hello"),
        )
    assert sorted(found(world, "hello", Filters(verdict="genuine"))) == ["A", "AGAIN"]
    assert found(world, "hello", Filters(verdict="unproven")) == []


def words_kept(world: World) -> int:
    with world.database.reading() as conn:
        return int(conn.exec_driver_sql("SELECT count(*) FROM search_words").scalar_one())


def test_what_expires_leaves_the_index_with_its_content(world: World) -> None:
    keep(world, "OLD", "topsecret", disposition=Disposition.HELD, received_at=AT - timedelta(days=31))
    keep(world, "NEW", "topsecret", disposition=Disposition.HELD)
    assert found(world, "topsecret") == ["NEW", "OLD"]
    limit = AT - timedelta(days=30)
    with world.database.writing() as conn:
        assert len(expire(conn, due(conn, limit), limit, AT, by="gateway")) == 1
        assert (
            conn.exec_driver_sql("SELECT count(*) FROM search_words").scalar_one() == 1
        )  # in this very transaction
    assert found(world, "topsecret") == ["NEW"]
    if world.database.path is not None:
        with world.database.writing() as conn:
            conn.exec_driver_sql("INSERT INTO search_words(search_words) VALUES ('integrity-check')")


def test_what_is_erased_leaves_the_index_with_its_content(world: World) -> None:
    keep(world, "A", "topsecret")
    keep(world, "B", "topsecret", disposition=Disposition.HELD)
    assert found(world, "topsecret") == ["B", "A"]
    with world.database.writing() as conn:
        assert erase_copies(conn, world.contoso.id) == 2
        assert conn.exec_driver_sql("SELECT count(*) FROM search_words").scalar_one() == 0
    assert found(world, "topsecret") == []


def test_a_number_that_the_database_gives_again_is_not_taken_for_done(world: World) -> None:
    for number in range(5):
        keep(world, f"H{number}", "hello", disposition=Disposition.HELD, received_at=AT - timedelta(days=31))
    assert len(found(world, "hello")) == 5
    limit = AT - timedelta(days=30)
    with world.database.writing() as conn:
        assert len(expire(conn, due(conn, limit), limit, AT, by="gateway")) == 5
    for number in range(7):  # on SQLite with the judgements' numbers of those that are gone
        keep(world, f"N{number}", "hello")
    assert len(found(world, "hello")) == 7


def test_an_indexer_that_dies_loses_nothing_and_does_nothing_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        keep(world, f"M{number:02}", "hello")
    put = search_index._put
    died = []

    def dies(conn: store.Connection, entries: Any) -> None:
        put(conn, entries)
        if len(died) < 3:
            died.append(1)
            raise KeyboardInterrupt

    monkeypatch.setattr(search_index, "_put", dies)
    done = 0
    while done < 100:
        try:
            some = index_some(world.database, 7)
        except KeyboardInterrupt:
            continue
        if not some:
            break
        done += some
    assert (done, len(died), words_kept(world)) == (30, 3, 30)
    assert len(found(world, "hello", limit=100)) == 30


def test_two_indexers_at_once_do_each_message_once(world: World) -> None:
    for number in range(60):
        keep(world, f"M{number:02}", "hello")
    faults: list[BaseException] = []

    def work() -> None:
        try:
            assert catch_up(world.database, SECONDS)
        except BaseException as error:  # noqa: BLE001 -- told to the test
            faults.append(error)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert faults == []
    assert words_kept(world) == 60
    assert len(found(world, "hello", limit=100)) == 60


def test_an_index_that_lost_messages_is_made_anew(world: World) -> None:
    for number in range(5):
        keep(world, f"M{number}", "hello")
    assert len(found(world, "hello")) == 5
    for _ in range(3):
        assert index_some(world.database) == 0  # PostgreSQL counts what is settled only
    assert not see_to_gaps(world.database)
    with world.database.writing() as conn:
        conn.exec_driver_sql("DELETE FROM search_documents WHERE copy_id IN ('M1', 'M3')")
    assert see_to_gaps(world.database)
    assert len(found(world, "hello")) == 5
    assert words_kept(world) == 5


def test_a_message_that_is_committed_after_a_later_one_is_found(world: World) -> None:
    if world.database.path is not None:
        return  # SQLite has one writer
    with world.database.writing() as slow:
        store.store_message(slow, arrival(b"slow", copy_id="SLOW"), filing(Disposition.HELD, text="hello"))
        keep(world, "QUICK")
        for _ in range(4):
            index_some(world.database)
        assert found(world, "hello") == ["QUICK"]
    assert sorted(found(world, "hello")) == ["QUICK", "SLOW"]
    for _ in range(3):
        index_some(world.database)
    with world.database.reading() as conn:
        assert backlog(conn).waiting == 0


def test_a_copy_restored_on_another_server_goes_on(world: World) -> None:
    keep(world, "A")
    assert found(world, "hello") == ["A"]
    with world.database.writing() as conn:
        conn.exec_driver_sql("UPDATE search_progress SET next_after = 1000000000000")  # of the other server
    keep(world, "B")
    assert sorted(found(world, "hello")) == ["A", "B"]
    for _ in range(3):
        index_some(world.database)
    with world.database.reading() as conn:
        assert backlog(conn).waiting == 0


def test_storing_a_message_executes_no_statement_for_the_index(sqlite_world: World) -> None:
    world, database = sqlite_world, sqlite_world.database
    said: list[str] = []
    with database.writing() as conn:
        driver = conn.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_trace_callback(said.append)
        store.store_message(conn, arrival(), filing(Disposition.FILED, thread_id=world.incident.id))
        driver.set_trace_callback(None)
    assert any("INSERT INTO messages" in one for one in said)
    assert not [one for one in said if "search" in one]


def test_a_damaged_row_keeps_no_other_back(sqlite_world: World) -> None:
    world, database = sqlite_world, sqlite_world.database
    for name in "ABCD":
        keep(world, name)
    assert len(found(world, "hello")) == 4
    for name in "EFG":
        keep(world, name)
    with database.writing() as conn:
        conn.exec_driver_sql("UPDATE messages SET new_text = x'ff' WHERE id = 'F'")  # before it is indexed
        conn.exec_driver_sql("UPDATE messages SET received_at = 'never' WHERE id = 'B'")  # and after
    one = page(world, "hello")
    assert sorted(hit.copy.id for hit in one.hits) == list("ACDEG")
    assert one.damaged == 1


def test_messages_that_were_stored_before_there_was_an_index_are_found(world: World) -> None:
    keep(world, "A")
    with world.database.writing() as conn:
        conn.exec_driver_sql("DELETE FROM search_documents")
        conn.exec_driver_sql("UPDATE search_progress SET done_to = 0, next_to = 0, next_after = 0")
    assert found(world, "hello") == ["A"]


HOSTILE_TEXTS = [
    "x" * 900_000,
    " ".join(f"{number}{'é' * 60}" for number in range(12_000)),
    "安" * 20_000,
    "same " * 40_000,
    "\x00\ud800'\"\\:&|!()<-> * ^ § {}",
    " ".join(map(chr, range(0x20, 0x3000))),
    " ".join(map(chr, range(0x1F000, 0x20000))),
]


def test_any_text_can_be_indexed_and_its_beginning_is_found(world: World) -> None:
    for number, text in enumerate(HOSTILE_TEXTS):
        with world.database.writing() as conn:
            store.store_message(
                conn,
                arrival(str(number).encode(), copy_id=f"M{number}", subject=text[:900]),
                filing(Disposition.HELD, text=f"needle{number} {text}"),
            )
    for number in range(len(HOSTILE_TEXTS)):
        assert found(world, f"needle{number}") == [f"M{number}"]
    assert found(world, "安安安") == ["M2"]
    assert found(world, '"needle3 same same"') == ["M3"]


HOSTILE_QUERIES = [
    '"', "'", "''", "\\", "\\'", "'\\", '""', '"""', "*", "^x", "x^2", "{a b}", "a:b", ": x", "(x", "x)", "x AND", "NOT x", "OR",
    "NEAR(x y, 5)", "x + y", "x & y", "!x", "x | y", "x <-> y", "<2>", "x:*", "x:A", "§forged", "%s %(x)s", ":query", "?", "$1",
    "x\x00y", "\ud800", "\udcff x", "x" * 100_000, "a b " * 25_000, '"' * 1_000, "-" * 1_000, "-x", "- x", "x -", "x--y", "--", ";",
    "x*y", "*x", "x**", '"x*"', '"x"*', "ＸＹ", "ß", "ΐ", "İ", "ǅ", "\u0345x", "ﬁle", "e\u0301", "\u0301", "安*", "-安", "ཱི", "🙂", "½",
    "١٢٣", "²", "x\u2028y", "\ufeffx", "\u202ex", "\U0010ffff", "a" * 64 + "b", "\u1e9e", "\u0130\u0131", "ŉ", "x\N{SECTION SIGN}y",
]  # fmt: skip


def test_anything_typed_gives_a_page_or_a_plain_refusal(world: World) -> None:
    keep(world, "A", "some words, x and y, 安全 🙂 file ß")
    assert catch_up(world.database, SECONDS)
    refused = 0
    with world.database.reading() as conn:
        for typed in [
            *HOSTILE_QUERIES,
            *(f'"{one}' for one in HOSTILE_QUERIES),
            *(f"x {one}*" for one in HOSTILE_QUERIES),
        ]:
            try:
                assert isinstance(search(conn, read_query(typed), Filters(verdict="x'\" \x00")), Page)
                search(conn, read_query(typed), order=Order.BEST)
            except QueryError:
                refused += 1
    assert 0 < refused < len(HOSTILE_QUERIES) * 3


def test_random_text_typed_gives_a_page_or_a_plain_refusal(world: World) -> None:
    import random

    keep(world, "A", "hello")
    assert catch_up(world.database, SECONDS)
    chance = random.Random(5)
    signs = "ab\"'*-()&|!:<>\\^{}%$?;,§ \t\n\x00安ß\ud800é١"
    with world.database.reading() as conn:
        for _ in range(150):
            typed = "".join(chance.choices(signs, k=chance.randrange(1, 30)))
            try:
                search(conn, read_query(typed))
            except QueryError:
                continue


def test_a_judgement_without_its_message_holds_up_nothing(world: World) -> None:
    keep(world, "A")
    with world.database.writing() as conn:
        row = {
            "message_id": "A", "at": AT, "verdict": "genuine", "report": "", "body": "", "evaluator": "", "settings_hash": "",
            "client_ip": "", "helo": "",
        }  # fmt: skip
        conn.execute(insert(evidence), [row] * 3)
    assert found(world, "hello") == ["A"]
    assert words_kept(world) == 1
