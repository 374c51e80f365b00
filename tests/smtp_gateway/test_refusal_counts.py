"""Every refusal is counted once: by its code and stage, unless it is the answer to a message that was judged."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from smtp_gateway import replies
from smtp_gateway.envelope import Envelope
from smtp_gateway.gateway_settings import Limits
from smtp_gateway.observer import NobodyWatching
from smtp_gateway.replies import SmtpRefusal, SmtpReply
from smtp_gateway.server import GatewayServer
from tests.smtp_gateway.world import Talk, bare_gateway, client

BEGUN = "EHLO a.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<query@experts.test>\r\n"
END = "\r\n.\r\nQUIT\r\n"


class Counting(NobodyWatching):
    def __init__(self) -> None:
        self.refusals: Counter[tuple[str, int]] = Counter()

    def refused(self, stage: str, code: int) -> None:
        self.refusals[stage, code] += 1


def watched(server: GatewayServer) -> Counting:
    server._observer = counting = Counting()
    return counting


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        (BEGUN + "DATA\r\nSubject: x\r\n\r\nx" + END, {}),
        ("NOOP\r\nHELP\r\nVRFY x\r\nRSET\r\nQUIT\r\n", {}),
        ("MAIL FROM:<a@b.test>\r\nQUIT\r\n", {("mail", 503): 1}),
        ("EHLO a.test\r\nMAIL FROM:<a@b.test> SIZE=999999999\r\nQUIT\r\n", {("mail", 552): 1}),
        (BEGUN + "rcpt TO:<nobody@experts.test>\r\n" * 3 + "QUIT\r\n", {("rcpt", 550): 3}),
        (BEGUN + "RCPT TO:<x@elsewhere.test>\r\nRCPT TO:<verify@experts.test>\r\nQUIT\r\n", {("rcpt", 550): 1, ("rcpt", 452): 1}),
        ("EHLO a.test\r\nDATA\r\nQUIT\r\n", {("data", 503): 1}),
        (BEGUN + "DATA\r\na bare\rCR" + END, {("data", 550): 1}),
        (BEGUN + "DATA\r\n" + "x" * 2_000 + END, {("data", 552): 1}),
        (BEGUN + "BDAT 3\r\na\rbBDAT 1 LAST\r\ncQUIT\r\n", {("bdat", 550): 2}),
        ("STARTTLS\r\nWHAT\r\nQUIT now\r\nQUIT\r\n",
         {("starttls", 502): 1, ("command", 500): 1, ("quit", 501): 1}),
        ("WHAT\r\n" * 4, {("command", 500): 3, ("command", 421): 1}),
        ("no end of line\n", {("command", 421): 1}),
    ],
)  # fmt: skip
def test_what_a_client_is_refused_is_counted_by_command_and_code(
    said: str, counted: dict[tuple[str, int], int]
) -> None:
    async def scenario() -> None:
        async with bare_gateway(limits=Limits(message_bytes=1_000, errors=3)) as (server, _):
            watch = watched(server)
            async with client(server.port) as talk:
                talk.send(said.encode())
                await talk.rest()
            assert watch.refusals == Counter(counted)

    asyncio.run(scenario())


async def _refuse(_: Envelope) -> SmtpReply:
    raise SmtpRefusal(replies.UNAUTHENTICATED)


async def _answer(_: Envelope) -> SmtpReply:
    return replies.EVIDENCE_UNAVAILABLE


@pytest.mark.parametrize("take", [_refuse, _answer])
def test_the_answer_to_a_judged_message_is_counted_by_who_judged_it_alone(take: Any) -> None:
    async def scenario() -> None:
        async with bare_gateway(take) as (server, _):
            watch = watched(server)
            async with client(server.port) as talk:
                await talk.begin()
                assert (await talk.data(b"Subject: x\r\n\r\nx\r\n"))[0] in "45"
                assert not watch.refusals
                assert (await talk.ask("RCPT TO:<query@experts.test>")).startswith("503")
            assert watch.refusals == Counter({("rcpt", 503): 1})

    asyncio.run(scenario())


def test_who_is_turned_away_at_the_door_is_counted_there() -> None:
    async def scenario() -> None:
        async with bare_gateway(limits=Limits(connections=1)) as (server, _):
            watch = watched(server)
            async with client(server.port):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                assert (await Talk(reader, writer).reply()).startswith("421")
                writer.close()
            assert watch.refusals == Counter({("greeting", 421): 1})
        async with bare_gateway(limits=Limits(greeting_seconds=0.3, unlimited=())) as (server, _):
            watch = watched(server)
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"EHLO x\r\n")
            assert (await Talk(reader, writer).reply()).startswith("554")
            writer.close()
            assert watch.refusals == Counter({("greeting", 554): 1})

    asyncio.run(scenario())
