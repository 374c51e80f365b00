"""The way of a saved message, read from its Received fields down to where it came in to servers that the operator trusts.

What stands above that boundary the operator's own servers wrote, if the file was not edited since; what stands below
came with the message, and anybody may have written it. So the walk ends at the first field in which a trusted host
says that it took the message from a public address, and never goes past it. It gives what SPF asks for: address and
greeting of the outside client, and the reverse path that the final delivery noted above (RFC 5321 4.4).

A saved file can be edited by whoever had it. What is found is told, and proves and contradicts nothing.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple

from verifier.evidence import Session
from verifier.message import Message
from verifier.received_field import Received, ReceivedError, address_of, read_received

MAX_FIELDS: Final = 200  # looked at from the top: servers of one organisation write under 100, diagnostic fields included
MAX_HOPS: Final = 30  # Received fields above the boundary; an organisation has under ten
MAX_PATH: Final = 1_024  # octets of a Return-Path: RFC 5321 4.5.3.1.3 allows 256, internationalised ones are longer

# Addresses that mean something inside one network only (RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291). Listed here,
# since the standard library's own lists change with its version, and hold the addresses of documentation, too.
_INSIDE: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
            "::1/128", "fc00::/7", "fe80::/10",
        ),
    )
)  # fmt: skip
# The qmail programs note a handover within one computer by a comment alone, which names no host.
_QMAIL: Final = re.compile(rb"\s*\(qmail [0-9]{1,10} invoked [^()]{1,80}\)\s*(?:;.*)?", re.DOTALL)
# Protocols by which nothing comes in from outside: delivery within a host or a store, and web or Exchange clients.
_HANDOVER: Final = frozenset({"LOCAL", "LMTP", "LMTPS", "UTF8LMTP", "UTF8LMTPS"})
_CLIENT: Final = frozenset({"HTTP", "HTTPS", "MAPI"})
_PATH: Final = re.compile(r"<(?:@[^\s<>:]{1,255}:)?([^<>]{0,320})>|([^\s<>()]{1,320})")  # with its obsolete route


class Boundary(NamedTuple):
    """Where the message came in: ``host`` is the trusted one that says so. ``mail_from`` as in ``Session``."""

    host: str
    client_ip: str
    helo: str | None
    mail_from: str | None

    @property
    def session(self) -> Session:
        """The session as SPF asks for it. It is nobody's word but the header's."""
        return Session(self.client_ip, self.helo, self.mail_from)


def boundary_of(message: Message, authserv_ids: tuple[str, ...]) -> Boundary | None:
    """Where the message came in to a host named by an authserv-id, or one below it; None where that cannot be told."""
    trusted = trusted_names(authserv_ids)
    hops = 0
    path: bytes | None = None
    for field in message.fields[:MAX_FIELDS] if trusted else ():
        if field.lower == b"return-path" and path is None:
            path = field.value
        if field.lower != b"received":
            continue
        hops += 1
        if hops > MAX_HOPS:
            return None
        if len(field.value) <= _QMAIL_MAX and _QMAIL.fullmatch(field.value):
            continue
        try:
            hop = read_received(field.value)
        except ReceivedError:
            return None
        if hop.address is not None and not is_inside(hop.address):
            return _entry(hop, hop.address, path, trusted)
        if not stays_within(hop, trusted):
            return None
    return None


_QMAIL_MAX: Final = 300  # octets of such a field


def trusted_names(authserv_ids: tuple[str, ...]) -> frozenset[str]:
    """Authserv-ids (RFC 8601 2.5: most are host names) as they are compared."""
    return frozenset(name.rstrip(".").lower() for name in authserv_ids) - {""}


def is_trusted(host: str, trusted: frozenset[str]) -> bool:
    """Whether a host (lower case, without its final dot) is one of these, or below one."""
    return host in trusted or any(host.endswith("." + name) for name in trusted)


def is_inside(address: str) -> bool:
    """Whether an address is one of a private network, or of the computer itself."""
    parsed = ipaddress.ip_address(address)
    embedded = parsed.sixtofour if isinstance(parsed, ipaddress.IPv6Address) else None
    one = embedded or parsed  # Google writes its private addresses as 2002:0a..., which is 6to4 (RFC 3056)
    return any(one.version == network.version and one in network for network in _INSIDE)


def _entry(hop: Received, address: str, path: bytes | None, trusted: frozenset[str]) -> Boundary | None:
    """The first hop from a public address: the boundary, or the end of what can be told."""
    if not is_trusted(hop.by, trusted) or hop.logged_in or hop.protocol in _HANDOVER or hop.protocol in _CLIENT:
        return None
    # Servers of one organisation may have public addresses. By the looked-up name they are told from a client that
    # greets with our name; where only the greeting is known, they are not.
    who = hop.greeting if hop.name is None else hop.name
    if who is not None and is_trusted(who.rstrip(".").lower(), trusted):
        return None
    return Boundary(hop.by, address, hop.greeting, None if path is None else _reverse_path(path))


def stays_within(hop: Received, trusted: frozenset[str]) -> bool:
    """Whether a hop was surely one between our own computers, or within one: none that names a public address is."""
    if hop.logged_in or hop.protocol in _CLIENT:
        return False  # what stands below it, its own user wrote
    if hop.address is not None:
        return is_inside(hop.address)
    nobody = hop.from_ is None or hop.protocol in _HANDOVER or hop.from_.lower() == "localhost"
    return nobody and (is_trusted(hop.by, trusted) or _names_inside(hop.by))


def _names_inside(host: str) -> bool:
    address = address_of(host)
    return host == "localhost" if address is None else is_inside(address)


def _reverse_path(value: bytes) -> str | None:
    """MAIL FROM as the final delivery noted it: "" for the empty one, None where it cannot be read."""
    if len(value) > MAX_PATH:
        return None
    try:
        text = value.decode("utf-8").strip()
    except UnicodeDecodeError:
        return None
    found = _PATH.fullmatch(text)
    if found is None:
        return None
    path = (found[1] if found[2] is None else found[2]).strip()
    if "@" not in path:
        # Some deliver the empty path under the name of the program that sends such mail.
        return "" if path.lower() in {"", "mailer-daemon"} else None
    return path
