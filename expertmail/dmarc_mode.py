"""The choice between the two RFCs of DMARC, made real: the public suffix list is loaded only where it is needed."""

from __future__ import annotations

from expertmail.faults import ExitCode, FaultError
from verifier.dmarc_7489 import PublicSuffixes
from verifier.report import DmarcMode


def suffixes_for(mode: str) -> PublicSuffixes | None:
    """What a verdict's context is given for a mode: the list for ``rfc7489``, None for ``rfc9989``. Raises FaultError."""
    if DmarcMode(mode) is DmarcMode.RFC9989:
        return None
    from verifier.public_suffixes import public_suffixes  # noqa: PLC0415 - needed in this mode only

    try:
        return public_suffixes()
    except (ImportError, OSError) as error:
        raise FaultError(
            f"The public suffix list cannot be read ({error}); install publicsuffixlist, or choose the DMARC mode "
            "rfc9989, which needs no list.",
            ExitCode.CONFIG,
        ) from error
