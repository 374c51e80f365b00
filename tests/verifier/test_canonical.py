"""Canonical forms against a slow and obvious second writing of RFC 6376 3.4, at every chunk boundary."""

from __future__ import annotations

import hashlib
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifier import canonical
from verifier.canonical import BodyHashes, Canonicalization, has_bare_line_ends, hash_body, relaxed_value
from verifier.message import read_message

RELAXED, SIMPLE = Canonicalization.RELAXED, Canonicalization.SIMPLE


def _obvious(body: bytes, method: Canonicalization) -> bytes:
    lines = body.split(b"\r\n")
    if method is RELAXED:
        lines = [re.sub(rb"[ \t]+", b" ", line).removesuffix(b" ") for line in lines]
    form = b"\r\n".join(lines)
    while form.endswith(b"\r\n"):
        form = form[:-2]
    return form + b"\r\n" if form or method is SIMPLE else b""


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"\r", b"\n", b"a", b"  \r\n"]), max_size=24),
    st.sampled_from([1, 2, 3, 5, 8, 1 << 18]),
    st.one_of(st.none(), st.integers(0, 30)),
    st.sampled_from([RELAXED, SIMPLE]),
)
def test_the_body_hash_is_that_of_the_obvious_form(
    pieces: list[bytes], chunk: int, length: int | None, method: Canonicalization
):
    body = b"".join(pieces)
    before, canonical.CHUNK = canonical.CHUNK, chunk
    try:
        got = hash_body(b"H: x" + body, 4, method, length)
        bare = has_bare_line_ends(b"H\r" + body, 2)
    finally:
        canonical.CHUNK = before
    form = _obvious(body, method)
    assert got == (hashlib.sha256(form[:length]).digest(), len(form))
    rest = body.replace(b"\r\n", b"")
    assert bare == (b"\r" in rest or b"\n" in rest)


@pytest.mark.parametrize(
    ("method", "body", "form"),
    [
        (RELAXED, b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n"),  # RFC 6376 3.4.5
        (SIMPLE, b" C \r\nD \t E\r\n\r\n\r\n", b" C \r\nD \t E\r\n"),
        (RELAXED, b"", b""),  # 3.4.4: an empty body has no octets
        (SIMPLE, b"", b"\r\n"),  # 3.4.3
        (RELAXED, b"\r\n\r\n", b""),
        (SIMPLE, b"\r\n\r\n", b"\r\n"),
        (RELAXED, b"x", b"x\r\n"),
        (SIMPLE, b"x", b"x\r\n"),
    ],
)
def test_the_examples_of_the_rfc(method: Canonicalization, body: bytes, form: bytes):
    assert hash_body(body, 0, method) == (hashlib.sha256(form).digest(), len(form))


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (b" X ", b"X"),  # RFC 6376 3.4.5
        (b" Y\t\r\n\tZ  ", b"Y Z"),
        (b"\r\n ", b""),
        (b"a\x0bb \x0c", b"a\x0bb \x0c"),  # no WSP
        (b"a\rb", b"a\rb"),
    ],
)
def test_relaxed_values(value: bytes, form: bytes):
    assert relaxed_value(value) == form
    if not set(value) & {0x0B, 0x0C} and b"\r" not in value.replace(b"\r\n", b""):
        assert relaxed_value(value, odd_blanks=False) == form


@pytest.mark.as_source
def test_a_body_is_hashed_once_for_each_way(monkeypatch: pytest.MonkeyPatch):
    calls = []
    monkeypatch.setattr(canonical, "hash_body", lambda *args: calls.append(args) or hash_body(*args))
    bodies = BodyHashes(read_message(b"A: 1\r\n\r\nbody\r\n"))
    for _ in range(3):
        bodies.get(RELAXED)
        bodies.get(SIMPLE)
        bodies.get(SIMPLE, 2)
    assert len(calls) == 3


@pytest.mark.parametrize("unit", [b" ", b"\t ", b"\r\n", b"\n\r\n", b"a ", b" \r\n", b"\r", b"a  \r\n", b"a"])
def test_canonicalisation_is_linear_and_keeps_no_copy(unit: bytes):
    body = unit * (4_000_000 // len(unit))
    started = time.process_time()
    hash_body(body, 0, RELAXED)
    hash_body(body, 0, SIMPLE)
    has_bare_line_ends(body, 0)
    assert time.process_time() - started < 1  # takes up to 70 ms
