"""An MTA-STS policy (RFC 8461 3.2): read, and held to the MX hosts. Its content comes from the admin, never by HTTPS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from expertmail.dns_check.codes import Code
from expertmail.dns_check.facts import Operated
from expertmail.dns_check.finding import Finding, finding, quoted, shown
from expertmail.dns_check.hosts import Route

MAX_POLICY: Final = 65_536  # octets; RFC 8461 3.3 lets senders stop at 64 KB
MAX_AGE: Final = 31_557_600  # RFC 8461 3.2: a year
SHORT_AGE: Final = 86_400  # under a day protects nobody; RFC 8461 3.2 wants weeks
SUGGESTED_AGE: Final = 1_209_600  # two weeks

_MODES: Final = frozenset({"enforce", "testing", "none"})
_FIELD: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31}):[ \t]*(\S(?:.*\S)?)[ \t]*\Z")
_PATTERN: Final = re.compile(r"(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?\Z")


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy (RFC 8461 3.2)."""

    mode: str
    max_age: int
    mx: tuple[str, ...]

    def allows(self, host: str) -> bool:
        """Whether a pattern matches an MX host; a wildcard stands for exactly one label (RFC 8461 4.1)."""
        return any(matches(pattern, host) for pattern in self.mx)


def matches(pattern: str, host: str) -> bool:
    """Whether one pattern matches a host."""
    if pattern.startswith("*."):
        return host.partition(".")[2] == pattern[2:]
    return host == pattern


def read_policy(text: str) -> Policy | str:
    """Read a policy's content; a string says what is wrong with it. Linear time."""
    if len(text) > MAX_POLICY:
        return f"it is larger than {MAX_POLICY >> 10} KB"
    fields: dict[str, list[str]] = {}
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if not line.strip(" \t"):
            continue
        field = _FIELD.match(line)
        if field is None or not line.isprintable():
            return f"line {number} is no field: {shown(line)}"
        fields.setdefault(field[1], []).append(field[2])
    wrong = _wrong(fields)
    if wrong is not None:
        return wrong
    patterns = tuple(pattern.lower() for pattern in fields.get("mx", ()))
    return Policy(fields["mode"][0], int(fields["max_age"][0]), patterns)


def _wrong(fields: Mapping[str, list[str]]) -> str | None:
    """What is wrong with the fields, the first thing of it."""
    # RFC 8461 3.2: of a field given twice the first counts, but for mx; nobody means that.
    twice = [name for name in ("version", "mode", "max_age") if len(fields.get(name, ())) > 1]
    version, mode, age = (fields.get(name, [""])[0] for name in ("version", "mode", "max_age"))
    patterns = [pattern for pattern in fields.get("mx", ()) if not _PATTERN.match(pattern)]
    age_right = re.fullmatch(r"[0-9]{1,10}", age) is not None and int(age) <= MAX_AGE
    table = (
        (bool(twice), f"{''.join(twice[:1])} is given twice"),
        (version != "STSv1", f"the version is not STSv1: {shown(version)}"),
        (mode not in _MODES, f"the mode is not enforce, testing or none: {shown(mode)}"),
        (not age_right, f"max_age is not a number of seconds up to {MAX_AGE}: {shown(age)}"),
        (bool(patterns), f"mx is no host name: {quoted(patterns)}"),
        ("mx" not in fields and mode != "none", "no mx is named"),
    )
    return next((words for is_wrong, words in table if is_wrong), None)


def check_policy(domain: str, text: str, route: Route, content: str) -> list[Finding]:
    """Hold a policy to the domain's MX hosts."""
    policy = read_policy(text)
    if isinstance(policy, str):
        return [finding(Code.MTA_STS_POLICY_SYNTAX, domain, policy, (), content)]
    if policy.mode == "none":
        return [finding(Code.MTA_STS_OFF, domain, "mode: none", (), content)]
    found: list[Finding] = []
    if policy.mode == "testing":
        found.append(finding(Code.MTA_STS_TESTING, domain, "mode: testing", (), content))
    if policy.max_age < SHORT_AGE:
        found.append(finding(Code.MTA_STS_AGE, domain, f"max_age: {policy.max_age}", (), content))
    if not route.hosts:
        return found
    missing = [name for name in route.names if not policy.allows(name)]
    if missing:
        names = ", ".join(map(shown, missing))
        found.append(finding(Code.MTA_STS_MX, domain, f"no pattern matches {names}", (), content))
        return found
    unused = [pattern for pattern in policy.mx if not any(matches(pattern, name) for name in route.names)]
    if unused:
        words = f"mx: {', '.join(map(shown, unused))} matches no MX host"
        found.append(finding(Code.MTA_STS_UNUSED_MX, domain, words, (), content))
    return found


def policy_for(operated: Operated, route: Route) -> str:
    """The policy to serve at https://mta-sts.DOMAIN/.well-known/mta-sts.txt."""
    names = [name for name in route.names if _PATTERN.match(name)] or [operated.hostname]
    # Without a certificate a policy that is enforced would stop the domain's mail.
    mode = "testing" if operated.tls is None else "enforce"
    lines = (
        "version: STSv1",
        f"mode: {mode}",
        *(f"mx: {name}" for name in names),
        f"max_age: {SUGGESTED_AGE}",
    )
    return "\n".join(lines) + "\n"


def enforced(operated: Operated) -> tuple[str, ...]:
    """The domains whose given policy makes senders insist on TLS."""
    found = []
    for domain in operated.all_domains:
        text = operated.policy_of(domain)
        policy = read_policy(text) if text is not None else None
        if isinstance(policy, Policy) and policy.mode == "enforce":
            found.append(domain)
    return tuple(found)
