"""Memory that the processes of one gateway share: who takes clients, and what each holds and has counted.

The process that starts the others makes it and hands its descriptor down. Each of them has a slot and counts of its own
that it alone writes; all are added up by whoever wants to know. So nothing is locked, and what a process held is given
back when it dies: whoever started it clears what it wrote. What clients did in the last minute is kept in tables that
all write (``sketch``), and outlives them. A number is one aligned word, which is never seen half written.

Linux alone. Nothing of it is on disk, and nobody else can open it.
"""

from __future__ import annotations

import mmap
import os
import time
from enum import IntEnum
from typing import Final, Self

from smtp_gateway.admission import Memory
from smtp_gateway.balance import Load, places
from smtp_gateway.sketch import CELLS, SECRET_BYTES, Cells, CountSketch, FullAtSketch

_NANO: Final = 1_000_000_000


class Field(IntEnum):
    """The words of a slot."""

    BEAT = 0
    """When its owner's event loop had a turn last, in nanoseconds of the machine's steady clock."""
    TAKES = 1
    """1 while its owner takes clients."""
    BEGINNING = 2
    """Connections it has taken that are no sessions yet."""
    SESSIONS = 3
    TLS_SESSIONS = 4
    MESSAGES = 5
    """Messages that it judges and stores."""
    MEMORY_OCTETS = 6
    DISK_OCTETS = 7


_WORD: Final = 8
_SLOT: Final = 64
"""Octets: a line of the processor's cache each, so that two writers do not slow each other down."""
_SLOT_WORDS: Final = _SLOT // _WORD
_RATES: Final = 4
"""Connections and messages a minute, by address and by network."""
_TIMES: Final = CELLS * 8
_COUNTS: Final = CELLS * 4


class SharedMemory:
    """The whole of it, for so many processes: a secret, their slots, the rates, each one's counts of connections."""

    def __init__(self, descriptor: int, processes: int) -> None:
        self.descriptor = descriptor
        self.processes = processes
        octets = memoryview(mmap.mmap(descriptor, _size(processes)))
        begin = _SLOT
        self._slots = octets[begin : begin + processes * _SLOT]
        self.words = self._slots.cast("q")
        begin += processes * _SLOT
        cells = Cells(bytes(octets[:SECRET_BYTES]))
        times = [octets[begin + _TIMES * n : begin + _TIMES * (n + 1)].cast("d") for n in range(_RATES)]
        self._rates = [FullAtSketch(one, cells) for one in times]
        begin += _TIMES * _RATES
        self._counts = [octets[begin + _COUNTS * n : begin + _COUNTS * (n + 1)] for n in range(processes)]
        self._cells = cells

    @classmethod
    def made(cls, processes: int) -> Self:
        """New memory, all zero but for its secret. Raises OSError."""
        descriptor = os.memfd_create("expertmail")
        os.ftruncate(descriptor, _size(processes))
        os.pwrite(descriptor, os.urandom(SECRET_BYTES), 0)
        return cls(descriptor, processes)

    def slot(self, number: int) -> Slot:
        """What process ``number``, counted from 0, sees of it."""
        counts = [one.cast("i") for one in self._counts]
        connections = CountSketch(counts[number], counts, self._cells)
        rates = self._rates
        memory = Memory(connections, connections=(rates[0], rates[1]), messages=(rates[2], rates[3]))
        return Slot(self.words, number, self.processes, memory)

    def clear(self, number: int) -> None:
        """Give back what a process held that has died."""
        for octets in (self._slots[number * _SLOT : (number + 1) * _SLOT], self._counts[number]):
            octets[:] = bytes(len(octets))

    def close(self) -> None:
        """Hand it to nobody any more; it is gone when its last user is."""
        os.close(self.descriptor)


class Slot:
    """One process' words, and a look at those of the others."""

    def __init__(self, words: memoryview[int], number: int, processes: int, memory: Memory) -> None:
        """``memory``: for counts by address and network."""
        self.admission = memory
        self._words = words
        self._begin = number * _SLOT_WORDS
        self._end = processes * _SLOT_WORDS
        self._others = tuple(other * _SLOT_WORDS for other in range(processes) if other != number)

    def get(self, field: Field) -> int:
        """A word of ours."""
        return self._words[self._begin + field]

    def put(self, field: Field, value: int) -> None:
        """Write a word of ours."""
        self._words[self._begin + field] = value

    def beat(self) -> None:
        """Note that the event loop has a turn."""
        self.put(Field.BEAT, time.monotonic_ns())

    def tally(self, field: Field) -> SlotTally:
        """The count of all processes in that word."""
        return SlotTally(self._words, self._begin + field, range(field, self._end, _SLOT_WORDS))

    @property
    def places(self) -> int | None:
        """How many clients to take now: with 0 leave the next one to another process for a moment; None is no limit."""
        others = (
            Load(self._clients(other), self._words[other + Field.BEAT] / _NANO)
            for other in self._others
            if self._words[other + Field.TAKES]
        )
        return places(self._clients(self._begin), others, time.monotonic())

    def _clients(self, begin: int) -> int:
        return self._words[begin + Field.BEGINNING] + self._words[begin + Field.SESSIONS]


class SlotTally:
    """A count of which each process has a part (``quota.Tally``)."""

    def __init__(self, words: memoryview[int], ours: int, everybodys: range) -> None:
        self._words = words
        self._ours = ours
        self._everybodys = everybodys

    def add(self, number: int) -> None:
        """Count into our part, or out of it."""
        self._words[self._ours] += number

    @property
    def total(self) -> int:
        """The parts' sum."""
        words = self._words
        return sum([words[one] for one in self._everybodys])


def _size(processes: int) -> int:
    return _SLOT + processes * _SLOT + _RATES * _TIMES + processes * _COUNTS
