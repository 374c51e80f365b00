"""The command line's frame: what there is, how bad usage ends, and that help is quick and documented."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from expertmail.cli import COMMANDS, load, run

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = [
    "serve",
    "demo",
    "verify",
    "inspect",
    "incidents",
    "orgs",
    "contacts",
    "calls",
    "compose",
    "approvals",
    "outbox",
    "held",
    "inquiries",
    "review",
    "search",
    "attachments",
    "keys",
    "dns",
    "identity",
    "db",
    "audit",
    "tokens",
    "teams",
    "webhooks",
    "accounts",
    "replay",
    "bench",
]


def all_commands() -> list[tuple[str, Any]]:
    """Every command and subcommand with its full name."""
    found = []
    for name in COMMANDS:
        command = load(name)
        found.append((name, command))
        found += [(f"{name} {sub}", one) for sub, one in getattr(command, "commands", {}).items()]
    return found


def test_the_commands_are_those_of_the_contract() -> None:
    assert list(COMMANDS) == CONTRACT


def test_every_command_has_help_and_stands_in_the_document() -> None:
    document = (ROOT / "docs" / "commands.md").read_text()
    for name, command in all_commands():
        assert command.help, name
        assert f"`expertmail {name}" in document, name


def test_help_lists_every_command_without_loading_any() -> None:
    code = (
        "import sys, expertmail.cli as c; c.run(['--help']);"
        "print([m for m in ('sqlalchemy', 'dns', 'pydantic', 'uvicorn') if m in sys.modules])"
    )
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert time.perf_counter() - started < 5  # 0.3 s on an idle machine; tests share theirs
    assert done.stdout.rstrip().endswith("[]")
    for name in CONTRACT:
        assert f" {name} " in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing-like-it",),
        ("--bogus",),
        ("incidents", "show"),
        ("incidents", "open", "--bogus"),
        ("contacts", "add", "a@b.test", "--name", "A", "--org", "B", "--kind", "friend"),
        ("outbox", "show", "x"),
        ("keys", "generate", "../escape"),
    ],
)
def test_bad_usage_ends_with_64_and_one_sentence(
    command: Callable[..., Any], arguments: tuple[str, ...]
) -> None:
    ended = command(*arguments)
    assert ended.code == 64
    assert ended.err.startswith("expertmail: ")
    assert "Traceback" not in ended.err


def test_a_misspelt_command_is_guessed(command: Callable[..., Any]) -> None:
    assert "incidents" in command("incident").err


def test_a_fault_of_the_settings_is_one_line(command: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("[smtp]\nprot = 1\n")
    ended = command("contacts", "list", "--config", "s.toml")
    assert ended.code == 78
    assert ended.err.count("\n") == 1
    assert "did you mean smtp.port?" in ended.err


def test_a_fault_of_ours_is_one_sentence_that_quotes_nothing(monkeypatch, capsys) -> None:
    def broken(_name: str) -> Any:
        raise LookupError("what a message said")

    monkeypatch.setattr("expertmail.cli.load", broken)
    assert run(["verify", "x"]) == 70
    said = capsys.readouterr().err
    assert "LookupError at test_cli.py:" in said
    assert "what a message said" not in said
    assert len(said.splitlines()) == 1


def test_the_version_says_in_which_form_the_verifier_is(command: Callable[..., Any]) -> None:
    assert command("--version").out.strip().endswith(("(verifier as Python)", "(verifier as machine code)"))
