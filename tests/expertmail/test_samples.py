"""The packaged samples are what their maker makes, and each gets the verdict that its name promises."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import dkim
import pytest

from verifier.evidence import Question
from verifier.zone import Zone, read_zone

SAMPLES = Path(__file__).resolve().parents[2] / "samples"

# As saved files, without a session: a failing signature alone never makes a saved message a forgery.
VERDICTS = {
    "genuine-notification.eml": "genuine",
    "genuine-unpinned-address.eml": "authentic-unpinned",
    "false-display-name.eml": "forged",
    "false-lookalike-domain.eml": "forged",
    "false-hidden-address.eml": "forged",
    "false-second-from.eml": "forged",
    "false-dmarc-failure.eml": "unproven",
    "false-body-changed.eml": "unproven",
    "false-text-appended.eml": "unproven",
    "false-from-not-signed.eml": "unproven",
    "customer-question.eml": "no-claim",
    "customer-out-of-office.eml": "no-claim",
    "customer-forwards-suspicious.eml": "no-claim",
    "stranger-forwards-suspicious.eml": "no-claim",
    "stranger-with-incident-tag.eml": "no-claim",
}
ATTACHED = {"customer-forwards-suspicious.eml": ["forged"], "stranger-forwards-suspicious.eml": ["forged"]}


def test_the_maker_makes_these_files_byte_for_byte() -> None:
    made = subprocess.run(
        [sys.executable, str(SAMPLES / "make_samples.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr


def test_the_list_of_digests_names_every_message_and_the_zone() -> None:
    lines = (SAMPLES / "SHA256SUMS").read_text().splitlines()
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    found = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in SAMPLES.glob("*.eml")}
    assert {**listed, **found} == listed
    assert listed["zone.db"] == hashlib.sha256((SAMPLES / "zone.db").read_bytes()).hexdigest()


@pytest.mark.parametrize("name", sorted(p.name for p in SAMPLES.glob("*.eml")))
def test_lines_end_as_on_the_wire(name: str) -> None:
    raw = (SAMPLES / name).read_bytes()
    assert raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r"), "a checkout has to leave *.eml alone"


def test_each_sample_gets_its_verdict_as_a_saved_file() -> None:
    assert {p.name for p in SAMPLES.glob("*.eml")} == set(VERDICTS)
    told = subprocess.run(
        [sys.executable, "-m", "expertmail", "verify", str(SAMPLES), "--zone", str(SAMPLES / "zone.db"), "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 1, told.stderr
    reports = {Path(r["file"]).name: r for r in map(json.loads, told.stdout.splitlines())}
    assert {name: reports[name]["verdict"] for name in VERDICTS} == VERDICTS
    for name, inner in ATTACHED.items():
        assert [one["verdict"] for one in reports[name]["inner"]] == inner


@pytest.fixture(scope="module")
def zone() -> Zone:
    return read_zone((SAMPLES / "zone.db").read_text())


@pytest.mark.parametrize("name", sorted(VERDICTS))
def test_dkimpy_reads_the_signatures_as_they_were_meant(name: str, zone: Zone) -> None:
    def txt(asked: bytes, timeout: int = 5) -> bytes | None:
        records = zone.answer(Question.of(asked.decode(), "TXT")).records
        return records[0].encode() if records else None

    raw = (SAMPLES / name).read_bytes()
    try:
        passes = dkim.verify(raw, dnsfunc=txt)
    except dkim.DKIMException:
        passes = False
    # dkimpy takes l= and signatures that leave From out; that is why it is no judge of ours.
    assert passes is (name != "false-body-changed.eml")
