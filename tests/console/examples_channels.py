"""Webhooks and Teams channels."""

from __future__ import annotations

from outbound.store.subscriber_events import close_event, lease_events, make_events
from outbound.store.subscribers import NewSubscriber, add_subscriber, list_subscribers, pause
from outbound.subscriber import EventState, Next, Sealed, Subscriber, SubscriberKind
from tests.console.examples import Example
from tests.console.place import Place, now
from threads.model import EntryKind, Mark
from threads.store.thread import append


def channel(place: Place, *, paused: bool = False) -> Subscriber:
    """A webhook of Contoso, paused: nothing is ever called."""
    name = "resting" if paused else "hook"
    with place.database.writing() as conn:
        for one in list_subscribers(conn):
            if one.name == name and (one.paused is not None) == paused:
                return one
        name = f"{name}{len(list_subscribers(conn)) or ''}"
        kept = Sealed(b"none that opens", b"none that opens")
        new = NewSubscriber(SubscriberKind.WEBHOOK, name, "portal.example", kept)
        one = add_subscriber(conn, new, now(), by="ana", organisations=(place.contoso,))
        if paused:
            pause(conn, one, now(), by="ana", why="their upgrade")
        return one


def given_up(place: Place) -> Subscriber:
    """One for which an entry was given up."""
    one = channel(place, paused=True)
    with place.database.writing() as conn:
        append(
            conn, place.incident.id, now(), EntryKind.CHAT, actor="ana", mark=Mark.EXPERT, text="for a hook"
        )
        make_events(conn, now())
        for event in lease_events(conn, "test", now(), {one.id: 1}, 1):
            close_event(conn, event, "test", Next(EventState.DEAD, now(), "503"), now())
    return one


EXAMPLES: tuple[Example, ...] = (
    Example("channels", lambda p: given_up(p) and "/channels", "all"),
    Example(
        "channel-pause",
        lambda _: "/channels/pause",
        "all",
        lambda p: {"name": channel(p).name, "reason": "x"},
    ),
    Example(
        "channel-resume",
        lambda _: "/channels/resume",
        "all",
        lambda p: {"name": channel(p, paused=True).name},
    ),
    Example("channel-again", lambda _: "/channels/again", "all", lambda p: {"name": given_up(p).name}),
)
