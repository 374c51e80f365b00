"""``docs/reasons.md``, made from the codes themselves: ``python -m expertmail.reasons_table > docs/reasons.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from expertmail.reason_effects import effects
from expertmail.reason_words import ADDRESS, SPF, SPF_RESULTS
from verifier.address import AddressCode
from verifier.ambiguity_form import WORDS
from verifier.arc_set import ArcReason
from verifier.dkim_reason import RESULT_OF, DkimReason, Weakness
from verifier.reason_codes import RFC, RFC_7489, ReasonCode
from verifier.report import AuthResult
from verifier.signature_words import REASONS, WEAKNESSES
from verifier.spf_reason import SpfReason

_HEAD: Final = """# Reasons

<!-- Made by `python -m expertmail.reasons_table > docs/reasons.md`; a test keeps it up to date. -->

Every verdict says why, by codes that programs may rely on: none is ever renamed. `verify --explain` shows them with a sentence
each, `--json` holds them in `reasons`, `dkim[].reason`, `dkim[].weaknesses`, `spf.reason`, `dmarc.reason` and `arc.reason`; with
`--explain` the checks hold them too, in `explanation.checks[].reason` and `.also`.

What a reason does is its *effect*: it `proves` the claim, `contradicts` it, `weakens` it, or only `informs`.
"""

# What each reason of a verdict means to who reads it.
MEANING: Final[Mapping[ReasonCode, str]] = {
    ReasonCode.CLAIMS_AUTHOR_ADDRESS: "The author is given as a pinned address of a protected identity.",
    ReasonCode.CLAIMS_AUTHOR_DOMAIN: "The author is given as an address at a protected domain.",
    ReasonCode.CLAIMS_DISPLAY_NAME: "The author's name is a protected one, at a domain that belongs to the identity.",
    ReasonCode.IMITATES_DISPLAY_NAME: "The author's name is a protected one, the address is somebody else's.",
    ReasonCode.IMITATES_DOMAIN: "The author's domain looks like a protected one.",
    ReasonCode.IMITATES_BY_HIDDEN_ADDRESS: "A protected address stands where the author's name is shown.",
    ReasonCode.SEVERAL_AUTHORS: "The From field names several authors, one of them a protected identity.",
    ReasonCode.MALFORMED_AUTHOR: "The From field cannot be read one way only; the text names the code of the table below.",
    ReasonCode.READERS_DIFFER: "It is written in a form that mail programs read differently; the evidence names field and form, by the table below.",
    ReasonCode.SIGNED_BY_IDENTITY: "A signature of the identity's domain holds, covers what people see, and is aligned.",
    ReasonCode.ADDRESS_PINNED: "The author's address is on the identity's list.",
    ReasonCode.ADDRESS_NOT_PINNED: "It is not: somebody else at that domain could have written the message.",
    ReasonCode.IMPLEMENTATIONS_AGREE: "dkimpy accepts the signature, too.",
    ReasonCode.IMPLEMENTATIONS_DISAGREE: "dkimpy refuses a signature that our own check accepts: nothing is proven.",
    ReasonCode.SECOND_OPINION_UNAVAILABLE: "dkimpy could not be asked, or was not done in time: nothing is proven.",
    ReasonCode.NO_SIGNATURE: "There is no DKIM signature.",
    ReasonCode.SIGNATURE_FAILS: "A signature of the identity's domain does not hold; its own reason stands beside it.",
    ReasonCode.SIGNATURE_NOT_ACCEPTABLE: "It holds by the protocol, and leaves what people see open to change.",
    ReasonCode.SIGNED_BY_OTHERS: "A signature of somebody else proves nothing about the claim.",
    ReasonCode.SIGNATURE_TEMPORARY_ERROR: "The key could not be fetched just now; judge the message again later.",
    ReasonCode.DMARC_TEMPORARY_ERROR: "The author domain's policy could not be worked out just now.",
    ReasonCode.DMARC_PASS: "The author's domain vouches for the message by DKIM or SPF.",
    ReasonCode.DMARC_FAIL: "Nothing aligned with the author's domain passed.",
    ReasonCode.DMARC_NONE: "The author's domain publishes no policy.",
    ReasonCode.DMARC_SAMPLING: "The policy is asked for in a part of failing mail only (`pct`); all of it is judged alike.",
    ReasonCode.LIVE_SESSION_DMARC_FAIL: "It failed DMARC as it came in to us, and the domain asks for more than nothing.",
    ReasonCode.SPF_ONLY: "The sending computer is the domain's; that alone does not prove who wrote the message.",
    ReasonCode.UNSIGNED_FIELDS: "The proving signature leaves out fields that people look at.",
    ReasonCode.ARC_TRUSTED: "A relay that you trust says that the author's domain vouched for the message on arrival there.",
    ReasonCode.ARC_PASS: "Relays sealed what they saw; none that you trust says what would matter.",
    ReasonCode.ARC_FAIL: "The chain of seals does not hold; its own reason stands beside it.",
    ReasonCode.BORDER_RESULTS: "A border server named in `trusted_authserv_ids` noted these results when the message came in.",
    ReasonCode.LEDGER_IDENTICAL: "It is, octet for octet below the trace fields, a mail that our own outbound sent.",
    ReasonCode.LEDGER_EQUAL_BODY: "Its text is that of a mail that we sent, its header is not; a text can be copied.",
    ReasonCode.LEDGER_SAME_MESSAGE_ID: "It has the Message-ID of a mail that we sent, and is another message.",
    ReasonCode.SIGNATURE_REPLAYED: "The very message that was signed came in before: somebody sends it again.",
    ReasonCode.ARCHIVED_KEY: "Its signature holds by a key that was published once and is gone: that alone is no proof.",
    ReasonCode.RECORDED_UNDER_KEY: "We took in this very message while the key that it is signed with was published.",
    ReasonCode.SPF_RECONSTRUCTED: "SPF of a saved message, by the session that its own Received fields tell of: told only, DMARC does not count it.",
    ReasonCode.MICROSOFT_365_FIELDS: "What Microsoft 365 fields in the header say (`compauth`, `AuthAs`, the filter's report). Anybody can write them.",
    ReasonCode.REPLY_TO_ELSEWHERE: "Answers would go to another organisation than the author's.",
    ReasonCode.BRAND_IN_TEXT: "The text names a protected brand, which claims nothing.",
    ReasonCode.FORWARDED_INLINE: "Another message was copied into the text. It cannot be verified: ask for it as an attachment.",
    ReasonCode.REBUILT_MESSAGE: "It was rebuilt from an Outlook .msg file: no signature can be checked, and it is never genuine. Ask for the original.",
    ReasonCode.LEDGER_IDENTICAL: "It is a mail that we sent, octet for octet below what servers put above it.",
    ReasonCode.LEDGER_EQUAL_BODY: "Its text is that of a mail that we sent; the sentence names the fields that differ. Texts can be copied.",
    ReasonCode.LEDGER_SAME_MESSAGE_ID: "It has the Message-ID of a mail that we sent, and is another message.",
    ReasonCode.SIGNATURE_REPLAYED: "The very message that was signed came in before, over five days ago, or over an hour ago for somebody else.",
    ReasonCode.ARCHIVED_KEY: "Its signature holds by a key that was published once and is gone: no proof, for whoever has the key now could have signed.",
    ReasonCode.RECORDED_UNDER_KEY: "We took in this very message while its key, gone since, was published.",
    ReasonCode.SUPPLIED_FACTS: "Evidence, clock or session were supplied and not seen by us.",
    ReasonCode.NOTHING_CLAIMED: "The author does not say that the message is a protected identity's.",
}
DMARC: Final[Mapping[str, str]] = {
    "no-record": "no DMARC record applies to the author's domain",
    "several-records": "the name that counts has several DMARC records, so none applies (mode `rfc7489` only)",
    "record-without-policy": "the record that applies names no policy that can be used",
    "no-aligned-identifier": "nothing that passed is aligned with the author's domain",
    "discovery-failed": "a DNS answer that says where the policy is was not to be had",
    "existence-unknown": "the policy hangs on whether the author's domain exists, and that is not known just now",
    "alignment-unknown": "what might be aligned could not be checked to the end",
    "no-author-domain": "the From field names no domain",
    "several-author-domains": "the From field names several domains",
    "malformed-author": "the From field cannot be read",
}
ARC: Final[Mapping[ArcReason, str]] = {
    ArcReason.TOO_MANY_SETS: "there are more sets than the 50 that are allowed",
    ArcReason.STRUCTURE: "a set is missing, or is not whole",
    ArcReason.RESULTS_SYNTAX: "the results of a set do not begin with its number",
    ArcReason.MESSAGE_SIGNATURE_SYNTAX: "a message signature is not written as it must be",
    ArcReason.SEAL_SYNTAX: "a seal is not written as it must be",
    ArcReason.CHAIN_STATUS: "a sealer says what cannot be of the chain before it",
    ArcReason.FAILED_BEFORE: "the newest sealer found the chain broken already",
    ArcReason.MESSAGE_CHANGED: "the message is not the one that the newest sealer signed",
    ArcReason.SEAL_FAILS: "a seal does not hold",
    ArcReason.KEY: "a sealer's domain publishes no key that could have made it",
    ArcReason.KEY_UNAVAILABLE: "a key could not be fetched just now",
    ArcReason.MALFORMED_HEADER: "the header of the message is broken",
}


def markdown() -> str:
    """The whole document."""
    return "\n".join((_HEAD, *_tables())) + "\n"


def _tables() -> Iterator[str]:
    can = effects()
    yield from _table("Of a verdict", "code", "effect", "means", "source")
    for code in ReasonCode:
        older = f"; in mode `rfc7489` {RFC_7489[code]}" if code in RFC_7489 else ""
        effect = ", ".join(can[code])
        yield f"| `{code}` | {effect} | {MEANING[code]} | {RFC.get(code, '')}{older} |"
    yield from _table("Of a DKIM signature (RFC 6376) that does not pass", "code", "result", "means that")
    for reason in DkimReason:
        yield f"| `{reason}` | {RESULT_OF[reason]} | {REASONS[reason]} |"
    yield "\n## Why one that passes is not acceptable\n\nA code about a field is followed by a colon and its name.\n"
    yield from _rows(((weakness, WEAKNESSES[weakness]) for weakness in Weakness), "code")
    yield "\n## Of SPF (RFC 7208)\n\nThe result's word says all but where it is `none` or an error, which have a code as well.\n"
    yield from _rows(((word, SPF_RESULTS[word]) for word in AuthResult if word in SPF_RESULTS), "result")
    yield ""
    yield from _rows(((reason, SPF[reason]) for reason in SpfReason), "code")
    yield "\n## Of DMARC (RFC 9989, or RFC 7489 in that mode)\n"
    yield from _rows(DMARC.items(), "code")
    yield "\n## Of ARC (RFC 8617)\n"
    yield from _rows(((reason, ARC[reason]) for reason in ArcReason), "code")
    yield "\n## Of what mail programs read differently\n\nThey stand in the evidence of `readers-differ`, behind the field.\n"
    yield "| code | the field | source |\n|---|---|---|"
    yield from (f"| `{form}` | {words.says} | {words.rfc} |" for form, words in WORDS.items())
    yield "\n## Of a From field that is refused (RFC 5322, RFC 6532)\n\nThey stand in the text of `malformed-author`.\n"
    yield from _rows(((code, ADDRESS[code]) for code in AddressCode), "code")


def _table(title: str, *columns: str) -> Iterator[str]:
    yield f"\n## {title}\n"
    yield f"| {' | '.join(columns)} |"
    yield "|---" * len(columns) + "|"


def _rows(rows: Iterable[tuple[str, str]], first: str) -> Iterator[str]:
    yield f"| {first} | means that |\n|---|---|"
    yield from (f"| `{code}` | {text} |" for code, text in rows)


if __name__ == "__main__":
    sys.stdout.write(markdown())
