"""Each entry is told to each subscriber once, in the order of its thread, by one sender at a time: on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from outbound.schema import subscriber_progress
from outbound.store.subscriber_events import (
    LEASE,
    MAX_MADE,
    SETTLED,
    Event,
    close_event,
    counts,
    drop_untold,
    lease_events,
    list_events,
    make_events,
    tell_again,
    untold_entries,
)
from outbound.store.subscribers import (
    BOTH_FOR,
    NewSubscriber,
    add_subscriber,
    change_secret,
    list_subscribers,
    pause,
    remove,
    resume,
    sealed_of,
    subscriber,
    subscriber_named,
)
from outbound.subscriber import EventState, Next, Sealed, Subscriber, SubscriberKind
from tests.threads.conftest import AT, World, populate
from tests.threads.test_postgresql import server  # noqa: F401 -- a fixture
from threads import store
from threads.model import EntryKind, Mark, State, Thread
from threads.store.erasure import erase_copies, erase_rest
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.moving import merge_threads
from threads.store.thread import append, open_incident
from threads.store.thread_retention import empty_thread

WEBHOOK = SubscriberKind.WEBHOOK


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    url = f"sqlite:///{tmp_path / 'record.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("server")
    database = store.open_database(url)
    if request.param == "postgresql":
        with database.writing() as conn:
            conn.exec_driver_sql("DROP SCHEMA public CASCADE")
            conn.exec_driver_sql("CREATE SCHEMA public")
    store.upgrade(database)
    yield populate(database)
    database.close()


def hooked(place: World, name: str = "portal", *, all_customers: bool = True) -> Subscriber:
    with place.database.writing() as conn:
        new = NewSubscriber(WEBHOOK, name, "portal.example", Sealed(b"address", b"secret"))
        return add_subscriber(
            conn, new, AT, by="ana", organisations=() if all_customers else (place.contoso,)
        )


def chat(place: World, thread: Thread, text: str, kind: EntryKind = EntryKind.CHAT) -> int:
    with place.database.writing() as conn:
        return append(conn, thread.id, AT, kind, actor="ana", mark=Mark.EXPERT, text=text)


def made(place: World, after: timedelta = timedelta(0)) -> int:
    with place.database.writing() as conn:
        return make_events(conn, AT + after)


def leased(
    place: World,
    *some: Subscriber,
    owner: str = "me",
    after: timedelta = timedelta(0),
    each: int = 9,
    most: int = 99,
) -> tuple[Event, ...]:
    with place.database.writing() as conn:
        return lease_events(conn, owner, AT + after, {one.id: each for one in some}, most)


def closed(
    place: World, event: Event, state: EventState = EventState.DELIVERED, owner: str = "me",
    wait: timedelta = timedelta(0),
) -> bool:  # fmt: skip
    with place.database.writing() as conn:
        return close_event(conn, event, owner, Next(state, AT + wait, "200"), AT)


def another(place: World) -> Thread:
    with place.database.writing() as conn:
        return open_incident(conn, place.contoso.id, "Another", AT)


def test_what_comes_after_it_was_added_is_told_once_and_no_note(place: World) -> None:
    chat(place, place.incident, "before")
    one = hooked(place)
    assert made(place) == 0
    first = chat(place, place.incident, "one")
    chat(place, place.incident, "for experts", EntryKind.NOTE)
    second = chat(place, place.incident, "two")
    assert made(place) == 2
    assert made(place) == 0
    with place.database.reading() as conn:
        assert not untold_entries(conn, AT)
        assert [event.entry_id for event in list_events(conn, one, tuple(EventState), 10)] == [first, second]


def test_one_of_a_customer_hears_of_that_customer_alone(place: World) -> None:
    with place.database.writing() as conn:
        fabrikam = store.add_organisation(conn, "Fabrikam", AT)
        theirs = open_incident(conn, fabrikam.id, "Theirs", AT)
    one, everything = hooked(place, all_customers=False), hooked(place, "all")
    chat(place, theirs, "theirs")
    ours = chat(place, place.incident, "ours")
    assert made(place) == 3
    assert [event.entry_id for event in leased(place, one)] == [ours]
    assert len(leased(place, everything)) == 2


def test_a_later_entry_of_a_thread_waits_for_the_one_before_it_and_other_threads_do_not(place: World) -> None:
    one, other = hooked(place), another(place)
    made(place)
    for event in leased(place, one):
        closed(place, event)
    a, b = chat(place, place.incident, "a"), chat(place, place.incident, "b")
    c = chat(place, other, "c")
    made(place)
    events = leased(place, one)
    assert sorted(event.entry_id for event in events) == [a, c]
    assert leased(place, one) == ()
    first, third = sorted(events, key=lambda event: event.entry_id)
    assert closed(place, third)
    assert closed(place, first, EventState.WAITING, wait=timedelta(minutes=1))
    assert leased(place, one) == (), "b waits as well"
    again = leased(place, one, after=timedelta(minutes=1))
    assert [(event.entry_id, event.tries, event.event_id) for event in again] == [(a, 2, first.event_id)]
    assert closed(place, again[0], EventState.DEAD)
    assert [event.entry_id for event in leased(place, one)] == [b], "what is given up keeps nobody waiting"


def test_a_lease_that_was_never_closed_runs_out_and_its_owner_is_told_so(place: World) -> None:
    one = hooked(place)
    chat(place, place.incident, "a")
    made(place)
    (event,) = leased(place, one)
    assert leased(place, one, owner="you", after=LEASE - timedelta(seconds=1)) == ()
    (again,) = leased(place, one, owner="you", after=LEASE)
    assert (again.event_id, again.tries) == (event.event_id, 2)
    assert not closed(place, event, owner="me")
    assert closed(place, again, owner="you")


def test_places_bound_what_is_leased_of_one_and_of_all(place: World) -> None:
    one, two = hooked(place), hooked(place, "two")
    for number in range(5):
        chat(place, another(place), str(number))
    made(place)
    assert len(leased(place, one, each=2)) == 2
    assert len(leased(place, one, two, each=9, most=3)) == 3
    assert leased(place) == ()


def test_several_senders_never_have_the_same_entry(place: World) -> None:
    one = hooked(place)
    for number in range(20):
        chat(place, another(place), str(number))
    made(place)
    got: list[str] = []

    def sender(owner: str) -> None:
        for _ in range(20):
            for event in leased(place, one, owner=owner, each=3):
                got.append(event.event_id)
                closed(place, event, owner=owner)

    senders = [threading.Thread(target=sender, args=(f"s{number}",)) for number in range(4)]
    for each in senders:
        each.start()
    for each in senders:
        each.join(60)
    assert len(got) == len(set(got)) == 40  # each thread's opening, and its chat


def test_the_floor_rises_when_nothing_before_it_can_still_be_committed(place: World) -> None:
    one = hooked(place)
    entries = [chat(place, place.incident, "a")]
    assert made(place) == 1
    entries.append(chat(place, place.incident, "b"))
    assert made(place, SETTLED) == 1
    entries.append(chat(place, place.incident, "c"))
    assert made(place, 2 * SETTLED) == 1
    assert made(place, timedelta(days=-1)) == 0, "a clock that went back stops nothing"
    entries.append(chat(place, place.incident, "d"))
    assert made(place, 4 * SETTLED) == 1
    with place.database.reading() as conn:
        assert [event.entry_id for event in list_events(conn, one, tuple(EventState), 10)] == entries


def test_many_entries_are_made_in_several_turns(place: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_MADE >= 1_000
    monkeypatch.setattr("outbound.store.subscriber_events.MAX_MADE", 3)
    hooked(place)
    for number in range(7):
        chat(place, place.incident, str(number))
    assert [made(place) for _ in range(4)] == [3, 3, 1, 0]


def test_a_merge_keeps_what_waits_and_tells_nothing_twice(place: World) -> None:
    one, other = hooked(place), another(place)
    told = chat(place, other, "told")
    made(place)
    for _ in range(3):
        for event in leased(place, one):
            closed(place, event)
    waits = chat(place, other, "waits")
    made(place)
    fresh = chat(place, place.incident, "no row yet")
    with place.database.writing() as conn:
        merge_threads(conn, other, place.incident, AT, by="ana")
    made(place)
    with place.database.reading() as conn:
        everything = [event.entry_id for event in list_events(conn, one, tuple(EventState), 99)]
        assert len(everything) == len(set(everything))
        assert {told, waits, fresh} <= set(everything)
    order = []
    while events := leased(place, one):
        order += [event.entry_id for event in events if event.thread_id == place.incident.id]
        for event in events:
            closed(place, event)
    assert order == sorted(order)
    assert {waits, fresh} <= set(order)


def test_what_was_given_up_is_told_again_by_hand_under_the_same_number(place: World) -> None:
    one = hooked(place)
    chat(place, place.incident, "a")
    made(place)
    (event,) = leased(place, one)
    with place.database.writing() as conn, pytest.raises(RefusedRecord):
        tell_again(conn, one, event.event_id, AT)
    closed(place, event, EventState.DEAD)
    with place.database.writing() as conn:
        again = tell_again(conn, one, event.event_id, AT)
        assert (again.state, again.tries) == (EventState.WAITING, 0)
        with pytest.raises(UnknownRecord):
            tell_again(conn, one, "evt_none", AT)
    assert [found.event_id for found in leased(place, one)] == [event.event_id]


def test_one_that_is_removed_hears_nothing_and_its_secrets_are_gone(place: World) -> None:
    one = hooked(place)
    chat(place, place.incident, "a")
    made(place)
    with place.database.writing() as conn:
        assert drop_untold(conn, one, AT) == 1
        assert counts(conn, one)[EventState.DROPPED] == 1
        remove(conn, one, AT, by="ana")
        assert sealed_of(conn, one) == Sealed(b"", b"")
        with pytest.raises(UnknownRecord):
            subscriber(conn, one.id)
        with pytest.raises(UnknownRecord):
            subscriber_named(conn, "portal", WEBHOOK)
        assert list_subscribers(conn) == ()
    with pytest.raises(RefusedRecord):
        hooked(place)
    chat(place, place.incident, "b")
    assert made(place) == 0


def test_pausing_secrets_and_kinds(place: World) -> None:
    one = hooked(place)
    with place.database.writing() as conn:
        pause(conn, one, AT, by="ana", why="their upgrade")
        paused = subscriber_named(conn, "portal", WEBHOOK)
        assert paused.paused is not None
        assert paused.paused.reason == "their upgrade"
        with pytest.raises(RefusedRecord):
            pause(conn, paused, AT, by="ana", why="again")
        resume(conn, paused)
        with pytest.raises(RefusedRecord):
            resume(conn, subscriber(conn, one.id))
        assert change_secret(conn, one, b"newer", AT) == AT + BOTH_FOR
        assert sealed_of(conn, one) == Sealed(b"address", b"newer", b"secret", AT + BOTH_FOR)
        with pytest.raises(UnknownRecord):
            subscriber_named(conn, "portal", SubscriberKind.TEAMS)
        with pytest.raises(RefusedRecord):
            add_subscriber(
                conn,
                NewSubscriber(SubscriberKind.TEAMS, "room", "x.example", Sealed(b"a", b"b")),
                AT,
                by="ana",
            )
    assert "canary" not in repr(Sealed(b"canary", b"canary", b"canary"))


def test_what_is_emptied_takes_its_events_along_and_what_comes_later_is_told(place: World) -> None:
    one = hooked(place)
    chat(place, place.incident, "old")
    made(place)
    later = AT + timedelta(days=400)
    with place.database.writing() as conn:
        store.set_state(conn, place.incident.id, State.RESOLVED, AT, actor="ana")
        conn.exec_driver_sql(f"UPDATE organisations SET retention_days = 30 WHERE id = {place.contoso.id}")
        assert empty_thread(conn, place.incident.id, later, by="gateway")
        assert sum(counts(conn, one).values()) == 0
    fresh = chat(place, place.incident, "new")
    made(place)
    assert [event.entry_id for event in leased(place, one, after=2 * SETTLED)] == [fresh]


def test_an_erased_customer_leaves_no_events_and_no_subscriber_of_all(place: World) -> None:
    one = hooked(place, all_customers=False)
    chat(place, place.incident, "old")
    made(place)
    with place.database.writing() as conn:
        erase_copies(conn, place.contoso.id)
        erase_rest(conn, place.contoso.id, AT)
        assert sum(counts(conn, one).values()) == 0
        assert subscriber(conn, one.id).organisations == {place.contoso.id}, (
            "of the shell that is left, and not of all"
        )


def test_numbers_that_are_given_again_are_told(place: World) -> None:
    one = hooked(place)
    for number in range(5):
        chat(place, place.incident, str(number))
    made(place)
    made(place, SETTLED)
    chat(place, place.incident, "last")
    made(place, 2 * SETTLED)
    other = another(place)
    with place.database.writing() as conn:
        conn.exec_driver_sql("DELETE FROM subscriber_events")
        conn.exec_driver_sql(f"DELETE FROM timeline WHERE thread_id = {place.incident.id}")
        conn.exec_driver_sql("DELETE FROM timeline")
        assert untold_entries(conn, AT)
    made(place, 2 * SETTLED)
    fresh = chat(place, other, "a low number, as SQLite gives them")
    made(place, 2 * SETTLED)
    assert [event.entry_id for event in leased(place, one, after=2 * SETTLED)] == [fresh]


def test_the_floor_moves_also_while_a_subscriber_hears_nothing(place: World) -> None:
    one = hooked(place, all_customers=False)
    chat(place, place.incident, "heard")
    made(place)
    with place.database.writing() as conn:
        fabrikam = store.add_organisation(conn, "Fabrikam", AT)
        theirs = open_incident(conn, fabrikam.id, "Theirs", AT)
    last = chat(place, theirs, "not for it")
    with place.database.reading() as conn:
        assert not untold_entries(conn, AT)
    for turn in (1, 2):
        later = AT + turn * SETTLED
        with place.database.writing() as conn:
            assert untold_entries(conn, later), (
                "a look from there on costs what came in half an hour, and no more"
            )
            assert make_events(conn, later) == 0
            assert not untold_entries(conn, later)
    with place.database.reading() as conn:
        assert conn.execute(select(subscriber_progress.c.floor)).scalar() == last
        assert not untold_entries(conn, AT + 9 * SETTLED), "nothing came: nothing is written"
    fresh = chat(place, place.incident, "heard again")
    made(place, 3 * SETTLED)
    with place.database.reading() as conn:
        assert [event.entry_id for event in list_events(conn, one, tuple(EventState), 9)][-1] == fresh
