"""What a subscriber is called with for one entry: built from the record in the calling thread, sealed things opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from outbound.seal import Purpose, opened
from outbound.store.subscriber_events import Event
from outbound.store.subscribers import sealed_of
from outbound.subscriber import Answer, Subscriber
from outbound.webhook import body_of, fields_of
from threads.model import Organisation, Thread
from threads.store import Connection
from threads.store.feed import SharedEntry, shared_entry
from threads.store.people import organisation
from threads.store.thread import thread_by_id


@dataclass(frozen=True, slots=True)
class Call:
    """One POST."""

    address: str = field(repr=False)
    body: bytes = field(repr=False)
    fields: Mapping[str, str] = field(repr=False)


class Caller(Protocol):
    """How subscribers of one kind are told."""

    def call(self, conn: Connection, one: Subscriber, event: Event, now: datetime) -> Call | None:
        """The POST for an entry; None where there is nothing to tell any more. Raises SealError."""

    def taken(self, conn: Connection, one: Subscriber, event: Event, answer: Answer, now: datetime) -> None:
        """It took the entry: keep what its answer says, in the transaction that closes the event."""


def told_of(
    conn: Connection, one: Subscriber, event: Event
) -> tuple[SharedEntry, Thread, Organisation] | None:
    """The entry of an event, where it is now; None where nobody, or this subscriber, may see it."""
    entry = shared_entry(conn, event.entry_id)
    if entry is None:
        return None
    thread = thread_by_id(conn, entry.thread_id)
    if not one.hears_of(thread.organisation_id):
        return None
    return entry, thread, organisation(conn, thread.organisation_id)


class WebhookCaller:
    """Webhooks: JSON, signed (``outbound.webhook``). ``key`` opens what is sealed."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def call(self, conn: Connection, one: Subscriber, event: Event, now: datetime) -> Call | None:
        """The entry as JSON, with each of the secrets that count."""
        told = told_of(conn, one, event)
        if told is None:
            return None
        return signed_call(conn, one, event.event_id, payload_of(event, *told), self._key, now)

    def taken(self, conn: Connection, one: Subscriber, event: Event, answer: Answer, now: datetime) -> None:
        """Nothing in the answer is needed."""


def signed_call(  # noqa: PLR0917 -- one call, each argument a different type
    conn: Connection, one: Subscriber, event_id: str, payload: Mapping[str, Any], key: bytes, now: datetime
) -> Call:
    """The POST of a payload to a webhook, signed with each of its secrets that count. Raises SealError."""
    kept = sealed_of(conn, one)
    stored = [kept.secret]
    if kept.old_secret is not None and kept.old_secret_until is not None and now < kept.old_secret_until:
        stored.append(kept.old_secret)
    secrets = [opened(each, key, Purpose.SECRET, one.name) for each in stored]
    body = body_of(payload)
    address = opened(kept.address, key, Purpose.ADDRESS, one.name)
    return Call(address, body, fields_of(event_id, body, secrets, now))


def payload_of(event: Event, entry: SharedEntry, thread: Thread, customer: Organisation) -> dict[str, Any]:
    """What a webhook hears of an entry; ``docs/channels.md`` describes it."""
    return {
        "type": "timeline.entry",
        "event": event.event_id,
        "thread": {
            "reference": thread.reference,
            "kind": thread.kind,
            "title": thread.title,
            "state": thread.state,
            "severity": thread.severity,
            "organisation": customer.name,
        },
        "entry": entry_json(entry),
    }


def entry_json(entry: SharedEntry) -> dict[str, Any]:
    """An entry for programs: ``id`` grows along each thread."""
    return {
        "id": entry.id,
        "at": entry.at.isoformat(),
        "kind": entry.kind,
        "actor": entry.actor,
        "mark": entry.mark,
        "text": entry.text,
        "cut": entry.cut,
        "external_id": entry.external_id,
        "copy_of": entry.copy_of,
    }
