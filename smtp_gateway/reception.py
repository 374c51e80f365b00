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
SPARE_MAX = 2 * 1024 * 1024
"""Octets of one message that stay in memory beyond that while there is memory to spare: what most large mail has."""
SPARE_FOR_ALL = 16 * 1024 * 1024
"""The memory to spare, of one process. A message that goes by the disk is written and read, in five turns of a thread, which is
a fifth of what it costs; who sends slowly, or many at once, takes no more than this from the others."""

_log = structlog.get_logger("smtp_gateway")


class Reception:
    """What a session holds of a message that is not complete. ``close`` it, whatever happens."""

    def __init__(
        self, content: Content, *, memory: Quota, disk: Quota, spare: Quota, folder: Path | None
    ) -> None:
        self.content = content
        self._memory = memory
        self._spare = spare
        self._spared = 0  # octets counted in ``spare``
        self._disk = disk
        self._folder = folder
        self._spool: Spool | None = None
        self._on_disk = 0  # octets counted in ``disk``
        self.in_memory = 0  # octets counted in ``memory``; whoever sets this to 0 counts them out

    @property
    def unsettled(self) -> bool:
        """Whether there is something for ``settle`` to do; small messages are spared the way there."""
        held = self.content.held > MEMORY_MAX + self._spared
        return held or (self.content.lost and (self._spool is not None or self._spared > 0))

    async def settle(self) -> None:
        """Move what is too much for memory to the disk; without room there the message is given up."""
        content = self.content
        if content.lost:
            self._close_spool()
            self._give_spared()
            return
        if self._spool is None and self._has_spare(content.held - MEMORY_MAX):
            return
        octets = content.take()
        self._give_spared()
        if not self._disk.take(len(octets)):
            content.give_up()
            self.close()
            return
        self._on_disk += len(octets)
        await self._write(octets)

    def _has_spare(self, wanted: int) -> bool:
        """Whether so many octets may stay in memory, in steps: each session asks seldom."""
        while self._spared < wanted:
            if self._spared >= SPARE_MAX or not self._spare.take(MEMORY_MAX):
                return False
            self._spared += MEMORY_MAX
        return True

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
        if len(tail) <= MEMORY_MAX and self._spool is None:
            return tail
        size = len(tail) + (0 if self._spool is None else self._spool.size)
        if not self._memory.take(size):
            raise SmtpRefusal(replies.STORAGE_FULL, "memory for large messages")
        self.in_memory += size
        self._give_spared()
        if self._spool is None:
            return tail
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
        self._give_spared()
        self._memory.give(self.in_memory)
        self.in_memory = 0

    def _give_spared(self) -> None:
        self._spare.give(self._spared)
        self._spared = 0

    def _close_spool(self) -> None:
        if self._spool is not None:
            self._spool.close()
            self._spool = None
        self._disk.give(self._on_disk)
        self._on_disk = 0
