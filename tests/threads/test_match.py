"""Which thread a message belongs to."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from threads.match import MAX_REFERENCES, match, message_ids, subject_tags, thread_keys
from threads.model import (
    Assignee,
    Candidates,
    Direction,
    KnownMessage,
    MatchRule,
    ReplyToken,
    SignalStrength,
    State,
    Thread,
    ThreadKeys,
    ThreadKind,
)
from threads.signals import unknown_ancestors
from verifier.message import read_message

AT = datetime(2026, 11, 25, tzinfo=UTC)
OUT, IN, HOP, REF = Direction.OUT, Direction.IN, Direction.HOP, Direction.REF
MOVED, WAS = Direction.MOVED, Direction.WAS


def thread(number: int, organisation: int = 1) -> Thread:
    return Thread(
        number,
        ThreadKind.INCIDENT,
        f"INC-{number:06d}",
        "x",
        State.ACTIVE,
        None,
        Assignee.UNASSIGNED,
        organisation,
        AT,
        AT,
    )


def known(**ids: list[tuple[int, Direction]]) -> Candidates:
    return Candidates(
        {1: thread(1), 2: thread(2), 3: thread(3), 8: thread(8, organisation=2)},
        {name: tuple(KnownMessage(*hit) for hit in hits) for name, hits in ids.items()},
        {"INC-000001": 1, "INC-000002": 2, "INC-000008": 8},
        domain_organisations=(1,),  # the author's
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
        (
            "two tags, one of another customer's incident",
            ThreadKeys(tags=("INC-000008", "INC-000002")),
            known(),
            2,
            MatchRule.SUBJECT_TAG,
        ),
        (
            "another customer's tag alone is followed, and who speaks there is another question",
            ThreadKeys(tags=("INC-000008",)),
            known(),
            8,
            MatchRule.SUBJECT_TAG,
        ),
        (
            "a mail of ours as SES renamed it",
            ThreadKeys(None, ("a",)),
            known(a=[(2, HOP)]),
            2,
            MatchRule.REFERENCES,
        ),
        (
            "our own word for an ID stands over a smarthost's",
            ThreadKeys(None, ("a",)),
            known(a=[(1, HOP), (2, OUT)]),
            2,
            MatchRule.REFERENCES,
        ),
        (
            "address and a renamed mail disagree",
            ThreadKeys(ReplyToken(1, 1), ("a",)),
            known(a=[(2, HOP)]),
            None,
            MatchRule.CONFLICT,
        ),
        (
            "a sibling by an ancestor that nobody has",
            ThreadKeys(None, (), ("a",)),
            known(a=[(2, REF)]),
            2,
            MatchRule.ANCESTOR,
        ),
        (
            "an ancestor that another customer refers to as well",
            ThreadKeys(None, (), ("a",)),
            known(a=[(8, REF)]),
            None,
            MatchRule.NONE,
        ),
        (
            "an ancestor that two customers share is this one's",
            ThreadKeys(None, (), ("a",)),
            known(a=[(8, REF), (2, REF)]),
            2,
            MatchRule.ANCESTOR,
        ),
        (
            "an ancestor that two threads share names none",
            ThreadKeys(None, (), ("a",)),
            known(a=[(1, REF), (2, REF)]),
            None,
            MatchRule.NONE,
        ),
        (
            "the nearest ancestor says most",
            ThreadKeys(None, (), ("a", "b")),
            known(a=[(1, REF)], b=[(2, REF)]),
            2,
            MatchRule.ANCESTOR,
        ),
        (
            "a mail on record stands over an ancestor that is not",
            ThreadKeys(None, (), ("a", "b")),
            known(a=[(1, IN)], b=[(2, REF)]),
            1,
            MatchRule.REFERENCES,
        ),
        (
            "a tag and an ancestor disagree",
            ThreadKeys(None, (), ("a",), ("INC-000001",)),
            known(a=[(2, REF)]),
            None,
            MatchRule.CONFLICT,
        ),
        (
            "two mails on record, one of another customer's",
            ThreadKeys(None, ("a",), ("b",)),
            known(a=[(8, IN)], b=[(2, IN)]),
            2,
            MatchRule.REFERENCES,
        ),
        (
            "two mails on record disagree",
            ThreadKeys(None, ("a",), ("b",)),
            known(a=[(1, IN)], b=[(2, IN)]),
            None,
            MatchRule.CONFLICT,
        ),
        (
            "a moved mail leads away from the address it was sent to",
            ThreadKeys(ReplyToken(1, 1), ("a",)),
            known(a=[(1, WAS), (2, MOVED)]),
            2,
            MatchRule.REFERENCES,
        ),
        (
            "a moved mail does not lead away from a third thread's address",
            ThreadKeys(ReplyToken(3, 1), ("a",)),
            known(a=[(1, WAS), (2, MOVED)]),
            None,
            MatchRule.CONFLICT,
        ),
        (
            "the question before a moved answer is history",
            ThreadKeys(None, ("a",), ("q", "a")),
            known(q=[(1, OUT)], a=[(1, WAS), (2, MOVED)]),
            2,
            MatchRule.REFERENCES,
        ),
        (
            "a mail of ours after a moved one says where it goes on",
            ThreadKeys(ReplyToken(1, 1), ("b",), ("a", "b")),
            known(a=[(1, WAS), (2, MOVED)], b=[(1, OUT)]),
            1,
            MatchRule.REFERENCES,
        ),
        (
            "where a mail was and no longer is names nothing",
            ThreadKeys(None, ("a",)),
            known(a=[(1, WAS)]),
            None,
            MatchRule.NONE,
        ),
        (
            "a forged copy of a moved mail's ID changes nothing",
            ThreadKeys(None, ("a",)),
            known(a=[(1, WAS), (3, IN), (2, MOVED)]),
            2,
            MatchRule.REFERENCES,
        ),
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


def test_of_each_signal_it_is_said_whether_it_was_followed_and_why_not() -> None:
    keys = ThreadKeys(ReplyToken(1, 1), ("a",), ("b",), ("INC-000002",))
    followed, *others = match(keys, known(a=[(1, OUT)], b=[(2, IN)])).signals
    assert (followed.strength, followed.followed, followed.note) == (SignalStrength.PROOF, True, "")
    assert [(s.strength, s.followed, s.note) for s in others] == [
        (SignalStrength.PROOF, True, ""),
        (SignalStrength.RECORD, False, "INC-000001 is named by a proof"),
        (SignalStrength.HINT, False, "INC-000001 is named by a proof"),
    ]


def test_in_a_conflict_each_side_is_named_and_none_is_followed() -> None:
    keys = ThreadKeys(ReplyToken(1, 1), ("a",), (), ("INC-000002",))
    found = match(keys, known(a=[(2, OUT)]))
    assert found.reason == "its reply address and references name INC-000001 and INC-000002"
    assert [(s.followed, s.note) for s in found.signals] == [
        (False, "signals of this strength name INC-000001 and INC-000002"),
        (False, "signals of this strength name INC-000001 and INC-000002"),
        (False, "stronger signals name several threads"),
    ]


@pytest.mark.parametrize("word", [OUT, MOVED, IN])
def test_what_is_said_of_a_conflict_does_not_grow_with_the_threads_at_each_signal(word: Direction) -> None:
    several = range(1, 1_001)
    candidates = replace(
        known(a=[(number, word) for number in several]), threads={number: thread(number) for number in several}
    )
    found = match(ThreadKeys(None, ("a",)), candidates)
    assert found.rule is MatchRule.CONFLICT
    assert found.reason.endswith("INC-000001, INC-000002, INC-000003 and 997 more")
    assert len(found.signals) == 1_000
    assert max(len(signal.note) for signal in found.signals) < 120


@pytest.mark.parametrize(
    ("days", "proves"), [(0, True), (400, True), (401, False), (4_000, False), (-1, True)]
)
def test_a_reply_address_has_its_time(days: int, proves: bool) -> None:
    token = ReplyToken(1, 1, (AT - timedelta(days=days)).date())
    found = match(ThreadKeys(token), known(), AT)
    assert found.thread_id == (1 if proves else None)
    (signal,) = found.signals
    assert signal.followed is proves
    assert proves or "proves nothing after 400 days" in signal.note


def test_an_old_address_is_no_conflict_with_what_names_another_thread() -> None:
    token = ReplyToken(1, 1, (AT - timedelta(days=500)).date())
    found = match(ThreadKeys(token, ("a",)), known(a=[(2, IN)]), AT)
    assert (found.thread_id, found.rule) == (2, MatchRule.REFERENCES)


def test_a_merged_threads_number_leads_to_the_one_that_goes_on() -> None:
    candidates = replace(known(), threads={1: thread(2), 2: thread(2)})
    found = match(ThreadKeys(ReplyToken(1, 1), (), (), ("INC-000001",)), candidates)
    assert (found.thread_id, found.reason) == (2, "it was sent to the reply address of INC-000002")
    assert [signal.thread_id for signal in found.signals] == [2, 2]


def test_ancestors_that_nothing_has_named_are_told_oldest_first() -> None:
    keys = ThreadKeys(None, ("c",), ("a", "b", "c"))
    assert unknown_ancestors(keys, known(b=[(1, REF)])) == ("a", "c")
    assert unknown_ancestors(ThreadKeys(), known()) == ()


def test_a_message_tells_the_names_that_it_had_before_a_server_gave_it_another() -> None:
    message = read_message(
        b"From: a@b.test\r\nMessage-ID: <new@outlook.com>\r\nX-Microsoft-Original-Message-ID: <own@b.test>\r\n"
        b"X-Google-Original-Message-ID: <g@b.test> <second@b.test>\r\n\r\nhello"
    )
    assert thread_keys(message).own_ids == ("own@b.test", "g@b.test")


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
        ("回复: ［INC-000001］ x", ("INC-000001",)),
        ("答复: 【INC－000001】", ("INC-000001",)),
        ("[EXTERNAL] SV: [INC‑000001] x", ("INC-000001",)),
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
