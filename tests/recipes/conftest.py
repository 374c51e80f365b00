"""Fixtures of the recipes: a gateway and one of the mail servers that docs/admin-mta.md sets up beside it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization

from tests.proofs.conftest import program, serve
from tests.proofs.served import Served, free_port
from tests.recipes.mta import EXIM_FOLDER, Exim, Mta, Place, Postfix, gateway_settings
from tests.verifier.signing import rsa_key, rsa_record

__all__ = ["program", "serve"]

BITS = 1024
RELOAD_SECONDS = 30
# SPF names an address that no test uses: behind another server nothing but DKIM can vouch for a customer.
ZONE = f"""$TTL 300
test. SOA ns.test. hostmaster.test. 1 3600 600 86400 300
test. NS ns.test.
com. SOA ns.test. hostmaster.test. 1 3600 600 86400 300
com. NS ns.test.
contoso.test. TXT "v=spf1 ip4:203.0.113.7 -all"
_dmarc.contoso.test. TXT "v=DMARC1; p=reject"
k._domainkey.contoso.test. TXT "{rsa_record(BITS)[:200]}" "{rsa_record(BITS)[200:]}"
"""


@pytest.fixture(autouse=True)
def _signed_today(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway's process has the machine's clock, and so must dkimpy, whose own stands still in other tests."""
    monkeypatch.setattr(dkim, "time", time)


def signed(raw: bytes) -> bytes:
    """The message with a signature of contoso.test."""
    pem = rsa_key(BITS).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    fields = [b"from", b"to", b"subject", b"date", b"message-id"]
    return dkim.sign(raw, b"k", b"contoso.test", pem, include_headers=fields) + raw


class Pair:
    """A gateway and a mail server that were set up as the document says."""

    def __init__(self, gateway: Served, mta: Mta, zone: Path) -> None:
        self.gateway = gateway
        self.mta = mta
        self._zone = zone

    def publish(self) -> None:
        """Put the gateway's own records into the DNS of the test, and have them read."""
        self._zone.write_text(ZONE + self.gateway.run("dns", "show"))
        before = self.gateway.log.read_text().count('"reloaded"')
        assert self.gateway.process is not None
        os.kill(self.gateway.process.pid, signal.SIGHUP)
        deadline = time.monotonic() + RELOAD_SECONDS
        while self.gateway.log.read_text().count('"reloaded"') == before:
            assert time.monotonic() < deadline, self.gateway.log.read_text()[-2000:]
            time.sleep(0.1)


@pytest.fixture
def exim_folder() -> Path:
    """Where Exim's packages lie unpacked."""
    if not (EXIM_FOLDER / "usr" / "sbin" / "exim4").exists():
        pytest.skip(f"Exim is not unpacked in {EXIM_FOLDER} (.ci/run does it)")
    if "Debian-exim" not in {one.pw_name for one in pwd.getpwall()}:
        pytest.skip("there is no account Debian-exim (.ci/run makes it)")
    return EXIM_FOLDER


@pytest.fixture(params=["postfix", "exim"])
def pair(
    request: pytest.FixtureRequest, tmp_path: Path, serve: Callable[..., Served]
) -> Iterator[Callable[..., Pair]]:
    """Make a gateway and a mail server of a set-up; both end with the test."""
    if os.geteuid() != 0:
        pytest.skip("mail servers start as root only")
    made: list[Mta] = []

    def server(place: Place) -> Mta:
        if request.param == "postfix":
            path = shutil.which("postfix")
            if path is None:
                pytest.skip("postfix is not installed (Debian package postfix)")
            return Postfix(path, place)
        return Exim(request.getfixturevalue("exim_folder"), place)

    def make(setup: str, local_domain: str | None, instead: dict[str, str], also: str | None = None) -> Pair:
        port = free_port()
        zone = tmp_path / "zone.db"
        zone.write_text(ZONE)
        ours = {"mail.example.com:25": f"127.0.0.1:{port}", '"required"': '"none"', '"starttls"': '"none"'}
        ours |= {'"mail.example.com"': f'"127.0.0.1"\nsmarthost_port = {port}', "192.0.2.10": "127.0.0.1"}
        settings = "".join(gateway_settings(name, ours | instead) for name in (setup, also) if name is not None)
        # Only the zone is asked; what it does not hold does not exist.
        gateway = serve(f'{settings}\n[dns]\nzone = "{zone}"\nresolvers = ["127.0.0.1:{free_port()}"]\n')
        made.append(server(Place(setup, port, local_domain, gateway.smtp_port, instead)))
        gateway.start()
        return Pair(gateway, made[-1], zone)

    yield make
    for mta in made:
        mta.stop()
