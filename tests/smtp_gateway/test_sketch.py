"""Counts in memory of a fixed size: what they say, how seldom they are wrong, and in which direction."""

from __future__ import annotations

import random
import struct
from array import array

import pytest

from smtp_gateway.admission import Admission, Memory, Origin, OwnFullAt, Rate
from smtp_gateway.gateway_settings import Limits
from smtp_gateway.sketch import CELLS, ROW_CELLS, ROWS, Cells, CountSketch, FullAtSketch

CELLS_OF_ALL = Cells(b"a secret of ours")


def counts() -> memoryview[int]:
    return memoryview(bytearray(CELLS * 4)).cast("i")


def times() -> FullAtSketch:
    return FullAtSketch(memoryview(array("d", bytes(CELLS * 8))), CELLS_OF_ALL)


def key(number: int) -> bytes:
    return struct.pack("!I", number)


def sketched(everybodys: list[memoryview[int]], rates: list[FullAtSketch], number: int) -> Memory:
    """What one process of several sees."""
    counted = CountSketch(everybodys[number], everybodys, CELLS_OF_ALL)
    return Memory(counted, (rates[0], rates[1]), (rates[2], rates[3]))


def test_a_key_has_a_cell_in_each_row_and_another_secret_gives_others() -> None:
    for number in range(1_000):
        cells = CELLS_OF_ALL.of(key(number))
        assert [cell // ROW_CELLS for cell in cells] == list(range(ROWS))
    other = Cells(b"another")
    assert sum(other.of(key(n)) == CELLS_OF_ALL.of(key(n)) for n in range(1_000)) == 0
    assert Cells(b"a secret of ours").of(b"abc") == CELLS_OF_ALL.of(b"abc"), "all processes find the same cells"


def test_ten_thousand_open_connections_are_counted_nearly_always_exactly_and_never_too_few() -> None:
    one, other = counts(), counts()
    both = [one, other]
    mine, theirs = CountSketch(one, both, CELLS_OF_ALL), CountSketch(other, both, CELLS_OF_ALL)
    for number in range(10_000):
        (mine, theirs)[number % 2].add(key(number % 5_000), 1)
    told = [mine.of(key(number)) for number in range(5_000)]
    assert told == [theirs.of(key(number)) for number in range(5_000)]
    assert min(told) == 2
    assert sum(number != 2 for number in told) < 50
    assert max(told) <= 4
    for number in range(10_000):
        (mine, theirs)[number % 2].add(key(number % 5_000), -1)
    assert not any(one)
    assert not any(other)


def test_what_a_dead_process_counted_is_gone_when_its_memory_is_cleared() -> None:
    one, other = counts(), counts()
    both = [one, other]
    mine, theirs = CountSketch(one, both, CELLS_OF_ALL), CountSketch(other, both, CELLS_OF_ALL)
    mine.add(b"abcd", 3)
    theirs.add(b"abcd", 4)
    other.cast("B")[:] = bytes(CELLS * 4)
    assert mine.of(b"abcd") == 3


@pytest.mark.parametrize("per_minute", [0, 1, 7, 600])
def test_a_rate_decides_as_the_table_of_one_process_does(per_minute: int) -> None:
    chance = random.Random(per_minute)
    plain, shared = Rate(per_minute, OwnFullAt()), Rate(per_minute, times())
    now = 0.0
    for _ in range(20_000):
        now += chance.expovariate(20)
        one = key(chance.randrange(50))
        full_at = plain.one_more(one, now)
        assert shared.one_more(one, now) == full_at
        if full_at is not None:
            plain.count(one, now, full_at)
            shared.count(one, now, full_at)


def test_of_many_clients_over_their_rate_an_honest_one_is_hardly_ever_taken_for_one() -> None:
    rate = Rate(5, times())
    for number in range(1_000):
        while (full_at := rate.one_more(key(number), 1.0)) is not None:
            rate.count(key(number), 1.0, full_at)
    refused = sum(rate.one_more(key(number), 1.0) is None for number in range(10_000, 110_000))
    assert refused < 20, "some 3 of 100,000 are expected"
    assert all(rate.one_more(key(number), 1.0) is None for number in range(1_000)), "who is over it stays out"


LIMITS = Limits(
    address_connections=3,
    network_connections=5,
    address_connections_per_minute=9,
    network_connections_per_minute=40,
    address_messages_per_minute=6,
    network_messages_per_minute=10,
)


def test_two_processes_decide_together_as_one_would_alone() -> None:
    chance = random.Random(20261126)
    both, rates = [counts(), counts()], [times() for _ in range(4)]
    alone = Admission(LIMITS)
    several = [Admission(LIMITS, sketched(both, rates, number)) for number in range(2)]
    present: list[tuple[Origin, int]] = []
    seen = set()
    now = 0.0
    for _ in range(10_000):
        now += chance.expovariate(8)
        address = bytes((192, 0, 2 + chance.randrange(3), chance.randrange(4)))
        origin, number = Origin(address, address[:3]), chance.randrange(2)
        what = chance.randrange(4)
        if what == 0 and present:
            gone, where = present.pop(chance.randrange(len(present)))
            alone.disconnect(gone)
            several[where].disconnect(gone)
        elif what < 3:
            refused = alone.connect(origin, now)
            assert several[number].connect(origin, now) == refused
            seen.add(refused)
            if refused is None:
                present.append((origin, number))
        else:
            taken = alone.message(origin, now)
            assert several[number].message(origin, now) == taken
            seen.add(taken)
    full = {"3 connections at one time", "5 connections at one time", "connections a minute"}
    assert seen == {None, True, False, *full}, "each answer was given"
