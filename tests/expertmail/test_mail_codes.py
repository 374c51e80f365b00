"""Codes in our mail, looked up by experts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from expertmail.settings import load
from expertmail.world import open_world
from outbound.mail_code import MailCodes, codes_in

Command = Callable[..., Any]


@pytest.fixture
def sent(command: Command) -> tuple[Command, str]:
    """A mail in the outbox, and the code that stands in it."""
    assert command("dns", "show").code == 0
    for words in (
        ("contacts", "add", "alice@contoso.test", "--name", "Alice", "--org", "Contoso"),
        ("incidents", "open", "--org", "contoso", "--title", "Odd sign-ins"),
        ("compose", "request", "INC-000001", "--to", "alice@contoso.test", "--question", "Was this you?"),
    ):
        ended = command(*words)
        assert ended.code == 0, ended.err
    (code,) = codes_in(command("outbox", "show", "1", "--raw").out.replace("=\n", ""))
    return command, code


def test_an_expert_learns_which_mail_bears_a_code(sent: tuple[Command, str]) -> None:
    command, code = sent
    found = command("outbox", "code", code.lower(), "--json", "--by", "ana").json
    assert (found["outgoing_id"], found["rcpt_to"], found["reference"]) == (
        1,
        "alice@contoso.test",
        "INC-000001",
    )
    assert found["kind"] == "request-for-context"
    shown = command("outbox", "code", "-".join((code[:4], code[4:8], code[8:])))
    assert "Odd sign-ins" in shown.out
    assert "can be copied" in shown.out
    acts = command("audit", "show", "--act", "code-looked-up", "--json").json
    assert "ana" in json.dumps(acts)


def test_a_code_that_no_mail_bears_is_told_from_one_that_is_none(sent: tuple[Command, str]) -> None:
    command, code = sent
    other = MailCodes([b"another secret of somebody"]).of("<x@y>").text
    assert command("outbox", "code", other).code == 66
    wrong = code[:-1] + ("0" if code[-1] != "0" else "1")
    assert command("outbox", "code", wrong).code == 65


def test_a_code_is_found_after_the_secret_was_changed(
    sent: tuple[Command, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command, code = sent
    old = open_world(load()).replies.keys[0].decode()
    monkeypatch.setenv("EXPERTMAIL_REPLY_KEYS", f"{'n' * 32},{old}")
    assert command("outbox", "code", code).code == 0
