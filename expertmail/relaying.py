"""What relaying needs, made from the world: who writes the trace and the seal, and the ways to the next hops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from expertmail.gateway import mailboxes
from expertmail.world import World
from outbound.delivery import Transport
from outbound.sign import SigningKey
from smtp_gateway.next_hop import NextHop
from smtp_gateway.paths import Path
from smtp_gateway.recipient_check import RecipientCheck, asks_next_hop
from smtp_gateway.relay import Relay, Writes
from smtp_gateway.relay_fields import Border
from smtp_gateway.relay_transport import RelayTransport
from smtp_gateway.replies import SmtpRefusal
from smtp_gateway.routes import Route
from verifier.arc_seal import Sealer


def border_of(world: World) -> Border:
    """Who writes our fields; it seals with the key that signs our own mail, where the settings say so."""
    settings = world.settings
    sealer = None
    if settings.relay.arc_seal:
        key = world.key
        sealer = Sealer(
            settings.sender_domain, world.keys.signs.rsa, key.algorithm.decode("ascii"), _signing(key)
        )
    return Border(settings.hostname, settings.hostname, sealer)


def _signing(key: SigningKey) -> Callable[[bytes], bytes]:
    def sign(digest: bytes) -> bytes:
        signature: bytes = key.sign(digest).signature
        return signature

    return sign


def check_of(world: World) -> RecipientCheck | None:
    """What asks next hops for recipients, on the running event loop; None where the settings say not to ask."""
    if not world.settings.relay.verify_recipients:
        return None
    return RecipientCheck(asks_next_hop(world.settings.hostname), asyncio.get_running_loop().time)


def relay_of(world: World, writer: Writes, wake: Callable[[], None], check: RecipientCheck | None) -> Relay:
    """What passes messages on; ``wake`` is called when it has queued something."""
    return Relay(border_of(world), writer, check=check, wake=wake)


def relay_transport_of(world: World, otherwise: Transport) -> RelayTransport:
    """The queue's way out: relayed mail to the hop of its route, all other mail ``otherwise``."""
    boxes = mailboxes(world)

    def hop_for(recipient: str) -> NextHop | None:
        route = route_of(boxes.resolve, recipient)
        return None if route is None else route.next_hop

    return RelayTransport(otherwise, world.settings.hostname, hop_for)


def route_of(resolve: Callable[[Path], Route], recipient: str) -> Route | None:
    """The route of a recorded recipient today; None where there is none any more."""
    local, _, domain = recipient.rpartition("@")
    try:
        return resolve(Path(local, domain))
    except SmtpRefusal:
        return None
