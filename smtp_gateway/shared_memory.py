"""Memory that the processes of one gateway share: who takes clients, and how many each has.

The process that starts the others makes it and hands its descriptor down. Each of them has a slot that it alone writes,
so that nothing is locked and a process that dies leaves nothing behind: its slot is cleared by whoever started it, and
what it had counted is gone with it. A number is one aligned word of 8 octets, which is never seen half written.
"""

from __future__ import annotations

import mmap
import os
import time
from enum import IntEnum
from typing import Final, Self

from smtp_gateway.balance import Load, holds_more

_WORD: Final = 8
_NANO: Final = 1_000_000_000


class Field(IntEnum):
    """The words of a slot."""

    BEAT = 0
    """When its owner's event loop had a turn last, in nanoseconds of the machine's steady clock."""
    TAKES = 1
    """1 while its owner takes clients."""
    PRESENT = 2
    """Connections it has taken and that have not gone."""


_SLOT_WORDS: Final = 8
"""A line of the processor's cache each, so that two writers do not slow each other down."""


class SharedMemory:
    """The whole of it, for so many processes."""

    def __init__(self, descriptor: int, processes: int) -> None:
        self.descriptor = descriptor
        self.processes = processes
        self._map = mmap.mmap(descriptor, _size(processes))
        self._words = memoryview(self._map).cast("q")

    @classmethod
    def made(cls, processes: int) -> Self:
        """New memory, all zero. Raises OSError."""
        descriptor = os.memfd_create("expertmail")
        os.ftruncate(descriptor, _size(processes))
        return cls(descriptor, processes)

    def slot(self, number: int) -> Slot:
        """The slot of process ``number``, counted from 0."""
        return Slot(self._words, number, self.processes)

    def clear(self, number: int) -> None:
        """Forget a process that has died."""
        begin = number * _SLOT_WORDS
        for word in range(begin, begin + _SLOT_WORDS):
            self._words[word] = 0

    def close(self) -> None:
        """Let go of it; the slots cannot be used any more."""
        self._words.release()
        self._map.close()
        os.close(self.descriptor)


class Slot:
    """One process' words, and a look at those of the others."""

    def __init__(self, words: memoryview[int], number: int, processes: int) -> None:
        self._words = words
        self._begin = number * _SLOT_WORDS
        self._others = tuple(other * _SLOT_WORDS for other in range(processes) if other != number)

    def get(self, field: Field) -> int:
        """A word of ours."""
        return self._words[self._begin + field]

    def put(self, field: Field, value: int) -> None:
        """Write a word of ours."""
        self._words[self._begin + field] = value

    def add(self, field: Field, number: int) -> None:
        """Add to a word of ours."""
        self._words[self._begin + field] += number

    def beat(self) -> None:
        """Note that the event loop has a turn."""
        self.put(Field.BEAT, time.monotonic_ns())

    @property
    def holds_more(self) -> bool:
        """Whether the next client should be left to another process for a moment."""
        words = self._words
        others = (
            Load(words[other + Field.PRESENT], words[other + Field.BEAT] / _NANO * words[other + Field.TAKES])
            for other in self._others
        )
        return holds_more(words[self._begin + Field.PRESENT], others, time.monotonic())


def _size(processes: int) -> int:
    return processes * _SLOT_WORDS * _WORD
