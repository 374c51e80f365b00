"""To which domains mail goes only under TLS with a certificate for their server's name. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """``required`` is the rule for domains that neither table names.

    An entry of a table is a domain with all names below it. The nearest entry holds; where both tables have the same one,
    TLS is required.
    """

    required: bool = False
    required_domains: frozenset[str] = field(default_factory=frozenset)
    optional_domains: frozenset[str] = field(default_factory=frozenset)

    def requires(self, domain: str) -> bool:
        """Whether mail to the domain waits rather than go without verified TLS."""
        for entry in _entries(domain.lower().rstrip(".")):
            if entry in self.required_domains:
                return True
            if entry in self.optional_domains:
                return False
        return self.required


OPPORTUNISTIC = TlsPolicy()
"""TLS where it is offered, for everybody."""


def tls_policy(
    *, required: bool, required_domains: Iterable[str], optional_domains: Iterable[str]
) -> TlsPolicy:
    """A policy by the words of the settings."""
    return TlsPolicy(
        required,
        frozenset(one.lower().rstrip(".") for one in required_domains),
        frozenset(one.lower().rstrip(".") for one in optional_domains),
    )


def _entries(domain: str) -> Iterable[str]:
    """The entries that may name a domain, the nearest first."""
    labels = domain.split(".")
    for at in range(len(labels)):
        yield ".".join(labels[at:])
