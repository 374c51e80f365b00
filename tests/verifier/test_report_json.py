"""The JSON of a report has exactly the contract's members, with some more beside them."""

from __future__ import annotations

import json
from dataclasses import replace

from verifier.report import (
    ArcResult,
    AuthorView,
    AuthResult,
    Claim,
    ClaimedBy,
    DkimResult,
    DmarcResult,
    Effect,
    Reason,
    Report,
    SpfResult,
    Verdict,
)
from verifier.report_json import as_json

REPORT = Report(
    Verdict.FORGED,
    "Forged.",
    AuthorView("a@b.example", "b.example", "Ä"),
    (Claim("x", ClaimedBy.DISPLAY_NAME, "why"),),
    (DkimResult(0, AuthResult.PASS, None, "b.example", "s", "rsa-sha256", ("from",), ("from",), ("to",)),),
    SpfResult(AuthResult.PASS, "b.example", "mailfrom", "192.0.2.1", "session"),
    DmarcResult(AuthResult.PASS, "reject", "b.example", "b.example", ("dkim", "spf")),
    ArcResult(),
    (Reason("code", "Text.", "RFC 5322", Effect.INFORMS, "evidence"),),
)

# Member -> type, as CONTRACT.md shows them.
SHAPE = {
    "file": str,
    "verdict": str,
    "sentence": str,
    "author": {"address": str, "domain": str, "display": (str, type(None))},
    "claims": [{"identity": str, "by": str, "detail": str}],
    "dkim": [
        {
            "result": str,
            "reason": (str, type(None)),
            "domain": str,
            "selector": str,
            "algorithm": str,
            "aligned": bool,
            "acceptable": bool,
            "signed": [str],
            "unsigned": [str],
        }
    ],
    "spf": {"result": str, "domain": str, "scope": str, "client_ip": str, "source": str},
    "dmarc": {
        "result": str,
        "policy": (str, type(None)),
        "policy_domain": str,
        "org_domain": str,
        "aligned_by": [str],
    },
    "arc": {"result": str, "sealers": [str], "trusted": bool},
    "reasons": [{"code": str, "text": str, "rfc": (str, type(None)), "effect": str}],
    "inner": list,
}


def conforms(value: object, shape: object) -> bool:
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(k in value and conforms(value[k], s) for k, s in shape.items())
    if isinstance(shape, list):
        return isinstance(value, list) and all(conforms(v, shape[0]) for v in value)
    return isinstance(value, shape)  # type: ignore[arg-type]


def test_the_object_has_the_contracts_members_and_survives_json() -> None:
    found = json.loads(json.dumps(as_json(replace(REPORT, inner=(REPORT,)), "x.eml")))
    assert conforms(found, SHAPE)
    assert conforms(found["inner"][0], SHAPE)
    assert found["reasons"][0]["effect"] == "informs"
    assert found["verdict"] == "forged"


def test_no_author_is_null() -> None:
    assert as_json(replace(REPORT, author=None), None)["author"] is None
