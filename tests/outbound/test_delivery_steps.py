"""Whatever a server does at whatever step, under both rules for TLS: what the try comes to, and what is known of it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from outbound.delivery import MAX_TRANSCRIPT_LINES, Timeouts
from outbound.model import Delivery, Failure, TlsLevel
from outbound.mx import MxTransport
from outbound.tls_policy import TlsPolicy
from tests.outbound.conftest import NOW
from verifier.evidence import Answer, AnswerStatus

HOST = "mx.contoso.test"
RAW = b"From: a@experts.test\r\n\r\n.one\r\nsecret of the customer\r\n"
IMPATIENT = Timeouts(connect=1.0, command=0.4, data=0.4, quit=0.1)
STEPS = ("banner", "EHLO", "STARTTLS", "EHLO again", "MAIL", "RCPT", "DATA", "dot", "QUIT")
FAULTS = ("421 4.3.0 later", "550 5.0.0 no", "drop", "slow")
SAFE = TlsPolicy(required=True)
ANY = TlsPolicy()


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A certificate for the server's name, which the file of authorities trusts."""
    folder, key = tmp_path_factory.mktemp("good"), ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)]), dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "ca.pem").write_bytes(pem)
    (folder / "chain.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + pem
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "chain.pem")
    return context, str(folder / "ca.pem")


class Server:
    """Does what a server does, but at one step."""

    def __init__(self, context, step, fault, pipelining):
        self.context, self.step, self.fault = context, step, fault
        self.more = "250-PIPELINING\r\n" if pipelining else ""
        self.taken = []
        self.talks = set()

    async def serve(self, reader, writer):
        self.talks.add(asyncio.current_task())
        self.reader = reader
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            await self._talk(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    async def _talk(self, reader, writer):
        secure = False
        await self._say(writer, "banner", "220 hi")
        while command := await reader.readline():
            verb = command.split()[0].decode().upper()
            if verb in ("EHLO", "HELO"):
                extensions = self.more + ("" if secure else "250-STARTTLS\r\n")
                await self._say(
                    writer, "EHLO again" if secure else "EHLO", f"250-mx\r\n{extensions}250 SIZE 0"
                )
            elif verb == "DATA":
                await self._say(writer, verb, "354 go")
                raw = await reader.readuntil(b"\r\n.\r\n")
                self.taken.append(raw[:-3])
                await self._say(writer, "dot", "250 2.0.0 taken")
            else:
                await self._say(writer, verb, "220 go" if verb == "STARTTLS" else "250 ok")
                if verb == "STARTTLS":
                    await writer.start_tls(self.context)
                    secure = True

    async def _say(self, writer, step, usual):
        if step != self.step:
            writer.write(usual.encode() + b"\r\n")
        elif self.fault == "drop":
            raise ConnectionError
        elif self.fault == "slow":
            await self.reader.read()  # until the client has given up
            raise ConnectionError
        else:
            writer.write(self.fault.encode() + b"\r\n")
        await writer.drain()


def tried(good, step, fault, policy, *, pipelining=False):
    context, authorities = good

    async def ask(questions):
        table = {("contoso.test.", "MX"): (f"10 {HOST}.",), (f"{HOST}.", "A"): ("127.0.0.1",)}
        nothing = Answer(AnswerStatus.NODATA)
        return {
            q: Answer(AnswerStatus.ANSWER, table[q.name, q.type]) if (q.name, q.type) in table else nothing
            for q in questions
        }

    async def scenario():
        server = Server(context, step, fault, pipelining)
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        transport = MxTransport(
            ask, "mx.experts.test", port, private_networks=True, timeouts=IMPATIENT, policy=policy,
            cert_bundle=authorities,
        )  # fmt: skip
        mail = Delivery(
            7, RAW, "t@experts.test", "r@reply.experts.test", "ana@contoso.test", NOW, 1, checked=True
        )
        done = await transport.deliver(mail)
        await transport.close()
        listening.close()
        await asyncio.gather(*server.talks)
        await listening.wait_closed()
        return done, server

    return asyncio.run(scenario())


BROKEN = {
    "421": Failure.REFUSED_FOR_NOW,
    "550": Failure.REFUSED,
    "drop": Failure.CONNECTION,
    "slow": Failure.TIMEOUT,
}
TALKS_ABOUT_THE_MAIL = ("MAIL", "RCPT", "DATA", "dot")


def expected(step, fault, policy):
    """What the try comes to: None is delivered."""
    if step == "QUIT":
        return None
    if step == "STARTTLS":
        return Failure.PROTOCOL if policy is SAFE else None
    found = BROKEN[fault[:4].strip()]
    if found is Failure.REFUSED and step not in TALKS_ABOUT_THE_MAIL:
        return Failure.REFUSED_FOR_NOW  # a server that talks to nobody says nothing about this mail
    return found


@pytest.mark.parametrize("pipelining", [False, True], ids=["one by one", "pipelined"])
@pytest.mark.parametrize("policy", [ANY, SAFE], ids=["opportunistic", "required"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("step", STEPS)
def test_each_fault_at_each_step(good, step, fault, policy, pipelining):
    done, server = tried(good, step, fault, policy, pipelining=pipelining)
    assert done.failure is expected(step, fault, policy), done
    assert done.in_doubt is (step == "dot" and fault in ("drop", "slow"))
    if step == "STARTTLS" and policy is ANY:
        assert done.protection.level is TlsLevel.NONE  # RFC 7435: in the clear where TLS cannot be had
    assert len(server.taken) == (1 if done.failure is None or step == "dot" else 0)
    assert b"secret" not in done.transcript.encode()
    assert done.transcript.startswith(f"-- {HOST} [127.0.0.1]")
    assert len(done.transcript.splitlines()) <= MAX_TRANSCRIPT_LINES


@pytest.mark.parametrize(("policy", "level"), [(ANY, TlsLevel.ENCRYPTED), (SAFE, TlsLevel.VERIFIED)])
def test_what_protected_a_dialogue_is_told(good, policy, level):
    done, server = tried(good, "nowhere", "", policy)
    assert (done.failure, done.protection.level, done.protection.version) == (None, level, "TLSv1.3")
    assert done.protection.cipher.startswith("TLS_")
    assert server.taken[0].replace(b"\r\n..", b"\r\n.") == RAW
    lines = done.transcript.splitlines()
    assert f"> MAIL FROM:<r@reply.experts.test> SIZE={len(RAW)}" in lines
    assert lines[-1] == "< 250 2.0.0 taken"


@pytest.mark.parametrize(
    ("domain", "required"),
    [
        ("contoso.test", True),
        ("mail.contoso.test", True),
        ("old.contoso.test", False),
        ("CONTOSO.TEST.", True),
        ("notcontoso.test", False),
    ],
)
def test_the_nearest_entry_of_both_tables_holds(domain, required):
    policy = TlsPolicy(
        required=False,
        required_domains=frozenset({"contoso.test"}),
        optional_domains=frozenset({"old.contoso.test"}),
    )
    assert policy.requires(domain) is required
    assert TlsPolicy(required=True).requires(domain)
