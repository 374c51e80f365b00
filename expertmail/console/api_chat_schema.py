"""The chat's part of the description: what comes out, and the three operations, one of which is a stream of events."""

from __future__ import annotations

from typing import Final

from expertmail.console.api_chat import MAX_WAIT, FollowChat, NewChatMessage, ReadChat
from expertmail.console.api_schema import (
    FLAG,
    NUMBER,
    REPLAYED,
    TEXT,
    TEXT_OR_NULL,
    TIME,
    Json,
    list_,
    object_,
    operation,
    ref,
    schema_of,
    words,
)
from threads.api_token import Scope
from threads.model import ActorKind, EntryKind, Mark, State

_PATH: Final = "/api/v1/incidents/{reference}/chat"
_WHERE: Final = {"reference": "Such as INC-000001."}


def chat_schemas() -> Json:
    """The objects that go in and come out."""
    entry = {
        "id": TEXT,
        "number": NUMBER,
        "at": TIME,
        "kind": words(EntryKind),
        "from": words(ActorKind),
        "name": TEXT_OR_NULL,
        "mark": words(Mark),
        "text": TEXT_OR_NULL,
        "cut": FLAG,
        "source": TEXT_OR_NULL,
        "external": TEXT_OR_NULL,
    }
    page = {
        "reference": TEXT,
        "state": words(State),
        "entries": list_(ref("ChatEntry")),
        "next": {"type": "integer", "minimum": 0},
    }
    return {**schema_of(NewChatMessage), "ChatEntry": object_(entry), "Chat": object_(page)}


def chat_paths() -> Json:
    """The requests."""
    write = operation(
        "writeChat",
        "Put a message of the portal's chat on the timeline, once for each `id`. A message of ours that comes back (`entry-N`) is refused.",
        Scope.WRITE_CHAT,
        {"201": ("It is on the timeline.", "ChatEntry")},
        path=_WHERE,
        form="NewChatMessage",
        more=(409,),
    )
    write["responses"]["201"]["headers"] = REPLAYED
    read = operation(
        "readChat",
        "The conversation after an entry (`after`), in order; go on with `next`. "
        f"With `wait` the answer comes as soon as there is something, after {MAX_WAIT} seconds at most.",
        Scope.READ_CHAT,
        {"200": ("The entries.", "Chat")},
        path=_WHERE,
        query=ReadChat,
        more=(409,),
    )
    follow = operation(
        "followChat",
        "The same as server-sent events: `entry` (its `data` is a ChatEntry, its `id` the number to go on after, by Last-Event-ID), "
        "and `end` when the time is over.",
        Scope.READ_CHAT,
        {"200": ("The entries, as they come.", "ChatEntry")},
        path=_WHERE,
        query=FollowChat,
        more=(409,),
    )
    event = object_({"event": {"enum": ["entry", "end"]}, "data": TEXT, "id": TEXT}, optional=("id",))
    follow["responses"]["200"]["content"] = {"text/event-stream": {"schema": event}}  # of each event
    follow["parameters"].append(
        {
            "name": "Last-Event-ID",
            "in": "header",
            "required": False,
            "description": "The last event's id, in place of `after`.",
            "schema": {"type": "string", "pattern": "^[0-9]{1,9}$"},
        }
    )
    return {_PATH: {"get": read, "post": write}, f"{_PATH}/stream": {"get": follow}}
