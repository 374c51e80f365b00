"""What comes back from Teams: replies to an incident's post that mention the experts, put on its timeline as chat.

A channel's outgoing webhook signs each message with the secret that it was given; there is no token. Whatever is said is
answered with 200 and a sentence, which Teams shows below the reply: nothing that a customer wrote is passed over in silence. Nobody
guesses a signature, so those that are wrong are not counted: behind a proxy that would shut Teams out.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from expertmail.chat_acts import chat_recorded
from expertmail.console.api_body import read_octets
from expertmail.console.api_chat import no_files
from expertmail.console.api_work import Places
from outbound.errors import SealError
from outbound.seal import Purpose, opened
from outbound.store.subscribers import sealed_of, subscriber_named
from outbound.store.teams_posts import thread_of_post
from outbound.subscriber import Subscriber, SubscriberKind
from outbound.teams_activity import (
    MAX_BODY,
    Activity,
    ActivityError,
    is_signed,
    read_activity,
    why_not,
)
from outbound.teams_caller import source_of
from threads.chat import ChatMessage
from threads.model import ActorKind, Thread
from threads.store import Connection
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.people import organisation
from threads.store.thread import thread_by_id

if TYPE_CHECKING:
    from expertmail.console.api import ApiParts

NOBODYS: Final = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
"""Compared with where there is no such channel, so that this takes as long."""


class TeamsRoutes:
    """``parts`` gives what is in force at each request, ``headers`` are those of every answer."""

    def __init__(self, parts: Callable[[], ApiParts], places: Places, headers: dict[str, str]) -> None:
        self._parts = parts
        self._places = places
        self._headers = headers

    async def take(self, request: Request) -> Response:
        """One message from Teams."""
        parts = self._parts()
        body = await read_octets(request, MAX_BODY)
        work = partial(
            _taken, parts, request.path_params["channel"], request.headers.get("authorization", ""), body
        )
        said = await self._places.run(work)
        return JSONResponse({"type": "message", "text": said}, headers=self._headers)


def _taken(parts: ApiParts, name: str, field: str, body: bytes) -> str:
    """Put a message on the timeline, or say why not. HTTPException 401, 422."""
    with parts.database.reading() as conn:
        one, secret = _channel(conn, name, parts.outgoing.world.console_key)
    if not is_signed(field, body, secret) or one is None:
        raise HTTPException(401, "The message is not signed by this channel.", {"WWW-Authenticate": "HMAC"})
    try:
        activity = read_activity(body)
    except ActivityError as error:
        raise HTTPException(422, str(error)) from error
    now, settings = parts.clock(), parts.outgoing.world.settings
    with parts.database.writing() as conn:
        thread = _thread(conn, one, activity)
        experts = settings.mail.sender_name
        why = why_not(activity, experts=experts, known=thread is not None, now=now)
        if why is not None or thread is None:
            return why or ""
        if activity.files:
            return no_files(settings.files_go)
        if not activity.text:
            return "There are no words in it, so nothing was passed on."
        if organisation(conn, thread.organisation_id).untrusted is not None:
            return f"{experts} take no messages here for now; please telephone."
        return _put(conn, one, thread, activity, experts=experts, now=now)


def _put(
    conn: Connection, one: Subscriber, thread: Thread, activity: Activity, *, experts: str, now: datetime
) -> str:
    message = ChatMessage(
        source_of(one), activity.number, ActorKind.CUSTOMER, activity.author, activity.text, contact=True
    )
    try:
        chat_recorded(conn, thread, message, thread.reference, now, by=one.name)
    except RefusedRecord as error:
        return str(error)
    return f"Passed on to {experts} ({thread.reference})."


def _channel(conn: Connection, name: str, key: bytes) -> tuple[Subscriber | None, str]:
    """The channel of that name and its secret; one that nobody has where there is none."""
    try:
        one = subscriber_named(conn, name, SubscriberKind.TEAMS)
        return one, opened(sealed_of(conn, one).secret, key, Purpose.SECRET, one.name)
    except (UnknownRecord, SealError):
        return None, NOBODYS


def _thread(conn: Connection, one: Subscriber, activity: Activity) -> Thread | None:
    """The incident whose post a message answers; None where it is none of ours, or not for this channel any more."""
    found = None if activity.post is None else thread_of_post(conn, one, activity.post)
    if found is None:
        return None
    thread = thread_by_id(conn, found)
    if thread.merged_into is not None:
        thread = thread_by_id(conn, thread.merged_into)
    return thread if one.hears_of(thread.organisation_id) else None
