"""Requests that may come again: whoever is first does it, and all others hear what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class RacedError(Exception):
    """Another request with the same key was first; once this transaction is rolled back, its work can be seen."""


def once(work: Callable[[], T]) -> T:
    """Do a work that is noted by its key; one that loses a race finds the winner's at its second try."""
    try:
        return work()
    except RacedError:
        return work()
