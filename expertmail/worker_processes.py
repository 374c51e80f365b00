"""Worker processes as the main process sees them: forked by a server of ours (``expertmail.fork_server``), which is watched.

The first server is forked from the main process itself, so that all processes of a gateway share what they have imported.
That is done before there is any thread; a later one, for a server that was killed, starts as a program by itself.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from expertmail import smtp_worker
from expertmail.fork_server import MAX_PACKET
from expertmail.service_manager import VARIABLES

BORN_SECONDS: Final = 60.0
"""For the first worker to be forked: the server imports everything before, on a machine that may be busy."""

TOLD_SECONDS: Final = 5.0
"""For a fork server to say that a process has ended which it was told to kill; then it hangs and is killed itself."""


class WorkerProcess:
    """One worker. ``pid`` is its number in the system."""

    def __init__(self, pid: int, ended: asyncio.Future[int | None], server: _Server, number: int) -> None:
        self.pid = pid
        self._ended = ended
        self._server = server
        self._number = number

    async def wait(self) -> int | None:
        """Its exit code, negative for a signal; None when nobody can know, for its parent is gone."""
        return await asyncio.shield(self._ended)

    def kill(self) -> None:
        """End it at once, unless it has ended."""
        if not self._ended.done():
            self._server.order(f"kill {self._number}")
        elif self._server.lost:  # its number was not given away: who calls sees it alive
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def end(self) -> None:
        """Kill it and return when it has ended, also where its server hangs."""
        self.kill()
        told, _ = await asyncio.wait((self._ended,), timeout=TOLD_SECONDS)
        if not told:
            self._server.kill()
            await self.wait()
            self.kill()


@dataclass(frozen=True, slots=True)
class Forked:
    """A fork server that was forked from this process."""

    control: socket.socket
    pid: int


def forked_server(not_its: Iterable[socket.socket]) -> Forked:
    """Fork this process; the child, without the sockets named, serves forks. To be called while there is one thread.

    Raises OSError when the system has no room for another process.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    gc.collect()
    gc.freeze()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        ours.close()
        for one in not_its:
            one.close()
        smtp_worker.live(theirs)
    theirs.close()
    return Forked(ours, pid)


class WorkerProcesses:
    """Starts worker processes. A server that is gone is replaced when the next worker is started."""

    def __init__(self, first: Forked | None) -> None:
        self._first = first
        self._server: _Server | None = None
        self._starting = asyncio.Lock()
        self._last = 0

    async def start(self, descriptors: list[int]) -> WorkerProcess:
        """Fork a worker that is given copies of the descriptors. Raises OSError."""
        async with self._starting:
            if self._first is not None:
                self._server, self._first = _Server.forked(self._first), None
            elif self._server is None or self._server.lost:
                self._server = await _Server.started()
            server = self._server
        self._last += 1
        return await server.fork(self._last, descriptors)

    async def stop(self) -> None:
        """End the server; workers that are left go on without it."""
        if self._server is not None:
            await self._server.stop()


class _Server:
    """The main process' end of one fork server."""

    def __init__(self, control: socket.socket, pid: int, reaped: Callable[[], Awaitable[object]]) -> None:
        control.settimeout(0)
        self._pid = pid
        self._control = control
        self._reaped = reaped
        self._born: dict[int, asyncio.Future[int]] = {}
        self._ended: dict[int, asyncio.Future[int | None]] = {}
        self._ending: asyncio.Future[object] | None = None
        asyncio.get_running_loop().add_reader(control, self._hear)

    @classmethod
    def forked(cls, first: Forked) -> _Server:
        return cls(first.control, first.pid, partial(asyncio.to_thread, os.waitpid, first.pid, 0))

    @classmethod
    async def started(cls) -> _Server:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-P",
                    "-m",
                    "expertmail.smtp_worker",
                    str(theirs.fileno()),
                    pass_fds=[theirs.fileno()],
                    stdin=asyncio.subprocess.DEVNULL,
                    env=_environment(),
                )
            except OSError:
                ours.close()
                raise
        return cls(ours, process.pid, process.wait)

    @property
    def lost(self) -> bool:
        """Whether it can fork no more."""
        return self._ending is not None

    async def fork(self, number: int, descriptors: list[int]) -> WorkerProcess:
        born = self._born[number] = asyncio.get_running_loop().create_future()
        ended = self._ended[number] = asyncio.get_running_loop().create_future()
        try:
            socket.send_fds(self._control, [f"start {number}".encode()], descriptors)
            pid = await asyncio.wait_for(born, BORN_SECONDS)
        finally:
            self._born.pop(number, None)
        return WorkerProcess(pid, ended, self, number)

    def order(self, order: str) -> None:
        with suppress(OSError):  # it is gone, which is heard of
            self._control.send(order.encode())

    def _hear(self) -> None:
        try:
            news = self._control.recv(MAX_PACKET)
        except BlockingIOError:
            return
        except OSError:
            news = b""
        if not news:
            self._lose()
            return
        word, number, value = news.decode().split()
        born = self._born.get(int(number))
        if word == "ended":
            ended = self._ended.pop(int(number))
            ended.set_result(int(value))
        elif born is not None and not born.done():
            if word == "born":
                born.set_result(int(value))
            else:
                born.set_exception(OSError(int(value), os.strerror(int(value))))

    def _lose(self) -> asyncio.Future[object]:
        """The server is gone, or is to go: what it has not told will not be known. Returns its end."""
        ending = self._ending = asyncio.ensure_future(self._reaped())
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        for born in self._born.values():
            if not born.done():
                born.set_exception(ConnectionResetError("the process that forks workers ended"))
        for ended in self._ended.values():
            if not ended.done():
                ended.set_result(None)
        self._ended.clear()
        return ending

    def kill(self) -> None:
        """End it where it hangs; that it is gone is heard of as ever."""
        if not self.lost:  # nobody has waited for it: the number is its own
            os.kill(self._pid, signal.SIGKILL)

    async def stop(self) -> None:
        ending = self._ending or self._lose()
        ended, _ = await asyncio.wait((ending,), timeout=TOLD_SECONDS)
        if not ended:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        await ending


def _environment() -> dict[str, str]:
    """Ours, without what the service manager meant for us alone, and with the same modules."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return kept | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
