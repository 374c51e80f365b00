"""Reply addresses: what we made is read, anything else is not ours, and nothing raises."""

from __future__ import annotations

import base64
import hmac
import os
import random
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threads.model import ReplyToken
from threads.reply_address import ReplyAddresses

OLD, NEW = b"o" * 32, b"n" * 32
ADDRESSES = ReplyAddresses((NEW,), "reply.experts.test")
DAY = date(2026, 11, 26)
TRIES = 1_000_000 if os.environ.get("FULL") else 100_000


@pytest.mark.parametrize(("thread", "contact"), [(1, 1), (1, None), (2**40 - 1, 2**32 - 1), (77, 4)])
def test_an_address_says_what_it_was_made_for(thread: int, contact: int | None) -> None:
    assert ADDRESSES.read(ADDRESSES.mint(thread, contact)) == ReplyToken(thread, contact)


@pytest.mark.parametrize("on", [DAY, date(2020, 1, 1), date(2199, 6, 5)])
def test_an_address_says_on_which_day_it_was_made(on: date) -> None:
    assert ADDRESSES.read(ADDRESSES.mint(7, 9, on)) == ReplyToken(7, 9, on)


def test_case_does_not_matter() -> None:
    assert ADDRESSES.read(ADDRESSES.mint(5, 6).upper()) == ReplyToken(5, 6)
    assert ADDRESSES.read(ADDRESSES.mint(5, 6, DAY).upper()) == ReplyToken(5, 6, DAY)


def test_the_local_part_fits_into_64_octets() -> None:
    for on in (None, DAY):
        assert len(ADDRESSES.mint(2**40 - 1, 2**32 - 1, on).partition("@")[0]) <= 64


def test_after_a_rotation_old_addresses_are_read_and_the_new_key_signs() -> None:
    rotated = ReplyAddresses((NEW, OLD), "reply.experts.test")
    old = ReplyAddresses((OLD,), "reply.experts.test").mint(3, 4)
    assert rotated.read(old) == ReplyToken(3, 4)
    assert rotated.mint(3, 4) == ADDRESSES.mint(3, 4)
    assert ADDRESSES.read(old) is None


@pytest.mark.parametrize("on", [None, DAY])
def test_every_changed_character_makes_it_foreign(on: date | None) -> None:
    address = ADDRESSES.mint(9, 9, on)
    local = address.partition("@")[0]
    for position in range(2, len(local)):
        for other in "abcdefghijklmnopqrstuvwxyz234567":
            if other != local[position]:
                assert ADDRESSES.read(address[:position] + other + address[position + 1 :]) is None


def decoded(address: str) -> bytes:
    return base64.b32decode(address[2:].partition("@")[0].upper())


def addressed(token: bytes) -> str:
    return f"r+{base64.b32encode(token).decode().lower()}@reply.experts.test"


def test_no_part_of_one_address_makes_another_one() -> None:
    """What is signed is all of it: thread, contact, day, form and domain."""
    one, two = decoded(ADDRESSES.mint(1, 1, DAY)), decoded(ADDRESSES.mint(2, 7, date(2026, 1, 1)))
    old = decoded(ADDRESSES.mint(1, 1))
    made = [
        one[:1] + two[1:6] + one[6:],  # another thread
        one[:6] + two[6:10] + one[10:],  # another contact
        one[:10] + two[10:12] + one[12:],  # another day
        one[:12] + two[12:],  # another code
        one[:10] + old[10:],  # the day taken away
        old[:10] + one[10:],  # a day put on
        old[:10] + one[10:12] + old[10:] + bytes(3),
        one[:10] + one[12:22],
    ]
    for token in made:
        assert token in (one, two, old) or ADDRESSES.read(addressed(token)) is None
    assert ADDRESSES.read(addressed(one)) == ReplyToken(1, 1, DAY)


def test_a_hundred_thousand_guesses_find_nothing() -> None:
    """With FULL=1 a million. Each names a thread that is there and carries the right key id: only the code is guessed."""
    drawn = random.Random(2104)
    one, old = decoded(ADDRESSES.mint(1, 1, DAY)), decoded(ADDRESSES.mint(1, 1))
    found = 0
    for number in range(TRIES):
        token = one[:12] + drawn.randbytes(13) if number % 2 else old[:10] + drawn.randbytes(10)
        found += ADDRESSES.read(addressed(token)) is not None
    assert found == 0
    assert ADDRESSES.read(addressed(one)) is not None


def test_every_key_is_compared_in_constant_time_whichever_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ReplyAddresses((NEW, OLD, b"p" * 32), "reply.experts.test")
    compared: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    first, last = keys.mint(1, 1, DAY), ReplyAddresses((b"p" * 32,), "reply.experts.test").mint(1, 1, DAY)
    forged = addressed(decoded(first)[:-1] + b"\0")
    for address in (first, last, forged):
        compared.clear()
        keys.read(address)
        assert compared == [(14, 14)] * 3


@pytest.mark.parametrize(
    "address",
    [
        "",
        "r+",
        "r+@reply.experts.test",
        "r+aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@reply.experts.test",
        "r+" + "a" * 100_000 + "@reply.experts.test",
        "r+" + "\N{KELVIN SIGN}" * 32 + "@reply.experts.test",  # lower-cases to an ASCII letter
        "r+\x00@reply.experts.test",
        "\ud800@reply.experts.test",
        "@",
        "r+1111111111111111111111111111111l@reply.experts.test",
    ],
)
def test_hostile_text_is_simply_not_ours(address: str) -> None:
    assert ADDRESSES.read(address) is None


def test_an_address_of_another_domain_is_not_ours() -> None:
    assert ADDRESSES.read(ADDRESSES.mint(1, 1).replace("reply.", "other.")) is None
    assert ReplyAddresses((NEW,), "reply.other.test").read(ADDRESSES.mint(1, 1)) is None


@given(st.text(max_size=80))
def test_no_text_raises(text: str) -> None:
    assert ADDRESSES.read(text) is None
    assert ADDRESSES.read(f"r+{text}@reply.experts.test") is None


def test_the_key_is_not_shown() -> None:
    assert "nnnn" not in repr(ADDRESSES)


@pytest.mark.parametrize("keys", [(), (b"short",)])
def test_a_secret_that_is_none_is_refused(keys: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="at least"):
        ReplyAddresses(keys, "reply.experts.test")
