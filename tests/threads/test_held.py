"""What waits for an expert, and what an expert makes of it."""

from __future__ import annotations

import sqlite3

import pytest

from tests.threads.conftest import AT, World, arrival, filing
from threads import store
from threads.model import DamagedCopy, Disposition, EntryKind, HeldItem, Mark, StandingKind
from threads.store.held import oldest_waiting


@pytest.fixture
def held(world: World) -> World:
    with world.database.writing() as conn:
        store.store_message(
            conn,
            arrival(author="sam@stranger.test", mail_from="sam@stranger.test"),
            filing(Disposition.HELD, StandingKind.UNKNOWN, thread_id=world.incident.id),
        )
        store.store_message(
            conn,
            arrival(b"2", copy_id="01B", author=None, mail_from=""),
            filing(Disposition.TRIAGE, StandingKind.UNAUTHENTICATED),
        )
    return world


def test_the_list_shows_what_waits_oldest_first(held: World) -> None:
    with held.database.reading() as conn:
        items = tuple(store.held_list(conn))
        assert [(i.copy.id, i.thread_reference, i.organisation) for i in items] == [
            ("01A", "INC-000001", "Contoso"),
            ("01B", None, None),
        ]
        assert next(store.held_list(conn, (Disposition.TRIAGE,))).copy.id == "01B"
        assert store.held_item(conn, "01A").text == "hello"


def test_a_release_files_the_words_as_unverified_and_keeps_the_verdict(held: World) -> None:
    with held.database.writing() as conn:
        store.release(conn, "01A", AT, by="Ana")
        entry = store.timeline_of(conn, held.incident.id)[-1]
        copy = store.stored_copy(conn, "01A")
    assert (entry.kind, entry.mark, entry.text, entry.quoted) == (
        EntryKind.MAIL_IN,
        Mark.UNVERIFIED,
        "hello",
        "> old",
    )
    assert (copy.disposition, copy.released_by, copy.released_at) == (Disposition.FILED, "Ana", AT)
    assert (copy.verdict, copy.standing) == ("no-claim", StandingKind.UNKNOWN)


def test_adding_the_contact_and_releasing_is_one_step(held: World) -> None:
    with held.database.writing() as conn:
        _, contact = store.release_with_contact(conn, "01A", "Sam", AT, by="Ana")
        assert contact.address == "sam@stranger.test"
        assert contact.organisation_id == held.contoso.id
        assert store.timeline_of(conn, held.incident.id)[-1].mark is Mark.UNVERIFIED


def test_a_stranger_is_released_only_onto_a_named_thread(held: World) -> None:
    with held.database.writing() as conn:
        with pytest.raises(store.RefusedRecord, match="name one"):
            store.release(conn, "01B", AT, by="Ana")
        with pytest.raises(store.RefusedRecord, match="no readable author"):
            store.release_with_contact(conn, "01B", "x", AT, by="Ana")
        store.release(conn, "01B", AT, by="Ana", thread_id=held.incident.id)
        assert store.timeline_of(conn, held.incident.id)[-1].actor == "unknown"


def test_a_discarded_copy_keeps_its_row_and_bytes_and_why(held: World) -> None:
    with held.database.writing() as conn:
        store.discard(conn, "01B", "advertising", AT, by="Ana")
        copy = store.stored_copy(conn, "01B")
        assert (copy.disposition, copy.reason, copy.discarded_by, copy.discarded_at) == (
            Disposition.DISCARDED,
            "advertising",
            "Ana",
            AT,
        )
        assert store.raw_message(conn, "01B") == b"2"
        assert [item.copy.id for item in store.held_list(conn)] == ["01A"]


def test_what_does_not_wait_cannot_be_decided_again(held: World) -> None:
    with held.database.writing() as conn:
        store.release(conn, "01A", AT, by="Ana")
        with pytest.raises(store.RefusedRecord, match="it is filed"):
            store.release(conn, "01A", AT, by="Ana")
        with pytest.raises(store.RefusedRecord, match="it is filed"):
            store.discard(conn, "01A", "x", AT, by="Ana")
        with pytest.raises(store.UnknownRecord, match="There is no message nope"):
            store.release(conn, "nope", AT, by="Ana")


def damage(world: World, statement: str) -> None:
    """Write past our own store, as a disk, an editor or an older program may."""
    with sqlite3.connect(world.database.path) as other:
        other.execute("PRAGMA foreign_keys = OFF")
        assert other.execute(statement).rowcount == 1
    other.close()


NOT_UTF8 = "CAST(x'66ff' AS TEXT)"
DAMAGE = {
    "kind": ["'love-letter'", "x'00'", NOT_UTF8],
    "disposition": ["'hold'", "''", "x'00'", NOT_UTF8],
    "received_at": ["'yesterday'", "5", "x'00'", "'9999-99-99 00:00:00.000000'", NOT_UTF8],
    "subject": ["x'00'", NOT_UTF8],
    "author": ["x'00'", NOT_UTF8],
    "reason": ["x'00'", NOT_UTF8],
    "new_text": ["x'00'", NOT_UTF8],
    "thread_id": ["'x'", "1.5"],
    "standing": ["'friend'"],
    "verdict": ["x'00'", NOT_UTF8],
}


@pytest.mark.parametrize(("column", "value"), [(c, v) for c, values in DAMAGE.items() for v in values])
def test_a_damaged_row_is_listed_with_what_to_do_and_the_others_still_are(
    held: World, column: str, value: str
) -> None:
    with held.database.writing() as conn:
        store.store_message(
            conn, arrival(b"3", copy_id="01C"), filing(Disposition.HELD, StandingKind.UNKNOWN)
        )
    damage(held, f"UPDATE messages SET {column} = {value} WHERE id = '01B'")
    with held.database.reading() as conn:
        items = list(store.held_list(conn))
        assert {i.copy.id for i in items if isinstance(i, HeldItem)} == {"01A", "01C"}
        (damaged,) = (i for i in items if isinstance(i, DamagedCopy))
        assert (damaged.id, damaged.columns) == ("01B", (column,))
        assert "expertmail held discard 01B" in damaged.sentence
        assert len(oldest_waiting(conn)) >= 1
    with (
        held.database.writing() as conn,
        pytest.raises(store.RefusedRecord, match=f"cannot be read .{column}"),
    ):
        store.release(conn, "01B", AT, by="Ana", thread_id=held.incident.id)
    with held.database.reading() as conn, pytest.raises(store.RefusedRecord, match="cannot be read"):
        store.held_item(conn, "01B")
    with held.database.writing() as conn:
        store.discard(conn, "01B", "damaged", AT, by="Ana")
    with held.database.reading() as conn:
        assert [i.copy.id for i in store.held_list(conn)] == ["01A", "01C"]
        assert store.raw_message(conn, "01B") == b"2"


def test_a_row_whose_bytes_are_gone_or_whose_id_is_none_is_listed_too(held: World) -> None:
    damage(held, "DELETE FROM raw_messages WHERE size = 1")
    with held.database.reading() as conn:
        first, second = store.held_list(conn)
    assert isinstance(first, HeldItem)
    assert second == DamagedCopy("01B", ("its bytes",))
    damage(held, f"UPDATE messages SET id = {NOT_UTF8} WHERE id = '01B'")
    with held.database.reading() as conn:
        second = list(store.held_list(conn))[1]
    assert (second.id, second.columns) == ("f\\xff", ("id",))


def test_a_damaged_row_that_does_not_wait_is_not_put_aside(held: World) -> None:
    with held.database.writing() as conn:
        store.release(conn, "01A", AT, by="Ana")
    damage(held, "UPDATE messages SET kind = 'love-letter' WHERE id = '01A'")
    with held.database.writing() as conn, pytest.raises(store.RefusedRecord, match="it is filed"):
        store.discard(conn, "01A", "x", AT, by="Ana")


def test_a_long_list_is_read_as_it_is_asked_for(held: World) -> None:
    with held.database.writing() as conn:
        for number in range(250):
            store.store_message(
                conn,
                arrival(str(number).encode(), copy_id=f"02-{number:03}"),
                filing(Disposition.HELD, StandingKind.UNKNOWN),
            )
    damage(held, "UPDATE messages SET kind = 'x' WHERE id = '02-123'")
    with held.database.reading() as conn:
        ids = [i.id if isinstance(i, DamagedCopy) else i.copy.id for i in store.held_list(conn)]
        assert ids == ["01A", "01B", *(f"02-{number:03}" for number in range(250))]
        assert [i.copy.id for i in store.held_list(conn, limit=3)] == ids[:3]


def test_a_released_forgery_stands_on_the_timeline_with_its_verdict(held: World) -> None:
    with held.database.writing() as conn:
        store.store_message(
            conn,
            arrival(b"forged", copy_id="01F", verdict="forged", report='{"verdict": "forged"}'),
            filing(Disposition.HELD, StandingKind.UNKNOWN, thread_id=held.incident.id),
        )
        store.release(conn, "01F", AT, by="Ana")
        entry = store.timeline_of(conn, held.incident.id)[-1]
        assert (entry.verdict, entry.mark) == ("forged", Mark.UNVERIFIED)
        assert [(j.verdict, j.report) for j in store.judgements(conn, "01F")] == [
            ("forged", '{"verdict": "forged"}')
        ]
