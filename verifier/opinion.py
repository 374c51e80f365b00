"""When the second implementation is not asked (pure). It is asked only about signatures that we accepted."""

from __future__ import annotations

from typing import Final

from verifier.message import read_message

MAX_BLANK_RUN: Final = 1_024  # dkimpy's time grows with the square of such a run: 0.7 s at 16 KB
MAX_SIGNATURE_FIELD: Final = 8_192  # and with the square of the folds in b=: 15 s at 16,000

_BLANKS_AS_SPACES: Final = bytes.maketrans(b"\t\r\n\x0b\x0c", b"     ")
_LONG_RUN: Final = b" " * (MAX_BLANK_RUN + 1)


def too_costly(raw: bytes, signature: int) -> bool:
    """Whether dkimpy could take more than its deadline over signature number ``signature`` (topmost is 0)."""
    if _LONG_RUN in raw.translate(_BLANKS_AS_SPACES):
        return True
    fields = read_message(raw).named(b"dkim-signature")
    return signature < len(fields) and len(fields[signature].raw) > MAX_SIGNATURE_FIELD
