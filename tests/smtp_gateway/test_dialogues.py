"""Every dialogue of ``dialogues/`` in every way of sending; see ``dialogue`` for what the files mean."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.smtp_gateway.dialogue import FOLDER, MODES, Dialogue, octets_of, play, read_dialogues

DIALOGUES = [dialogue for path in sorted(FOLDER.glob("*.txt")) for dialogue in read_dialogues(path)]
COMMANDS = ["HELO", "EHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "VRFY", "EXPN", "HELP", "AUTH", "STARTTLS", "QUIT"]


@pytest.mark.parametrize(
    ("dialogue", "mode"),
    [pytest.param(d, mode, id=f"{d.name}, {mode}") for d in DIALOGUES for mode in d.modes],
)
def test_dialogue(dialogue: Dialogue, mode: str, certificate: tuple[str, str]) -> None:
    asyncio.run(play(dialogue, mode, certificate))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "wrong",
    [
        "S: 220 *\nC: NOOP\nS: 251 *",
        "S: 220 *\nC: NOOP\nS: 250 2.0.0",
        "S: 220 *\nCLOSED",
        "S: 220 *\nC: EHLO x\nS: 251-...\nS: 251 *",
        "S: 220 *\nSTORED: 1",
    ],
)
def test_a_server_that_says_something_else_is_found_out(
    wrong: str, mode: str, certificate: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.smtp_gateway.dialogue.SECONDS", 0.3)
    path = tmp_path / "wrong.txt"
    path.write_text(wrong)
    (dialogue,) = read_dialogues(path)
    with pytest.raises((AssertionError, TimeoutError)):
        asyncio.run(play(dialogue, mode, certificate))


def test_every_command_is_tried_in_every_state() -> None:
    states = sorted(FOLDER.glob("state-*.txt"))
    assert len(states) == 7
    for path in states:
        text = path.read_text("utf-8").partition("\n---")[2]
        tried = set(re.findall(r"^(?:C: )?([A-Z]+)", text, re.MULTILINE))
        assert set(COMMANDS) - tried == set(), path.name


def test_escapes_are_octets() -> None:
    assert octets_of(r"a\r\n.\0\xff\\n") == b"a\r\n.\0\xff\\n"


def test_a_line_that_is_none_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("S 220\n")
    with pytest.raises(ValueError, match=r"x\.txt:1"):
        list(read_dialogues(path))
