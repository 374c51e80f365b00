"""One DMARC policy record as RFC 7489 6.3 and 6.6.3 read it: TXT value in, frozen record or None out.

np, psd and t came later and are unknown tags here, which are ignored; p may stand anywhere, as in practice it does.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from verifier.dmarc_record import MAX_RECORD, Policy, is_reported, policy_of, tags_of

ALL_MAIL: Final = 100  # the default of pct
_DIGITS_OF_PERCENT: Final = 3  # RFC 7489 6.4: one to three digits


class Record7489(NamedTuple):
    """A record. ``p`` is None where RFC 7489 6.6.3 says that no DMARC processing is applied."""

    p: Policy | None
    sp: Policy | None = None
    strict_dkim: bool = False
    strict_spf: bool = False
    percent: int = ALL_MAIL

    def applying(self, *, inherited: bool) -> Policy | None:
        """The published policy for the domain of the record, or for a subdomain that inherits it (6.3 "sp")."""
        return self.sp or self.p if inherited else self.p


def parse_7489(text: str) -> Record7489 | None:
    """Read a TXT value; None when it is no DMARC record (RFC 7489 6.6.3 step 2). Linear time, never raises."""
    if len(text) > MAX_RECORD:
        return None
    tags = tags_of(text)
    if not tags:
        return None if tags is None else Record7489(None)
    p, sp = policy_of(tags, "p"), policy_of(tags, "sp")
    if p is None or ("sp" in tags and sp is None):
        # Step 6: with somebody to report to it is monitored, otherwise there is no processing.
        p, sp = Policy.NONE if is_reported(tags) else None, None
    return Record7489(
        p,
        sp,
        strict_dkim=tags.get("adkim", "").lower() == "s",
        strict_spf=tags.get("aspf", "").lower() == "s",
        percent=_percent(tags.get("pct", "")),
    )


def _percent(text: str) -> int:
    """The value of pct; one that is no percentage gives way to the default (6.3)."""
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_OF_PERCENT):
        return ALL_MAIL
    return min(int(text), ALL_MAIL)
