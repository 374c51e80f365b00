"""Why a signature proves nothing, in a person's words: a phrase for each code of ``dkim_reason``."""

from __future__ import annotations

from verifier.dkim_reason import DkimReason, Weakness
from verifier.report import DkimResult

REASONS: dict[str, str] = {
    DkimReason.MALFORMED_HEADER: "the header of the message is broken",
    DkimReason.SIGNATURE_SYNTAX: "it is not written as a signature must be",
    DkimReason.MISSING_TAG: "it lacks a part that it must have",
    DkimReason.UNSUPPORTED_VERSION: "it is of an unknown version",
    DkimReason.UNSUPPORTED_ALGORITHM: "it uses an unknown algorithm",
    DkimReason.UNSUPPORTED_CANONICALIZATION: "it uses an unknown way of reading the message",
    DkimReason.UNSUPPORTED_QUERY: "its key cannot be looked up",
    DkimReason.FROM_NOT_SIGNED: "it leaves out the author, whom anybody may then have written",
    DkimReason.IDENTITY_MISMATCH: "it names a user of another domain",
    DkimReason.LENGTH_TOO_LARGE: "the message is shorter than what was signed",
    DkimReason.NO_KEY: "the domain publishes no such key, or no longer",
    DkimReason.KEY_SYNTAX: "the domain's key cannot be read",
    DkimReason.KEY_REVOKED: "the domain has withdrawn this key",
    DkimReason.KEY_TYPE: "the domain's key is of another kind",
    DkimReason.KEY_HASH: "the domain's key is not for this algorithm",
    DkimReason.KEY_SERVICE: "the domain's key is not for mail",
    DkimReason.KEY_SUBDOMAIN: "the domain's key is not for its subdomains",
    DkimReason.KEY_UNAVAILABLE: "its key could not be fetched just now",
    DkimReason.WEAK_ALGORITHM: "it uses an algorithm that is no longer safe",
    DkimReason.WEAK_KEY: "its key is too short to be safe",
    DkimReason.BODY_LENGTH_LIMIT: "it covers only the beginning of the text, so more can be added unseen",
    DkimReason.TOO_MANY_SIGNATURES: "the message has too many signatures",
    DkimReason.EXPIRED: "it has expired",
    DkimReason.TIME_IN_FUTURE: "it is dated in the future",
    DkimReason.EXTRA_FROM: "there is an author that it does not cover",
    DkimReason.BODY_CHANGED: "the text is not the one that was signed",
    DkimReason.SIGNATURE_MISMATCH: "what it covers was changed, or the domain did not make it",
    DkimReason.REBUILT_MESSAGE: "the message was rebuilt from a file that does not hold it as it was sent",
}
WEAKNESSES: dict[str, str] = {
    Weakness.TESTING_KEY: "the domain marks its key as a test",
    Weakness.MALFORMED_HEADER: "the header of the message is broken",
    Weakness.BARE_LINE_END: "its line ends can be read in two ways",
    Weakness.NUL: "it holds a character that programs read in different ways",
    Weakness.DUPLICATE_FIELD: "a field stands there twice and is not protected",
    Weakness.REPLAYED: "the same message came in before",
    Weakness.UNSIGNED_FIELD: "something that you see is not signed",
}
MAX_WEAKNESSES = 4  # told in one sentence


def why_not(result: DkimResult) -> str:
    """A phrase that follows "the signature proves nothing:"."""
    if result.reason is not None:
        return REASONS.get(result.reason, result.reason)
    phrases = []
    for weakness in result.weaknesses[:MAX_WEAKNESSES]:
        code, _, name = weakness.partition(":")
        phrase = WEAKNESSES.get(code, code)
        phrases.append(f"{phrase} ({name})" if name else phrase)
    if result.testing and not phrases:
        phrases.append(WEAKNESSES[Weakness.TESTING_KEY])
    return ", and ".join(phrases) or "it is too weak"
