"""Where a recipient leads, decided at RCPT (RFC 5321 3.3, 4.5.1). Pure: no lookup leaves the process.

Mail for other domains is refused (no open relay, RFC 5321 3.6.2); reply addresses are proven by their own
code, so a guessed one is an unknown recipient like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from smtp_gateway import replies
from smtp_gateway.paths import Path
from smtp_gateway.replies import SmtpRefusal
from threads.model import ReplyToken

SUBADDRESS_DELIMITER = "+"
"""Parts a mailbox from its detail (RFC 5233 1)."""


class RouteKind(StrEnum):
    """What a mailbox is for."""

    REPLY = "reply"
    QUERY = "query"
    VERIFY = "verify"
    SERVICE = "service"
    POSTMASTER = "postmaster"
    ABUSE = "abuse"


class PolicyClass(StrEnum):
    """Recipients of one class share one decision; one transaction holds one class."""

    CONVERSATION = "conversation"
    VERIFY = "verify"
    ROLE = "role"


class OnTemperror(StrEnum):
    """What a route does when needed DNS evidence could not be had."""

    HOLD = "hold"
    DEFER = "defer"


class OnForgery(StrEnum):
    """What a route does with a forgery that two independent reasons prove."""

    HOLD = "hold"
    REJECT = "reject"


_CLASSES = {
    RouteKind.REPLY: PolicyClass.CONVERSATION,
    RouteKind.QUERY: PolicyClass.CONVERSATION,
    RouteKind.SERVICE: PolicyClass.CONVERSATION,
    RouteKind.VERIFY: PolicyClass.VERIFY,
    RouteKind.POSTMASTER: PolicyClass.ROLE,
    RouteKind.ABUSE: PolicyClass.ROLE,
}


@dataclass(frozen=True, slots=True)
class Route:
    """Where one recipient leads. ``token`` is what a reply address proved, None for other kinds."""

    kind: RouteKind
    token: ReplyToken | None = None

    @property
    def policy_class(self) -> PolicyClass:
        """Which recipients this one may share a transaction with."""
        return _CLASSES[self.kind]


@dataclass(frozen=True, slots=True)
class RoutePolicy:
    """How strict the conversation routes are. Defaults of the design: a doubtful message is held, seldom refused."""

    on_temperror: OnTemperror = OnTemperror.HOLD
    on_forgery: OnForgery = OnForgery.REJECT


ReadToken = Callable[[str], ReplyToken | None]
"""Reads the address of a reply domain; None unless its code is ours (``threads.reply_address``)."""


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """The operated domains and addresses, lower case. ``mailboxes`` maps whole addresses to their kind."""

    domains: frozenset[str]
    reply_domain: str
    mailboxes: tuple[tuple[str, RouteKind], ...]
    read_token: ReadToken

    def resolve(self, path: Path) -> Route:
        """Where ``path`` leads. Raises SmtpRefusal: 550 5.1.1 unknown here, 550 5.7.1 not our domain."""
        if not path.domain or path.domain in self.domains:
            return self._operated(path)
        if path.domain != self.reply_domain:
            raise SmtpRefusal(replies.NO_RELAYING, f"domain {path.domain} is not operated")
        role = _role(path)
        if role is not None:
            return Route(role)
        token = self.read_token(str(path))
        if token is None:
            raise SmtpRefusal(replies.UNKNOWN_RECIPIENT, "no valid reply address")
        return Route(RouteKind.REPLY, token)

    def _operated(self, path: Path) -> Route:
        role = _role(path)
        if role is not None:
            return Route(role)
        local = path.local.lower().partition(SUBADDRESS_DELIMITER)[0]
        for address, kind in self.mailboxes:
            if address == f"{local}@{path.domain}":
                return Route(kind)
        raise SmtpRefusal(replies.UNKNOWN_RECIPIENT, "no such mailbox")


def _role(path: Path) -> RouteKind | None:
    """Mailboxes that exist in every operated domain, in any case of letters (RFC 5321 4.5.1, RFC 2142 4)."""
    match path.local.lower().partition(SUBADDRESS_DELIMITER)[0]:
        case "postmaster":
            return RouteKind.POSTMASTER
        case "abuse" if path.domain:
            return RouteKind.ABUSE
        case _:
            return None
