"""Receivers of webhooks that behave as they are told: real servers on loopback, with TLS."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

WELL = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass(frozen=True)
class Got:
    """One request: its header fields in lower case, and its body."""

    fields: dict[str, str]
    body: bytes
    at: float


Behaviour = Callable[[socket.socket, Got], None]
"""What it does once it has read a request."""


def says(answer: bytes) -> Behaviour:
    def behave(link: socket.socket, _got: Got) -> None:
        link.sendall(answer)

    return behave


@dataclass
class Receiver:
    """A server; ``behave`` may be changed at any time. ``got`` are the requests that were read to their end."""

    port: int
    scheme: str
    behave: Behaviour = field(default_factory=lambda: says(WELL))
    got: list[Got] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}/hooks?x=1"


@contextmanager
def receiver(tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[Receiver]:
    """One on a free port of loopback."""
    with socket.create_server(("127.0.0.1", port), backlog=128) as listening:
        made = Receiver(listening.getsockname()[1], "http" if tls is None else "https")
        stopping = threading.Event()
        listening.settimeout(0.1)

        def accept() -> None:
            while not stopping.is_set():
                try:
                    link, _ = listening.accept()
                except TimeoutError:
                    continue
                except OSError:
                    return
                made.connections += 1
                threading.Thread(target=serve, args=(link,), daemon=True).start()

        def serve(link: socket.socket) -> None:
            with link:
                link.settimeout(30)
                try:
                    through = link if tls is None else tls.wrap_socket(link, server_side=True)
                    with through:
                        got = _read(through)
                        made.got.append(got)
                        made.behave(through, got)
                except (OSError, ValueError):
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            stopping.set()
            thread.join(5)


def _read(link: socket.socket) -> Got:
    head = b""
    while b"\r\n\r\n" not in head:
        some = link.recv(65_536)
        if not some:
            raise ValueError("it ended early")
        head += some
    lines, _, body = head.partition(b"\r\n\r\n")
    fields = {}
    for line in lines.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        fields[name.decode().lower()] = value.decode().strip()
    while len(body) < int(fields.get("content-length", "0")):
        body += link.recv(65_536)
    return Got(fields, body, time.monotonic())


def certificate(folder: Path, name: str = "localhost") -> tuple[ssl.SSLContext, Path]:
    """A server's TLS for a name, and the file of who vouches for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / f"{name}.crt", folder / f"{name}.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(public, private)
    return tls, public
