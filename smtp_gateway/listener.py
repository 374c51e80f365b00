"""The listening sockets: bound early, listened on late, shared by any number of servers, closed without a reset.

A connection that the kernel has completed and nobody has accepted is reset when the last listening socket closes.
So whoever ends a listener first lets no further connection begin (``close_to_new``), then accepts what is left.
Another process, or another server in this one, takes connections from the same queue by its own copies of the
sockets (``Listener.copy``, or inherited descriptors): while one of them is there, nothing is reset.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, Self

import structlog

from smtp_gateway.quota import OwnTally, Tally
from smtp_gateway.shared_memory import Field, Slot

BACKLOG: Final = 4_096
"""Connections that the kernel holds for us in a burst: as many as Linux allows by itself (net.core.somaxconn). One that
comes when the queue is full may, under SYN cookies, believe to be connected while nobody knows of it."""
AT_ONCE: Final = 64
"""Connections taken in one turn of the event loop, so that a burst does not hold up the sessions there are."""
MOMENT_SECONDS: Final = 0.001
"""A process with more sessions than another leaves the next client to that one for so long, then takes it: a turn of an
event loop under load, and nothing that a client notices where the other process hangs."""
PAUSE_SECONDS: Final = 1.0
"""After the process ran out of descriptors or memory for a connection; the queue waits meanwhile."""

_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

# Linux: SO_ATTACH_FILTER with a program over the TCP header. A segment with SYN is dropped as if it had been lost, so
# that its sender tries again in a second; handshakes that have begun are completed.
_SO_ATTACH_FILTER: Final = 26
_DROP_SYN: Final = (
    (0x30, 0, 0, 13),  # load the octet of flags
    (0x45, 0, 1, 0x02),  # is SYN among them?
    (0x06, 0, 0, 0),  # then drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # else let it pass
)

_log = structlog.get_logger("smtp_gateway")


class ListenError(Exception):
    """The gateway cannot listen; the text is one sentence for a person."""


class Listener:
    """Bound sockets. ``ours`` says that nobody else holds them, so that closing them ends the queue."""

    def __init__(self, sockets: Iterable[socket.socket], *, ours: bool) -> None:
        self.sockets = tuple(sockets)
        self.ours = ours
        for one in self.sockets:
            one.setblocking(False)  # noqa: FBT003 - the socket interface has no name for it

    @classmethod
    def bound(cls, host: str, port: int) -> Self:
        """Bind every address of ``host``, without listening yet. Raises ListenError with what to do."""
        made: list[socket.socket] = []
        try:
            for family, kind, protocol, _, address in socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            ):
                one = socket.socket(family, kind, protocol)
                made.append(one)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                one.bind(address)
        except OSError as error:
            for one in made:
                one.close()
            raise _cannot(host, port, error) from error
        return cls(made, ours=True)

    @classmethod
    def inherited(cls, descriptors: Iterable[int], *, ours: bool) -> Self:
        """Sockets that another process has bound."""
        return cls((socket.socket(fileno=number) for number in descriptors), ours=ours)

    @property
    def port(self) -> int:
        """The port of the first socket."""
        return int(self.sockets[0].getsockname()[1])

    @property
    def host(self) -> str:
        """The address of the first socket."""
        return str(self.sockets[0].getsockname()[0])

    def copy(self) -> Listener:
        """The same queue under other descriptors."""
        return Listener((one.dup() for one in self.sockets), ours=self.ours)

    def listen(self) -> None:
        """Let clients connect. Raises ListenError; may be called again."""
        for one in self.sockets:
            try:
                one.listen(BACKLOG)
            except OSError as error:
                host, port = one.getsockname()[:2]
                raise _cannot(host, port, error) from error

    def close_to_new(self) -> None:
        """Let no further connection begin on sockets of ours; what waits in the queue can still be accepted."""
        if not self.ours:
            return
        program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _DROP_SYN))
        value = struct.pack("HL", len(_DROP_SYN), ctypes.addressof(program))
        for one in self.sockets:
            # Elsewhere than on Linux the last connections of a burst may be reset.
            with suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, value)

    def turn_away(self, line: bytes) -> None:
        """Say ``line`` to everybody who waits in the queue, where nobody else will take them."""
        for one in self.sockets if self.ours else ():
            with suppress(OSError):  # the queue is empty, or nobody ever listened
                while True:
                    made, _ = one.accept()
                    with made, suppress(OSError):
                        made.send(line)

    def close(self) -> None:
        """Close our descriptors; may be called again."""
        for one in self.sockets:
            one.close()


class Acceptor:
    """Takes connections off a listener's queue and gives each to a protocol of ``factory``'s."""

    def __init__(
        self, listener: Listener, factory: Callable[[], asyncio.Protocol], among: Slot | None = None
    ) -> None:
        """``among``: this process' place among several that take from the same queue, evenly."""
        self._listener = listener
        self._factory = factory
        self._among = among
        self._taken: Tally = OwnTally() if among is None else among.tally(Field.BEGINNING)
        self._loop = asyncio.get_running_loop()
        self._beginning: set[asyncio.Task[None]] = set()
        self._closed = False

    def start(self) -> None:
        """Listen, and take connections from now on. Raises ListenError."""
        self._listener.listen()
        for one in self._listener.sockets:
            self._loop.add_reader(one.fileno(), self._take, one)

    def close_to_new(self) -> None:
        """Let no further connection begin; those that have begun are still taken."""
        if not self._closed:
            self._listener.close_to_new()

    async def end(self, seconds: float) -> None:
        """Close, once all that were taken have their protocol.

        Where the queue ends with us, go on for so long and take what then waits in it; else that is for its next owner.
        """
        if not self._closed and self._listener.ours:
            await asyncio.sleep(seconds)
            for one in self._listener.sockets:
                while self._accepted(one):
                    pass
        self.close()
        await self.begun()

    async def begun(self) -> None:
        """Return once every connection that was taken has its protocol."""
        while self._beginning:
            await asyncio.wait(tuple(self._beginning))

    def close(self) -> None:
        """Take no more connections, and close the listener; may be called again."""
        if self._closed:
            return
        self._closed = True
        for one in self._listener.sockets:
            self._loop.remove_reader(one.fileno())
        self._listener.close()

    def _take(self, listening: socket.socket) -> None:
        places = None if self._among is None else self._among.places
        if places == 0:
            self._loop.remove_reader(listening.fileno())
            self._loop.call_later(MOMENT_SECONDS, self._take_regardless, listening)
            return
        for _ in range(AT_ONCE if places is None else min(places, AT_ONCE)):
            if not self._accepted(listening):
                return

    def _take_regardless(self, listening: socket.socket) -> None:
        self._resume(listening)
        if not self._closed:
            self._accepted(listening)

    def _accepted(self, listening: socket.socket) -> bool:
        """Take one connection; False when there is none, or no room for one."""
        try:
            made, _ = listening.accept()
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            if error.errno in _NO_ROOM:
                self._pause(listening, error)
                return False
            return isinstance(
                error, ConnectionError
            )  # a client that has gone again: the next one may be there
        made.setblocking(False)  # noqa: FBT003 - the socket interface has no name for it
        task = self._loop.create_task(self._begin(made))
        self._beginning.add(task)
        task.add_done_callback(self._begun)
        self._taken.add(1)  # at once, for others to see: its session counts itself in later
        return True

    def _begun(self, task: asyncio.Task[None]) -> None:
        self._beginning.discard(task)
        self._taken.add(-1)

    async def _begin(self, made: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._factory, made)
        except OSError as error:
            _log.info("connection lost before its greeting", cause=type(error).__name__)
            made.close()

    def _pause(self, listening: socket.socket, error: OSError) -> None:
        _log.error("no room for a connection", cause=os.strerror(error.errno or 0), seconds=PAUSE_SECONDS)
        self._loop.remove_reader(listening.fileno())
        self._loop.call_later(PAUSE_SECONDS, self._resume, listening)

    def _resume(self, listening: socket.socket) -> None:
        if not self._closed:
            self._loop.add_reader(listening.fileno(), self._take, listening)


def _cannot(host: object, port: object, error: OSError) -> ListenError:
    where = f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return ListenError(f"SMTP cannot listen on {where}: the port is in use; choose another.")
    if error.errno == errno.EACCES:
        return ListenError(
            f"SMTP cannot listen on {where}: a port under 1024 needs privileges; choose another."
        )
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else "no such address"
    return ListenError(f"SMTP cannot listen on {where}: {reason}.")
