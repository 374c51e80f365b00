"""SMTP dialogues over real sockets, octet by octet."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import time
from pathlib import Path

import pytest

from smtp_gateway import replies
from smtp_gateway.connection import plain_address
from smtp_gateway.envelope import Envelope
from smtp_gateway.gateway_settings import Limits, tls_context
from smtp_gateway.replies import SmtpReply
from smtp_gateway.server import ListenError
from tests.smtp_gateway.test_data_reader import SMALL, SMALL_RAW, SMUGGLING
from tests.smtp_gateway.world import REPLIES, bare_gateway, client, message

GREETING = b"EHLO me.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<query@experts.test>\r\nDATA\r\n"


def test_a_dialogue_as_the_rfc_has_it() -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, got), client(server.port) as talk:
            ehlo = await talk.ehlo()
            offered = {line[4:].split()[0] for line in ehlo.splitlines()[1:]}
            assert offered == {"SIZE", "8BITMIME", "PIPELINING", "CHUNKING", "SMTPUTF8", "ENHANCEDSTATUSCODES"}
            await talk.ask("MAIL FROM:<a@b.test> SIZE=10 BODY=8BITMIME")
            await talk.ask("RCPT TO:<query@experts.test>")
            assert await talk.ask("DATA") == "354 End data with <CR><LF>.<CR><LF>"
            raw = "Subject: x\r\n\r\nGrüße\r\n.dots\r\n".encode()
            reply = await talk.data(raw)
            (envelope,) = got
            assert reply == f"250 2.0.0 OK {envelope.id}"
            assert envelope.raw == raw
            assert len(envelope.id) == 26
            assert await talk.ask("QUIT") == "221 2.0.0 Bye"
            assert await talk.rest() == b""

    asyncio.run(scenario())


def test_a_message_cut_at_every_place_on_the_wire_arrives_byte_for_byte() -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, got), client(server.port) as talk:
            await talk.ehlo()
            wire = SMALL.removesuffix(b"MAIL FROM:<>\r\n")
            for cut in range(1, len(wire)):
                await talk.ask("MAIL FROM:<a@b.test>")
                await talk.ask("RCPT TO:<query@experts.test>")
                await talk.ask("DATA")
                talk.send(wire[:cut])
                await asyncio.sleep(0.001)
                talk.send(wire[cut:])
                assert (await talk.reply()).startswith("250"), cut
            assert {envelope.raw for envelope in got} == {SMALL_RAW}

    asyncio.run(scenario())


def test_pipelined_commands_behind_the_dot_are_answered_in_order() -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, got), client(server.port) as talk:
            talk.send(
                GREETING
                + b"one\r\n.\r\n"
                + b"MAIL FROM:<>\r\nRCPT TO:<nobody@experts.test>\r\nRCPT TO:<query@experts.test>\r\nDATA\r\n"
                + b"two\r\n.\r\nNOOP\r\nQUIT\r\n"
            )
            codes = [line[:3] for line in (await talk.rest()).decode().splitlines() if line[3:4] != "-"]
            assert codes == [
                "250",
                "250",
                "250",
                "354",
                "250",
                "250",
                "550",
                "250",
                "354",
                "250",
                "250",
                "221",
            ]
            assert [envelope.raw for envelope in got] == [b"one\r\n", b"two\r\n"]

    asyncio.run(scenario())


@pytest.mark.parametrize("ending", [e for e in SMUGGLING if e != b"\x85.\x85"])
def test_a_smuggled_ending_makes_one_refused_message_and_no_second(ending: bytes) -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, got), client(server.port) as talk:
            await talk.begin()
            smuggled = b"MAIL FROM:<evil@attack.test>\r\nRCPT TO:<query@experts.test>\r\nDATA\r\nevil\r\n"
            talk.send(b"Subject: a\r\n\r\nhello" + ending + smuggled + b".\r\n")
            assert (await talk.reply()).startswith("550 5.6.0")
            assert (await talk.ask("NOOP")).startswith("250")
            assert got == []

    asyncio.run(scenario())


def test_too_large_is_told_at_mail_and_after_data_and_the_session_goes_on() -> None:
    async def scenario() -> None:
        async with (
            bare_gateway(limits=Limits(message_bytes=100_000)) as (server, got),
            client(server.port) as talk,
        ):
            await talk.ehlo()
            assert (await talk.ask("MAIL FROM:<a@b.test> SIZE=100001")).startswith("552 5.3.4")
            await talk.begin()
            assert (await talk.data(b"x" * 150_000 + b"\r\n")).startswith("552 5.3.4")
            await talk.begin()
            assert (await talk.data(b"small\r\n")).startswith("250")
            assert len(got) == 1

    asyncio.run(scenario())


def test_an_endless_line_is_cut_without_growing_memory() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    async def scenario() -> None:
        async with (
            bare_gateway(limits=Limits(message_bytes=1_000_000)) as (server, got),
            client(server.port) as talk,
        ):
            await talk.begin()
            before = resident()
            block = b"x" * 100_000
            try:
                for _ in range(2_000):
                    talk.send(block)
                    await asyncio.wait_for(talk.writer.drain(), 5)
            except ConnectionError:
                pass
            assert resident() - before < 60_000_000
            assert got == []

    asyncio.run(scenario())


def test_a_body_line_longer_than_the_rfc_allows_is_taken_within_the_cap() -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, got), client(server.port) as talk:
            await talk.begin()
            raw = b"Subject: x\r\n\r\n" + b"y" * 300_000 + b"\r\n"
            assert (await talk.data(raw)).startswith("250")
            assert got[0].raw == raw

    asyncio.run(scenario())


def test_a_half_close_right_after_the_dot_neither_cancels_the_commit_nor_its_answer() -> None:
    committed = asyncio.Event()

    async def slow(envelope: Envelope) -> SmtpReply:
        await asyncio.sleep(0.2)
        committed.set()
        return replies.accepted(envelope.id)

    async def scenario() -> None:
        async with bare_gateway(slow) as (server, _), client(server.port) as talk:
            await talk.begin()
            talk.send(b"x\r\n.\r\n")
            talk.writer.write_eof()
            assert (await talk.rest()).startswith(b"250 2.0.0 OK")
            assert committed.is_set()

    asyncio.run(scenario())


def test_a_client_that_vanishes_right_after_the_dot_has_its_message_stored() -> None:
    committed = asyncio.Event()

    async def slow(envelope: Envelope) -> SmtpReply:
        await asyncio.sleep(0.2)
        committed.set()
        return replies.accepted(envelope.id)

    async def scenario() -> None:
        async with bare_gateway(slow) as (server, _):
            async with client(server.port) as talk:
                await talk.begin()
                talk.send(b"x\r\n.\r\n")
                await talk.writer.drain()
                await asyncio.sleep(0.05)
                talk.writer.transport.abort()
            await asyncio.wait_for(committed.wait(), 5)

    asyncio.run(scenario())


def test_a_message_without_its_end_is_never_taken() -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, got), client(server.port) as talk:
            await talk.begin()
            talk.send(b"half of it\r\n")
            talk.writer.write_eof()
            assert await talk.rest() == b""
            assert got == []

    asyncio.run(scenario())


def test_a_fault_of_ours_is_a_451_that_says_nothing_and_the_session_goes_on() -> None:
    async def broken(_: Envelope) -> SmtpReply:
        raise RuntimeError("secret: /var/lib/x")

    async def scenario() -> None:
        async with bare_gateway(broken) as (server, got), client(server.port) as talk:
            await talk.begin()
            reply = await talk.data(b"x\r\n")
            assert reply == f"451 4.3.0 Local problem, try again later (reference {got[0].id})"
            await talk.begin()
            assert (await talk.data(b"x\r\n")).startswith("451 4.3.0")

    asyncio.run(scenario())


@pytest.mark.parametrize("fault", [MemoryError("secret"), ValueError("secret"), RecursionError("secret")])
def test_after_a_fault_in_mid_data_nothing_of_the_message_is_read_as_commands(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def broken(*_: object) -> None:
        raise fault

    async def scenario() -> None:
        async with bare_gateway() as (server, got), client(server.port) as talk:
            await talk.begin()
            monkeypatch.setattr("smtp_gateway.message_data.DataReader.feed", broken)
            talk.send(b"x\r\nMAIL FROM:<evil@b.test>\r\nVRFY x\r\n.\r\nNOOP\r\n")
            said = await talk.rest()
            assert said.startswith(b"421 4.3.0 Local problem")
            assert said.count(b"\r\n") == 1
            assert b"secret" not in said
            assert got == []

    asyncio.run(scenario())


def test_work_left_behind_by_clients_that_reset_is_bounded() -> None:
    let_go = asyncio.Event()

    async def slow(envelope: Envelope) -> SmtpReply:
        await let_go.wait()
        return replies.accepted(envelope.id)

    async def scenario() -> None:
        async with bare_gateway(slow, Limits(connections=5)) as (server, got):
            try:
                for _number in range(12):
                    async with client(server.port) as talk:
                        await talk.begin()
                        talk.send(b"x\r\n.\r\n")
                        await talk.writer.drain()
                        await asyncio.sleep(0.03)
                        # No lingering: the connection is reset, and its place is free again.
                        raw = talk.writer.get_extra_info("socket")
                        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        talk.writer.transport.abort()
                    await asyncio.sleep(0.03)
                assert len(got) == 5
                async with client(server.port) as talk:
                    await talk.begin()
                    assert (await talk.data(b"x\r\n")).startswith("452 4.3.1")
            finally:
                let_go.set()
            await asyncio.sleep(0.05)
            async with client(server.port) as talk:
                await talk.begin()
                assert (await talk.data(b"x\r\n")).startswith("250 2.0.0")

    asyncio.run(scenario())


def test_a_fault_at_a_command_is_a_451_and_the_next_mail_works() -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, _), client(server.port) as talk:
            await talk.ehlo()
            await talk.ask("MAIL FROM:<a@b.test>")
            good, server.resolve = server.resolve, None  # type: ignore[method-assign,assignment]
            assert (await talk.ask("RCPT TO:<query@experts.test>")).startswith("451 4.3.0")
            server.resolve = good  # type: ignore[method-assign]
            await talk.begin()
            assert (await talk.data(b"x\r\n")).startswith("250")

    asyncio.run(scenario())


def test_a_slow_but_living_sender_is_not_cut_and_an_idle_one_is_told_421() -> None:
    async def scenario() -> None:
        async with bare_gateway(limits=Limits(idle_seconds=0.4, data_idle_seconds=0.4)) as (server, got):
            async with client(server.port) as talk:
                await talk.begin()
                for _ in range(10):
                    talk.send(b"x\r\n")
                    await asyncio.sleep(0.1)
                talk.send(b".\r\n")
                assert (await talk.reply()).startswith("250")
                assert len(got) == 1
                assert (await talk.reply()).startswith("421 4.4.2")
                assert await talk.rest() == b""
            async with client(server.port) as talk:
                await talk.begin()
                talk.send(b"x\r\n")
                assert (await talk.reply()).startswith("421 4.4.2")

    asyncio.run(scenario())


def test_slow_storing_is_not_taken_for_an_idle_client() -> None:
    async def slow(envelope: Envelope) -> SmtpReply:
        await asyncio.sleep(0.5)
        return replies.accepted(envelope.id)

    async def scenario() -> None:
        async with bare_gateway(slow, Limits(idle_seconds=0.2)) as (server, _), client(server.port) as talk:
            await talk.begin()
            assert (await talk.data(b"x\r\n")).startswith("250")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("rcpt", "reply"),
    [
        ("query@experts.test", "250 2.1.5"),
        ("QUERY+case-7@Experts.TEST", "250 2.1.5"),
        (REPLIES.mint(1, 1), "250 2.1.5"),
        (REPLIES.mint(1, 1).upper(), "250 2.1.5"),
        ("r+" + "a" * 32 + "@reply.experts.test", "550 5.1.1"),
        ("anybody@reply.experts.test", "550 5.1.1"),
        ("nobody@experts.test", "550 5.1.1"),
        ("postmaster@experts.test", "250 2.1.5"),
        ("Abuse@experts.test", "250 2.1.5"),
        ("PostMaster", "250 2.1.5"),
        ("query@other.test", "550 5.7.1"),
        ("query@sub.experts.test", "550 5.7.1"),
        ("a%other.test@experts.test", "550 5.1.1"),
        ("other.test!a@experts.test", "550 5.1.1"),
    ],
)
def test_recipients_are_resolved_at_rcpt(rcpt: str, reply: str) -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, _), client(server.port) as talk:
            await talk.ehlo()
            await talk.ask("MAIL FROM:<a@b.test>")
            assert (await talk.ask(f"RCPT TO:<{rcpt}>")).startswith(reply)

    asyncio.run(scenario())


def test_another_policy_class_has_to_come_in_a_copy_of_its_own() -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, _), client(server.port) as talk:
            await talk.ehlo()
            await talk.ask("MAIL FROM:<a@b.test>")
            assert (await talk.ask("RCPT TO:<query@experts.test>")).startswith("250")
            assert (await talk.ask("RCPT TO:<service@experts.test>")).startswith("250")
            assert (await talk.ask("RCPT TO:<verify@experts.test>")).startswith("452 4.5.3")
            assert (await talk.ask("RCPT TO:<abuse@experts.test>")).startswith("452 4.5.3")

    asyncio.run(scenario())


def test_the_101st_recipient_is_452() -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, _), client(server.port) as talk:
            await talk.ehlo()
            await talk.ask("MAIL FROM:<a@b.test>")
            for number in range(100):
                assert (await talk.ask(f"RCPT TO:<query+{number}@experts.test>")).startswith("250")
            assert (await talk.ask("RCPT TO:<query+x@experts.test>")).startswith("452 4.5.3")
            assert (await talk.ask("RCPT TO:<query+1@experts.test>")).startswith("250")  # known already

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("commands", "reply"),
    [
        (["MAIL FROM:<a@b.test>"], "503"),
        (["EHLO x", "RCPT TO:<query@experts.test>"], "503"),
        (["EHLO x", "DATA"], "503"),
        (["EHLO x", "MAIL FROM:<a@b.test>", "DATA"], "503"),
        (["EHLO x", "MAIL FROM:<a@b.test>", "RCPT TO:<no@experts.test>", "DATA"], "554"),
        (["EHLO x", "MAIL FROM:<a@b.test>", "MAIL FROM:<a@b.test>"], "503"),
        (["EHLO x", "MAIL FROM:<a@b.test>", "RSET", "MAIL FROM:<a@b.test>"], "250"),
        (["EHLO x", "MAIL FROM:<a@b.test>", "EHLO y", "MAIL FROM:<a@b.test>"], "250"),
        (["EHLO"], "501"),
        (["EHLO a b"], "501"),
        (["HELO x"], "250"),
        (["VRFY root"], "252"),
        (["EXPN list"], "502"),
        (["HELP"], "214"),
        (["NOOP x"], "250"),
        (["RSET x"], "501"),
        (["QUIT now"], "501"),
        (["AUTH PLAIN AAAA"], "502 5.5.1"),
        (["BDAT 0 LAST"], "503"),
        (["STARTTLS"], "502"),
        (["XYZZY"], "500"),
        ([""], "500"),
        (["E\u00e9LO x"], "500"),
    ],
)
def test_commands_out_of_order_or_unknown(commands: list[str], reply: str) -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, _), client(server.port) as talk:
            answer = ""
            for command in commands:
                answer = await talk.ask(command)
            assert answer.startswith(reply)

    asyncio.run(scenario())


def test_a_long_command_line_is_500_and_one_without_end_is_cut() -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, _):
            async with client(server.port) as talk:
                assert (await talk.ask("NOOP " + "x" * 3_000)).startswith("500 5.5.2")
                assert (await talk.ask("NOOP")).startswith("250")
            async with client(server.port) as talk:
                talk.send(b"x" * 200_000)
                assert (await talk.reply()).startswith("421")

    asyncio.run(scenario())


def test_a_command_line_with_a_bare_lf_is_never_carried_out() -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, _), client(server.port) as talk:
            talk.send(b"EHLO x\nMAIL FROM:<evil@attack.test>\r\n")
            answer = (await talk.rest()).decode()
            assert answer.startswith("421")
            assert answer.count("\r\n") == 1

    asyncio.run(scenario())


def test_too_many_errors_and_too_much_chatter_end_the_session() -> None:
    async def scenario() -> None:
        async with bare_gateway(limits=Limits(errors=3, idle_commands=5)) as (server, _):
            async with client(server.port) as talk:
                answers = [await talk.ask("XYZZY") for _ in range(4)]
                assert answers[-1].startswith("421 4.7.0")
            async with client(server.port) as talk:
                answers = [await talk.ask("NOOP") for _ in range(6)]
                assert answers[-1].startswith("421 4.7.0")

    asyncio.run(scenario())


RCPT = "RCPT TO:<query@experts.test>"


@pytest.mark.parametrize(
    "cycle",
    [
        ["NOOP"],
        ["RSET"],
        ["HELP"],
        ["VRFY alex"],
        ["EXPN list"],
        ["EHLO again.test"],
        ["HELO again.test"],
        ["EHLO"],
        ["STARTTLS"],
        ["XYZZY"],
        [""],
        ["AUTH PLAIN AAA="],
        ["DATA"],
        ["DATA now"],
        ["QUIT now"],
        ["RCPT TO:<nobody@elsewhere.test>"],
        ["RCPT TO:<no such path"],
        ["MAIL FROM:<a@contoso.test>"],
        ["MAIL FROM:<a@contoso.test> SIZE=99999999999"],
        ["MAIL FROM:<a@contoso.test>", "RSET"],
        ["MAIL FROM:<a@contoso.test>", "EHLO again.test"],
        ["MAIL FROM:<a@contoso.test>", RCPT, "RSET"],
        [RCPT],  # once new, then a repetition
    ],
)
@pytest.mark.parametrize("begun", [False, True])
def test_no_command_can_be_repeated_for_ever(cycle: list[str], begun: bool) -> None:
    async def scenario() -> None:
        limits = Limits(errors=10_000, idle_commands=30)
        async with bare_gateway(limits=limits) as (server, _), client(server.port) as talk:
            await talk.ehlo()
            if begun:
                await talk.ask("MAIL FROM:<a@contoso.test>")
            for number in range(100):
                answer = await talk.ask(cycle[number % len(cycle)])
                if answer.startswith("421 4.7.0"):
                    return
            raise AssertionError("a hundred commands and no end")

    asyncio.run(scenario())


def test_recipients_beyond_the_cap_never_cost_the_message_until_nobody_sends_so_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("smtp_gateway.commands.SURPLUS_RECIPIENTS", 300)

    async def scenario() -> None:
        limits = Limits(recipients=2, idle_commands=10)
        async with bare_gateway(limits=limits) as (server, got), client(server.port) as talk:
            await talk.ehlo()
            await talk.ask("MAIL FROM:<a@contoso.test>")
            for number in range(300):
                answer = await talk.ask(f"RCPT TO:<query+{number}@experts.test>")
                assert answer[:3] == ("250" if number < 2 else "452")
            assert (await talk.ask("DATA")).startswith("354")
            assert (await talk.data(b"Subject: x\r\n\r\nx\r\n")).startswith("250")
            assert len(got[0].recipients) == 2
            await talk.ask("MAIL FROM:<a@contoso.test>")
            for number in range(320):
                answer = await talk.ask(f"RCPT TO:<query+{number}@experts.test>")
                if answer.startswith("421 4.7.0"):
                    break
            assert number > 300

    asyncio.run(scenario())


def test_many_messages_of_many_recipients_pass_on_one_connection() -> None:
    async def scenario() -> None:
        async with bare_gateway(limits=Limits(idle_commands=10)) as (server, got):
            async with client(server.port) as talk:
                await talk.ehlo()
                for _ in range(20):
                    await talk.ask("MAIL FROM:<a@contoso.test>")
                    for name in ("query", "postmaster", "abuse"):
                        await talk.ask(f"RCPT TO:<{name}@experts.test>")
                    assert (await talk.ask("DATA")).startswith("354")
                    assert (await talk.data(b"Subject: x\r\n\r\nx\r\n")).startswith("250")
            assert len(got) == 20

    asyncio.run(scenario())


def test_connections_beyond_the_cap_hear_421_and_a_free_place_is_used_again() -> None:
    async def scenario() -> None:
        async with bare_gateway(limits=Limits(connections=2)) as (server, _):
            async with client(server.port), client(server.port):
                _, writer = (opened := await asyncio.open_connection("127.0.0.1", server.port))
                assert (await opened[0].readline()).startswith(b"421 4.3.2")
                writer.close()
            await asyncio.sleep(0.05)
            async with client(server.port) as talk:
                assert (await talk.ehlo()).startswith("250")

    asyncio.run(scenario())


def test_messages_beyond_the_memory_for_all_hear_452_and_small_ones_pass() -> None:
    arrived, waiting = asyncio.Event(), asyncio.Event()

    async def slow(envelope: Envelope) -> SmtpReply:
        arrived.set()
        await waiting.wait()
        return replies.accepted(envelope.id)

    async def scenario() -> None:
        async with bare_gateway(slow, Limits(in_flight_bytes=1_500_000)) as (server, _):
            async with (
                client(server.port) as first,
                client(server.port) as second,
                client(server.port) as third,
            ):
                await first.begin()
                held = asyncio.create_task(first.data(b"x" * 1_000_000 + b"\r\n"))
                await arrived.wait()
                await second.begin()
                assert (await second.data(b"x" * 1_000_000 + b"\r\n")).startswith("452 4.3.1")
                await third.begin()
                small = asyncio.create_task(third.data(b"x\r\n"))
                waiting.set()
                assert (await held).startswith("250")
                assert (await small).startswith("250")
                await second.begin()
                assert (await second.data(b"x" * 1_000_000 + b"\r\n")).startswith("250")
            assert (server.memory.taken, server.disk.taken) == (0, 0)

    asyncio.run(scenario())


def test_a_peer_address_is_plain() -> None:
    assert plain_address("::ffff:192.0.2.1") == "192.0.2.1"
    assert plain_address("fe80::1%eth0") == "fe80::1"
    assert plain_address("2001:DB8::1") == "2001:db8::1"


async def _starttls(talk, context: ssl.SSLContext | None = None) -> None:
    context = context or ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    await talk.writer.start_tls(context)


def test_starttls_protects_and_forgets_and_offers_no_auth(certificate: tuple[str, str]) -> None:
    async def scenario() -> None:
        async with bare_gateway(tls=tls_context(*certificate)) as (server, got), client(server.port) as talk:
            assert "STARTTLS" in await talk.ehlo()
            await talk.ask("MAIL FROM:<before@b.test>")
            assert (await talk.ask("STARTTLS")).startswith("220")
            await _starttls(talk)
            assert (await talk.ask("MAIL FROM:<a@b.test>")).startswith("503")
            ehlo = await talk.ehlo()
            assert "STARTTLS" not in ehlo
            assert "AUTH" not in ehlo
            assert (await talk.ask("STARTTLS")).startswith("503")
            await talk.ask("MAIL FROM:<a@b.test> AUTH=<>")
            await talk.ask("RCPT TO:<query@experts.test>")
            await talk.ask("DATA")
            assert (await talk.data(b"x" * 500_000 + b"\r\n")).startswith("250")
            tls = got[0].peer.tls
            assert tls is not None
            assert tls.version in ("TLSv1.2", "TLSv1.3")
            assert (await talk.ask("QUIT")).startswith("221")

    asyncio.run(scenario())


def test_commands_in_plaintext_behind_starttls_are_never_carried_out(certificate: tuple[str, str]) -> None:
    async def scenario() -> None:
        async with bare_gateway(tls=tls_context(*certificate)) as (server, got), client(server.port) as talk:
            await talk.ehlo()
            talk.send(b"STARTTLS\r\nEHLO evil.test\r\nMAIL FROM:<evil@attack.test>\r\n")
            assert (await talk.reply()).startswith("220")
            await _starttls(talk)
            assert (await talk.ask("NOOP")).startswith("250")
            assert (await talk.ask("RCPT TO:<query@experts.test>")).startswith("503")
            assert got == []

    asyncio.run(scenario())


def test_an_old_tls_version_is_refused_and_the_server_lives_on(certificate: tuple[str, str]) -> None:
    async def scenario() -> None:
        async with bare_gateway(tls=tls_context(*certificate)) as (server, _):
            async with client(server.port) as talk:
                await talk.ehlo()
                await talk.ask("STARTTLS")
                talk.send(b"this is no TLS handshake at all\r\n")
                await talk.rest()
            async with client(server.port) as talk:
                assert (await talk.ehlo()).startswith("250")

    asyncio.run(scenario())


def test_tls_sessions_have_a_cap_of_their_own(certificate: tuple[str, str]) -> None:
    async def scenario() -> None:
        limits = Limits(tls_connections=1)
        async with bare_gateway(limits=limits, tls=tls_context(*certificate)) as (server, _):
            async with client(server.port) as first, client(server.port) as second:
                await first.ask("STARTTLS")
                await _starttls(first)
                assert (await second.ask("STARTTLS")).startswith("454 4.7.0")
                assert (await second.ask("NOOP")).startswith("250")
            await asyncio.sleep(0.1)
            async with client(server.port) as third:
                assert (await third.ask("STARTTLS")).startswith("220")
                await _starttls(third)

    asyncio.run(scenario())


def test_a_clean_stop_lets_a_message_end_and_tells_the_idle() -> None:
    async def slow(envelope: Envelope) -> SmtpReply:
        await asyncio.sleep(0.3)
        return replies.accepted(envelope.id)

    async def scenario() -> None:
        async with bare_gateway(slow) as (server, got):
            async with client(server.port) as busy, client(server.port) as idle:
                await busy.begin()
                busy.send(b"x\r\n.\r\n")
                await asyncio.sleep(0.05)
                stopping = asyncio.create_task(server.stop())
                assert (await idle.reply()).startswith("421 4.3.2")
                assert (await busy.reply()).startswith("250")
                assert (await busy.reply()).startswith("421 4.3.2")
                await stopping
            assert len(got) == 1

    asyncio.run(scenario())


def test_a_port_in_use_is_one_clear_sentence() -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, _):
            from smtp_gateway.gateway_settings import GatewaySettings
            from smtp_gateway.server import GatewayServer

            settings = GatewaySettings("a.test", "a.test", port=server.port)
            second = GatewayServer(settings, server._mailboxes, server._take, server.now)
            with pytest.raises(ListenError, match="the port is in use"):
                await second.start()

    asyncio.run(scenario())


def test_reading_data_is_faster_than_the_line_loop_it_replaces() -> None:
    from aiosmtpd.smtp import SMTP

    class Sink:
        async def handle_DATA(self, *_args):  # noqa: N802 - the library's name
            return "250 OK"

    async def rate(port: int, count: int, raw: bytes) -> float:
        async def one() -> None:
            async with client(port) as talk:
                await talk.ehlo()
                for _ in range(count):
                    talk.send(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<query@experts.test>\r\nDATA\r\n")
                    for _ in range(3):
                        await talk.reader.readline()
                    talk.send(raw)
                    assert (await talk.reader.readline()).startswith(b"250")

        start = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(8)))
        return 8 * count / (time.perf_counter() - start)

    async def scenario() -> None:
        raw = b"Subject: x\r\n\r\n" + (b"y" * 70 + b"\r\n") * 2_800 + b".\r\n"  # 200 KB
        loop = asyncio.get_running_loop()
        old = await loop.create_server(lambda: SMTP(Sink(), loop=loop, hostname="x"), "127.0.0.1", 0)
        theirs = await rate(old.sockets[0].getsockname()[1], 5, raw)
        old.close()
        async with bare_gateway() as (server, _):
            ours = await rate(server.port, 5, raw)
        assert ours > theirs * 1.4

    asyncio.run(scenario())


def test_8_bit_and_utf8_addresses_pass_when_announced() -> None:
    async def scenario() -> None:
        async with bare_gateway() as (server, got), client(server.port) as talk:
            await talk.ehlo()
            assert (await talk.ask("MAIL FROM:<jürgen@bücher.test>")).startswith("501 5.1.7")
            assert (await talk.ask("MAIL FROM:<jürgen@bücher.test> SMTPUTF8")).startswith("250")
            await talk.ask("RCPT TO:<query@experts.test>")
            await talk.ask("DATA")
            assert (await talk.data(message())).startswith("250")
            assert str(got[0].mail_from) == "jürgen@xn--bcher-kva.test"

    asyncio.run(scenario())
