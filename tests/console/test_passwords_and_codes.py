"""Passwords, one-time codes, tickets and the throttle: what each takes and refuses, without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from expertmail.console import one_time_codes as codes
from expertmail.console.login_throttle import (
    FREE_OF_A_NAME,
    FREE_OF_A_NETWORK,
    LONGEST_WAIT,
    MAX_REMEMBERED,
    LoginThrottle,
)
from expertmail.console.passwords import hash_password, is_outdated, is_password, password_refusal
from threads.ticket import read_ticket, write_ticket

NOW = datetime(2026, 11, 27, 12, 0, 10, tzinfo=UTC)
KEY = b"k" * 32


@pytest.mark.parametrize(
    ("password", "good"),
    [
        ("correct horse battery", True),
        ("eleven char", False),
        ("twelve chars", True),
        ("x" * 1_001, False),
        ("aaaaaaaaaaaaaaaa", False),
        ("passwordpassword1", True),  # long enough beside the word; no rule can know all
        ("password1234", False),
        ("1234567890ab", False),
        ("Lang2026 pwd", False),
        ("Ünïcödé wörds ✓", True),
        ("e\N{COMBINING ACUTE ACCENT}" * 6 + "abcde", False),  # eleven that people see
        ("twelve\tchars!", False),
        ("twelve\x00chars!", False),
    ],
)
def test_what_is_guessed_first_is_no_password(password: str, *, good: bool) -> None:
    assert (password_refusal(password, "mia.lang2026@experts.test") is None) is good


def test_a_hash_knows_its_password_and_nobody_has_one() -> None:
    stored = hash_password("correct horse battery")
    assert stored.startswith("$argon2id$")
    assert is_password(stored, "correct horse battery")
    assert not is_password(stored, "correct horse batterY")
    assert not is_password(None, "nobody's")
    assert not is_password("damaged", "correct horse battery")
    assert not is_outdated(stored)


@pytest.mark.parametrize(
    ("chosen", "typed", "same"),
    [
        # RFC 8265 4.3, examples 2 and 4, and what other keyboards make of the same letters
        ("Correct Horse Battery Staple", "correct Horse Battery Staple", False),
        ("π is about three!", "π is about three!", True),
        ("foo bar and fifty", "foo\u1680bar and\u00a0fifty", True),
        ("caf\u00e9 au lait, deux", "cafe\u0301 au lait, deux", True),
        ("Jack of \u2666s, and more", "Jack of \u2662s, and more", False),
        ("\ufb01fty and some more", "fifty and some more", False),  # NFC keeps the ligature, NFKC would not
        ("\uff11\uff12\uff13 wide ones here", "123 wide ones here", False),
        (" blanks around it ", "blanks around it", False),
    ],
)
def test_a_password_is_the_same_however_it_is_typed_and_no_other(
    chosen: str, typed: str, *, same: bool
) -> None:
    assert is_password(hash_password(chosen), typed) is same


@pytest.mark.parametrize(
    ("seconds", "counts"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)]
)
def test_a_code_counts_for_a_step_either_way(seconds: int, *, counts: bool) -> None:
    secret = codes.new_secret()
    code = pyotp.TOTP(secret).at(NOW + timedelta(seconds=seconds))
    step = codes.step_of(secret, code, NOW)
    assert (step is not None) is counts
    if step is not None:
        assert step == int(NOW.timestamp()) // 30 + seconds // 30


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "１２３４５６", "-12345", "٣٣٣٣٣٣"])
def test_what_is_no_code_is_none(code: str) -> None:
    assert codes.step_of(codes.new_secret(), code, NOW) is None


def test_a_sealed_secret_opens_by_its_key_and_for_its_account_alone() -> None:
    secret = codes.new_secret()
    stored = codes.sealed(secret, KEY, 7)
    assert codes.opened(stored, KEY, 7) == secret
    assert codes.opened(stored, b"x" * 32, 7) is None
    assert codes.opened(stored, KEY, 8) is None
    for damaged in (b"", stored[:5], stored[:-1], stored + b"x", bytes(len(stored))):
        assert codes.opened(damaged, KEY, 7) is None


def test_recovery_codes_are_known_however_they_are_typed() -> None:
    made = codes.new_recovery_codes()
    assert len(set(made)) == codes.RECOVERY_CODES
    digest = codes.recovery_digest(made[0], 7)
    assert codes.recovery_digest(made[0].upper().replace("-", " "), 7) == digest
    assert codes.recovery_digest(made[0], 8) != digest
    assert codes.recovery_digest(made[1], 7) != digest


def test_a_ticket_says_what_was_written_for_its_purpose_and_its_time() -> None:
    ticket = write_ticket(KEY, "a", {"x": "é"}, NOW)
    minute = timedelta(minutes=1)
    assert read_ticket(KEY, "a", ticket, NOW, minute) == {"x": "é"}
    assert read_ticket(KEY, "b", ticket, NOW, minute) is None
    assert read_ticket(b"z" * 32, "a", ticket, NOW, minute) is None
    assert read_ticket(KEY, "a", ticket, NOW + minute, minute) is None
    assert read_ticket(KEY, "a", ticket, NOW - minute, minute) is None
    for number in range(0, len(ticket), 7):
        changed = ticket[:number] + ("A" if ticket[number] != "A" else "B") + ticket[number + 1 :]
        assert read_ticket(KEY, "a", changed, NOW, minute) is None
    for damaged in ("", "x", "é", "=" * 9, ticket[:-4], ticket * 2):
        assert read_ticket(KEY, "a", damaged, NOW, minute) is None


def tried(throttle: LoginThrottle, number: int, name: str, address: str, now: float) -> int:
    """How many of so many tries at one moment are looked at."""
    looked = 0
    for _ in range(number):
        if throttle.wait(name, address, None, now) == 0:
            throttle.begun(name, address, None, now)
            looked += 1
    return looked


def test_a_name_is_tried_a_few_times_and_then_ever_more_slowly() -> None:
    throttle = LoginThrottle()
    assert tried(throttle, 1_000, "mia", "192.0.2.1", 0.0) == FREE_OF_A_NAME
    now, looked = 0.0, 0
    while now < 86_400:
        now += 1
        looked += tried(throttle, 1, "mia", "192.0.2.1", now)
    assert looked < 24 * 4 + 12
    assert throttle.wait("mia", "198.51.100.9", None, now) <= LONGEST_WAIT
    assert throttle.wait("mia", "192.0.2.1", "her browser", now) == 0


def test_many_names_from_one_network_wait_as_one() -> None:
    throttle = LoginThrottle()
    looked = sum(tried(throttle, 1, f"name {n}", f"2001:db8::{n:x}", 0.0) for n in range(1_000))
    assert looked == FREE_OF_A_NETWORK
    assert throttle.wait("mia", "192.0.2.1", None, 0.0) == 0


def test_the_right_password_makes_a_name_forget() -> None:
    throttle = LoginThrottle()
    for _ in range(50):
        assert throttle.wait("mia", "192.0.2.1", None, 0.0) == 0
        throttle.begun("mia", "192.0.2.1", None, 0.0)
        throttle.succeeded("mia", "192.0.2.1", None)


def test_what_is_remembered_is_bounded() -> None:
    throttle = LoginThrottle()
    for number in range(MAX_REMEMBERED):
        throttle.begun(f"name {number}", "192.0.2.1", None, float(number))
    assert len(throttle._failures) == MAX_REMEMBERED
