"""What all fuzz targets share: how many examples, how bytes are mutated, and how linear time is told.

Examples are the same each time. ``FULL=1`` tries twenty times as many; ``FUZZ_RANDOM=1`` tries others each time.
A failure prints the example, the blob that repeats it and, when random, the seed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
_TIMES = 20 if os.environ.get("FULL") == "1" else 1
_RANDOM = os.environ.get("FUZZ_RANDOM") == "1"

# From SMALL to LARGE is a factor of 32; with tenfold headroom 320 is allowed. A square would be 1,024.
SMALL = 2_048
LARGE = 65_536
HEADROOM = 10
NOISE_SECONDS = 0.02  # less CPU time than this for LARGE octets is never a fault
MOST_EDITS = 6


def fuzz(examples: int) -> settings:
    """Settings of a target that tries so many examples in the short form."""
    return settings(
        max_examples=examples * _TIMES,
        deadline=None,
        derandomize=not _RANDOM,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


@dataclass(frozen=True, slots=True)
class Target:
    """A reader under test: its invariant in words, the function, its documented errors, its grammar's pieces."""

    invariant: str
    run: Callable[[bytes], Any]
    errors: tuple[type[Exception], ...]
    pieces: tuple[bytes, ...]

    def outcome(self, data: bytes) -> object:
        """The result, or the documented error as text; any other exception passes through."""
        try:
            return self.run(data)
        except self.errors as error:
            return f"{type(error).__name__}: {error}"

    def test(self, data: bytes) -> None:
        """The documented errors only, and the same result for the same input."""
        assert self.outcome(data) == self.outcome(data)


def target(
    *pieces: bytes, errors: tuple[type[Exception], ...] = ()
) -> Callable[[Callable[[bytes], Any]], Target]:
    """Make a function of bytes, whose docstring is its invariant, a target."""

    def make(run: Callable[[bytes], Any]) -> Target:
        assert run.__doc__
        return Target(run.__doc__, run, errors, pieces)

    return make


def inputs(pieces: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Soup of the grammar's pieces with some plain bytes in it."""
    piece = st.one_of(st.sampled_from(pieces), st.sampled_from(pieces), st.binary(max_size=4))
    return st.lists(piece, max_size=24).map(b"".join)


Edit = tuple[str, int, int, bytes]

_WAYS = ("replace", "insert", "delete", "repeat", "cut", "flip")


def edits(pieces: Sequence[bytes]) -> st.SearchStrategy[list[Edit]]:
    """A few changes to any bytes; places are taken modulo the length."""
    place = st.integers(0, 1 << 16)
    text = st.one_of(st.sampled_from(pieces), st.binary(min_size=1, max_size=3))
    edit = st.tuples(st.sampled_from(_WAYS), place, st.integers(1, 64), text)
    return st.lists(edit, min_size=1, max_size=MOST_EDITS)


def mutated(raw: bytes, changes: Iterable[Edit]) -> bytes:
    """``raw`` after the changes."""
    for way, place, size, text in changes:
        at = place % (len(raw) + 1)
        match way:
            case "replace":
                raw = raw[:at] + text + raw[at + len(text) :]
            case "insert":
                raw = raw[:at] + text + raw[at:]
            case "delete":
                raw = raw[:at] + raw[at + size :]
            case "repeat":
                raw = raw[:at] + raw[at : at + size] * 3 + raw[at + size :]
            case "cut":
                raw = raw[: max(at, 1)]
            case _:
                raw = raw[:at] + bytes(octet ^ 1 << size % 8 for octet in raw[at : at + 1]) + raw[at + 1 :]
    return raw


def assert_linear(work: Callable[[bytes], object], unit: bytes) -> None:
    """CPU time for 32 times as many octets is at most 320 times as much: linear with tenfold headroom."""
    small = _seconds(work, unit * (SMALL // len(unit)), 5)
    limit = max(small * HEADROOM * (LARGE // SMALL), NOISE_SECONDS)
    large = _seconds(work, unit * (LARGE // len(unit)), 1)
    if large > limit:  # once more: the machine is shared
        large = _seconds(work, unit * (LARGE // len(unit)), 2)
    assert large <= limit, f"{unit!r}: {small:.6f} s for {SMALL} octets, {large:.4f} s for {LARGE}"


def _seconds(work: Callable[[bytes], object], data: bytes, times: int) -> float:
    best = float("inf")
    for _ in range(times):
        started = time.process_time()
        work(data)
        best = min(best, time.process_time() - started)
    return best
