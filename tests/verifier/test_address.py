"""The author reader against the published cases, and against hostile fields (RFC 5322 3.4, RFC 6854)."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from unittest import mock

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from verifier import address
from verifier.address import AddressCode, AddressError, AuthorField, read_author_field
from verifier.author import AuthorRefusal, author_of
from verifier.message import read_message

_NEL = "\ue085"  # stands for U+0085, which the YAML reader would take for a line break


def _suite(shared_data: Path) -> dict:
    return yaml.safe_load((shared_data / "address" / "cases.yml").read_text("utf-8").replace("\x85", _NEL))


def _value(case: dict) -> bytes:
    if "value" in case:
        return case["value"].replace(_NEL, "\x85").encode()
    if "value_b64" in case:
        return base64.b64decode(case["value_b64"])
    gen = case["value_gen"]
    parts = [gen.get("prefix", ""), gen["unit"] * gen["count"], gen.get("middle", "")]
    parts += [gen.get("unit2", "") * gen["count"], gen.get("suffix", "")]
    return "".join(parts).encode()


def _read(value: bytes) -> dict:
    try:
        field = read_author_field(value)
    except AddressError as error:
        return {"reject": str(error.code)}
    displays = [mailbox.display for mailbox in field.mailboxes]
    return {
        "addresses": [mailbox.address for mailbox in field.mailboxes],
        "display": displays if len(displays) > 1 else displays[0],
        "flags": list(field.flags),
    }


def _expected(expect: dict) -> dict:
    expect = dict(expect)
    for name in ("addresses", "display"):
        gen = expect.pop(f"{name}_gen", None)
        if gen:
            expect[name] = gen["unit"] * gen["count"] if name == "display" else [gen["unit"]] * gen["count"]
    return expect


def test_every_published_from_value_is_read_or_refused_as_expected(shared_data: Path):
    suite = _suite(shared_data)
    wrong = {}
    for case in suite["addresses"]:
        expect, got = _expected(case["expect"]), _read(_value(case))
        allowed = [expect, *map(_expected, case.get("alternatives", []))]
        if not any(all(got.get(key) == value for key, value in one.items()) for one in allowed):
            wrong[case["id"]] = (got, expect)
    assert len(suite["addresses"]) == 144
    assert not wrong


def test_every_published_header_block_gives_its_from_or_its_refusal(shared_data: Path):
    suite = _suite(shared_data)
    wrong = {}
    for case in suite["header_blocks"]:
        message = read_message(case["raw"].encode())
        author = author_of(message)
        if isinstance(author, AuthorRefusal):
            got = {"reject": str(author.code)}
        else:
            got = {"from": [field.value.decode().strip() for field in message.named(b"from")]}
        if got not in [case["expect"], *case.get("alternatives", [])]:
            wrong[case["id"]] = (got, case["expect"])
    assert len(suite["header_blocks"]) == 13
    assert not wrong


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"<@example.com>", AddressCode.MISSING_LOCAL),
        (b"Team: a@example.com, Inner: b@example.com;;", AddressCode.SYNTAX),
        (b"Team: ,a@example.com;", AddressCode.EMPTY_ELEMENT),
        (b"a@example.com,,b@example.com", AddressCode.EMPTY_ELEMENT),
        (b"first last@example.com", AddressCode.SYNTAX),
        (b'a@"example.com"', AddressCode.MISSING_DOMAIN),
        (b"a@[192.0.2.1", AddressCode.SYNTAX),
        (b"a..b@example.com", AddressCode.BAD_DOTS),
        (b"a@example..com", AddressCode.BAD_DOTS),
        (b". Dot <a@example.com>", AddressCode.SYNTAX),
        (b"a@-example.com", AddressCode.BAD_DOMAIN),
        ("a@\u212aelvin.example".encode(), AddressCode.BAD_IDN),  # the Kelvin sign is no k (RFC 5892)
        (b"a@xn--XN--a-.example", AddressCode.BAD_IDN),
        (b"<a@example.com,b@example.com>", AddressCode.TRAILING_JUNK),
        (b">a@example.com", AddressCode.SYNTAX),
        (b"Team:;, ", AddressCode.EMPTY_ELEMENT),
    ],
)
def test_what_two_readers_could_take_differently_is_refused(value: bytes, code: AddressCode):
    with pytest.raises(AddressError) as refused:
        read_author_field(value)
    assert refused.value.code is code


def test_a_refused_author_still_tells_the_addresses_that_a_lenient_reader_would_show():
    raw = b"From: <first@attack.com>\r\nFrom: Boss <admin@legitimate.com>\r\n\r\n"
    author = author_of(read_message(raw))
    assert isinstance(author, AuthorRefusal)
    assert [mailbox.address for mailbox in author.mailboxes] == ["first@attack.com", "admin@legitimate.com"]

    hidden = b"From: =?utf-8?B?PGFkbWluQGxlZ2l0aW1hdGUuY29tPg==?=,<second@attack.com>\r\n\r\n"
    author = author_of(read_message(hidden))
    assert isinstance(author, AuthorRefusal)
    assert author.code is AddressCode.MISSING_DOMAIN
    assert {mailbox.address for mailbox in author.mailboxes} == {"admin@legitimate.com", "second@attack.com"}

    for odd in (b"<admin@legitimate.com'a.attack.com>", b"<admin@legitimate.com(.attack.com>"):
        author = author_of(read_message(b"From: " + odd + b"\r\n\r\n"))
        assert isinstance(author, AuthorRefusal)
        assert author.mailboxes[0].domain == "legitimate.com"


def test_reading_truncated_and_mangled_fields_raises_nothing_but_the_one_error():
    value = '"Jörg \\" (x)" =?utf-8?B?SsO2cmc=?= (a (b) c) <"a b"@bücher.example>, T: x@y.example;'.encode()
    for end in range(len(value) + 1):
        for junk in (b"", b"\0", b"\\", b'"', b"(", b"\r\n", b"\xff", b"@", b"=?"):
            result = _read(value[:end] + junk)
            assert result
    assert isinstance(author_of(read_message(b"From: " + value + b"\r\n\r\n")), AuthorField)


@pytest.mark.parametrize(
    "unit", [b"(", b'"', b"\\", b"a@b.c,", b"=?", b"=?a?q?", b"@", b"<", b" ", b"a.", b"\r\n "]
)
def test_the_reader_is_linear(unit: bytes):
    count = 65_000 // len(unit)
    started = time.process_time()
    _read(unit * count)
    author_of(read_message(b"From: " + unit * count + b"\r\n\r\n"))
    assert time.process_time() - started < 2  # takes some 20 to 150 ms


_PIECES = st.sampled_from(
    [
        "a",
        "B c",
        " ",
        "  ",
        '"',
        "<",
        ">",
        "@",
        ".",
        "x.y",
        "xn--a",
        "-",
        ",",
        "=?utf-8?Q?a?=",
        "(",
        "\\",
        "\t",
        ":",
        "\u00e9",
    ]
)


@settings(max_examples=2_000, deadline=None)
@given(
    st.one_of(
        st.lists(_PIECES, max_size=12).map("".join),
        st.tuples(_PIECES, _PIECES, _PIECES, _PIECES).map(lambda p: f'{p[0]}"{p[1]}" <{p[2]}@x{p[3]}y.com>'),
        st.tuples(_PIECES, _PIECES, _PIECES, _PIECES).map(lambda p: f"{p[0]}{p[1]} <{p[2]}a@x{p[3]}y.com> "),
    )
)
def test_the_short_way_for_usual_fields_gives_what_the_full_reader_gives(text: str):
    value = text.encode()
    usual = address._read_usual(value)
    if usual is not None:
        with mock.patch.object(address, "_read_usual", return_value=None):
            assert read_author_field(value) == usual


@pytest.mark.parametrize(
    "value",
    [
        b" Alice Example <user@example.com>",
        b' "Example, Alice" <u.x+t@example.com>',
        b"user@example.com",
        b"<u@x.y>",
        b'"" <a@b.c>',
    ],
)
def test_usual_fields_take_the_short_way(value: bytes):
    assert address._read_usual(value) is not None
