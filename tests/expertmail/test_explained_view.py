"""An explanation at a terminal: every check with result, reason, evidence and RFC, in columns that fit the window."""

from __future__ import annotations

import pytest

from expertmail.explained_view import MAX_WIDTH, MIN_WIDTH, columns, lines_of
from tests.cases.attacks import ATTACKS
from tests.cases.genuine import PROTECTED, genuine, zone
from tests.verifier.judging import judged, txt
from tests.verifier.test_arc import sealed, sealing_records
from verifier.explanation import Explanation, Link, explain

GENUINE = genuine(0).raw
WIDE = 120
NARROW = 80


def told(raw: bytes, width: int = WIDE, **more: str) -> list[str]:
    (report,) = judged([(raw, txt({**zone(), **more}), None)], PROTECTED)
    return list(lines_of(explain(report), width))


def block(lines: list[str], check: str) -> list[str]:
    """The lines of one check, blanks taken together."""
    start = next(n for n, line in enumerate(lines) if line.startswith(f"  {check} "))
    rest = lines[start + 1 :]
    end = next((n for n, line in enumerate(rest) if not line.startswith("   ")), len(rest))
    return [" ".join(line.split()) for line in (lines[start], *rest[:end])]


def test_a_genuine_message_shows_what_was_signed_and_where_the_key_is() -> None:
    lines = told(GENUINE)
    signature = block(lines, "DKIM 1")
    assert signature[0] == "DKIM 1 pass [RFC 6376 6.1]"
    assert "evidence rsa._domainkey.experts.test TXT" in signature
    assert "aligned yes" in signature
    assert any(line.startswith("signed from, to, cc, subject,") for line in signature)
    assert any(line.startswith("oversigned content-transfer-encoding, from, subject") for line in signature)
    opinion = block(lines, "second opinion")
    assert opinion[:2] == [
        "second opinion pass [RFC 6376 6.1]",
        "reason implementations-agree: dkimpy accepts the signature, too.",
    ]


def test_a_failing_check_shows_its_reason_in_words() -> None:
    failing = block(told(ATTACKS["body replaced"].make(GENUINE)), "DKIM 1")
    assert failing[0] == "DKIM 1 fail [RFC 6376 6.1]"
    assert "reason body-changed: the text is not the one that was signed" in failing
    assert not any(line.startswith("aligned") for line in failing)  # of signatures that pass only
    dmarc = block(told(ATTACKS["no signature"].make(GENUINE)), "DMARC")
    assert "reason no-aligned-identifier: nothing that passed is aligned with the author's domain" in dmarc
    assert "policy for mail that fails experts.test asks receivers for: reject" in dmarc


def test_a_signature_that_is_no_proof_says_what_is_not_proven() -> None:
    weak = block(told(ATTACKS["second Content-Type"].make(GENUINE)), "DKIM 1")
    assert "reason duplicate-field:content-type: a field stands there twice and is not protected" in weak
    assert "accepted no: it is no proof" in weak
    assert "unsigned content-type (not proven)" in weak


def test_relays_are_shown_hop_by_hop() -> None:
    arc = block(told(sealed(GENUINE, 2), **sealing_records()), "ARC")
    assert arc[0] == "ARC pass [RFC 8617 5.2]"
    assert [line.split(":")[0] for line in arc[3:]] == ["hop 2 hop2.test", "hop 1 hop1.test"]


def test_the_same_code_of_two_checks_has_the_words_of_its_own_check() -> None:
    (report,) = judged([(genuine(0).raw, txt({}), None)], PROTECTED)
    dmarc = block(list(lines_of(explain(report), WIDE)), "DMARC")
    assert any(line.startswith("reason no-record: no DMARC record applies") for line in dmarc)


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("attack", ATTACKS)
def test_lines_fit_the_window(attack: str, width: int) -> None:
    longest = max(told(ATTACKS[attack].make(GENUINE), width), key=len)
    assert len(longest) <= width, longest


def test_the_chain_stands_in_columns_where_it_fits_and_below_each_other_where_it_does_not() -> None:
    assert any(
        line.startswith("  shown From   defender-experts@experts.test  Proven:") for line in told(GENUINE)
    )
    narrow = told(GENUINE, NARROW)
    assert narrow[1:3] == [
        "  shown From   defender-experts@experts.test",
        "               Proven: the signature below covers it.",
    ]


def test_what_a_message_says_is_made_safe_to_print() -> None:
    hostile = Explanation((Link("signer", "a\x1b[31m\u202eb.test", "It\x00 holds."),), (), ("x\x07",), ())
    for width in (MIN_WIDTH, WIDE):
        assert all(line.isprintable() for line in lines_of(hostile, width))


@pytest.mark.parametrize(("set_to", "width"), [("20", MIN_WIDTH), ("100", 100), ("500", MAX_WIDTH)])
def test_the_width_is_the_windows_within_what_is_readable(
    monkeypatch: pytest.MonkeyPatch, set_to: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", set_to)
    assert columns() == width
