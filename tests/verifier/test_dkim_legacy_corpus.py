"""The corpus of Mail::DKIM, from the years of SHA-1: refused as we are, agreed with under a switch that only tests have.

The switch lets rsa-sha1 and short keys through, so that what is left is canonicalisation and the choice of fields.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import pytest

from verifier import canonical, dkim, dkim_key, dkim_signature
from verifier.dkim import check_dkim
from verifier.evidence import Absent, Answer, AnswerStatus, Evidence, Question, conclude
from verifier.message import read_message
from verifier.report import AuthResult, DkimResult

AT = datetime(2007, 1, 1, tzinfo=UTC)
STATUS = {
    "NXDOMAIN": AnswerStatus.NXDOMAIN,
    "~~Query timed out~~": AnswerStatus.TIMEOUT,
    "~~SERVFAIL~~": AnswerStatus.SERVFAIL,
}
# Signed after drafts older than RFC 4871: no v=, or v=0.2, v=0.5.
DRAFTS = {
    "bad_1.txt",
    *(f"badkey_{number}.txt" for number in range(1, 8)),
    *(f"good_ietf00_{number}.txt" for number in range(1, 6)),
    *(f"{prefix}_ietf01_{number}.txt" for prefix in ("bad", "good", "mine") for number in range(1, 5)),
    "mine_ietf05_1.txt",
    "multiple_1.txt",
    *(f"no_body_{number}.txt" for number in range(1, 4)),
    *(f"ignore_{number}.txt" for number in range(1, 5)),
}
# RFC 6376 took g= out of key records (C.1), so a local part that it does not match is no reason any more.
GRANULARITY = {"badkey_8.txt", "badkey_9.txt", "badkey_12.txt", "badkey_13.txt"}
# Named as to be ignored since it has expired since; at the time of the test it has not.
NOT_EXPIRED_YET = {"ignore_7.txt"}


@pytest.fixture
def corpus(shared_data: Path) -> Path:
    return shared_data / "dkim-mail-dkim-corpus"


def _evidence(corpus: Path, *, sha1: bool = False) -> Evidence:
    answers = {}
    for line in (corpus / "FAKE_DNS.dat").read_text("utf-8").splitlines():
        name, _, text = line.partition(" ")
        if not name or name.startswith("#"):
            continue
        text = text.strip()
        if sha1:
            text = text.replace("h=md5:sha1", "h=md5:sha256")
        status = STATUS.get(text, AnswerStatus.ANSWER)
        records = (text,) if status is AnswerStatus.ANSWER else ()
        answers[Question.of(name, "TXT")] = Answer(status, records, 300)
    return Evidence(MappingProxyType(answers), absent=Absent.NXDOMAIN)


def _judged(corpus: Path, *, legacy: bool = False) -> Iterator[tuple[str, bytes, tuple[DkimResult, ...]]]:
    evidences = {sha1: _evidence(corpus, sha1=sha1) for sha1 in (False, True)}
    for file in sorted((corpus / "corpus").iterdir()):
        raw = file.read_bytes()
        raw = raw if b"\r\n" in raw else raw.replace(b"\n", b"\r\n")
        sha1 = legacy and b"rsa-sha1" in raw
        if legacy:
            _switch(sha1=sha1)
        yield file.name, raw, conclude(check_dkim(read_message(raw), AT), evidences[sha1])


def test_as_we_are_each_weak_signature_is_refused_with_its_reason(corpus: Path) -> None:
    judged = list(_judged(corpus))
    assert len(judged) == 79
    for name, raw, results in judged:
        if b"\ndkim-signature:" not in b"\n" + raw.lower():
            assert results == (), name  # DomainKeys (RFC 4870) is history
            continue
        assert results, name
        for result in results:
            passes = result.result is AuthResult.PASS
            assert passes is (name == "goodkey_ed25519.txt"), name
            assert passes or result.reason, name
            if result.algorithm == "rsa-sha1" and result.reason == "weak-algorithm":
                assert result.result is AuthResult.POLICY


@pytest.fixture
def legacy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for module, name in (
        (canonical, "hashlib"),
        (dkim, "sha256"),
        (dkim_signature, "SHA256_OCTETS"),
        (dkim_key, "_DIGEST_INFO"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))  # so that it is put back
    monkeypatch.setattr(dkim_key, "MIN_RSA_BITS", 384)
    monkeypatch.setitem(dkim_signature._ALGORITHMS, b"rsa-sha1", ("rsa-sha1", "rsa"))
    dkim_key.read_key.cache_clear()
    yield
    dkim_key.read_key.cache_clear()


def _switch(*, sha1: bool) -> None:
    """Let one hash stand for the other in our own core."""
    hash_function = hashlib.sha1 if sha1 else hashlib.sha256
    canonical.hashlib = SimpleNamespace(sha256=hash_function)
    dkim.sha256 = hash_function
    dkim_signature.SHA256_OCTETS = hash_function().digest_size
    prefix = "3021300906052b0e03021a05000414" if sha1 else "3031300d060960864801650304020105000420"
    dkim_key._DIGEST_INFO = bytes.fromhex(prefix)


@pytest.mark.usefixtures("legacy")
@pytest.mark.as_source
def test_with_the_switch_of_the_tests_canonicalisation_agrees_on_all_that_follow_an_rfc(corpus: Path) -> None:
    disagreed = set()
    drafts = set()
    passed = 0
    for name, _, results in _judged(corpus, legacy=True):
        if not results:
            continue
        passes = any(result.result is AuthResult.PASS for result in results)
        if name in DRAFTS:
            drafts.add(name)
            assert not passes, name
            continue
        passed += passes
        if passes is not name.startswith(("good", "multiple")):
            disagreed.add(name)
    assert drafts == {name for name in DRAFTS if (corpus / "corpus" / name).exists()}
    assert disagreed == GRANULARITY | NOT_EXPIRED_YET
    assert passed == 18
