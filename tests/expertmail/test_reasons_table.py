"""docs/reasons.md is what the code says, and no code is missing from it."""

from __future__ import annotations

import ast
from pathlib import Path

from expertmail.reason_effects import effects
from expertmail.reason_words import ADDRESS, SPF, SPF_RESULTS
from expertmail.reasons_table import ARC, DMARC, MEANING, markdown
from verifier import dmarc, dmarc_7489, spf
from verifier.address import AddressCode
from verifier.arc_set import ArcReason
from verifier.dkim_reason import DkimReason, Weakness
from verifier.reason_codes import RFC, RFC_7489, ReasonCode
from verifier.report import Effect
from verifier.signature_words import REASONS, WEAKNESSES
from verifier.spf_reason import SpfReason

DOCUMENT = Path(__file__).parents[2] / "docs" / "reasons.md"


def test_the_document_is_up_to_date() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert document == markdown(), "run: python -m expertmail.reasons_table > docs/reasons.md"


def test_every_code_has_words() -> None:
    assert MEANING.keys() == set(ReasonCode)
    assert RFC.keys() <= set(ReasonCode)
    assert RFC_7489.keys() == {code for code, section in RFC.items() if section.startswith("RFC 9989")}
    assert ARC.keys() == set(ArcReason)
    assert REASONS.keys() == set(DkimReason)
    assert WEAKNESSES.keys() == set(Weakness)
    assert SPF.keys() == set(SpfReason)
    assert SPF_RESULTS.keys() == set(spf._RESULTS.values())
    assert ADDRESS.keys() == set(AddressCode)
    assert effects().keys() == set(ReasonCode)


def test_effects_are_read_off_the_calls_that_make_reasons() -> None:
    found = effects()
    assert found[ReasonCode.SIGNED_BY_IDENTITY] == (Effect.PROVES,)
    assert found[ReasonCode.IMITATES_DOMAIN] == (Effect.CONTRADICTS,)
    assert found[ReasonCode.DMARC_FAIL] == (Effect.WEAKENS,)
    assert "| `nothing-claimed` | informs |" in markdown()


def test_every_reason_that_dmarc_gives_stands_there() -> None:
    trees = [ast.parse(Path(module.__file__).read_text(encoding="utf-8")) for module in (dmarc, dmarc_7489)]
    given = set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.keyword) and node.arg == "reason" and isinstance(node.value, ast.Constant):
            given.add(node.value.value)
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "reason":
            constants = (part for part in ast.walk(node.value) if isinstance(part, ast.Constant))
            given |= {part.value for part in constants if isinstance(part.value, str)}
    assert given == set(DMARC)


def test_no_text_takes_the_published_policy_for_the_result_of_the_message() -> None:
    for text in (*MEANING.values(), *DMARC.values()):
        assert "reject" not in text
        assert "quarantine" not in text
