"""The whole verdict on messages that were changed: it never raises, and what was signed must be unchanged to be genuine.

The second implementation is taken to agree with everything here, and the sample zone to be the whole DNS, so that
nothing but our own verification stands between a changed message and "genuine".
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.covered import covered, header_fields
from tests.fuzz.fuzzing import SAMPLES, edits, fuzz, mutated
from threads.reading import read
from verifier.evaluate import Context, judge
from verifier.evidence import MAX_OWN_OPINIONS, Evidence, Opinion, Session, conclude
from verifier.identity import Identity
from verifier.message import read_message
from verifier.report import Report, Verdict
from verifier.report_json import as_json
from verifier.zone import read_zone

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
EXPERTS = Identity(
    "experts",
    display_names=("Defender Experts",),
    domains=("experts.test",),
    addresses=("defender-experts@experts.test",),
    signing_domains=("experts.test",),
    always_signs=True,
)
CONTEXT = Context((EXPERTS,), AT, None, "mx.experts.test")
DNS = read_zone((SAMPLES / "zone.db").read_text()).evidence(AT)
AGREES = {number * MAX_OWN_OPINIONS + index: Opinion.PASS for number in range(80) for index in range(8)}
WORLD = Evidence(DNS.answers, AGREES, DNS.absent, AT)
EMLS = {path.name: path.read_bytes() for path in sorted(SAMPLES.glob("*.eml"))}
GENUINE = EMLS["genuine-notification.eml"]
PIECES = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b"\r\n ",
        b"\r\n\r\n",
        b":",
        b";",
        b"=",
        b"\xff",
        b"@",
        b"<",
        b">",
    ),
    *(
        b"From: a@attacker.test\r\n",
        b"\r\nFrom: a@attacker.test",
        b"Reply-To: a@attacker.test\r\n",
        b"Subject: x\r\n",
    ),
    *(
        b"DKIM-Signature: v=1; a=rsa-sha256\r\n",
        b"l=0;",
        b"h=from:",
        b"d=attacker.test;",
        b"bh=;",
        b"t=1;",
        b"c=simple",
    ),
    *(b"Content-Type: multipart/mixed; boundary=x\r\n", b"--x\r\n", b"Content-Type: message/rfc822\r\n\r\n"),
)
MAX_SHARED = 32_768  # larger files of the public mail are left to the time limits


def verdict_on(raw: bytes, context: Context = CONTEXT) -> Report:
    return conclude(judge(read_message(raw), context), WORLD)


SIGNATURE = dict(header_fields(GENUINE))[b"dkim-signature"]
COVERED = covered(GENUINE, SIGNATURE)


def assert_genuine_only_as_signed(raw: bytes) -> None:
    """Genuine means: a signature is there that covers just what the genuine sample's covers, and one author."""
    report = verdict_on(raw)
    if report.verdict is not Verdict.GENUINE:
        return
    fields = header_fields(raw)
    signatures = [
        value for name, value in fields if name == b"dkim-signature" and b"relaxed/relaxed" in value
    ]
    assert any(covered(raw, value) == COVERED for value in signatures), raw
    assert sum(name == b"from" for name, _ in fields) == 1, raw
    assert report.author is not None
    assert report.author.address == "defender-experts@experts.test"


def test_the_genuine_sample_is_genuine() -> None:
    assert verdict_on(GENUINE).verdict is Verdict.GENUINE


def test_the_second_working_out_tells_what_is_covered_from_what_is_not() -> None:
    assert covered(GENUINE.replace(b"Hello", b"Hallo"), SIGNATURE) != COVERED
    assert covered(GENUINE.replace(b"Subject: A", b"Subject: B"), SIGNATURE) != COVERED
    folded = GENUINE.replace(b"Subject: A managed", b"SUBJECT:  A\r\n\tmanaged")
    assert folded != GENUINE
    assert covered(folded, SIGNATURE) == COVERED
    assert verdict_on(folded).verdict is Verdict.GENUINE


@pytest.mark.parametrize("flipped", [0x01, 0x20, 0x80])
def test_an_octet_changed_anywhere_leaves_genuine_only_what_is_still_as_signed(flipped: int) -> None:
    step = 1 if os.environ.get("FULL") == "1" else 2
    for place in range(flipped % step, len(GENUINE), step):
        changed = GENUINE[:place] + bytes((GENUINE[place] ^ flipped,)) + GENUINE[place + 1 :]
        assert_genuine_only_as_signed(changed)


@pytest.mark.parametrize("piece", PIECES)
def test_a_piece_put_in_anywhere_leaves_genuine_only_what_is_still_as_signed(piece: bytes) -> None:
    step = 1 if os.environ.get("FULL") == "1" else 23
    for place in range(len(piece) % step, len(GENUINE) + 1, step):
        assert_genuine_only_as_signed(GENUINE[:place] + piece + GENUINE[place:])


def test_a_message_cut_short_is_never_genuine() -> None:
    end = len(GENUINE.rstrip(b"\r\n"))
    for length in range(0, end, 1 if os.environ.get("FULL") == "1" else 7):
        assert verdict_on(GENUINE[:length]).verdict is not Verdict.GENUINE, length


@fuzz(400)
@given(changes=edits(PIECES))
def test_a_genuine_message_that_was_changed_is_genuine_only_as_signed(changes) -> None:
    """A changed message is never genuine unless all that the signature covers is the same."""
    assert_genuine_only_as_signed(mutated(GENUINE, changes))


@pytest.mark.parametrize("name", [name for name in EMLS if not name.startswith("genuine")])
@fuzz(25)
@given(changes=edits(PIECES))
def test_no_other_sample_becomes_genuine_by_a_change(name, changes) -> None:
    """A verdict never raises, is the same twice, can be written as JSON, and no change makes a false sample genuine."""
    raw = mutated(EMLS[name], changes)
    session = Session("127.0.0.1", "mx.attacker.test", "a@attacker.test")
    report = verdict_on(raw)
    assert report == verdict_on(raw)
    assert report.verdict is not Verdict.GENUINE
    live = verdict_on(raw, Context((EXPERTS,), AT, session, "mx.experts.test"))
    assert live.verdict is not Verdict.GENUINE
    assert as_json(live, None)


@pytest.fixture(scope="module")
def public_mail(shared_data: Path) -> list[bytes]:
    """A spread of the public messages, small ones."""
    files = sorted(path for path in (shared_data / "mail").rglob("*") if path.is_file())
    return [path.read_bytes() for path in files if path.stat().st_size <= MAX_SHARED]


@fuzz(250)
@given(data=st.data())
def test_public_mail_that_was_changed_gets_a_verdict_and_a_reading(public_mail, data) -> None:
    """Verdict and reading never raise, are the same twice, and no public message proves to be the experts'."""
    raw = public_mail[data.draw(st.integers(0, len(public_mail) - 1))]
    raw = mutated(raw, data.draw(edits(PIECES)))
    report = verdict_on(raw)
    assert report == verdict_on(raw)
    assert report.verdict is not Verdict.GENUINE
    assert as_json(report, "file.eml")
    assert read(raw) == read(raw)
