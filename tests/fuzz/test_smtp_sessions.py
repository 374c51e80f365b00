"""A real server on loopback, fed hostile octets in each state of a session.

It never dies, never answers 5yz for a fault of its own, never tells what an exception said, and the next session works.
``tests/smtp_gateway/test_fuzz_sessions.py`` sends random words to a bare gateway; here are intakes that fail, TLS,
and the whole way from the wire to the record.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from outbound.key_files import generate_key
from smtp_gateway.connection import PARTING_SECONDS
from smtp_gateway.gateway_settings import Limits, tls_context
from tests.fuzz.fuzzing import SAMPLES, edits, fuzz, inputs, mutated
from tests.smtp_gateway.world import bare_gateway, client, whole_gateway

SECRET = "/etc/gateway/secret.key: no such column"
LIMITS = Limits(message_bytes=60_000, command_bytes=1_024, errors=5, idle_commands=20)
EHLO = b"EHLO x\r\n"
MAIL = b"MAIL FROM:<a@attacker.test>\r\n"
RCPT = b"RCPT TO:<query@experts.test>\r\n"
STATES = {
    "connected": b"",
    "greeted": EHLO,
    "greeted the old way": b"HELO x\r\n",
    "sender given": EHLO + MAIL,
    "recipient given": EHLO + MAIL + RCPT,
    "in the data": EHLO + MAIL + RCPT + b"DATA\r\n",
    "between chunks": EHLO + MAIL + RCPT + b"BDAT 20\r\nSubject: x\r\n\r\nfirst.",
    "in a chunk": EHLO + MAIL + RCPT + b"BDAT 60 LAST\r\nFrom: a@b.test\r\n\r\n",
    "after a chunk that failed": EHLO + MAIL + RCPT + b"BDAT 3\r\n\0\r\n",
    "after a message": EHLO + MAIL + RCPT + b"DATA\r\nFrom: a@b.test\r\n\r\nx\r\n.\r\n",
}
PIECES = (
    *(
        b"EHLO ",
        b"MAIL FROM:",
        b"RCPT TO:",
        b"DATA",
        b"RSET",
        b"NOOP",
        b"QUIT",
        b"VRFY ",
        b"BDAT 5 LAST\r\n",
        b"BDAT 0 LAST\r\n",
        b"BDAT 12\r\n",
        b"BDAT ",
        b"BDAT 500000\r\n",
        b"AUTH PLAIN ",
    ),
    *(
        b"<a@b.test>",
        b"<query@experts.test>",
        b"<>",
        b" SIZE=",
        b" BODY=",
        b" SMTPUTF8",
        b"9" * 30,
        b"x" * 1_100,
        b" ",
        b"\\",
    ),
    *(
        b"\r\n",
        b"\r\n",
        b"\r\n",
        b"\r\n.\r\n",
        b"\n.\n",
        b"\r",
        b"\n",
        b"\0",
        b"\xff",
        b"\xf0\x9f\x92\xa9",
        b"STARTTLS\r\n",
        b"\x16\x03\x01\x02\x00",
    ),
)
REPLIES = re.compile(rb"(?:[2-5][0-9]{2}[ -][ -~]*\r\n)+")
TELLTALE = re.compile(rb"Traceback|Error|Exception|File \"|secret|\.py|0x[0-9a-f]{6}")


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """One event loop: the servers of this module live on it and run while a test does."""
    made = asyncio.new_event_loop()
    yield made
    made.run_until_complete(made.shutdown_asyncgens())
    made.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server context with a certificate of its own."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.experts.test")])
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - day).not_valid_after(now + day)
    (folder / "c.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    (folder / "k.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return tls_context(str(folder / "c.pem"), str(folder / "k.pem"))


async def said_to(port: int, octets: bytes, *, half_close: bool = True) -> bytes:
    """Greeted, send all at once, then nothing more; everything the server says until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        greeting = await asyncio.wait_for(reader.readline(), 3)
        writer.write(octets)
        if not half_close:
            await asyncio.sleep(0)
            writer.transport.abort()
            return b""
        writer.write_eof()
        return greeting + await asyncio.wait_for(reader.read(), 3)
    except ConnectionError:
        return b""  # cut by the server while we wrote: its right; that it lives on is what is asserted
    finally:
        writer.close()


def assert_decent(said: bytes, logged: list[Any], *, faults: bool = False) -> None:
    """Well-formed replies, nothing of our inside, and no fault that was not the test's own."""
    assert not said or REPLIES.fullmatch(said), said
    assert not TELLTALE.search(said), said
    events = {entry["event"] for entry in logged}
    assert "session fault" not in events, logged
    if not faults:
        assert "fault" not in events, logged
        assert b"\n451" not in said, said


async def assert_serves(port: int, code: str = "250") -> None:
    """The next session works."""
    async with client(port) as talk:
        await talk.begin()
        assert (await talk.data(b"From: a@b.test\r\n\r\nx\r\n")).startswith(code)


@asynccontextmanager
async def failing() -> AsyncIterator[tuple[Any, Any]]:
    """A gateway whose intake breaks each time, in words that must not be heard outside."""

    async def broken(_envelope: object) -> Any:
        await asyncio.sleep(0)
        raise KeyError(SECRET)

    async with bare_gateway(broken, LIMITS) as made:
        yield made


async def all_gone(server) -> None:
    """No session is left once the clients are gone; each may take the seconds after our last word."""
    for _ in range(100):
        if not server.connections:
            return
        await asyncio.sleep(PARTING_SECONDS / 10)
    pytest.fail(f"{server.connections} sessions are left")


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls offered"])
def test_hostile_octets_in_a_state_of_a_session(loop, certificate, state, tls):
    """The server never dies, answers in well-formed replies without a fault, and serves the next client."""

    @fuzz(25)
    @given(noise=inputs(PIECES), half_close=st.sampled_from((True, True, True, False)))
    def hostile(noise: bytes, half_close: bool) -> None:
        with capture_logs() as logged:
            said = loop.run_until_complete(said_to(port, STATES[state] + noise, half_close=half_close))
        if b"STARTTLS" in noise and b"220 2.0.0" in said:
            said = said[: said.index(b"220 2.0.0")]  # what follows is TLS's own alert
        assert_decent(said, logged)
        loop.run_until_complete(assert_serves(port))

    gateway = bare_gateway(limits=LIMITS, tls=certificate if tls else None)
    server, _ = loop.run_until_complete(gateway.__aenter__())
    port = server.port
    try:
        hostile()
        loop.run_until_complete(all_gone(server))
    finally:
        loop.run_until_complete(gateway.__aexit__(None, None, None))


def test_hostile_octets_under_tls(loop, certificate):
    """The same under TLS, where a session begins anew."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE

    async def dialogue(noise: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await reader.readline()
            writer.write(EHLO + b"STARTTLS\r\n")
            while b"220 2.0.0" not in await asyncio.wait_for(reader.readline(), 10):
                pass
            await writer.start_tls(trusting)
            writer.write(noise + b"\r\n.\r\nQUIT\r\n" * 8)
            return await asyncio.wait_for(reader.read(), 3)
        except (ConnectionError, ssl.SSLError):
            return b""
        finally:
            writer.close()

    @fuzz(25)
    @given(state=st.sampled_from(sorted(STATES)), noise=inputs(PIECES))
    def hostile(state: str, noise: bytes) -> None:
        with capture_logs() as logged:
            said = loop.run_until_complete(dialogue(STATES[state] + noise))
        assert_decent(said, logged)
        loop.run_until_complete(assert_serves(port))

    gateway = bare_gateway(limits=LIMITS, tls=certificate)
    server, _ = loop.run_until_complete(gateway.__aenter__())
    port = server.port
    try:
        hostile()
    finally:
        loop.run_until_complete(gateway.__aexit__(None, None, None))


def test_an_intake_that_breaks_is_told_as_451_and_no_more(loop):
    """A fault of ours is 451, never 5yz, and no word of the exception is heard; the session goes on."""

    @fuzz(40)
    @given(noise=inputs(PIECES))
    def hostile(noise: bytes) -> None:
        octets = STATES["in the data"] + b"x\r\n.\r\n" + b"NOOP\r\n" + noise
        with capture_logs() as logged:
            said = loop.run_until_complete(said_to(port, octets))
            loop.run_until_complete(assert_serves(port, "451"))
        assert_decent(said, logged, faults=True)
        after = said.partition(b"354 ")[2].split(b"\r\n")
        assert after[1].startswith(b"451 4.3.0 "), said
        assert after[2].startswith(b"250 "), said

    gateway = failing()
    server, _ = loop.run_until_complete(gateway.__aenter__())
    port = server.port
    try:
        hostile()
    finally:
        loop.run_until_complete(gateway.__aexit__(None, None, None))


def test_changed_samples_go_the_whole_way_from_the_wire_to_the_record(loop, tmp_path: Path):
    """The real intake answers 250 or a refusal, never its own fault, whatever the message; the record goes on."""
    samples = [path.read_bytes() for path in sorted(SAMPLES.glob("*.eml"))]
    pieces = (
        b"\r\n",
        b"\r\n\r\n",
        b"From: ",
        b"<",
        b"@",
        b"\xff",
        b"=?utf-8?q?=",
        b"Content-Type: message/rfc822\r\n\r\n",
        b";",
        b" ",
        b"Received: x\r\n" * 60,
    )

    async def sent(raw: bytes, rcpt: bytes) -> bytes:
        stuffed = re.sub(rb"(?m)^\.", b"..", raw)
        return await said_to(port, EHLO + MAIL + rcpt + b"DATA\r\n" + stuffed + b"\r\n.\r\nQUIT\r\n")

    @fuzz(60)
    @given(
        which=st.integers(0, len(samples) - 1),
        changes=edits(pieces),
        box=st.sampled_from((b"query", b"verify", b"postmaster", b"service")),
    )
    def hostile(which: int, changes: Any, box: bytes) -> None:
        raw = mutated(samples[which], changes)
        with capture_logs() as logged:
            said = loop.run_until_complete(sent(raw, b"RCPT TO:<" + box + b"@experts.test>\r\n"))
        assert_decent(said, logged)
        assert said.partition(b"354 ")[2].split(b"\r\n")[1][:3] in {b"250", b"550", b"554"}, said

    gateway = whole_gateway(tmp_path, generate_key(tmp_path / "s1.pem"), limits=LIMITS)
    world = loop.run_until_complete(gateway.__aenter__())
    port = world.server.port
    try:
        hostile()
        before = len(world.copies())
        loop.run_until_complete(assert_serves(port, "250"))
        assert len(world.copies()) > before
    finally:
        loop.run_until_complete(gateway.__aexit__(None, None, None))
