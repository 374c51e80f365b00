"""Encoded-words as people read them (RFC 2047)."""

from __future__ import annotations

import time

import pytest

from verifier.encoded_word import decode, decode_strictly


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("=?ISO-8859-1?Q?a?=", "a"),  # RFC 2047 8
        ("=?ISO-8859-1?Q?a?= b", "a b"),
        ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        ("=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=", "ab"),
        ("=?ISO-8859-1?Q?a_b?=", "a b"),
        ("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        ("=?utf-8*de?b?SsO2cmc=?= x", "J\u00f6rg x"),  # RFC 2231 5
        ("=?utf-8?Q?=C3?= =?utf-8?Q?=BC?=", "\u00fc"),
        ("Re:=?utf-8?Q?=C3=BC?=x", "Re:\u00fcx"),
        ("=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
        ("=?utf-8?Q?abc", "=?utf-8?Q?abc"),
        ("=?utf-8?B?!!!?=", ""),
        ("a\r\n b", "a b"),
    ],
)
def test_words_are_decoded(text: str, expected: str):
    assert decode(text) == expected


def test_an_unknown_charset_and_wrong_bytes_never_raise():
    assert decode("=?x-nope?Q?abc?=") == "abc"
    assert decode("=?utf-8?Q?=FF=FE?=")
    assert decode("=?utf-7?Q?+AAAA-?=") is not None
    for charset in (
        "idna",
        "punycode",
        "rot13",
        "hex",
        "zip",
        "unicode_escape",
        "undefined",
        "utf-16",
        "a" * 60,
    ):
        assert isinstance(decode(f"=?{charset}?Q?=80=FFabc?="), str)


def test_strict_decoding_tells_what_is_malformed():
    assert decode_strictly(["=?utf-8?B?SsO2?=", "=?utf-8?B?cmc=?="]) == "J\u00f6rg"
    for word in ("abc", "=?x-nope?Q?abc?=", "=?utf-8?X?abc?=", "=?utf-8?Q?=FF?=", "x=?utf-8?Q?a?="):
        assert decode_strictly([word]) is None


@pytest.mark.parametrize(
    "unit", ["=?", "=?a?q?", "=?utf-8?Q?=C3?= ", "?=", "=?=", " ", "=?utf-8?Q?" + "x" * 70]
)
def test_decoding_is_linear(unit: str):
    text = unit * (400_000 // len(unit))
    started = time.process_time()
    decode(text)
    assert time.process_time() - started < 2  # takes up to 150 ms
