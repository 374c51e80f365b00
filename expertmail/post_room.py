"""What outgoing mail needs, made from the world: letterhead, signer, what judges it, and the way out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from expertmail.dmarc_mode import suffixes_for
from expertmail.identities import own_identity
from expertmail.sessionless import SessionlessJudge
from expertmail.settings import Settings
from expertmail.signing_keys import keys_in_force, lines_to_publish, readable_keys
from expertmail.world import World
from outbound.approval import Terms
from outbound.compose import Office
from outbound.delivery import Credentials, Tls, Transport, smarthost
from outbound.disclosure import DisclosureRules, Outlet
from outbound.dispatch import SelfChecker, Signer
from outbound.file_delivery import FileTransport
from outbound.links import hosts_in
from outbound.mail_code import MailCodes
from outbound.model import AutomaticCaps, Letterhead, SelfCheck, Sender
from outbound.mx import MxTransport
from outbound.pace import PaceLimits
from outbound.selfcheck import self_check
from outbound.template_files import load_templates
from outbound.thread_root import ThreadRoots
from outbound.tls_policy import TlsPolicy, tls_policy
from threads.model import Tlp
from verifier.driver import Budget
from verifier.evidence import Answer, Question
from verifier.opinion_worker import SecondOpinion
from verifier.resolver import Resolver

_SMTP_PORT = 25


def sender_of(settings: Settings) -> Sender:
    """Who our mail is from."""
    mail = settings.mail
    selector = keys_in_force(settings).signs.rsa
    return Sender(mail.sender_name, mail.sender_address, settings.sender_domain, selector)


def office_of(world: World) -> Office:
    """Letterhead, templates and reply addresses."""
    mail = world.settings.mail
    letterhead = Letterhead(
        sender=sender_of(world.settings),
        service_name=mail.sender_name,
        verify_address=mail.verify_address,
        ask_address=mail.query_address,
        reply_domain=mail.reply_domain,
        link_hosts=hosts_in(mail.submission_channel or "") | frozenset(mail.portal_hosts),
        submission_channel=mail.submission_channel or "",
        phone=mail.phone or "",
    )

    def reply_address(thread_id: int, contact_id: int | None) -> str:
        return world.replies.mint(thread_id, contact_id, datetime.now(UTC).date())

    secrets = tuple(world.replies.keys)
    return Office(
        letterhead,
        load_templates(),
        reply_address,
        world.settings.hostname,
        MailCodes(secrets),
        ThreadRoots(secrets[-1], world.settings.sender_domain),
        disclosure_rules(world.settings),
    )


def disclosure_rules(settings: Settings) -> DisclosureRules:
    """Whose mail may hold details, by the way that it takes."""
    delivery = settings.delivery
    if delivery.mode == "files":
        outlet = Outlet.FILES
    elif delivery.mode == "smarthost":
        outlet = Outlet.SMARTHOST if delivery.smarthost_tls == "none" else Outlet.TLS_SMARTHOST
    else:
        outlet = Outlet.MX
    return DisclosureRules(Tlp(settings.mail.default_tlp), outlet, _tls_policy(settings))


def _tls_policy(settings: Settings) -> TlsPolicy:
    delivery = settings.delivery
    return tls_policy(
        required=delivery.mx_tls == "required",
        required_domains=delivery.tls_required_domains,
        optional_domains=delivery.tls_optional_domains,
    )


def signer_of(world: World) -> Signer:
    """Who signs, and with what."""
    test_to = world.settings.sending.test_mode_to or ""
    return Signer(sender_of(world.settings), world.key, world.second, test_to)


def terms_of(settings: Settings) -> Terms:
    """On whose word mail goes out, and by which way."""
    return Terms(frozenset(settings.sending.second_person), settings.delivery.mode)


@dataclass(frozen=True, slots=True)
class JudgingSet:
    """What judges: live evidence, the second implementation, the judge over both, and the self-check by it."""

    resolver: Resolver
    opinion: SecondOpinion
    judge: SessionlessJudge
    check: SelfChecker


@asynccontextmanager
async def judging_set(world: World, clock: Callable[[], datetime]) -> AsyncIterator[JudgingSet]:
    """Assemble it, for a gateway that runs and for one command alike; all of it ends with the block."""
    settings = world.settings
    async with resolver_of(world) as resolver:
        opinion = SecondOpinion()
        judge = SessionlessJudge(
            world.identities,
            resolver,
            opinion,
            settings.hostname,
            budget=budget_of(settings),
            clock=clock,
            suffixes=suffixes_for(settings.verifier.dmarc_mode),
        )
        try:
            yield JudgingSet(resolver, opinion, judge, _checker_of(world, judge))
        finally:
            # Threads that judge ask from this loop, so that it has to run while they end.
            await asyncio.to_thread(judge.close)
            await opinion.close()


def _checker_of(world: World, judge: SessionlessJudge) -> Callable[[bytes], Awaitable[SelfCheck]]:
    """Has our own verifier judge signed bytes before they may leave."""
    sender = sender_of(world.settings)
    identity = own_identity(world.settings.mail, world.identities)
    records = lines_to_publish(world.settings, readable_keys(world.settings))

    async def check(raw: bytes) -> SelfCheck:
        return await self_check(raw, judge.report, sender, identity, records)

    return check


def transport_of(world: World, resolver: Resolver) -> Transport:
    """The way out that the settings name."""
    settings, delivery = world.settings, world.settings.delivery
    if delivery.mode == "files":
        return FileTransport(world.outbox)
    if delivery.mode == "smarthost":
        credentials = None
        if delivery.smarthost_user is not None and delivery.smarthost_password is not None:
            credentials = Credentials(delivery.smarthost_user, delivery.smarthost_password.get_secret_value())
        return smarthost(
            delivery.smarthost,
            delivery.smarthost_port,
            tls=Tls(delivery.smarthost_tls),
            hostname=settings.hostname,
            credentials=credentials,
            cert_bundle=None if delivery.ca_file is None else str(delivery.ca_file),
        )

    async def ask(questions: Iterable[Question]) -> Mapping[Question, Answer]:
        return await resolver.ask(questions)

    # A stranger's MX record must not lead into our own network; another port than 25 is a test's, on loopback.
    private = delivery.mx_port != _SMTP_PORT
    return MxTransport(
        ask,
        settings.hostname,
        delivery.mx_port,
        private_networks=private,
        policy=_tls_policy(settings),
        cert_bundle=None if delivery.ca_file is None else str(delivery.ca_file),
        spread=random.random,
    )


def pace_of(settings: Settings) -> PaceLimits:
    """How fast mail may go to one domain. Into files, or to one server that paces it itself, as fast as it can."""
    delivery = settings.delivery
    if delivery.mode != "mx":
        return PaceLimits()
    return PaceLimits(delivery.domain_concurrency, delivery.domain_per_minute)


def resolver_of(world: World) -> Resolver:
    """Our own zone first, then the resolvers of the settings or of the system."""
    servers = [_server(text) for text in world.settings.dns.resolvers] or None
    return Resolver(servers, world.zone)


def _server(text: str) -> tuple[str, int]:
    """ADDRESS or ADDRESS:PORT, as the settings have checked it."""
    if text.startswith("["):
        host, _, port = text.rpartition("]:")
        return host.strip("[]") or text.strip("[]"), int(port) if host else 53
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, int(port)
    return text, 53


def budget_of(settings: Settings) -> Budget:
    """What one message may cost."""
    return Budget(settings.dns.max_questions, settings.dns.max_seconds)


def caps_of(settings: Settings) -> AutomaticCaps:
    """How much automatic mail one day may hold."""
    delivery = settings.delivery
    return AutomaticCaps(delivery.daily_automatic_per_address, delivery.daily_automatic_per_domain)
