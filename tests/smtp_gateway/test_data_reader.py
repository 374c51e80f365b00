"""The DATA reader: every cut of the stream gives the same message, and only CRLF.CRLF ends it."""

from __future__ import annotations

import hashlib
import tracemalloc
from typing import NamedTuple

import pytest

from smtp_gateway.data_reader import DRAIN_FACTOR, DataReader, DataState

CAP = 10_000


class Read(NamedTuple):
    """What was read of a whole message, and what follows it."""

    raw: bytes
    size: int
    too_large: bool
    bare: bool
    rest: bytes


def read(wire: bytes, *, sizes: int = 1 << 20, cap: int = CAP) -> Read | None:
    """Feed in pieces of one size; None if the data did not end."""
    reader = DataReader(cap)
    for at in range(0, len(wire), sizes):
        if reader.feed(wire[at : at + sizes]) is DataState.COMPLETE:
            content = reader.content
            bare = content.bare_control or content.bare_lf
            rest = reader.rest + wire[at + sizes :]
            return Read(content.take(), content.size, content.too_large, bare, rest)
    return None


SMALL = b"..A: b\r\n\r\n...\r\nx\r\n..\r\n\r\n..end\r\n.\r\nMAIL FROM:<>\r\n"
SMALL_RAW = b".A: b\r\n\r\n..\r\nx\r\n.\r\n\r\n.end\r\n"


def test_a_message_cut_in_two_at_every_place_is_the_same_message() -> None:
    for cut in range(len(SMALL) + 1):
        reader = DataReader(CAP)
        state = reader.feed(SMALL[:cut])
        rest = SMALL[cut:]
        if state is DataState.READING:
            reader.feed(rest)
            rest = b""
        assert reader.content.take() == SMALL_RAW, cut
        assert reader.rest + rest == b"MAIL FROM:<>\r\n", cut
        assert reader.content.digest == hashlib.sha256(SMALL_RAW).digest()


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 11])
def test_a_message_in_pieces_of_any_size_is_the_same_message(size: int) -> None:
    received = read(SMALL, sizes=size)
    assert received is not None
    assert (received.raw, received.rest) == (SMALL_RAW, b"MAIL FROM:<>\r\n")


def test_an_empty_message_is_a_lone_dot() -> None:
    received = read(b".\r\n")
    assert received is not None
    assert received.raw == b""


SMUGGLING = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\n.\r\r\n",
    b"\n\n.\n\n",
    b"\r\n\x00.\r\n",
    b"\r\n.\x00\r\n",
    b"\x85.\x85",
    b"\n.\r",
    b"\r.\n",
]


@pytest.mark.parametrize("ending", SMUGGLING)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_no_other_ending_ends_the_data_and_bare_controls_are_told(ending: bytes, size: int) -> None:
    smuggled = b"MAIL FROM:<evil@attack.test>\r\n"
    wire = b"Subject: a\r\n\r\nhello" + ending + smuggled
    assert read(wire, sizes=size) is None
    received = read(wire + b"\r\n.\r\n", sizes=size)
    assert received is not None
    assert received.rest == b""
    assert received.bare == (ending != b"\x85.\x85")


def test_a_message_of_exactly_the_cap_fits_and_one_octet_more_does_not() -> None:
    body = b"x" * (CAP - 2) + b"\r\n"
    exact = read(body + b".\r\n", sizes=999)
    assert exact is not None
    assert (exact.too_large, exact.size, exact.raw) == (False, CAP, body)
    over = read(b"x" + body + b".\r\n", sizes=999)
    assert over is not None
    assert (over.too_large, over.raw) == (True, b"")


def test_an_endless_line_costs_no_memory_and_is_given_up_after_a_bounded_drain() -> None:
    tracemalloc.start()
    reader = DataReader(CAP)
    fed = 0
    while reader.feed(b"x" * 1000) is DataState.READING:
        fed += 1000
        assert fed < CAP * 100
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert reader.state is DataState.ENDLESS
    assert fed <= CAP * (1 + DRAIN_FACTOR)
    assert peak < CAP * 4


def test_an_oversized_message_that_ends_within_the_drain_leaves_the_session_in_step() -> None:
    received = read(b"x" * (CAP * 2) + b"\r\n.\r\nQUIT\r\n", sizes=777)
    assert received is not None
    assert (received.too_large, received.rest) == (True, b"QUIT\r\n")
