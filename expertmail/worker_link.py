"""What the processes of one gateway say to each other, over a socket that only they have."""

from __future__ import annotations

import asyncio
import pickle
import socket
from dataclasses import dataclass
from typing import Any, Final, Self

from expertmail.metrics_sum import Counts
from expertmail.settings import Settings

_LENGTH_OCTETS: Final = 4


@dataclass(frozen=True, slots=True)
class Begin:
    """To a worker: its first settings, its number, how many there are, and whether the listener ends with us all."""

    settings: Settings
    number: int
    workers: int
    ours: bool


@dataclass(frozen=True, slots=True)
class Renew:
    """To a worker: settings for new sessions."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class Stop:
    """To a worker: drain and end; ``handshakes`` as for ``GatewayServer.stop``."""

    handshakes: float


@dataclass(frozen=True, slots=True)
class Accepting:
    """From a worker: it takes clients by the settings it was told last."""


@dataclass(frozen=True, slots=True)
class Refused:
    """From a worker: those settings cannot be used, and why; it goes on with the earlier ones, if it has any."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Taken:
    """From a worker: it has stored mail, and there may be something to deliver."""


@dataclass(frozen=True, slots=True)
class Told:
    """From a worker: what it has counted since it began."""

    counts: Counts


Message = Begin | Renew | Stop | Accepting | Refused | Taken | Told


class Link:
    """One end of the socket between the process that started a worker and that worker."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Self:
        """Take over one end of a socket pair."""
        return cls(*await asyncio.open_connection(sock=end))

    def say(self, message: Message) -> None:
        """Send without waiting; one that has gone is noticed by whoever listens to it."""
        octets = pickle.dumps(message)
        self._writer.write(len(octets).to_bytes(_LENGTH_OCTETS, "big") + octets)

    async def heard(self) -> Message | None:
        """The next message; None when the other process is gone."""
        try:
            length = int.from_bytes(await self._reader.readexactly(_LENGTH_OCTETS), "big")
            # Nobody but the two processes, which are one program under one account, has this socket.
            message: Any = pickle.loads(await self._reader.readexactly(length))  # noqa: S301 - see above
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        heard: Message = message
        return heard

    async def close(self) -> None:
        """Send what waits, and close."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return
