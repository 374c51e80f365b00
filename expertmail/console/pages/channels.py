"""Webhooks and Teams channels: how far each is, and pausing, going on, and telling again what was given up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import looked_up, names_of, written
from expertmail.subscriber_acts import given_up, go_on_telling, pause_telling, tell_each_again
from outbound.store.subscriber_events import Event, counts, list_events
from outbound.store.subscribers import list_subscribers
from outbound.subscriber import EventState, Subscriber, SubscriberKind
from threads.access import Permission
from threads.store import Connection
from threads.store.errors import RefusedRecord, UnknownRecord

MAX_SHOWN: Final = 20
"""Entries of one channel that are shown, the oldest: the first one says what keeps the others."""
WORDS: Final = {SubscriberKind.WEBHOOK: "webhook", SubscriberKind.TEAMS: "Teams channel"}

_KEEP: Final = Permission.KEEP_ACCOUNTS


@dataclass(frozen=True, slots=True)
class Stand:
    """One of them, and how far it is. ``late`` are the first entries that wait or were given up."""

    one: Subscriber
    waiting: int
    dead: int
    told: int
    late: tuple[Event, ...]


async def show(visit: Visit) -> Response:
    """All that the viewer keeps."""
    return await _page(visit)


async def pause_one(visit: Visit) -> Response:
    """Tell it nothing for now."""
    why = visit.form.one("reason")

    def act(conn: Connection, one: Subscriber) -> str:
        if not why:
            raise RefusedRecord("Say why; whoever looks here sees it.")
        pause_telling(conn, one, visit.now, by=visit.actor, why=why)
        return f"{one.name} is paused; what comes meanwhile waits."

    return await _acted(visit, act)


async def resume_one(visit: Visit) -> Response:
    """Go on where it was."""

    def act(conn: Connection, one: Subscriber) -> str:
        go_on_telling(conn, one, visit.now, by=visit.actor)
        return f"{one.name} hears of entries again."

    return await _acted(visit, act)


async def again(visit: Visit) -> Response:
    """Tell once more what was given up."""

    def act(conn: Connection, one: Subscriber) -> str:
        dead = given_up(conn, one)
        if not dead:
            raise RefusedRecord(f"Nothing was given up for {one.name}.")
        tell_each_again(conn, one, dead, visit.now, by=visit.actor)
        return f"{one.name} is told of {len(dead)} entries again."

    return await _acted(visit, act)


async def _acted(visit: Visit, act: Callable[[Connection, Subscriber], str]) -> Response:
    name = visit.form.one("name")

    def work(conn: Connection) -> str:
        found = [one for one in list_subscribers(conn) if one.name == name and _keeps(visit, one)]
        if not found:
            raise UnknownRecord("There is no such channel.")
        return act(conn, found[0])

    try:
        said = await written(visit, work)
    except HTTPException as error:
        if error.status_code not in {409, 422}:
            raise
        return await _page(visit, trouble=error.detail, status=error.status_code)
    return visit.go("/channels", said)


def _keeps(visit: Visit, one: Subscriber) -> bool:
    whose = [None] if one.organisations is None else list(one.organisations)
    return all(visit.signed_in.may(_KEEP, each) for each in whose or [None])


async def _page(visit: Visit, *, trouble: str = "", status: int = 200) -> Response:
    def work(conn: Connection) -> dict[str, object]:
        found = [_stand(conn, one) for one in list_subscribers(conn) if _keeps(visit, one)]
        return {"found": found, "names": names_of(conn, visit, _KEEP)}

    values = await looked_up(visit, work)
    return await visit.page("channels.html", status=status, trouble=trouble, words=WORDS, **values)


def _stand(conn: Connection, one: Subscriber) -> Stand:
    number = counts(conn, one)
    late = list_events(conn, one, (EventState.WAITING, EventState.DEAD), MAX_SHOWN)
    waiting = number[EventState.WAITING] + number[EventState.LEASED]
    return Stand(one, waiting, number[EventState.DEAD], number[EventState.DELIVERED], late)


PAGES: Final = (
    Page("GET", "/channels", "channels", _KEEP, show),
    Page("POST", "/channels/pause", "channel-pause", _KEEP, pause_one),
    Page("POST", "/channels/resume", "channel-resume", _KEEP, resume_one),
    Page("POST", "/channels/again", "channel-again", _KEEP, again),
)
