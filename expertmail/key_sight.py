"""Asks everybody who answers for the keys' records: each resolver by itself, and the zone's own name servers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final

from expertmail.settings import Settings
from expertmail.verify_plan import name_server_of
from outbound.key_rotation import Sighting, sighted
from outbound.sign import SigningKey
from verifier.evidence import Answer, Question
from verifier.resolver import NameServer, Resolver, system_name_servers
from verifier.zone import Zone

MAX_NAME_SERVERS: Final = 13  # of a zone: as many as fit into one answer of 512 octets (the root has as many)
SECONDS: Final = 15.0
"""For one server: it is asked twice with growing patience, and a person waits for it."""
_DNS_PORT: Final = 53


async def look(
    settings: Settings,
    keys: Mapping[str, SigningKey],
    zone: Zone | None,
    *,
    authority_port: int = _DNS_PORT,
) -> tuple[Sighting, ...]:
    """What each server says of each key now. Nothing is cached here, and no server's answer stands for another's.

    In delivery mode ``files`` our own zone is all the DNS there is.
    """
    questions = {
        Question.of(f"{selector}._domainkey.{settings.sender_domain}", "TXT"): selector for selector in keys
    }
    found: list[Sighting] = []
    here = zone is not None and all(zone.claims(question.name) for question in questions)
    if zone is not None and here:
        at = datetime.now(UTC)
        answers = {question: zone.answer(question, at) for question in questions}
        found += _read("our own zone file", answers, questions, keys)
        if settings.delivery.mode == "files":
            return tuple(found)
    servers = tuple(map(name_server_of, settings.dns.resolvers)) or system_name_servers()
    authorities = await _authorities(settings.sender_domain, servers, authority_port)
    asked = [(server, False) for server in dict.fromkeys(servers)]
    asked += [(server, True) for server in authorities if server not in servers]
    for part in await asyncio.gather(*(_ask(server, questions, keys, own) for server, own in asked)):
        found += part
    return tuple(found)


async def _ask(
    server: NameServer, questions: Mapping[Question, str], keys: Mapping[str, SigningKey], authoritative: bool
) -> list[Sighting]:
    async with Resolver([server]) as resolver:
        answers = await resolver.ask(questions, SECONDS)
    host, port = server
    name = host if port == _DNS_PORT else f"{host} port {port}"
    word = f"the zone's name server {name}" if authoritative else f"the resolver {name}"
    return _read(word, answers, questions, keys, authoritative=authoritative)


def _read(
    server: str,
    answers: Mapping[Question, Answer],
    questions: Mapping[Question, str],
    keys: Mapping[str, SigningKey],
    *,
    authoritative: bool = False,
) -> list[Sighting]:
    return [
        Sighting(server, selector, *sighted(answers[question], keys[selector]), authoritative)
        for question, selector in questions.items()
    ]


async def _authorities(domain: str, servers: tuple[NameServer, ...], port: int) -> tuple[NameServer, ...]:
    """The addresses of the name servers of the zone that holds ``domain`` (RFC 1034 4.2.1)."""
    async with Resolver(servers) as resolver:
        labels = domain.split(".")
        for cut in range(len(labels) - 1):
            question = Question.of(".".join(labels[cut:]), "NS")
            names = (await resolver.ask([question], SECONDS))[question].records[:MAX_NAME_SERVERS]
            if names:
                break
        else:
            return ()
        wanted = [Question.of(name, rrtype) for name in names for rrtype in ("A", "AAAA")]
        answers = await resolver.ask(wanted, SECONDS)
    addresses = dict.fromkeys(record for question in wanted for record in answers[question].records)
    return tuple((address, port) for address in addresses if _is_address(address))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
