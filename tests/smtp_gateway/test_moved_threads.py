"""What experts put in another place, over real SMTP: every answer that is still to come goes where it belongs now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from outbound.sign import SigningKey
from tests.smtp_gateway.world import REPLIES, World, message, now, signed, whole_gateway
from threads import store
from threads.model import Disposition, EntryKind, Mark, State, Thread
from threads.store.moving import merge_threads, move_mail
from threads.store.people import add_contact, add_organisation
from threads.store.thread import record_outgoing

QUESTION = "question-1@experts.test"

Scenario = Callable[[World, Thread], Coroutine[None, None, None]]


def play(folder: Path, key: SigningKey, scenario: Scenario) -> None:
    """A gateway with two incidents of Contoso; on the first one a question of ours went out."""

    async def whole() -> None:
        async with whole_gateway(folder, key) as world:
            with world.database.writing() as conn:
                other = store.open_incident(conn, world.contoso.id, "Another one", now())
                record_outgoing(conn, world.incident.id, QUESTION, now(), actor="Ana", text="Was this you?")
            await scenario(world, other)

    asyncio.run(whole())


async def answer(
    world: World,
    name: str,
    *,
    to: Thread | None = None,
    parents: str = "",
    subject: str = "Re: sign-in",
    author: str = "Alex <alex@contoso.test>",
) -> Thread:
    """A signed mail of Contoso; returns the thread that it was filed on. ``parents``: References, the last one answered."""
    ids = parents.split()
    fields = (
        f"In-Reply-To: <{ids[-1]}>\r\nReferences: {' '.join(f'<{one}>' for one in ids)}\r\n" if ids else ""
    )
    raw = signed(
        message(author=author, subject=subject, extra=fields, message_id=f"<{name}@contoso.test>"), world.key
    )
    rcpt = "query@experts.test" if to is None else REPLIES.mint(to.id, world.alex.id, now().date())
    reply = await world.send(raw, rcpt)
    assert reply.startswith("250 2.0.0 OK "), reply
    with world.database.reading() as conn:
        copy = store.stored_copy(conn, reply.split()[-1])
        assert copy.disposition is Disposition.FILED, copy.reason
        return store.thread_by_id(conn, copy.thread_id or 0)


def move(world: World, name: str, target: Thread, source: Thread | None = None) -> None:
    with world.database.writing() as conn:
        move_mail(conn, name, target, now(), by="Robin", source=source)


def told(world: World, thread: Thread) -> list[str]:
    return [entry.text for entry in world.timeline(thread.id) if entry.kind is EntryKind.STATE]


def mails(world: World, thread: Thread) -> list[str | None]:
    return [
        e.message_id for e in world.timeline(thread.id) if e.kind in (EntryKind.MAIL_IN, EntryKind.MAIL_OUT)
    ]


def test_answers_to_a_moved_mail_go_where_it_is_now(tmp_path: Path, key: SigningKey) -> None:
    async def scenario(world: World, other: Thread) -> None:
        here = world.incident
        assert (await answer(world, "c1", to=here, parents=QUESTION)).id == here.id
        move(world, "c1@contoso.test", other)
        # A colleague answers all: the old address, the old question as an ancestor, and the moved mail as the parent.
        colleague = await answer(
            world, "c2", to=here, parents=f"{QUESTION} c1@contoso.test", author="sam@contoso.test"
        )
        assert colleague.id == other.id
        # So does who answers the colleague, and who names nothing but the moved mail.
        assert (
            await answer(world, "c3", to=here, parents=f"{QUESTION} c1@contoso.test c2@contoso.test")
        ).id == other.id
        assert (await answer(world, "c4", parents="c1@contoso.test")).id == other.id
        # What answers the question itself belongs to where the question still is.
        assert (await answer(world, "c5", to=here, parents=QUESTION)).id == here.id
        assert mails(world, other) == [f"c{n}@contoso.test" for n in (1, 2, 3, 4)]
        assert mails(world, here) == [QUESTION, "c5@contoso.test"]
        assert any("Moved to INC-000002: mail-in of alex@contoso.test" in text for text in told(world, here))
        assert any("Moved here from INC-000001" in text for text in told(world, other))

    play(tmp_path, key, scenario)


def test_our_answer_after_a_move_is_answered_where_it_was_written(tmp_path: Path, key: SigningKey) -> None:
    async def scenario(world: World, other: Thread) -> None:
        here = world.incident
        await answer(world, "c1", to=here, parents=QUESTION)
        move(world, "c1@contoso.test", other)
        with world.database.writing() as conn:
            record_outgoing(conn, other.id, "answer-2@experts.test", now(), actor="Ana", text="Thanks.")
            record_outgoing(conn, here.id, "question-3@experts.test", now(), actor="Ana", text="And this?")
        chain = f"{QUESTION} c1@contoso.test"
        assert (await answer(world, "c2", to=other, parents=f"{chain} answer-2@experts.test")).id == other.id
        # Written on the first incident before or after: its own answers stay there.
        assert (await answer(world, "c3", to=here, parents=f"{chain} question-3@experts.test")).id == here.id

    play(tmp_path, key, scenario)


def test_a_question_of_ours_that_was_on_the_wrong_incident_takes_its_answers_along(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario(world: World, other: Thread) -> None:
        move(world, QUESTION, other)
        # Its Reply-To still names the incident on which it was written.
        assert (await answer(world, "c1", to=world.incident, parents=QUESTION)).id == other.id
        move(world, QUESTION, world.incident)
        assert (await answer(world, "c2", to=world.incident, parents=QUESTION)).id == world.incident.id

    play(tmp_path, key, scenario)


def test_an_address_of_a_third_incident_is_no_answer_to_a_moved_mail(tmp_path: Path, key: SigningKey) -> None:
    async def scenario(world: World, other: Thread) -> None:
        with world.database.writing() as conn:
            third = store.open_incident(conn, world.contoso.id, "A third one", now())
        await answer(world, "c1", to=world.incident, parents=QUESTION)
        move(world, "c1@contoso.test", other)
        raw = signed(
            message(extra="In-Reply-To: <c1@contoso.test>\r\n", message_id="<c2@contoso.test>"), world.key
        )
        assert (await world.send(raw, REPLIES.mint(third.id, world.alex.id))).startswith("250")
        held = next(copy for copy in world.copies() if copy.message_id == "c2@contoso.test")
        assert held.disposition is Disposition.HELD
        assert held.reason == "its reply address and references name INC-000002 and INC-000003"

    play(tmp_path, key, scenario)


def test_everything_that_named_a_merged_incident_leads_to_the_one_that_goes_on(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario(world: World, other: Thread) -> None:
        gone = world.incident
        await answer(world, "c1", to=gone, parents=QUESTION)
        with world.database.writing() as conn:
            store.add_note(conn, gone.id, "Called them.", now(), actor="Ana")
            merge_threads(conn, gone, other, now(), by="Robin")
        assert (await answer(world, "c2", to=gone)).id == other.id
        assert (await answer(world, "c3", subject="AW: [INC-000001] sign-in")).id == other.id
        assert (await answer(world, "c4", parents=QUESTION)).id == other.id
        assert (await answer(world, "c5", to=gone, parents=f"{QUESTION} c1@contoso.test")).id == other.id
        assert mails(world, gone) == []
        assert len(mails(world, other)) == 6
        texts = [entry.text for entry in world.timeline(other.id)]
        assert "Called them." in texts
        assert "INC-000001 (Odd sign-in) was merged into this: 3 entries" in texts
        merged = world.thread(gone.id)
        assert (merged.merged_into, merged.state) == (other.id, State.RESOLVED)
        assert "Merged into INC-000002" in told(world, gone)[-1]

    play(tmp_path, key, scenario)


def test_merging_again_leads_to_the_last_one(tmp_path: Path, key: SigningKey) -> None:
    async def scenario(world: World, other: Thread) -> None:
        with world.database.writing() as conn:
            last = store.open_incident(conn, world.contoso.id, "The last one", now())
            merge_threads(conn, world.incident, other, now(), by="Robin")
            merge_threads(conn, other, last, now(), by="Robin")
        assert (await answer(world, "c1", to=world.incident)).id == last.id
        assert (await answer(world, "c2", to=other)).id == last.id
        # Signals that named two incidents are no conflict once both are one.
        assert (await answer(world, "c3", to=other, parents=QUESTION)).id == last.id

    play(tmp_path, key, scenario)


def test_a_resolved_incident_is_reopened_by_a_persons_answer_alone(tmp_path: Path, key: SigningKey) -> None:
    async def scenario(world: World, other: Thread) -> None:
        del other
        here = world.incident
        with world.database.writing() as conn:
            store.set_state(conn, here.id, State.RESOLVED, now(), actor="Ana")
        away = signed(
            message(
                "I am away.\r\n", extra="Auto-Submitted: auto-replied\r\n", message_id="<a@contoso.test>"
            ),
            world.key,
        )
        await world.send(away, REPLIES.mint(here.id, world.alex.id))
        unmarked = signed(message("I am away until Monday.\r\n", message_id="<b@contoso.test>"), world.key)
        await world.send(unmarked, REPLIES.mint(here.id, world.alex.id), "")
        bounce = message(
            "--b\r\nContent-Type: text/plain\r\n\r\nNo such user.\r\n"
            "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.contoso.test\r\n\r\n"
            "Final-Recipient: rfc822; alex@contoso.test\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n",
            author="MAILER-DAEMON@contoso.test",
            subject="Undeliverable",
            extra="MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n",
            message_id="<d@contoso.test>",
        )
        await world.send(signed(bounce, world.key), REPLIES.mint(here.id, world.alex.id), "")
        assert world.thread(here.id).state is State.RESOLVED
        await answer(world, "c1", to=here, author="sam@contoso.test")
        assert world.thread(here.id).state is State.IN_PROGRESS
        assert any("State: Resolved -> In progress" in text for text in told(world, here))

    play(tmp_path, key, scenario)


def test_nothing_is_moved_to_where_it_must_not_go(tmp_path: Path, key: SigningKey) -> None:
    async def scenario(world: World, other: Thread) -> None:
        await answer(world, "c1", to=world.incident, parents=QUESTION)
        with world.database.writing() as conn:
            fabrikam = add_organisation(conn, "Fabrikam", now())
            theirs = store.open_incident(conn, fabrikam.id, "Theirs", now())
            inquiry = store.open_inquiry(conn, world.contoso.id, "A question", now())
            refused = store.RefusedRecord
            for name, target, says in (
                ("c1@contoso.test", theirs, "another customer's"),
                ("c1@contoso.test", world.incident, "is on INC-000001 already"),
            ):
                with pytest.raises(refused, match=says):
                    move_mail(conn, name, target, now(), by="Robin")
            with pytest.raises(store.UnknownRecord, match="No mail nobody@x is on a timeline"):
                move_mail(conn, "nobody@x", other, now(), by="Robin")
            for one, into, says in (
                (other, other, "into itself"),
                (other, theirs, "different customers"),
                (other, inquiry, "is an incident"),
            ):
                with pytest.raises(refused, match=says):
                    merge_threads(conn, one, into, now(), by="Robin")
            merge_threads(conn, inquiry, other, now(), by="Robin")
            with pytest.raises(refused, match="was merged into INC-000002; name that"):
                move_mail(conn, "c1@contoso.test", inquiry, now(), by="Robin")
            with pytest.raises(refused, match="already"):
                merge_threads(conn, inquiry, world.incident, now(), by="Robin")
            move_mail(conn, "c1@contoso.test", theirs, now(), by="Robin", across=True)
        (entry,) = [e for e in world.timeline(theirs.id) if e.kind is EntryKind.MAIL_IN]
        assert entry.mark is Mark.UNVERIFIED

    play(tmp_path, key, scenario)


def test_who_is_no_contact_of_the_new_thread_is_held_there(tmp_path: Path, key: SigningKey) -> None:
    """A move decides where a mail belongs; who may speak is decided anew for each."""

    async def scenario(world: World, other: Thread) -> None:
        with world.database.writing() as conn:
            add_contact(conn, world.contoso.id, "eve@stranger.test", "Eve", now())
        await answer(world, "c1", to=world.incident, parents=QUESTION)
        move(world, "c1@contoso.test", other)
        raw = signed(
            message(
                author="mallory@stranger.test",
                extra="In-Reply-To: <c1@contoso.test>\r\n",
                message_id="<m@stranger.test>",
            ),
            world.key,
            "stranger.test",
        )
        await world.send(raw, REPLIES.mint(world.incident.id, world.alex.id), "mallory@stranger.test")
        (held,) = [copy for copy in world.copies() if copy.message_id == "m@stranger.test"]
        assert (held.disposition, held.thread_id) == (Disposition.HELD, other.id)

    play(tmp_path, key, scenario)


def test_a_message_id_that_an_expert_moved_proves_nothing_for_who_made_it_up(
    tmp_path: Path, key: SigningKey
) -> None:
    """A stranger's mail was released on one incident and moved on: his next one belongs there, and is held there."""

    async def scenario(world: World, other: Thread) -> None:
        first = message(author="x@attack.test", message_id="<his@attack.test>")
        reply = await world.send(first, "query@experts.test", "x@attack.test")
        with world.database.writing() as conn:
            store.release(conn, reply.split()[-1], now(), by="Robin", thread_id=world.incident.id)
        move(world, "his@attack.test", other)
        then = len(world.timeline(other.id))
        for number, mail_from in enumerate(("y@silent.test", "")):
            raw = message(
                "Pay to this account.\r\n",
                author="y@silent.test",
                extra="Auto-Submitted: auto-replied\r\nIn-Reply-To: <his@attack.test>\r\n",
                message_id=f"<{number}@silent.test>",
            )
            last = await world.send(raw, "query@experts.test", mail_from)
            with world.database.reading() as conn:
                copy = store.stored_copy(conn, last.split()[-1])
            assert (copy.disposition, copy.thread_id) == (Disposition.HELD, other.id)
        assert len(world.timeline(other.id)) == then

    play(tmp_path, key, scenario)
