"""Mail whose time is over: its content goes, its trace stays, and nothing is released by time."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

import pytest

from outbound.mail_event import MailEvent
from outbound.store.mail_events import events_of, record_event
from tests.threads.conftest import AT, World, arrival, filing
from threads import store
from threads.model import Disposition, EntryKind, Mark, MessageKind, Outcome, StandingKind
from threads.retention import Retention
from threads.store.expiry import (
    due,
    expire,
    expired_items,
    expired_keys,
    find_expired,
    forget_traces,
)
from threads.store.held import count_waiting, oldest_waiting, relay_held

DAY = timedelta(days=1)
MONTH = Retention(days=30, notice_days=7)


def keep(world: World, copy_id: str, disposition=Disposition.HELD, *, age=31 * DAY, raw=None, **more) -> str:
    thread_id = world.incident.id if disposition in {Disposition.HELD, Disposition.FILED} else None
    with world.database.writing() as conn:
        return store.store_message(
            conn,
            arrival(raw or copy_id.encode(), copy_id=copy_id, received_at=AT - age, **more),
            filing(disposition, StandingKind.UNKNOWN, thread_id=thread_id),
        ).id


def pass_time(world: World, at=AT, retention=MONTH) -> list[str]:
    limit = retention.limit(at)
    with world.database.writing() as conn:
        return [copy.id for copy in expire(conn, due(conn, limit), limit, at, by="gateway")]


def traces(world: World) -> list:
    with world.database.reading() as conn:
        return list(expired_items(conn, expired_keys(conn)))


def raws(world: World) -> int:
    with world.database.reading() as conn:
        return conn.exec_driver_sql("SELECT count(*) FROM raw_messages").scalar_one()


def test_what_waited_too_long_loses_its_content_and_keeps_its_trace(world: World) -> None:
    keep(world, "OLD", verdict="forged", report='{"verdict": "forged"}', evidence='{"answers": [1]}')
    keep(world, "NEW", age=29 * DAY)
    assert pass_time(world) == ["OLD"]
    with world.database.reading() as conn:
        assert [item.copy.id for item in store.held_list(conn)] == ["NEW"]
        with pytest.raises(store.UnknownRecord, match="was removed when its time was over"):
            store.raw_message(conn, "OLD")
        with pytest.raises(store.UnknownRecord, match="held show OLD"):
            store.held_item(conn, "OLD")
        gone = find_expired(conn, "OLD")
        assert find_expired(conn, "NEW") is None
        assert store.check(world.database) == ()
    assert gone is not None
    assert (gone.verdict, gone.disposition, gone.expired_at, gone.expired_by) == (
        "forged",
        Disposition.HELD,
        AT,
        "gateway",
    )
    assert (gone.report, gone.evidence, gone.size) == ('{"verdict": "forged"}', '{"answers": [1]}', 3)
    assert (gone.received_at, gone.subject, gone.reason) == (AT - 31 * DAY, "Re: Odd sign-in", "because")
    assert raws(world) == 1


def test_a_machines_mail_that_was_filed_and_then_held_ends_as_well(world: World) -> None:
    """The same bytes came again with a better standing: a row of ours refers to a copy that waits."""
    raw = b"an absence note"
    with world.database.writing() as conn:
        first = store.store_message(
            conn,
            arrival(raw, copy_id="EVENT", received_at=AT - 31 * DAY),
            filing(Disposition.FILED, StandingKind.UNKNOWN, thread_id=world.incident.id),
        )
        nothing = dict.fromkeys(("contact_id", "outgoing_id", "recipient", "status", "action", "diagnostic"))
        event = MailEvent(MessageKind.AUTO_REPLY, AT, first.id, world.incident.id, **nothing)
        record_event(conn, event, returned=False)
        again = store.store_message(
            conn,
            arrival(raw, copy_id="AGAIN", received_at=AT - 31 * DAY),
            filing(Disposition.HELD, StandingKind.CONTACT, thread_id=world.incident.id),
        )
    assert (again.id, again.outcome) == ("EVENT", Outcome.REFILED)
    keep(world, "OTHER")
    assert sorted(pass_time(world)) == ["EVENT", "OTHER"]
    with world.database.reading() as conn:
        assert events_of(conn, thread_id=world.incident.id) == ()
        assert {entry.copy_id for entry in store.timeline_of(conn, world.incident.id)} == {None}
    assert raws(world) == 0
    assert store.check(world.database) == ()


def test_the_thread_it_waited_for_hears_of_it_once_and_gets_no_word_of_it(world: World) -> None:
    keep(world, "A")
    keep(world, "B")
    pass_time(world)
    with world.database.reading() as conn:
        *_, note = store.timeline_of(conn, world.incident.id)
    assert (note.kind, note.mark, note.actor) == (EntryKind.NOTE, Mark.AUTOMATION, "gateway")
    assert note.text.startswith("2 held messages for this thread expired undecided")
    assert "hello" not in note.text


@pytest.mark.parametrize(
    ("disposition", "decide"),
    [
        (Disposition.HELD, lambda conn, at: store.discard(conn, "X", "spam", at, by="Ana")),
        (Disposition.HELD, lambda conn, at: relay_held(conn, "X", at, by="Ana")),
    ],
)
def test_what_was_decided_counts_from_the_decision(world: World, disposition, decide) -> None:
    keep(world, "X", disposition, age=60 * DAY)
    with world.database.writing() as conn:
        decide(conn, AT)
    assert pass_time(world, AT + 30 * DAY) == []
    assert pass_time(world, AT + 30 * DAY + timedelta(seconds=1)) == ["X"]
    (gone,) = traces(world)
    assert "Ana" in {gone.discarded_by, gone.released_by}
    with world.database.reading() as conn:
        assert [e.kind for e in store.timeline_of(conn, world.incident.id)] == [EntryKind.STATE]


@pytest.mark.parametrize("disposition", [Disposition.FILED, Disposition.ANSWERED])
def test_what_was_filed_or_answered_has_no_end(world: World, disposition) -> None:
    keep(world, "X", disposition, age=4_000 * DAY)
    assert pass_time(world) == []
    with world.database.reading() as conn:
        assert MONTH.expires(store.stored_copy(conn, "X")) is None


def test_a_released_message_stays_on_its_thread(world: World) -> None:
    keep(world, "X")
    with world.database.writing() as conn:
        store.release(conn, "X", AT, by="Ana")
    assert pass_time(world, AT + 400 * DAY) == []
    with world.database.reading() as conn:
        assert store.raw_message(conn, "X") == b"X"


def test_bytes_that_another_copy_needs_stay(world: World) -> None:
    keep(world, "OLD", raw=b"same")
    keep(world, "NEW", raw=b"same", rcpt_to="service@experts.test", age=DAY)
    assert pass_time(world) == ["OLD"]
    with world.database.reading() as conn:
        assert store.raw_message(conn, "NEW") == b"same"
    assert pass_time(world, AT + 30 * DAY) == ["NEW"]
    assert raws(world) == 0


def test_the_same_bytes_that_come_again_are_a_new_message_and_no_duplicate_of_what_is_gone(
    world: World,
) -> None:
    keep(world, "OLD", raw=b"same")
    pass_time(world)
    with world.database.writing() as conn:
        stored = store.store_message(
            conn,
            arrival(b"same", copy_id="AGAIN", received_at=AT),
            filing(Disposition.HELD, StandingKind.UNKNOWN, thread_id=world.incident.id),
        )
        assert (stored.id, stored.outcome) == ("AGAIN", Outcome.STORED)
        assert store.raw_message(conn, "AGAIN") == b"same"
    assert pass_time(world, AT + DAY) == []


def test_a_copy_that_stood_on_a_timeline_before_it_was_held_leaves_its_words_there(world: World) -> None:
    filed = filing(Disposition.FILED, StandingKind.LISTED_DOMAIN, thread_id=world.incident.id)
    held = filing(Disposition.HELD, StandingKind.CONTACT, thread_id=world.incident.id)
    with world.database.writing() as conn:
        store.store_message(conn, arrival(received_at=AT - 31 * DAY), filed)
        assert store.store_message(conn, arrival(copy_id="01B"), held).outcome is Outcome.REFILED
    assert pass_time(world) == ["01A"]
    with world.database.reading() as conn:
        entry = next(e for e in store.timeline_of(conn, world.incident.id) if e.kind is EntryKind.MAIL_IN)
    assert (entry.text, entry.copy_id, entry.verdict) == ("hello", None, None)
    assert store.check(world.database) == ()


def test_the_last_judgement_is_the_one_that_is_kept(world: World) -> None:
    better = filing(Disposition.HELD, StandingKind.CONTACT, thread_id=world.incident.id)
    keep(world, "OLD", raw=b"same", report='"first"')
    with world.database.writing() as conn:
        store.store_message(conn, arrival(b"same", copy_id="B", report='"second"', verdict="forged"), better)
    assert pass_time(world) == ["OLD"]
    assert [(gone.report, gone.verdict) for gone in traces(world)] == [('"second"', "forged")]


def test_nothing_expires_without_an_end(world: World) -> None:
    keep(world, "X", age=4_000 * DAY)
    forever = Retention(days=0, notice_days=7)
    assert forever.limit(AT) is None
    assert forever.notice_limit(AT) is None
    with world.database.reading() as conn:
        assert forever.expires(store.stored_copy(conn, "X")) is None


def test_who_decides_in_the_last_moment_wins(world: World) -> None:
    keep(world, "X")
    limit = MONTH.limit(AT)
    with world.database.reading() as conn:
        keys = due(conn, limit)
    with world.database.writing() as conn:
        store.release(conn, "X", AT, by="Ana")
    with world.database.writing() as conn:
        assert expire(conn, keys, limit, AT, by="gateway") == ()


def test_what_is_about_to_expire_is_counted_from_the_days_of_notice_on(world: World) -> None:
    for copy_id, age in (("A", 24 * DAY), ("B", 22 * DAY), ("C", 40 * DAY)):
        keep(world, copy_id, age=age)
    keep(world, "D", Disposition.TRIAGE, age=29 * DAY)
    limit = MONTH.notice_limit(AT)
    assert limit is not None
    with world.database.reading() as conn:
        assert dict(count_waiting(conn, limit)) == {Disposition.HELD: 2, Disposition.TRIAGE: 1}
        assert dict(oldest_waiting(conn)) == {
            Disposition.HELD: AT - 40 * DAY,
            Disposition.TRIAGE: AT - 29 * DAY,
        }
    assert Retention(days=3, notice_days=7).notice_limit(AT) == AT


def test_a_trace_is_forgotten_after_its_own_time(world: World) -> None:
    keep(world, "X")
    pass_time(world)
    with world.database.writing() as conn:
        assert forget_traces(conn, AT + 365 * DAY) == 0
        assert forget_traces(conn, AT + 366 * DAY) == 1
        with pytest.raises(store.UnknownRecord, match="There is no message X"):
            store.raw_message(conn, "X")


@pytest.mark.parametrize("received", ["5", "'0'", "'yesterday'", "x'00'", "CAST(x'66ff' AS TEXT)"])
def test_a_damaged_row_never_expires_and_keeps_no_other_from_it(world: World, received: str) -> None:
    for copy_id in ("A", "B", "C"):
        keep(world, copy_id)
    with sqlite3.connect(world.database.path) as other:
        other.execute(f"UPDATE messages SET received_at = {received} WHERE id = 'B'")
    other.close()
    assert pass_time(world) == ["A", "C"]
    with world.database.reading() as conn:
        (left,) = store.held_list(conn)
        assert (left.id, left.columns) == ("B", ("received_at",))


def test_a_damaged_trace_is_told_between_the_others(world: World) -> None:
    for copy_id in ("A", "B", "C"):
        keep(world, copy_id)
    pass_time(world)
    with sqlite3.connect(world.database.path) as other:
        other.execute("UPDATE expired_messages SET kind = 'love-letter', subject = x'00' WHERE id = 'B'")
    other.close()
    found = traces(world)
    assert [one.id for one in found] == ["C", "B", "A"]
    assert found[1].columns == ("subject", "kind")
    with world.database.reading() as conn, pytest.raises(store.RefusedRecord, match="restore a backup"):
        find_expired(conn, "B")
