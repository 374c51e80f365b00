"""Ways for mail to leave, and handing one mail to one server: on which connection, and under which TLS."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

from outbound.connections import Connections
from outbound.dialogue import Dialogue, have
from outbound.handover import (
    DEFAULT_TIMEOUTS,
    MAX_TRANSCRIPT_LINES,
    Credentials,
    Handover,
    Server,
    Timeouts,
    Tls,
    joined,
    plain_reply,
)
from outbound.model import Delivery, Failure

__all__ = [
    "ATTEMPT_SECONDS",
    "DEFAULT_TIMEOUTS",
    "MAX_TRANSCRIPT_LINES",
    "Credentials",
    "Handover",
    "Server",
    "SmarthostTransport",
    "Timeouts",
    "Tls",
    "Transport",
    "hand_over",
    "joined",
    "plain_reply",
    "smarthost",
]

# The whole of one try, over all hosts. Shorter than the lease (outbound.store.LEASE), so that a try that is
# still running is never begun by another worker.
ATTEMPT_SECONDS = 840.0


class Transport(Protocol):
    """A way for mail to leave. ``deliver`` never raises for what the other side does."""

    async def deliver(self, delivery: Delivery) -> Handover:
        """Hand over the delivery's bytes with its envelope."""
        ...

    async def close(self) -> None:
        """End what stays open between mails. Never raises; a delivery after it begins anew."""
        ...


async def hand_over(
    delivery: Delivery, server: Server, hostname: str, timeouts: Timeouts, connections: Connections
) -> Handover:
    """One mail to one server. ``hostname`` is our own name for EHLO (RFC 5321 4.1.1.1).

    ``connections`` are open ones; only one that was made for the same server with the same kind of TLS is used.
    A mail that needs it goes under TLS with a checked certificate whatever the settings say by now, or not at all.
    """
    if delivery.needs_tls and server.tls in (Tls.NONE, Tls.OPPORTUNISTIC):
        done = await _once(delivery, server, hostname, timeouts, connections, tls=Tls.STARTTLS)
        if done.failure is Failure.PROTOCOL and done.tls and not done.begun:
            reason = f"{done.reply.text}; this mail holds details and goes under checked TLS only"
            return replace(done, reply=replace(done.reply, text=reason))
        return done
    if server.tls is not Tls.OPPORTUNISTIC:
        return await _once(delivery, server, hostname, timeouts, connections, tls=server.tls)
    first = await _once(delivery, server, hostname, timeouts, connections, tls=Tls.OPPORTUNISTIC)
    if first.failure is not Failure.PROTOCOL or first.begun or not first.tls:
        return first
    # RFC 7435 3: TLS that does not work is no reason not to deliver where plaintext would do. The connection is not
    # kept, so that the next mail asks for TLS again.
    second = await have(Dialogue(delivery, server, timeouts, Tls.NONE), hostname, None)
    return replace(second, transcript=joined(first.transcript, second.transcript))


async def _once(
    delivery: Delivery,
    server: Server,
    hostname: str,
    timeouts: Timeouts,
    connections: Connections,
    *,
    tls: Tls,
) -> Handover:
    """On an open connection, or on a new one where there is none, or where the server has had enough of the open one."""
    kept = connections.take((server, tls))
    if kept is None:
        return await have(Dialogue(delivery, server, timeouts, tls), hostname, connections)
    talk = Dialogue(delivery, server, timeouts, tls, kept)
    done = await have(talk, hostname, connections)
    if done.failure is None or done.begun or talk.impossible:
        return done
    # MAIL was not accepted, so the server has nothing of this mail, and may only have had enough of the connection.
    fresh = await have(Dialogue(delivery, server, timeouts, tls), hostname, connections)
    return replace(fresh, transcript=joined(done.transcript, fresh.transcript))


@dataclass(frozen=True, slots=True)
class SmarthostTransport:
    """Everything goes to one server."""

    server: Server
    hostname: str
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    connections: Connections = field(default_factory=Connections, repr=False, compare=False)

    async def deliver(self, delivery: Delivery) -> Handover:
        """Hand over to the smarthost."""
        return await hand_over(delivery, self.server, self.hostname, self.timeouts, self.connections)

    async def close(self) -> None:
        """End the open connections."""
        await self.connections.close()


def smarthost(
    host: str,
    port: int,
    *,
    tls: Tls,
    hostname: str,
    credentials: Credentials | None = None,
    cert_bundle: str | None = None,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
) -> SmarthostTransport:
    """A transport to one server; ``hostname`` is our own name for EHLO, ``cert_bundle`` a file of trusted authorities."""
    return SmarthostTransport(Server(host, port, tls, host, credentials, cert_bundle), hostname, timeouts)
