"""What can still be said of a message that was rebuilt: its header was kept, the body that was signed was not.

Body hashes are computed over the body as it was sent (RFC 6376 3.7, RFC 8617 4.1.2), so neither a signature nor a
seal can be checked, and a failure would accuse a message of what the file format did to it.
"""

from __future__ import annotations

from verifier.dkim_reason import RESULT_OF, DkimReason
from verifier.report import ArcResult, AuthResult, DkimResult, DmarcResult

_REASON = DkimReason.REBUILT_MESSAGE
_RESULT = RESULT_OF[_REASON]


def uncheckable_signatures(dkim: tuple[DkimResult, ...]) -> tuple[DkimResult, ...]:
    """The signatures as they stand, each neither holding nor failing, whatever was found (RFC 8601 2.7.1)."""
    return tuple(
        one._replace(result=_RESULT, reason=_REASON, acceptable=False, aligned=False, weaknesses=(), detail="")
        for one in dkim
    )


def uncheckable_seals(arc: ArcResult) -> ArcResult:
    """Who sealed it, and no word on whether the seals hold; so none is trusted."""
    return ArcResult(AuthResult.NONE, arc.sealers)


def without_signatures(dmarc: DmarcResult) -> DmarcResult:
    """DMARC is known only if SPF passed it: a failure for want of a signature is none."""
    if dmarc.result is AuthResult.PASS:
        return dmarc
    return dmarc._replace(result=AuthResult.NONE, reason="alignment-unknown")
