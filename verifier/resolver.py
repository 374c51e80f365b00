"""Asks the DNS: dnspython wrapped once, so that every question ends as an `Answer` and none as an exception.

A stub resolver: it asks recursive name servers, by UDP and where cut short by TCP, caches what it hears, and
asks equal questions once at a time. A `Zone` given to it answers for its own names first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.resolver

from verifier.dns_cache import DnsCache
from verifier.evidence import Answer, AnswerStatus, Question
from verifier.zone import MAX_CNAMES, Zone, record_text

# One try each; the second is longer, for a loaded server. A silent server costs their sum for each question,
# and a message's questions are asked side by side.
TRY_SECONDS: Final = (1.5, 2.5)
# Sockets open to name servers; more questions wait. Enough that questions about somebody's silent domain do
# not keep the others waiting.
MAX_AT_ONCE: Final = 256
MAX_NAME_SERVERS: Final = 3  # as the C library: resolv.conf(5)
_PAYLOAD: Final = 1232  # EDNS size that passes without fragments (RFC 9715 3.1)
_MAX_LABEL: Final = 63  # RFC 1035 2.3.4

_NO_SUCH_NAME: Final = Answer(AnswerStatus.NXDOMAIN)
_TIMEOUT: Final = Answer(AnswerStatus.TIMEOUT)
_SERVFAIL: Final = Answer(AnswerStatus.SERVFAIL)

NameServer = tuple[str, int]


def system_name_servers() -> tuple[NameServer, ...]:
    """Those of this machine's configuration; none where it has none."""
    try:
        configured = dns.resolver.Resolver(configure=True)
    except (dns.resolver.NoResolverConfiguration, OSError, ValueError):
        return ()
    return tuple((str(server), configured.port) for server in configured.nameservers[:MAX_NAME_SERVERS])


class Resolver:
    """One for a process: its cache, its questions in flight and its limit on them are shared by all messages.

    ``nameservers`` are (IP address, port); None takes the system's. ``now`` gives the time (UTC) put on
    answers, ``steady`` the seconds by which they age. It belongs to the event loop it is first used in.
    """

    def __init__(
        self,
        nameservers: Sequence[NameServer] | None = None,
        zone: Zone | None = None,
        *,
        cache: DnsCache | None = None,
        try_seconds: Sequence[float] = TRY_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        servers = system_name_servers() if nameservers is None else tuple(nameservers)
        self.nameservers = servers[:MAX_NAME_SERVERS]
        self.zone = zone
        self.cache = cache if cache is not None else DnsCache()
        self._try_seconds = tuple(try_seconds)
        self._now = now
        self._steady = steady
        self._limit = asyncio.Semaphore(MAX_AT_ONCE)
        self._flying: dict[Question, asyncio.Task[Answer]] = {}
        self.sent = 0  # questions that went to a name server, for metrics and tests

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the questions in flight; whoever waits for them hears "timeout"."""
        flying = tuple(self._flying.values())
        for task in flying:
            task.cancel()
        await asyncio.gather(*flying, return_exceptions=True)

    async def ask(
        self, questions: Iterable[Question], seconds: float | None = None
    ) -> Mapping[Question, Answer]:
        """Ask all at once; each has an answer in the result, "timeout" where it took longer than ``seconds``.

        A question that times out here goes on for others who wait for it, and its answer is cached.
        """
        wanted = tuple(dict.fromkeys(questions))
        answers: dict[Question, Answer] = {}
        waiting: dict[Question, asyncio.Task[Answer]] = {}
        for question in wanted:
            at_hand = self._at_hand(question)
            if at_hand is not None:
                answers[question] = at_hand
            else:
                waiting[question] = self._fly(question)
        if waiting:
            await asyncio.wait(waiting.values(), timeout=seconds)
            for question, task in waiting.items():
                finished = task.done() and not task.cancelled()
                answers[question] = task.result() if finished else replace(_TIMEOUT, at=self._now())
        return answers

    def _at_hand(self, question: Question) -> Answer | None:
        """What the zone or the cache says without asking anybody."""
        if self.zone is not None and self.zone.claims(question.name):
            found = self.zone.lookup(question)
            return None if found.outside else self.zone.answer(question, self._now())
        return self.cache.get(question, self._steady())

    def _fly(self, question: Question) -> asyncio.Task[Answer]:
        """The task that asks a question; equal questions share it."""
        task = self._flying.get(question)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._answer(question))
            self._flying[question] = task
            task.add_done_callback(lambda _: self._flying.pop(question, None))
        return task

    async def _answer(self, question: Question) -> Answer:
        if self.zone is not None and self.zone.claims(question.name):
            return await self._outside(self.zone, question)
        name = _wire_name(question.name)
        if name is None:
            return replace(_NO_SUCH_NAME, at=self._now())
        async with self._limit:
            answer = replace(await self._query(name, question.type), at=self._now())
        self.cache.put(question, answer, self._steady())
        return answer

    async def _outside(self, zone: Zone, question: Question) -> Answer:
        """A name of the zone whose CNAME leads out of it: ask the world for the target."""
        found = zone.lookup(question)
        if found.outside is None or len(found.steps) >= MAX_CNAMES:
            return zone.answer(question, self._now())
        target = Question(found.outside, question.type)
        answer = (await self.ask((target,)))[target]
        return replace(answer, ttl=min(answer.ttl, *(step.found.ttl for step in found.steps)))

    async def _query(self, name: dns.name.Name, rrtype: str) -> Answer:
        """Ask each server, then each again with more patience; a definite answer ends it."""
        try:
            query = dns.message.make_query(name, rrtype, use_edns=0, payload=_PAYLOAD)
        except (dns.exception.DNSException, ValueError):
            return _NO_SUCH_NAME  # a type or name that DNS cannot express has no records
        query.flags |= dns.flags.AD  # RFC 6840 5.7: tell us whether you validated
        last = _SERVFAIL
        for seconds in self._try_seconds:
            for server in self.nameservers:
                last = await self._exchange(query, server, seconds)
                if not last.temporary:
                    return last
            if last.status is AnswerStatus.SERVFAIL:
                return last  # it was heard and said no: waiting longer helps nobody
        return last

    async def _exchange(self, query: dns.message.Message, server: NameServer, seconds: float) -> Answer:
        host, port = server
        self.sent += 1
        try:
            async with asyncio.timeout(seconds):
                # Each question leaves from a port of its own, and what does not answer it is ignored
                # (RFC 5452 9); the time-out above is for TCP too.
                response, _ = await dns.asyncquery.udp_with_fallback(
                    query, host, port=port, ignore_unexpected=True, ignore_errors=True, timeout=seconds
                )
        except (TimeoutError, dns.exception.Timeout):
            return _TIMEOUT
        except (dns.exception.DNSException, OSError, EOFError, ValueError):
            return _SERVFAIL  # refused, unreachable, or an answer that is none
        return read_response(response)


def read_response(response: dns.message.Message) -> Answer:
    """What a response says; every code but NOERROR and NXDOMAIN is a server's failure (RFC 1035 4.1.1)."""
    rcode = response.rcode()
    if rcode not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN} or not isinstance(
        response, dns.message.QueryMessage
    ):
        return _SERVFAIL
    try:
        chain = response.resolve_chaining()
        ad = bool(response.flags & dns.flags.AD)
        if rcode == dns.rcode.NXDOMAIN:
            return Answer(AnswerStatus.NXDOMAIN, (), chain.minimum_ttl, ad)
        if chain.answer is None:
            if _is_referral(response):
                return _SERVFAIL  # a server that does not recurse for us, or is lame (RFC 8499 7)
            return Answer(AnswerStatus.NODATA, (), chain.minimum_ttl, ad)
        records = tuple(record_text(rdata) for rdata in chain.answer)
    except (dns.exception.DNSException, ValueError):
        return _SERVFAIL
    return Answer(AnswerStatus.ANSWER, records, chain.minimum_ttl, ad)


def _is_referral(response: dns.message.Message) -> bool:
    types = {rrset.rdtype for rrset in response.authority}
    return dns.rdatatype.NS in types and dns.rdatatype.SOA not in types and not response.answer


def _wire_name(name: str) -> dns.name.Name | None:
    """A question's name for the wire, labels taken as they are; None when it fits no DNS message."""
    labels = name.encode("utf-8", "surrogateescape").removesuffix(b".").split(b".") if name != "." else []
    if not all(0 < len(label) <= _MAX_LABEL for label in labels):
        return None
    try:
        return dns.name.Name([*labels, b""])
    except dns.exception.DNSException:
        return None
