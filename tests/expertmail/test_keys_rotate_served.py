"""Other keys sign in a running ``serve`` after SIGHUP; mail that was signed before leaves as it is, and keeps its keys."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.expertmail.test_serve import delivered, send, verify
from tests.proofs.noting import until
from tests.proofs.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    one = Served(tmp_path, '[sending]\nsecond_person = ["reply"]\n', forked=True)
    yield one
    one.stop()


def selectors(raw: bytes) -> set[str]:
    """Those of its signatures."""
    fields = re.findall(rb"^DKIM-Signature:(?:[^\r\n]|\r?\n[ \t])*", raw, re.MULTILINE)
    return {re.search(rb"[;\s]s=([^;\s]+)", field)[1].decode() for field in fields}


def acknowledged(served: Served, number: int) -> bytes:
    """Have a customer ask something; the mail that a running serve writes and signs by itself."""
    before = set(served.outbox.glob("*.eml"))
    send(served, "alice@contoso.test", "query@experts.test", f"Question {number}")
    (made,) = set(delivered(served, len(before) + 1)) - before
    return made.read_bytes()


def test_after_a_reload_the_next_keys_sign_and_mail_of_before_leaves_as_it_was_signed(served: Served) -> None:
    served.start()
    served.run(
        "contacts", "add", "alice@contoso.test", "--name", "Alice", "--org", "Contoso", "--domain", "contoso.test"
    )  # fmt: skip
    served.run("incidents", "open", "--org", "Contoso", "--title", "Odd sign-ins")
    served.run(
        "compose", "reply", "INC-000001", "--to", "alice@contoso.test", "--text", "We saw it.", "--by", "ana"
    )
    waiting = served.run("outbox", "show", "1", "--raw").encode()
    old = selectors(waiting)

    served.run("keys", "rotate", "publish")
    served.run("keys", "rotate", "sign")
    assert selectors(acknowledged(served, 1)) == old, "a running serve goes by it after SIGHUP, as it is told"
    os.kill(served.process.pid, signal.SIGHUP)
    until(lambda: "reloaded" in served.log.read_text())
    new = acknowledged(served, 2)
    assert selectors(new) == {"s2", "s2-ed25519"}
    assert selectors(new).isdisjoint(old)
    assert verify(served, new)[1]["verdict"] == "genuine"

    assert "1 mails that were signed with it still wait" in served.run("keys", "rotate", "retire", expect=75)
    digest = served.json("approvals", "show", "1")["digest"]
    served.run("approvals", "approve", "1", digest, "--by", "ben")
    until(lambda: served.json("outbox", "list", "--state", "delivered")[-1]["outgoing_id"] == 1)
    assert served.run("outbox", "show", "1", "--raw").encode() == waiting
    (sent,) = (raw for raw in map(Path.read_bytes, served.outbox.glob("*.eml")) if b"We saw it" in raw)
    assert sent.replace(b"\r\n", b"\n").endswith(waiting.replace(b"\r\n", b"\n")), "below what tells the way"
    assert verify(served, sent)[1]["verdict"] == "genuine"
    assert "keep it until" in served.run("keys", "rotate", "retire", expect=75)
    assert (served.folder / "var" / "keys" / "experts.test.s1.pem").exists()
    assert "Traceback" not in served.log.read_text()
