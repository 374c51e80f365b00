"""The way of a message from SMTP to the record, and what each kind of sender gets."""

from __future__ import annotations

import asyncio
from pathlib import Path

from outbound.sign import SigningKey
from smtp_gateway.observer import NobodyWatching
from smtp_gateway.route_policy import Action, RoutePolicy
from tests.smtp_gateway.world import REPLIES, client, message, now, signed, whole_gateway
from threads import store
from threads.model import Assignee, Disposition, EntryKind, Mark, State
from verifier.evidence import Answer, AnswerStatus
from verifier.zone import read_zone


def test_a_contacts_reply_lands_on_the_incident_as_verified_words(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            with world.database.writing() as conn:
                store.set_state(
                    conn,
                    world.incident.id,
                    State.AWAITING_CUSTOMER,
                    now(),
                    actor="ana",
                    assigned_to=Assignee.CUSTOMER,
                )
            raw = signed(message("It was me.\r\n\r\n> Was this you?\r\n", subject="Re: sign-in"), key)
            reply = await world.send(raw, REPLIES.mint(world.incident.id, world.alex.id))
            assert reply.startswith("250 2.0.0 OK ")
            (copy,) = world.copies()
            assert copy.id == reply.split()[-1]
            assert copy.disposition is Disposition.FILED
            assert world.raw(copy.id) == raw
            assert copy.trace.startswith("Authentication-Results: mx.experts.test;\r\n")
            assert "dmarc=pass header.from=contoso.test" in copy.trace
            assert f"id {copy.id}" in copy.trace
            entry = next(e for e in world.timeline(world.incident.id) if e.kind is EntryKind.MAIL_IN)
            assert (entry.mark, entry.text.strip()) == (Mark.VERIFIED, "It was me.")
            thread = world.thread(world.incident.id)
            assert (thread.state, thread.assigned_to) == (State.IN_PROGRESS, Assignee.DEFENDER_EXPERTS)
            assert world.orders() == []

    asyncio.run(scenario())


def test_a_contacts_question_opens_an_inquiry_and_is_acknowledged_once(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            raw = signed(message(), key)
            first = await world.send(raw, "query@experts.test")
            again = await world.send(raw, "query@experts.test")
            assert first == again
            (inquiry,) = world.inquiries()
            assert inquiry.title == "A question"
            assert [(o.kind, o.address) for o in world.orders()] == [("acknowledgement", "alex@contoso.test")]
            assert len(world.copies()) == 1
            assert sum(e.kind is EntryKind.MAIL_IN for e in world.timeline(inquiry.id)) == 1

    asyncio.run(scenario())


class Waking(NobodyWatching):
    """Counts how often the delivery would be woken."""

    def __init__(self) -> None:
        self.woken = 0

    def ordered(self) -> None:
        self.woken += 1


def test_the_delivery_is_woken_for_mail_that_orders_an_answer_and_for_no_other(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            watch = world.intake._observer = Waking()
            await world.send(message(author="x@stranger.test"), "query@experts.test", "x@stranger.test")
            await world.send(signed(message(), key), REPLIES.mint(world.incident.id))
            assert (watch.woken, world.orders()) == (0, [])
            await world.send(signed(message(message_id="<m2@contoso.test>"), key), "query@experts.test")
            assert (watch.woken, len(world.orders())) == (1, 1)

    asyncio.run(scenario())


def test_a_colleague_from_a_verified_domain_is_filed_as_not_listed(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            raw = signed(message(author="sam@contoso.test"), key)
            await world.send(raw, REPLIES.mint(world.incident.id))
            entry = next(e for e in world.timeline(world.incident.id) if e.kind is EntryKind.MAIL_IN)
            assert entry.mark is Mark.NOT_LISTED

    asyncio.run(scenario())


def test_a_stranger_goes_to_triage_in_silence(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            raw = signed(message(author="eve@stranger.test"), key, "stranger.test")
            assert (await world.send(raw, "query@experts.test", "eve@stranger.test")).startswith("250")
            (copy,) = world.copies()
            assert copy.disposition is Disposition.TRIAGE
            assert world.inquiries() == ()
            assert world.orders() == []

    asyncio.run(scenario())


def test_a_stranger_with_a_stolen_reply_address_is_held_for_the_expert(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            raw = signed(message(author="eve@stranger.test"), key, "stranger.test")
            await world.send(raw, REPLIES.mint(world.incident.id, world.alex.id), "eve@stranger.test")
            (copy,) = world.copies()
            assert (copy.disposition, copy.thread_id) == (Disposition.HELD, world.incident.id)
            assert all(e.kind is not EntryKind.MAIL_IN for e in world.timeline(world.incident.id))

    asyncio.run(scenario())


def _wrapped(inner: bytes) -> bytes:
    return message(
        "--b\r\nContent-Type: text/plain\r\n\r\nIs this yours?\r\n"
        "--b\r\nContent-Type: message/rfc822\r\n\r\n" + inner.decode() + "\r\n--b--\r\n",
        extra="MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n",
        subject="Fwd: suspicious",
    )


FORGED = message(author='"Defender Experts" <help@attack.test>', subject="Urgent")


def test_a_contacts_forward_to_the_verify_mailbox_is_answered_with_the_verdict(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            reply = await world.send(signed(_wrapped(FORGED), key), "verify@experts.test")
            assert reply.startswith("250")
            (copy,) = world.copies()
            assert copy.disposition is Disposition.ANSWERED
            (order,) = world.orders()
            assert (order.kind, order.address) == ("verdict-report", "alex@contoso.test")
            assert '"verdict_1": "forged"' in order.params
            assert "Urgent" not in order.params

    asyncio.run(scenario())


def test_a_strangers_forward_to_the_verify_mailbox_goes_to_triage_in_silence(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            raw = _wrapped(FORGED).replace(b"alex@contoso.test", b"eve@stranger.test")
            await world.send(signed(raw, key, "stranger.test"), "verify@experts.test", "eve@stranger.test")
            (copy,) = world.copies()
            assert copy.disposition is Disposition.TRIAGE
            assert world.orders() == []

    asyncio.run(scenario())


def test_the_verify_mailbox_refuses_nothing_on_a_verdict(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            reply = await world.send(FORGED, "verify@experts.test", "x@silent.test")
            assert reply.startswith("250")

    asyncio.run(scenario())


def test_imitation_without_any_authentication_is_refused_with_an_rfc_level_reason(
    tmp_path: Path, key: SigningKey
) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            raw = message(author='"Defender Experts" <help@silent.test>')
            reply = await world.send(raw, "query@experts.test", "x@silent.test")
            assert reply == "550 5.7.1 The author domain is not authenticated (RFC 9989)"
            assert world.copies() == ()

    asyncio.run(scenario())


def test_imitation_that_is_authenticated_as_somebody_else_is_held(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            assert (await world.send(FORGED, "query@experts.test", "x@attack.test")).startswith("250")
            (copy,) = world.copies()
            assert (copy.disposition, copy.verdict) == (Disposition.HELD, "forged")

    asyncio.run(scenario())


def test_a_p_reject_failure_alone_is_held_and_not_refused(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            raw = message(author="alex@contoso.test")
            assert (await world.send(raw, "query@experts.test", "x@silent.test")).startswith("250")
            (copy,) = world.copies()
            assert copy.disposition is Disposition.HELD
            assert world.orders() == []

    asyncio.run(scenario())


def test_a_second_from_that_names_a_protected_sender_is_refused(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            raw = b"From: defender-experts@experts.test\r\n" + message(author="x@attack.test")
            reply = await world.send(raw, "query@experts.test", "x@attack.test")
            assert reply.startswith("550 5.7.1 The From field")

    asyncio.run(scenario())


def test_an_authenticated_contact_is_filed_whatever_the_display_name(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            raw = signed(message(author='"Defender Experts" <alex@contoso.test>'), key)
            await world.send(raw, REPLIES.mint(world.incident.id))
            (copy,) = world.copies()
            assert copy.disposition is Disposition.FILED

    asyncio.run(scenario())


def test_out_of_office_is_filed_without_changing_the_state(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            with world.database.writing() as conn:
                store.set_state(conn, world.incident.id, State.AWAITING_CUSTOMER, now(), actor="ana")
            raw = signed(message("I am away.\r\n", extra="Auto-Submitted: auto-replied\r\n"), key)
            await world.send(raw, REPLIES.mint(world.incident.id), "")
            (copy,) = world.copies()
            assert (copy.disposition, copy.kind) == (Disposition.FILED, "auto-reply")
            assert world.thread(world.incident.id).state is State.AWAITING_CUSTOMER
            assert world.orders() == []

    asyncio.run(scenario())


def test_nothing_automatic_is_ever_acknowledged(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            for number, (extra, mail_from) in enumerate(
                [
                    ("Auto-Submitted: auto-generated\r\n", "alex@contoso.test"),
                    ("List-Id: <l.contoso.test>\r\n", "alex@contoso.test"),
                    ("Precedence: bulk\r\n", "alex@contoso.test"),
                    ("X-Auto-Response-Suppress: All\r\n", "alex@contoso.test"),
                    ("", ""),
                ]
            ):
                raw = signed(message(extra=extra, message_id=f"<{number}@contoso.test>"), key)
                assert (await world.send(raw, "query@experts.test", mail_from)).startswith("250")
            assert world.orders() == []

    asyncio.run(scenario())


def test_the_same_bytes_from_a_better_session_re_file_the_first(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            raw = message()  # unsigned: only the session can authenticate it
            honest = world.resolver.zone
            world.resolver.zone = read_zone("contoso.test. 300 IN SOA a. b. 1 1 1 1 1\n")
            first = await world.send(raw, "query@experts.test")
            assert world.copies()[0].disposition is Disposition.HELD
            world.resolver.zone = honest
            second = await world.send(raw, "query@experts.test")
            assert first == second
            (copy,) = world.copies()
            assert copy.disposition is Disposition.FILED
            assert len(world.inquiries()) == 1
            assert len(world.orders()) == 1

    asyncio.run(scenario())


def test_two_addresses_of_ours_on_one_message_make_one_entry(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            both = [REPLIES.mint(world.incident.id), "query@experts.test"]
            assert (await world.send(signed(message(), key), both)).startswith("250")
            mails = [e for e in world.timeline(world.incident.id) if e.kind is EntryKind.MAIL_IN]
            assert len(mails) == 1
            assert world.inquiries() == ()

    asyncio.run(scenario())


def test_mail_for_postmaster_and_abuse_is_taken_whoever_sends_it(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            for rcpt in (
                "postmaster",
                "PostMaster@experts.test",
                "abuse@Experts.Test",
                "postmaster@reply.experts.test",
            ):
                raw = message(author="not an address", message_id=f"<{rcpt}@x.test>")
                assert (await world.send(raw, rcpt, "")).startswith("250"), rcpt
            assert {c.disposition for c in world.copies()} == {Disposition.TRIAGE}

    asyncio.run(scenario())


def test_a_loop_is_refused(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world:
            hops = b"Received: from a by b; Wed, 25 Nov 2026 12:00:00 +0000\r\n"
            assert (await world.send(hops * 51 + message(), "query@experts.test")).startswith("554 5.4.6")
            assert (await world.send(hops * 50 + message(), "query@experts.test")).startswith("250")

    asyncio.run(scenario())


def test_a_dead_resolver_holds_by_default_and_defers_where_the_route_says_so(
    tmp_path: Path, key: SigningKey
) -> None:
    class Dead:
        async def ask(self, questions, *_within):
            return {question: Answer(AnswerStatus.TIMEOUT) for question in questions}

    async def scenario() -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        async with whole_gateway(tmp_path / "a", key, resolver=Dead()) as world:
            assert (await world.send(signed(message(), key), "query@experts.test")).startswith("250")
            (copy,) = world.copies()
            assert (copy.disposition, copy.verdict) == (Disposition.HELD, "no-claim")
        defer = RoutePolicy(on_temperror=Action.DEFER)
        async with whole_gateway(tmp_path / "b", key, resolver=Dead(), policy=defer) as world:
            assert (await world.send(signed(message(), key), "query@experts.test")).startswith("451 4.4.3")
            assert (await world.send(signed(message(), key), "verify@experts.test")).startswith("250")

    asyncio.run(scenario())


def test_every_message_of_one_connection_gets_its_own_answer(tmp_path: Path, key: SigningKey) -> None:
    async def scenario() -> None:
        async with whole_gateway(tmp_path, key) as world, client(world.server.port) as talk:
            await talk.ehlo()
            ids = set()
            for number in range(3):
                await talk.ask("MAIL FROM:<alex@contoso.test>")
                await talk.ask("RCPT TO:<query@experts.test>")
                await talk.ask("DATA")
                ids.add(await talk.data(message(message_id=f"<{number}@contoso.test>")))
            assert len(ids) == 3
            assert len(world.copies()) == 3

    asyncio.run(scenario())
