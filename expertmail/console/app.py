"""The HTTP application. It judges nothing itself: what judges and what is checked comes in as functions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from expertmail.console.api import HEADERS, HOOKS, Api, ApiParts
from expertmail.console.api_access import Access, is_near
from expertmail.console.api_work import refusals
from expertmail.console.openapi import document
from expertmail.console.pages.catalogue import PAGES
from expertmail.console.pages.door import Door
from expertmail.metrics import CONTENT_TYPE, Metrics
from smtp_gateway.judging import Busy, Judged
from threads.api_token import Scope
from threads.store.accounts import any_account

MAX_JUDGING = 4  # messages judged at one time for HTTP; mail over SMTP comes first on a small machine
MAX_WAITING = 32  # further requests that may wait, each holding its message in memory
BODY_SECONDS = 60.0  # for a request's body; a large message from another machine takes its time

_MESSAGE_TYPES = frozenset({"message/rfc822", "message/global", "application/octet-stream"})

JudgeSaved = Callable[[bytes], Awaitable[Mapping[str, Any]]]
"""Judges a saved message and gives the contract's verdict object."""

JudgeWhole = Callable[[bytes], Awaitable[Judged]]
"""Judges the octets of a message, and gives report, evidence and the message as it was read."""

CheckReady = Callable[[], Awaitable[Mapping[str, str]]]
"""Names what was checked; "ok", or a sentence that says what is wrong."""

_log = structlog.get_logger("expertmail")


@dataclass(frozen=True, slots=True)
class ConsoleParts:
    """What the application works with. ``reload`` has settings and keys read anew, soon after it was called."""

    judge: JudgeSaved
    ready: CheckReady
    metrics: Metrics
    max_bytes: int
    api: ApiParts
    judge_whole: JudgeWhole
    reload: Callable[[], None] = lambda: None


class Console:
    """The requests of one console."""

    def __init__(self, parts: ConsoleParts) -> None:
        self._places = asyncio.Semaphore(MAX_JUDGING)
        self._present = 0
        self._accounts = False
        self.replace(parts)
        self._access = Access()
        self._api = Api(lambda: self._parts.api, lambda: self._parts.metrics, self._access)
        self._door = Door(lambda: self._parts)

    def replace(self, parts: ConsoleParts) -> None:
        """Work with other parts from the next request on."""
        self._parts = replace(parts, judge_whole=self._in_turn(parts.judge_whole))
        self._description = document(parts.max_bytes)

    def stop(self) -> None:
        """Let no request wait for news any more, so that the server can end."""
        self._api.stop()

    def _in_turn(self, judge: JudgeWhole) -> JudgeWhole:
        """Pages and programs share the places where messages are judged."""

        async def judged(raw: bytes) -> Judged:
            async with self._places:
                return await judge(raw)

        return judged

    def application(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/healthz", self.healthz, methods=["GET"]),
                Route("/readyz", self.readyz, methods=["GET"]),
                Route("/metrics", self.metrics, methods=["GET"]),
                Route("/api/v1/verify", self.verify, methods=["POST"]),
                Route("/api/v1/openapi.json", self.openapi, methods=["GET"]),
                *self._api.routes(),
                *self._door.routes(PAGES),
            ],
            exception_handlers={HTTPException: self._told, Exception: self._fault},
        )

    async def healthz(self, request: Request) -> Response:
        """The event loop answers, nothing more."""
        del request
        return JSONResponse({"status": "ok"}, headers=HEADERS)

    async def readyz(self, request: Request) -> Response:
        """Whether mail can be taken."""
        del request
        checks = dict(await self._parts.ready())
        ready = all(word == "ok" for word in checks.values())
        return JSONResponse({"ready": ready, "checks": checks}, 200 if ready else 503, headers=HEADERS)

    async def metrics(self, request: Request) -> Response:
        """Prometheus' text format."""
        del request
        page = await asyncio.to_thread(self._parts.metrics.page)
        return Response(page, headers=HEADERS, media_type=CONTENT_TYPE)

    async def openapi(self, request: Request) -> Response:
        """The description of all this."""
        del request
        return JSONResponse(self._description, headers=HEADERS)

    async def verify(self, request: Request) -> Response:
        """The verdict on the message in the body."""
        counted = self._parts.metrics.verifications
        try:
            answer = await self._verified(request)
        except HTTPException as error:
            counted.labels(outcome=str(error.status_code)).inc()
            raise
        counted.labels(outcome="200").inc()
        return answer

    async def _verified(self, request: Request) -> Response:
        await self._let_in(request)
        _refuse_other_types(request)
        if self._present >= MAX_JUDGING + MAX_WAITING:
            raise HTTPException(503, "Too many messages are being judged; try again.")
        self._present += 1
        try:
            raw = await self._body(request)
            async with self._places:
                verdict = await self._parts.judge(raw)
        except Busy:
            raise HTTPException(503, "Too many messages are being judged; try again.") from None
        finally:
            self._present -= 1
        return JSONResponse(dict(verdict), headers=HEADERS)

    async def _told(self, request: Request, error: Exception) -> Response:
        """An expected refusal in plain words."""
        if not isinstance(error, HTTPException):  # pragma: no cover - registered for HTTPException only
            raise error
        if not _is_for_programs(request):
            return await self._door.refused(request, error.status_code, error.detail)
        text = {404: "There is nothing here; see /api/v1/openapi.json.", 405: "Use another method here."}
        sentence = text.get(error.status_code, error.detail)
        return JSONResponse(
            {"error": sentence}, error.status_code, headers={**HEADERS, **(error.headers or {})}
        )

    async def _fault(self, request: Request, error: Exception) -> Response:
        """A fault of ours: logged with its kind, answered without it."""
        route = request.scope.get("route")  # a path may hold a secret
        where = route.path if isinstance(route, Route) else ""
        _log.error("console fault", path=where, fault=type(error).__name__)
        sentence = "Something went wrong here; the log says more."
        if not _is_for_programs(request):
            return await self._door.refused(request, 500, sentence)
        return JSONResponse({"error": sentence}, 500, headers=HEADERS)

    async def _let_in(self, request: Request) -> None:
        """This machine may ask as it is until there are accounts; who is elsewhere, or sends a token, needs a good one."""
        if "authorization" in request.headers or not is_near(request) or await self._has_accounts():
            await self._access.admitted(request, self._parts.api, Scope.VERIFY)

    async def _has_accounts(self) -> bool:
        """Whether somebody signs in here; a yes is remembered, for the last account never goes."""
        if not self._accounts:

            def work() -> bool:
                with self._parts.api.database.reading() as conn:
                    return any_account(conn)

            with refusals():
                self._accounts = await asyncio.to_thread(work)
        return self._accounts

    async def _body(self, request: Request) -> bytes:
        """The message, read under its cap whatever the client announced."""
        cap = self._parts.max_bytes
        too_large = HTTPException(413, f"The message is larger than {cap} bytes.")
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > cap:
            raise too_large
        held = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    held += chunk
                    if len(held) > cap:
                        raise too_large
        except TimeoutError as error:
            raise HTTPException(408, "The message did not arrive in time.") from error
        except ClientDisconnect as error:
            raise HTTPException(400, "The request ended before its message did.") from error
        if not held:
            raise HTTPException(400, "There is no message in the request; send it as the body.")
        return bytes(held)


def _refuse_other_types(request: Request) -> None:
    """Only a declared message: a web page elsewhere cannot send these types without being asked first."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _MESSAGE_TYPES:
        raise HTTPException(415, "Send the message as it is, with Content-Type: message/rfc822.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(415, "Send the message uncompressed.")


def _is_for_programs(request: Request) -> bool:
    return request.url.path.startswith(("/api/", HOOKS, "/metrics", "/healthz", "/readyz"))
