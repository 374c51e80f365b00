"""Which thread a message belongs to."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from threads.match import MAX_REFERENCES, match, message_ids, subject_tags, thread_keys
from threads.model import (
    Assignee,
    Candidates,
    Direction,
    KnownMessage,
    MatchRule,
    ReplyToken,
    State,
    Thread,
    ThreadKeys,
    ThreadKind,
)
from verifier.message import read_message

AT = datetime(2026, 11, 25, tzinfo=UTC)
OUT, IN = Direction.OUT, Direction.IN


def thread(number: int) -> Thread:
    return Thread(
        number,
        ThreadKind.INCIDENT,
        f"INC-{number:06d}",
        "x",
        State.ACTIVE,
        None,
        Assignee.UNASSIGNED,
        1,
        AT,
        AT,
    )


def known(**ids: list[tuple[int, Direction]]) -> Candidates:
    return Candidates(
        {1: thread(1), 2: thread(2)},
        {name: tuple(KnownMessage(*hit) for hit in hits) for name, hits in ids.items()},
        {"INC-000001": 1, "INC-000002": 2},
    )


@pytest.mark.parametrize(
    ("why", "keys", "candidates", "expected", "rule"),
    [
        ("nothing", ThreadKeys(), known(), None, MatchRule.NONE),
        ("our address", ThreadKeys(ReplyToken(1, 1)), known(), 1, MatchRule.REPLY_ADDRESS),
        ("an address of a thread that is gone", ThreadKeys(ReplyToken(9, 1)), known(), None, MatchRule.NONE),
        ("a mail we sent", ThreadKeys(None, ("a",)), known(a=[(2, OUT)]), 2, MatchRule.REFERENCES),
        ("a mail we stored", ThreadKeys(None, (), ("a",)), known(a=[(2, IN)]), 2, MatchRule.REFERENCES),
        ("a tag", ThreadKeys(tags=("INC-000002",)), known(), 2, MatchRule.SUBJECT_TAG),
        ("an unknown tag", ThreadKeys(tags=("INC-000009",)), known(), None, MatchRule.NONE),
        (
            "address and reference agree",
            ThreadKeys(ReplyToken(1, 1), ("a",)),
            known(a=[(1, OUT)]),
            1,
            MatchRule.REPLY_ADDRESS,
        ),
        (
            "address and a mail we sent disagree",
            ThreadKeys(ReplyToken(1, 1), ("a",)),
            known(a=[(2, OUT)]),
            None,
            MatchRule.CONFLICT,
        ),
        (
            "mails we sent disagree",
            ThreadKeys(None, ("a",), ("b",)),
            known(a=[(1, OUT)], b=[(2, OUT)]),
            None,
            MatchRule.CONFLICT,
        ),
        (
            "a proof stands over a customer's own reference",
            ThreadKeys(ReplyToken(1, 1), ("a",)),
            known(a=[(2, IN)]),
            1,
            MatchRule.REPLY_ADDRESS,
        ),
        (
            "a proof stands over a tag",
            ThreadKeys(None, ("a",), (), ("INC-000002",)),
            known(a=[(1, OUT)]),
            1,
            MatchRule.REFERENCES,
        ),
        (
            "a copied Message-ID of ours does not count",
            ThreadKeys(None, ("a",)),
            known(a=[(2, IN), (1, OUT)]),
            1,
            MatchRule.REFERENCES,
        ),
        ("two tags", ThreadKeys(tags=("INC-000001", "INC-000002")), known(), None, MatchRule.CONFLICT),
    ],
)
def test_match(
    why: str, keys: ThreadKeys, candidates: Candidates, expected: int | None, rule: MatchRule
) -> None:
    found = match(keys, candidates)
    assert (found.thread_id, found.rule) == (expected, rule), why
    assert found.reason


def test_every_key_that_names_a_thread_is_recorded() -> None:
    keys = ThreadKeys(ReplyToken(1, 1), ("a",), (), ("INC-000002",))
    signals = match(keys, known(a=[(1, OUT)])).signals
    assert [(s.rule, s.thread_id) for s in signals] == [
        (MatchRule.REPLY_ADDRESS, 1),
        (MatchRule.REFERENCES, 1),
        (MatchRule.SUBJECT_TAG, 2),
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b" <a@b>", ("a@b",)),
        (b" <a@b>\r\n\t<c@d>", ("a@b", "c@d")),
        (b" <a@\r\n b>", ("a@b",)),
        (b" a@b", ("a@b",)),
        (b' "your mail of Monday" <a@b> (comment)', ("a@b",)),
        (b" <a@b> <a@b>", ("a@b",)),
        (b" <", ()),
        (b"", ()),
        (b" \xff\xfe<a@b>", ("a@b",)),
        (b" <a\x00@b>", ()),
        (b" <" + b"x" * 2_000 + b"@y>", ()),
    ],
)
def test_message_ids_are_found_in_odd_fields(value: bytes, expected: tuple[str, ...]) -> None:
    assert message_ids(value) == expected


def test_the_newest_of_too_many_references_are_kept() -> None:
    found = message_ids(b" ".join(b"<%d@x>" % number for number in range(1_000)))
    assert len(found) == MAX_REFERENCES
    assert found[-1] == "999@x"


@pytest.mark.parametrize(
    ("subject", "tags"),
    [
        ("Re: [INC-000001] Odd sign-in", ("INC-000001",)),
        ("AW: [inc-1]", ("INC-000001",)),
        ("[INQ-000007] [SVC-000002]", ("INQ-000007", "SVC-000002")),
        ("INC-000001 without brackets", ()),
        ("[INC-]", ()),
        ("[INC-١]", ()),
    ],
)
def test_subject_tags(subject: str, tags: tuple[str, ...]) -> None:
    assert subject_tags(subject) == tags


def test_keys_come_from_a_message() -> None:
    message = read_message(
        b"From: a@b.test\r\nSubject: =?utf-8?q?Re=3A_=5BINC-000003=5D?=\r\n"
        b"In-Reply-To: <p@x>\r\nReferences: <q@x>\r\n <p@x>\r\n\r\nhello"
    )
    keys = thread_keys(message, ReplyToken(3, 4))
    assert keys == ThreadKeys(ReplyToken(3, 4), ("p@x",), ("q@x", "p@x"), ("INC-000003",))
    assert keys.message_ids == ("p@x", "q@x")


@pytest.mark.parametrize("value", [b"<" * 1_000_000, b"<a@b>" * 200_000, b"a@b " * 250_000, b">" * 1_000_000])
def test_a_megabyte_of_references_takes_no_time(value: bytes) -> None:
    start = time.perf_counter()
    message_ids(value)
    assert time.perf_counter() - start < 5
