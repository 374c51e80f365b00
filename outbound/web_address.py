"""Whether a program's or a channel's address may be called (CWE-918, server-side request forgery). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, urlsplit

MAX_ADDRESS: Final = 2_000
"""Characters of an address; those of workflows in Teams have some 300."""

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network

_GLOBAL_UNICAST: Final = ip_network("2000::/3")
"""All that has been given to anybody (RFC 3587 3)."""
# Each leads to an IPv4 address that the other end chooses, or a translator does (RFC 3056, 4380).
_EMBEDDING: Final = tuple(map(ip_network, ("2002::/16", "2001::/32")))


def address_refusal(address: str) -> str | None:
    """Why an address is none that can be called, as a sentence that does not repeat it; None if it can."""
    parts = split(address)
    if parts is None:
        return "Give an address such as https://portal.example/hooks, of at most 2,000 printable ASCII characters."
    if parts.scheme not in {"https", "http"}:
        return "The address has to begin with https://."
    if parts.username is not None or parts.password is not None:
        return "Leave name and password out of the address; what is sent is signed."
    if parts.fragment:
        return "Leave the part after # out of the address; it is never sent."
    return None


def split(address: str) -> SplitResult | None:
    """The parts of an address; None for what is none."""
    if not (0 < len(address) <= MAX_ADDRESS and address.isascii() and address.isprintable()):
        return None
    if " " in address or "\\" in address:
        return None
    try:
        parts = urlsplit(address)
        fit = parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if fit else None


def target_refusal(scheme: str, found: Iterable[str], allowed: Sequence[IpNetwork]) -> str | None:
    """Why what a name led to is not called, as a clause; None if it is.

    All of the addresses have to be fit: who may choose one of them may choose it next time. Without TLS only networks that
    were allowed by name are called.
    """
    addresses = list(map(plain, found))
    if not addresses:
        return "its name has no address"
    for one in addresses:
        if any(one in network for network in allowed if one.version == network.version):
            continue
        if scheme != "https":
            return "without TLS only networks of channels.allowed_networks are called"
        if not is_public(one):
            return "its name leads to an address that is not public; see channels.allowed_networks"
    return None


def plain(text: str) -> IpAddress:
    """An address, an IPv4 one that is written as IPv6 (RFC 4291 2.5.5.2) as what it is."""
    one = ip_address(text.partition("%")[0])
    mapped = one.ipv4_mapped if isinstance(one, IPv6Address) else None
    return one if mapped is None else mapped


def is_public(one: IpAddress) -> bool:
    """Whether anybody on the Internet may be meant by it."""
    if isinstance(one, IPv6Address) and (
        one not in _GLOBAL_UNICAST or any(one in network for network in _EMBEDDING)
    ):
        return False
    return one.is_global and not one.is_multicast and not one.is_reserved
