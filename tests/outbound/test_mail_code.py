"""The code in each mail: read as people write it, found by a keyed hash, of no use to who guesses."""

from __future__ import annotations

import itertools

import pytest

from outbound.mail_code import ALPHABET, MAX_CODES, MailCodes, codes_in, plain_code

CODES = MailCodes([b"n" * 32, b"o" * 32])
CODE = CODES.of("<t1@experts.test>")
PLAIN = CODE.text.replace("-", "")


def test_a_mail_has_one_code_and_another_mail_another_one():
    assert CODES.of("<t1@experts.test>") == CODE
    assert len({CODES.of(f"<{n}@experts.test>").text for n in range(2_000)}) == 2_000
    assert MailCodes([b"x" * 32]).of("<t1@experts.test>").text != CODE.text
    assert len(CODE.text) == 14
    assert set(PLAIN) <= set(ALPHABET)
    assert "nnnn" not in repr(CODES)


def test_a_code_is_found_by_each_secret_that_is_still_known():
    assert CODE.key == CODES.keys_of(PLAIN)[0]
    older = MailCodes([b"o" * 32]).of("<t1@experts.test>")
    assert older.key == CODES.keys_of(older.text.replace("-", ""))[1]
    assert PLAIN not in CODE.key.upper()


@pytest.mark.parametrize("write", [str.lower, str.upper, lambda c: c.replace("-", ""), lambda c: c.replace("-", " "),
                                   lambda c: c.replace("-", "\u2011"), lambda c: f" {c}\n",
                                   lambda c: c.replace("0", "O").replace("1", "l")])  # fmt: skip
def test_it_is_read_as_people_write_it(write):
    assert plain_code(write(CODE.text)) == PLAIN


def test_every_wrong_character_and_every_two_that_changed_places_are_noticed():
    for number in range(20):
        plain = CODES.of(f"<{number}@experts.test>").text.replace("-", "")
        for at, wrong in itertools.product(range(12), ALPHABET):
            changed = plain[:at] + wrong + plain[at + 1 :]
            assert (plain_code(changed) is not None) == (changed == plain)
        for one, other in itertools.combinations(range(12), 2):
            swapped = list(plain)
            swapped[one], swapped[other] = swapped[other], swapped[one]
            assert (plain_code("".join(swapped)) is not None) == ("".join(swapped) == plain)


@pytest.mark.parametrize(
    "text", ["", "x", PLAIN[:-1], PLAIN + "0", "U" * 12, "\u00c4" * 12, "\ud800" * 12, "\u0661" * 12]
)
def test_anything_else_is_no_code(text):
    assert plain_code(text) is None
    assert codes_in(text) == ()


def test_codes_are_found_in_a_text():
    other = CODES.of("<t2@experts.test>").text
    assert codes_in(f"The code is {CODE.text}, or ({other.lower()})? {CODE.text}") == (
        PLAIN,
        other.replace("-", ""),
    )
    assert codes_in(f"see x-{CODE.text} and {CODE.text}-1 and a{CODE.text}") == ()
    many = " ".join(CODES.of(f"<{n}@experts.test>").text for n in range(9))
    assert len(codes_in(many)) == MAX_CODES
    words = " ".join("".join(w) for w in itertools.islice(itertools.permutations("abcdefghknmp"), 300))
    assert codes_in(words) == ()  # a word of twelve letters is no code without a hyphen or a digit
    assert codes_in("-" * 1_000_000 + "a" * 1_000_000) == ()
