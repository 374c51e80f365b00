"""Every code of a signature has words for a person."""

from __future__ import annotations

import pytest

from verifier.dkim_reason import RESULT_OF, DkimReason, Weakness
from verifier.report import AuthResult, DkimResult
from verifier.signature_words import why_not


@pytest.mark.parametrize("reason", DkimReason)
def test_every_reason_has_a_phrase(reason: DkimReason) -> None:
    phrase = why_not(DkimResult(0, RESULT_OF[reason], reason, "a.example", "s", "rsa-sha256"))
    assert phrase != reason
    assert " " in phrase


@pytest.mark.parametrize("weakness", [*Weakness, "unsigned-field:subject"])
def test_every_weakness_has_a_phrase(weakness: str) -> None:
    result = DkimResult(0, AuthResult.PASS, None, "a.example", "s", "rsa-sha256", weaknesses=(weakness,))
    phrase = why_not(result)
    assert " " in phrase
    assert (":" in weakness) == phrase.endswith(")")


def test_a_test_key_without_more_is_told() -> None:
    assert "test" in why_not(
        DkimResult(0, AuthResult.PASS, None, "a.example", "s", "rsa-sha256", testing=True)
    )
