"""What the C library does with memory that is given back, in a process that serves.

A large message is copied and freed some ten times on its way. By default each piece is mapped anew and each thread hands its
freed memory back at once: 1 MB of mail then costs a thousand page faults, a tenth of its time.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

KEPT_OCTETS: Final = 4 * 1024 * 1024
"""Free memory that each arena keeps at its end: what a message of 1 MB holds on its way. Four times as much saves no more."""
MAPPED_FROM_OCTETS: Final = 2 * 1024 * 1024
"""Pieces from this size on are mapped by themselves, and are gone when they are freed: larger messages are seldom."""
ARENAS: Final = 2
"""One for the event loop, one for all threads: under the interpreter's lock more of them only keep more."""

# malloc.h of the GNU C library: the names of parameters, and those of the environment, which come first.
_PARAMETERS: Final = (
    (-1, "MALLOC_TRIM_THRESHOLD_", KEPT_OCTETS),
    (-3, "MALLOC_MMAP_THRESHOLD_", MAPPED_FROM_OCTETS),
    (-8, "MALLOC_ARENA_MAX", ARENAS),
)


def keep_what_is_freed() -> bool:
    """Set it, before there are threads; what the environment says stays. Returns False where the C library is another one."""
    try:
        set_parameter = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    taken = [set_parameter(number, value) for number, name, value in _PARAMETERS if name not in os.environ]
    return all(taken)
