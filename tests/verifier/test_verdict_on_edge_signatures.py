"""Signatures at the edge of RFC 6376: only the two plain ones lead to "genuine"."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

from tests.verifier.judging import judged, txt
from verifier.identity import Identity
from verifier.report import Verdict

ALICE = (
    Identity(
        "alice",
        domains=("example.com",),
        addresses=("alice@example.com",),
        signing_domains=("example.com",),
    ),
)
GENUINE = {"base-rsa", "base-ed"}


def test_only_a_pass_that_is_acceptable_is_genuine(shared_data) -> None:
    vectors = json.loads((shared_data / "dkim-edge" / "vectors.json").read_text("utf-8"))
    messages = [(base64.b64decode(v["msg"]), txt(v["zone"]), None) for v in vectors]
    reports = judged(messages, ALICE, datetime(2026, 1, 15, 12, 0, tzinfo=UTC))
    proven = {v["id"] for v, r in zip(vectors, reports, strict=True) if r.verdict is Verdict.GENUINE}
    assert proven >= GENUINE
    unwanted = {v["id"] for v in vectors if v["expect"] != "pass" or "t-y" in v["id"]}
    assert not proven & unwanted
    # A saved message is forged for its author field only, never for a signature that fails.
    forged = [r for r in reports if r.verdict is Verdict.FORGED]
    assert all(
        {"malformed-author", "several-authors"} & {reason.code for reason in r.reasons} for r in forged
    )
