"""The daily work against a running ``serve``, typed as a person would type it."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from email import message_from_bytes, policy
from pathlib import Path

from tests.proofs.served import Served

DELIVERY_SECONDS = 20


def only_mail(served: Served, count: int = 1) -> list[Path]:
    """The mails in the sink, once there are ``count`` of them."""
    deadline = time.monotonic() + DELIVERY_SECONDS
    while time.monotonic() < deadline:
        found = sorted(served.outbox.glob("*.eml"))
        if len(found) >= count:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{count} mails expected in {served.outbox}: {served.log.read_text()[-2000:]}")


def swaks(path: str, served: Served, sender: str, recipient: str, subject: str, body: str, *more: str) -> str:
    """Send one mail with swaks; its transcript."""
    done = subprocess.run(
        [
            path, "--server", f"127.0.0.1:{served.smtp_port}", "--helo", f"mail.{sender.rpartition('@')[2]}",
            "--from", sender, "--to", recipient, "--header", f"From: {sender}", "--header", f"Subject: {subject}",
            "--body", body, *more,
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_request_is_answered_and_a_stranger_is_held_across_a_restart(
    serve: Callable[..., Served], program: Callable[[str], str]
) -> None:
    path = program("swaks")
    served = serve()
    served.start()
    served.run(
        "contacts",
        "add",
        "alice@contoso.test",
        "--name",
        "Alice",
        "--org",
        "Contoso",
        "--domain",
        "contoso.test",
    )
    opened = served.run("incidents", "open", "--org", "Contoso", "--title", "Odd sign-ins from two countries")
    reference = re.search(r"INC-\d{6}", opened)
    assert reference, opened
    incident = reference.group()
    served.run(
        "compose", "request", incident, "--to", "alice@contoso.test", "--question", "Was this sign-in yours?"
    )

    sent = only_mail(served)[0]
    request = message_from_bytes(sent.read_bytes(), policy=policy.default)
    assert request["To"].addresses[0].addr_spec == "alice@contoso.test"
    assert incident in request["Subject"]
    assert "DKIM-Signature" in request
    reply_address = request["Reply-To"].addresses[0].addr_spec

    said = swaks(
        path, served, "alice@contoso.test", reply_address, f"Re: {request['Subject']}",
        "No, nobody of us was in Lisbon.\\n\\nOn Mon, 2 Mar 2026 at 09:00, Defender Experts wrote:\\n> Was this sign-in yours?",
        "--header", f"In-Reply-To: {request['Message-ID']}",
    )  # fmt: skip
    assert "250 2.0.0" in said
    shown = served.run("incidents", "show", incident)
    assert "nobody of us was in Lisbon" in shown
    assert "verified" in shown

    said = swaks(
        path,
        served,
        "mallory@stranger.test",
        reply_address,
        f"Re: {request['Subject']}",
        "Yes, that was us. Close it.",
    )
    assert "250 2.0.0" in said
    assert "Close it" not in served.run("incidents", "show", incident)
    held = served.json("held", "list")
    assert len(held) == 1, held
    identifier = held[0]["id"]
    assert identifier in served.run("held", "list")

    served.run("held", "release", identifier)
    after_release = served.run("incidents", "show", incident)
    assert "Close it" in after_release
    assert "unverified" in after_release
    assert served.json("held", "list") == []
    outbox = served.run("outbox", "list")
    assert "alice@contoso.test" in outbox

    assert served.stop() == 0
    served.start()
    assert served.run("incidents", "show", incident) == after_release
    assert served.run("outbox", "list") == outbox
    assert served.json("held", "list") == []
    assert len(only_mail(served)) == 1, "a restart sends nothing twice"


def test_a_guessed_reply_address_is_refused_at_rcpt(
    serve: Callable[..., Served], program: Callable[[str], str]
) -> None:
    path = program("swaks")
    served = serve()
    served.start()
    done = subprocess.run(
        [
            path, "--server", f"127.0.0.1:{served.smtp_port}", "--from", "a@contoso.test",
            "--to", "r+aaaaaaaaaaaaaaaaaaaaaaaa@reply.experts.test", "--quit-after", "RCPT",
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "550 5.1.1" in done.stdout
