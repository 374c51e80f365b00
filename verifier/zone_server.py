"""A small DNS responder on loopback that serves a `Zone` over UDP and TCP.

For the demo, for `serve` with its own zone, and for tests: real packets, truncation (RFC 2181 9) and TCP
(RFC 7766) included. It answers as a recursive server does, CNAME chains followed, so that a stub resolver
can use it as its only one. No packet stops it.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Final, Self, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from verifier.evidence import AnswerStatus, Question
from verifier.zone import Zone, record_text

MAX_TCP_CLIENTS: Final = 64  # loopback clients hold one each; more is somebody playing
TCP_IDLE_SECONDS: Final = 10.0  # RFC 7766 6.2.3: a few seconds
PLAIN_UDP_OCTETS: Final = 512  # RFC 1035 4.2.1, for clients without EDNS
MAX_UDP_OCTETS: Final = 1232  # what passes everywhere without fragments (RFC 9715 3.1)
NEGATIVE_TTL: Final = 60  # where the zone has no SOA to say it (RFC 2308 5)
_PORT_TRIES: Final = 20  # a free UDP port may be taken for TCP
_HEADER_OCTETS: Final = 12  # RFC 1035 4.1.1
_OPCODE: Final = 0x78  # in the header's third octet

_RCODE: Final = {
    AnswerStatus.NXDOMAIN: dns.rcode.NXDOMAIN,
    AnswerStatus.SERVFAIL: dns.rcode.SERVFAIL,
}


def respond(zone: Zone, packet: bytes, *, tcp: bool = False) -> bytes | None:
    """The answer to one packet, or None for what deserves none: no whole header, or itself an answer.

    UDP answers that do not fit are cut and carry TC. Never raises.
    """
    if len(packet) < _HEADER_OCTETS or packet[2] & 0x80:
        return None
    if packet[2] & _OPCODE:
        return _bare(packet, dns.rcode.NOTIMP)  # nothing but a standard query (RFC 1035 4.1.1)
    try:
        query = dns.message.from_wire(packet)
    except (dns.exception.DNSException, ValueError):
        return _bare(packet, dns.rcode.FORMERR)
    if len(query.question) != 1:
        return _bare(packet, dns.rcode.FORMERR)  # RFC 9619 4: one question
    limit = 65535 if tcp else PLAIN_UDP_OCTETS
    if not tcp and query.edns >= 0:
        limit = max(PLAIN_UDP_OCTETS, min(query.payload, MAX_UDP_OCTETS))
    try:
        return _answer(zone, query).to_wire(max_size=limit, prefer_truncation=True)
    except (dns.exception.DNSException, ValueError):
        failure = dns.message.make_response(query, recursion_available=True)
        failure.set_rcode(dns.rcode.SERVFAIL)
        return failure.to_wire(max_size=limit, prefer_truncation=True)


def _bare(packet: bytes, rcode: int) -> bytes:
    """A header that answers a packet whose rest is not worth repeating: same id, operation and RD."""
    return packet[:2] + bytes((0x80 | packet[2] & (_OPCODE | 0x01), rcode)) + bytes(8)


def _answer(zone: Zone, query: dns.message.Message) -> dns.message.Message:
    response = dns.message.make_response(query, recursion_available=True)
    asked = query.question[0]
    if asked.rdclass != dns.rdataclass.IN:
        response.set_rcode(dns.rcode.REFUSED)
        return response
    found = zone.lookup(question_of(asked.name, asked.rdtype))
    owner = asked.name
    for step in found.steps:
        response.answer.append(dns.rrset.from_rdata_list(owner, step.found.ttl, list(step.found.rdatas)))
        if step.type == "CNAME":
            owner = dns.name.from_text(step.found.records[0])
    response.set_rcode(_RCODE.get(found.status, dns.rcode.NOERROR))
    if found.status in (AnswerStatus.NODATA, AnswerStatus.NXDOMAIN):
        response.authority.append(_soa(zone, question_of(owner, asked.rdtype).name))
    return response


def question_of(name: dns.name.Name, rdtype: int) -> Question:
    """A question from its wire form; labels are taken as they are."""
    labels = (label.decode("utf-8", "surrogateescape") for label in name.labels)
    return Question.of(".".join(labels), dns.rdatatype.to_text(dns.rdatatype.RdataType.make(rdtype)))


def _soa(zone: Zone, name: str) -> dns.rrset.RRset:
    """The SOA that says how long a negative answer holds (RFC 2308 3)."""
    domain = zone.domain_of(name)
    held = zone.sets.get(domain, {}).get("SOA")
    text = record_text(held.rdatas[0]) if held else f". . 1 3600 600 86400 {NEGATIVE_TTL}"
    return dns.rrset.from_text(domain, held.ttl if held else NEGATIVE_TTL, "IN", "SOA", text)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # asyncio's own is no subclass of it

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = respond(self._zone, data)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)


class ZoneServer:
    """``async with ZoneServer(zone) as server: server.address`` is (host, port) of both UDP and TCP."""

    def __init__(self, zone: Zone, host: str = "127.0.0.1", port: int = 0) -> None:
        self.zone = zone
        self.address = (host, port)
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Bind both sockets; raises OSError when that cannot be done."""
        loop = asyncio.get_running_loop()
        host, wanted = self.address
        for attempt in range(_PORT_TRIES):
            self._udp, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self.zone), local_addr=(host, wanted)
            )
            port = self._udp.get_extra_info("sockname")[1]
            try:
                self._tcp = await asyncio.start_server(self._client, host, port)
            except OSError:
                self._udp.close()
                if wanted or attempt == _PORT_TRIES - 1:
                    raise
            else:
                self.address = (host, port)
                return

    async def stop(self) -> None:
        """Close both sockets and what is connected."""
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        clients = tuple(self._clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._clients) >= MAX_TCP_CLIENTS:
            writer.close()
            return
        self._clients.add(task)
        try:
            await self._converse(reader, writer)
        finally:
            self._clients.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer length-prefixed packets (RFC 1035 4.2.2) until the client is idle, gone or talks nonsense."""
        with contextlib.suppress(TimeoutError, OSError, asyncio.IncompleteReadError):
            while True:
                async with asyncio.timeout(TCP_IDLE_SECONDS):
                    length = int.from_bytes(await reader.readexactly(2))
                    answer = respond(self.zone, await reader.readexactly(length), tcp=True)
                    if answer is None:
                        return
                    writer.write(len(answer).to_bytes(2) + answer)
                    await writer.drain()
