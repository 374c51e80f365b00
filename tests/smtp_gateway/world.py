"""A whole gateway on loopback for tests: zone, record, SMTP. The customer is Contoso, whose contact is Alex."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from outbound.sign import SigningKey, _Signer, dns_record
from smtp_gateway import replies
from smtp_gateway.envelope import Envelope
from smtp_gateway.gateway_settings import GatewaySettings, Limits
from smtp_gateway.intake import MailIntake
from smtp_gateway.own_records import StoredRecords
from smtp_gateway.recipient_check import RecipientCheck
from smtp_gateway.relay import Relay
from smtp_gateway.replies import SmtpReply
from smtp_gateway.route_table import Row
from smtp_gateway.routes import Mailboxes, RouteKind, RoutePolicy
from smtp_gateway.server import GatewayServer
from threads import store
from threads.model import Contact, Organisation, Thread
from threads.reply_address import ReplyAddresses
from verifier.dmarc_7489 import PublicSuffixes
from verifier.evidence import Opinion
from verifier.identity import Identity
from verifier.resolver import Resolver
from verifier.zone import Zone, read_zone

HOST = "127.0.0.1"
HOSTNAME = "mx.experts.test"
REPLIES = ReplyAddresses([b"k" * 32], "reply.experts.test")
OWN_DOMAINS = frozenset({"experts.test", "reply.experts.test"})
BOXES = Mailboxes(
    frozenset({"experts.test"}),
    "reply.experts.test",
    (
        ("query@experts.test", RouteKind.QUERY),
        ("verify@experts.test", RouteKind.VERIFY),
        ("service@experts.test", RouteKind.SERVICE),
    ),
    REPLIES.read,
)
PROTECTED = Identity(
    name="experts",
    display_names=("Defender Experts",),
    domains=("experts.test",),
    addresses=("defender-experts@experts.test",),
    signing_domains=("experts.test",),
    known_domains=("reply.experts.test",),
)


def now() -> datetime:
    return datetime.now(UTC)


def zone_text(key: SigningKey) -> str:
    record = dns_record(key)
    strings = " ".join(f'"{record[at : at + 255]}"' for at in range(0, len(record), 255))
    lines = []
    for domain in ("contoso.test", "stranger.test", "experts.test", "reply.experts.test", "attack.test"):
        lines.append(f"{domain}. 300 IN SOA mx.{domain}. root.{domain}. 1 60 60 60 60")
        lines.append(f'{domain}. 300 IN TXT "v=spf1 ip4:127.0.0.0/8 -all"')
        lines.append(f'_dmarc.{domain}. 300 IN TXT "v=DMARC1; p=reject"')
    lines.append("experts.test. 300 IN MX 10 mx.experts.test.")
    signers = ("contoso.test", "stranger.test", "experts.test")
    lines += [f"s1._domainkey.{domain}. 300 IN TXT {strings}" for domain in signers]
    # a sender's domain that never says a word for this machine
    lines.append("silent.test. 300 IN SOA mx.silent.test. root.silent.test. 1 60 60 60 60")
    return "\n".join(lines) + "\n"


def message(
    body: str = "Hello.\r\n",
    *,
    author: str = "Alex <alex@contoso.test>",
    subject: str = "A question",
    extra: str = "",
    message_id: str = "<m1@contoso.test>",
) -> bytes:
    return (
        f"From: {author}\r\nTo: query@experts.test\r\nSubject: {subject}\r\n"
        f"Date: Wed, 25 Nov 2026 12:00:00 +0000\r\nMessage-ID: {message_id}\r\n{extra}\r\n{body}"
    ).encode()


def signed(raw: bytes, key: SigningKey, domain: str = "contoso.test") -> bytes:
    return _Signer(raw).header_at(domain.encode(), "s1", key, now()) + raw


class Yes:
    """A second implementation that agrees with everything."""

    async def ask(self, *_asked: Any) -> Opinion:
        return Opinion.PASS


@dataclass
class World:
    """What a test needs of a running gateway."""

    server: GatewayServer
    database: store.Database
    contoso: Organisation
    alex: Contact
    incident: Thread
    key: SigningKey
    resolver: Any
    intake: MailIntake

    async def send(self, raw: bytes, rcpt: str | list[str], mail_from: str = "alex@contoso.test") -> str:
        """One message over SMTP, as a plain client does; the last reply."""
        async with client(self.server.port) as talk:
            await talk.ehlo()
            await talk.ask(f"MAIL FROM:<{mail_from}>")
            for address in [rcpt] if isinstance(rcpt, str) else rcpt:
                answer = await talk.ask(f"RCPT TO:<{address}>")
                if not answer.startswith("250"):
                    return answer
            assert (await talk.ask("DATA")).startswith("354")
            return await talk.data(raw)

    def copies(self) -> tuple[Any, ...]:
        with self.database.reading() as conn:
            return store.list_copies(conn)

    def timeline(self, thread_id: int) -> tuple[Any, ...]:
        with self.database.reading() as conn:
            return store.timeline_of(conn, thread_id)

    def thread(self, thread_id: int) -> Thread:
        with self.database.reading() as conn:
            return store.thread_by_id(conn, thread_id)

    def raw(self, copy_id: str) -> bytes:
        with self.database.reading() as conn:
            return store.raw_message(conn, copy_id)

    def orders(self) -> list[Any]:
        with self.database.reading() as conn:
            return list(
                conn.exec_driver_sql("SELECT kind, address, state, thread_id, params FROM automatic_orders")
            )

    def inquiries(self) -> tuple[Thread, ...]:
        with self.database.reading() as conn:
            return tuple(t for t in store.list_threads(conn) if t.kind == "inquiry")


class Talk:
    """A byte-level SMTP client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def reply(self, seconds: float = 10) -> str:
        """One reply, its lines joined."""
        lines = []
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), seconds)).decode()
            if not line:
                return "\n".join(lines)
            lines.append(line.rstrip("\r\n"))
            if len(line) < 4 or line[3] != "-":
                return "\n".join(lines)

    async def ask(self, command: str | bytes) -> str:
        self.send((command.encode() if isinstance(command, str) else command) + b"\r\n")
        return await self.reply()

    async def ehlo(self) -> str:
        return await self.ask("EHLO mail.contoso.test")

    async def begin(self, mail_from: str = "alex@contoso.test", rcpt: str = "query@experts.test") -> None:
        """Everything up to 354."""
        await self.ehlo()
        assert (await self.ask(f"MAIL FROM:<{mail_from}>")).startswith("250")
        assert (await self.ask(f"RCPT TO:<{rcpt}>")).startswith("250")
        assert (await self.ask("DATA")).startswith("354")

    async def data(self, raw: bytes, seconds: float = 30) -> str:
        stuffed = raw.replace(b"\r\n.", b"\r\n..")
        self.send((b"." if stuffed.startswith(b".") else b"") + stuffed)
        self.send(b".\r\n" if not raw or raw.endswith(b"\r\n") else b"\r\n.\r\n")
        return await self.reply(seconds)

    async def rest(self, seconds: float = 10) -> bytes:
        return await asyncio.wait_for(self.reader.read(), seconds)


@asynccontextmanager
async def client(port: int) -> AsyncIterator[Talk]:
    reader, writer = await asyncio.open_connection(HOST, port)
    talk = Talk(reader, writer)
    try:
        assert (await talk.reply()).startswith("220")
        yield talk
    finally:
        writer.close()


@asynccontextmanager
async def bare_gateway(
    take: Callable[[Envelope], Any] | None = None, limits: Limits | None = None, **changes: Any
) -> AsyncIterator[tuple[GatewayServer, list[Envelope]]]:
    """The SMTP side alone; messages end in a list."""
    got: list[Envelope] = []

    async def keep(envelope: Envelope) -> SmtpReply:
        got.append(envelope)
        if take is not None:
            answer: SmtpReply = await take(envelope)
            return answer
        return replies.accepted(envelope.id)

    settings = GatewaySettings(HOSTNAME, HOSTNAME, host=HOST, port=0, limits=limits or Limits(), **changes)
    server = GatewayServer(settings, BOXES, keep, now)
    await server.start()
    try:
        yield server, got
    finally:
        await server.stop()


@asynccontextmanager
async def whole_gateway(
    folder: Path,
    key: SigningKey,
    *,
    limits: Limits | None = None,
    policy: RoutePolicy | None = None,
    table: tuple[Row, ...] = (),
    identities: tuple[Identity, ...] = (PROTECTED,),
    resolver: Any = None,
    wrap_writer: Callable[[store.Writer], Any] = lambda writer: writer,
    zone: Zone | None = None,
    suffixes: PublicSuffixes | None = None,
    relay: Callable[[Any], Relay] | None = None,
    check: RecipientCheck | None = None,
    other_way: bool = False,
) -> AsyncIterator[World]:
    """Gateway, record and zone together."""
    database = store.open_database(f"sqlite:///{folder / 'record.db'}")
    store.upgrade(database)
    with database.writing() as conn:
        contoso = store.add_organisation(conn, "Contoso", now())
        store.add_domain(conn, contoso.id, "contoso.test", now(), verified=True)
        alex = store.add_contact(conn, contoso.id, "alex@contoso.test", "Alex", now())
        incident = store.open_incident(conn, contoso.id, "Odd sign-in", now())
    writer = store.Writer(database)
    settings = GatewaySettings(
        HOSTNAME, HOSTNAME, host=HOST, port=0, limits=limits or Limits()
    )
    resolver = resolver or Resolver([], zone or read_zone(zone_text(key)))
    records = StoredRecords(database)
    intake = MailIntake(
        settings,
        identities=identities,
        own_domains=OWN_DOMAINS,
        resolver=resolver,
        opinion=Yes(),
        writer=wrap_writer(writer),
        suffixes=suffixes,
        records=records,
        relay=None if relay is None else relay(wrap_writer(writer)),
        other_way=other_way,
    )
    boxes = replace(BOXES, policy=policy or RoutePolicy(), table=table)
    server = GatewayServer(settings, boxes, intake.take, now, check=check)
    await server.start()
    try:
        yield World(server, database, contoso, alex, incident, key, resolver, intake)
    finally:
        await server.stop()
        intake.close()
        records.close()
        writer.close()
        database.close()
