"""Content-Transfer-Encoding undone (RFC 2045 6): what is whole, what is broken, and what is no encoding at all."""

from __future__ import annotations

import base64
import binascii

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from verifier.transfer import decode_base64, decode_transfer

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def by_the_letter(data: bytes) -> bytes:
    """RFC 2045 6.8, octet by octet: what is not of the alphabet is ignored, the first "=" ends it."""
    kept = bytes(octet for octet in data.partition(b"=")[0] if octet in ALPHABET)
    if len(kept) % 4 == 1:
        kept = kept[:-1]
    return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))


LINES = st.builds(
    lambda octets, end, cut, after: base64.encodebytes(octets).replace(b"\n", end)[: cut or None] + after,
    st.binary(max_size=300),
    st.sampled_from([b"\r\n", b"\n", b" \t", b"!", b"\r\n=", b"-_", b"\0\xff"]),
    st.integers(-9, 200),
    st.sampled_from([b"", b"=", b"==", b"====", b"\r\n", b"=\r\n=", b"Zg==", b"trailing"]),
)
ANYTHING = st.one_of(
    LINES, st.binary(max_size=200), st.lists(st.sampled_from([*ALPHABET, *b"=\r\n -_"])).map(bytes)
)


@given(ANYTHING)
@example(b"Zg=\r\n=")
@example(b"Z")
@example(b"=")
@example(b"Zm9v=Zm9v")
@example("Zm9vä".encode())
def test_rfc_2045_6_8_whatever_stands_there_is_decoded_as_far_as_it_is_base64(data: bytes) -> None:
    assert decode_base64(data) == by_the_letter(data)


@pytest.mark.parametrize(
    ("encoding", "body", "text"),
    [
        ("base64", b"Zm9v\r\nYmFy\r\n", b"foobar"),
        ("quoted-printable", b"a=3Db=\r\nc", b"a=bc"),
        ("quoted-printable", b"100 %=XY", b"100 %=XY"),
        ("7bit", b"as it is\r\n", b"as it is\r\n"),
        ("x-unknown", b"Zm9v", b"Zm9v"),
    ],
)
def test_rfc_2045_6_4_an_encoding_is_undone_and_an_unknown_one_left(
    encoding: str, body: bytes, text: bytes
) -> None:
    assert decode_transfer(body, encoding) == text
