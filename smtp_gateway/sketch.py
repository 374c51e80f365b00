"""Counts of many clients in memory of a fixed size that several processes share without a lock. Pure.

Each key has a cell in each of three rows, found by a hash with a secret, so that nobody can choose whose cells to share.
What a key has is the least that its cells say: others can only make it look like more, and only those that share a cell
with it in every row. With a thousand clients over a limit that happens to one honest client in 35,000.

A cell is one aligned word. Two processes that change one at the same moment may lose one of the two changes: a client
has then one more than it should, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

ROWS = 3
ROW_BITS = 15
ROW_CELLS = 1 << ROW_BITS
CELLS = ROWS * ROW_CELLS
SECRET_BYTES = 16
_REMEMBERED = 4_096
"""Keys whose cells are remembered, for clients that come again and again: some 1 MB."""


class Cells:
    """Where a key's cells are. ``secret`` is the same in all processes, and nobody else's."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.of = lru_cache(_REMEMBERED)(self._of)

    def _of(self, key: bytes) -> tuple[int, int, int]:
        bits = int.from_bytes(blake2b(key, digest_size=8, key=self._secret).digest())
        first, second, third = (
            row * ROW_CELLS + (bits >> row * ROW_BITS) % ROW_CELLS for row in range(ROWS)
        )
        return first, second, third


class CountSketch:
    """How many of something each key has at this moment (``admission.Counts``)."""

    def __init__(self, ours: memoryview[int], everybodys: Sequence[memoryview[int]], cells: Cells) -> None:
        """``ours``: written by this process alone; one of ``everybodys``, which are added up."""
        self._ours = ours
        self._everybodys = everybodys
        self._cells = cells

    def of(self, key: bytes) -> int:
        """What all processes count for a key; now and then more, never less."""
        first, second, third = self._cells.of(key)  # the rows one by one: this is asked for every connection
        a = b = c = 0
        for counts in self._everybodys:
            a += counts[first]
            b += counts[second]
            c += counts[third]
        return min(a, b, c)

    def add(self, key: bytes, number: int) -> None:
        """Count in, or out what was counted in."""
        for cell in self._cells.of(key):
            self._ours[cell] += number


class FullAtSketch:
    """When each key's bucket is full again (``admission.FullAt``); one that nobody counted for is full since ever."""

    def __init__(self, times: memoryview[float], cells: Cells) -> None:
        self._times = times
        self._cells = cells

    def of(self, key: bytes) -> float:
        """The time; now and then a later one, never an earlier."""
        times = self._times
        first, second, third = self._cells.of(key)
        return min(times[first], times[second], times[third])

    def put(self, key: bytes, now: float, full_at: float) -> None:
        """Note a later time."""
        del now
        times = self._times
        for cell in self._cells.of(key):
            if times[cell] < full_at:  # noqa: PLR1730 - to write what is there already would slow the others down
                times[cell] = full_at
