"""The root of a thread, over real SMTP: an answer that names nothing else is matched as by any other Message-ID of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path

import pytest

from outbound.compose import compose, stamp
from outbound.dispatch import Signer
from outbound.model import MailKind, SelfCheck
from outbound.sign import SigningKey
from outbound.store import list_suppressed, queue_outgoing
from outbound.store.mail_events import events_of
from outbound.thread_root import ThreadRoots, root_in
from tests.smtp_gateway.test_machine_mail import OFFICE, QUESTION, SENDER, dsn
from tests.smtp_gateway.world import World, message, now, signed, whole_gateway
from threads import store
from threads.model import Disposition, StoredCopy, Thread
from threads.store.moving import move_mail

ROOTS = ThreadRoots(b"r" * 32, "experts.test")


def ask(world: World, key: SigningKey, thread: Thread, token: str) -> str:
    """A question of ours, which refers to the root of its thread; returns its Message-ID."""
    (mail,) = compose(
        MailKind.REQUEST_FOR_CONTEXT,
        office=replace(OFFICE, root=ROOTS),
        thread=thread,
        contacts=[world.alex],
        variables=QUESTION,
        stamps=[stamp(token, "experts.test", now())],
    )
    ready, genuine = Signer(SENDER, key).sign(mail, now()), SelfCheck(genuine=True, verdict="genuine")
    with world.database.writing() as conn:
        queue_outgoing(conn, ready, idempotency_key=token, actor="ana", checked=genuine, now=now())
    return mail.message_id.strip("<>")


async def hear(world: World, raw: bytes, mail_from: str) -> StoredCopy:
    reply = await world.send(raw, "query@experts.test", mail_from)
    with world.database.reading() as conn:
        return store.stored_copy(conn, reply.split()[-1])


def answering(key: SigningKey, *ids: str) -> bytes:
    fields = f"References: {' '.join(f'<{one}>' for one in ids)}\r\nIn-Reply-To: <{ids[-1]}>\r\n"
    return signed(message(extra=fields, message_id="<c1@contoso.test>"), key)


def play(folder: Path, key: SigningKey, scenario: Callable[[World], Coroutine[None, None, None]]) -> None:
    async def whole() -> None:
        async with whole_gateway(folder, key) as world:
            await scenario(world)

    asyncio.run(whole())


def test_an_answer_that_refers_to_the_root_alone_is_filed_on_its_thread(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario(world: World) -> None:
        ask(world, key, world.incident, "q1")
        copy = await hear(world, answering(key, ROOTS(world.incident.id)), "alex@contoso.test")
        assert (copy.disposition, copy.thread_id) == (Disposition.FILED, world.incident.id)
        assert copy.match_reason == f"it answers a mail of ours on {world.incident.reference}"

    play(tmp_path, key, scenario)


def test_a_root_that_was_made_up_names_nothing(tmp_path: Path, key: SigningKey) -> None:
    async def scenario(world: World) -> None:
        ask(world, key, world.incident, "q1")
        made_up = ThreadRoots(b"x" * 32, "experts.test")(world.incident.id)
        raw = dsn(made_up).replace(b"Subject:", f"References: <{made_up}>\r\nSubject:".encode(), 1)
        copy = await hear(world, raw, "")
        assert copy.disposition is not Disposition.FILED
        assert copy.thread_id is None

    play(tmp_path, key, scenario)


def test_a_stranger_who_saw_a_root_reaches_no_more_than_by_any_other_message_id_of_ours(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario(world: World) -> None:
        ask(world, key, world.incident, "q1")
        root = ROOTS(world.incident.id)
        fields = f"References: <{root}>\r\nIn-Reply-To: <{root}>\r\n"
        raw = message(author="Alex <alex@attack.test>", extra=fields, message_id="<s1@attack.test>")
        copy = await hear(world, raw, "alex@attack.test")
        assert (copy.disposition, copy.thread_id) == (Disposition.HELD, world.incident.id)
        forged = message(author="Alex <alex@contoso.test>", extra=fields, message_id="<s2@attack.test>")
        copy = await hear(world, forged, "alex@attack.test")
        assert copy.disposition is Disposition.HELD
        before = world.thread(world.incident.id).state
        await hear(world, dsn(root), "")
        with world.database.reading() as conn:
            assert list_suppressed(conn) == ()
            assert [event.outgoing_id for event in events_of(conn, thread_id=world.incident.id)] in (
                [],
                [None],
            )
        assert world.thread(world.incident.id).state is before

    play(tmp_path, key, scenario)


def test_a_mail_that_an_expert_moved_leads_on_whatever_root_stands_before_it(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario(world: World) -> None:
        question = ask(world, key, world.incident, "q1")
        ask(world, key, world.incident, "q2")
        with world.database.writing() as conn:
            other = store.open_incident(conn, world.contoso.id, "Another", now())
            move_mail(conn, question, other, now(), by="Robin")
        copy = await hear(world, answering(key, ROOTS(world.incident.id), question), "alex@contoso.test")
        assert (copy.disposition, copy.thread_id) == (Disposition.FILED, other.id)

    play(tmp_path, key, scenario)


@pytest.mark.parametrize(
    "references",
    [
        "",
        "References: <c1@contoso.test>\r\n",
        f"References: <c1@contoso.test> <{ROOTS(1)}>\r\n",
        f"References: <{ThreadRoots(b'r' * 32, 'attack.test')(1)}>\r\n",
        "References: <thread.0@experts.test>\r\n",
    ],
)
def test_only_what_we_put_first_is_a_root(references: str) -> None:
    assert root_in(f"{references}\r\nx".encode(), "q1@experts.test") is None
    assert root_in(f"References: <{ROOTS(1)}>\r\n <c@x.test>\r\n\r\nx".encode(), "q1@experts.test") == ROOTS(
        1
    )
