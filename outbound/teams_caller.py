"""Teams channels: each incident is a post, each entry of its timeline a reply below it, by a workflow's webhook."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from outbound.disclosure import Disclosure, Way, decide
from outbound.seal import Purpose, opened
from outbound.store.subscriber_events import Event
from outbound.store.subscribers import sealed_of
from outbound.store.teams_posts import keep_post, post_of
from outbound.subscriber import Answer, Subscriber
from outbound.subscriber_calls import Call, told_of
from outbound.teams_card import Shown, message_of, post_card, post_number, reply_card
from threads.model import ThreadKind, Tlp
from threads.store import Connection
from threads.store.feed import SharedEntry

_FIELDS = {"Content-Type": "application/json", "User-Agent": "expertmail"}


def source_of(one: Subscriber) -> str:
    """By what name the record knows who brought a message from a channel."""
    return f"teams:{one.id}"


UNTRUSTED: Final = Disclosure(full=False, reason="please see the portal, or telephone")


class TeamsCaller:
    """``key`` opens what is sealed; ``default_tlp`` gives that of channels which have none."""

    def __init__(self, key: bytes, default_tlp: Callable[[], Tlp]) -> None:
        self._key = key
        self._default_tlp = default_tlp

    def call(self, conn: Connection, one: Subscriber, event: Event, now: datetime) -> Call | None:
        """A card; None for what is no incident's, and for what the channel has already."""
        del now
        told = told_of(conn, one, event)
        if told is None:
            return None
        entry, thread, customer = told
        if thread.kind is not ThreadKind.INCIDENT or self._has(one, entry):
            return None
        tlp = one.tlp or self._default_tlp()
        # Who is in the channel reads it, over TLS with a checked certificate, as far as Teams.
        disclosure = decide(tlp, allowed=one.details_allowed, external=one.external, way=Way.VERIFIED)
        if customer.untrusted is not None:  # an intruder who reads its mail may be in its Teams as well
            disclosure = UNTRUSTED
        shown = Shown(
            reference=thread.reference,
            title=thread.title,
            state=thread.state,
            severity=thread.severity,
            at=entry.at,
            kind=entry.kind,
            who=entry.actor,
            mark=entry.mark,
            text=entry.text,
            cut=entry.cut,
            tlp=tlp,
        )
        post = post_of(conn, one, thread.id)
        card = reply_card(shown, disclosure) if post else post_card(shown, disclosure)
        body = message_of(
            card, event=event.event_id, reference=thread.reference, entry=entry.id, reply_to=post
        )
        address = opened(sealed_of(conn, one).address, self._key, Purpose.ADDRESS, one.name)
        return Call(address, body, _FIELDS)

    def taken(self, conn: Connection, one: Subscriber, event: Event, answer: Answer, now: datetime) -> None:
        """Keep the number of the incident's post; where the workflow says none, it knows posts by the incident's reference."""
        told = told_of(conn, one, event)
        if told is None:
            return
        _, thread, _ = told
        keep_post(conn, one, thread.id, post_number(answer.body) or thread.reference, now)

    @staticmethod
    def _has(one: Subscriber, entry: SharedEntry) -> bool:
        """It came from there, or it says again what another entry says."""
        return entry.source == source_of(one) or entry.copy_of is not None
