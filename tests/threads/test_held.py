"""What waits for an expert, and what an expert makes of it."""

from __future__ import annotations

import pytest

from tests.threads.conftest import AT, World, arrival, filing
from threads import store
from threads.model import Disposition, EntryKind, Mark, StandingKind


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
