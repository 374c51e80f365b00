"""Our delivery before a real Postfix as MX: good, self-signed, expired and absent certificates, and its refusals."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from outbound.delivery import Handover
from outbound.model import Delivery, Failure, TlsLevel
from outbound.mx import MxTransport
from outbound.tls_policy import TlsPolicy
from tests.proofs.served import free_port
from verifier.evidence import Answer, AnswerStatus, Question

HOST = "mail.customer.test"
NOBODY = 65_534
RAW = b"From: Experts <a@experts.test>\r\nTo: bob@customer.test\r\nSubject: x\r\nMessage-ID: <x@experts.test>\r\nDate: Wed, 25 Nov 2026 09:00:00 +0000\r\n\r\n.dot\r\n..dots\r\nlast\r\n"
SERVERS = ("good", "self-signed", "expired", "absent", "busy")
NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


def certificate(
    folder: Path, name: str, *, signer: str | None = None, until: dt.datetime = NOW + DAY
) -> Path:
    """A key with its certificate in one file; without a signer it is signed by itself, and may sign."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer, signing = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, signer or name)]), key
    if signer is not None:
        loaded = serialization.load_pem_private_key((folder / f"{signer}.pem").read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signing = loaded
    made = (
        x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 9 * DAY).not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .sign(signing, hashes.SHA256())
    )  # fmt: skip
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"{name}.pem"
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    path.chmod(0o600)
    return path


@dataclass
class Exchanger:
    """One Postfix with a port for each kind of server, and the authority that signed the good one."""

    ports: dict[str, int]
    base: Path

    def mails(self) -> list[bytes]:
        """What bob has; Postfix stores lines with LF."""
        return [path.read_bytes().replace(b"\n", b"\r\n") for path in self.base.glob("boxes/bob/new/*")]

    def arrived(self) -> bytes:
        """Wait for the one mail, and take it away."""
        deadline = time.monotonic() + 30
        while not (found := self.mails()) and time.monotonic() < deadline:
            time.sleep(0.05)
        (one,) = found
        for path in self.base.glob("boxes/bob/new/*"):
            path.unlink()
        return one

    def offered(
        self, server: str, *, required: bool, recipient: str = "bob@customer.test", needs_tls: bool = False
    ) -> Handover:
        """Try to deliver as the settings would."""
        (done,) = self.offered_in_turn(server, [recipient], required=required, needs_tls=needs_tls)
        return done

    def offered_in_turn(
        self, server: str, recipients: list[str], *, required: bool, needs_tls: bool = False
    ) -> list[Handover]:
        """Try to deliver to each, one after the other, by one way out."""

        async def ask(questions: object) -> dict[Question, Answer]:
            known = {("customer.test.", "MX"): (f"10 {HOST}.",), (f"{HOST}.", "A"): ("127.0.0.1",)}
            return {
                q: Answer(AnswerStatus.ANSWER, known[q.name, q.type])
                if (q.name, q.type) in known
                else Answer(AnswerStatus.NODATA)
                for q in questions  # type: ignore[attr-defined]
            }

        transport = MxTransport(
            ask, "mx.experts.test", self.ports[server], private_networks=True,
            policy=TlsPolicy(required=required), cert_bundle=str(self.base / "authority.pem"),
        )  # fmt: skip

        async def all_of_them() -> list[Handover]:
            mails = [
                Delivery(
                    1, RAW, "x@experts.test", "r@experts.test", one, NOW, 1, checked=True, needs_tls=needs_tls
                )
                for one in recipients
            ]
            done = [await transport.deliver(mail) for mail in mails]
            await transport.close()
            return done

        return asyncio.run(all_of_them())


@pytest.fixture(scope="module")
def exchanger() -> Iterator[Exchanger]:
    path = shutil.which("postfix", path="/usr/sbin:/usr/bin")
    if path is None or os.geteuid() != 0:
        pytest.skip("Postfix is not installed, or this is not root, as whom alone it starts")
    base = Path(f"/tmp/pd{os.getpid()}")  # short enough for sockets
    conf, spool, data, boxes = (base / name for name in ("conf", "spool", "data", "boxes"))
    for folder in (conf, spool, data, boxes):
        folder.mkdir(parents=True)
    base.chmod(0o755)
    shutil.chown(data, "postfix")
    os.chown(boxes, NOBODY, NOBODY)
    authority = certificate(base, "authority-key")
    public = authority.read_bytes().partition(b"-----BEGIN CERT")
    (base / "authority.pem").write_bytes(public[1] + public[2])
    chains = {
        "good": certificate(base, "good", signer="authority-key"),
        "self-signed": certificate(base, "self-signed"),
        "expired": certificate(base, "expired", signer="authority-key", until=NOW - DAY),
        "busy": certificate(base, "busy", signer="authority-key"),
    }
    (conf / "main.cf").write_text(
        f"""compatibility_level = 3.6
queue_directory = {spool}
data_directory = {data}
mail_owner = postfix
setgid_group = postdrop
myhostname = {HOST}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
virtual_mailbox_domains = customer.test
virtual_mailbox_base = {boxes}
virtual_mailbox_maps = inline:{{ {{ bob@customer.test = bob/ }} }}
virtual_uid_maps = static:{NOBODY}
virtual_gid_maps = static:{NOBODY}
alias_maps =
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
smtpd_tls_received_header = yes
maillog_file = {base}/log
maillog_file_prefixes = {base}
"""
    )
    ports = {name: free_port() for name in SERVERS}
    doors = ""
    for name, port in ports.items():
        doors += f"127.0.0.1:{port} inet n - n - - smtpd\n"
        if name in chains:
            doors += f" -o smtpd_tls_security_level=may -o smtpd_tls_chain_files={chains[name]}\n"
        if name == "busy":
            doors += " -o smtpd_recipient_restrictions=defer\n"
    (conf / "master.cf").write_text(
        doors
        + "cleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\ntlsmgr unix - - n 1000? 1 tlsmgr\n"
        "rewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\n"
        "trace unix - - n - 0 bounce\nvirtual unix - n n - - virtual\nerror unix - - n - - error\n"
        "retry unix - - n - - error\nanvil unix - - n - 1 anvil\nproxymap unix - - n - - proxymap\n"
        "postlog unix-dgram n - n - 1 postlogd\n"
    )
    subprocess.run([path, "-c", str(conf), "start"], check=True, capture_output=True, timeout=60)
    yield Exchanger(ports, base)
    subprocess.run([path, "-c", str(conf), "stop"], check=False, capture_output=True, timeout=60)
    shutil.rmtree(base)


@pytest.mark.parametrize(
    ("server", "required", "level"),
    [
        ("good", False, TlsLevel.ENCRYPTED),
        ("self-signed", False, TlsLevel.ENCRYPTED),
        ("expired", False, TlsLevel.ENCRYPTED),
        ("absent", False, TlsLevel.NONE),
        ("good", True, TlsLevel.VERIFIED),
    ],
)
def test_what_arrives_is_what_was_sent_under_the_tls_that_is_told(
    exchanger: Exchanger, server: str, required: bool, level: TlsLevel
) -> None:
    done = exchanger.offered(server, required=required)
    assert (done.failure, done.reply.code, done.protection.level) == (None, 250, level), done
    stored = exchanger.arrived()
    assert stored.endswith(RAW)
    assert (f"using {done.protection.version}".encode() in stored) is (level is not TlsLevel.NONE)


@pytest.mark.parametrize(
    ("server", "why"),
    [("self-signed", "self-signed certificate"), ("expired", "certificate has expired"), ("absent", "")],
)
def test_where_tls_is_required_a_bad_certificate_keeps_the_mail_here_and_says_why(
    exchanger: Exchanger, server: str, why: str
) -> None:
    done = exchanger.offered(server, required=True)
    assert done.failure is Failure.PROTOCOL, done
    assert done.reply.text.startswith("TLS could not be started")
    assert why in done.reply.text
    assert not done.begun
    assert exchanger.mails() == []


@pytest.mark.parametrize("server", ["self-signed", "expired", "absent"])
def test_a_mail_that_needs_tls_stays_here_where_the_settings_would_let_it_go(
    exchanger: Exchanger, server: str
) -> None:
    done = exchanger.offered(server, required=False, needs_tls=True)
    assert (done.failure, done.begun) == (Failure.PROTOCOL, False), done
    assert done.reply.text.endswith("this mail holds details and goes under checked TLS only")
    assert exchanger.mails() == []
    assert exchanger.offered("good", required=False, needs_tls=True).protection.level is TlsLevel.VERIFIED
    assert exchanger.arrived().endswith(RAW)


@pytest.mark.parametrize(
    ("server", "recipient", "failure", "answer"),
    [
        ("good", "nobody@customer.test", Failure.REFUSED, "5.1.1"),
        ("busy", "bob@customer.test", Failure.REFUSED_FOR_NOW, "4.3.2"),
    ],
)
def test_what_postfix_refuses_is_told_in_its_words(
    exchanger: Exchanger, server: str, recipient: str, failure: Failure, answer: str
) -> None:
    done = exchanger.offered(server, required=False, recipient=recipient)
    assert done.failure is failure, done
    assert done.reply.text.startswith(answer)
    assert exchanger.mails() == []


@pytest.mark.parametrize("required", [False, True])
def test_postfix_takes_what_follows_a_refused_mail_on_the_same_connection_in_one_packet(
    exchanger: Exchanger, required: bool
) -> None:
    recipients = ["nobody@customer.test", "bob@customer.test", "nobody@customer.test"]
    first, taken, last = exchanger.offered_in_turn("good", recipients, required=required)
    assert (first.failure, taken.failure, last.failure) == (Failure.REFUSED, None, Failure.REFUSED)
    assert exchanger.arrived().endswith(RAW)
    for later in (taken, last):
        assert "open since an earlier mail" in later.transcript
        assert later.protection == first.protection
    lines = taken.transcript.splitlines()
    said = [line.split()[1] for line in lines if line.startswith(">")]
    assert said == ["RSET", "MAIL", "RCPT", "DATA", f"({len(RAW)}"]
    assert lines.index("> DATA") < lines.index("< 250 2.1.0 Ok")  # before any answer was heard
