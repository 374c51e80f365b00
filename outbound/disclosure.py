"""Which details a mail may hold: what experts or a portal wrote, or "see the portal" in its place. Pure.

By the recipient's TLP (FIRST, Traffic Light Protocol 2.0), what the recipient allowed, and what protects the way to its mail
servers. What protects it is the settings' word at the time of writing: a mail that holds details for the sake of TLS keeps
that condition (``Disclosure.needs_tls``) and is handed over under TLS with a checked certificate or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from outbound.tls_policy import OPPORTUNISTIC, TlsPolicy
from threads.model import Contact, Tlp


class Way(StrEnum):
    """What the settings promise about a mail's way."""

    HERE = "here"  # into files: it does not leave this machine
    VERIFIED = "verified"  # TLS with a certificate for the name of the recipient's server, or no delivery
    SMARTHOST = "smarthost"  # the same, as far as the smarthost; what that does is its own
    OPEN = "open"  # TLS where it is offered, with anybody, or none


class Outlet(StrEnum):
    """How all our mail leaves."""

    FILES = "files"
    TLS_SMARTHOST = "tls-smarthost"  # a smarthost that gets nothing without TLS
    SMARTHOST = "smarthost"
    MX = "mx"


@dataclass(frozen=True, slots=True)
class DisclosureRules:
    """The TLP of whoever has none of their own, how mail leaves, and for which domains TLS is required."""

    default_tlp: Tlp
    outlet: Outlet = Outlet.MX
    tls: TlsPolicy = field(default=OPPORTUNISTIC)

    def way(self, address: str) -> Way:
        """What protects mail to an address."""
        match self.outlet:
            case Outlet.FILES:
                return Way.HERE
            case Outlet.TLS_SMARTHOST:
                return Way.SMARTHOST
            case Outlet.SMARTHOST:
                return Way.OPEN
            case Outlet.MX:
                return Way.VERIFIED if self.tls.requires(address.rpartition("@")[2]) else Way.OPEN


UNRULED = DisclosureRules(Tlp.CLEAR)
"""No rule of the house: only who has a TLP of their own gets mail without details."""


@dataclass(frozen=True, slots=True)
class Disclosure:
    """Whether a mail holds the details, and why, in words that hold nothing of the mail and name nobody.

    ``needs_tls``: it does for the sake of TLS, and so is handed over under TLS with a checked certificate only. ``permitted``:
    it does because the contact allows it, for the contact's own mailbox.
    """

    full: bool
    reason: str
    needs_tls: bool = False
    permitted: bool = False

    @property
    def words(self) -> str:
        """One line for the preview and the outbox."""
        if not self.reason:
            return "this kind of mail has no details"
        return f"{_INCLUDED if self.full else 'details left out'}: {self.reason}"


NO_DETAILS = Disclosure(full=True, reason="")
"""Of mail that says the same to everybody."""

LONG_ALERT = Disclosure(
    full=True, reason="an alert to experts in its long form, whose way has to be protected", needs_tls=True
)
"""Of an alert with names in it: the settings let it be written only where the way was protected then."""

_INCLUDED = "details included"

_PROTECTED = {
    Way.HERE: "it is written to a file on this machine",
    Way.VERIFIED: "TLS to the recipient's domain is required and its certificate checked",
    Way.SMARTHOST: "TLS to the smarthost is required and its certificate checked",
}


def disclosure_to(address: str, contact: Contact | None, rules: DisclosureRules) -> Disclosure:
    """What a mail with details may hold. ``contact`` is None for an address that is no contact, so outside the organisation."""
    tlp = rules.default_tlp if contact is None or contact.tlp is None else contact.tlp
    allowed = contact is not None and contact.details_allowed is not None
    external = contact is None or contact.external
    return decide(tlp, allowed=allowed, external=external, way=rules.way(address))


def includes_details(words: str | None) -> bool:
    """Whether a mail holds details, by the words of the disclosure that is on record with it."""
    return words is not None and words.startswith(_INCLUDED)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the recipient of a mail that waits stands by now; ``tlp`` None: as the settings say."""

    tlp: Tlp | None
    allowed: bool
    external: bool


def disclosure_by_now(
    address: str, standing: Standing, rules: DisclosureRules, *, needs_tls: bool
) -> Disclosure:
    """What a mail that was written with its details may hold when its turn comes.

    ``needs_tls``: it is bound to checked TLS, so that its way is protected whatever the settings say by now.
    """
    way = Way.VERIFIED if needs_tls else rules.way(address)
    tlp = standing.tlp or rules.default_tlp
    return decide(tlp, allowed=standing.allowed, external=standing.external, way=way)


def decide(tlp: Tlp, *, allowed: bool, external: bool, way: Way) -> Disclosure:
    """The rule itself.

    CLEAR and GREEN go by any mail. What the recipient ``allowed`` goes, whatever the TLP. AMBER goes where the way is
    protected; AMBER+STRICT too, but not to somebody ``external`` to the organisation. RED is for the eyes of single persons,
    and a mailbox has administrators: without that permission it does not go by mail at all.
    """
    if tlp in (Tlp.CLEAR, Tlp.GREEN):
        return Disclosure(full=True, reason=f"TLP:{tlp.value}")
    if allowed:
        reason = f"TLP:{tlp.value}, and the contact allows details by mail"
        return Disclosure(full=True, reason=reason, permitted=True)
    if tlp is Tlp.RED:
        return Disclosure(full=False, reason="TLP:RED, and the contact has not allowed details by mail")
    if tlp is Tlp.AMBER_STRICT and external:
        return Disclosure(
            full=False,
            reason="TLP:AMBER+STRICT, and the contact is outside the organisation and has not allowed details by mail",
        )
    if way in _PROTECTED:
        return Disclosure(full=True, reason=f"TLP:{tlp.value}, and {_PROTECTED[way]}", needs_tls=True)
    return Disclosure(
        full=False,
        reason=f"TLP:{tlp.value}, TLS on the way is not required, and the contact has not allowed details by mail",
    )
