"""The process that workers are forked from. It has imported what they run, and does nothing else.

A worker that starts by itself holds some 65 MB of modules of its own; one that is forked shares them with its siblings for
as long as nobody writes to them, and is there at once. One thread and no event loop are in this process, so a fork copies no
lock that somebody holds. It ends when the process that started it is gone; its workers notice that by their own links.

Orders and news are single packets: ``start NUMBER`` with the worker's descriptors, ``kill NUMBER``; ``born NUMBER PID``,
``failed NUMBER ERRNO``, ``ended NUMBER CODE`` (negative: a signal). Only the parent of a process may kill it by its number
safely, for nobody else knows when the number is given away again.
"""

from __future__ import annotations

import array
import gc
import os
import random
import select
import signal
import socket
from contextlib import suppress
from typing import Final

MAX_PACKET: Final = 64
"""Octets of a packet: a word and two numbers."""
MAX_DESCRIPTORS: Final = 64
"""That come with one order: a link, the shared memory, and a listening socket for each address family."""


class ForkServer:
    """Serves orders on ``control``, a SOCK_SEQPACKET socket, until its other end is closed."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._living: dict[int, int] = {}  # process id: the worker's number
        self._waker, self._woken = socket.socketpair()
        for end in (self._waker, self._woken):
            end.settimeout(0)

    def run(self) -> tuple[int, ...] | None:
        """Fork as ordered. Returns the descriptors in each forked process, None in this one at the end."""
        signal.signal(signal.SIGCHLD, _noted)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        gc.collect()
        gc.freeze()
        while True:
            ready, _, _ = select.select([self._control, self._woken], [], [])
            if self._woken in ready:
                with suppress(BlockingIOError):
                    self._woken.recv(4096)
                self._reap()
            if self._control not in ready:
                continue
            order, descriptors = _received(self._control)
            if not order:
                return None
            word, number = order.split()
            if word == b"kill":
                self._kill(int(number))
            elif self._fork(int(number), descriptors):
                return descriptors

    def _fork(self, number: int, descriptors: tuple[int, ...]) -> bool:
        """Whether this is the forked process."""
        try:
            process = os.fork()
        except OSError as error:
            self._tell("failed", number, error.errno or 0)
        else:
            if process == 0:
                self._become_worker()
                return True
            self._living[process] = number
            self._tell("born", number, process)
        for descriptor in descriptors:
            os.close(descriptor)
        return False

    def _become_worker(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for end in (self._control, self._waker, self._woken):
            end.close()
        random.seed()  # jitter, or all workers would wait for the same moment; secrets come from the system

    def _kill(self, number: int) -> None:
        for process, whose in self._living.items():
            if whose == number:
                os.kill(process, signal.SIGKILL)

    def _reap(self) -> None:
        while self._living:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return
            self._tell("ended", self._living.pop(process), os.waitstatus_to_exitcode(status))

    def _tell(self, word: str, number: int, value: int) -> None:
        with suppress(OSError):  # nobody is there to hear it: the next order says so
            self._control.send(f"{word} {number} {value}".encode())


def _received(control: socket.socket) -> tuple[bytes, tuple[int, ...]]:
    """One packet and its descriptors; nothing when the other end is gone."""
    size = array.array("i").itemsize
    order, ancillary, _, _ = control.recvmsg(MAX_PACKET, socket.CMSG_SPACE(MAX_DESCRIPTORS * size))
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % size])
    return order, tuple(descriptors)


def _noted(_number: int, _frame: object) -> None:
    """A handler of our own is what makes Python wake ``select``; the work is done there."""
