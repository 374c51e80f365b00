"""ARC (RFC 8617): the authors' suite, chains of our own against dkimpy, whom to trust, and hostile sets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dkim
import pytest
import yaml
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verifier.signing import ed_key, ed_record, rsa_key, rsa_record
from verifier.arc import check_arc
from verifier.arc_results import claims_of, vouched_for
from verifier.arc_seal import Sealer, seal
from verifier.arc_set import MAX_SETS, ArcReason
from verifier.canonical import relaxed_value
from verifier.evaluate import Context, judge
from verifier.evidence import (
    Absent,
    Answer,
    AnswerStatus,
    Evidence,
    Question,
    Session,
    SessionOrigin,
    conclude,
)
from verifier.identity import Identity
from verifier.message import read_message
from verifier.report import ArcHop, ArcResult, AuthResult, Verdict
from verifier.report_json import as_json
from verifier.tag_list import read_tags

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
SUITE_AT = datetime(2017, 2, 1, tzinfo=UTC)
MESSAGE = (
    b"From: Alex <alex@contoso.test>\r\nTo: query@experts.test\r\nSubject: Hello\r\n"
    b"Date: Thu, 26 Nov 2026 11:00:00 +0000\r\nMessage-ID: <1@contoso.test>\r\n\r\nWords and\tmore words.\r\n"
)


def closed(records: dict[str, str]) -> Evidence:
    answers = {Question.of(n, "TXT"): Answer(AnswerStatus.ANSWER, (v,), 300) for n, v in records.items()}
    return Evidence(MappingProxyType(answers), absent=Absent.NXDOMAIN)


def found(raw: bytes, evidence: Evidence, at: datetime = AT) -> ArcResult:
    return conclude(check_arc(read_message(raw), at), evidence)


# -- the suite of RFC 8617's authors --------------------------------------------------------------------


def _suite(shared_data: Path, name: str) -> list[dict[str, Any]]:
    text = (shared_data / "arc_test_suite" / name).read_text("utf-8")
    return list(yaml.safe_load_all(text))


def test_all_171_validation_cases_of_the_suite(shared_data: Path) -> None:
    wrong: dict[str, tuple[str, str]] = {}
    count = 0
    for scenario in _suite(shared_data, "arc-draft-validation-tests.yml"):
        evidence = closed(scenario["txt-records"])
        for name, case in scenario["tests"].items():
            count += 1
            got = found(case["message"].encode().replace(b"\n", b"\r\n"), evidence, SUITE_AT)
            wanted = (
                case["cv"] or "fail"
            ).lower()  # no word stands for a chain that its sealer called broken
            if got.result.value != wanted:
                wrong[name] = (wanted, got.result.value)
    assert (count, wrong) == (171, {})


def test_all_17_sealing_cases_of_the_suite(shared_data: Path) -> None:
    wrong: list[str] = []
    count = 0
    for scenario in _suite(shared_data, "arc-draft-sign-tests.yml"):
        key = serialization.load_pem_private_key(scenario["privatekey"].encode(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        sealer = Sealer(scenario["domain"], scenario["sel"], "rsa-sha256", _rsa(key))
        for name, case in scenario["tests"].items():
            count += 1
            message = read_message(case["message"].encode().replace(b"\n", b"\r\n"))
            at = datetime.fromtimestamp(case["t"], UTC)
            made = seal(message, case["srv-id"], sealer, at, tuple(case["sig-headers"].encode().split(b":")))
            fields = {field.lower: field.value for field in read_message(made + b"\r\n").fields}
            wanted = {
                b"arc-seal": _plain_tags(case["AS"]),
                b"arc-message-signature": _plain_tags(case["AMS"]),
            }
            got = {n: _plain_tags(fields.get(n, b"").decode()) for n in wanted}
            results = relaxed_value(fields.get(b"arc-authentication-results", b""))
            if got != wanted or results != b" ".join(case["AAR"].encode().split()):
                wrong.append(name)
    assert (count, wrong) == (17, [])


def _plain_tags(text: str) -> dict[bytes, bytes]:
    tags = read_tags(b" ".join(text.encode().split())) if text.strip() else {}
    return {name: value.replace(b" ", b"") for name, value in tags.items()}


# -- chains of our own ----------------------------------------------------------------------------------


def _rsa(key: rsa.RSAPrivateKey) -> Any:
    return lambda digest: key.sign(digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))


def _key() -> rsa.RSAPrivateKey:
    return rsa_key(1024)


@cache
def sealing_records() -> dict[str, str]:
    return {f"s1._domainkey.hop{number}.test": rsa_record(1024) for number in range(1, MAX_SETS + 2)}


def sealed(raw: bytes, hops: int, *, status: str = "pass", dmarc: str = "pass") -> bytes:
    """``raw`` with a chain of that many sets, each by another domain."""
    for number in range(1, hops + 1):
        name = f"hop{number}.test"
        word = "none" if number == 1 else status
        results = f"Authentication-Results: {name}; dmarc={dmarc} header.from=contoso.test; arc={word}\r\n"
        raw = results.encode() + raw
        sealer = Sealer(name, "s1", "rsa-sha256", _rsa(_key()))
        raw = seal(read_message(raw), name, sealer, AT) + raw
    return raw


def dkimpy_says(raw: bytes) -> str:
    records = {(name + ".").encode(): text.encode() for name, text in sealing_records().items()}
    status, _, _ = dkim.arc_verify(raw, dnsfunc=lambda name, timeout=5: records.get(name))  # noqa: ARG005
    word: bytes = status
    return word.decode()


@pytest.mark.parametrize("hops", range(1, 6))
def test_a_chain_of_ours_passes_with_us_and_with_dkimpy_and_is_told_hop_by_hop(hops: int) -> None:
    raw = sealed(MESSAGE, hops)
    got = found(raw, closed(sealing_records()))
    assert (got.result, got.reason) == (AuthResult.PASS, None)
    assert [hop.instance for hop in got.hops] == list(range(hops, 0, -1))
    assert got.sealers == tuple(f"hop{number}.test" for number in range(hops, 0, -1))
    assert all(hop.seal is AuthResult.PASS and hop.message is AuthResult.PASS for hop in got.hops)
    assert {(hop.dmarc, hop.author_domain) for hop in got.hops} == {("pass", "contoso.test")}
    assert dkimpy_says(raw) == "pass"


def _changes(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """A letter changed in each field, and in the body."""
    message = read_message(raw)
    at = 0
    for number, field in enumerate(message.fields):
        middle = at + len(field.raw) - 6
        letter = b"A" if raw[middle : middle + 1] != b"A" else b"B"
        yield f"{number} {field.name.decode()}", raw[:middle] + letter + raw[middle + 1 :]
        at += len(field.raw)
    yield "body", raw[:-4] + b"X" + raw[-3:]


# RFC 6376 5.4 and RFC 8617 4.1.2: what the newest message signature does not cover may change.
_UNCOVERED = ("Authentication-Results",)


@pytest.mark.parametrize("hops", [1, 3])
def test_a_letter_changed_anywhere_is_found_as_dkimpy_finds_it(hops: int) -> None:
    evidence = closed(sealing_records())
    for name, changed in _changes(sealed(MESSAGE, hops)):
        got = found(changed, evidence).result
        wanted = AuthResult.PASS if name.partition(" ")[2] in _UNCOVERED else AuthResult.FAIL
        assert got is wanted, name
        assert (dkimpy_says(changed) == "pass") is (got is AuthResult.PASS), name


def test_a_later_hop_may_change_the_message_and_the_chain_still_holds() -> None:
    once = sealed(MESSAGE, 1)
    changed = once.replace(b"Subject: Hello", b"Subject: [list] Hello")
    name = "hop2.test"
    results = b"Authentication-Results: hop2.test; dmarc=pass header.from=contoso.test; arc=pass\r\n"
    sealer = Sealer(name, "s1", "rsa-sha256", _rsa(_key()))
    twice = seal(read_message(results + changed), name, sealer, AT) + results + changed
    got = found(twice, closed(sealing_records()))
    assert got.result is AuthResult.PASS
    assert [hop.message for hop in got.hops] == [AuthResult.PASS, AuthResult.FAIL]
    assert found(changed, closed(sealing_records())).reason == ArcReason.MESSAGE_CHANGED


def test_ed25519_seals_hold_too() -> None:
    results = b"Authentication-Results: hop1.test; arc=none; dmarc=pass\r\n"
    sealer = Sealer("hop1.test", "e1", "ed25519-sha256", ed_key().sign)
    raw = seal(read_message(results + MESSAGE), "hop1.test", sealer, AT) + results + MESSAGE
    assert found(raw, closed({"e1._domainkey.hop1.test": ed_record()})).result is AuthResult.PASS
    assert found(raw, closed(sealing_records())).reason == ArcReason.KEY


def test_a_key_that_cannot_be_fetched_now_is_a_temporary_error_and_one_that_is_gone_is_not() -> None:
    raw = sealed(MESSAGE, 2)
    for name in sealing_records():
        question = Question.of(name, "TXT")
        base = closed(sealing_records())
        for status, word in (
            (AnswerStatus.SERVFAIL, AuthResult.TEMPERROR),
            (AnswerStatus.TIMEOUT, AuthResult.TEMPERROR),
            (AnswerStatus.NXDOMAIN, AuthResult.FAIL),
            (AnswerStatus.NODATA, AuthResult.FAIL),
        ):
            changed = replace(base, answers={**base.answers, question: Answer(status)})
            got = found(raw, changed).result
            assert got is (
                word if name in ("s1._domainkey.hop1.test", "s1._domainkey.hop2.test") else AuthResult.PASS
            )


def test_a_chain_that_a_sealer_called_broken_stays_broken_and_is_not_sealed_again() -> None:
    raw = sealed(MESSAGE, 2, status="fail")
    got = found(raw, closed(sealing_records()))
    assert (got.result, got.reason) == (AuthResult.FAIL, ArcReason.FAILED_BEFORE)
    results = b"Authentication-Results: hop3.test; arc=fail; dmarc=pass\r\n"
    sealer = Sealer("hop3.test", "s1", "rsa-sha256", _rsa(_key()))
    assert seal(read_message(results + raw), "hop3.test", sealer, AT) == b""


def test_nothing_is_asked_of_dns_where_there_is_no_arc_field_or_no_whole_set() -> None:
    nothing = Evidence(absent=Absent.ASK)  # conclude raises for a question that this leaves open
    assert conclude(check_arc(read_message(MESSAGE), AT), nothing) == ArcResult()
    broken = sealed(MESSAGE, 1).replace(b"cv=none", b"cv=maybe")
    assert conclude(check_arc(read_message(broken), AT), nothing).reason == ArcReason.SEAL_SYNTAX


def test_only_the_newest_message_signature_is_asked_for_while_it_does_not_hold() -> None:
    check = check_arc(read_message(sealed(MESSAGE, 5)[:-4] + b"X\r\n"), AT)
    next(check)
    evidence = Evidence(absent=Absent.ASK)
    assert [q.name for q in check.send(evidence)] == ["s1._domainkey.hop5.test."]
    key = Question.of("s1._domainkey.hop5.test", "TXT")
    with pytest.raises(StopIteration) as ended:
        check.send(evidence.adding({key: Answer(AnswerStatus.ANSWER, (rsa_record(1024),), 300)}))
    assert ended.value.value.reason == ArcReason.MESSAGE_CHANGED


@pytest.mark.parametrize(
    ("fields", "own"),
    [
        ((b"to",), "hop1.test"),
        ((b"from", b"arc-seal"), "hop1.test"),
        ((b"from", b"authentication-results"), "x"),
    ],
)
def test_a_seal_that_may_not_be_is_refused(fields: tuple[bytes, ...], own: str) -> None:
    with pytest.raises(ValueError, match="sealed"):
        seal(read_message(MESSAGE), own, Sealer("hop1.test", "s1", "rsa-sha256", _rsa(_key())), AT, fields)


@pytest.mark.parametrize(
    "results",
    [
        b"",
        b"Authentication-Results: other.test; arc=none\r\n",
        b"Authentication-Results: hop1.test; none\r\n",
        b"Authentication-Results: hop1.test; arc=pass\r\n",  # there is no chain that could have passed
        b"Authentication-Results: hop1.test; arc=none; arc=pass\r\n",
        b"Authentication-Results: hop1.test; (broken\r\n",
    ],
)
def test_without_results_of_ones_own_that_fit_no_set_is_added(results: bytes) -> None:
    sealer = Sealer("hop1.test", "s1", "rsa-sha256", _rsa(_key()))
    assert seal(read_message(results + MESSAGE), "hop1.test", sealer, AT) == b""


# -- whom to believe ------------------------------------------------------------------------------------


def _hop(domain: str, dmarc: str | None = "pass", author: str | None = "contoso.test") -> ArcHop:
    return ArcHop(1, domain, "s", "pass", AuthResult.PASS, AuthResult.PASS, "x", dmarc, author)


@pytest.mark.parametrize(
    ("hops", "trusted"),
    [
        ([_hop("relay.test")], True),
        ([_hop("sub.wide.test")], True),
        ([_hop("wide.test")], False),  # a leading dot stands for subdomains only
        ([_hop("stranger.test")], False),
        ([_hop("stranger.test"), _hop("relay.test")], False),  # a stranger's word about a friend
        ([_hop("relay.test", dmarc="fail"), _hop("stranger.test")], False),
        ([_hop("relay.test", dmarc="fail"), _hop("relay.test")], True),  # it changed the message itself
        ([_hop("relay.test", dmarc=None)], False),
        ([_hop("relay.test", author="other.test")], False),
        ([_hop("relay.test", author=None)], True),
        ([], False),
    ],
)
def test_a_relay_is_believed_as_far_down_as_trust_reaches(hops: list[ArcHop], trusted: bool) -> None:
    sealers = ("relay.test", ".wide.test")
    passing = ArcResult(AuthResult.PASS, hops=tuple(hops))
    assert vouched_for(passing, sealers, "contoso.test") is trusted
    assert not vouched_for(replace(passing, result=AuthResult.FAIL), sealers, "contoso.test")
    assert not vouched_for(passing, sealers, None)
    assert not vouched_for(passing, (), "contoso.test")


@pytest.mark.parametrize(
    ("sealers", "verdict", "code"),
    [
        (("hop1.test",), Verdict.UNPROVEN, "arc-trusted"),
        (("hop2.test",), Verdict.FORGED, "arc-pass"),
        ((), Verdict.FORGED, "arc-pass"),
    ],
)
def test_a_trusted_relay_keeps_a_message_from_being_called_forged_and_never_makes_it_genuine(
    sealers: tuple[str, ...], verdict: Verdict, code: str
) -> None:
    """A mailing list changed what contoso.test had signed, and says that it was in order when it came in."""
    contoso = Identity(
        "contoso", domains=("contoso.test",), signing_domains=("contoso.test",), trusted_sealers=sealers
    )
    session = Session("192.0.2.1", "hop1.test", "list@hop1.test", ("us@experts.test",), SessionOrigin.LIVE)
    evidence = closed({**sealing_records(), "_dmarc.contoso.test": "v=DMARC1; p=reject"})
    report = conclude(judge(read_message(sealed(MESSAGE, 1)), Context((contoso,), AT, session)), evidence)
    assert report.verdict is verdict
    assert report.arc.trusted is (code == "arc-trusted")
    assert code in [reason.code for reason in report.reasons]
    assert as_json(report, None)["arc"]["hops"][0]["dmarc"] == "pass"


@pytest.mark.parametrize(
    ("payload", "dmarc", "author"),
    [
        (b" mx.microsoft.com 1; spf=pass smtp.mailfrom=a.test; dmarc=pass action=none header.from=A.Test; dkim=pass",
         "pass", "a.test"),
        (b" mx.google.com; dkim=pass header.i=@a.test; dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=a.test",
         "pass", "a.test"),
        (b" x; dmarc=fail header.from=a.test", "fail", "a.test"),
        (b" x; (dmarc=pass) spf=fail", None, None),
        (b" x; dmarc=pass header.from=a.test; dmarc=fail header.from=a.test", None, None),
        (b" x; spf=pass reason=dmarc=pass", None, None),
        (b" x; dmarc=pass x-header.from=evil.test", "pass", None),
        (b" x; dmarc=passing-by", None, None),
        (b"", None, None),
        (b"\xff;;;=", None, None),
    ],
)  # fmt: skip
def test_what_a_sealer_says_of_dmarc(payload: bytes, dmarc: str | None, author: str | None) -> None:
    claims = claims_of(payload)
    assert (claims.dmarc, claims.author_domain) == (dmarc, author)


# -- hostile ----------------------------------------------------------------------------------------------


def test_fifty_sets_pass_and_more_are_refused_unread() -> None:
    raw = sealed(MESSAGE, MAX_SETS)
    assert found(raw, closed(sealing_records())).result is AuthResult.PASS
    results = b"Authentication-Results: hop51.test; arc=pass\r\n"
    sealer = Sealer("hop51.test", "s1", "rsa-sha256", _rsa(_key()))
    assert seal(read_message(results + raw), "hop51.test", sealer, AT) == b""
    head = raw[: read_message(raw).body_start - 2]
    many = found(head + raw, closed(sealing_records()))
    assert many.reason == ArcReason.TOO_MANY_SETS


def test_the_cost_grows_with_the_sets_and_not_with_their_square() -> None:
    def cost(hops: int) -> float:
        raw = sealed(MESSAGE, hops)
        started = time.process_time()
        for _ in range(5):
            found(raw, closed(sealing_records()))
        return time.process_time() - started

    cost(10)
    assert cost(40) < 10 * cost(10)  # four times; sixteen would be the square


@pytest.mark.parametrize("name", [b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_field_makes_it_raise_or_pass(name: bytes, data: st.DataObject) -> None:
    pieces = [b"i=1", b"i=2", b";", b"=", b"a=rsa-sha256", b"cv=none", b"d=hop1.test", b"s=s1", b"b=AA==", b"bh=",
              b"h=from", b"\r\n ", b" ", b"\0", b"\xff", b"t=1", b"cv=pass", b"i=99", b"x.test;"]  # fmt: skip
    value = b"".join(data.draw(st.lists(st.sampled_from(pieces), max_size=20)))
    raw = name + b": " + value + b"\r\n" + MESSAGE
    assert found(raw, closed(sealing_records())).result is not AuthResult.PASS
    assert (
        found(name + b": " + value + b"\r\n" + sealed(MESSAGE, 1), closed(sealing_records())).result
        in AuthResult
    )


def test_every_truncation_of_a_sealed_message_is_judged() -> None:
    raw = sealed(MESSAGE, 2)
    for end in range(0, len(raw), 7):
        assert found(raw[:end], closed(sealing_records())).result in AuthResult
