"""Passing a judged message on to its next hop before our reply: the next hop's 250 is the commit (RFC 5321 4.1.1.4).

What our client hears is what became of the message there, so that nothing waits here and nobody is bounced. Only the
recipients that the next hop refuses, of a message that it takes for others, are left to us: they are queued
before our 250, and the queue tells the sender (RFC 3464). Should that fail, the client hears 451 and sends again: the
others then get the message twice, for a second copy is better than none.

The record of what was relayed is written after the next hop's 250. When it cannot be written the message is where
it should be all the same, and a 451 would only double it: the client hears 250, and the log has what is missing.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol, TypeVar

import structlog

from outbound.model import RelayedMail
from outbound.store import queue_relayed
from smtp_gateway import replies
from smtp_gateway.envelope import Envelope, copy_id
from smtp_gateway.judging import ON_THE_LOOP, Judged
from smtp_gateway.next_hop import Handover, HopAnswer, Mail, NextHop, our_reply
from smtp_gateway.next_hop_session import DEFAULT_TIMES, MailError, hand_over
from smtp_gateway.recipient_check import RecipientCheck
from smtp_gateway.record import Intake
from smtp_gateway.relay_fields import PASSAGES_MAX, Border, UnfitError, passages, relayed
from smtp_gateway.replies import SmtpRefusal, SmtpReply
from smtp_gateway.status_path import status_path
from threads.model.relayed import RelayedMessage
from threads.store import Connection
from threads.store.errors import StoreError
from threads.store.relayed import drop_old_relayed, record_relayed
from threads.store.signatures import archive_keys, remember_signatures
from verifier.report import AuthResult, Report, Verdict

PLACES: Final = 40
"""Dialogues with one next hop at one time. Postfix takes 50 connections of one client; questions have eight."""
WAIT_SECONDS: Final = 60.0
"""For one of them. With the dialogue's own three minutes, and five at most before, the client is still there."""
RECORD_SECONDS: Final = 20.0
"""For the record of what is relayed already: a database that is locked must not make a client give up and send again."""
DROP_EVERY: Final = timedelta(seconds=30)
"""Between two looks for records that are too old: with some hundred a look they go faster than they come."""

CROWDED: Final = SmtpReply(451, "4.4.5", "Much mail waits for the next server, try again later")
UNFIT: Final = SmtpReply(550, "5.6.0", "The message header is malformed (RFC 5322 2.2)")

T = TypeVar("T")
_log = structlog.get_logger("smtp_gateway")

Hand = Callable[[Mail, NextHop, str], Awaitable[Handover]]


async def _hand(mail: Mail, hop: NextHop, hostname: str) -> Handover:
    return await hand_over(mail, hop, hostname, DEFAULT_TIMES)


class Writes(Protocol):
    """Runs a work in a transaction (``threads.store.writer.Writer``)."""

    async def submit(self, work: Callable[[Connection], T], *, size_hint: int = ...) -> T:
        """Return the work's value once it is committed."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What the route says of a message that it lets pass: whether it is ``marked``, and why."""

    marked: bool = False
    cause: str = ""


class Relay:
    """Sends messages to next hops; one for the whole process."""

    def __init__(
        self,
        border: Border,
        writer: Writes,
        *,
        check: RecipientCheck | None = None,
        wake: Callable[[], None] = lambda: None,
        hand: Hand = _hand,
    ) -> None:
        """``wake`` is called when something was queued; ``check`` forgets recipients that were refused after all."""
        self._border = border
        self._writer = writer
        self._check = check
        self._wake = wake
        self._hand = hand
        # One for each next hop of the settings: a dead one must not take the places of the others.
        self._places: defaultdict[NextHop, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(PLACES))
        self._dropped_at: datetime | None = None

    async def send(
        self, envelope: Envelope, judged: Judged, intake: Intake, hop: NextHop, rule: Rule
    ) -> None:
        """Return once the next hop has the message. Raises SmtpRefusal with what our client hears otherwise."""
        if passages(judged.message, self._border.hostname) >= PASSAGES_MAX:
            raise SmtpRefusal(replies.LOOP, "it has been here before, again and again")
        raw = await self._bytes(envelope, judged, rule)
        recipients = tuple(str(recipient.path) for recipient in envelope.recipients)
        mail = Mail(str(envelope.mail_from), recipients, raw, envelope.smtputf8)
        done = await self._handed(mail, hop)
        log = _log.bind(message=envelope.id, next_hop=str(hop))
        for recipient, answer in done.refused:
            log.info("recipient refused by the next hop", recipient=recipient, answer=str(answer))
            if self._check is not None:
                self._check.forget(recipient, hop)
        if not done.answer.accepted:
            if done.answer.unsure:
                log.warning("the next hop may have taken it; it comes again", answer=str(done.answer))
            raise SmtpRefusal(our_reply(done.answer), f"next hop {hop}: {done.answer}")
        log.info(
            "relayed", answer=str(done.answer), tls=done.tls, recipients=len(recipients) - len(done.refused)
        )
        left = left_to_us(envelope, judged, hop, raw, done)
        await self._recorded(intake, _kept(envelope, intake, hop, rule, done.answer), left)

    async def _bytes(self, envelope: Envelope, judged: Judged, rule: Rule) -> bytes:
        work = partial(relayed, judged.message, judged.report, envelope, self._border, flagged=rule.marked)
        try:
            # A large body takes its time to hash for the seal.
            return work() if len(envelope.raw) <= ON_THE_LOOP else await asyncio.to_thread(work)
        except UnfitError as error:
            raise SmtpRefusal(UNFIT, f"not fit to be relayed: {error}") from error

    async def _handed(self, mail: Mail, hop: NextHop) -> Handover:
        places = self._places[hop]
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await places.acquire()
        except TimeoutError:
            raise SmtpRefusal(CROWDED, "no place for another dialogue with a next hop") from None
        try:
            return await self._hand(mail, hop, self._border.hostname)
        except MailError as error:
            # BDAT may bring a bare LF (RFC 3030 2); a next hop could take it for the end of the data.
            raise SmtpRefusal(replies.BARE_CONTROL, f"on a route that relays: {error}") from error
        finally:
            places.release()

    async def _recorded(self, intake: Intake, message: RelayedMessage, left: tuple[RelayedMail, ...]) -> None:
        last, now = self._dropped_at, message.received_at
        drops = last is None or now - last >= DROP_EVERY
        if drops:
            self._dropped_at = now
        work = partial(_record, intake=intake, message=message, left=left, drops=drops)
        size = len(message.report) + len(message.evidence or "") + sum(len(mail.raw) for mail in left)
        try:
            async with asyncio.timeout(None if left else RECORD_SECONDS):
                await self._writer.submit(work, size_hint=size)
        except TimeoutError:
            _log.warning("relayed, the record is late", message=message.id)  # the writer goes on with it
        except StoreError as error:
            if left:
                raise  # somebody would get nothing
            _log.error("relayed, but not recorded", message=message.id, cause=str(error))
        except Exception as error:
            if left:
                raise
            _log.exception("relayed, but not recorded", message=message.id, exc_info=error)
        if left:
            self._wake()


def left_to_us(
    envelope: Envelope, judged: Judged, hop: NextHop, raw: bytes, done: Handover
) -> tuple[RelayedMail, ...]:
    """The copies that the next hop refused while it took others: queued, tried once more, and told of."""
    path = status_path(
        judged.message,
        judged.reading.kind,
        str(envelope.mail_from),
        spf_passed=spf_passed(judged.report),
    )
    refused = {recipient for recipient, _ in done.refused}
    return tuple(
        RelayedMail(
            key=copy_id(envelope.id, number),
            raw=raw,
            mail_from=str(envelope.mail_from),
            rcpt_to=str(recipient.path),
            next_hop=hop.written,
            dsn_to=path,
        )
        for number, recipient in enumerate(envelope.recipients)
        if str(recipient.path) in refused
    )


def spf_passed(report: Report) -> bool:
    """Whether the return path may hear of a failure: SPF passed for it (not for the greeting, RFC 7208 2.3)."""
    return report.spf.result is AuthResult.PASS and report.spf.scope == "mailfrom"


def _kept(envelope: Envelope, intake: Intake, hop: NextHop, rule: Rule, answer: HopAnswer) -> RelayedMessage:
    arrival = intake.arrival
    claims = intake.report.verdict is not Verdict.NO_CLAIM
    return RelayedMessage(
        id=envelope.id,
        sha256=arrival.sha256,
        size=len(envelope.raw),
        mail_from=arrival.mail_from,
        recipients=tuple(str(recipient.path) for recipient in envelope.recipients),
        received_at=arrival.received_at,
        client_ip=arrival.client_ip,
        helo=arrival.helo,
        tls=arrival.tls,
        message_id=arrival.message_id,
        author=arrival.author,
        verdict=arrival.verdict,
        marked=rule.marked,
        reason=rule.cause,
        next_hop=str(hop),
        answer=str(answer),
        report=arrival.report,
        evidence=arrival.evidence if claims else None,
        evaluator=arrival.evaluator,
        settings_hash=arrival.settings_hash,
    )


def _record(
    conn: Connection, *, intake: Intake, message: RelayedMessage, left: tuple[RelayedMail, ...], drops: bool
) -> None:
    """One transaction: the record, the signatures that came in, and what is left to us; old records go."""
    record_relayed(conn, message)
    for recipient in message.recipients:
        remember_signatures(conn, intake.signatures, recipient, message.received_at)
    archive_keys(conn, intake.keys, message.received_at)
    for mail in left:
        queue_relayed(conn, mail, message.received_at)
    if drops:
        drop_old_relayed(conn, message.received_at)
