"""Hosts and routes: which hosts the MX records name, which addresses they have, and what is wrong with either."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from expertmail.dns_check.codes import Area, Code
from expertmail.dns_check.facts import Operated
from expertmail.dns_check.finding import (
    Finding,
    Findings,
    Published,
    fetch,
    finding,
    fine,
    shown,
    unanswered,
    unchecked,
)
from verifier.evidence import NOTHING, Answer, AnswerStatus, Check, Question, together

MAX_MX: Final = 20  # hosts of one domain that are looked at; senders try a handful
# RFC 6890: addresses that nobody outside can reach. Those for documentation are left out, for examples stand in them.
_UNREACHABLE: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::/127",
        "fc00::/7",
        "fe80::/10",
    )
)
# RFC 952, RFC 1123 2.1, and underscores, which are about; a record that is told to publish holds nothing else.
_HOST_NAME: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?)*\Z")


@dataclass(frozen=True, slots=True)
class Host:
    """A host as the DNS knows it. ``open`` are the questions without an answer."""

    name: str
    addresses: tuple[str, ...] = ()
    alias: str | None = None
    open: tuple[Question, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """A domain's MX answer and the hosts it names, best first; ``null`` where one of them is the null MX."""

    domain: str
    answer: Answer
    hosts: tuple[tuple[int, Host], ...] = ()
    null: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The hosts' names."""
        return tuple(host.name for _, host in self.hosts)


@dataclass(frozen=True, slots=True)
class Survey:
    """Our host and all routes."""

    host: Host
    routes: tuple[Route, ...]

    def is_ours(self, host: Host) -> bool:
        """Whether a host is this gateway: by its name, or by one of our addresses."""
        return host.name == self.host.name or bool(set(host.addresses) & set(self.host.addresses))

    @property
    def own_names(self) -> tuple[str, ...]:
        """The names by which MX records lead to us; our host name where none does."""
        names = dict.fromkeys(
            host.name for route in self.routes for _, host in route.hosts if self.is_ours(host)
        )
        return tuple(names) or (self.host.name,)


def survey(operated: Operated) -> Check[Survey]:
    """Look up our host and the routes of every domain."""
    host = yield from look_up(operated.hostname)
    routes = yield from together(_route(domain) for domain in operated.all_domains)
    return Survey(host, routes)


def look_up(name: str) -> Check[Host]:
    """A host's addresses, IPv4 first, and whether its name is a CNAME."""
    questions = tuple(Question.of(name, rrtype) for rrtype in ("A", "AAAA", "CNAME"))
    answers = yield from fetch(*questions)
    addresses = tuple(record for answer in answers[:2] for record in answer.records)
    alias = answers[2].records[0].rstrip(".").lower() if answers[2].records else None
    return Host(name, addresses, alias, unanswered(questions, answers))


def _route(domain: str) -> Check[Route]:
    (answer,) = yield from fetch(Question.of(domain, "MX"))
    named = sorted(
        (int(n), host) for n, _, host in (r.partition(" ") for r in answer.records) if n.isdecimal()
    )
    targets = [(n, host.strip().rstrip(".").lower()) for n, host in named]
    hosts = yield from together(look_up(host) for _, host in targets[:MAX_MX] if host)
    preferences = [n for n, host in targets[:MAX_MX] if host]
    return Route(domain, answer, tuple(zip(preferences, hosts, strict=True)), any(not h for _, h in targets))


def unreachable(address: str) -> bool:
    """Whether nobody outside can reach an address."""
    parsed = ipaddress.ip_address(address)
    return any(parsed.version == network.version and parsed in network for network in _UNREACHABLE)


def check_routes(operated: Operated, found: Survey) -> Findings:
    """What is wrong with the MX records (RFC 5321 5.1, RFC 2181 10.3, RFC 7505) and with our host's name."""
    findings: list[Finding] = []
    for route in found.routes:
        findings += _check_route(operated, found, route)
    named = {name for route in found.routes for name in route.names}
    if operated.hostname not in named:
        findings += _check_own_host(operated, found.host)
    return tuple(findings)


def _check_route(operated: Operated, found: Survey, route: Route) -> list[Finding]:
    domain, answer = route.domain, route.answer
    ours = (Published(domain, "MX", f"10 {operated.hostname}."),)
    if answer.temporary:
        return [unchecked(Area.MX, domain, (Question.of(domain, "MX"),))]
    if answer.status is AnswerStatus.NXDOMAIN:
        return [finding(Code.DOMAIN_MISSING, domain, "the domain does not exist", ours)]
    if not route.hosts:
        if route.null:
            return [finding(Code.MX_NULL, domain, "a null MX", ours)]
        return [finding(Code.MX_MISSING, domain, "no MX record", ours)]
    findings: list[Finding] = []
    if route.null:
        code = Code.MX_NULL_AMONG_OTHERS
        findings.append(finding(code, domain, f"a null MX beside {_listed(route)}", ours))
    for _, host in route.hosts:
        findings += _check_host(operated, route, host)
    if not any(found.is_ours(host) for _, host in route.hosts) and not any(h.open for _, h in route.hosts):
        text = f"mail goes to {_listed(route)}, and not to {operated.hostname}"
        findings.append(finding(Code.MX_ELSEWHERE, domain, text, ours))
    return findings or [fine(Area.MX, domain, f"mail goes to {_listed(route)}")]


def _check_host(operated: Operated, route: Route, host: Host) -> list[Finding]:
    name = shown(host.name)
    if _is_address(host.name):
        text = "the MX record holds an address"
        return [finding(Code.MX_IS_ADDRESS, name, text, _instead(operated, route, host))]
    if host.alias is not None:
        text = f"the MX host is a CNAME for {shown(host.alias)}"
        right = _address_records(operated, host) or _instead(operated, route, host, host.alias)
        return [finding(Code.MX_ALIAS, name, text, right)]
    if host.open:
        return [unchecked(Area.MX, name, host.open)]
    if not host.addresses:
        text = "the MX host has no A or AAAA record"
        own = host.name == operated.hostname
        right = _address_records(operated, host) if own else _instead(operated, route, host)
        return [finding(Code.MX_WITHOUT_ADDRESS, name, text, right)]
    return _check_public(operated, host)


def _instead(
    operated: Operated, route: Route, host: Host, target: str | None = None
) -> tuple[Published, ...]:
    """The domain's MX records with a host left out, or another one in its place; ours where none is left."""
    pairs = [(n, target if other is host else other.name) for n, other in route.hosts]
    names = [(n, name) for n, name in pairs if name is not None and _HOST_NAME.match(name)]
    return tuple(
        Published(route.domain, "MX", f"{n} {name}.") for n, name in names or [(10, operated.hostname)]
    )


def _check_public(operated: Operated, host: Host) -> list[Finding]:
    private = [address for address in host.addresses if unreachable(address)]
    if not private or operated.local:
        return []
    return [finding(Code.HOST_NOT_PUBLIC, shown(host.name), f"its address is {', '.join(private)}")]


def _check_own_host(operated: Operated, host: Host) -> list[Finding]:
    if host.alias is not None:
        text = f"it is a CNAME for {shown(host.alias)}"
        return [finding(Code.HOST_ALIAS, host.name, text, _address_records(operated, host))]
    if host.open:
        return [unchecked(Area.HOST, host.name, host.open)]
    if host.addresses:
        return _check_public(operated, host) or [fine(Area.HOST, host.name, ", ".join(host.addresses))]
    text = "it has no A or AAAA record"
    return [finding(Code.HOST_WITHOUT_ADDRESS, host.name, text, _address_records(operated, host))]


def _address_records(operated: Operated, host: Host) -> tuple[Published, ...]:
    """The address records of our own host, where the addresses are known; nobody knows another host's."""
    if host.name != operated.hostname:
        return ()
    return tuple(
        Published(host.name, "AAAA" if ":" in address else "A", address)
        for address in operated.sending or host.addresses
    )


def _listed(route: Route) -> str:
    return ", ".join(f"{shown(host.name)} ({number})" for number, host in route.hosts)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def check_reverse(operated: Operated, found: Survey) -> Check[Findings]:
    """PTR records of the addresses that our mail leaves from, and whether they lead back (RFC 1912 2.1)."""
    yield NOTHING
    addresses = sending_addresses(operated, found)
    if not addresses and operated.smarthost is not None:
        text = f"mail leaves through the smarthost {operated.smarthost}"
        return (finding(Code.SENDING_UNKNOWN, operated.smarthost, text),)
    checked = yield from together(_check_address(operated, found, address) for address in addresses)
    return tuple(one for findings in checked for one in findings)


def sending_addresses(operated: Operated, found: Survey) -> tuple[str, ...]:
    """The addresses that our mail leaves from: those given, else our host's own; none where that is not known."""
    if operated.sending:
        return operated.sending
    return () if operated.smarthost is not None else found.host.addresses


def _check_address(operated: Operated, found: Survey, address: str) -> Check[Findings]:
    yield NOTHING
    if operated.local and unreachable(address):
        return (fine(Area.PTR, address, "stays on this machine and needs no name"),)
    away = not found.host.open and address not in found.host.addresses
    record = Published(operated.hostname, "AAAA" if ":" in address else "A", address)
    name = yield from _check_name(operated, address, (record,) if away else ())
    if not away:
        return (name,)
    text = f"{operated.hostname} does not lead to this address"
    return (finding(Code.HELO_OTHER_ADDRESS, address, text, (record,)), name)


def _check_name(operated: Operated, address: str, forward: tuple[Published, ...]) -> Check[Finding]:
    """The name of an address, and whether it leads back. ``forward`` is missing for our host name to do so."""
    reverse = ipaddress.ip_address(address).reverse_pointer
    question = Question.of(reverse, "PTR")
    (answer,) = yield from fetch(question)
    right = (Published(reverse, "PTR", f"{operated.hostname}."), *forward)
    if answer.temporary:
        return unchecked(Area.PTR, address, (question,))
    names = tuple(record.rstrip(".").lower() for record in answer.records[:MAX_MX])
    if not names:
        return finding(Code.PTR_MISSING, address, "the address has no PTR record", right)
    hosts = yield from together(map(look_up, names))
    confirmed = [host.name for host in hosts if address in host.addresses]
    text = f"its name is {', '.join(map(shown, names))}"
    if operated.hostname in confirmed:
        return fine(Area.PTR, address, text)
    missing = [question for host in hosts for question in host.open]
    if missing and not confirmed:
        return unchecked(Area.PTR, address, missing)
    if confirmed:
        return finding(Code.PTR_OTHER_NAME, address, text, right)
    return finding(Code.PTR_NOT_CONFIRMED, address, f"{text}, which does not lead back", right)
