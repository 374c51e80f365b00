"""Plain SPF records are judged without pyspf, and exactly as pyspf judges them."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from tests.verifier.judging import txt
from verifier import spf
from verifier.evidence import Session, conclude
from verifier.report import SpfResult
from verifier.spf_plain import is_ipv4, plain_result

AT = datetime(2026, 1, 2, tzinfo=UTC)
CASES = 3_000


def checked(record: str, client: str) -> SpfResult:
    session = Session(client, "mx.sender.test", "user@sender.test")
    return conclude(spf.check_spf(session, "mx.experts.test", AT), txt({"sender.test": record}))


@pytest.mark.parametrize(
    ("records", "client", "expected"),
    [
        (["v=spf1 ip4:192.0.2.0/24 -all"], "192.0.2.255", "pass"),  # RFC 7208 5.6
        (["v=spf1 ip4:192.0.2.0/24 -all"], "192.0.3.0", "fail"),
        (["v=spf1 ip4:192.0.2.7/24 ~all"], "192.0.2.1", "pass"),  # host bits are no error
        (["v=spf1 ip4:192.0.2.1 ~all"], "192.0.2.2", "softfail"),
        (["v=spf1 -ip4:192.0.2.0/25 ip4:192.0.2.0/24 ?all"], "192.0.2.1", "fail"),  # 4.6.2: the first match
        (["v=spf1 ip4:192.0.2.1"], "192.0.2.2", "neutral"),  # 4.7
        (["v=spf1 all -ip4:192.0.2.1"], "192.0.2.1", "pass"),  # 5.1: what follows is not looked at
        (["site-verification=x", "v=spf1 -all"], "192.0.2.1", "fail"),
    ],
)
def test_plain_records_are_judged_by_rfc_7208(records: list[str], client: str, expected: str) -> None:
    assert plain_result(records, client) == expected


@pytest.mark.parametrize(
    "records",
    [
        [],
        ["v=spf1"],
        ["v=spf1 -all", "v=spf1 -all"],  # 4.5: a permanent error
        ["v=spf1 -all", "V=SPF1"],
        ["v=spf10 -all"],
        ["v=spf1 -all "],
        ["v=spf1  -all"],
        ["v=spf1 -all exp=why.sender.test"],
        ["v=spf1 redirect=sender.test"],
        ["v=spf1 include:sender.test -all"],
        ["v=spf1 a mx -all"],
        ["v=spf1 ip6:2001:db8::/32 -all"],
        ["v=spf1 ip4:192.0.2.0/0 -all"],
        ["v=spf1 ip4:192.0.2.0/33 -all"],
        ["v=spf1 ip4:192.0.2.0/024 -all"],
        ["v=spf1 ip4:192.0.2.01 -all"],
        ["v=spf1 ip4:192.0.2 -all"],
        ["v=spf1 ip4:192.0.2.256 -all"],
        ["v=spf1 ip4:١٩٢.0.2.1 -all"],
        ["v=spf1 -all\n"],
        ["v=spf1 -all\N{NO-BREAK SPACE}"],
        ["v=spf1" + " ip4:192.0.2.1" * 60],
    ],
)
def test_whatever_is_not_plain_is_left_to_pyspf(records: list[str]) -> None:
    assert plain_result(records, "192.0.2.1") is None


@pytest.mark.parametrize(
    "text", ["", "192.0.2", "192.0.2.1 ", "192.0.2.01", "::1", "[192.0.2.1]", "192.0.2.1\n"]
)
def test_only_canonical_addresses_are_taken_as_they_stand(text: str) -> None:
    assert not is_ipv4(text)


def test_it_says_what_pyspf_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same question with and without the short way, over random records of plain terms, some of them broken."""
    chance = random.Random(7208)
    taken = 0
    for _ in range(CASES):
        record, client = _record(chance), _near(chance)
        taken += plain_result([record], client) is not None
        short = checked(record, client)
        with monkeypatch.context() as without:
            without.setattr(spf, "plain_result", lambda *_: None)
            assert checked(record, client) == short, (record, client)
    assert CASES / 3 < taken < CASES


def _near(chance: random.Random) -> str:
    return ".".join(str(chance.choice((0, 1, 127, 128, 192, 255))) for _ in range(4))


def _record(chance: random.Random) -> str:
    terms = ["v=spf1"]
    for _ in range(chance.randrange(1, 6)):
        sign = chance.choice(("", "", "+", "-", "~", "?"))
        if chance.random() < 0.2:
            terms.append(sign + "all")
            continue
        prefix = chance.choice(("", "", f"/{chance.randrange(1, 33)}", f"/{chance.randrange(0, 40)}"))
        broken = chance.random() < 0.03
        terms.append(f"{sign}ip4:{_near(chance)}{'.1' if broken else ''}{prefix}")
    return " ".join(terms)
