"""The stable codes of reasons, with the RFC section behind each. People's sentences stand in ``verdict``."""

from __future__ import annotations

from enum import StrEnum


class ReasonCode(StrEnum):
    """Codes that programs may rely on; none is ever renamed."""

    CLAIMS_AUTHOR_ADDRESS = "claims-author-address"
    CLAIMS_AUTHOR_DOMAIN = "claims-author-domain"
    CLAIMS_DISPLAY_NAME = "claims-display-name"
    IMITATES_DISPLAY_NAME = "imitates-display-name"
    IMITATES_DOMAIN = "imitates-domain"
    IMITATES_BY_HIDDEN_ADDRESS = "imitates-by-hidden-address"
    SEVERAL_AUTHORS = "several-authors"
    MALFORMED_AUTHOR = "malformed-author"
    READERS_DIFFER = "readers-differ"
    SIGNED_BY_IDENTITY = "signed-by-identity"
    ADDRESS_PINNED = "address-pinned"
    ADDRESS_NOT_PINNED = "address-not-pinned"
    IMPLEMENTATIONS_AGREE = "implementations-agree"
    IMPLEMENTATIONS_DISAGREE = "implementations-disagree"
    SECOND_OPINION_UNAVAILABLE = "second-opinion-unavailable"
    NO_SIGNATURE = "no-signature"
    SIGNATURE_FAILS = "signature-fails"
    SIGNATURE_NOT_ACCEPTABLE = "signature-not-acceptable"
    SIGNED_BY_OTHERS = "signed-by-others"
    SIGNATURE_TEMPORARY_ERROR = "signature-temporary-error"
    DMARC_TEMPORARY_ERROR = "dmarc-temporary-error"
    DMARC_PASS = "dmarc-pass"
    DMARC_FAIL = "dmarc-fail"
    DMARC_NONE = "dmarc-none"
    DMARC_SAMPLING = "dmarc-sampling"
    LIVE_SESSION_DMARC_FAIL = "live-session-dmarc-fail"
    SPF_ONLY = "spf-only"
    UNSIGNED_FIELDS = "unsigned-fields"
    ARC_TRUSTED = "arc-trusted"
    ARC_PASS = "arc-pass"
    ARC_FAIL = "arc-fail"
    BORDER_RESULTS = "border-results"
    LEDGER_IDENTICAL = "ledger-identical"
    LEDGER_EQUAL_BODY = "ledger-equal-body"
    LEDGER_SAME_MESSAGE_ID = "ledger-same-message-id"
    SIGNATURE_REPLAYED = "signature-replayed"
    ARCHIVED_KEY = "archived-key"
    RECORDED_UNDER_KEY = "recorded-under-key"
    SPF_RECONSTRUCTED = "spf-reconstructed"
    MICROSOFT_365_FIELDS = "microsoft-365-fields"
    REPLY_TO_ELSEWHERE = "reply-to-elsewhere"
    BRAND_IN_TEXT = "brand-in-text"
    FORWARDED_INLINE = "forwarded-inline"
    REBUILT_MESSAGE = "rebuilt-message"
    SUPPLIED_FACTS = "supplied-facts"
    NOTHING_CLAIMED = "nothing-claimed"


RFC: dict[ReasonCode, str] = {
    ReasonCode.CLAIMS_AUTHOR_ADDRESS: "RFC 5322 3.6.2",
    ReasonCode.CLAIMS_AUTHOR_DOMAIN: "RFC 5322 3.6.2",
    ReasonCode.CLAIMS_DISPLAY_NAME: "RFC 5322 3.4",
    ReasonCode.IMITATES_DISPLAY_NAME: "RFC 5322 3.4",
    ReasonCode.IMITATES_BY_HIDDEN_ADDRESS: "RFC 5322 3.4",
    ReasonCode.SEVERAL_AUTHORS: "RFC 9989 5.3.1",
    ReasonCode.MALFORMED_AUTHOR: "RFC 5322 3.6.2",
    ReasonCode.READERS_DIFFER: "RFC 5322 3.4",
    ReasonCode.SIGNED_BY_IDENTITY: "RFC 6376 6.1",
    ReasonCode.NO_SIGNATURE: "RFC 6376 6.1",
    ReasonCode.SIGNATURE_FAILS: "RFC 6376 6.1.3",
    ReasonCode.SIGNATURE_NOT_ACCEPTABLE: "RFC 6376 8",
    ReasonCode.SIGNED_BY_OTHERS: "RFC 9989 4.4.1",
    ReasonCode.SIGNATURE_TEMPORARY_ERROR: "RFC 6376 6.1.2",
    ReasonCode.DMARC_TEMPORARY_ERROR: "RFC 9989 5.3.4",
    ReasonCode.DMARC_PASS: "RFC 9989 5.3.5",
    ReasonCode.DMARC_FAIL: "RFC 9989 5.3.5",
    ReasonCode.DMARC_NONE: "RFC 9989 4.10",
    ReasonCode.DMARC_SAMPLING: "RFC 7489 6.6.4",
    ReasonCode.LIVE_SESSION_DMARC_FAIL: "RFC 9989 5.3.6",
    ReasonCode.SPF_ONLY: "RFC 7208 11.2",
    ReasonCode.UNSIGNED_FIELDS: "RFC 6376 5.4",
    ReasonCode.ARC_TRUSTED: "RFC 8617 7.2",
    ReasonCode.ARC_PASS: "RFC 8617 5.2",
    ReasonCode.ARC_FAIL: "RFC 8617 5.2",
    ReasonCode.BORDER_RESULTS: "RFC 8601 5",
    ReasonCode.LEDGER_SAME_MESSAGE_ID: "RFC 5322 3.6.4",
    ReasonCode.SIGNATURE_REPLAYED: "RFC 6376 8.6",
    ReasonCode.ARCHIVED_KEY: "RFC 6376 3.6.2",
    ReasonCode.RECORDED_UNDER_KEY: "RFC 6376 3.6.2",
    ReasonCode.SPF_RECONSTRUCTED: "RFC 5321 4.4",
    ReasonCode.REPLY_TO_ELSEWHERE: "RFC 5322 3.6.2",
    ReasonCode.REBUILT_MESSAGE: "RFC 6376 3.7",
}

# What is cited instead where DMARC was evaluated by the older RFC.
RFC_7489: dict[str, str] = {
    ReasonCode.SEVERAL_AUTHORS: "RFC 7489 6.6.1",
    ReasonCode.SIGNED_BY_OTHERS: "RFC 7489 3.1.1",
    ReasonCode.DMARC_TEMPORARY_ERROR: "RFC 7489 6.6.2",
    ReasonCode.DMARC_PASS: "RFC 7489 6.6.2",
    ReasonCode.DMARC_FAIL: "RFC 7489 6.6.2",
    ReasonCode.DMARC_NONE: "RFC 7489 6.6.3",
    ReasonCode.LIVE_SESSION_DMARC_FAIL: "RFC 7489 6.6.2",
}
