"""What may follow what when other keys are to sign, as values."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from outbound.errors import SigningError
from outbound.key_files import alone, generate_key, read_state, write_state
from outbound.key_rotation import (
    KeysInForce,
    Pair,
    Retiring,
    Seen,
    Sighting,
    begin,
    read,
    retired,
    sighted,
    still_needed,
    switch,
    written,
)
from outbound.sign import dns_record
from tests.outbound.conftest import NOW
from verifier.evidence import Answer, AnswerStatus

OLD, NEXT = Pair("s1", "s1-ed25519"), Pair("s2", "s2-ed25519")
FRESH = KeysInForce("s1", OLD)
BEGUN = replace(FRESH, next=NEXT, made=NOW)
WEEK = timedelta(days=7)


def seen_by(*servers, seen=Seen.YES, **more):
    return [Sighting(server, selector, seen, **more) for server in servers for selector in NEXT.selectors]


def test_the_next_keys_count_up_past_all_that_was_ever_there():
    assert begin(FRESH, [], NOW) == BEGUN
    assert begin(BEGUN, [], NOW + WEEK) == BEGUN
    assert begin(FRESH, ["s2", "s3-ed25519"], NOW).next == Pair("s4", "s4-ed25519")
    retiring = replace(FRESH, retiring=(Retiring(Pair("s2"), NOW),))
    assert begin(retiring, [], NOW).next == Pair("s3", "s3-ed25519")
    assert begin(KeysInForce("mail", Pair("mail")), [], NOW).next == Pair("mail2", "mail2-ed25519")


def test_they_sign_once_everybody_has_their_records():
    switched = switch(BEGUN, seen_by("a", "b"), NOW)
    assert switched.signs == NEXT
    assert switched.next is None
    assert switched.retiring == (Retiring(OLD, NOW),)


@pytest.mark.parametrize(
    ("sightings", "said"),
    [
        ([], "nobody could be asked"),
        (seen_by("a")[:1], "nobody could be asked"),
        (seen_by("a") + seen_by("b", seen=Seen.NOT_THERE), "b says of s2: not there"),
        (seen_by("a") + seen_by("b", seen=Seen.OTHER, detail="another public key"), "another public key"),
        (seen_by("a") + seen_by("b", seen=Seen.NO_ANSWER), "b says of s2: no answer"),
        (seen_by("a") + seen_by("ns", seen=Seen.NOT_THERE, authoritative=True), "ns says"),
        (seen_by("ns", seen=Seen.NO_ANSWER, authoritative=True), "nobody could be asked"),
    ],
)
def test_they_do_not_sign_while_one_lacks_a_record(sightings, said):
    with pytest.raises(SigningError, match=said):
        switch(BEGUN, sightings, NOW)
    assert switch(BEGUN, sightings, NOW, forced="it leaked").retiring[0].forced == "it leaked"


def test_a_name_server_of_the_zone_that_is_out_of_reach_keeps_nobody_waiting():
    silent = seen_by("ns", seen=Seen.NO_ANSWER, authoritative=True)
    assert switch(BEGUN, seen_by("a") + silent, NOW).signs == NEXT


def test_nothing_signs_that_was_not_made():
    with pytest.raises(SigningError, match="make them first"):
        switch(FRESH, seen_by("a"), NOW, forced="because")


@pytest.mark.parametrize(
    ("waiting", "last", "now", "why"),
    [
        (0, None, NOW, "keep it until 2026-12-02"),
        (0, None, NOW + WEEK, None),
        (1, None, NOW + 10 * WEEK, "1 mails"),
        (0, NOW + WEEK, NOW + WEEK, "keep it until 2026-12-09"),
        (0, NOW + WEEK, NOW + 2 * WEEK, None),
        (0, NOW - WEEK, NOW + timedelta(days=1), "keep it until 2026-12-02"),
    ],
)
def test_a_record_stays_until_the_last_mail_has_long_arrived(waiting, last, now, why):
    found = still_needed(Retiring(OLD, NOW), waiting=waiting, last=last, keep=WEEK, now=now)
    assert found is None if why is None else why in found


def test_what_stands_is_read_as_it_was_written():
    for keys in (FRESH, BEGUN, switch(BEGUN, [], NOW, forced='a "reason"\n'), KeysInForce("x", Pair("x"))):
        assert read(written(keys)) == keys
    switched = switch(BEGUN, seen_by("a"), NOW)
    assert retired(switched, OLD).retiring == ()


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"format": []},
        {"signs": []},
        {"signs": "s1"},
        {"signs": ["s1", "s2", "s3"]},
        {"signs": ["../s1"]},
        {"signs": [1]},
        {"signs": None},
        {"next": ["S2"]},
        {"next": 3},
        {"made": "yesterday"},
        {"made": "2026-11-25T12:00:00"},
        {"retiring": [{}]},
        {"retiring": {"a": 1}},
    ],
)
def test_a_text_that_says_something_else_is_refused(change):
    with pytest.raises(SigningError):
        read(json.dumps({**json.loads(written(BEGUN)), **change}))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, '{"format": 1}'])
def test_a_text_of_another_form_is_refused(text):
    with pytest.raises(SigningError):
        read(text)


def test_an_answer_is_read_as_a_verifier_reads_it(key, tmp_path):
    ed25519 = generate_key(tmp_path / "e.pem", kind="ed25519")
    record, other = dns_record(key), dns_record(ed25519)

    def said(*records, status=AnswerStatus.ANSWER, of=key):
        return sighted(Answer(status, records, 60), of)[0]

    assert said(record) is Seen.YES
    assert said(other, of=ed25519) is Seen.YES
    assert said(record.replace("v=DKIM1; ", "").replace(";", " ;")) is Seen.YES
    assert said(status=AnswerStatus.NXDOMAIN) is Seen.NOT_THERE
    assert said(status=AnswerStatus.NODATA) is Seen.NOT_THERE
    assert said(status=AnswerStatus.SERVFAIL) is Seen.NO_ANSWER
    assert said(status=AnswerStatus.TIMEOUT) is Seen.NO_ANSWER
    for wrong in (other, "v=DKIM1; p=", "v=spf1 -all", record[:-40], record.replace("k=rsa", "k=rsa; t=y"),
                  record.replace("k=rsa", "k=rsa; s=tlsrpt"), record.replace("k=rsa", "k=rsa; h=sha1")):  # fmt: skip
        assert said(wrong) is Seen.OTHER, wrong
    assert said(record, record) is Seen.OTHER


def test_a_state_file_is_whole_private_and_changed_by_one_at_a_time(tmp_path):
    path = tmp_path / "keys" / "x.json"
    assert read_state(path) is None
    write_state(path, "one")
    write_state(path, "two")
    assert read_state(path) == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["x.json"]
    path.chmod(0o666)
    with pytest.raises(SigningError, match="chmod 600"):
        read_state(path)
    with alone(path.parent), pytest.raises(SigningError, match="Somebody else"), alone(path.parent):
        pass
    with pytest.raises(SigningError, match="cannot be written"):
        write_state(tmp_path / "keys" / "x.json" / "y", "text")
