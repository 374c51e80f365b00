"""The header as its bytes: fields with order and folding, and every defect by its name (RFC 5322 2.2, 4.5)."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifier import message as message_module
from verifier.message import MAX_FIELDS, MAX_HEADER_BYTES, Defect, read_message


def _names(raw: bytes) -> list[bytes]:
    return [field.name for field in read_message(raw).fields]


def test_fields_keep_order_case_blanks_and_folding():
    raw = b"B: 1\r\nA:2 \r\n\t folded\r\n   \r\nb:\r\n\r\nbody\r\n"
    message = read_message(raw)
    assert [(f.name, f.lower, f.value, f.raw) for f in message.fields] == [
        (b"B", b"b", b" 1", b"B: 1\r\n"),
        (b"A", b"a", b"2 \r\n\t folded\r\n   ", b"A:2 \r\n\t folded\r\n   \r\n"),
        (b"b", b"b", b"", b"b:\r\n"),
    ]
    assert message.defects == ()
    assert raw[message.body_start :] == b"body\r\n"
    assert [f.value for f in message.named(b"b")] == [b" 1", b""]


@pytest.mark.parametrize(
    ("raw", "names", "defects"),
    [
        (b"", [], {Defect.NO_HEADER}),
        (b"\r\nbody", [], {Defect.NO_HEADER}),
        (b"\nbody", [], {Defect.NO_HEADER}),
        (b" From: a\r\nTo: b\r\n\r\n", [b"To"], {Defect.LEADING_WSP, Defect.NOT_A_FIELD}),
        (b"From a@b Mon Jan  1\r\nTo: b\r\n\r\n", [b"To"], {Defect.NOT_A_FIELD}),
        (b"A: 1\r\nno colon\r\nB: 2\r\n\r\n", [b"A", b"B"], {Defect.NOT_A_FIELD}),
        (b"A: 1\r\n: 2\r\nB: 3\r\n\r\n", [b"A", b"B"], {Defect.NOT_A_FIELD}),
        (b"From : a\r\n\r\n", [b"From"], {Defect.WSP_BEFORE_COLON}),
        (b"From\r\n : a\r\n\r\n", [b"From"], {Defect.WSP_BEFORE_COLON}),
        (b"Fr om: a\r\n\r\n", [], {Defect.NOT_A_FIELD}),
        (b"Fr\0om: a\r\nTo: b\r\n\r\n", [b"To"], {Defect.NUL, Defect.NOT_A_FIELD}),
        ("Fr\u043em: a\r\nTo: b\r\n\r\n".encode(), [b"To"], {Defect.NON_ASCII_HEADER, Defect.NOT_A_FIELD}),
        ("To: J\u00f6rg\r\n\r\n".encode(), [b"To"], {Defect.NON_ASCII_HEADER}),
        (b"A: 1\rB: 2\r\n\r\n", [b"A"], {Defect.BARE_CR}),
        (b"A: 1\nB: 2\n\nbody", [b"A", b"B"], {Defect.BARE_LF}),
        (b"A: 1\r\nB: 2\n c\r\n\r\nbody", [b"A", b"B"], {Defect.BARE_LF}),
        (b"A: " + b"x" * 996 + b"\r\n\r\n", [b"A"], {Defect.LINE_TOO_LONG}),
        (b"A: " + b"x" * 995 + b"\r\n " + b"y" * 990 + b"\r\n\r\n", [b"A"], set()),
        (b"A: 1", [b"A"], set()),
    ],
)
def test_each_defect_has_its_name_and_hides_no_other_field(
    raw: bytes, names: list[bytes], defects: set[Defect]
):
    message = read_message(raw)
    assert [field.name for field in message.fields] == names
    assert set(message.defects) == defects


def test_a_body_does_not_become_header_by_any_mix_of_line_ends():
    for end in (b"\r\n\r\n", b"\n\n", b"\r\n\n", b"\n\r\n"):
        message = read_message(b"A: 1" + end + b"From: evil\r\n\r\nx")
        assert [field.name for field in message.fields] == [b"A"], end
        assert message.raw[message.body_start :].startswith(b"From: evil")


def test_fields_past_the_limits_stay_unread_and_are_told():
    many = read_message(b"A: 1\r\n" * 65_000 + b"From: x\r\n\r\n")
    assert len(many.fields) == MAX_FIELDS
    assert many.defects == (Defect.TOO_MANY_FIELDS,)
    exact = read_message(b"A: 1\r\n" * MAX_FIELDS + b"\r\n")
    assert len(exact.fields) == MAX_FIELDS
    assert not exact.defects
    large = read_message(b"A: 1\r\nB: " + b"x" * MAX_HEADER_BYTES + b"\r\nC: 2\r\n\r\n")
    assert [field.name for field in large.fields] == [b"A"]
    assert Defect.HEADER_TOO_LARGE in large.defects


_LONG = b"A: " + b"x" * 70 + b"\r\n"


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n", b"\r\n\n", b"\n\r\n"])
@pytest.mark.parametrize("shift", range(-4, 5))
def test_an_endless_header_ends_at_its_empty_line_wherever_the_steps_of_the_search_are(
    end: bytes, shift: int
):
    before = (_LONG * 60_000)[: 16 * message_module._STEP + shift].rstrip(b"\r\n")
    message = read_message(before + end + b"From: evil\r\n\r\n\n\nx")
    assert message.raw[message.body_start :].startswith(b"From: evil")
    assert Defect.HEADER_TOO_LARGE in message.defects
    assert (Defect.BARE_LF in message.defects) is (end != b"\r\n\r\n")
    assert Defect.BARE_CR not in message.defects


@pytest.mark.parametrize("shift", range(-3, 4))
@pytest.mark.parametrize(
    ("odd", "defect"),
    [(b"\rB", Defect.BARE_CR), (b"\nB", Defect.BARE_LF), (b"\r\r\nB", Defect.BARE_CR), (b"\r\nB", None)],
)
def test_a_line_end_that_stands_alone_is_told_wherever_the_steps_of_the_search_are(
    odd: bytes, defect: Defect | None, shift: int
):
    place = 6 * message_module._STEP + shift
    raw = (b"A: " + b"x" * place)[:place] + odd + b": 1\r\n" + _LONG * 10_000 + b"\r\nbody\r\n"
    told = {Defect.BARE_CR, Defect.BARE_LF}.intersection(read_message(raw).defects)
    assert told == ({defect} if defect else set())


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from([b"A", b":", b" ", b"\t", b"\r\n", b"\n", b"\r", b"\0", b"\xff", b"x: y"]),
        max_size=40,
    )
)
def test_any_bytes_are_read_and_what_is_told_of_them_is_there(pieces: list[bytes]):
    raw = b"".join(pieces)
    message = read_message(raw)
    assert 0 <= message.body_start <= len(raw)
    header = raw[: message.body_start]
    for field in message.fields:
        assert field.raw.startswith(field.name)
        assert field.name.lower() == field.lower
        assert field.value in field.raw
        assert field.raw in header or field.raw.removesuffix(b"\r\n") in header
    if not message.defects:
        joined = b"".join(field.raw for field in message.fields)
        assert (joined + b"\r\n").startswith(header.removesuffix(b"\r\n"))


def test_every_truncation_is_read():
    raw = b"From: a\r\n b\r\nTo:\tc\r\nX :d\r\n\r\nbody\r\n"
    for end in range(len(raw) + 1):
        assert len(read_message(raw[:end]).fields) <= 3


@pytest.mark.parametrize(
    "raw",
    [b" " * 1_000_000, b"a: " + b" \r\n" * 300_000, b"a\r" * 500_000, b"\0" * 1_000_000, b"a:\r\n " * 200_000,
     b"From" + b" " * 1_000_000 + b": x\r\n\r\n", b"a:b\n" * 250_000, b":" * 1_000_000],
)  # fmt: skip
def test_reading_is_linear(raw: bytes):
    started = time.process_time()
    read_message(raw)
    assert time.process_time() - started < 5  # takes up to 50 ms
