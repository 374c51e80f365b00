"""Mail that a portal has written, over HTTP: by the same way as ``expertmail compose``, and with the same refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from expertmail.console.api_forms import WRITTEN, NewCustomerNotification, NewNotification
from expertmail.console.api_work import Places, customer_of, key_digest, thread_for
from expertmail.console.posting import post
from expertmail.letters import Composed, Letter, PostedMail, compose_letter
from expertmail.own_mail import text_of
from expertmail.world import World
from outbound.dispatch import SelfChecker
from outbound.model import Attempt, MailKind
from outbound.store import organisation_of_mail, show_outbox
from threads.api_token import ApiToken
from threads.store.engine import Database
from threads.store.errors import UnknownRecord

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What writing needs. ``check`` belongs to the event loop of the server; ``queued`` is called when there is mail to deliver."""

    world: World
    check: SelfChecker
    queued: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for what, and when. ``reference`` names the incident; empty: it is about none, and the form names the customer."""

    token: ApiToken
    reference: str
    form: NewNotification
    now: datetime

    @property
    def organisation(self) -> str:
        """The customer's name where there is no incident, otherwise empty."""
        return self.form.organisation if isinstance(self.form, NewCustomerNotification) else ""


class Notifications:
    """Composes, signs and queues in threads; requests with one key go one after the other."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._under_way: dict[str, tuple[asyncio.Lock, int]] = {}

    async def preview(
        self,
        database: Database,
        outgoing: Outgoing,
        asked: Asked,
    ) -> Json:
        """What would be sent, and what is odd about it; nothing is queued."""

        def work() -> Composed:
            _require(database, asked)
            return compose_letter(outgoing.world, database, _letter(asked, None), asked.now)

        composed = await self._places.run(work)
        return {
            "mails": [
                {
                    "to": one.rcpt_to,
                    "language": one.language,
                    "subject": one.subject,
                    "text": text_of(one.raw),
                }
                for one in composed.mails
            ],
            "notes": list(composed.notes),
        }

    async def send(
        self,
        database: Database,
        outgoing: Outgoing,
        asked: Asked,
        key: str,
    ) -> tuple[Json, bool]:
        """Queue a mail for each address; what is answered, and whether the same request had it before."""
        operation = "customer-notification" if asked.organisation else "notification"
        kept = key_digest(asked.token, operation, key)
        letter = _letter(asked, kept)
        await self._places.run(lambda: _require(database, asked))
        async with self._alone(kept):
            posted = await post(
                self._places, database, letter, asked.now, world=outgoing.world, check=outgoing.check
            )
        if not posted.known:
            outgoing.queued()
        return {"mails": [_mail_json(one) for one in posted.mails], "notes": list(posted.notes)}, posted.known

    @asynccontextmanager
    async def _alone(self, key: str) -> AsyncIterator[None]:
        """Let one request with a key be composed at a time: the others then find its mails, and sign none for nothing."""
        lock, waiting = self._under_way.get(key, (asyncio.Lock(), 0))
        self._under_way[key] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._under_way.pop(key)
            if waiting > 1:
                self._under_way[key] = (lock, waiting - 1)


def show(database: Database, token: ApiToken, number: int) -> Json:
    """How far a mail of ours got; UnknownRecord alike for one that is none, another's, or written for no customer."""
    with database.reading() as conn:
        entry = show_outbox(conn, number)
        whose = organisation_of_mail(conn, number)
    item = entry.item
    strange = item.kind is MailKind.RELAYED or (whose is None and item.kind not in WRITTEN)
    if strange or not token.may_touch(whose):
        raise UnknownRecord("There is no such mail.")
    return {
        "number": item.outgoing_id,
        "kind": item.kind,
        "to": item.rcpt_to,
        "subject": item.subject,
        "message_id": item.message_id,
        "created_at": None if item.created is None else item.created.isoformat(),
        "state": item.state,
        "next_attempt_at": None if item.next_attempt_at is None else item.next_attempt_at.isoformat(),
        "last_reply": item.last_reply,
        "maybe_twice": item.maybe_twice,
        "tries": [try_json(one) for one in entry.attempts],
    }


def try_json(one: Attempt) -> Json:
    """A try without its dialogue, which names addresses and hosts that are the gateway's own business."""
    return {
        "started_at": one.started.isoformat(),
        "finished_at": one.finished.isoformat(),
        "host": one.host,
        "code": one.reply.code,
        "reply": one.reply.text,
        "failure": one.failure,
        "tls": one.protection.level,
    }


def _mail_json(one: PostedMail) -> Json:
    return {
        "number": one.number,
        "to": one.address,
        "message_id": one.message_id,
        "state": one.state,
        # A mail that was queued before was judged then; its state says what came of it.
        "verdict": one.verdict or None,
        "reason": one.reason or None,
    }


def _letter(asked: Asked, key: str | None) -> Letter:
    form = asked.form
    return Letter(
        form.kind,
        asked.reference.strip().upper(),
        tuple(form.to),
        {name: tuple(one) if isinstance(one, list) else one for name, one in form.words.items()},
        actor=asked.token.name,
        key=key,
        break_glass=form.break_glass or "",
        test_to=form.test_to,
        outside=form.outside or "",
        language=form.language,
        not_before=form.send_after,
        not_after=form.send_before,
        organisation=asked.organisation,
        customers=asked.token.organisations,
    )


def _require(database: Database, asked: Asked) -> None:
    """See that the token may write about that incident, or to that customer: UnknownRecord."""
    with database.reading() as conn:
        if asked.organisation:
            customer_of(conn, asked.organisation, asked.token)
        else:
            thread_for(conn, asked.reference, asked.token)
