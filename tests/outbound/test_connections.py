"""One connection for several mails: what may share it, what ends it, and what a fault on it does to whom."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path

import pytest

from outbound import connections
from outbound.delivery import Server as Host
from outbound.delivery import Timeouts, Tls, hand_over, smarthost
from outbound.model import Failure, TlsLevel
from outbound.mx import MxTransport
from outbound.tls_policy import TlsPolicy
from tests.outbound.test_delivery import mail
from tests.outbound.test_delivery_steps import HOST, good  # noqa: F401 -- a fixture
from verifier.evidence import Answer, AnswerStatus

IMPATIENT = Timeouts(connect=2.0, command=0.5, data=0.5, quit=0.2)
FIRST, SECOND, THIRD = (
    replace(
        mail(f"From: a@experts.test\r\n\r\n{n}\r\n".encode()), outgoing_id=n, message_id=f"{n}@experts.test"
    )
    for n in (1, 2, 3)
)


class Server:
    """Takes mail, and does what it is told at one step: ``faults`` are by connection, step and number of the mail there."""

    def __init__(self, faults=None, *, extensions=(), context=None):
        self.faults = faults or {}
        self.extensions = extensions
        self.context = context
        self.taken = []
        self.said = []  # for each connection what the client said on it
        self.talks = set()
        self.writers = []

    @contextlib.asynccontextmanager
    async def listening(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await asyncio.wait_for(asyncio.gather(*self.talks), 5)
            await server.wait_closed()

    async def _serve(self, reader, writer):
        self.talks.add(asyncio.current_task())
        self.writers.append(writer)
        number, commands = len(self.said), []
        self.said.append(commands)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._talk(reader, writer, number, commands)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def _talk(self, reader, writer, number, commands):
        mails, secure = 0, False
        writer.write(b"220 hi\r\n")
        while command := await reader.readline():
            verb = command.split()[0].decode().upper()
            commands.append(verb)
            mails += verb == "MAIL"
            offered = [
                f"250-{one}\r\n"
                for one in (*self.extensions, *(["STARTTLS"] if self.context and not secure else []))
            ]
            usual = {
                "EHLO": f"250-mx\r\n{''.join(offered)}250 8BITMIME",
                "DATA": "354 go",
                "STARTTLS": "220 go",
                "QUIT": "221 bye",
            }
            answer = await self._answer(reader, (number, verb, mails), usual.get(verb, "250 ok"))
            writer.write(answer)
            if verb == "DATA" and answer.startswith(b"354"):
                raw = await reader.readuntil(b"\r\n.\r\n")
                self.taken.append((number, raw[:-3]))
                writer.write(await self._answer(reader, (number, "dot", mails), "250 2.0.0 taken"))
            await writer.drain()
            if verb == "STARTTLS":
                await writer.start_tls(self.context)
                secure = True

    async def _answer(self, reader, at, usual):
        fault = self.faults.get(at, usual)
        if fault == "slow":
            await reader.read()  # until the client has given up
        if fault in ("drop", "slow"):
            raise ConnectionError
        return f"{fault}\r\n".encode()


def delivered(server, *mails, between=None, tls=Tls.NONE):
    """Hand the mails over, one after the other, by one transport."""

    async def scenario():
        async with server.listening() as port:
            transport = smarthost("127.0.0.1", port, tls=tls, hostname="mx.experts.test", timeouts=IMPATIENT)
            done = []
            for one in mails:
                done.append(await transport.deliver(one))
                if between is not None:
                    await between(transport)
            await transport.close()
            assert len(transport.connections) == 0
        return done

    return asyncio.run(scenario())


@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)])
def test_mails_that_follow_each_other_share_a_connection_and_each_has_its_own_transcript(extensions):
    server = Server(extensions=extensions)
    done = delivered(server, FIRST, SECOND, THIRD)
    assert [one.failure for one in done] == [None] * 3
    assert server.taken == [(0, FIRST.raw), (0, SECOND.raw), (0, THIRD.raw)]
    assert server.said == [["EHLO", *["MAIL", "RCPT", "DATA"] * 3, "QUIT"]]
    assert "> EHLO" in done[0].transcript
    for one in done[1:]:
        lines = one.transcript.splitlines()
        assert lines[0].startswith("-- 127.0.0.1 [127.0.0.1]:")
        assert lines[0].endswith(", open since an earlier mail")
        assert lines[1] == "> MAIL FROM:<r+x@reply.experts.test>"
        assert lines[-1] == "< 250 2.0.0 taken"


def test_mails_at_the_same_time_have_a_connection_each():
    server = Server()

    async def scenario():
        async with server.listening() as port:
            transport = smarthost("127.0.0.1", port, tls=Tls.NONE, hostname="x.test", timeouts=IMPATIENT)
            await asyncio.gather(*map(transport.deliver, (FIRST, SECOND)))
            assert len(transport.connections) == 2
            await transport.close()

    asyncio.run(scenario())
    assert sorted(number for number, _ in server.taken) == [0, 1]


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "dot"])
@pytest.mark.parametrize("answer", ["451 4.3.0 later", "550 5.7.1 no"])
@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)])
def test_a_refused_mail_leaves_the_connection_to_the_next_after_a_reset(step, answer, extensions):
    faults = {(0, step, 1): answer}
    if extensions and step in ("MAIL", "RCPT"):
        faults[0, "DATA", 1] = "554 5.5.1 no valid recipients"
    server = Server(faults, extensions=extensions)
    refused, taken = delivered(server, FIRST, SECOND)
    assert refused.failure in (Failure.REFUSED, Failure.REFUSED_FOR_NOW)
    assert refused.reply.code == int(answer[:3])
    assert not refused.in_doubt
    assert taken.failure is None
    assert [raw for _, raw in server.taken if raw == SECOND.raw] == [SECOND.raw]
    (said,) = server.said
    assert said.count("RSET") == 1
    assert "> RSET" in taken.transcript


def test_a_server_that_waits_for_the_text_of_a_refused_mail_gets_none():
    server = Server({(0, "RCPT", 1): "550 5.1.1 nobody"}, extensions=("PIPELINING",))
    refused, taken = delivered(server, FIRST, SECOND)
    assert (refused.failure, refused.reply.text) == (Failure.REFUSED, "5.1.1 nobody")
    assert taken.failure is None
    assert server.taken == [(1, SECOND.raw)]  # on another connection


@pytest.mark.parametrize(
    "fault", ["drop", "slow", "421 4.3.2 too many mails", "452 4.5.3 enough", "550 5.7.0 enough", "what"]
)
@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)])
def test_a_server_that_has_had_enough_of_a_connection_gets_the_mail_on_a_new_one(fault, extensions):
    server = Server({(0, "MAIL", 2): fault}, extensions=extensions)
    done = delivered(server, FIRST, SECOND)
    assert [one.failure for one in done] == [None, None]
    assert server.taken == [(0, FIRST.raw), (1, SECOND.raw)]
    assert done[1].transcript.count("-- 127.0.0.1 [127.0.0.1]") == 2


@pytest.mark.parametrize(("step", "in_doubt"), [("RCPT", False), ("DATA", False), ("dot", True)])
@pytest.mark.parametrize(("fault", "failure"), [("drop", Failure.CONNECTION), ("slow", Failure.TIMEOUT)])
def test_a_connection_that_breaks_within_a_mail_harms_that_mail_alone(step, in_doubt, fault, failure):
    server = Server({(0, step, 2): fault})
    first, broken, third = delivered(server, FIRST, SECOND, THIRD)
    assert (first.failure, third.failure) == (None, None)
    assert (broken.failure, broken.begun, broken.in_doubt) == (failure, True, in_doubt)
    assert [one for one in server.taken if one[1] != SECOND.raw] == [(0, FIRST.raw), (1, THIRD.raw)]
    assert len(server.taken) == (3 if step == "dot" else 2)  # the mail at hand is not sent again by itself


@pytest.mark.parametrize("parting", [b"421 4.4.2 timeout\r\n", None])
def test_a_connection_on_which_the_server_has_parted_meanwhile_is_not_used(parting):
    server = Server()

    async def part(_transport):
        if len(server.said) == 1:
            (writer,) = server.writers
            writer.write(parting) if parting else writer.close()
        await asyncio.sleep(0.05)

    done = delivered(server, FIRST, SECOND, between=part)
    assert [one.failure for one in done] == [None, None]
    assert server.taken == [(0, FIRST.raw), (1, SECOND.raw)]
    assert "open since" not in done[1].transcript


def test_a_connection_ends_after_its_share_of_mails_of_time_and_of_waiting(monkeypatch):
    monkeypatch.setattr(connections, "MAX_MAILS", 2)
    server = Server()
    delivered(server, *[FIRST] * 5)
    assert [said.count("MAIL") for said in server.said] == [2, 2, 1]
    assert {said[-1] for said in server.said} == {"QUIT"}

    monkeypatch.setattr(connections, "MAX_SECONDS", 0.0)
    server = Server()
    delivered(server, FIRST, SECOND)
    assert [said.count("MAIL") for said in server.said] == [1, 1]

    monkeypatch.setattr(connections, "MAX_SECONDS", 300.0)
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.02)

    async def wait(transport):
        await asyncio.sleep(0.2)
        assert len(transport.connections) == 0

    server = Server()
    delivered(server, FIRST, SECOND, between=wait)
    assert [said[-1] for said in server.said] == ["QUIT", "QUIT"]


def test_mail_never_goes_over_a_connection_that_was_made_under_another_tls_policy(good):  # noqa: F811
    """Four mails to one exchanger under three policies: each on a connection of its own kind, by its own rules."""
    context, authorities = good
    server = Server(context=context)
    safe = replace(SECOND, rcpt_to="bob@safe.test")
    details = replace(THIRD, needs_tls=True)

    async def ask(questions):
        table = {
            (f"{HOST}.", "A"): ("127.0.0.1",),
            ("contoso.test.", "MX"): (f"10 {HOST}.",),
            ("safe.test.", "MX"): (f"10 {HOST}.",),
        }
        found = {q: table.get((q.name, q.type)) for q in questions}
        return {
            q: Answer(AnswerStatus.ANSWER, one) if one else Answer(AnswerStatus.NODATA)
            for q, one in found.items()
        }

    async def scenario():
        async with server.listening() as port:
            transport = MxTransport(
                ask, "mx.experts.test", port, private_networks=True, timeouts=IMPATIENT, cert_bundle=authorities,
                policy=TlsPolicy(required_domains=frozenset({"safe.test"})),
            )  # fmt: skip
            done = [await transport.deliver(one) for one in (FIRST, safe, details, FIRST, safe, details)]
            await transport.close()
        return done

    done = asyncio.run(scenario())
    assert [one.failure for one in done] == [None] * 6
    assert [one.protection.level for one in done] == [
        TlsLevel.ENCRYPTED,
        TlsLevel.VERIFIED,
        TlsLevel.VERIFIED,
    ] * 2
    assert [number for number, _ in server.taken] == [0, 1, 2, 0, 1, 2]
    for one in done[3:]:
        assert (
            one.transcript.splitlines()[1]
            == f"-- {one.protection.level.value}, {one.protection.version} {one.protection.cipher}"
        )


def test_an_address_cannot_smuggle_a_command_in():
    server = Server(extensions=("PIPELINING",))
    (done,) = delivered(server, replace(FIRST, rcpt_to="a@b.test>\r\nRCPT TO:<eve@evil.test"))
    assert done.failure is not None
    assert server.taken == []
    assert server.said[0].count("RCPT") == 0


OUT_OF_TURN = [
    *[(step, f"{code} what") for step in ("MAIL", "RCPT", "DATA", "dot") for code in ("199", "600", "000")],
    *[(step, "334 what") for step in ("MAIL", "RCPT", "dot")],
    ("DATA", "250 what"),
    ("dot", "220 what"),
]


@pytest.mark.parametrize(("step", "answer"), OUT_OF_TURN)
@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)])
def test_an_answer_that_cannot_be_one_to_the_command_ends_the_connection(step, answer, extensions):
    """Who has lost the other would take the next mail's answers for those of another. To the dot only 250 is good."""
    server = Server({(0, step, 1): answer}, extensions=extensions)
    first, second = delivered(server, FIRST, SECOND)
    assert second.failure is None
    assert "open since" not in second.transcript
    assert (first.failure, first.in_doubt) == (Failure.PROTOCOL, step == "dot")
    assert all(raw in (FIRST.raw, SECOND.raw) for _, raw in server.taken)


@pytest.mark.parametrize(
    ("step", "answers"),
    [
        ("MAIL", "250 ok\r\n250 ok"),
        ("RCPT", "250 ok\r\n250 ok"),
        ("RCPT", "250 ok\r\n354 go\r\n250 taken"),
        ("DATA", "354 go\r\n250 taken"),
        ("DATA", "354 go\r\n421 4.3.2 shutting down"),
    ],
)
@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)])
def test_a_mail_is_not_sent_to_a_server_that_says_more_than_it_was_asked(step, answers, extensions):
    """What was said before the dot is no answer to it."""
    server = Server({(0, step, 1): answers}, extensions=extensions)
    first, second = delivered(server, FIRST, SECOND)
    assert (first.failure, first.in_doubt) == (Failure.PROTOCOL, False)
    assert second.failure is None
    assert server.taken == [(1, SECOND.raw)]


@pytest.mark.parametrize("step", ["MAIL", "RCPT"])
@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)])
def test_the_first_digit_of_an_answer_says_what_it_means(step, extensions):
    """RFC 5321 4.2.1."""
    server = Server({(0, step, 1): "200 fine"}, extensions=extensions)
    first, second = delivered(server, FIRST, SECOND)
    assert (first.failure, second.failure) == (None, None)
    assert server.taken == [(0, FIRST.raw), (0, SECOND.raw)]


def open_descriptors():
    return len(tuple(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("early", [b"", b"452 4.3.1 full\r\n", b"250 taken\r\n"])
def test_a_server_that_does_not_take_what_is_sent_holds_no_descriptor_of_ours(early):
    large = replace(FIRST, raw=b"From: a@experts.test\r\n\r\n" + (b"x" * 70 + b"\r\n") * 200_000)
    writers = []

    async def serve(reader, writer):
        writers.append(writer)
        writer.write(b"220 hi\r\n")
        while command := await reader.readline():
            if command.startswith(b"DATA"):
                writer.transport.pause_reading()
                writer.write(b"354 go\r\n")
                await asyncio.sleep(0.1)
                writer.write(early)
                return
            writer.write(b"250 ok\r\n")

    async def scenario():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        transport = smarthost("127.0.0.1", port, tls=Tls.NONE, hostname="x.test", timeouts=IMPATIENT)
        before = open_descriptors()
        for _ in range(3):
            await transport.deliver(large)
        await transport.close()
        await asyncio.sleep(0.1)
        assert open_descriptors() - before == len(writers), "what is left are the server's ends"
        for writer in writers:
            writer.transport.abort()
        server.close()

    asyncio.run(scenario())
    assert writers


def test_no_more_than_so_many_wait_and_those_that_waited_longest_go(monkeypatch):
    monkeypatch.setattr(connections, "MAX_IDLE", 2)
    server = Server()

    async def scenario():
        async with server.listening() as port:
            shared = connections.Connections()
            for name in ("a.test", "b.test", "c.test", "a.test", "c.test"):
                to = Host("127.0.0.1", port, Tls.NONE, name)
                await hand_over(FIRST, to, "x.test", IMPATIENT, shared)
                assert len(shared) <= 2
            await shared.close()

    asyncio.run(scenario())
    assert [said.count("MAIL") for said in server.said] == [1, 1, 2, 1]
    assert {said[-1] for said in server.said} == {"QUIT"}
