"""Connections that stay open for a moment after a mail, for the next one to the same server (RFC 5321 3.3, 4.1.4).

One is kept under all that decided how it was made: server, port, name, account, authorities and the kind of TLS. A mail
that asks for other TLS never finds it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final

import aiosmtplib

from outbound.model import Protection
from outbound.smtp_replies import NotSmtpError, Replies

# An open connection holds one of the server's places; Postfix keeps its own for as long (smtp_connection_cache_time_limit).
IDLE_SECONDS: Final = 2.0
# Servers grow tired of a connection, and say so in ways of their own; a new one for so many mails costs little.
MAX_MAILS: Final = 50
# So that a change of addresses, certificates or load balancing is followed (Postfix: smtp_connection_reuse_time_limit).
MAX_SECONDS: Final = 300.0
# Mail to many domains leaves one for each: their descriptors are wanted by who sends mail to us.
MAX_IDLE: Final = 50


@dataclass(eq=False, slots=True)
class Connection:
    """An open dialogue between two mails. ``unfinished``: a mail was refused, and RSET has to come first."""

    client: aiosmtplib.SMTP = field(repr=False)
    replies: Replies = field(repr=False)
    protection: Protection
    quit_seconds: float
    opened: float
    mails: int = 0
    unfinished: bool = False

    async def end(self) -> None:
        """Say goodbye, but owe nothing to the answer."""
        if self.replies.silent:
            with contextlib.suppress(OSError, NotSmtpError):  # TimeoutError is an OSError
                self.replies.send(b"QUIT\r\n")
                await self.replies.next(self.quit_seconds)
        self.drop()

    def drop(self) -> None:
        """End it without a word."""
        self.replies.abort()
        self.client.close()


class Connections:
    """Those that nobody uses right now. For one event loop; ``close`` ends them all."""

    def __init__(self) -> None:
        self._idle: dict[Hashable, list[Connection]] = {}
        self._timers: dict[Connection, asyncio.TimerHandle] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._timers)

    def take(self, key: Hashable) -> Connection | None:
        """The one that was used last, if there is one that stands."""
        waiting = self._idle.get(key, [])
        while waiting:
            found = waiting[-1]
            self._forget(key, found)
            if found.replies.silent:
                return found
            found.drop()
        return None

    def keep(self, key: Hashable, connection: Connection) -> None:
        """Have it wait for another mail, or end it where it has had its share."""
        loop = asyncio.get_running_loop()
        worn = connection.mails >= MAX_MAILS or loop.time() - connection.opened >= MAX_SECONDS
        if worn or not connection.replies.silent:
            self._end(connection)
            return
        self._idle.setdefault(key, []).append(connection)
        self._timers[connection] = loop.call_later(IDLE_SECONDS, self._expire, key, connection)
        if len(self._timers) > MAX_IDLE:
            longest = next(iter(self._timers))
            self._expire(next(its for its, waiting in self._idle.items() if longest in waiting), longest)

    async def close(self) -> None:
        """End all that wait, and return when they have ended."""
        for key, waiting in list(self._idle.items()):
            for one in list(waiting):
                self._expire(key, one)
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _expire(self, key: Hashable, connection: Connection) -> None:
        self._forget(key, connection)
        self._end(connection)

    def _forget(self, key: Hashable, connection: Connection) -> None:
        self._timers.pop(connection).cancel()
        self._idle[key].remove(connection)
        if not self._idle[key]:
            del self._idle[key]

    def _end(self, connection: Connection) -> None:
        task = asyncio.create_task(connection.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
