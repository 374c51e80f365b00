"""Whatever octets arrive in whatever state, every reply is well-formed and the server serves the next client."""

from __future__ import annotations

import asyncio
import os
import random
import re

import pytest

from smtp_gateway.gateway_settings import Limits
from tests.smtp_gateway.world import bare_gateway, client

ROUNDS = 2_000 if os.environ.get("FULL") else 150
STATES = [
    [],
    [b"EHLO x\r\n"],
    [b"EHLO x\r\n", b"MAIL FROM:<a@b.test>\r\n"],
    [b"EHLO x\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<query@experts.test>\r\n"],
    [b"EHLO x\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<query@experts.test>\r\n", b"DATA\r\n"],
    [b"EHLO x\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<query@experts.test>\r\n", b"BDAT 30\r\n"],
    [b"EHLO x\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<query@experts.test>\r\n", b"BDAT 3\r\n\0\r\n"],
]
WORDS = [
    *(b"BDAT 5\r\n", b"BDAT 0 LAST\r\n", b"BDAT ", b"BDAT 99999 LAST\r\n"),
    *(b"EHLO", b"HELO", b"MAIL", b"RCPT", b"DATA", b"RSET", b"NOOP", b"QUIT", b"VRFY", b"STARTTLS", b"AUTH"),
    *(b" ", b"FROM:", b"TO:", b"<", b">", b"@", b"a", b".test", b"query@experts.test", b'"', b"\\", b"("),
    *(b"\r\n", b"\n", b"\r", b".", b"\r\n.\r\n", b"\0", b"\xff", b"SIZE=", b"9", b"x" * 600, b"\xc3\xa9"),
]
REPLY = re.compile(rb"(?:[2-5][0-9]{2}-[ -~]*\r\n)*[2-5][0-9]{2} [ -~]*\r\n")


@pytest.mark.parametrize("state", range(len(STATES)))
def test_random_octets_in_every_session_state(state: int) -> None:
    chance = random.Random(state)

    async def one(port: int) -> None:
        noise = b"".join(chance.choice(WORDS) for _ in range(chance.randrange(1, 40)))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        greeting = await asyncio.wait_for(reader.readline(), 10)
        writer.write(b"".join(STATES[state]) + noise)
        writer.write_eof()
        said = greeting + await asyncio.wait_for(reader.read(), 10)
        writer.close()
        assert re.fullmatch(rb"(?:" + REPLY.pattern + rb")+", said), (noise, said)
        assert b"\n451" not in said, (noise, said)

    async def scenario() -> None:
        async with bare_gateway(limits=Limits(message_bytes=5_000)) as (server, _):
            for _ in range(ROUNDS // 10):
                await asyncio.gather(*(one(server.port) for _ in range(10)))
            async with client(server.port) as talk:
                await talk.begin()
                assert (await talk.data(b"x\r\n")).startswith("250")

    asyncio.run(scenario())
