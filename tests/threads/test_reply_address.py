"""Reply addresses: what we made is read, anything else is not ours, and nothing raises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threads.model import ReplyToken
from threads.reply_address import ReplyAddresses

OLD, NEW = b"o" * 32, b"n" * 32
ADDRESSES = ReplyAddresses((NEW,), "reply.experts.test")


@pytest.mark.parametrize(("thread", "contact"), [(1, 1), (1, None), (2**40 - 1, 2**32 - 1), (77, 4)])
def test_an_address_says_what_it_was_made_for(thread: int, contact: int | None) -> None:
    assert ADDRESSES.read(ADDRESSES.mint(thread, contact)) == ReplyToken(thread, contact)


def test_case_does_not_matter() -> None:
    assert ADDRESSES.read(ADDRESSES.mint(5, 6).upper()) == ReplyToken(5, 6)


def test_the_local_part_fits_into_64_octets() -> None:
    assert len(ADDRESSES.mint(2**40 - 1, 2**32 - 1).partition("@")[0]) <= 64


def test_after_a_rotation_old_addresses_are_read_and_the_new_key_signs() -> None:
    rotated = ReplyAddresses((NEW, OLD), "reply.experts.test")
    old = ReplyAddresses((OLD,), "reply.experts.test").mint(3, 4)
    assert rotated.read(old) == ReplyToken(3, 4)
    assert rotated.mint(3, 4) == ADDRESSES.mint(3, 4)
    assert ADDRESSES.read(old) is None


def test_every_changed_character_makes_it_foreign() -> None:
    address = ADDRESSES.mint(9, 9)
    local = address.partition("@")[0]
    for position in range(2, len(local)):
        other = "a" if local[position] != "a" else "b"
        assert ADDRESSES.read(address[:position] + other + address[position + 1 :]) is None


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
