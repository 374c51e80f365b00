"""A gateway as its admin sets it up: a contact's program waits, the contact hears of the right way, the team hears of it."""

from __future__ import annotations

import json
import smtplib
import time
from collections.abc import Iterator
from email import message_from_string, policy
from email.message import EmailMessage
from hashlib import sha256
from pathlib import Path

import pytest

from outbound.key_files import generate_key
from tests.expertmail.test_alerts import begun
from tests.proofs.served import Served
from tests.smtp_gateway.world import message, signed, zone_text

PROGRAM = b"MZ\x90\x00" + bytes(400)
WAIT_SECONDS = 120  # on a busy machine
SETTINGS = """
[mail]
submission_channel = "the upload page https://upload.experts.test/ of your portal"
[[routes.table]]
recipient = "query@experts.test"
to = "query"
on_program = "hold"
on_encrypted = "hold"
[alerts]
team = ["team@desk.test"]
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    one = Served(tmp_path, SETTINGS, forked=True)
    yield one
    one.stop()


def outbox(served: Served, count: int) -> dict[str, str]:
    """What was mailed, by recipient, once there is so much of it."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        mails = [message_from_string(file.read_text(), policy=policy.default) for file in served.outbox.glob("*.eml")]
        if len(mails) >= count:
            return {str(mail["to"]): f"{mail['subject']}\n{mail.get_body(('plain',)).get_content()}" for mail in mails}
        time.sleep(0.1)
    raise AssertionError(served.log.read_text()[-2000:])


def test_a_contacts_program_waits_and_everybody_concerned_is_told(served: Served, tmp_path: Path) -> None:
    served.run("dns", "show")  # makes the world, as serve does
    served.run("contacts", "add", "alex@contoso.test", "--name", "Alex", "--org", "Contoso")
    key = generate_key(tmp_path / "contoso.pem")
    zone = tmp_path / "var" / "zone.db"
    lines = [line for line in zone_text(key).splitlines() if "contoso.test" in line.split()[0]]
    zone.write_text(zone.read_text() + "\n".join(lines) + "\n")
    mail = EmailMessage()
    mail.set_content("Please look.\n")
    mail.add_attachment(PROGRAM, maintype="application", subtype="pdf", filename="../payroll.pdf")
    raw = message("", message_id="<p1@contoso.test>").removesuffix(b"\r\n") + mail.as_bytes().replace(b"\n", b"\r\n")
    served.start()
    deadline = time.monotonic() + WAIT_SECONDS
    while not begun(served.database):  # from the first look on it is told
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with smtplib.SMTP("127.0.0.1", served.smtp_port, timeout=20) as client:
        client.sendmail("alex@contoso.test", ["query@experts.test"], signed(raw, key))
    told = outbox(served, 2)
    note = " ".join(told["alex@contoso.test"].split())
    assert "the upload page https://upload.experts.test/ of your portal" in note
    assert "payroll" not in note
    assert "1 message is held" in told["team@desk.test"]
    (item,) = json.loads(served.run("held", "list", "--json"))
    assert item["reason"] == "an attached file that a double click would run"
    (file,) = json.loads(served.run("attachments", "list", item["id"], "--json"))
    assert (file["name"], file["declared"]) == ("payroll.pdf", "application/pdf")
    assert file["flags"] == ["executable", "type-mismatch"]
    assert file["sha256"] == sha256(PROGRAM).hexdigest()
