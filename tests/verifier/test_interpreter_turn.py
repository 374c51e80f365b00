"""A long search holds up no other thread: it lets others run between its steps, as Python and as machine code."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from verifier.author import author_of
from verifier.canonical import BodyHashes, Canonicalization, has_bare_line_ends
from verifier.message import Defect, read_message


def endless_header(raw: bytes) -> None:
    message = read_message(raw)
    assert Defect.HEADER_TOO_LARGE in message.defects
    author_of(message)


def bare_line_ends(raw: bytes) -> None:
    assert not has_bare_line_ends(raw, 0)


def body_hash(raw: bytes, method: Canonicalization) -> None:
    BodyHashes(read_message(raw)).get(method)


BLANK_LINES = b"A: b\r\n\r\n" + b"\r\n" * 40_000_000
LONG_LINES = (b"X: " + b"y" * 70 + b"\r\n") * 1_800_000  # 135 MB, and no empty line

WORK: dict[str, tuple[Callable[[bytes], None], bytes]] = {
    "a header without an end": (endless_header, LONG_LINES),
    "line ends of a body of blank lines": (bare_line_ends, BLANK_LINES),
    "simple hash of a body of blank lines": (partial(body_hash, method=Canonicalization.SIMPLE), BLANK_LINES),
    "relaxed hash of a body of blank lines": (partial(body_hash, method=Canonicalization.RELAXED), BLANK_LINES),
}


def longest_hold(work: Callable[[], None]) -> float:
    """Seconds of this thread's own time in which the work lets no other thread run."""
    longest, stop, worker = 0.0, threading.Event(), time.pthread_getcpuclockid(threading.get_ident())

    def watch() -> None:
        nonlocal longest
        before = time.clock_gettime(worker)
        while not stop.is_set():
            time.sleep(0.001)
            now = time.clock_gettime(worker)
            longest, before = max(longest, now - before), now

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        stop.set()
        watcher.join()
    return longest


@pytest.mark.parametrize(("work", "raw"), WORK.values(), ids=WORK)
def test_a_long_search_holds_the_interpreter_for_steps_only(work: Callable[[bytes], None], raw: bytes) -> None:
    began = time.thread_time()
    assert raw.replace(b"\r", b"").replace(b"\n", b"\r\n") == raw  # what a step does, done to all of it
    at_once = time.thread_time() - began
    # A step takes a hundredth of that; the rest is for a busy machine, which may wake the watcher late now and then.
    for _ in range(4):
        longest = longest_hold(lambda: work(raw))
        if longest < at_once / 3:
            return
    pytest.fail(f"held for {longest:.3f} s, where all of it by one call takes {at_once:.3f} s")
