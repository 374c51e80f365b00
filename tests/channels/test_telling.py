"""What comes on timelines is told: in order for each thread, whatever receivers do, and by several senders that are killed."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

import outbound.subscriber as rules
from outbound.https_post import post
from outbound.seal import Purpose, sealed
from outbound.store.subscriber_events import LEASE, counts, make_events
from outbound.store.subscribers import NewSubscriber, add_subscriber, pause, remove, subscriber
from outbound.subscriber import Answer, EventState, Sealed, Subscriber, SubscriberKind
from outbound.subscriber_calls import Call, WebhookCaller
from outbound.telling import BY, Teller, Tried
from outbound.webhook import secret_text
from tests.channels.receiver import Receiver, receiver, says
from tests.threads.conftest import World, populate
from threads import store
from threads.model import EntryKind, Mark, Thread
from threads.store.thread import append, open_incident
from threads.store.writer import Writer

KEY = b"k" * 32
SECRET = secret_text(b"s" * 32)
LOOPBACK = (ip_network("127.0.0.0/8"),)
WAIT_SECONDS = 30


class Clock:
    """The real one, which can be put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def place(tmp_path: Path) -> Iterator[World]:
    database = store.open_database(f"sqlite:///{tmp_path / 'record.db'}")
    store.upgrade(database)
    yield populate(database)
    database.close()


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of tenths of seconds, and as much patience."""
    monkeypatch.setattr(rules, "WAITS", tuple(timedelta(seconds=0.05) for _ in rules.WAITS))
    monkeypatch.setattr("outbound.patience.FIRST_SECONDS", 0.05)
    monkeypatch.setattr("outbound.patience.MOST_SECONDS", 0.2)


def hooked(place: World, url: str, name: str = "portal") -> Subscriber:
    kept = Sealed(sealed(url, KEY, Purpose.ADDRESS, name), sealed(SECRET, KEY, Purpose.SECRET, name))
    with place.database.writing() as conn:
        return add_subscriber(
            conn, NewSubscriber(SubscriberKind.WEBHOOK, name, "localhost", kept), datetime.now(UTC), by="ana"
        )


def chat(place: World, thread: Thread, text: str, mark: Mark = Mark.EXPERT) -> int:
    with place.database.writing() as conn:
        return append(conn, thread.id, datetime.now(UTC), EntryKind.CHAT, actor="ana", mark=mark, text=text)


def teller(place: World, writer: Writer, clock: Clock, tried: list[Tried]) -> Teller:
    async def calls(call: Call) -> Answer:
        return await post(call.address, call.body, call.fields, allowed=LOOPBACK, deadline=1.0)

    return Teller(
        place.database,
        writer,
        callers={SubscriberKind.WEBHOOK: WebhookCaller(KEY)},
        post=calls,
        clock=clock,
        observe=tried.append,
        look_seconds=0.05,
    )


def told(
    place: World, until: Callable[[], bool], *, clock: Clock | None = None, tellers: int = 1
) -> list[Tried]:
    """Let tellers work until something is so."""
    tried: list[Tried] = []

    async def run() -> None:
        writer = Writer(place.database)
        try:
            some = [teller(place, writer, clock or Clock(), tried) for _ in range(tellers)]
            tasks = [asyncio.create_task(one.run()) for one in some]
            deadline = time.monotonic() + WAIT_SECONDS
            while not until():
                assert time.monotonic() < deadline, "it never came to that"
                await asyncio.sleep(0.02)
            for one in some:
                one.stop()
            await asyncio.gather(*tasks)
        finally:
            await asyncio.to_thread(writer.close)

    asyncio.run(run())
    return tried


def stand(place: World, one: Subscriber) -> dict[EventState, int]:
    with place.database.reading() as conn:
        return {state: number for state, number in counts(conn, one).items() if number}


def all_told(place: World, one: Subscriber, number: int) -> Callable[[], bool]:
    return lambda: stand(place, one) == {EventState.DELIVERED: number}


def entries(there: Receiver) -> list[dict[str, object]]:
    return [json.loads(got.body) for got in there.got]


def test_an_entry_is_told_as_others_may_see_it(place: World, there: Receiver) -> None:
    one = hooked(place, there.url)
    chat(place, place.incident, "Reset the password")
    chat(place, place.incident, "who wrote this?", Mark.UNVERIFIED)
    told(place, all_told(place, one, 2))
    first, second = entries(there)
    assert first["type"] == "timeline.entry"
    assert first["event"] == there.got[0].fields["webhook-id"]
    thread, entry = first["thread"], first["entry"]
    assert (thread["reference"], thread["organisation"]) == (place.incident.reference, "Contoso")
    assert (entry["kind"], entry["actor"], entry["mark"], entry["text"]) == (
        "chat",
        "ana",
        "expert",
        "Reset the password",
    )
    assert (second["entry"]["actor"], second["entry"]["text"]) == (None, None)


def test_threads_keep_their_order_with_a_receiver_that_fails_half_the_time(
    place: World, there: Receiver
) -> None:
    one, chance = hooked(place, there.url), random.Random(7)
    with place.database.writing() as conn:
        some = [open_incident(conn, place.contoso.id, f"Number {n}", datetime.now(UTC)) for n in range(4)]
    taken: list[dict[str, object]] = []

    def moody(link: object, got: object) -> None:
        if chance.random() < 0.5:
            says(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")(link, got)
            return
        taken.append(json.loads(got.body))
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")(link, got)

    there.behave = moody
    for number in range(6):
        for thread in some:
            chat(place, thread, str(number))
    told(place, all_told(place, one, 4 + 24))
    for thread in some:
        numbers = [one["entry"]["id"] for one in taken if one["thread"]["reference"] == thread.reference]
        assert numbers == sorted(set(numbers))
        assert len(numbers) == 7
    ids = [got.fields["webhook-id"] for got in there.got]
    assert len(set(ids)) == 28
    assert len(ids) > 28, "some were told more than once, under the same number"


def test_a_receiver_that_hangs_keeps_no_other_waiting(place: World, there: Receiver) -> None:
    with receiver() as slow:
        slow.behave = lambda _link, _got: time.sleep(5)
        hung, well = hooked(place, slow.url, "slow"), hooked(place, there.url, "well")
        with place.database.writing() as conn:
            some = [
                open_incident(conn, place.contoso.id, f"Number {n}", datetime.now(UTC)) for n in range(20)
            ]
        for thread in some:
            chat(place, thread, "now")
        begun = time.monotonic()
        told(place, lambda: stand(place, well).get(EventState.DELIVERED, 0) == 40)
        assert time.monotonic() - begun < 10
        assert stand(place, hung).get(EventState.DELIVERED, 0) == 0


def test_what_was_leased_by_one_that_was_killed_is_told_by_the_next(place: World, there: Receiver) -> None:
    one, clock = hooked(place, there.url), Clock()
    for number in range(3):
        chat(place, place.incident, str(number))

    async def killed() -> None:
        writer = Writer(place.database)
        started = asyncio.Event()

        async def hangs(_call: Call) -> Answer:
            started.set()
            await asyncio.sleep(60)
            return Answer(200, "never")

        dying = Teller(
            place.database, writer, callers={SubscriberKind.WEBHOOK: WebhookCaller(KEY)}, post=hangs,
            clock=clock, look_seconds=0.05,
        )  # fmt: skip
        task = asyncio.create_task(dying.run())
        await started.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for left in asyncio.all_tasks() - {asyncio.current_task()}:
            left.cancel()
        await asyncio.to_thread(writer.close)

    asyncio.run(killed())
    assert stand(place, one)[EventState.LEASED] == 1
    clock.ahead = LEASE
    told(place, all_told(place, one, 3), clock=clock)
    assert [entry["entry"]["text"] for entry in entries(there)] == ["0", "1", "2"]


def test_two_senders_tell_each_entry_once(place: World, there: Receiver) -> None:
    one = hooked(place, there.url)
    with place.database.writing() as conn:
        some = [open_incident(conn, place.contoso.id, f"Number {n}", datetime.now(UTC)) for n in range(10)]
    for thread in some:
        chat(place, thread, "a")
        chat(place, thread, "b")
    told(place, all_told(place, one, 30), tellers=2)
    ids = [got.fields["webhook-id"] for got in there.got]
    assert len(ids) == len(set(ids)) == 30


def test_after_three_days_it_goes_on_with_the_next(place: World, there: Receiver) -> None:
    one, clock = hooked(place, there.url), Clock()
    there.behave = lambda link, got: says(
        b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n" if b'"poison"' in got.body else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    )(link, got)  # fmt: skip
    chat(place, place.incident, "poison")
    chat(place, place.incident, "after it")
    told(place, lambda: bool(there.got), clock=clock)
    clock.ahead = timedelta(days=3, minutes=1)
    told(place, lambda: stand(place, one) == {EventState.DEAD: 1, EventState.DELIVERED: 1}, clock=clock)


def test_gone_pauses_it_and_nothing_is_lost(place: World, there: Receiver) -> None:
    one = hooked(place, there.url)
    there.behave = says(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n")
    chat(place, place.incident, "a")

    def paused() -> bool:
        with place.database.reading() as conn:
            found = subscriber(conn, one.id).paused
        return found is not None and found.by == BY

    told(place, paused)
    assert stand(place, one) == {EventState.WAITING: 1}


def test_paused_removed_unreadable(place: World, there: Receiver) -> None:
    silent, gone, odd = (hooked(place, there.url, name) for name in ("silent", "gone", "odd"))
    well = hooked(place, there.url, "well")
    with place.database.writing() as conn:
        pause(conn, silent, datetime.now(UTC), by="ana", why="their upgrade")
        remove(conn, gone, datetime.now(UTC), by="ana")
        # A row whose sealed address was swapped for another's opens nothing.
        conn.exec_driver_sql(
            "UPDATE subscribers SET address_sealed = (SELECT address_sealed FROM subscribers WHERE name = 'well') WHERE name = 'odd'"
        )
    chat(place, place.incident, "a")
    told(place, all_told(place, well, 1))
    assert len(there.got) == 1
    assert stand(place, silent) == {EventState.WAITING: 1}
    assert EventState.DELIVERED not in stand(place, odd)


def test_what_nobody_may_see_any_more_is_dropped(place: World, there: Receiver) -> None:
    one = hooked(place, there.url)
    hidden = chat(place, place.incident, "a")
    with place.database.writing() as conn:
        make_events(conn, datetime.now(UTC))
        conn.exec_driver_sql(f"UPDATE timeline SET kind = 'note' WHERE id = {hidden}")
    told(place, lambda: stand(place, one) == {EventState.DROPPED: 1})
    assert there.got == []


def test_without_subscribers_nothing_is_written(place: World) -> None:
    chat(place, place.incident, "a")
    begun = time.monotonic()
    told(place, lambda: time.monotonic() > begun + 0.3)
    with place.database.reading() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM subscriber_progress").scalar() == 0


def test_tries_are_told_for_the_metrics(place: World, there: Receiver) -> None:
    one = hooked(place, there.url)
    chat(place, place.incident, "a")
    (tried,) = told(place, all_told(place, one, 1))
    assert replace(tried, answer=replace(tried.answer, body=b"")) == Tried(
        SubscriberKind.WEBHOOK, EventState.DELIVERED, Answer(204, "204")
    )
