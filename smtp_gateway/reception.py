"""Receives one message's octets: small ones stay in memory, large ones wait on disk, and both have a cap for all."""

from __future__ import annotations

from pathlib import Path

import structlog

from smtp_gateway import replies
from smtp_gateway.content import Content
from smtp_gateway.quota import Quota
from smtp_gateway.replies import SmtpRefusal, SmtpReply
from smtp_gateway.spool import Spool

MEMORY_MAX = 256 * 1024
"""Octets of an incomplete message that stay in memory; nearly all mail is smaller, and a thousand clients that stop in
mid-message hold some 250 MB."""

_log = structlog.get_logger("smtp_gateway")


class Reception:
    """What a session holds of a message that is not complete. ``close`` it, whatever happens."""

    def __init__(self, content: Content, *, memory: Quota, disk: Quota, folder: Path | None) -> None:
        self.content = content
        self._memory = memory
        self._disk = disk
        self._folder = folder
        self._spool: Spool | None = None
        self._on_disk = 0  # octets counted in ``disk``
        self.in_memory = 0  # octets counted in ``memory``; whoever sets this to 0 counts them out

    @property
    def unsettled(self) -> bool:
        """Whether there is something for ``settle`` to do; small messages are spared the way there."""
        return self.content.held > MEMORY_MAX or (self._spool is not None and self.content.lost)

    async def settle(self) -> None:
        """Move what is too much for memory to the disk; without room there the message is given up."""
        content = self.content
        if content.lost:
            self._close_spool()
            return
        octets = content.take()
        if not self._disk.take(len(octets)):
            content.give_up()
            self.close()
            return
        self._on_disk += len(octets)
        await self._write(octets)

    async def _write(self, octets: bytes) -> None:
        try:
            if self._spool is None:
                self._spool = Spool(self._folder)
            await self._spool.write(octets)
        except OSError as error:
            _log.warning("no room for a message that comes in", cause=error.strerror)
            self.content.give_up()
            self.close()

    def refused(self, *, bare_lf_allowed: bool) -> SmtpReply | None:
        """The answer to data that cannot be taken, whatever the message says; None as long as it can."""
        content = self.content
        if content.given_up:
            return replies.STORAGE_FULL
        if content.too_large:
            return replies.TOO_LARGE
        bare = content.bare_control or (content.bare_lf and not bare_lf_allowed)
        return replies.BARE_CONTROL if bare else None

    async def octets(self) -> bytes:
        """The whole message, once; raises SmtpRefusal 452 where there is no room for it."""
        tail = self.content.take()
        if self._spool is None:
            return tail
        size = self._spool.size + len(tail)
        if not self._memory.take(size):
            raise SmtpRefusal(replies.STORAGE_FULL, "memory for large messages")
        self.in_memory += size
        try:
            await self._spool.write(tail)
            return await self._spool.read()
        except OSError as error:
            raise SmtpRefusal(replies.STORAGE_FULL, f"spool: {error.strerror}") from error
        finally:
            self._close_spool()

    def close(self) -> None:
        """Give back all that is held."""
        self._close_spool()
        self._memory.give(self.in_memory)
        self.in_memory = 0

    def _close_spool(self) -> None:
        if self._spool is not None:
            self._spool.close()
            self._spool = None
        self._disk.give(self._on_disk)
        self._on_disk = 0
