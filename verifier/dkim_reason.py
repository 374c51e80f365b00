"""Stable codes: why a DKIM signature got its result, and why a passing one is not acceptable to us."""

from __future__ import annotations

from enum import StrEnum

from verifier.report import AuthResult


class DkimReason(StrEnum):
    """Why a result is not "pass"; the section of RFC 6376 (or another RFC) stands beside each."""

    # permerror: the message or the field
    MALFORMED_HEADER = "malformed-header"  # RFC 5322 2.2; RFC 6376 8.14
    SIGNATURE_SYNTAX = "signature-syntax"  # 3.2, 3.5, 6.1.1
    MISSING_TAG = "missing-tag"  # 3.5, 6.1.1
    UNSUPPORTED_VERSION = "unsupported-version"  # 3.5 v=
    UNSUPPORTED_ALGORITHM = "unsupported-algorithm"  # 3.5 a=
    UNSUPPORTED_CANONICALIZATION = "unsupported-canonicalization"  # 3.5 c=
    UNSUPPORTED_QUERY = "unsupported-query"  # 3.5 q=
    FROM_NOT_SIGNED = "from-not-signed"  # 3.5 h=, 5.4, 6.1.1
    IDENTITY_MISMATCH = "identity-mismatch"  # 3.5 i=, 6.1.1
    LENGTH_TOO_LARGE = "length-too-large"  # 3.5 l=, 6.1.1
    # permerror: the key
    NO_KEY = "no-key"  # 6.1.2 (3)
    KEY_SYNTAX = "key-syntax"  # 3.6.1, 6.1.2 (4)
    KEY_REVOKED = "key-revoked"  # 3.6.1 p=, 6.1.2 (7)
    KEY_TYPE = "key-type"  # 3.6.1 k=, 6.1.2 (8)
    KEY_HASH = "key-hash"  # 3.6.1 h=, 6.1.2 (6)
    KEY_SERVICE = "key-service"  # 3.6.1 s=
    KEY_SUBDOMAIN = "key-subdomain"  # 3.6.1 t=s, 6.1.2
    # temperror
    KEY_UNAVAILABLE = "key-unavailable"  # 6.1.2 (2)
    # policy
    WEAK_ALGORITHM = "weak-algorithm"  # RFC 8301 3.1: rsa-sha1
    WEAK_KEY = "weak-key"  # RFC 8301 3.2: under 1024 bits
    BODY_LENGTH_LIMIT = "body-length-limit"  # 8.2: l= leaves an unsigned tail possible
    TOO_MANY_SIGNATURES = "too-many-signatures"  # 6.1: a verifier may limit them
    # fail
    EXPIRED = "expired"  # 3.5 x=
    TIME_IN_FUTURE = "time-in-future"  # 3.5 t=
    EXTRA_FROM = "extra-from"  # 5.4.2, 8.15: a From field that is not signed
    BODY_CHANGED = "body-changed"  # 6.1.3 (3)
    SIGNATURE_MISMATCH = "signature-mismatch"  # 6.1.3 (4)
    # neutral
    REBUILT_MESSAGE = "rebuilt-message"  # RFC 8601 2.7.1: the body that was signed is not at hand


RESULT_OF: dict[DkimReason, AuthResult] = {
    **dict.fromkeys(DkimReason, AuthResult.PERMERROR),
    DkimReason.KEY_UNAVAILABLE: AuthResult.TEMPERROR,
    DkimReason.REBUILT_MESSAGE: AuthResult.NEUTRAL,
    **dict.fromkeys(
        (
            DkimReason.WEAK_ALGORITHM,
            DkimReason.WEAK_KEY,
            DkimReason.BODY_LENGTH_LIMIT,
            DkimReason.TOO_MANY_SIGNATURES,
        ),
        AuthResult.POLICY,
    ),
    **dict.fromkeys(
        (
            DkimReason.EXPIRED,
            DkimReason.TIME_IN_FUTURE,
            DkimReason.EXTRA_FROM,
            DkimReason.BODY_CHANGED,
            DkimReason.SIGNATURE_MISMATCH,
        ),
        AuthResult.FAIL,
    ),
}
"""The word of RFC 8601 2.7.1 that each reason stands for."""


class Weakness(StrEnum):
    """Why a passing signature is not acceptable; those about a field are followed by ":" and its name."""

    TESTING_KEY = "testing-key"  # RFC 6376 3.6.1 t=y
    MALFORMED_HEADER = "malformed-header"  # RFC 5322 2.2, RFC 6376 8.14
    BARE_LINE_END = "bare-line-end"  # RFC 5322 2.3: readers take it differently
    NUL = "nul"  # RFC 5322 2.2, 4
    DUPLICATE_FIELD = "duplicate-field"  # RFC 6376 8.15: readers show different ones of several
    REPLAYED = "replayed"  # RFC 6376 8.6: it came in before, long ago or for somebody else
    UNSIGNED_FIELD = "unsigned-field"  # RFC 6376 5.4.1: people see it, and anybody may have written it


class DkimError(Exception):
    """A signature cannot pass: ``reason`` is stable, ``detail`` is one plain sentence."""

    def __init__(self, reason: DkimReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
