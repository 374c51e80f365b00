"""A cap that many share."""

from __future__ import annotations

from typing import Protocol


class Tally(Protocol):
    """How much is taken of something, by all together."""

    def add(self, number: int) -> None:
        """Count in, or out where ``number`` is negative."""

    @property
    def total(self) -> int:
        """What all have taken."""
        ...


class OwnTally:
    """The tally of one process that is alone."""

    def __init__(self) -> None:
        self.total = 0

    def add(self, number: int) -> None:
        """Count in, or out."""
        self.total += number


class Quota:
    """So many octets, sessions or the like at one time, for all together."""

    def __init__(self, cap: int, tally: Tally | None = None) -> None:
        """``tally``: shared with other processes; without one this process is alone."""
        self._cap = cap
        self._tally: Tally = OwnTally() if tally is None else tally

    @property
    def taken(self) -> int:
        """What all have taken."""
        return self._tally.total

    @property
    def used_up(self) -> bool:
        """Whether nothing is left."""
        return self._tally.total >= self._cap

    def take(self, number: int) -> bool:
        """Count in; False, and nothing counted, where it would be too much.

        Counted before it is looked at: of two processes that take the last place at once, both may be refused, and never
        do both have it.
        """
        self._tally.add(number)
        if self._tally.total <= self._cap:
            return True
        self._tally.add(-number)
        return False

    def count(self, number: int) -> None:
        """Count in what is there already, whatever the cap says."""
        self._tally.add(number)

    def give(self, number: int) -> None:
        """Count out."""
        self._tally.add(-number)
