"""Machines' mail at a real gateway: tied to the mail of ours that it is about, an event and no message, and never answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from outbound.compose import Office, compose, stamp
from outbound.dispatch import Signer
from outbound.mail_event import MailEvent, Undelivered
from outbound.model import DeliveryState, Letterhead, MailKind, SelfCheck, Sender
from outbound.schema import deliveries
from outbound.sign import SigningKey
from outbound.store import events_of, list_suppressed, queue_outgoing, undelivered
from outbound.template_files import load_templates
from tests.smtp_gateway.world import REPLIES, World, message, now, signed, whole_gateway
from threads import store
from threads.model import Assignee, Contact, Disposition, EntryKind, Mark, MessageKind, State, TimelineEntry
from threads.store.moving import move_mail

SENDER = Sender("Defender Experts", "defender-experts@experts.test", "experts.test", "s1")
OFFICE = Office(
    Letterhead(SENDER, "Defender Experts", "verify@experts.test", "query@experts.test", "reply.experts.test"),
    load_templates(),
    REPLIES.mint,
)
QUESTION = {"opening": "A sign-in is new to us.", "questions": ("Was this you?",), "expert": "Ana"}


@dataclass
class Asked:
    """A gateway whose expert Ana has asked Alex something."""

    world: World
    address: str  # from which the question went, and to which bounces come
    message_id: str

    async def hear(self, raw: bytes, rcpt: str | None = None, mail_from: str = "") -> str:
        reply = await self.world.send(raw, rcpt or self.address, mail_from)
        assert reply.startswith("250")
        return reply.split()[-1]

    def events(self) -> tuple[MailEvent, ...]:
        with self.world.database.reading() as conn:
            return events_of(conn)

    def alarms(self) -> tuple[Undelivered, ...]:
        with self.world.database.reading() as conn:
            return undelivered(conn, now() - timedelta(minutes=5))

    def told(self) -> list[TimelineEntry]:
        return [e for e in self.world.timeline(self.world.incident.id) if e.kind is EntryKind.EVENT]

    def words(self) -> list[TimelineEntry]:
        return [e for e in self.world.timeline(self.world.incident.id) if e.kind is EntryKind.MAIL_IN]


def ask(world: World, key: SigningKey, contact: Contact, token: str) -> tuple[str, str]:
    """Queue a question as an expert's command does; its envelope sender and Message-ID."""
    (mail,) = compose(
        MailKind.REQUEST_FOR_CONTEXT,
        office=OFFICE,
        thread=world.incident,
        contacts=[contact],
        variables=QUESTION,
        stamps=[stamp(token, "experts.test", now())],
    )
    ready = Signer(SENDER, key).sign(mail, now())
    with world.database.writing() as conn:
        queue_outgoing(
            conn, ready, idempotency_key=token, actor="ana", checked=SelfCheck(genuine=True, verdict="genuine"), now=now()
        )  # fmt: skip
    return mail.mail_from, mail.message_id.strip("<>")


@asynccontextmanager
async def asked(folder: Path, key: SigningKey) -> AsyncIterator[Asked]:
    async with whole_gateway(folder, key) as world:
        yield Asked(world, *ask(world, key, world.alex, "q1"))


def dsn(
    message_id: str,
    action: str = "failed",
    status: str = "5.1.1",
    sender: str = "MAILER-DAEMON@mx.silent.test",
) -> bytes:
    body = (
        "--B\r\n\r\nIt did not arrive.\r\n--B\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.silent.test\r\n\r\n"
        f"Final-Recipient: rfc822; alex@contoso.test\r\nAction: {action}\r\nStatus: {status}\r\n"
        "Diagnostic-Code: smtp; 550 no such user\r\n\r\n--B\r\nContent-Type: text/rfc822-headers\r\n\r\n"
        f"Message-ID: <{message_id}>\r\n\r\n--B--\r\n"
    )
    kind = "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=B\r\n"
    return message(
        body, author=sender, subject="Undelivered Mail", extra=kind, message_id="<dsn@mx.silent.test>"
    )


def note(kind: str, fields: str) -> bytes:
    """A receipt or a complaint."""
    body = f"--B\r\n\r\nSee below.\r\n--B\r\nContent-Type: message/{kind}\r\n\r\n{fields}\r\n--B--\r\n"
    extra = f"MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type={kind}; boundary=B\r\n"
    return message(body, author="Robot <robot@silent.test>", subject="Report", extra=extra)


def test_a_bounce_is_an_event_on_its_thread_and_alarms_whoever_asked(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with asked(tmp_path, key) as one:
            with one.world.database.writing() as conn:
                store.set_state(conn, one.world.incident.id, State.AWAITING_CUSTOMER, now(), actor="ana", assigned_to=Assignee.CUSTOMER)  # fmt: skip
            copy_id = await one.hear(dsn(one.message_id))
            (entry,) = one.told()
            assert (entry.mark, entry.copy_id) == (Mark.AUTOMATION, copy_id)
            assert entry.text == "Not delivered: alex@contoso.test (5.1.1): 550 no such user"
            assert one.words() == []
            (event,) = one.events()
            assert (event.kind, event.contact_id, event.status) == (
                MessageKind.BOUNCE,
                one.world.alex.id,
                "5.1.1",
            )
            (alarm,) = one.alarms()
            assert (alarm.event, alarm.reference, alarm.actor) == (event, one.world.incident.reference, "ana")
            assert (alarm.notice.kind, alarm.notice.rcpt_to) == (
                MailKind.REQUEST_FOR_CONTEXT,
                "alex@contoso.test",
            )
            assert one.world.thread(one.world.incident.id).state is State.AWAITING_CUSTOMER
            # The same client again: nothing more.
            assert await one.hear(dsn(one.message_id)) == copy_id
            assert len(one.told()) == len(one.events()) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("kind", "raw", "said"),
    [
        (MessageKind.DELAY, dsn("{}", "delayed", "4.4.1"), "Delivery is delayed: alex@contoso.test (4.4.1): 550 no such user"),
        (MessageKind.DELIVERED, dsn("{}", "delivered", "2.0.0"), "Delivered: alex@contoso.test (2.0.0): 550 no such user"),
        (MessageKind.AUTO_REPLY, message("Back on Monday.\r\n", author="Alex <alex@contoso.test>", subject="Automatic reply: hello"), "An automatic reply came"),
        (MessageKind.AUTO_REPLY, message("Back on Monday.\r\n", author="Alex <alex@contoso.test>", subject="Re: hello"), "An automatic reply came"),
        (MessageKind.DISPOSITION, note("disposition-notification", "Final-Recipient: rfc822; alex@contoso.test\r\nOriginal-Message-ID: <{}>\r\nDisposition: manual-action/MDN-sent-manually; displayed\r\n"), "A receipt came: alex@contoso.test (displayed)"),
        (MessageKind.FEEDBACK_REPORT, note("feedback-report", "Feedback-Type: abuse\r\nOriginal-Rcpt-To: <alex@contoso.test>\r\n"), "Our mail was complained of: alex@contoso.test (abuse)"),
        (MessageKind.UNSUBSCRIBE, message("", author="Alex <alex@contoso.test>", subject="unsubscribe"), "No more mail is wanted"),
        (MessageKind.BOUNCE, message("<alex@contoso.test>:\r\nmailbox is full\r\n", author="MAILER-DAEMON@silent.test", subject="failure notice"), "Not delivered: alex@contoso.test (5.2.2): mailbox is full"),
        (MessageKind.BOUNCE, message("Your mail could not be delivered to: <alex@contoso.test>\r\nmailbox is full\r\n", author="system@silent.test", subject="Mail"), "Not delivered: alex@contoso.test (5.2.2): mailbox is full"),
    ],
)  # fmt: skip
def test_every_kind_on_the_path_of_one_mail_is_told_as_what_happened_to_it(
    tmp_path: Path, key: SigningKey, kind: MessageKind, raw: bytes, said: str
) -> None:
    async def scenario() -> None:
        async with asked(tmp_path, key) as one:
            await one.hear(raw.replace(b"{}", one.message_id.encode()))
            (event,) = one.events()
            assert (event.kind, event.contact_id) == (kind, one.world.alex.id)
            assert event.outgoing_id is not None
            assert [entry.text for entry in one.told()] == [said]
            assert one.words() == []
            assert one.world.orders() == []
            assert len(one.alarms()) == (kind is MessageKind.BOUNCE)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("author", "kept"), [("Alex <alex@contoso.test>", "Pay to this account."), ("x@attack.test", "")]
)
def test_words_come_along_with_an_event_only_from_who_may_speak(
    tmp_path: Path, key: SigningKey, author: str, kept: str
) -> None:
    async def scenario() -> None:
        async with asked(tmp_path, key) as one:
            raw = message("Pay to this account.\r\n", author=author, extra="Auto-Submitted: auto-replied\r\n")
            path = "x@attack.test" if "attack" in author else "alex@contoso.test"
            await one.hear(signed(raw, key) if kept else raw, mail_from=path)
            (entry,) = one.told()
            assert (entry.text, entry.quoted.strip()) == ("An automatic reply came", kept)

    asyncio.run(scenario())


def test_of_several_mails_to_a_contact_the_one_is_told_that_the_bounce_names(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario() -> None:
        async with asked(tmp_path, key) as one:
            _, second = ask(one.world, key, one.world.alex, "q2")
            await one.hear(dsn(second))
            await one.hear(dsn("unknown@elsewhere.test"))
            named, unnamed = one.events()
            with one.world.database.reading() as conn:
                assert named.outgoing_id is not None
                assert events_of(conn, outgoing_id=named.outgoing_id) == (named,)
                assert events_of(conn, thread_id=one.world.incident.id) == (named, unnamed)
            # Which of the two it was nobody can tell; the contact is certain all the same.
            assert (unnamed.outgoing_id, unnamed.contact_id) == (None, one.world.alex.id)
            assert [alarm.event for alarm in one.alarms()] == [named]

    asyncio.run(scenario())


def test_a_bounce_without_our_address_is_tied_by_the_message_id_that_it_returns(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario() -> None:
        async with asked(tmp_path, key) as one:
            await one.hear(dsn(one.message_id), "query@experts.test")
            (event,) = one.events()
            assert (event.thread_id, event.contact_id) == (one.world.incident.id, one.world.alex.id)
            assert len(one.alarms()) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "made_up",
    [
        dsn("{}"),
        dsn("{}", sender="postmaster@contoso.test"),
        message('{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","bouncedRecipients":[{"emailAddress":"alex@contoso.test","status":"5.1.1"}]},"mail":{"headers":[{"name":"Message-ID","value":"<{}>"}]}}\r\n', author="no-reply@sns.amazonaws.com", subject="AWS Notification Message"),
        message("Not delivered to alex@contoso.test: 550 5.1.1 user unknown\r\n\r\n----- Original message -----\r\nMessage-ID: <{}>\r\n", author="MAILER-DAEMON@silent.test", subject="Undelivered"),
    ],
)  # fmt: skip
def test_who_knows_a_message_id_of_ours_alone_stops_no_mail_to_its_recipient(
    tmp_path: Path, key: SigningKey, made_up: bytes
) -> None:
    async def scenario() -> None:
        async with asked(tmp_path, key) as one:
            raw = made_up.replace(b"{}", one.message_id.encode())
            with one.world.database.writing() as conn:
                conn.execute(update(deliveries).values(state=DeliveryState.DELIVERED.value))
            await one.hear(raw, "query@experts.test")
            with one.world.database.reading() as conn:
                assert list_suppressed(conn) == ()
                assert conn.execute(select(deliveries.c.state)).scalars().all() == [
                    DeliveryState.DELIVERED.value
                ]
            await one.hear(
                raw.replace(b"\r\n\r\n", b"\r\nX-Again: 1\r\n\r\n", 1)
            )  # to the address that the mail gave for it
            with one.world.database.reading() as conn:
                assert [entry.address for entry in list_suppressed(conn)] == ["alex@contoso.test"]

    asyncio.run(scenario())


def test_a_bounce_that_was_made_up_says_nothing_of_a_contact(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with asked(tmp_path, key) as one:
            tag = one.world.incident.reference
            forged = [
                dsn("guess@experts.test"),
                dsn(""),
                dsn("guess@experts.test").replace(b"Undelivered Mail", f"Undelivered [{tag}]".encode()),
                dsn("guess@experts.test", sender="MAILER-DAEMON@contoso.test"),
                message(f"> [{tag}]\r\n", author="alex@contoso.test", subject=f"Automatic reply: [{tag}]"),
            ]
            for number, raw in enumerate(forged):
                await one.hear(raw.replace(b"<dsn@", f"<{number}@".encode()), "query@experts.test")
            guessed = (
                one.address.replace("r+a", "r+b")
                if "r+a" in one.address
                else one.address.replace("r+", "r+a")[:-1]
            )
            assert (await one.world.send(forged[0], guessed, "")).startswith("550")
            assert one.events() == one.alarms() == ()
            assert one.told() == one.words() == []
            assert all(
                copy.disposition in (Disposition.HELD, Disposition.TRIAGE) for copy in one.world.copies()
            )

    asyncio.run(scenario())


def test_proofs_that_name_two_threads_are_left_to_an_expert(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with asked(tmp_path, key) as one:
            with one.world.database.writing() as conn:
                other = store.open_incident(conn, one.world.contoso.id, "Another", now())
            await one.hear(dsn(one.message_id), REPLIES.mint(other.id, one.world.alex.id))
            assert one.events() == ()
            assert [copy.disposition for copy in one.world.copies()] == [Disposition.HELD]

    asyncio.run(scenario())


def test_a_contact_of_another_mail_is_not_blamed_for_a_message_id_that_got_about(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario() -> None:
        async with asked(tmp_path, key) as one:
            with one.world.database.writing() as conn:
                sam = store.add_contact(conn, one.world.contoso.id, "sam@contoso.test", "Sam", now())
            await one.hear(dsn(one.message_id), REPLIES.mint(one.world.incident.id, sam.id))
            # An address of ours can outlive the contact for whom it was made.
            await one.hear(dsn("x@y.test"), REPLIES.mint(one.world.incident.id, 999))
            first, second = one.events()
            assert (first.contact_id, first.outgoing_id) == (sam.id, None)
            assert (second.contact_id, second.outgoing_id) == (None, None)
            assert one.alarms() == ()

    asyncio.run(scenario())


@pytest.mark.parametrize("named", [True, False])
def test_a_bounce_to_the_mails_own_address_ends_it_wherever_an_expert_moved_the_conversation(
    tmp_path: Path, key: SigningKey, named: bool
) -> None:
    async def scenario() -> None:
        async with asked(tmp_path, key) as one:
            with one.world.database.writing() as conn:
                conn.execute(update(deliveries).values(state=DeliveryState.DELIVERED.value))
                other = store.open_incident(conn, one.world.contoso.id, "Another", now())
            to = REPLIES.mint(one.world.incident.id, one.world.alex.id)
            answer = message(extra=f"In-Reply-To: <{one.message_id}>\r\n", message_id="<c1@contoso.test>")
            await one.hear(signed(answer, key), to, "alex@contoso.test")
            with one.world.database.writing() as conn:
                move_mail(conn, "c1@contoso.test", other, now(), by="Robin")
            raw = dsn(one.message_id if named else "unknown@elsewhere.test")
            await one.hear(b"References: <c1@contoso.test>\r\n" + raw)
            (event,) = one.events()
            # What the bounce names stands where it was sent from; else the conversation has gone on.
            thread = one.world.incident if named else other
            assert (event.thread_id, event.contact_id) == (thread.id, one.world.alex.id)
            assert event.outgoing_id is not None
            with one.world.database.reading() as conn:
                assert [entry.address for entry in list_suppressed(conn)] == ["alex@contoso.test"]

    asyncio.run(scenario())


@pytest.mark.parametrize("moves", [("other",), ("other", "here"), ("other", "third")])
@pytest.mark.parametrize("whole", [False, True])
def test_a_bounce_that_names_a_mail_of_ours_is_tied_to_it_wherever_an_expert_moved_that_mail(
    tmp_path: Path, key: SigningKey, moves: tuple[str, ...], whole: bool
) -> None:
    """It came to no return address of ours, and proves itself by a Message-ID that only who has the mail can name."""

    async def scenario() -> None:
        async with asked(tmp_path, key) as one:
            places = {"here": one.world.incident}
            with one.world.database.writing() as conn:
                for name in ("other", "third"):
                    places[name] = store.open_incident(conn, one.world.contoso.id, name, now())
                for place in moves:
                    move_mail(conn, one.message_id, places[place], now(), by="Robin")
            raw = dsn(one.message_id)
            if whole:
                raw = raw.replace(b"text/rfc822-headers", b"message/rfc822")
            await one.hear(raw, "query@experts.test")
            (event,) = one.events()
            assert (event.thread_id, event.contact_id) == (places[moves[-1]].id, one.world.alex.id)
            assert [alarm.event for alarm in one.alarms()] == [event]
            with one.world.database.reading() as conn:
                assert list_suppressed(conn) == ()

    asyncio.run(scenario())


def test_a_mail_of_ours_that_was_moved_to_another_customer_proves_nothing_there(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario() -> None:
        async with asked(tmp_path, key) as one:
            with one.world.database.writing() as conn:
                fabrikam = store.add_organisation(conn, "Fabrikam", now())
                theirs = store.open_incident(conn, fabrikam.id, "Theirs", now())
                move_mail(conn, one.message_id, theirs, now(), by="Robin", across=True)
            await one.hear(dsn(one.message_id), "query@experts.test")
            assert one.events() == ()
            assert [copy.disposition for copy in one.world.copies()] == [Disposition.HELD]

    asyncio.run(scenario())


def test_an_address_of_one_customer_tells_nothing_on_a_thread_of_another_one(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario() -> None:
        async with asked(tmp_path, key) as one:
            with one.world.database.writing() as conn:
                fabrikam = store.add_organisation(conn, "Fabrikam", now())
                theirs = store.open_incident(conn, fabrikam.id, "Theirs", now())
            to = REPLIES.mint(one.world.incident.id, one.world.alex.id)
            await one.hear(signed(message(message_id="<c1@contoso.test>"), key), to, "alex@contoso.test")
            with one.world.database.writing() as conn:
                move_mail(conn, "c1@contoso.test", theirs, now(), by="Robin", across=True)
            await one.hear(b"References: <c1@contoso.test>\r\n" + dsn("unknown@elsewhere.test"))
            assert one.events() == ()
            held = next(copy for copy in one.world.copies() if copy.message_id == "dsn@mx.silent.test")
            assert (held.disposition, held.thread_id) == (Disposition.HELD, theirs.id)

    asyncio.run(scenario())


def test_a_contacts_own_absence_is_an_event_even_where_nothing_but_the_subject_names_the_thread(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario() -> None:
        async with asked(tmp_path, key) as one:
            subject = f"Automatic reply: [{one.world.incident.reference}]"
            raw = signed(message("Back on Monday.\r\n", subject=subject), key)
            await one.hear(raw, "query@experts.test", "alex@contoso.test")
            (event,) = one.events()
            assert (event.kind, event.contact_id, event.outgoing_id) == (
                MessageKind.AUTO_REPLY,
                one.world.alex.id,
                None,
            )
            assert one.words() == []
            assert one.world.orders() == []

    asyncio.run(scenario())


OURS = "Defender Experts <defender-experts@experts.test>"
LOOPS = {
    "an answer to our answer": (message(extra="Auto-Submitted: auto-replied\r\n"), "alex@contoso.test"),
    "an answer that says so in its subject only": (message(subject="Out of office: hello"), "alex@contoso.test"),
    "the empty path": (message(), ""),
    "a bounce of a bounce": (message("It is a bounce.\r\n", author="MAILER-DAEMON@contoso.test", subject="failure notice"), ""),
    "a bounce with a path": (message(author="postmaster@contoso.test", subject="Undeliverable: x"), "postmaster@contoso.test"),
    "bulk": (message(extra="Precedence: bulk\r\n"), "alex@contoso.test"),
    "junk": (message(extra="Precedence: junk\r\n"), "alex@contoso.test"),
    "a list": (message(extra="List-Id: <staff.contoso.test>\r\n"), "alex@contoso.test"),
    "a list by another field": (message(extra="List-Unsubscribe: <mailto:x@y.test>\r\n"), "alex@contoso.test"),
    "Exchange's own word": (message(extra="X-Auto-Response-Suppress: OOF, AutoReply\r\n"), "alex@contoso.test"),
    "older words": (message(extra="X-Autoreply: yes\r\n"), "alex@contoso.test"),
    "our own mail": (message(author=OURS), "defender-experts@experts.test"),
    "our own acknowledgement": (message(author=OURS, extra="Auto-Submitted: auto-replied\r\n"), ""),
    "a report": (dsn("x@y.test", sender="MAILER-DAEMON@contoso.test"), ""),
    "a receipt": (note("disposition-notification", "Disposition: automatic-action/MDN-sent-automatically; displayed\r\n"), ""),
    "a wish to hear no more": (message("", subject="unsubscribe"), "alex@contoso.test"),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "path"), LOOPS.values(), ids=LOOPS.keys())
def test_nothing_that_a_robot_may_have_sent_is_answered(
    tmp_path: Path, key: SigningKey, raw: bytes, path: str
) -> None:
    """Each as good as it can be: signed by its author's domain, to each mailbox that answers by itself."""

    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            domain = "experts.test" if b"experts.test>\r\nTo" in raw else "contoso.test"
            sent = signed(raw, key, domain)
            for rcpt in (
                "query@experts.test",
                "verify@experts.test",
                REPLIES.mint(world.incident.id, world.alex.id),
            ):
                assert (await world.send(sent, rcpt, path)).startswith(("250", "550"))
            assert world.orders() == []

    asyncio.run(scenario())


def test_a_person_is_answered_where_a_robot_is_not(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            await world.send(signed(message(), key), "query@experts.test")
            assert [order.kind for order in world.orders()] == ["acknowledgement"]

    asyncio.run(scenario())
