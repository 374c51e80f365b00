"""Asks the second implementation (dkimpy, in a process of its own) and never waits long for it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from verifier.evidence import Opinion
from verifier.opinion import too_costly

SECONDS: Final = 1.0  # for an answer; dkimpy takes 50 ms for a message of 1 MB
START_SECONDS: Final = 10.0  # for the process to start, on a machine that is busy
MAX_MESSAGE: Final = 64 << 20  # octets; far above what the gateway takes in
MAX_KEYS: Final = 64  # key records handed over; a message has at most eight signatures that are judged

_LENGTH_OCTETS: Final = 4
_LONGEST_WORD: Final = 32


class SecondOpinion:
    """A worker process that is started when it is first needed, killed when it is late, and started again.

    One request is under way at a time. Whatever goes wrong, the answer is ``Opinion.SKIPPED``.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._process: asyncio.subprocess.Process | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock: asyncio.Lock | None = None

    async def ask(self, raw: bytes, index: int, txt: Mapping[str, str]) -> Opinion:
        """Dkimpy's word on signature ``index`` of ``raw`` (topmost is 0), with ``txt`` as all of DNS."""
        if len(raw) > MAX_MESSAGE or too_costly(raw, index):
            return Opinion.SKIPPED
        keys = [(name, text) for name, text in txt.items() if "._domainkey." in name.lower()]
        request = json.dumps({"signature": index, "txt": dict(keys[:MAX_KEYS])}).encode() + b"\n" + raw
        async with self._exclusively():
            try:
                process = await self._started()
                async with asyncio.timeout(self._seconds):
                    return Opinion(await _exchange(process, request))
            except (TimeoutError, OSError, EOFError, ValueError):
                await self._stop()
                return Opinion.SKIPPED
            except BaseException:
                await self._stop()  # cancelled in the middle of a frame
                raise

    async def close(self) -> None:
        """End the process, if there is one; it may be asked again afterwards."""
        async with self._exclusively():
            await self._stop()

    def _exclusively(self) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        if self._lock is None or loop is not self._loop:
            # A process belongs to the loop that started it; with that one gone, its pipes are gone as well.
            self._loop, self._lock, self._process = loop, asyncio.Lock(), None
        return self._lock

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        await self._stop()
        # The same modules as ours, and nothing else of our environment: it may hold secrets.
        environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "verifier.opinion_dkimpy",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
        )
        async with asyncio.timeout(START_SECONDS):
            await _receive(self._process)  # its word that it is ready
        return self._process

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _exchange(process: asyncio.subprocess.Process, request: bytes) -> str:
    if process.stdin is None:
        raise EOFError
    process.stdin.write(len(request).to_bytes(_LENGTH_OCTETS, "big") + request)
    await process.stdin.drain()
    return await _receive(process)


async def _receive(process: asyncio.subprocess.Process) -> str:
    if process.stdout is None:
        raise EOFError
    length = int.from_bytes(await process.stdout.readexactly(_LENGTH_OCTETS), "big")
    if length > _LONGEST_WORD:
        raise ValueError("not a word")
    return (await process.stdout.readexactly(length)).decode("ascii")
