"""From a received message to its reply: judge, record, and only then 250. The asynchronous shell of the room."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Protocol, TypeVar

import structlog

from outbound.model import AutomaticCaps
from smtp_gateway import replies
from smtp_gateway.authentication_results import forged_fields, write_field
from smtp_gateway.envelope import Envelope, copy_id
from smtp_gateway.gateway_settings import GatewaySettings
from smtp_gateway.judging import Busy, Judge, Judged
from smtp_gateway.observer import NobodyWatching, Observer
from smtp_gateway.plan import may_be_answered
from smtp_gateway.received import looping, received_field
from smtp_gateway.record import Copy, Intake, Recorded, record, tokens_shared
from smtp_gateway.relay import Relay, Rule
from smtp_gateway.replies import SmtpRefusal, SmtpReply
from smtp_gateway.route_policy import Action, Treatment, treatment
from smtp_gateway.routes import RouteKind
from threads.machine_mail import machine_mail
from threads.match import thread_keys
from threads.message_kind import kind_of
from threads.model import Arrival, Disposition, MessageKind, Outcome
from threads.store import Connection
from threads.store.errors import StorageFull, StoreError
from verifier.dmarc_7489 import PublicSuffixes
from verifier.driver import Budget, HasOpinion, HasRecords, Resolves
from verifier.evaluate import EVALUATOR_VERSION, Context
from verifier.evidence import Session, SessionOrigin
from verifier.evidence_file import write_evidence
from verifier.identity import Identity
from verifier.own_records import passing_signatures
from verifier.record_check import published_keys
from verifier.report import Report
from verifier.report_json import as_json

TIMELINE_TEXT_MAX = 200_000
"""Characters of new and of quoted text that the timeline keeps; the whole is in the stored bytes."""
ROW_OVERHEAD = 16 * 1024
"""Octets that a message adds to its transaction beside its own: verdict, evidence, texts."""

# Made once: json.dumps makes a new encoder for each call that has options.
_PERSONAL = frozenset({MessageKind.HUMAN, MessageKind.AUTO_REPLY})
_COMPACT = json.JSONEncoder(separators=(",", ":")).encode

T = TypeVar("T")
_log = structlog.get_logger("smtp_gateway")


class Writes(Protocol):
    """Runs a work in a transaction (``threads.store.writer.Writer``)."""

    async def submit(self, work: Callable[[Connection], T], *, size_hint: int = 0) -> T:
        """Return the work's value once it is committed."""


class MailIntake:
    """Takes messages from the SMTP side; ``take`` is what ``GatewayServer`` is given."""

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        identities: tuple[Identity, ...],
        own_domains: frozenset[str],
        resolver: Resolves,
        opinion: HasOpinion | None,
        writer: Writes,
        observer: Observer | None = None,
        budget: Budget | None = None,
        caps: AutomaticCaps | None = None,
        suffixes: PublicSuffixes | None = None,
        records: HasRecords | None = None,
        relay: Relay | None = None,
        other_way: bool = False,
    ) -> None:
        """``own_domains``: those we operate or take replies at; their addresses are never answered automatically.

        With ``suffixes`` DMARC is evaluated by RFC 7489 and that list. ``relay`` is for routes with a next hop.
        ``other_way``: there is a way for files that is not mail, to be named to a known sender whose files are held.
        """
        self._settings = settings
        self._identities = identities
        self._suffixes = suffixes
        self._records = records
        self._own_domains = own_domains
        self._relay = relay
        self._writer = writer
        self._observer: Observer = observer or NobodyWatching()
        self._caps = caps or AutomaticCaps()
        self._seconds = settings.limits.judging_seconds
        self._other_way = other_way
        self._judge = Judge(resolver, opinion, budget or Budget(seconds=min(20.0, self._seconds)))

    def close(self) -> None:
        """End the judging threads."""
        self._judge.close()

    async def take(self, envelope: Envelope) -> SmtpReply:
        """Judge and store; positive only after the commit. Never raises: every fault is a reply and a log entry."""
        started = perf_counter()
        log = _log.bind(message=envelope.id, connection=envelope.peer.connection_id, client=envelope.peer.ip)
        try:
            self._refuse_unjudged(envelope)
            judged = await self._judged(envelope)
            # Let the messages that came together be judged one after the other: the same code on each while it is at
            # hand in the processor's caches saves a twelfth of a message's time.
            await asyncio.sleep(0)
            treated = self._treated(envelope, judged)
            recorded = await self._passed_on(envelope, judged, treated, log)
            if recorded is None:
                recorded = await self._recorded(envelope, judged, treated, log)
        except SmtpRefusal as refused:
            log.info("not accepted", reply=str(refused.reply), cause=refused.cause)
            self._count(refused.reply)
            return refused.reply
        except StorageFull as error:
            log.warning("storage full", cause=str(error))
            self._count(replies.STORAGE_FULL)
            return replies.STORAGE_FULL
        except Busy:
            log.warning("too many large messages at one time", reference=envelope.id)
            return self._fault(envelope)
        except StoreError as error:
            log.warning("store unavailable", reference=envelope.id, cause=str(error))
            return self._fault(envelope)
        except Exception as error:  # a fault of ours is 451, never 5xx, and is logged
            log.exception("fault", reference=envelope.id, exc_info=error)
            return self._fault(envelope)
        with _telling(log):
            self._accepted(envelope, judged, recorded, perf_counter() - started, log)
        return replies.accepted(recorded[0].id)

    async def _judged(self, envelope: Envelope) -> Judged:
        session = _session(envelope)
        context = Context(
            identities=self._identities,
            at=envelope.received_at,
            session=session,
            receiver=self._settings.hostname,
            suffixes=self._suffixes,
        )
        # Of mail that is only relayed the files are described where the route has a rule for them.
        route = envelope.recipients[0].route
        files = route.next_hop is None or route.policy.about_files
        # The budget of DNS, and as much again for a busy machine.
        judged = await self._judge.judged(
            envelope.raw, context, self._seconds * 2, self._records, files=files
        )
        if looping(judged.message, self._settings.limits.received_fields):
            raise SmtpRefusal(replies.LOOP, "too many Received fields")
        return judged

    @staticmethod
    def _refuse_unjudged(envelope: Envelope) -> None:
        """What the route takes whatever the verdict is; all recipients are of one policy class."""
        route = envelope.recipients[0].route
        most = route.policy.max_message_bytes
        if most is not None and len(envelope.raw) > most:
            raise SmtpRefusal(replies.TOO_LARGE, f"over {most} octets on this route")
        if route.kind is RouteKind.BOUNCE and not envelope.mail_from.empty:
            raise SmtpRefusal(replies.BOUNCES_ONLY, "no returned mail")

    @staticmethod
    def _treated(envelope: Envelope, judged: Judged) -> Treatment:
        """What the route does with the message; raises SmtpRefusal where it does not take it."""
        route = envelope.recipients[0].route
        treated = treatment(
            judged.report,
            route.policy,
            judged.parts,
            judged.files,
            bounce=envelope.mail_from.empty,
            relays=route.next_hop is not None,
        )
        if treated.reply is not None:
            raise SmtpRefusal(treated.reply, treated.cause)
        return treated

    async def _passed_on(
        self,
        envelope: Envelope,
        judged: Judged,
        treated: Treatment,
        log: structlog.typing.FilteringBoundLogger,
    ) -> tuple[Recorded, ...] | None:
        """Relay the message where its route has a next hop; None where it ends here, or is to be held first."""
        hop = envelope.recipients[0].route.next_hop
        if hop is None or treated.action is Action.HOLD:
            return None
        if self._relay is None:
            raise RuntimeError("a route relays, and nothing does")
        self._tell_forged(judged, log)
        # Nothing of it is kept here, so its files are not listed either.
        intake = self._intake(envelope, replace(judged, files=()), treated)
        await self._relay.send(
            envelope, judged, intake, hop, Rule(treated.action is Action.TAG, treated.cause)
        )
        return tuple(
            Recorded(copy_id(envelope.id, number), Disposition.RELAYED, Outcome.STORED)
            for number in range(len(envelope.recipients))
        )

    def _tell_forged(self, judged: Judged, log: structlog.typing.FilteringBoundLogger) -> None:
        forged = forged_fields(judged.message, self._settings.authserv_id)
        if forged:
            log.warning("forged Authentication-Results with our id", fields=forged)

    async def _recorded(
        self,
        envelope: Envelope,
        judged: Judged,
        treated: Treatment,
        log: structlog.typing.FilteringBoundLogger,
    ) -> tuple[Recorded, ...]:
        self._tell_forged(judged, log)
        intake = self._intake(envelope, judged, treated)
        size = len(envelope.raw) + ROW_OVERHEAD
        return await self._writer.submit(partial(record, intake=intake, caps=self._caps), size_hint=size)

    def _intake(
        self,
        envelope: Envelope,
        judged: Judged,
        treated: Treatment,
    ) -> Intake:
        reading, report = judged.reading, judged.report
        kind, told = reading.kind, reading.bounce
        if envelope.mail_from.empty and kind in _PERSONAL:
            # The envelope says what the header cannot: no person sent it (RFC 5321 4.5.5).
            kind, told = kind_of(
                judged.message, judged.parts, reading.subject, reading.body.text, null_path=True
            )
        keys = thread_keys(judged.message)
        machine = None
        if kind is not MessageKind.HUMAN:
            machine = machine_mail(judged.message, judged.parts, kind, told)
        if machine is not None and machine.original_ids:
            keys = replace(keys, in_reply_to=(*keys.in_reply_to, *machine.original_ids))
        copies = tuple(
            Copy(
                str(recipient.path),
                recipient.route,
                keys if recipient.route.token is None else replace(keys, reply=recipient.route.token),
            )
            for recipient in envelope.recipients
        )
        bounce = envelope.mail_from.empty
        tls = envelope.peer.tls
        arrival = Arrival(
            id=envelope.id,
            raw=envelope.raw,
            sha256=envelope.digest.hex(),
            mail_from=str(envelope.mail_from),
            rcpt_to=copies[0].rcpt_to,
            received_at=envelope.received_at,
            client_ip=envelope.peer.ip,
            helo=envelope.peer.helo,
            tls=None if tls is None else str(tls),
            message_id=reading.message_id,
            subject=reading.subject,
            author=None if report.author is None else report.author.address,
            kind=kind,
            verdict=report.verdict.value,
            report=_COMPACT(as_json(report, None)),
            evidence=write_evidence(
                judged.evidence,
                _session(envelope),
                public_suffixes=None if self._suffixes is None else self._suffixes.version,
            ),
            evaluator=EVALUATOR_VERSION,
            settings_hash=self._settings.settings_hash,
            trace=self._trace(envelope, report),
        )
        return Intake(
            arrival=arrival,
            copies=tokens_shared(copies),
            report=report,
            answerable=may_be_answered(judged.message, kind, report, self._own_domains, bounce=bounce),
            treatment=treated,
            text=reading.body.new[:TIMELINE_TEXT_MAX],
            quoted=reading.body.quoted[:TIMELINE_TEXT_MAX],
            signatures=passing_signatures(report.dkim),
            keys=published_keys(report.dkim, judged.evidence),
            machine=machine,
            files=judged.files,
            other_way=self._other_way,
        )

    def _trace(self, envelope: Envelope, report: Report) -> str:
        """Our own trace fields as text; the stored bytes stay as they came (RFC 5321 4.4, RFC 8601 4)."""
        results = write_field(report, self._settings.authserv_id, envelope.mail_from, envelope.peer.helo)
        return (results + received_field(envelope, self._settings.hostname)).decode("utf-8", "replace")

    def _accepted(
        self,
        envelope: Envelope,
        judged: Judged,
        recorded: tuple[Recorded, ...],
        seconds: float,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        if any(copy.ordered for copy in recorded):
            self._observer.ordered()
        for copy, recipient in zip(recorded, envelope.recipients, strict=True):
            self._observer.accepted(copy.disposition.value, judged.report.verdict.value, seconds)
            log.info(
                "accepted",
                id=copy.id,
                route=recipient.route.kind.value,
                outcome=copy.outcome.value,
                disposition=copy.disposition.value,
                thread=copy.thread,
                verdict=judged.report.verdict.value,
                size=len(envelope.raw),
                seconds=round(seconds, 4),
            )

    def _fault(self, envelope: Envelope) -> SmtpReply:
        reply = replies.internal_fault(envelope.id)
        self._count(reply)
        return reply

    def _count(self, reply: SmtpReply) -> None:
        with _telling(_log):
            if reply.transient:
                self._observer.deferred(reply.code)
            else:
                self._observer.rejected(reply.code)


@contextmanager
def _telling(log: structlog.typing.FilteringBoundLogger) -> Iterator[None]:
    """Tell of a message whose answer is settled: a fault in whoever counts is logged and changes no answer."""
    try:
        yield
    except Exception as error:  # a 451 now would be said of mail that is committed
        log.exception("observer failed", exc_info=error)


def _session(envelope: Envelope) -> Session:
    return Session(
        client_ip=envelope.peer.ip,
        helo=envelope.peer.helo,
        mail_from=str(envelope.mail_from),
        rcpt_to=tuple(str(recipient.path) for recipient in envelope.recipients),
        origin=SessionOrigin.LIVE,
    )
