"""The admin's table of routes, from settings to the gateway's frozen rows."""

from __future__ import annotations

from typing import Final

from expertmail.faults import ExitCode, FaultError
from expertmail.route_settings import RouteRow
from expertmail.settings import Settings
from smtp_gateway.next_hop import HopTls, NextHop
from smtp_gateway.route_kind import RouteKind
from smtp_gateway.route_policy import Action, RoutePolicy
from smtp_gateway.route_table import PatternError, Row

SMTP_PORT: Final = 25
_KINDS: Final = {
    "incident": RouteKind.REPLY,
    "query": RouteKind.QUERY,
    "verify": RouteKind.VERIFY,
    "service": RouteKind.SERVICE,
    "bounce": RouteKind.BOUNCE,
    "relay": RouteKind.RELAY,
    "reject": None,
}
_TAKES_ALL: Final = frozenset({"verify"})  # refuses nothing on a verdict unless the row says so


def conversation_policy(settings: Settings) -> RoutePolicy:
    """How strict the mailboxes are that no row speaks of.

    What is to be held there waits for an expert by the plan, held or in triage, so that neither needs an action.
    """
    defer = settings.routes.on_temperror == "defer"
    reject = settings.routes.on_forgery == "reject"
    return RoutePolicy(
        on_temperror=Action.DEFER if defer else Action.ACCEPT,
        on_forged=Action.REJECT if reject else Action.ACCEPT,
    )


def route_table(settings: Settings) -> tuple[Row, ...]:
    """The rows in their order. Raises FaultError, with the row's number, for one that cannot be used."""
    base = conversation_policy(settings)
    return tuple(_row(row, number, base, settings) for number, row in enumerate(settings.routes.table, 1))


def _row(row: RouteRow, number: int, base: RoutePolicy, settings: Settings) -> Row:
    relayed = row.to == "relay"
    if relayed and row.next_hop is None:
        raise _fault(number, row, "has no next_hop; name the server that the mail is passed on to")
    if row.next_hop is not None and not relayed:
        raise _fault(number, row, 'has a next_hop, which only goes with to = "relay"')
    hop = None if row.next_hop is None else _next_hop(row, number, row.next_hop, settings)
    if row.to in _TAKES_ALL:
        base = RoutePolicy(on_forged=Action.ACCEPT)
    policy = RoutePolicy(
        on_genuine=_action(row.on_genuine, base.on_genuine),
        on_unpinned=_action(row.on_unpinned, base.on_unpinned),
        on_unproven=_action(row.on_unproven, base.on_unproven),
        on_forged=_action(row.on_forged, base.on_forged),
        on_no_claim=_action(row.on_no_claim, base.on_no_claim),
        on_dmarc_pass=_action(row.on_dmarc_pass, base.on_dmarc_pass),
        on_dmarc_fail=_action(row.on_dmarc_fail, base.on_dmarc_fail),
        on_dmarc_none=_action(row.on_dmarc_none, base.on_dmarc_none),
        on_temperror=_action(row.on_temperror, base.on_temperror),
        on_program=_action(row.on_program, base.on_program),
        on_encrypted=_action(row.on_encrypted, base.on_encrypted),
        on_macros=_action(row.on_macros, base.on_macros),
        max_message_bytes=row.max_message_bytes,
    )
    try:
        return Row(row.recipient, _KINDS[row.to], policy, hop)
    except PatternError as error:
        raise _fault(number, row, f"cannot be used: {error}") from error


def _action(word: str | None, default: Action) -> Action:
    return default if word is None else Action(word)


def _next_hop(row: RouteRow, number: int, text: str, settings: Settings) -> NextHop:
    host, colon, port = text.rpartition(":")
    if not colon or "]" in port or (":" in host and not host.startswith("[")):
        host, port = text, str(SMTP_PORT)  # an address of IPv6 without a port, or a name alone
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or not 0 < int(port) <= 65_535:  # noqa: PLR2004 - ports have 16 bits
        raise _fault(number, row, f"has the next_hop “{text}”, which is no HOST or HOST:PORT")
    here = {settings.hostname, settings.smtp.host, "localhost" if settings.smtp.host == "127.0.0.1" else ""}
    if int(port) == settings.smtp.port and host.lower() in here:
        raise _fault(number, row, "relays to this gateway itself, which would be a loop")
    return NextHop(host, int(port), HopTls(row.next_hop_tls))


def _fault(number: int, row: RouteRow, what: str) -> FaultError:
    return FaultError(f"routes.table, row {number} ({row.recipient}), {what}.", ExitCode.CONFIG)
