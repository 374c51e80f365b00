"""The identities that are protected when nobody names any: the operated sender and the product's default."""

from __future__ import annotations

from typing import Final

from verifier.identity import Identity

MICROSOFT: Final = Identity(
    name="defender-experts",
    display_names=("Defender Experts", "Microsoft Defender Experts"),
    domains=("microsoft.com",),
    addresses=(),  # the service documents no sender address, so none is pinned
    signing_domains=("microsoft.com",),
    known_domains=("microsoftonline.com", "office.com"),
    brand_terms=("defender experts",),
)


def operated_identity(
    domain: str = "experts.test",
    sender: str = "defender-experts@experts.test",
    display: str = "Defender Experts",
    reply_domain: str = "reply.experts.test",
) -> Identity:
    """The identity of the gateway's own sender; its one address is pinned."""
    return Identity(
        name=domain,
        display_names=(display,),
        domains=(domain,),
        addresses=(sender.lower(),),
        signing_domains=(domain,),
        always_signs=True,
        known_domains=(reply_domain,),
    )


def default_identities(operated: Identity | None = None) -> tuple[Identity, ...]:
    """The operated sender (given, or that of an unconfigured gateway) and the product's default."""
    return (operated or operated_identity(), MICROSOFT)
