"""The requests about chats: written, read with or without waiting, and followed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from expertmail.console import api_chat as chat
from expertmail.console.api_access import Access
from expertmail.console.api_body import read_form, read_query
from expertmail.console.api_chat_stream import BATCH, EventStream, events
from expertmail.console.api_work import Places
from expertmail.console.chat_watch import ChatWatch
from threads.api_token import ApiToken, Scope
from threads.store.feed import MAX_ENTRIES, latest_of

if TYPE_CHECKING:
    from expertmail.console.api import ApiParts

_MAX_DIGITS: Final = 10

Headers = Mapping[str, str]


class ChatRoutes:
    """``parts`` gives what is in force at each request, ``headers`` are those of every answer."""

    def __init__(
        self, parts: Callable[[], ApiParts], access: Access, places: Places, headers: Headers
    ) -> None:
        self._parts = parts
        self._access = access
        self._places = places
        self._headers = dict(headers)
        self._watch = ChatWatch(self._latest)

    def _latest(self, threads: Collection[int]) -> Mapping[int, int]:
        with self._parts().database.reading() as conn:
            return latest_of(conn, threads)

    def stop(self) -> None:
        """Let nobody wait any more: what is open ends."""
        self._watch.stop()

    async def write(self, request: Request) -> Response:
        """Put a message on the timeline."""
        parts = self._parts()
        async with self._places.presence():
            token = await self._access.admitted(request, parts, Scope.WRITE_CHAT)
            reference = request.path_params["reference"]
            files_go = parts.outgoing.world.settings.files_go
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "multipart/form-data":
                await self._places.run(partial(chat.there_is_a_chat, parts.database, token, reference))
                raise HTTPException(422, chat.no_files(files_go))
            form = await read_form(request, chat.NewChatMessage)
            told, again = await self._places.run(
                partial(
                    chat.write, parts.database, token, reference, form, files_go=files_go, now=parts.clock()
                )
            )
        also = {"Idempotent-Replayed": "true"} if again else {}
        return JSONResponse(told, 201, headers={**self._headers, **also})

    async def read(self, request: Request) -> Response:
        """Entries after a number; with ``wait`` as soon as there is one."""
        async with self._places.presence():
            token = await self._admitted(request)
            form = read_query(request, chat.ReadChat)
            page = await self._page(request, token, form.after)
        if not page.entries and form.wait:
            with self._watch.place(token.public_id):
                page = await self._awaited(request, token, page, form.wait)
        return JSONResponse(page.json, headers=self._headers)

    async def _awaited(
        self, request: Request, token: ApiToken, page: chat.ChatPage, wait: int
    ) -> chat.ChatPage:
        """The page once something to show is on it, or as it is when the time is over: a note for experts is nothing to show."""
        until = self._watch.clock() + wait
        while not page.entries and not self._watch.stopped:
            left = until - self._watch.clock()
            if left <= 0 or not await self._watch.news(page.thread_id, page.seen, left):
                break
            page = await self._page(request, token, page.next)
        return page

    async def follow(self, request: Request) -> Response:
        """The entries as a stream of events."""
        async with self._places.presence():
            token = await self._admitted(request)
            form = read_query(request, chat.FollowChat)
            after = _last_event(request, form.after)
            with ExitStack() as held:
                held.enter_context(self._watch.place(token.public_id))
                first = await self._page(request, token, after, BATCH)

                async def reads(number: int) -> chat.ChatPage:
                    return await self._page(request, token, number, BATCH)

                stream = events(first, reads, self._watch, form.seconds)
                return EventStream(stream, form.seconds, held.pop_all(), self._headers)

    async def _admitted(self, request: Request) -> ApiToken:
        return await self._access.admitted(request, self._parts(), Scope.READ_CHAT)

    async def _page(
        self, request: Request, token: ApiToken, after: int, most: int = MAX_ENTRIES
    ) -> chat.ChatPage:
        database, reference = self._parts().database, request.path_params["reference"]
        return await self._places.run(partial(chat.read, database, token, reference, after, most))


def _last_event(request: Request, after: int) -> int:
    """Where a reader goes on that was cut off: its own word, or ``after`` at its first time. HTTPException 422."""
    text = request.headers.get("last-event-id", "")
    if not text:
        return after
    if not (text.isascii() and text.isdecimal() and len(text) < _MAX_DIGITS):
        raise HTTPException(422, "Last-Event-ID is the number of an entry, as the stream gave it.")
    return int(text)
