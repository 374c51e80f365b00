"""Lists the files of a message: on the event loop where it is small, in a thread where it is large."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from smtp_gateway.judging import ON_THE_LOOP
from threads.attachments import AttachedFile, attached_files
from verifier.message import Message
from verifier.parts import Part

THREADS: Final = 1
"""Large messages whose files are described at one time: 35 MB take 0.3 s, and each is held decoded as well."""


class FileLister:
    """Describes attached files. ``close`` it."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="files")

    async def files(self, message: Message, parts: tuple[Part, ...]) -> tuple[AttachedFile, ...]:
        """All files attached to a message, of which ``parts`` are known."""
        if len(message.raw) <= ON_THE_LOOP:
            return attached_files(message, parts)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(attached_files, message, parts))

    def close(self) -> None:
        """End the thread, once it has done what it is at."""
        self._threads.shutdown()
