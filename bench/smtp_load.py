"""A client that keeps the gateway busy: raw asyncio streams, pipelined, one message after the other (RFC 2920)."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.transcript import read_reply

MESSAGES_PER_CONNECTION = 100


@dataclass(frozen=True, slots=True)
class Sent:
    """One message that was acknowledged, the text of the 250, seconds from MAIL to the final reply."""

    message: bytes
    said: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Load:
    """What to send: DATA of each message (CRLF, dots not doubled yet), and the envelope."""

    messages: Sequence[bytes]
    mail_from: str
    rcpt_to: str


async def send_all(host: str, port: int, load: Load, connections: int) -> list[Sent]:
    """Send every message once over that many connections at a time. Raises RuntimeError on any other answer than 250."""
    waiting = iter(load.messages)
    lists = await asyncio.gather(*(_sender(host, port, load, waiting) for _ in range(connections)))
    return [sent for one in lists for sent in one]


async def _sender(host: str, port: int, load: Load, waiting: Iterator[bytes]) -> list[Sent]:
    done: list[Sent] = []
    while True:
        batch = list(itertools.islice(waiting, MESSAGES_PER_CONNECTION))
        if not batch:
            return done
        reader, writer = await asyncio.open_connection(host, port)
        try:
            await _expect(reader, 220)
            writer.write(b"EHLO mx.sender.test\r\n")
            await _expect(reader, 250)
            done += [await _send(reader, writer, load, message) for message in batch]
            writer.write(b"QUIT\r\n")
            await _expect(reader, 221)
        finally:
            writer.close()


async def _send(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, load: Load, message: bytes
) -> Sent:
    start = time.perf_counter()
    writer.write(f"MAIL FROM:<{load.mail_from}>\r\nRCPT TO:<{load.rcpt_to}>\r\nDATA\r\n".encode())
    for code in (250, 250, 354):
        await _expect(reader, code)
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    writer.write(stuffed + b".\r\n")
    said = await _expect(reader, 250)
    return Sent(message, said, time.perf_counter() - start)


async def _expect(reader: asyncio.StreamReader, code: int) -> str:
    got, text = await read_reply(reader)
    if got != code:
        raise RuntimeError(f"expected {code}, got {got} {text}")
    return text
