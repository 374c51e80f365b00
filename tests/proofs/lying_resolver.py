"""What stands between a gateway and its resolver, and may delay, swallow or falsify the answers (UDP and TCP)."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any, Self

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

HOST = "127.0.0.1"
LATE_SECONDS = 3.0  # longer than the patience of any try
NEGATIVE_TTL = 1

Lie = Callable[[bytes, Callable[[], Awaitable[bytes]]], Awaitable[list[bytes]]]
"""Makes the packets that answer a question from it and from what asks the real resolver."""


async def honest(_query: bytes, real: Callable[[], Awaitable[bytes]]) -> list[bytes]:
    """The answer, as it came."""
    return [await real()]


async def silent(_query: bytes, _real: object) -> list[bytes]:
    """Nothing."""
    return []


def slow(seconds: float) -> Lie:
    """The answer, later."""

    async def answer(_query: bytes, real: Callable[[], Awaitable[bytes]]) -> list[bytes]:
        await asyncio.sleep(seconds)
        return [await real()]

    return answer


def _made(query: bytes, rcode: int = 0, flags: int = 0) -> dns.message.Message:
    response = dns.message.make_response(dns.message.from_wire(query), recursion_available=True)
    response.set_rcode(rcode)
    response.flags |= flags
    return response


async def servfail(query: bytes, _real: object) -> list[bytes]:
    """It could not find out."""
    return [_made(query, dns.rcode.SERVFAIL).to_wire()]


async def nothing_exists(query: bytes, _real: object) -> list[bytes]:
    """NXDOMAIN for every name, which is to be remembered for a second (RFC 2308 5)."""
    response = _made(query, dns.rcode.NXDOMAIN)
    response.authority.append(
        dns.rrset.from_text("test.", NEGATIVE_TTL, "IN", "SOA", f"a.test. b.test. 1 1 1 1 {NEGATIVE_TTL}")
    )
    return [response.to_wire()]


async def truncated(query: bytes, _real: object) -> list[bytes]:
    """Ask again by TCP (RFC 7766), where nobody listens."""
    return [_made(query, flags=dns.flags.TC).to_wire()]


async def another_id(_query: bytes, real: Callable[[], Awaitable[bytes]]) -> list[bytes]:
    """The answer under an id that nobody used (RFC 5452 9.1)."""
    answer = await real()
    return [bytes((answer[0] ^ 0x55,)) + answer[1:]]


async def garbage(query: bytes, _real: object) -> list[bytes]:
    """Octets, with and without the right id, and the question cut short."""
    dice = random.Random(query)
    return [dice.randbytes(40), query[:2] + dice.randbytes(60), query[:7], b"", query[:2] + b"\x81\x80" + query[4:-3]]


def _spoofed(query: bytes) -> list[bytes]:
    """Answers with the right id to a question that was not asked."""
    asked = dns.message.from_wire(query)
    wire = []
    for name in ("evil.test.", f"x.{asked.question[0].name}"):
        other = dns.message.make_query(name, asked.question[0].rdtype, id=asked.id)
        answer = dns.message.make_response(other, recursion_available=True)
        answer.answer.append(dns.rrset.from_text(name, 300, "IN", "TXT", '"v=spf1 +all"'))
        wire.append(answer.to_wire())
    return wire


async def another_question(query: bytes, _real: object) -> list[bytes]:
    """Only answers to a question that was not asked."""
    return _spoofed(query)


async def spoofed_before_the_truth(query: bytes, real: Callable[[], Awaitable[bytes]]) -> list[bytes]:
    """Somebody off the path is faster than the resolver (RFC 5452)."""
    answer = await real()
    return [*_spoofed(query), bytes((answer[0] ^ 1,)) + answer[1:], answer]


class LyingResolver:
    """Stands before a resolver; ``lie`` may be changed at any time. Without ``tcp`` nobody listens there."""

    def __init__(self, real: tuple[str, int], lie: Lie = honest) -> None:
        self._real = real
        self.lie = lie
        self.address = (HOST, 0)
        self._works: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        liar = self

        class Datagrams(asyncio.DatagramProtocol):
            def connection_made(self, transport: Any) -> None:
                self.transport = transport

            def datagram_received(self, data: bytes, addr: Any) -> None:
                work = asyncio.ensure_future(liar._answer(data, addr, self.transport))
                liar._works.add(work)
                work.add_done_callback(liar._works.discard)

        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            Datagrams, local_addr=(HOST, 0)
        )
        self.address = self._transport.get_extra_info("sockname")[:2]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()
        for work in tuple(self._works):
            work.cancel()
        await asyncio.gather(*self._works, return_exceptions=True)

    async def _answer(self, query: bytes, addr: Any, transport: Any) -> None:
        with contextlib.suppress(TimeoutError, OSError):
            for packet in await self.lie(query, lambda: self._ask(query)):
                transport.sendto(packet, addr)

    async def _ask(self, query: bytes) -> bytes:
        """The real resolver's answer."""
        heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        class Answer(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, _addr: Any) -> None:
                if not heard.done():
                    heard.set_result(data)

        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            Answer, remote_addr=self._real
        )
        try:
            transport.sendto(query)
            return await asyncio.wait_for(heard, 10)
        finally:
            transport.close()
