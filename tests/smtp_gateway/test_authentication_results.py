"""Authentication-Results: the public suite, and fields that claim to be ours."""

from __future__ import annotations

import base64
import contextlib
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from smtp_gateway.authentication_results import forged_fields, is_forged, write_field
from smtp_gateway.paths import EMPTY_PATH
from smtp_gateway.paths import Path as MailPath
from verifier.authres import AuthresError, read_field
from verifier.message import read_message
from verifier.report import (
    ArcResult,
    AuthorView,
    AuthResult,
    DkimResult,
    DmarcResult,
    Report,
    SpfResult,
    Verdict,
)

# Contested by the suite's own words; ours is its first answer everywhere.
EXPECTED_CASES = 84


def _value(case: dict[str, Any]) -> bytes:
    if "value" in case:
        return str(case["value"]).encode()
    if "value_b64" in case:
        return base64.b64decode(case["value_b64"])
    gen = case["value_gen"]
    return (
        gen["prefix"]
        + gen["unit"] * gen["count"]
        + gen["middle"]
        + gen["unit2"] * gen["count"]
        + gen["suffix"]
    ).encode()


def _as_expected(value: bytes) -> dict[str, Any]:
    try:
        field = read_field(value)
    except AuthresError:
        return {"invalid": True}
    results = []
    for result in field.results:
        properties: dict[str, Any] = {}
        for name, text in result.properties:
            if name in properties:
                earlier = properties[name]
                properties[name] = [*earlier, text] if isinstance(earlier, list) else [earlier, text]
            else:
                properties[name] = text
        results.append(
            {
                "method": result.method,
                "method_version": result.method_version,
                "result": result.result,
                "reason": result.reason,
                "properties": properties,
            }
        )
    return {"authserv_id": field.authserv_id, "version": field.version, "results": results}


def test_every_case_of_the_public_suite_is_read_as_expected_or_refused(shared_data: Path) -> None:
    cases = yaml.safe_load((shared_data / "authres" / "cases.yml").read_text())["cases"]
    assert len(cases) == EXPECTED_CASES
    wrong = {}
    for case in cases:
        got = _as_expected(_value(case))
        wanted = [case["expect"]]
        if case.get("contested"):
            wanted += [{**case["expect"], **alternative} for alternative in case.get("alternatives", [])]
        if got not in wanted:
            wrong[case["id"]] = got
    assert wrong == {}


@pytest.mark.parametrize(
    "value",
    [
        b"mx.experts.test; dmarc=pass header.from=bank.example",
        b" MX.Experts.Test. ; none",
        b"(x) mx.experts.test 1; spf=pass",
        b'"mx.experts.test"; spf=pass',
        b"mx.experts.test; dmarc=pass action=none",  # not grammatical, but others may read it
        b"mx.experts.test 2; dmarc=pass",
    ],
)
def test_a_field_with_our_id_from_outside_is_known_as_forged(value: bytes) -> None:
    assert is_forged(value, "mx.experts.test")


@pytest.mark.parametrize(
    "value",
    [
        b"mx.experts.test.evil.test; dmarc=pass",
        b"(mx.experts.test) evil.test; spf=pass smtp.mailfrom=example.net",
        b"mx.google.com; dkim=pass header.d=mx.experts.test",
    ],
)
def test_a_field_of_somebody_else_is_not_called_ours(value: bytes) -> None:
    assert not is_forged(value, "mx.experts.test")


def test_forged_fields_are_counted_in_a_message() -> None:
    field = b"Authentication-Results: mx.experts.test; dmarc=pass\r\n"
    assert forged_fields(read_message(field + field + b"\r\n"), "mx.experts.test") == 2


def _report(**changes: Any) -> Report:
    values: dict[str, Any] = {
        "verdict": Verdict.NO_CLAIM,
        "sentence": "",
        "author": AuthorView("a@contoso.test", "contoso.test", None),
        "claims": (),
        "dkim": (DkimResult(0, AuthResult.PASS, None, "contoso.test", "s1", "rsa-sha256"),),
        "spf": SpfResult(AuthResult.PASS, "contoso.test"),
        "dmarc": DmarcResult(AuthResult.PASS, "reject"),
        "arc": ArcResult(),
        "reasons": (),
    }
    return Report(**{**values, **changes})


def test_our_own_field_is_read_back_by_our_own_reader() -> None:
    written = write_field(
        _report(), "mx.experts.test", MailPath("bounce+1", "contoso.test"), "mail.contoso.test"
    )
    field = read_field(written.partition(b":")[2])
    assert field.authserv_id == "mx.experts.test"
    assert [(r.method, r.result, dict(r.properties)) for r in field.results] == [
        ("dkim", "pass", {"header.d": "contoso.test", "header.s": "s1"}),
        ("spf", "pass", {"smtp.mailfrom": "bounce+1@contoso.test"}),
        ("dmarc", "pass", {"header.from": "contoso.test", "policy.dmarc": "reject"}),
        ("arc", "none", {}),
    ]


def test_nothing_the_sender_chose_breaks_out_of_our_field() -> None:
    evil = 'x"; dmarc=pass header.from=bank.example (\r\nX: y'
    report = _report(
        author=AuthorView(f"a@{evil}", evil, None),
        dkim=(DkimResult(0, AuthResult.FAIL, "body-hash", evil, evil, None),),
    )
    written = write_field(report, "mx.experts.test", EMPTY_PATH, evil)
    assert written.count(b"\r\n") == 5  # only our own folds and the end
    field = read_field(written.partition(b":")[2])
    assert [r.result for r in field.results] == ["fail", "pass", "pass", "none"]
    assert all("bank.example" not in name for r in field.results for name, _ in r.properties)


def test_a_hostile_field_is_read_in_linear_time() -> None:
    for unit in (b"(", b"(x)", b'"', b"\\", b"a.b=c ", b"; a=b"):
        start = time.perf_counter()
        with contextlib.suppress(AuthresError):
            read_field(b"mx; spf=pass " + unit * (60_000 // len(unit)))
        assert time.perf_counter() - start < 5
