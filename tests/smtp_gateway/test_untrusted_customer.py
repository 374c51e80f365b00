"""A customer whose mail an intruder reads and writes: by real SMTP, what comes from it is held and nothing is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from outbound.sign import SigningKey
from outbound.store import list_orders, list_outbox, withhold_waiting
from smtp_gateway.plan import UNTRUSTED
from tests.smtp_gateway.world import REPLIES, World, message, now, signed, whole_gateway
from threads import store
from threads.model import Disposition, EntryKind, Mark, State, ThreadKeys
from threads.store.circumstances import distrust, trust
from threads.store.moving import merge_threads
from threads.store.people import organisation_named, remove_contact

Scenario = Callable[[World], Awaitable[None]]


def run(folder: Path, key: SigningKey, scenario: Scenario) -> None:
    async def whole() -> None:
        async with whole_gateway(folder, key) as world:
            with world.database.writing() as conn:
                # One who works for several customers, from outside, and a customer whose mail is in order.
                fabrikam = store.add_organisation(conn, "Fabrikam", now())
                store.add_contact(conn, fabrikam.id, "soc@stranger.test", "SOC", now())
                store.add_contact(conn, fabrikam.id, "alex@contoso.test", "Alex", now())
                store.add_contact(conn, world.contoso.id, "soc@stranger.test", "SOC", now())
            await scenario(world)

    asyncio.run(whole())


def mark(world: World) -> None:
    with world.database.writing() as conn:
        one = distrust(
            conn, organisation_named(conn, "Contoso"), "inbox rules of an intruder", now(), by="Ana"
        )
        withhold_waiting(conn, one.id, now())


def theirs(world: World) -> int:
    """The number of a thread of the other customer's."""
    with world.database.writing() as conn:
        return store.open_incident(conn, organisation_named(conn, "Fabrikam").id, "Theirs", now()).id


def held(world: World, thread_id: int | None) -> None:
    """The one copy is held for the thread, and nothing was filed, opened, resumed or ordered."""
    (copy,) = world.copies()
    assert (copy.disposition, copy.reason, copy.thread_id) == (Disposition.HELD, UNTRUSTED, thread_id)
    assert world.orders() == []
    assert world.inquiries() == ()
    assert all(e.kind is not EntryKind.MAIL_IN for e in world.timeline(world.incident.id))


def test_a_contacts_reply_is_held_with_a_reason_of_its_own_however_well_it_is_proven(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario(world: World) -> None:
        with world.database.writing() as conn:
            store.set_state(conn, world.incident.id, State.AWAITING_CUSTOMER, now(), actor="Ana")
        mark(world)
        reply = await world.send(
            signed(message("All is well."), key), REPLIES.mint(world.incident.id, world.alex.id)
        )
        assert reply.startswith("250 "), "the intruder is told nothing"
        held(world, world.incident.id)
        assert world.thread(world.incident.id).state is State.AWAITING_CUSTOMER

    run(tmp_path, key, scenario)


@pytest.mark.parametrize(
    ("author", "rcpt"),
    [
        ("sam@contoso.test", "query@experts.test"),  # of its domain, no contact
        ("Sam <SAM@CONTOSO.TEST>", "service@experts.test"),
        ("sam@contoso.test", "verify@experts.test"),
    ],
)
def test_nobody_at_its_domain_is_filed_or_answered(
    tmp_path: Path, key: SigningKey, author: str, rcpt: str
) -> None:
    async def scenario(world: World) -> None:
        mark(world)
        assert (await world.send(signed(message(author=author), key), rcpt)).startswith("250 ")
        held(world, None)

    run(tmp_path, key, scenario)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("author", ["sam@lab.contoso.test", "sam@a.b.contoso.test"])
def test_a_mailbox_below_its_domain_is_its_own_unless_that_domain_is_another_customers(
    tmp_path: Path, key: SigningKey, author: str, own: bool
) -> None:
    """Who rules the domain can make any mailbox below it, and the other customer's contacts are not believed there."""

    async def scenario(world: World) -> None:
        with world.database.writing() as conn:
            fabrikam = organisation_named(conn, "Fabrikam")
            store.add_contact(conn, fabrikam.id, author, "Sam", now())
            if own:
                store.add_domain(conn, fabrikam.id, author.rpartition("@")[2], now(), verified=True)
        mark(world)
        await world.send(signed(message(author=author), key), "query@experts.test")
        (copy,) = world.copies()
        assert (copy.reason == UNTRUSTED) == (not own)

    run(tmp_path, key, scenario)


def test_a_report_asked_for_from_such_mail_is_not_sent(tmp_path: Path, key: SigningKey) -> None:
    async def scenario(world: World) -> None:
        mark(world)
        await world.send(signed(message(), key), "verify@experts.test")
        held(world, None)

    run(tmp_path, key, scenario)


def test_its_mailboxes_are_not_believed_on_another_customers_thread_either(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario(world: World) -> None:
        other = theirs(world)
        mark(world)
        await world.send(signed(message(), key), REPLIES.mint(other))
        held(world, other)

    run(tmp_path, key, scenario)


def test_a_provider_outside_of_it_is_heard_on_the_other_customers_threads_only(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario(world: World) -> None:
        other = theirs(world)
        mark(world)
        raw = signed(message(author="soc@stranger.test"), key, "stranger.test")
        await world.send(raw, REPLIES.mint(other), "soc@stranger.test")
        entry = world.timeline(other)[-1]
        assert (entry.kind, entry.mark) == (EntryKind.MAIL_IN, Mark.VERIFIED)
        again = signed(
            message(author="soc@stranger.test", message_id="<m2@stranger.test>"), key, "stranger.test"
        )
        await world.send(again, REPLIES.mint(world.incident.id), "soc@stranger.test")
        (last,) = [copy for copy in world.copies() if copy.disposition is Disposition.HELD]
        assert (last.reason, last.thread_id) == (UNTRUSTED, world.incident.id)

    run(tmp_path, key, scenario)


@pytest.mark.parametrize("mail_from", ["x@attack.test", ""])
@pytest.mark.parametrize("extra", ["Auto-Submitted: auto-replied\r\n", ""])
def test_who_read_its_mail_gets_no_word_onto_its_incident_from_elsewhere(
    tmp_path: Path, key: SigningKey, mail_from: str, extra: str
) -> None:
    """The intruder has the reply address out of the mailbox; that proves nothing while the customer is marked."""

    async def scenario(world: World) -> None:
        mark(world)
        raw = message("Pay to this account.", author="x@attack.test", extra=extra)
        await world.send(raw, REPLIES.mint(world.incident.id, world.alex.id), mail_from)
        held(world, world.incident.id)
        assert all(e.kind is not EntryKind.EVENT for e in world.timeline(world.incident.id))

    run(tmp_path, key, scenario)


def test_a_thread_that_was_merged_into_another_one_of_its_is_no_way_round(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario(world: World) -> None:
        with world.database.writing() as conn:
            other = store.open_incident(conn, world.contoso.id, "Goes on", now())
            merge_threads(conn, world.incident, other, now(), by="Ana")
        mark(world)
        raw = message("Pay.", author="x@attack.test", extra="Auto-Submitted: auto-replied\r\n")
        await world.send(raw, REPLIES.mint(world.incident.id, world.alex.id), "x@attack.test")
        held(world, other.id)

    run(tmp_path, key, scenario)


def test_an_acknowledgement_that_was_ordered_before_is_not_sent(tmp_path: Path, key: SigningKey) -> None:
    async def scenario(world: World) -> None:
        with world.database.writing() as conn:  # so that Alex is one customer's contact, and is answered
            (other,) = [
                c
                for c in store.find_contacts(conn, "alex@contoso.test")
                if c.organisation_id != world.contoso.id
            ]
            remove_contact(conn, other, now())
        await world.send(signed(message(), key), "query@experts.test")
        assert [one.state for one in world.orders()] == ["ordered"]
        mark(world)
        with world.database.reading() as conn:
            (order,) = list_orders(conn)
            assert (order.state, order.reason) == ("refused", "the customer's mail is marked untrusted")
            assert list_outbox(conn) == ()

    run(tmp_path, key, scenario)


def test_when_it_is_over_mail_is_filed_again_and_what_was_held_waits_for_a_decision(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario(world: World) -> None:
        mark(world)
        to = REPLIES.mint(world.incident.id)
        first = signed(message("An intruder's."), key)
        await world.send(first, to)
        with world.database.writing() as conn:
            trust(conn, organisation_named(conn, "Contoso"))
        await world.send(first, to)  # the same again changes nothing
        held(world, world.incident.id)
        await world.send(signed(message("Mine.", message_id="<m2@contoso.test>"), key), to)
        (entry,) = [e for e in world.timeline(world.incident.id) if e.kind is EntryKind.MAIL_IN]
        assert (entry.text.strip(), entry.mark) == ("Mine.", Mark.VERIFIED)

    run(tmp_path, key, scenario)


def test_an_ordinary_message_is_asked_for_no_more_than_before(tmp_path: Path, key: SigningKey) -> None:
    """Whether its customer is trusted comes with the questions about its author and its thread."""

    async def scenario(world: World) -> None:
        with world.database.reading() as conn:
            driver = conn.connection.dbapi_connection
            assert driver is not None
            for keys, questions in ((ThreadKeys(), 2), (ThreadKeys(tags=("INC-000001",)), 3)):
                asked: list[str] = []
                driver.set_trace_callback(asked.append)
                store.candidates(conn, keys, "alex@contoso.test")
                driver.set_trace_callback(None)
                selects = [one for one in asked if one.startswith("SELECT")]
                assert len(selects) == questions
                assert all("untrusted_at" in one for one in selects)

    run(tmp_path, key, scenario)
