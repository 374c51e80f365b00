"""A process that takes mail keeps what large messages free; measured in page faults, which no machine's speed changes."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

WORK = """
import resource, sys, threading
from expertmail.freed_memory import keep_what_is_freed
if sys.argv[1] == "kept":
    assert keep_what_is_freed()
size = 1_000_000
def work():
    for _ in range(200):
        one = b"x" * size
        del one
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def in_thread():
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
in_thread()
before = faults()
in_thread()
print(faults() - before)
"""


def faults(how: str, environment: dict[str, str]) -> int:
    done = subprocess.run(
        [sys.executable, "-c", WORK, how], env=environment, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not GNU's: nothing is set")
def test_what_large_messages_free_is_not_mapped_anew_for_the_next() -> None:
    assert faults("kept", {}) < 1_000, "a piece of 1 MB alone has 245 pages, and there are 200 of them"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not GNU's: nothing is set")
def test_what_the_environment_says_stays() -> None:
    assert faults("kept", {"MALLOC_MMAP_THRESHOLD_": "65536"}) > 20_000
