"""Delivery to the recipient's own servers (RFC 5321 5.1, null MX RFC 7505)."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest

from outbound.connections import Connections
from outbound.delivery import DEFAULT_TIMEOUTS, Handover, Server, Timeouts, Tls, hand_over, joined
from outbound.model import Delivery, Failure, Reply
from outbound.tls_policy import OPPORTUNISTIC, TlsPolicy
from verifier.evidence import Answer, AnswerStatus, Question

AskDns = Callable[[Iterable[Question]], Awaitable[Mapping[Question, Answer]]]
"""Answers DNS questions; ``verifier.resolver.Resolver.ask`` is one."""

# RFC 5321 5.1 asks for at least two addresses to be tried; a domain with hundreds must not keep a worker.
MAX_HOSTS = 5
MAX_ADDRESSES = 3

_NEXT_HOST = frozenset({Failure.CONNECTION, Failure.TIMEOUT, Failure.REFUSED_FOR_NOW, Failure.PROTOCOL})


@dataclass(frozen=True, slots=True)
class Exchanger:
    """One mail exchanger of a domain."""

    preference: int
    host: str


class NoRouteError(Exception):
    """A domain's mail has nowhere to go, or not now; ``failure`` says which."""

    def __init__(self, failure: Failure, text: str) -> None:
        super().__init__(text)
        self.failure = failure


def exchangers(
    domain: str, answer: Answer, own_hostname: str, spread: Callable[[], float] = lambda: 0.0
) -> tuple[Exchanger, ...]:
    """The domain's servers, best first, out of its MX answer. Pure; raises NoRouteError.

    ``spread`` draws a number for each: among equal preferences the lowest comes first, so that senders spread over them
    (RFC 5321 5.1).
    """
    if answer.temporary:
        raise NoRouteError(Failure.DNS, f"DNS gave no answer for the MX records of {domain}")
    if answer.status is AnswerStatus.NXDOMAIN:
        raise NoRouteError(Failure.NO_MAIL, f"the domain {domain} does not exist")
    if answer.status is AnswerStatus.NODATA or not answer.records:
        return (Exchanger(0, domain),)  # RFC 5321 5.1: an implicit MX
    found = sorted(filter(None, map(_exchanger, answer.records)), key=lambda one: (one.preference, spread()))
    if any(one.host == "" for one in found):
        raise NoRouteError(Failure.NO_MAIL, f"the domain {domain} takes no mail (null MX)")  # RFC 7505 3
    own = own_hostname.lower().rstrip(".")
    ours = min((one.preference for one in found if one.host == own), default=None)
    # RFC 5321 5.1: where we are an exchanger ourselves, only better ones may be tried, or mail would loop.
    usable = [one for one in found if ours is None or one.preference < ours]
    if not usable:
        raise NoRouteError(Failure.DNS, f"the MX records of {domain} lead to no other server")
    return tuple(usable[:MAX_HOSTS])


def _exchanger(record: str) -> Exchanger | None:
    preference, _, host = record.strip().partition(" ")
    if not (preference.isascii() and preference.isdigit()):
        return None
    return Exchanger(int(preference), host.strip().lower().rstrip("."))


def reachable(address: str, *, private_networks: bool) -> bool:
    """Whether mail may be sent to an address: a stranger's MX record must not lead into our own network."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return private_networks or (parsed.is_global and not parsed.is_multicast)


@dataclass(frozen=True, slots=True)
class MxTransport:
    """Looks up each recipient's servers and tries them in order.

    ``private_networks`` lets tests and closed networks deliver to loopback and private addresses. ``spread`` draws
    numbers from 0 to 1. ``cert_bundle`` is a file of the authorities that required TLS trusts; None: the system's.
    """

    ask: AskDns
    hostname: str
    port: int = 25
    private_networks: bool = False
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    policy: TlsPolicy = OPPORTUNISTIC
    cert_bundle: str | None = None
    spread: Callable[[], float] = lambda: 0.0
    connections: Connections = field(default_factory=Connections, repr=False, compare=False)

    async def deliver(self, delivery: Delivery) -> Handover:
        """Hand over to the first server that takes part in a dialogue."""
        domain = delivery.rcpt_to.rpartition("@")[2].lower()
        last = Handover(domain, Reply(0, "no server has an address"), Failure.DNS)
        tls = Tls.STARTTLS if self.policy.requires(domain) else Tls.OPPORTUNISTIC
        tried = ""
        try:
            for exchanger in await self._route(domain):
                for address in await self._addresses(exchanger.host):
                    server = Server(address, self.port, tls, exchanger.host, cert_bundle=self.cert_bundle)
                    last = await hand_over(delivery, server, self.hostname, self.timeouts, self.connections)
                    tried = joined(tried, last.transcript)
                    last = replace(last, transcript=tried)
                    if last.begun or last.failure not in _NEXT_HOST:
                        return last
        except NoRouteError as error:
            return Handover(domain, Reply(0, str(error)), error.failure)
        return last

    async def close(self) -> None:
        """End the open connections."""
        await self.connections.close()

    async def _route(self, domain: str) -> tuple[Exchanger, ...]:
        question = Question.of(domain, "MX")
        return exchangers(domain, (await self.ask((question,)))[question], self.hostname, self.spread)

    async def _addresses(self, host: str) -> tuple[str, ...]:
        questions = (Question.of(host, "AAAA"), Question.of(host, "A"))
        answers = await self.ask(questions)
        # In turn, so that both families are among the first two; IPv4 first, for many a sender's IPv6 has no name.
        old, new = (
            [one for one in answers[q].records if reachable(one, private_networks=self.private_networks)]
            for q in reversed(questions)
        )
        return tuple(filter(None, chain.from_iterable(zip_longest(old, new))))[:MAX_ADDRESSES]
