"""The routes of the HTTP interface for programs: who asks, what was sent, and the work off the event loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from expertmail.console import api_incidents as incidents
from expertmail.console.api_access import Access
from expertmail.console.api_body import read_form, read_query
from expertmail.console.api_chat_routes import ChatRoutes
from expertmail.console.api_forms import (
    IncidentChange,
    NewCustomerNotification,
    NewIncident,
    NewNotification,
    NewTask,
    TaskChange,
)
from expertmail.console.api_notifications import Asked, Notifications, Outgoing, show
from expertmail.console.api_operation import Call, Operation, Told
from expertmail.console.api_operations import OPERATIONS
from expertmail.console.api_teams import TeamsRoutes
from expertmail.console.api_work import Places, idempotency_key
from expertmail.console.posting import post
from expertmail.letter_values import Letter
from expertmail.metrics import Metrics
from threads.api_token import Scope
from threads.store.engine import Database

HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

HOOKS: Final = "/hooks/"
"""Where others' programs call in forms of their own, which are no part of the interface that is described."""

Reached = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class ApiParts:
    """What the interface works with; ``clock`` gives the time (UTC)."""

    database: Database
    outgoing: Outgoing
    clock: Callable[[], datetime]


class Api:
    """The requests of programs. ``parts`` gives what is in force at each."""

    def __init__(self, parts: Callable[[], ApiParts], metrics: Callable[[], Metrics], access: Access) -> None:
        self._parts = parts
        self._metrics = metrics
        self._access = access
        self._places = Places()
        self._notifications = Notifications(self._places)
        self._chat = ChatRoutes(parts, access, self._places, HEADERS)
        self._teams = TeamsRoutes(parts, self._places, HEADERS)

    def routes(self) -> list[Route]:
        """All of them; each is described in ``api_openapi``, most by the table that they are made of."""
        return [
            self._route("POST", "/incidents", self._open, "open-incident"),
            self._route("GET", "/incidents/{reference}", self._show, "show-incident"),
            self._route("PATCH", "/incidents/{reference}", self._change, "change-incident"),
            self._route("POST", "/incidents/{reference}/tasks", self._add_task, "add-task"),
            self._route("PATCH", "/incidents/{reference}/tasks/{task}", self._set_task, "set-task"),
            self._route("POST", "/incidents/{reference}/notifications", self._send, "send-notification"),
            self._route("POST", "/notifications", self._send_to_customer, "send-customer-notification"),
            self._route("GET", "/notifications/{number}", self._sent, "show-notification"),
            self._route("POST", "/incidents/{reference}/chat", self._chat.write, "write-chat", waits=True),
            self._route("GET", "/incidents/{reference}/chat", self._chat.read, "read-chat", waits=True),
            self._route(
                "GET", "/incidents/{reference}/chat/stream", self._chat.follow, "follow-chat", waits=True
            ),
            self._route("POST", f"{HOOKS}teams/{{channel}}", self._teams.take, "take-teams"),
            *(self._route(one.method, one.path, partial(self._do, one), one.name) for one in OPERATIONS),
        ]

    def stop(self) -> None:
        """Let no request wait for news any more."""
        self._chat.stop()

    def _route(self, method: str, path: str, reached: Reached, name: str, *, waits: bool = False) -> Route:
        """``waits``: it may take long, and takes its place among those that are at work by itself."""

        async def counted(request: Request) -> Response:
            requests, outcome = self._metrics().api_requests, "500"
            try:
                async with nullcontext() if waits else self._places.presence():
                    answer = await reached(request)
                outcome = str(answer.status_code)
            except HTTPException as error:
                outcome = str(error.status_code)
                raise
            finally:
                requests.labels(operation=name, outcome=outcome).inc()
            return answer

        where = path if path.startswith(HOOKS) else f"/api/v1{path}"
        return Route(where, counted, methods=[method], name=name)

    async def _do(self, operation: Operation, request: Request) -> Response:
        """One of the operations that are a table."""
        parts = self._parts()
        token = await self._access.admitted(request, parts, operation.scope)
        key = idempotency_key(request) if operation.key else ""
        form = (
            await read_form(request, operation.form)
            if operation.has_body
            else read_query(request, operation.form)
        )
        call = Call(parts.database, parts.outgoing, token, parts.clock(), request.path_params, key)
        told = await self._places.run(partial(operation.work, call, form))
        if told.letter is not None:
            told = await self._posted(operation, call, told, told.letter)
        if operation.wakes:
            parts.outgoing.queued()
        status = told.status or next(iter(operation.answers))
        return _answer(told.body, status, replayed(again=told.again))

    async def _posted(self, operation: Operation, call: Call, told: Told, letter: Letter) -> Told:
        """The answer after its letter was posted; ``mails`` are those of it."""
        outgoing = call.outgoing
        posted = await post(
            self._places, call.database, letter, call.now, world=outgoing.world, check=outgoing.check
        )
        if not posted.known:
            outgoing.queued()
            if told.written is not None:
                await self._places.run(told.written)
        if operation.posted is not None:
            told = await self._places.run(partial(operation.posted, call, told))
        mails = [{"number": one.number, "to": one.address, "state": one.state} for one in posted.mails]
        return replace(told, body={**told.body, "mails": mails}, again=posted.known)

    async def _open(self, request: Request) -> Response:
        parts = self._parts()
        token = await self._access.admitted(request, parts, Scope.WRITE_INCIDENTS)
        key, form = idempotency_key(request), await read_form(request, NewIncident)
        work = partial(incidents.open_, parts.database, token, form, key=key, now=parts.clock())
        told, again = await self._places.run(work)
        where = {"Location": f"/api/v1/incidents/{told['reference']}"}
        return _answer(told, 201, {**where, **replayed(again=again)})

    async def _show(self, request: Request) -> Response:
        parts = self._parts()
        token = await self._access.admitted(request, parts, Scope.READ_INCIDENTS)
        reference = request.path_params["reference"]
        return _answer(await self._places.run(partial(incidents.show, parts.database, token, reference)))

    async def _change(self, request: Request) -> Response:
        parts = self._parts()
        token = await self._access.admitted(request, parts, Scope.WRITE_INCIDENTS)
        form, reference = await read_form(request, IncidentChange), request.path_params["reference"]
        work = partial(incidents.change, parts.database, token, reference, form, now=parts.clock())
        return _answer(await self._places.run(work))

    async def _add_task(self, request: Request) -> Response:
        parts = self._parts()
        token = await self._access.admitted(request, parts, Scope.WRITE_INCIDENTS)
        key, form = idempotency_key(request), await read_form(request, NewTask)
        reference = request.path_params["reference"]
        work = partial(
            incidents.add_task_, parts.database, token, reference, form, key=key, now=parts.clock()
        )
        told, again = await self._places.run(work)
        return _answer(told, 201, replayed(again=again))

    async def _set_task(self, request: Request) -> Response:
        parts = self._parts()
        token = await self._access.admitted(request, parts, Scope.WRITE_INCIDENTS)
        form, reference = await read_form(request, TaskChange), request.path_params["reference"]
        number = _number(request.path_params["task"])
        work = partial(
            incidents.set_task_, parts.database, token, reference, form, number=number, now=parts.clock()
        )
        return _answer(await self._places.run(work))

    async def _send(self, request: Request) -> Response:
        parts = self._parts()
        token = await self._access.admitted(request, parts, Scope.SEND_NOTIFICATIONS)
        form, reference = await read_form(request, NewNotification), request.path_params["reference"]
        return await self._written(request, parts, Asked(token, reference, form, parts.clock()))

    async def _send_to_customer(self, request: Request) -> Response:
        parts = self._parts()
        token = await self._access.admitted(request, parts, Scope.SEND_NOTIFICATIONS)
        form = await read_form(request, NewCustomerNotification)
        return await self._written(request, parts, Asked(token, "", form, parts.clock()))

    async def _written(self, request: Request, parts: ApiParts, asked: Asked) -> Response:
        if asked.form.dry_run:
            return _answer(await self._notifications.preview(parts.database, parts.outgoing, asked))
        key = idempotency_key(request)
        told, again = await self._notifications.send(parts.database, parts.outgoing, asked, key)
        return _answer(told, 202, replayed(again=again))

    async def _sent(self, request: Request) -> Response:
        parts = self._parts()
        token = await self._access.admitted(request, parts, Scope.READ_INCIDENTS)
        number = _number(request.path_params["number"])
        return _answer(await self._places.run(partial(show, parts.database, token, number)))


def replayed(*, again: bool) -> Mapping[str, str]:
    """A field that tells an answer to a repetition from the first one; all else in it is alike."""
    return {"Idempotent-Replayed": "true"} if again else {}


def _answer(told: Mapping[str, Any], status: int = 200, also: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(dict(told), status, headers={**HEADERS, **(also or {})})


def _number(text: str) -> int:
    """A number in a path; HTTPException 404 for what no row has."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10):  # noqa: PLR2004 -- below 2**31, the largest of a column
        raise HTTPException(404)
    return int(text)
