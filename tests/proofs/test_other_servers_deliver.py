"""Other people's mail software delivers to us: swaks and Postfix, 10 MB over STARTTLS, stored byte for byte."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.proofs.served import Served, free_port

ATTACHMENT_BYTES = 10_000_000
DELIVERY_SECONDS = 60


def big_message(subject: str) -> bytes:
    """A multipart message with an attachment of 10 MB, every byte value in it, and lines that begin with a dot."""
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = "Alice <alice@contoso.test>"
    message["To"] = "query@experts.test"
    message["Subject"] = subject
    message["Message-ID"] = f"<{subject.replace(' ', '-')}@contoso.test>"
    message["Date"] = "Wed, 25 Nov 2026 10:00:00 +0000"
    message.set_content("The log you asked for.\n.\n..\n.dot first\n")
    message.add_attachment(
        random.Random(1).randbytes(ATTACHMENT_BYTES),
        maintype="application",
        subtype="zip",
        filename="log.zip",
    )
    return message.as_bytes()


@pytest.fixture
def tls_served(serve: Callable[..., Served], tmp_path: Path) -> Served:
    """A gateway with a certificate of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.experts.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file = tmp_path / "key.pem"
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    served = serve(f'[smtp]\ntls_certificate = "{tmp_path}/cert.pem"\ntls_key = "{tmp_path}/key.pem"\n')
    served.start()
    return served


def stored(served: Served) -> list[tuple[bytes, str | None]]:
    """Raw bytes and TLS facts of what was stored."""
    with sqlite3.connect(served.database) as database:
        return database.execute("SELECT raw, tls FROM messages JOIN raw_messages USING (sha256)").fetchall()


def test_swaks_delivers_10_mb_over_starttls(
    tls_served: Served, program: Callable[[str], str], tmp_path: Path
) -> None:
    path = program("swaks")
    message = big_message("swaks big")
    (tmp_path / "big.eml").write_bytes(message)
    done = subprocess.run(
        [
            path, "--server", f"127.0.0.1:{tls_served.smtp_port}", "--tls", "--helo", "mail.contoso.test",
            "--from", "alice@contoso.test", "--to", "query@experts.test", "--suppress-data",
            "--data", f"@{tmp_path}/big.eml",
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    ((raw, tls),) = stored(tls_served)
    # swaks ends its data with a line end of its own where the file has one already.
    assert raw.rstrip(b"\r\n") == message.rstrip(b"\r\n")
    assert tls


@pytest.fixture
def postfix(program: Callable[[str], str], tls_served: Served) -> Iterator[Path]:
    """A Postfix of our own, under its own folder, that relays everything to the gateway over TLS."""
    path = program("postfix")
    if os.geteuid() != 0:
        pytest.skip("Postfix starts as root only")
    # Postfix refuses folders that others may write to, and its path names must be short enough for sockets.
    base = Path(f"/tmp/pf{os.getpid()}")
    conf, spool, data = base / "conf", base / "spool", base / "data"
    for folder in (conf, spool, data):
        folder.mkdir(parents=True)
    base.chmod(0o755)
    shutil.chown(data, "postfix")
    (conf / "main.cf").write_text(
        f"""compatibility_level = 3.6
queue_directory = {spool}
data_directory = {data}
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.contoso.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relayhost = [127.0.0.1]:{tls_served.smtp_port}
smtp_tls_security_level = encrypt
message_size_limit = 40000000
mailbox_size_limit = 0
alias_maps =
mynetworks = 127.0.0.0/8
maillog_file = {base}/log
maillog_file_prefixes = {base}
"""
    )
    port = free_port()
    (conf / "master.cf").write_text(
        f"127.0.0.1:{port} inet n - n - - smtpd\n"
        "pickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n"
        "tlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\n"
        "defer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\nsmtp unix - - n - - smtp\n"
        "error unix - - n - - error\nretry unix - - n - - error\nanvil unix - - n - 1 anvil\n"
        "proxymap unix - - n - - proxymap\nscache unix - - n - 1 scache\npostlog unix-dgram n - n - 1 postlogd\n"
    )
    subprocess.run([path, "-c", str(conf), "start"], check=True, capture_output=True, timeout=60)
    (base / "port").write_text(str(port))
    yield base
    subprocess.run([path, "-c", str(conf), "stop"], check=False, capture_output=True, timeout=60)
    shutil.rmtree(base)


def test_postfix_delivers_10_mb_over_starttls(
    tls_served: Served, postfix: Path, program: Callable[[str], str]
) -> None:
    message = big_message("postfix big")
    swaks = program("swaks")
    (postfix / "big.eml").write_bytes(message)
    subprocess.run(
        [
            swaks, "--server", f"127.0.0.1:{(postfix / 'port').read_text()}", "--from", "alice@contoso.test",
            "--to", "query@experts.test", "--suppress-data", "--data", f"@{postfix}/big.eml",
        ],
        capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    deadline = time.monotonic() + DELIVERY_SECONDS
    while not (rows := stored(tls_served)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert rows, (postfix / "log").read_text()[-2000:]
    raw, tls = rows[0]
    received, own = raw[: -len(message)], raw[-len(message) :]
    if own != message:  # swaks adds one line end to a file that has its own
        received, own = raw[: -len(message) - 2], raw[-len(message) - 2 : -2]
    assert own == message
    assert received.startswith(b"Received: "), received
    assert tls
