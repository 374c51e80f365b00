"""Customers, contacts, identities, the audit trail, codes."""

from __future__ import annotations

from tests.console.examples import Example
from tests.console.place import Place


def of(rest: str = ""):
    return lambda place: f"/contacts/organisations/{place.contoso.id}{rest}"


def alice(place: Place) -> str:
    return f"/contacts/organisations/{place.contoso.id}/contacts/{place.alice.id}"


EXAMPLES: tuple[Example, ...] = (
    Example("contacts", lambda _: "/contacts", "all"),
    Example("customer-add", lambda _: "/contacts/organisations", "nobody", lambda _: {"name": "Wingtip"}),
    Example("customer", of(), "contoso"),
    Example("contact-ask", lambda p: f"{alice(p)}/remove", "contoso"),
    Example("domain-ask", of("/domain?domain=contoso.test&do=remove"), "contoso"),
    Example("contact-add", of("/contacts"), "contoso"),
    Example("contact-change", alice, "contoso"),
    Example("customer-domains", of("/domains"), "contoso", lambda _: {"domain": "x.test", "do": "add"}),
    Example("customer-allow", of("/allow"), "contoso", lambda p: {"address": p.alice.address}),
    Example("identities", lambda _: "/identities", "nobody"),
    Example("dns-check", lambda _: "/identities/dns-check", "nobody"),
    Example("audit", lambda _: "/audit", "all"),
    Example("audit-check", lambda _: "/audit/check", "nobody"),
    Example("codes", lambda _: "/codes", "all"),
    Example("code-look-up", lambda _: "/codes", "all", lambda _: {"code": "x"}),
)
