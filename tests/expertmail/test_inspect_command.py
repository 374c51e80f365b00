"""The ``inspect`` command as a person or a program runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from expertmail.cli import run

MESSAGE = (
    b"From: Alex <alex@contoso.test>\r\nTo: query@experts.test\r\nSubject: Re: [INC-000001] Odd sign-in\r\n"
    b"Message-ID: <1@contoso.test>\r\nIn-Reply-To: <0@experts.test>\r\n\r\n"
    b"Yes, that was me.\r\n\r\nOn Nov 25, 2026, Experts <x@experts.test> wrote:\r\n> Was this you?\r\n"
)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "reply.eml"
    path.write_bytes(MESSAGE)
    return path


def test_json_is_one_object_for_each_message(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", "--json", str(saved), str(saved)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    shown = json.loads(first)
    assert shown["file"] == str(saved)
    assert (shown["kind"], shown["base_subject"]) == ("human", "Odd sign-in")
    assert (shown["from"], shown["message_id"], shown["in_reply_to"]) == (
        "alex@contoso.test",
        "1@contoso.test",
        "0@experts.test",
    )
    assert shown["new_text"] == "Yes, that was me."
    assert shown["quoted_text"].endswith("> Was this you?")


def test_a_person_sees_kind_author_tags_and_text(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(saved)]) == 0
    out = capsys.readouterr().out
    for expected in ("human", "alex@contoso.test", "INC-000001", "Yes, that was me.", "Quoted text"):
        assert expected in out


def test_control_characters_and_markup_of_a_mail_do_nothing_to_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "evil.eml"
    path.write_bytes(
        b"From: a@b.test\r\nSubject: \x1b[2J[red]x[/nonsense]\r\n\r\n\x1b]0;owned\x07[bold]\xff\x9b\r\n"
    )
    assert run(["inspect", str(path)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "[red]" in out
    assert "[bold]" in out


def test_standard_input_is_a_message_too(saved: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "expertmail", "inspect", "--json", "-"],
        input=MESSAGE,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout)["subject"] == "Re: [INC-000001] Odd sign-in"


def test_what_cannot_be_read_is_told_and_the_rest_is_shown(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", "--json", "/nowhere/x.eml", str(saved)]) == 66
    shown = capsys.readouterr()
    assert json.loads(shown.out)["kind"] == "human"
    assert "Cannot read /nowhere/x.eml" in shown.err
    assert "Traceback" not in shown.err


def test_no_path_is_bad_usage() -> None:
    assert run(["inspect"]) == 64


@pytest.mark.parametrize(
    "raw", [b"", b"\x00\xff" * 1_000, b"Subject: =?x?b?\xff?=\r\n", b"From: \xed\xa0\x80\r\n\r\n"]
)
def test_no_file_gives_a_traceback(tmp_path: Path, raw: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "odd.eml"
    path.write_bytes(raw)
    assert run(["inspect", str(path)]) == 0
    assert run(["inspect", "--json", str(path)]) == 0
    assert "Traceback" not in capsys.readouterr().err
