"""What dkimpy signs, we pass; what changes a signed message, both refuse; hostile messages cost us nothing.

``FULL=1`` compares 10,000 messages instead of some hundreds; the same ones each time. Where the two differ on purpose in
what is generated here is the table ``DIFFERENCES``; what is not generated has its row in ``test_dkim``:
- RFC 6376 3.5, 5.4: h= without From; RFC 8301 3.1: rsa-sha1; 8.2: l=; 3.6.1: k=, t=s, t=y, h= of the key;
- RFC 6376 3.5 q= and 3.6.1 s= with several values, which dkimpy refuses;
- RFC 5322 2.2: "From : x" is a From field, which dkimpy does not see;
- RFC 5322 2.3: a bare LF is no line end, which dkimpy makes one of (we never accept either);
- a body whose last line ends without CRLF and with blanks: they are blanks at the end of a line (3.4.4 (a)).
"""

from __future__ import annotations

import base64
import os
import random
import time
from collections import Counter
from collections.abc import Callable

import dkim
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.verifier.dkim_transit import CHANGES
from tests.verifier.dkimpy_signing import BITS, NOW, clock, message, signed_by_dkimpy, verdict_of_dkimpy
from tests.verifier.signing import GOOD, ed_key, ed_record, pem, result, results, rsa_record, signed, zone
from verifier import canonical
from verifier.canonical import has_bare_line_ends
from verifier.dkim import CLOCK_TOLERANCE
from verifier.dkim_reason import DkimReason
from verifier.dkim_signature import read_signature
from verifier.evidence import Opinion
from verifier.message import Defect, read_message
from verifier.opinion_dkimpy import opinion_of
from verifier.report import AuthResult, DkimResult

KEYS = {"rsa._domainkey.example.com.": rsa_record(), "ed._domainkey.example.com.": ed_record()}

_TEXT = st.text(st.sampled_from("abcXYZ 019.,:;=<>@\t()'\"é"), max_size=60).map(str.strip)
_NAMES = st.sampled_from(
    ["X-One", "x-two", "Reply-To", "Received", "MIME-Version", "List-Id", "Content-Type"]
)
_FOLDED = st.lists(_TEXT.filter(bool), min_size=1, max_size=3).map("\r\n\t ".join)
_LINES = st.lists(st.text(st.sampled_from("abc \t.=é"), max_size=30), max_size=12)
_METHODS = st.sampled_from([b"simple", b"relaxed"])


@st.composite
def _messages(draw: st.DrawFn) -> bytes:
    fields = [("From", "Alice <alice@example.com>"), ("To", "bob@example.net"), ("Subject", draw(_FOLDED))]
    fields += draw(st.lists(st.tuples(_NAMES, _FOLDED), max_size=6))
    order = draw(st.permutations(fields))
    header = "".join(f"{name}:{draw(st.sampled_from(['', ' ', '  ']))}{value}\r\n" for name, value in order)
    return (header + "\r\n" + "".join(f"{line}\r\n" for line in draw(_LINES))).encode()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_messages(), _METHODS, _METHODS, st.booleans(), st.data())
def test_we_and_dkimpy_agree_on_what_dkimpy_signs_and_on_every_change(
    raw: bytes, header: bytes, body: bytes, edwards: bool, data: st.DataObject
):
    names = [
        b"from",
        b"subject",
        *data.draw(st.lists(st.sampled_from([b"to", b"x-one", b"from", b"reply-to"]))),
    ]
    signature = dkim.sign(
        raw,
        b"ed" if edwards else b"rsa",
        b"example.com",
        base64.b64encode(ed_key().private_bytes_raw()) if edwards else pem(),
        canonicalize=(header, body),
        signature_algorithm=b"ed25519-sha256" if edwards else b"rsa-sha256",
        include_headers=names,
    )
    whole = signature + raw
    got = result(whole)
    assert got.result is AuthResult.PASS, got
    assert opinion_of(whole, 0, KEYS) is Opinion.PASS

    at = data.draw(st.integers(len(signature), len(whole) - 1))
    changed = whole[:at] + data.draw(st.sampled_from([b"", b"x", b" ", b"\t"])) + whole[at + 1 :]
    ours = result(changed)
    message = read_message(changed)
    odd = set(message.defects) - {Defect.NON_ASCII_HEADER}
    if odd or has_bare_line_ends(changed, message.body_start):
        assert not ours.acceptable
    else:
        theirs = opinion_of(changed, 0, KEYS)
        assert (ours.result is AuthResult.PASS) == (theirs is Opinion.PASS), (ours, theirs)


MESSAGES = 10_000 if os.environ.get("FULL") == "1" else 400


def _odd(raw: bytes) -> bool:
    """Line ends that are read in two ways, and header lines that are no fields."""
    read = read_message(raw)
    known = {Defect.NON_ASCII_HEADER, Defect.WSP_BEFORE_COLON, Defect.LINE_TOO_LONG}
    return bool(set(read.defects) - known) or has_bare_line_ends(raw, read.body_start)


def _blank_end(raw: bytes, ours: DkimResult) -> bool:
    """The last line of the body ends with blanks and without CRLF, and nothing but the body hash is at stake."""
    return raw.endswith((b" ", b"\t")) and ours.reason in (None, DkimReason.BODY_CHANGED)


def _hours_ahead(raw: bytes, ours: DkimResult) -> bool:
    """t= lies further ahead than the ten hours that dkimpy allows, and within the day that we allow."""
    time = read_signature(read_message(raw).named(b"dkim-signature")[ours.position]).time
    return time is not None and 36_000 < time - NOW <= CLOCK_TOLERANCE


# Where the two may differ: by what one sees it, the section that says we are right, and our word (None: either).
_Row = tuple[Callable[[bytes, DkimResult], bool], str, bool | None]
DIFFERENCES: dict[str, _Row] = {
    "l= leaves room for more": (lambda _, r: r.reason is DkimReason.BODY_LENGTH_LIMIT, "RFC 6376 8.2", False),
    "l= is more than the body": (
        lambda _, r: r.reason is DkimReason.LENGTH_TOO_LARGE,
        "RFC 6376 3.5 l=",
        False,
    ),
    "x= is past": (lambda _, r: r.reason is DkimReason.EXPIRED, "RFC 6376 3.5 x=", False),
    "x= is not later than t=": (lambda _, r: "x= is not later" in r.detail, "RFC 6376 3.5 x=", False),
    "From is not signed": (lambda _, r: r.reason is DkimReason.FROM_NOT_SIGNED, "RFC 6376 5.4", False),
    "rsa-sha1": (lambda _, r: r.reason is DkimReason.WEAK_ALGORITHM, "RFC 8301 3.1", False),
    "t= is some hours ahead": (_hours_ahead, "RFC 6376 3.5 t=", True),
    "blanks end the body": (_blank_end, "RFC 6376 3.4.4 (a)", None),
}


@pytest.mark.parametrize("chunk", [canonical.CHUNK, 5], ids=["whole bodies", "bodies in chunks"])
def test_we_and_dkimpy_agree_on_messages_of_all_kinds_and_on_what_becomes_of_them_in_transit(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canonical, "CHUNK", chunk)
    chance = random.Random(20_261_125)
    counts: Counter[str] = Counter()
    known = zone(rsa=rsa_record(BITS))
    with clock():
        for number in range(MESSAGES):
            raw = message(chance)
            for _ in range(chance.choice((1, 1, 1, 2, 3))):
                raw = signed_by_dkimpy(raw, chance)
            changes = ["nothing", *chance.choices(list(CHANGES), k=2)]
            for change in changes:
                raw = CHANGES[change](raw, chance)
                for ours in results(raw, known):
                    theirs = verdict_of_dkimpy(raw, ours.position)
                    counts[_compared(raw, ours, theirs, f"{number}, {change}")] += 1
    told = dict(sorted(counts.items()))
    print(f"\n{MESSAGES} messages, {counts.total()} verifications: {told}")
    assert counts["both pass"] > counts.total() // 6
    assert counts["both fail"] > counts.total() // 6
    assert set(DIFFERENCES) <= set(counts), "a row of the table that nothing needs"


def _compared(raw: bytes, ours: DkimResult, theirs: bool | None, case: str) -> str:
    """In which way the two agree, or differ for a known reason."""
    passes = ours.result is AuthResult.PASS
    if _odd(raw):
        assert not ours.acceptable, (case, ours, raw)
        return "odd line ends or no fields, and not accepted"
    if passes is theirs:
        return "both pass" if passes else "both fail"
    if theirs is None and not passes:
        return "dkimpy breaks off, and we refuse"
    for what, (sees, section, word) in DIFFERENCES.items():
        if word in (None, passes) and sees(raw, ours):
            assert section
            return what
    raise AssertionError((case, ours, theirs, raw))


def test_every_truncation_of_a_signed_message_is_judged():
    raw = signed(signed(a="ed25519-sha256"))
    for end in range(len(raw) - len(b" \r\n")):  # which is nothing at the end of a relaxed body
        assert not any(r.result is AuthResult.PASS and r.acceptable for r in results(raw[:end])[:1]), end
    assert results(raw)[0].acceptable


def test_every_changed_byte_of_the_signature_field_is_judged():
    raw = signed(a="ed25519-sha256")
    end = raw.index(b"From:")
    for at in range(end):
        for octet in (b"\0", b";", b"=", b"\r\n", b"\xff", b" "):
            for got in results(raw[:at] + octet + raw[at + 1 :]):
                assert got.result in AuthResult


_B = signed().partition(b"; b=")


@pytest.mark.parametrize(
    ("what", "raw"),
    [
        ("a million spaces in the body", signed(GOOD + b" " * 1_000_000 + b"x\r\n")),
        ("a million spaces in a field", b"X: " + b" " * 900_000 + b"x\r\n" + signed()),
        ("b= with 16,000 folds", _B[0] + b"; b=" + b"\r\n A" * 16_000 + b"\r\n" + GOOD),
        ("65,000 fields", b"A: 1\r\n" * 65_000 + signed()),
        ("h= with 50,000 names", signed(h="from:" + "x:" * 50_000 + "to")),
        ("h= with From 50,000 times", signed(h="from:" * 50_000 + "to")),
        ("50,000 tags", signed(extra="".join(f"t{n}=; " for n in range(50_000)))),
        ("a selector of a million octets", signed(s="a." * 400_000 + "a")),
        ("a number of a million digits", signed(t="9" * 900_000)),
        ("100 signatures over a megabyte", signed(GOOD + b"ab \r\n" * 200_000).partition(b"From:")[0] * 100
         + GOOD + b"ab \r\n" * 200_000),
        ("a million empty lines", signed(GOOD + b"\r\n" * 500_000)),
        ("NUL everywhere", b"\0" * 1_000_000),
        ("nothing but semicolons", b"DKIM-Signature: " + b";" * 900_000 + b"\r\n" + GOOD),
        ("nothing but equals signs", b"DKIM-Signature: " + b"=" * 900_000 + b"\r\n" + GOOD),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_hostile_messages_are_judged_in_linear_time(what: str, raw: bytes):
    started = time.process_time()
    results(raw)
    assert time.process_time() - started < 1, what  # takes up to 100 ms


def test_an_expensive_key_record_costs_nothing():
    started = time.process_time()
    for text in (
        "p=" + "A" * 1_000_000,
        ";" * 1_000_000,
        "p=" + " " * 1_000_000,
        "=" * 1_000_000,
        "\udcff" * 9_000,
    ):
        assert result(signed(), zone(rsa=text)).reason is DkimReason.KEY_SYNTAX
    assert time.process_time() - started < 1


def test_the_same_message_is_worked_out_anew_each_time():
    raw = signed(GOOD + b"x" * 1_000_000 + b"\r\n")
    assert results(raw) == results(raw)
    assert results(raw)[0] is not results(raw)[0]
