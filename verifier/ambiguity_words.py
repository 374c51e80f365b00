"""The reason ``readers-differ``: one plain sentence for each field that mail programs read differently."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from verifier.ambiguity_form import WORDS, Ambiguity
from verifier.reason_codes import ReasonCode
from verifier.report import Effect, Reason

_NAMES: Final = {"from": "author field", "sender": "Sender field", "header": "header"}


def readers_differ(ambiguities: Iterable[Ambiguity]) -> tuple[Reason, ...]:
    """A reason for each ambiguity; its evidence names field and form, its section is the form's own."""
    reasons = []
    for field, form in ambiguities:
        says, rfc = WORDS[form]
        name = _NAMES.get(field, f"{field.title()} field")
        text = f"Its {name} {says}: mail programs may show different things."
        reasons.append(Reason(ReasonCode.READERS_DIFFER, text, rfc, Effect.WEAKENS, f"{field}: {form}"))
    return tuple(reasons)
