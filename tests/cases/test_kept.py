"""The kept files are what the code makes, each is judged as its line of the index says, and no kind is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cases.attacks import ATTACKS
from tests.cases.kept import FILES, LF_ONLY, SESSION, messages, written
from tests.cases.told import ATTACKS_TOLD, CHANGES_TOLD
from tests.cases.transit import CHANGES
from tests.conftest import ROOT
from verifier.report import Verdict

MOST_OCTETS = 400_000  # of all files: small enough to be read and kept
MOST_LINE = 998  # RFC 5322 2.1.1
INDEX = [json.loads(line) for line in (FILES / "expected.jsonl").read_text("ascii").splitlines()]


def test_the_kept_files_are_made_byte_for_byte() -> None:
    made = written()
    there = {path.name: path.read_bytes() for path in FILES.iterdir() if path.name != "README.md"}
    assert there.keys() == made.keys()
    assert [name for name in made if made[name] != there[name]] == [], "run: python -m tests.cases.kept"


def test_the_command_judges_each_file_as_the_index_says() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "expertmail", "verify", str(FILES), "--json", "--at", SESSION["at"],
         "--zone", str(FILES / "zone.db"), "--identity", str(FILES / "identity.toml")],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert told.returncode == 1, told.stderr  # some are forged
    found = {Path(one["file"]).name: one["verdict"] for one in map(json.loads, told.stdout.splitlines())}
    assert found.keys() == {row["file"] for row in INDEX}
    wrong = {row["file"]: found[row["file"]] for row in INDEX if found[row["file"]] not in row["verdicts"]}
    assert wrong == {}


def test_the_session_changes_no_verdict() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "expertmail", "verify", str(FILES), "--json", "--at", SESSION["at"],
         "--zone", str(FILES / "zone.db"), "--identity", str(FILES / "identity.toml"),
         "--client-ip", SESSION["client_ip"], "--helo", SESSION["helo"], "--mail-from", SESSION["mail_from"]],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    reports = list(map(json.loads, told.stdout.splitlines()))
    right = {row["file"]: row["verdicts"] for row in INDEX}
    assert [r["file"] for r in reports if r["verdict"] not in right[Path(r["file"]).name]] == []
    assert {r["spf"]["reason"] for r in reports} == {"no-record"}


def test_no_kind_is_missing_and_no_attack_may_be_genuine() -> None:
    harmless = {row["case"] for row in INDEX if row["kind"] == "transit"}
    attacks = {row["case"] for row in INDEX if row["kind"] == "attack"}
    assert harmless == {*CHANGES, LF_ONLY}
    assert attacks == set(ATTACKS)
    assert len(harmless) >= 12
    assert len(attacks) >= 20
    for row in INDEX:
        assert set(row["verdicts"]) <= {verdict.value for verdict in Verdict}
        assert row["kind"] != "attack" or "genuine" not in row["verdicts"]
        assert row["kind"] != "transit" or "forged" not in row["verdicts"]


def test_every_case_is_told_in_a_sentence() -> None:
    assert CHANGES_TOLD.keys() == {*CHANGES, LF_ONLY}
    assert ATTACKS_TOLD.keys() == set(ATTACKS)
    assert all(row["done"].endswith(".") for row in INDEX)


@pytest.mark.parametrize("row", INDEX, ids=[row["file"] for row in INDEX])
def test_a_file_is_readable_and_keeps_its_line_ends(row: dict[str, str]) -> None:
    raw = (FILES / row["file"]).read_bytes()
    assert max(map(len, raw.splitlines())) <= MOST_LINE
    assert raw.isascii()
    if row["case"] == LF_ONLY:
        assert b"\r" not in raw
    elif "bare line feed" not in row["case"]:
        assert raw.count(b"\n") == raw.count(b"\r\n") > 10


def test_they_are_few_and_small_and_git_leaves_them_as_they_are() -> None:
    sizes = [path.stat().st_size for path in FILES.iterdir()]
    assert 60 <= len(sizes) <= 120
    assert sum(sizes) < MOST_OCTETS
    assert "tests/cases/files/* -text" in (ROOT / ".gitattributes").read_text("ascii").splitlines()


def test_the_two_messages_are_the_two_ends_of_what_a_signature_bears() -> None:
    methods = {name: (one.header_method, one.body_method) for name, one in messages().items()}
    assert methods == {"plain": ("relaxed", "relaxed"), "parts": ("simple", "simple")}
