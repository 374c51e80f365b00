"""The kinds of values that settings hold, each with its rule in plain words."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from outbound.reminders import MAX_STEPS, step_of
from threads.access import Role


def _listed(value: object) -> object:
    """Take ``a, b`` as a list, so that a variable needs no JSON."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _domain(value: str) -> str:
    """A domain name in A-labels, lower case, without its final dot."""
    text = value.strip().rstrip(".").lower()
    try:
        name = text.encode("ascii").decode() if text.isascii() else text.encode("idna").decode()
    except UnicodeError as error:
        raise ValueError("it has to be a domain name, such as experts.example") from error
    labels = name.split(".")
    if not all(0 < len(label) <= 63 and label.strip("-") == label for label in labels) or len(name) > 253:  # noqa: PLR2004 - RFC 1035 2.3.4
        raise ValueError("it has to be a domain name, such as experts.example")
    if not all(c.isalnum() or c in "-_" for label in labels for c in label):
        raise ValueError("it has to be a domain name, such as experts.example")
    return name


def _address(value: str) -> str:
    """A plain mail address: one @, a domain, nothing that could end a header field."""
    local, at, domain = value.strip().rpartition("@")
    if not at or not local or any(c.isspace() or c in '<>,;:"()[]\\@' or not c.isprintable() for c in local):
        raise ValueError("it has to be a mail address, such as experts@experts.example")
    return f"{local}@{_domain(domain)}"


def _person(value: str) -> str:
    """NAME=ADDRESS."""
    name, equals, address = value.partition("=")
    if not equals or not name.strip() or not name.isprintable():
        raise ValueError("it has to be a name and an address, such as ana=ana@experts.example")
    return f"{name.strip()}={_address(address)}"


def _one_line(value: str) -> str:
    """Text for a header field: no control characters, so that a setting can never add a field."""
    if not value.strip() or not value.isprintable():
        raise ValueError("it has to be one line of printable text")
    return value.strip()


def _server(value: str) -> str:
    """HOST or HOST:PORT, where HOST is an IP address ([…] around an IPv6 one with a port)."""
    host, _, port = value.rpartition("]:") if value.startswith("[") else value.rpartition(":")
    if value.count(":") != 1 and not value.startswith("["):
        host, port = value, "53"
    try:
        ip_address(host.strip("[]"))
        number = int(port)
    except ValueError:
        number = 0
    if not 0 < number < 65_536:  # noqa: PLR2004 - a port is 16 bits
        raise ValueError("it has to be an IP address with an optional port, such as 192.0.2.53:53")
    return value


def _network(value: str) -> str:
    """An IP address or network; the network's own address is taken for granted."""
    try:
        return str(ip_network(value, strict=False))
    except ValueError as error:
        raise ValueError("it has to be an IP address or network, such as 192.0.2.0/24") from error


def _console_url(value: str) -> str:
    found = urlsplit(value.strip().rstrip("/"))
    if found.scheme not in {"http", "https"} or not found.netloc or "@" in found.netloc:
        raise ValueError("write it like https://console.experts.example")
    if found.path or found.query or found.fragment:
        raise ValueError("the console has a host name of its own; write it without a path")
    return f"{found.scheme}://{found.netloc.lower()}"


def _oidc_issuer(value: str) -> str:
    found = urlsplit(value)
    near = found.scheme == "http" and found.hostname in {"127.0.0.1", "::1", "localhost"}
    if not (found.scheme == "https" or near) or not found.netloc or "@" in found.netloc:
        raise ValueError("an issuer's address begins with https://")
    if found.query or found.fragment:
        raise ValueError("an issuer's address has no query and no fragment (OpenID Connect Discovery 3)")
    return value


def _oidc_role(value: str) -> str:
    claimed, colon, role = value.rpartition(":")
    if not colon or not claimed.strip() or role.strip().partition("@")[0] not in {one.value for one in Role}:
        raise ValueError("write it like soc-experts: expert, or contoso-sec: analyst@Contoso")
    return value


def _step(value: str) -> str:
    """A step of a plan of reminders."""
    try:
        step_of(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is no step: {error}") from error
    return value


Domain = Annotated[str, AfterValidator(_domain)]
Address = Annotated[str, AfterValidator(_address)]
Line = Annotated[str, AfterValidator(_one_line)]
Person = Annotated[str, AfterValidator(_person)]
Server = Annotated[str, AfterValidator(_server)]
Network = Annotated[str, AfterValidator(_network)]
OidcIssuer = Annotated[str, AfterValidator(_oidc_issuer)]
OidcRoles = Annotated[
    tuple[Annotated[str, AfterValidator(_oidc_role)], ...], NoDecode, BeforeValidator(_listed)
]
ConsoleUrl = Annotated[str, AfterValidator(_console_url)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Domains = Annotated[tuple[Domain, ...], NoDecode, BeforeValidator(_listed)]
Servers = Annotated[tuple[Server, ...], NoDecode, BeforeValidator(_listed)]
Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_listed)]
Addresses = Annotated[tuple[Address, ...], NoDecode, BeforeValidator(_listed)]
People = Annotated[tuple[Person, ...], NoDecode, BeforeValidator(_listed)]
ReminderSteps = Annotated[
    tuple[Annotated[str, AfterValidator(_step)], ...],
    NoDecode,
    BeforeValidator(_listed),
    Field(max_length=MAX_STEPS),
]
AlertKinds = Annotated[
    tuple[Literal["reply", "held", "triage", "bounce", "late", "call", "breakglass"], ...],
    NoDecode,
    BeforeValidator(_listed),
]
LateMinutes = Annotated[int, Field(ge=0, le=7 * 24 * 60)]  # a week: tries and approvals have ended by then
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_listed)]
