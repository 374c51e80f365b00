"""The pool of workers: whatever the work does, only its own piece is lost, and the others come out in order."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from expertmail.worker_pool import Lost, WorkerPool


def work(pieces: Iterator[object], made: Callable[[object], None]) -> None:
    """What is asked of it: to be late, to die in several ways, or to double a number."""
    for piece in pieces:
        match piece:
            case "hang":
                while True:
                    pass
            case "exit":
                os._exit(3)
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "raise":
                raise LookupError("what a message said")
            case "leave":
                return
            case "pid":
                made(os.getpid())
            case bytes():
                made(piece)
            case int():
                made(piece * 2)


def outcomes(pieces: list[object], count: int = 2, seconds: float = 1.0) -> list[object]:
    with WorkerPool[object, object](work, count, seconds) as pool:
        return [made for _, made in pool.in_order(pieces)]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("count", [1, 2, 8])
@pytest.mark.parametrize("many", [0, 1, 2, 31, 33, 1_500])
def test_everything_comes_out_once_and_in_order(count: int, many: int) -> None:
    assert outcomes(list(range(many)), count) == [number * 2 for number in range(many)]


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("hang", "could not be judged in 1 s"),
        ("exit", "ended with code 3"),
        ("killed", "was ended by SIGKILL"),
        ("raise", "a fault of expertmail (LookupError at test_worker_pool.py:"),
        ("leave", "ended with code 0"),
    ],
)
@pytest.mark.parametrize("place", [0, 50, 99])
def test_what_harms_a_worker_is_lost_and_nothing_else(harm: str, words: str, place: int) -> None:
    pieces: list[object] = list(range(100))
    pieces[place] = harm
    found = outcomes(pieces)
    lost = found.pop(place)
    assert isinstance(lost, Lost)
    assert words in lost.words
    assert "what a message said" not in lost.words
    assert found == [number * 2 for number in range(100) if number != place]


def test_several_that_hang_cost_a_deadline_each_and_no_more() -> None:
    started = time.monotonic()
    found = outcomes(["hang", 1, "hang", 2, "hang"], seconds=0.5)
    assert [isinstance(made, Lost) for made in found] == [True, False, True, False, True]
    assert time.monotonic() - started < 10


def test_pieces_larger_than_a_pipe_pass_in_both_directions() -> None:
    pieces: list[object] = [bytes([number]) * 3_000_000 for number in range(6)]
    assert outcomes(pieces, seconds=30) == pieces


def test_no_more_is_taken_ahead_than_is_allowed() -> None:
    taken = 0

    def pieces() -> Iterator[object]:
        nonlocal taken
        for number in range(100_000):
            taken += 1
            yield number

    with WorkerPool[object, object](work, 2) as pool:
        found = pool.in_order(pieces())
        next(found)
        time.sleep(0.2)
        next(found)
        assert taken < 2_000


def test_no_process_is_left_whether_all_came_out_or_not() -> None:
    with WorkerPool[object, object](work, 2) as pool:
        (pid,) = (made for _, made in pool.in_order(["pid"]))
        assert isinstance(pid, int)
        assert not gone(pid)
    assert gone(pid)
    with WorkerPool[object, object](work, 2, 60) as pool:
        found = pool.in_order(["pid", "hang"])
        _, pid = next(found)
        assert isinstance(pid, int)
    assert gone(pid)


def test_beside_threads_workers_are_new_processes() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert outcomes([1, "exit", 2], count=1, seconds=30)[::2] == [2, 4]
    finally:
        done.set()
        thread.join()
