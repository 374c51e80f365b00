"""Where a recipient leads, decided at RCPT (RFC 5321 3.3, 4.5.1). Pure: no lookup leaves the process.

Mail for other domains is refused (no open relay, RFC 5321 3.6.2); reply addresses are proven by their own
code, so a guessed one is an unknown recipient like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from smtp_gateway import replies
from smtp_gateway.next_hop import NextHop
from smtp_gateway.paths import Path
from smtp_gateway.replies import SmtpRefusal
from smtp_gateway.route_kind import RouteKind
from smtp_gateway.route_policy import BY_DEFAULT, TAKES_ALL, RoutePolicy
from smtp_gateway.route_table import Row, row_for
from threads.model import ReplyToken

__all__ = ["Mailboxes", "PolicyClass", "Route", "RouteKind", "RoutePolicy"]

SUBADDRESS_DELIMITER = "+"
"""Parts a mailbox from its detail (RFC 5233 1)."""


_CONVERSATIONS: Final = frozenset({RouteKind.REPLY, RouteKind.QUERY, RouteKind.SERVICE, RouteKind.BOUNCE})


@dataclass(frozen=True, slots=True)
class PolicyClass:
    """Recipients of one class share one decision, and where they are relayed to; one transaction holds one class."""

    group: str
    policy: RoutePolicy
    next_hop: NextHop | None


@dataclass(frozen=True, slots=True)
class Route:
    """Where one recipient leads. ``token`` is what a reply address proved, None for other kinds."""

    kind: RouteKind
    token: ReplyToken | None = None
    policy: RoutePolicy = BY_DEFAULT
    next_hop: NextHop | None = None

    @property
    def conversation(self) -> bool:
        """Whether the mail ends here, on a thread or in the triage queue."""
        return self.kind in _CONVERSATIONS

    @property
    def role(self) -> bool:
        """Whether the mailbox exists in every domain (RFC 5321 4.5.1, RFC 2142 4)."""
        return self.kind in {RouteKind.POSTMASTER, RouteKind.ABUSE}

    @property
    def policy_class(self) -> PolicyClass:
        """Which recipients this one may share a transaction with."""
        shared = self.conversation and self.kind is not RouteKind.BOUNCE
        group = "conversation" if shared else "role" if self.role else self.kind.value
        return PolicyClass(group, self.policy, self.next_hop)


ReadToken = Callable[[str], ReplyToken | None]
"""Reads the address of a reply domain; None unless its code is ours (``threads.reply_address``)."""


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """The operated domains and addresses, lower case. ``mailboxes`` maps whole addresses to their kind."""

    domains: frozenset[str]
    reply_domain: str
    mailboxes: tuple[tuple[str, RouteKind], ...]
    read_token: ReadToken
    table: tuple[Row, ...] = ()
    policy: RoutePolicy = BY_DEFAULT  # of conversations that no row speaks of

    def resolve(self, path: Path) -> Route:
        """Where ``path`` leads. Raises SmtpRefusal: 550 5.1.1 unknown here, 550 5.7.1 not our domain.

        Postmaster and abuse of operated domains come first, then the admin's rows, then the mailboxes of every gateway.
        """
        operated = not path.domain or path.domain in self.domains or path.domain == self.reply_domain
        role = _role(path) if operated else None
        if role is not None:
            return Route(role, policy=TAKES_ALL)
        row = row_for(self.table, path)
        if row is not None and row.kind is None:
            raise SmtpRefusal(replies.RECIPIENT_REFUSED, f"a route refuses {row.pattern}")
        if row is not None and row.kind is not None and row.kind is not RouteKind.REPLY:
            return Route(row.kind, policy=row.policy, next_hop=row.next_hop)
        if not operated:
            raise SmtpRefusal(replies.NO_RELAYING, f"domain {path.domain} is not operated")
        route = self._reply(path) if path.domain == self.reply_domain else self._mailbox(path)
        if row is not None:
            return replace(route, policy=row.policy)
        return replace(route, policy=self.policy) if route.conversation else replace(route, policy=TAKES_ALL)

    def _reply(self, path: Path) -> Route:
        token = self.read_token(str(path))
        if token is None:
            raise SmtpRefusal(replies.UNKNOWN_RECIPIENT, "no valid reply address")
        return Route(RouteKind.REPLY, token)

    def _mailbox(self, path: Path) -> Route:
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
