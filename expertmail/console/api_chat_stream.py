"""A chat as server-sent events (WHATWG HTML 9.2): each entry once, in order, until the stream's time is over."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack, aclosing
from typing import Final

import structlog
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from expertmail.console.api_chat import ChatPage, entry_json
from expertmail.console.chat_watch import ChatWatch

HEARTBEAT_SECONDS: Final = 15.0
"""Between two lines on a silent stream: proxies cut what says nothing for half a minute or more."""
SLOW_SECONDS: Final = 15.0
"""For who reads slowly to take the rest once the stream's time is over."""
BATCH: Final = 20
"""Entries that are held for one reader at a time; who reads slowly makes us keep no more than these."""
COME_BACK: Final = 1_000
"""Milliseconds until a reader asks again after the end (`retry`)."""

_log = structlog.get_logger("expertmail")

Reads = Callable[[int], Awaitable[ChatPage]]
"""The first entries after a number, BATCH at most; HTTPException where they may be read no more."""


class EventStream(Response):
    """An answer that goes on. ``held`` is given back at its end, whatever ends it."""

    media_type = "text/event-stream"

    def __init__(
        self, events: AsyncGenerator[bytes], seconds: float, held: ExitStack, headers: dict[str, str]
    ) -> None:
        super().__init__(headers={**headers, "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._events = events
        self._seconds = seconds
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what there is until the end, or until the reader is gone, or takes nothing for too long."""
        del scope
        with self._held:
            sending = asyncio.create_task(self._send(send))
            gone = asyncio.create_task(_gone(receive))
            try:
                await asyncio.wait(
                    (sending, gone),
                    timeout=self._seconds + SLOW_SECONDS,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if not (sending.done() or gone.done()):
                    _log.info("a reader of a chat takes nothing: let go")
            finally:
                for task in (sending, gone):
                    task.cancel()
                await asyncio.gather(sending, gone, return_exceptions=True)
            if not sending.cancelled() and (fault := sending.exception()) is not None:
                raise fault

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with aclosing(self._events) as some:
            async for one in some:
                await send({"type": "http.response.body", "body": one, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def events(
    first: ChatPage, reads: Reads, watch: ChatWatch, seconds: float, heartbeat: float = HEARTBEAT_SECONDS
) -> AsyncGenerator[bytes]:
    """The stream's octets, from the page that was read before it began."""
    until, page = time.monotonic() + seconds, first
    sent = 0
    yield f"retry: {COME_BACK}\n\n".encode()
    while True:
        for one in page.entries:
            if one.id > sent:
                yield _event("entry", json.dumps(entry_json(one)), one.id)
                sent = one.id
        left = until - time.monotonic()
        if left <= 0 or watch.stopped:
            break
        if page.next >= page.seen and not await watch.news(page.thread_id, page.seen, min(left, heartbeat)):
            yield b": still here\n\n"
            continue
        try:
            page = await reads(page.next)
        except HTTPException:  # it may be read no more, or the record is away: who comes again is told
            break
        if page.thread_id != first.thread_id:
            break
    yield _event("end", json.dumps({"reference": page.reference}))


def _event(name: str, data: str, number: int | None = None) -> bytes:
    """One event; JSON of ours has no line break in it."""
    return f"{'' if number is None else f'id: {number}{chr(10)}'}event: {name}\ndata: {data}\n\n".encode()
