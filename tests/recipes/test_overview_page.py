"""docs/admin.md is true: the script that hands over a renewed certificate, the links, and what is run of all pages."""

from __future__ import annotations

import os
import re
import smtplib
import ssl
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.expertmail.dns_zone import certificate, pem
from tests.proofs.served import Served
from tests.recipes.document import DOCS, block, blocks, pages

RELOAD_SECONDS = 30
MX = "mx.experts.example"
RUN = {
    "certificate hook", "alerts prometheus",
    "backup sqlite", "restore sqlite", "backup postgresql", "restore postgresql",
}  # fmt: skip
SETUPS = re.compile(r"(relay|front|addresses) (gateway$|(postfix|exim) )")


def renewed(folder: Path) -> bytes:
    """What certbot leaves in a lineage's folder; the certificate as the peer sees it."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    dates = {"begins": now - timedelta(days=1), "ends": now + timedelta(days=90)}
    made = certificate(MX, key, MX, key, names=(MX,), **dates)
    (folder / "fullchain.pem").write_bytes(pem(made))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return made.public_bytes(serialization.Encoding.DER)


def presented(served: Served) -> bytes | None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP("127.0.0.1", served.smtp_port, timeout=20) as talk:
        talk.starttls(context=context)
        assert isinstance(talk.sock, ssl.SSLSocket)
        return talk.sock.getpeercert(binary_form=True)


def test_a_renewed_certificate_is_handed_over_and_served_by_the_script(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    place, live, programs = tmp_path / "etc", tmp_path / "live", tmp_path / "programs"
    place.mkdir()
    programs.mkdir()
    served = serve(f'[smtp]\ntls_certificate = "{place}/chain.pem"\ntls_key = "{place}/key.pem"\n')
    (programs / "systemctl").write_text(
        f'#!/bin/sh\n[ "$*" = "try-reload-or-restart expertmail" ] && [ ! -e {tmp_path}/pid ] || kill -HUP "$(cat {tmp_path}/pid)"\n'
    )
    (programs / "systemctl").chmod(0o755)
    text = block("certificate hook", {"-o root -g expertmail ": "", "/etc/expertmail": str(place)})
    (tmp_path / "hook").write_text(text)

    def run(lineage: Path) -> None:
        environment = {"PATH": f"{programs}:{os.environ['PATH']}", "RENEWED_LINEAGE": str(lineage)}
        done = subprocess.run(
            ["sh", tmp_path / "hook"], capture_output=True, text=True, timeout=30, check=False, env=environment
        )
        assert done.returncode == 0, done.stderr

    first = renewed(live / MX)
    run(live / MX)  # the first time by hand, before there is a gateway
    served.start()
    assert served.process is not None
    (tmp_path / "pid").write_text(str(served.process.pid))
    assert presented(served) == first

    second = renewed(live / MX)
    assert presented(served) == first  # a new file alone changes nothing
    renewed(live / "www.example.com")
    run(live / "www.example.com")
    assert (place / "chain.pem").read_bytes() != (live / MX / "fullchain.pem").read_bytes()
    run(live / MX)
    deadline = time.monotonic() + RELOAD_SECONDS
    while presented(served) != second:
        assert time.monotonic() < deadline, served.log.read_text()[-2000:]
        time.sleep(0.1)
    assert (place / "key.pem").stat().st_mode & 0o777 == 0o640


def test_every_block_that_is_marked_as_run_is_run() -> None:
    assert {name for name in blocks() if not SETUPS.match(name)} == RUN


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_of_the_pages_leads_somewhere() -> None:
    for page, text in pages().items():
        for target in re.findall(r"\]\(([^)#:]*(?:#[^)]*)?)\)", text):
            name, _, anchor = target.partition("#")
            path = DOCS / (name or page)
            assert path.exists(), f"{page}: {target}"
            assert not anchor or anchor in anchors(path.read_text(encoding="utf-8")), f"{page}: {target}"


def test_every_page_for_admins_stands_in_the_contents() -> None:
    contents = pages()["admin.md"]
    assert all(f"]({name})" in contents for name in pages() if name != "admin.md")
