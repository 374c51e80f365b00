"""Reader of the PROXY protocol's header, versions 1 and 2 (HAProxy, doc/proxy-protocol.txt): bytes in, no I/O.

The header tells who connected to the proxy. It is believed only where it comes from a proxy that an admin has named,
so everything in it that the grammar does not know is refused, and never guessed at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

V1_MAX = 107
"""Octets of a version 1 header with its CRLF (section 2.1: the longest possible one)."""
V2_MAX = 4_096
"""Octets of a version 2 header: 52 with IPv6 addresses; the rest is what TLVs (a client's certificate) may take."""
_V2_FIXED = 16
_V1 = b"PROXY "
_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_LOCAL, _V2_PROXY = 0x20, 0x21
_V2_UNSPECIFIED = 0x00
_V2_ADDRESS_LENGTH = {0x11: 4, 0x21: 16}  # TCP over IPv4 and over IPv6

_V1_LINE = re.compile(
    rb"PROXY (?:UNKNOWN(?: [\x20-\x7e]*)?|(TCP4|TCP6) ([0-9a-fA-F.:]+) ([0-9a-fA-F.:]+) "
    rb"(0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))\r\n"
)
_PORT_MAX = 65_535


class ProxyHeaderError(Exception):
    """The octets begin no header that can be believed; the text is for the log."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """A whole header of ``length`` octets. ``address`` is None where it says nothing of a client (a proxy's own check)."""

    length: int
    address: str | None = None
    port: int = 0


def read_header(data: bytes) -> ProxyHeader | None:
    """Read the header that ``data`` begins with; None while more octets are needed.

    Raises ProxyHeaderError as soon as no more octets could make it one. Never asks for more than ``V2_MAX`` octets.
    """
    if data.startswith(_V2):
        return _version_2(data)
    if data.startswith(_V1):
        return _version_1(data)
    if _V1.startswith(data) or _V2.startswith(data):
        return None
    raise ProxyHeaderError("no header")


def _version_1(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\n", 0, V1_MAX) + 1
    if not end:
        if len(data) >= V1_MAX:
            raise ProxyHeaderError("version 1 without end")
        return None
    match = _V1_LINE.fullmatch(data[:end])
    if match is None:
        raise ProxyHeaderError("version 1 syntax")
    if match[1] is None:
        return ProxyHeader(end)
    source, destination = _address(match[2]), _address(match[3])
    family = IPv4Address if match[1] == b"TCP4" else IPv6Address
    port = int(match[4])
    if not isinstance(source, family) or not isinstance(destination, family):
        raise ProxyHeaderError("version 1 addresses of another family")
    if max(port, int(match[5])) > _PORT_MAX:
        raise ProxyHeaderError("version 1 port")
    return ProxyHeader(end, str(source), port)


def _address(text: bytes) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text.decode("ascii"))
    except ValueError as error:
        raise ProxyHeaderError("version 1 address") from error


def _version_2(data: bytes) -> ProxyHeader | None:
    if len(data) < _V2_FIXED:
        return None
    command, family = data[12], data[13]
    length = _V2_FIXED + int.from_bytes(data[14:16])
    if length > V2_MAX:
        raise ProxyHeaderError("version 2 too long")
    if command not in {_V2_LOCAL, _V2_PROXY}:
        raise ProxyHeaderError("version 2 command")
    speaks = command == _V2_PROXY and family != _V2_UNSPECIFIED
    size = _V2_ADDRESS_LENGTH.get(family, 0)
    if speaks and (not size or length < _V2_FIXED + 2 * size + 4):
        raise ProxyHeaderError("version 2 addresses")
    if len(data) < length:
        return None
    if not speaks:
        return ProxyHeader(length)
    ports = _V2_FIXED + 2 * size
    source = ip_address(data[_V2_FIXED : _V2_FIXED + size])
    return ProxyHeader(length, str(source), int.from_bytes(data[ports : ports + 2]))
