"""A forgery that a running gateway holds and an expert releases: it stays what it was judged to be, everywhere."""

from __future__ import annotations

import json
import smtplib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proofs.served import Served

FORGED = (
    "From: Defender Experts <help@stranger.test>\r\nTo: query@experts.test\r\nSubject: Urgent\r\n"
    "Message-ID: <f1@stranger.test>\r\n\r\nSend us your keys.\r\n"
)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    one = Served(tmp_path, '[routes]\non_forgery = "hold"\n', forked=True)
    one.start()
    yield one
    one.stop()


def test_a_released_forgery_is_a_forgery_on_the_timeline_and_in_a_replay(served: Served) -> None:
    served.run("contacts", "add", "alice@contoso.test", "--name", "Alice", "--org", "Contoso")
    with smtplib.SMTP("127.0.0.1", served.smtp_port, timeout=20) as client:
        client.sendmail("help@stranger.test", ["query@experts.test"], FORGED)
    (item,) = json.loads(served.run("held", "list", "--json"))
    assert item["verdict"] == "forged"
    with urllib.request.urlopen(f"http://127.0.0.1:{served.console_port}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    assert 'expertmail_held_expiring{disposition="held"} 0.0' in page
    assert "expertmail_held_oldest_seconds" in page
    before = served.run("replay", item["id"])
    filed = served.run("held", "release", item["id"], "--org", "Contoso")
    reference = filed.split()[2]
    assert served.run("replay", item["id"]) == before
    assert "Nothing differs." in before
    thread = json.loads(served.run("incidents", "show", reference, "--json"))
    (entry,) = (e for e in thread["timeline"] if e["kind"] == "mail-in")
    assert (entry["verdict"], entry["mark"]) == ("forged", "unverified")
    assert "Send us your keys." in entry["text"]
    assert "genuine" not in served.run("incidents", "show", reference)
