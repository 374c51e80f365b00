"""Reply addresses and tags over real SMTP: forged, replayed, expired, rotated; and all the ways of a stranger who knows them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from outbound.sign import SigningKey
from tests.smtp_gateway import world as worlds
from tests.smtp_gateway.world import BOXES, REPLIES, World, message, now, signed, whole_gateway
from threads import store
from threads.model import Contact, Disposition, EntryKind, Mark, State, Thread
from threads.reply_address import ReplyAddresses
from threads.store.thread import record_outgoing

QUESTION = "question-1@experts.test"
TODAY = now().date()


@dataclass
class Scene:
    """Contoso with two incidents and two contacts, Fabrikam with one; a question of ours is out on the first."""

    world: World
    other: Thread
    bea: Contact
    fay: Contact
    theirs: Thread

    def address(self, thread: Thread | None = None, contact: Contact | None = None, days: int = 0) -> str:
        return REPLIES.mint(
            (thread or self.world.incident).id,
            (contact or self.world.alex).id,
            TODAY - timedelta(days=days),
        )

    async def arrive(self, raw: bytes, rcpt: str, mail_from: str = "alex@contoso.test") -> Any:
        """Send a mail that has to be taken; what became of it."""
        reply = await self.world.send(raw, rcpt, mail_from)
        assert reply.startswith("250 2.0.0 OK "), reply
        with self.world.database.reading() as conn:
            return store.stored_copy(conn, reply.split()[-1])

    def words(self, thread: Thread | None = None) -> list[Any]:
        return [
            e for e in self.world.timeline((thread or self.world.incident).id) if e.kind is EntryKind.MAIL_IN
        ]


def play(folder: Path, key: SigningKey, scenario: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with whole_gateway(folder, key) as world:
            with world.database.writing() as conn:
                other = store.open_incident(conn, world.contoso.id, "Another one", now())
                bea = store.add_contact(conn, world.contoso.id, "bea@contoso.test", "Bea", now())
                fabrikam = store.add_organisation(conn, "Fabrikam", now())
                fay = store.add_contact(conn, fabrikam.id, "fay@stranger.test", "Fay", now())
                theirs = store.open_incident(conn, fabrikam.id, "Theirs", now())
                record_outgoing(conn, world.incident.id, QUESTION, now(), actor="Ana", text="Was this you?")
                store.set_state(conn, world.incident.id, State.AWAITING_CUSTOMER, now(), actor="Ana")
            await scenario(Scene(world, other, bea, fay, theirs))

    asyncio.run(whole())


def forgeries(address: str) -> list[str]:
    """Addresses that look like ours and are not."""
    local, _, domain = address.partition("@")
    token = base64.b32decode(local[2:].upper())

    def made(changed: bytes) -> str:
        return f"r+{base64.b32encode(changed).decode().lower().rstrip('=')}@{domain}"

    return [
        made(token[:5] + b"\x02" + token[6:]),  # the thread
        made(token[:9] + b"\x07" + token[10:]),  # the contact
        made(token[:11] + bytes([token[11] ^ 1]) + token[12:]),  # the day
        made(token[:-1] + bytes([token[-1] ^ 1])),  # the code
        made(bytes([token[0] ^ 1]) + token[1:]),  # the key
        made(token[:20]),  # the form without a day
        made(token[:10] + bytes(10)),
        f"{local[:-1]}@{domain}",
        f"{local}a@{domain}",
        f"r+@{domain}",
        f"r+{'a' * 40}@{domain}",
        ReplyAddresses([b"x" * 32], domain).mint(1, 1, TODAY),  # somebody else's key
        ReplyAddresses([b"k" * 32], "reply.other.test").mint(1, 1, TODAY).partition("@")[0] + f"@{domain}",
    ]


def test_a_forged_address_is_an_unknown_recipient(tmp_path: Path, key: SigningKey) -> None:
    async def scenario(scene: Scene) -> None:
        for address in forgeries(scene.address()):
            reply = await scene.world.send(signed(message(), key), address)
            assert reply.startswith("550 5.1.1"), (address, reply)
        assert scene.world.copies() == ()

    play(tmp_path, key, scenario)


def test_an_address_works_for_the_conversation_it_was_made_for_alone(tmp_path: Path, key: SigningKey) -> None:
    async def scenario(scene: Scene) -> None:
        # Another incident's tag does not lead away from it ...
        raw = signed(message(subject="Re: [INC-000002] x", message_id="<1@contoso.test>"), key)
        assert (await scene.arrive(raw, scene.address())).thread_id == scene.world.incident.id
        # ... and with a proof of another incident nothing is guessed.
        raw = signed(message(extra=f"In-Reply-To: <{QUESTION}>\r\n", message_id="<2@contoso.test>"), key)
        copy = await scene.arrive(raw, scene.address(scene.other))
        assert (copy.disposition, copy.thread_id) == (Disposition.HELD, None)
        assert copy.reason == "its reply address and references name INC-000001 and INC-000002"
        assert scene.words(scene.other) == []

    play(tmp_path, key, scenario)


@pytest.mark.parametrize(
    ("who", "domain", "disposition", "mark"),
    [
        ("bea@contoso.test", "contoso.test", Disposition.FILED, Mark.VERIFIED),
        ("sam@contoso.test", "contoso.test", Disposition.FILED, Mark.NOT_LISTED),
        ("fay@stranger.test", "stranger.test", Disposition.HELD, None),
        ("eve@stranger.test", "stranger.test", Disposition.HELD, None),
    ],
)
def test_an_address_says_where_a_mail_belongs_and_never_who_wrote_it(
    tmp_path: Path, key: SigningKey, who: str, domain: str, disposition: Disposition, mark: Mark | None
) -> None:
    async def scenario(scene: Scene) -> None:
        raw = signed(message(author=who, message_id=f"<1@{domain}>"), key, domain)
        copy = await scene.arrive(raw, scene.address(), who)
        assert (copy.disposition, copy.thread_id) == (disposition, scene.world.incident.id)
        assert [(e.actor, e.mark) for e in scene.words()] == ([] if mark is None else [(who, mark)])
        # Made for Alex, and Alex it is who is named nowhere in it.
        assert copy.contact_id == (scene.bea.id if who == "bea@contoso.test" else None)

    play(tmp_path, key, scenario)


@pytest.mark.parametrize(("days", "filed"), [(0, True), (399, True), (402, False), (2_000, False)])
def test_an_address_proves_nothing_after_its_time(
    tmp_path: Path, key: SigningKey, days: int, filed: bool
) -> None:
    async def scenario(scene: Scene) -> None:
        copy = await scene.arrive(signed(message(), key), scene.address(days=days))
        assert (len(scene.words()) == 1) is filed
        if filed:
            return
        # A customer is heard all the same, as one who writes anew; a stranger goes to triage.
        assert copy.disposition is Disposition.FILED
        assert [inquiry.id for inquiry in scene.world.inquiries()] == [copy.thread_id]
        raw = signed(message(author="eve@stranger.test"), key, "stranger.test")
        stranger = await scene.arrive(raw, scene.address(days=days), "eve@stranger.test")
        assert (stranger.disposition, stranger.thread_id) == (Disposition.TRIAGE, None)

    play(tmp_path, key, scenario)


def test_an_old_key_reads_for_its_time_and_makes_nothing_new(
    tmp_path: Path, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = ReplyAddresses([b"n" * 32], "reply.experts.test")
    rotated = ReplyAddresses([b"n" * 32, b"k" * 32], "reply.experts.test")  # k is the world's key
    assert rotated.mint(1, 1, TODAY) == new.mint(1, 1, TODAY)

    def keys_in_force(replies: ReplyAddresses) -> None:
        monkeypatch.setattr(worlds, "BOXES", replace(BOXES, read_token=replies.read))

    async def both_are_read(scene: Scene) -> None:
        for number, address in enumerate((scene.address(), new.mint(scene.world.incident.id, None, TODAY))):
            raw = signed(message(message_id=f"<{number}@contoso.test>"), key)
            assert (await scene.arrive(raw, address)).thread_id == scene.world.incident.id

    async def the_old_one_is_gone(scene: Scene) -> None:
        reply = await scene.world.send(signed(message(), key), scene.address())
        assert reply.startswith("550 5.1.1")

    for replies, scenario in ((rotated, both_are_read), (new, the_old_one_is_gone)):
        keys_in_force(replies)
        folder = tmp_path / scenario.__name__
        folder.mkdir()
        play(folder, key, scenario)


STRANGER = "eve@stranger.test"
ENCODED = f"=?utf-8?b?{base64.b64encode(b'Re: [INC-000001] x').decode()}?="


@dataclass(frozen=True)
class Try:
    """One way to get onto an incident: what is written where. ``signs``: the domain that signs, "" for none."""

    why: str
    author: str = STRANGER
    subject: str = "Re: [INC-000001] Odd sign-in"
    extra: str = ""
    mail_from: str = STRANGER
    signs: str = "stranger.test"
    leaked: bool = False  # sent to Alex' own reply address


TRIES = [
    Try("the tag"),
    Try("the tag, lower case", subject="re: [inc-1]"),
    Try("the tag, encoded", subject=ENCODED),
    Try("the tag, wide", subject="=?utf-8?b?" + base64.b64encode("［INC-000001］".encode()).decode() + "?="),
    Try("the tag twice", subject="[INC-000001] [INC-000001]"),
    Try("the question's Message-ID", subject="x", extra=f"In-Reply-To: <{QUESTION}>\r\n"),
    Try("the question among references", subject="x", extra=f"References: <a@b> <{QUESTION}>\r\n"),
    Try("a leaked reply address", subject="x", leaked=True),
    Try("everything at once", extra=f"In-Reply-To: <{QUESTION}>\r\n", leaked=True),
    Try("a contact in the display name", author='"alex@contoso.test" <eve@stranger.test>', leaked=True),
    Try("a contact as Sender", extra="Sender: alex@contoso.test\r\n", leaked=True),
    Try("a contact as Reply-To", extra="Reply-To: alex@contoso.test\r\n", leaked=True),
    Try("a contact as Resent-From", extra="Resent-From: alex@contoso.test\r\n", leaked=True),
    Try("a contact as the envelope's sender", mail_from="alex@contoso.test", leaked=True),
    Try("a contact in an SRS address", mail_from="SRS0=aa=bb=contoso.test=alex@stranger.test", leaked=True),
    Try("a contact in a From of SRS form", author="SRS0=aa=bb=contoso.test=alex@stranger.test", leaked=True),
    Try("a contact in a rewritten From", author="alex=contoso.test@stranger.test", leaked=True),
    Try("a contact's local part", author="alex@stranger.test", leaked=True),
    Try("another customer's contact", author="fay@stranger.test", mail_from="fay@stranger.test", leaked=True),
    Try("a contact's name at a subdomain", author="alex@mail.contoso.test", signs="stranger.test", leaked=True),
    Try("the contact, unsigned from elsewhere", author="alex@contoso.test", mail_from="x@silent.test", signs="", leaked=True),
    Try("the contact, signed by the stranger", author="alex@contoso.test", mail_from="x@silent.test", leaked=True),
    Try("the contact after the stranger", author="eve@stranger.test, alex@contoso.test", leaked=True),
    Try("the contact before the stranger", author="alex@contoso.test, eve@stranger.test", leaked=True),
    Try("two From fields", extra="From: alex@contoso.test\r\n", leaked=True),
    Try("a group around the contact", author="alex@contoso.test:eve@stranger.test;", leaked=True),
    Try("an out-of-office", extra="Auto-Submitted: auto-replied\r\n"),
    Try("a bounce", author="MAILER-DAEMON@stranger.test", mail_from="", extra="Auto-Submitted: auto-replied\r\n"),
    Try("on the empty path", mail_from=""),
    Try(
        "results that the stranger wrote",
        author="alex@contoso.test",
        mail_from="x@silent.test",
        extra="Authentication-Results: mx.experts.test; dmarc=pass header.from=contoso.test\r\n",
        signs="",
        leaked=True,
    ),
]  # fmt: skip


def test_a_stranger_who_quotes_an_incident_never_lands_on_it(tmp_path: Path, key: SigningKey) -> None:
    async def scenario(scene: Scene) -> None:
        before = scene.world.timeline(scene.world.incident.id)
        for number, one in enumerate(TRIES):
            raw = message(
                "About [INC-000001].\r\n",
                author=one.author,
                subject=one.subject,
                extra=one.extra,
                message_id=f"<{number}@stranger.test>",
            )
            raw = signed(raw, key, one.signs) if one.signs else raw
            rcpt = scene.address() if one.leaked else "query@experts.test"
            reply = await scene.world.send(raw, rcpt, one.mail_from)
            if reply.startswith("250"):
                with scene.world.database.reading() as conn:
                    copy = store.stored_copy(conn, reply.split()[-1])
                assert copy.disposition in (Disposition.HELD, Disposition.TRIAGE), one.why
            else:
                assert reply.startswith("5"), (one.why, reply)
            assert scene.words() == [], one.why
        assert scene.world.timeline(scene.world.incident.id) == before
        assert scene.world.thread(scene.world.incident.id).state is State.AWAITING_CUSTOMER
        assert scene.world.inquiries() == ()
        assert scene.world.orders() == []

    play(tmp_path, key, scenario)


def test_a_robots_mail_to_a_leaked_address_is_an_event_and_nobodys_words(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario(scene: Scene) -> None:
        raw = message("Close it.\r\n", author=STRANGER, extra="Auto-Submitted: auto-replied\r\n")
        await scene.arrive(signed(raw, key, "stranger.test"), scene.address(), "")
        *_, last = scene.world.timeline(scene.world.incident.id)
        assert (last.kind, last.mark) == (EntryKind.EVENT, Mark.AUTOMATION)
        assert "Close it." not in last.text
        assert scene.words() == []
        assert scene.world.thread(scene.world.incident.id).state is State.AWAITING_CUSTOMER

    play(tmp_path, key, scenario)


def test_what_a_stranger_sent_leads_nobody_onto_an_incident(tmp_path: Path, key: SigningKey) -> None:
    """Held mail is no part of the record that references are looked up in, nor are its ancestors."""

    async def scenario(scene: Scene) -> None:
        raw = signed(
            message(
                author=STRANGER,
                extra="References: <root@stranger.test>\r\n",
                subject="[INC-000001]",
                message_id="<bait@stranger.test>",
            ),
            key,
            "stranger.test",
        )
        assert (await scene.arrive(raw, scene.address(), STRANGER)).disposition is Disposition.HELD
        for number, parent in enumerate(("bait@stranger.test", "root@stranger.test")):
            raw = signed(
                message(extra=f"In-Reply-To: <{parent}>\r\n", message_id=f"<{number}@contoso.test>"), key
            )
            copy = await scene.arrive(raw, "query@experts.test")
            assert copy.thread_id not in (None, scene.world.incident.id)
        assert scene.words() == []

    play(tmp_path, key, scenario)


def test_siblings_in_a_conversation_that_began_elsewhere_are_filed_together(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario(scene: Scene) -> None:
        async def sibling(name: str, who: str, domain: str, *ancestors: str) -> Any:
            extra = f"References: {' '.join(f'<{one}>' for one in ancestors)}\r\n"
            raw = signed(message(author=who, extra=extra, message_id=f"<{name}@{domain}>"), key, domain)
            return await scene.arrive(raw, "query@experts.test", who)

        first = await sibling("s1", "alex@contoso.test", "contoso.test", "root@vendor.test", "a@vendor.test")
        second = await sibling("s2", "bea@contoso.test", "contoso.test", "root@vendor.test", "b@vendor.test")
        assert (second.thread_id, second.rule) == (first.thread_id, "shared-ancestor")
        assert second.match_reason == "it refers to the same earlier message as a mail on INQ-000001"
        # Another customer takes part in that conversation, too, and has a thread of its own.
        theirs = await sibling("s3", "fay@stranger.test", "stranger.test", "root@vendor.test")
        assert theirs.disposition is Disposition.FILED
        assert theirs.thread_id != first.thread_id

    play(tmp_path, key, scenario)


def test_an_answer_to_a_mail_under_either_of_its_names_is_found(tmp_path: Path, key: SigningKey) -> None:
    async def scenario(scene: Scene) -> None:
        raw = signed(
            message(
                extra="X-Microsoft-Original-Message-ID: <own@contoso.test>\r\n",
                message_id="<given@prod.outlook.com>",
            ),
            key,
        )
        first = await scene.arrive(raw, scene.address())
        for number, parent in enumerate(("own@contoso.test", "given@prod.outlook.com")):
            raw = signed(
                message(extra=f"In-Reply-To: <{parent}>\r\n", message_id=f"<{number}@contoso.test>"), key
            )
            assert (await scene.arrive(raw, "query@experts.test")).thread_id == first.thread_id

    play(tmp_path, key, scenario)
