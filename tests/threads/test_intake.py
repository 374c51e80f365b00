"""Storing arrivals: once for each copy, and the better standing decides."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sqlalchemy import update

from tests.threads.conftest import AT, World, arrival, filing
from threads import store
from threads.model import (
    Direction,
    Disposition,
    EntryKind,
    KnownMessage,
    Mark,
    MatchRule,
    Outcome,
    ReplyToken,
    Signal,
    StandingKind,
    ThreadKeys,
    ThreadMatch,
)
from threads.schema import messages
from threads.store.intake import MAX_SIGNALS
from threads.store.lookup import MAX_NAMED
from threads.store.match_records import match_record
from threads.store.moving import merge_threads
from threads.store.thread import know_message_id


def marks(world: World, conn: store.Connection) -> list[tuple[EntryKind, Mark]]:
    return [(e.kind, e.mark) for e in store.timeline_of(conn, world.incident.id)[1:]]


def test_a_filed_message_is_on_the_timeline_with_its_bytes_and_its_evidence(world: World) -> None:
    message = arrival(b"From: a\r\n\r\n\x00\xff\r\n")
    with world.database.writing() as conn:
        stored = store.store_message(conn, message, filing(Disposition.FILED, thread_id=world.incident.id))
    with world.database.reading() as conn:
        assert stored.outcome is Outcome.STORED
        assert store.raw_message(conn, stored.id) == message.raw
        entry = store.timeline_of(conn, world.incident.id)[-1]
        assert (entry.mark, entry.text, entry.quoted, entry.actor, entry.copy_id) == (
            Mark.VERIFIED,
            "hello",
            "> old",
            "alex@contoso.test",
            stored.id,
        )
        (judgement,) = store.judgements(conn, stored.id)
        assert (judgement.evidence, judgement.report) == (message.evidence, message.report)
        copy = store.stored_copy(conn, stored.id)
        assert (copy.client_ip, copy.received_at, copy.disposition) == ("192.0.2.1", AT, Disposition.FILED)


def test_the_same_copy_again_changes_nothing(world: World) -> None:
    with world.database.writing() as conn:
        decision = filing(Disposition.FILED, thread_id=world.incident.id)
        store.store_message(conn, arrival(), decision)
        again = store.store_message(conn, arrival(copy_id="01B"), decision)
        assert again == store.Stored("01A", Outcome.DUPLICATE)
        assert len(marks(world, conn)) == 1


def test_the_same_bytes_in_another_envelope_are_another_copy_of_one_stored_message(world: World) -> None:
    with world.database.writing() as conn:
        store.store_message(conn, arrival(), filing(Disposition.HELD))
        store.store_message(conn, arrival(copy_id="01B", mail_from="evil@x.test"), filing(Disposition.HELD))
        assert conn.exec_driver_sql("SELECT count(*) FROM raw_messages").scalar() == 1
        assert store.count_copies(conn) == {Disposition.HELD: 2}


@pytest.mark.parametrize("first", [Disposition.HELD, Disposition.TRIAGE, Disposition.DISCARDED])
def test_nobody_suppresses_a_message_by_sending_its_bytes_first(world: World, first: Disposition) -> None:
    with world.database.writing() as conn:
        held = Disposition.HELD if first is Disposition.DISCARDED else first
        store.store_message(
            conn,
            arrival(client_ip="203.0.113.9", evidence="{}"),
            filing(held, StandingKind.UNAUTHENTICATED),
        )
        if first is Disposition.DISCARDED:
            store.discard(conn, "01A", "spam", AT, by="Ana")
        stored = store.store_message(
            conn, arrival(copy_id="01B"), filing(Disposition.FILED, thread_id=world.incident.id)
        )
        assert stored.outcome is Outcome.REFILED
        assert stored.id == "01A"
        copy = store.stored_copy(conn, "01A")
        assert (copy.disposition, copy.client_ip) == (Disposition.FILED, "192.0.2.1")
        assert copy.discarded_at is None
        assert marks(world, conn) == [(EntryKind.MAIL_IN, Mark.VERIFIED)]
        assert [j.client_ip for j in store.judgements(conn, "01A")] == ["203.0.113.9", "192.0.2.1"]


def test_a_worse_standing_never_takes_back_a_filed_message(world: World) -> None:
    with world.database.writing() as conn:
        store.store_message(conn, arrival(), filing(Disposition.FILED, thread_id=world.incident.id))
        again = store.store_message(
            conn, arrival(copy_id="01B"), filing(Disposition.HELD, StandingKind.UNAUTHENTICATED)
        )
        assert again.outcome is Outcome.DUPLICATE
        assert store.stored_copy(conn, "01A").disposition is Disposition.FILED


def test_a_released_copy_that_comes_again_authenticated_raises_the_mark_and_adds_no_entry(
    world: World,
) -> None:
    with world.database.writing() as conn:
        store.store_message(conn, arrival(), filing(Disposition.HELD, StandingKind.UNAUTHENTICATED))
        store.release(conn, "01A", AT, by="Ana", thread_id=world.incident.id)
        assert marks(world, conn) == [(EntryKind.MAIL_IN, Mark.UNVERIFIED)]
        store.store_message(
            conn, arrival(copy_id="01B"), filing(Disposition.FILED, thread_id=world.incident.id)
        )
        assert marks(world, conn) == [(EntryKind.MAIL_IN, Mark.VERIFIED)]


def test_a_message_is_filed_on_a_thread_or_not_at_all(world: World) -> None:
    with world.database.writing() as conn, pytest.raises(store.RefusedRecord):
        store.store_message(conn, arrival(), filing(Disposition.FILED))


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "\x00\ud800" * 2_000, "helo": "\x00" * 5_000, "author": "\ud800@x"},
        {"message_id": "<" + "é" * 900 + ">"},
        {"message_id": "<\x00\ud800@x>"},
        {"message_id": "<>"},
        {"mail_from": "é" * 300},
        {"raw": b""},
        {"raw": b"\x00" * 5_000_000},
    ],
)
def test_hostile_values_are_stored_all_the_same(world: World, changes: dict[str, object]) -> None:
    with world.database.writing() as conn:
        message = arrival(**changes)  # type: ignore[arg-type]
        decision = filing(Disposition.FILED, thread_id=world.incident.id, text="\x00\ud800")
        stored = store.store_message(conn, message, decision)
        assert store.store_message(conn, message, decision).outcome is Outcome.DUPLICATE
        assert store.raw_message(conn, stored.id) == message.raw


def test_candidates_are_what_the_keys_and_the_author_name(world: World) -> None:
    with world.database.writing() as conn:
        store.record_outgoing(conn, world.incident.id, "<out@x>", AT, actor="Ana", text="?")
        store.store_message(conn, arrival(), filing(Disposition.FILED, thread_id=world.incident.id))
        found = store.candidates(
            conn,
            ThreadKeys(
                ReplyToken(world.incident.id, 1),
                ("out@x",),
                ("m1@contoso.test", "unknown@x"),
                ("INC-000001", "INC-000099"),
            ),
            "ALEX@contoso.test",
        )
    assert set(found.threads) == {world.incident.id}
    assert found.known == {
        "out@x": (KnownMessage(world.incident.id, Direction.OUT),),
        "m1@contoso.test": (KnownMessage(world.incident.id, Direction.IN),),
    }
    assert found.tagged == {"INC-000001": world.incident.id}
    assert found.contacts == (world.alex,)
    assert found.domain_organisations == (world.contoso.id,)


def test_candidates_of_nothing_are_none(world: World) -> None:
    with world.database.reading() as conn:
        found = store.candidates(conn, ThreadKeys(), None)
    assert (found.threads, found.contacts, found.domain_organisations) == ({}, (), ())


def test_an_unverified_domain_lets_nobody_speak(world: World) -> None:
    with world.database.writing() as conn:
        store.add_domain(conn, world.contoso.id, "contoso.test", AT, verified=False)
        assert store.candidates(conn, ThreadKeys(), "x@contoso.test").domain_organisations == ()


def test_only_a_filed_message_makes_its_message_id_known(world: World) -> None:
    with world.database.writing() as conn:
        store.store_message(
            conn, arrival(), filing(Disposition.HELD, StandingKind.UNKNOWN, thread_id=world.incident.id)
        )
        keys = ThreadKeys(None, ("m1@contoso.test",))
        assert store.candidates(conn, keys, None).known == {}
        store.release(conn, "01A", AT, by="Ana")
        assert store.candidates(conn, keys, None).known != {}


def test_of_many_unseen_ancestors_the_oldest_and_the_nearest_are_kept(world: World) -> None:
    unseen = tuple(f"a{number}@x" for number in range(200))
    with world.database.writing() as conn:
        decided = replace(
            filing(Disposition.FILED, thread_id=world.incident.id), ancestors=unseen, own_ids=("own@x",)
        )
        store.store_message(conn, arrival(), decided)
        known = store.candidates(conn, ThreadKeys(None, ("own@x",), unseen), None).known
    assert known.pop("own@x") == (KnownMessage(world.incident.id, Direction.IN),)
    assert set(known) == {unseen[0], *unseen[-9:]}
    assert {hit.direction for hits in known.values() for hit in hits} == {Direction.REF}


def test_what_names_a_merged_thread_finds_the_one_that_goes_on(world: World) -> None:
    with world.database.writing() as conn:
        other = store.open_incident(conn, world.contoso.id, "Another one", AT)
        merge_threads(conn, world.incident, other, AT, by="Robin")
        found = store.candidates(
            conn, ThreadKeys(ReplyToken(world.incident.id, 1), tags=("INC-000001",)), None
        )
    assert {number: one.id for number, one in found.threads.items()} == {
        world.incident.id: other.id,
        other.id: other.id,
    }
    assert found.tagged == {"INC-000001": world.incident.id}


def test_a_contact_is_looked_for_under_other_forms_where_the_address_is_none(world: World) -> None:
    with world.database.reading() as conn:
        found = store.candidates(conn, ThreadKeys(), "alex+soc@contoso.test")
        assert (found.contacts, found.mailbox_contacts) == ((), (world.alex,))
        found = store.candidates(conn, ThreadKeys(), "alex@contoso.test")
        assert (found.contacts, found.mailbox_contacts) == ((world.alex,), ())


def test_what_earlier_versions_stored_of_signals_is_read_and_what_is_damaged_left_out(world: World) -> None:
    old = {"rule": "references", "key": "a@b", "thread": world.incident.id, "direction": "out"}
    with world.database.writing() as conn:
        store.store_message(conn, arrival(), filing(Disposition.FILED, thread_id=world.incident.id))
        for stored, keys in (
            (json.dumps([old]), ["a@b"]),
            (
                json.dumps([old, {"rule": "guess"}, 7, None, {**old, "key": "c@d", "direction": "up"}]),
                ["a@b"],
            ),
            ("{}", []),
            ("not JSON", []),
        ):
            conn.execute(update(messages).values(signals=stored))
            record = match_record(conn, "01A")
            assert record is not None
            assert [signal.key for signal in record.signals] == keys
        assert match_record(conn, "nobody") is None


@pytest.mark.parametrize("others", [0, 1, 16])
def test_no_number_of_mails_with_one_message_id_hides_what_is_ours(world: World, others: int) -> None:
    """Asked for alone, with another one, and in one question for many."""
    keys = ThreadKeys(None, ("q@experts.test", *(f"other{n}@x" for n in range(others))))
    with world.database.writing() as conn:
        for _ in range(MAX_NAMED + 5):
            other = store.open_inquiry(conn, world.contoso.id, "x", AT)
            know_message_id(conn, "q@experts.test", other.id, Direction.IN)
            if others:
                know_message_id(conn, "other0@x", other.id, Direction.REF)
        know_message_id(conn, "q@experts.test", other.id, Direction.OUT)
        found = store.candidates(conn, keys, None)
    assert found.known["q@experts.test"][0] == KnownMessage(other.id, Direction.OUT)
    assert {name: len(hits) for name, hits in found.known.items()} == {
        "q@experts.test": MAX_NAMED,
        **({"other0@x": MAX_NAMED} if others else {}),
    }


def test_of_very_many_signals_some_are_kept_and_the_followed_one_among_them(world: World) -> None:
    signals = [Signal(MatchRule.REFERENCES, f"{n}@x", n, Direction.IN) for n in range(2 * MAX_SIGNALS)]
    signals.append(Signal(MatchRule.SUBJECT_TAG, "INC-000001", world.incident.id, followed=True))
    matched = ThreadMatch(world.incident.id, MatchRule.SUBJECT_TAG, "because", tuple(signals))
    decision = replace(filing(Disposition.FILED, thread_id=world.incident.id), match=matched)
    with world.database.writing() as conn:
        stored = store.store_message(conn, arrival(), decision)
        kept = match_record(conn, stored.id).signals
    assert kept == (signals[-1], *signals[: MAX_SIGNALS - 1])
