"""The gateway's frozen values, made from settings and world."""

from __future__ import annotations

import hashlib
import json
import ssl
from ipaddress import ip_network

from expertmail.faults import ExitCode, FaultError
from expertmail.route_rows import conversation_policy, route_table
from expertmail.settings import Settings
from expertmail.tables import plain
from expertmail.world import World
from smtp_gateway.gateway_settings import GatewaySettings, Limits, tls_context
from smtp_gateway.routes import Mailboxes, RouteKind
from verifier.identity import Identity


def settings_hash(settings: Settings, identities: tuple[Identity, ...]) -> str:
    """Names what a verdict and its consequences depend on beside the message: identities, routes, modes, our name."""
    text = json.dumps(
        {
            "identities": plain(identities),
            "routes": settings.routes.model_dump(),
            "mail": settings.mail.model_dump(),
            "hostname": settings.hostname,
            "verifier": settings.verifier.model_dump(),
        },
        sort_keys=True,
    )
    return hashlib.sha256(text.encode()).hexdigest()


def gateway_settings(world: World) -> GatewaySettings:
    """What one listening gateway is told. Raises FaultError for a certificate that cannot be used."""
    settings = world.settings
    return GatewaySettings(
        hostname=settings.hostname,
        authserv_id=settings.hostname,
        host=settings.smtp.host,
        port=settings.smtp.port,
        tls=_tls(settings),
        limits=Limits(
            message_bytes=settings.smtp.max_message_bytes,
            command_bytes=settings.smtp.max_command_bytes,
            recipients=settings.smtp.max_recipients,
            connections=settings.smtp.max_connections,
            tls_connections=settings.smtp.max_tls_connections,
            address_connections=settings.smtp.max_address_connections,
            network_connections=settings.smtp.max_network_connections,
            address_connections_per_minute=settings.smtp.address_connections_per_minute,
            network_connections_per_minute=settings.smtp.network_connections_per_minute,
            address_messages_per_minute=settings.smtp.address_messages_per_minute,
            network_messages_per_minute=settings.smtp.network_messages_per_minute,
            unlimited=tuple(map(ip_network, settings.smtp.unlimited_networks)),
            greeting_seconds=settings.smtp.greeting_seconds,
            idle_seconds=settings.smtp.idle_seconds,
            data_idle_seconds=settings.smtp.data_idle_seconds,
            data_seconds=settings.smtp.data_seconds,
            errors=settings.smtp.max_errors,
            # What one message does not fit into would take none.
            in_flight_bytes=max(Limits().in_flight_bytes, settings.smtp.max_message_bytes),
            spool_bytes=max(settings.smtp.max_spool_bytes, settings.smtp.max_message_bytes),
        ),
        settings_hash=settings_hash(settings, world.identities),
        spool=settings.data_dir,
        proxies=tuple(map(ip_network, settings.smtp.proxy_protocol_from)),
    )


def mailboxes(world: World) -> Mailboxes:
    """The addresses that exist."""
    mail = world.settings.mail
    return Mailboxes(
        domains=frozenset(mail.domains),
        reply_domain=mail.reply_domain,
        mailboxes=(
            (mail.query_address.lower(), RouteKind.QUERY),
            (mail.verify_address.lower(), RouteKind.VERIFY),
            (mail.service_address.lower(), RouteKind.SERVICE),
        ),
        read_token=world.replies.read,
        table=route_table(world.settings),
        policy=conversation_policy(world.settings),
    )


def _tls(settings: Settings) -> ssl.SSLContext | None:
    certificate, key = settings.smtp.tls_certificate, settings.smtp.tls_key
    if certificate is None or key is None:
        return None
    for name, path in (("smtp.tls_certificate", certificate), ("smtp.tls_key", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise FaultError(
                f"{name} is {path}, which cannot be read ({error.strerror}); correct the path, or take "
                "both TLS settings away to start without STARTTLS.",
                ExitCode.CONFIG,
            ) from error
    try:
        return tls_context(str(certificate), str(key))
    except OSError as error:  # ssl.SSLError is one
        raise FaultError(
            f"The certificate {certificate} and the key {key} cannot be used together; both have to be PEM, "
            "the key without a passphrase and made for this certificate.",
            ExitCode.CONFIG,
        ) from error
