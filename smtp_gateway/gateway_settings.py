"""What the gateway is told when it starts: frozen values, read from configuration by somebody else."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

Network = IPv4Network | IPv6Network
LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True, slots=True)
class Limits:
    """Every cap of a session, each with its reason. 0 in those of an address or a network is no limit."""

    message_bytes: int = 35 * 1024 * 1024
    """Largest message: a 25 MB attachment once encoded, the usual limit of mail providers."""
    command_bytes: int = 2_048
    """A command line: 512 (RFC 5321 4.5.3.1.4) plus what SMTPUTF8, DSN and AUTH parameters add (RFC 3461 5)."""
    recipients: int = 100
    """Recipients of one message: the least that RFC 5321 4.5.3.1.8 asks for; we have a handful of mailboxes."""
    connections: int = 1_000
    """Sessions at one time; an idle one costs some 12 KB."""
    address_connections: int = 50
    """Sessions of one address at one time (IPv6: of one /64): large providers use some twenty."""
    network_connections: int = 200
    """Sessions of one network at one time (IPv4: /24, IPv6: /48), so that one cannot take all places."""
    address_connections_per_minute: int = 600
    """New connections of one address: an honest server keeps its connection for the next message."""
    network_connections_per_minute: int = 2_400
    """New connections of one network."""
    address_messages_per_minute: int = 1_200
    """Messages of one address: a newsletter to a few mailboxes never has so many."""
    network_messages_per_minute: int = 4_800
    """Messages of one network."""
    unlimited: tuple[Network, ...] = LOOPBACK
    """Whose clients are not counted: this machine, and the relays of one's own."""
    greeting_seconds: float = 0.0
    """Before the greeting, to hear whether the client talks out of turn (RFC 5321 4.3.1); 0 hears only what is here
    already, and delays nobody. Whose clients are not counted are not delayed."""
    tls_connections: int = 500
    """Sessions under TLS at one time; each costs some 280 KB."""
    in_flight_bytes: int = 512 * 1024 * 1024
    """Octets of all messages over 256 KiB that are being judged and stored; beyond it they hear 452."""
    spool_bytes: int = 4 * 1024 * 1024 * 1024
    """Octets on disk of all messages over 256 KiB that are being received; beyond it they hear 452. A hundred of the
    largest at one time; smaller than what a busy mail system's disk has free."""
    errors: int = 20
    """Refused commands before the connection ends: no honest client is wrong so often."""
    idle_commands: int = 200
    """Commands since the last complete message, new recipients apart: a message takes four or five."""
    messages: int = 1_000
    """Messages of one connection; then the client has to come again, so that load spreads."""
    idle_seconds: float = 300.0
    """Without a whole command from the client (RFC 5321 4.5.3.2.7: at least 5 minutes)."""
    data_idle_seconds: float = 300.0
    """Without any octet of a message: a sender that is slow but alive is not cut."""
    data_seconds: float = 3_600.0
    """For one message's data however lively the client is, so that no session is held open for ever."""
    received_fields: int = 50
    """Received fields before a message counts as looping (RFC 5321 6.3; honest chains stay under 30)."""
    judging_seconds: float = 30.0
    """For DNS and the second opinion of one message; what is missing then counts as a temporary error."""
    drain_seconds: float = 20.0
    """For sessions in the middle of a message when the gateway stops."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """One listening gateway. ``tls`` is None where STARTTLS is not offered.

    ``settings_hash`` names the identities and routes in force; it is stored beside each verdict. ``spool`` is the folder
    on whose disk large messages wait until they are complete; None for the system's place for temporary files.
    ``proxies`` are those whose connections begin with a PROXY header; nobody else's header is believed.
    """

    hostname: str
    authserv_id: str
    host: str = "127.0.0.1"
    port: int = 2525
    tls: ssl.SSLContext | None = None
    smtputf8: bool = True
    limits: Limits = field(default_factory=Limits)
    settings_hash: str = ""
    spool: Path | None = None
    proxies: tuple[Network, ...] = ()

    def is_proxy(self, address: str) -> bool:
        """Whether connections from this address (text) begin with a PROXY header."""
        if not self.proxies:
            return False
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self.proxies)


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """A server context for STARTTLS, TLS 1.2 or newer (RFC 8996). Raises OSError where a file cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.load_cert_chain(certificate, key)
    return context
