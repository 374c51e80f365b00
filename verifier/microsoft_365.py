"""What Microsoft 365 says in a saved message's header, in words. Told as its fields' word, never trusted.

Anybody can write such fields, nothing signs them, and the ones of an unknown tenant say nothing about ours. Only
values that Microsoft documents are told, in our own words, so no text of a stranger gets into a reason. The codes
are those of "Anti-spam message headers in cloud organizations" in Microsoft's documentation of Defender for Office 365.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from verifier.message import Message
from verifier.received_field import address_of

MAX_VALUE: Final = 8_192  # octets of a field that are read; real ones stay under 2 KB
MAX_FIELDS: Final = 4  # of one name: a message that passed two tenants has two
MAX_TOLD: Final = 8

_COMPAUTH: Final = re.compile(
    rb"(?:^|[\s;])compauth=(pass|fail|softpass|none)(?:\s{1,80}reason=([0-9]{3})(?![0-9A-Za-z]))?(?=[\s;]|$)",
    re.IGNORECASE,
)
_RESULTS: Final = {
    "pass": "composite authentication passed",
    "softpass": "composite authentication passed by a guess",
    "fail": "composite authentication failed",
    "none": "composite authentication was not done",
}
# By the whole code, else by its first digit; with the result that belongs to it.
_CODES: Final = {
    "000": ("fail", "the message failed DMARC, and the author's domain asks that such mail be stopped"),
    "001": ("fail", "nothing vouched for the author's domain, which publishes no or only a weak policy"),
    "002": ("fail", "an administrator has forbidden this sender to write in the name of this domain"),
    "010": ("fail", "it failed DMARC, and gives itself out as mail of the receiving organisation"),
    "130": ("pass", "it failed DMARC, and a relay that the receiving organisation trusts vouched for it by ARC"),
    "1": ("pass", "the author's domain vouched for it"),
    "2": ("softpass", "nothing vouched for the author's domain by the protocols, other signs spoke for it"),
    "3": ("none", "the message was not checked"),
    "4": ("none", "the check was passed over"),
    "6": ("fail", "nothing vouched for it, and it gives itself out as mail of the receiving organisation"),
    "7": ("pass", "the author's domain vouched for it"),
    "9": ("none", "the check was passed over"),
}
_AUTH_AS: Final = {
    b"x-ms-exchange-organization-authas": "X-MS-Exchange-Organization-AuthAs",
    b"x-ms-exchange-crosstenant-authas": "X-MS-Exchange-CrossTenant-AuthAs",
}
_SENDER: Final = {
    "internal": ("Internal", "the sender had logged in to the organisation"),
    "anonymous": ("Anonymous", "the sender was a stranger who had not logged in"),
    "external": ("External", "the sender had logged in as somebody from outside"),
    "partner": ("Partner", "the sender was a partner organisation"),
}
_REPORT: Final = "X-Forefront-Antispam-Report"
_FILTERED: Final = {
    "BLK": "the recipient has blocked the sender",
    "NSPM": "the filter found no spam",
    "SFE": "the recipient has listed the sender as safe, so nothing was filtered",
    "SKA": "an administrator has listed the sender as allowed, so nothing was filtered",
    "SKB": "an administrator has listed the sender as blocked",
    "SKN": "a rule let it past the filter",
    "SKQ": "it was let go from quarantine",
    "SKS": "a rule marked it as spam before the filter",
    "SPM": "the filter found it to be spam",
}
_CATEGORIES: Final = {
    "AMP": "malware", "BIMP": "an imitated brand", "BULK": "bulk mail", "DIMP": "an imitated domain",
    "FTBP": "a forbidden kind of attachment", "GIMP": "an imitated correspondent", "HPHSH": "phishing, for certain",
    "HPHISH": "phishing, for certain", "HSPM": "spam, for certain", "INTOS": "phishing from within",
    "MALW": "malware", "OSPM": "outgoing spam", "PHSH": "phishing", "SAP": "a dangerous attachment", "SPM": "spam",
    "SPOOF": "a forged author", "UIMP": "an imitated person",
}  # fmt: skip


class Saying(NamedTuple):
    """What one field says: in words, and as it stands there, reduced to what is documented."""

    words: str
    evidence: str


def microsoft_fields(message: Message) -> tuple[Saying, ...]:
    """What the fields say, each thing once. Pure, and nothing but look-ups where there are none."""
    named = message.by_name
    said: list[Saying] = []
    for field in named.get(b"authentication-results", ())[:MAX_FIELDS]:
        found = _COMPAUTH.search(field.value[:MAX_VALUE])
        if found is not None:
            said.append(_composite(found[1].decode("ascii").lower(), (found[2] or b"").decode("ascii")))
    for name, shown in _AUTH_AS.items():
        for field in named.get(name, ())[:MAX_FIELDS]:
            word = _SENDER.get(field.value[:MAX_VALUE].strip().lower().decode("latin-1"))
            if word is not None:
                said.append(Saying(word[1], f"{shown}: {word[0]}"))
    for field in named.get(b"x-forefront-antispam-report", ())[:MAX_FIELDS]:
        words = tuple(_report(field.value[:MAX_VALUE]))
        if words:
            shown = "; ".join(entry for _, entry in words)
            said.append(Saying(", ".join(text for text, _ in words), f"{_REPORT}: {shown}"))
    return tuple(dict.fromkeys(said))[:MAX_TOLD]


def _composite(result: str, code: str) -> Saying:
    words = _RESULTS[result]
    if not code:
        return Saying(words, f"compauth={result}")
    belongs, why = _CODES.get(code) or _CODES.get(code[0]) or (result, "for a reason that is not documented")
    odd = "" if belongs == result else f" (a reason that does not belong to “{result}”)"
    return Saying(f"{words}: {why}{odd}", f"compauth={result} reason={code}")


def _report(value: bytes) -> Iterator[tuple[str, str]]:
    """What the filter found, and which address it says that the message came from: in words, and as it stands there."""
    entries: dict[str, str] = {}
    for entry in value.decode("latin-1").split(";"):
        key, colon, text = entry.strip().partition(":")
        if colon and key in {"SFV", "CAT", "CIP"}:
            entries.setdefault(key, text.strip())
    filtered, category = entries.get("SFV", ""), entries.get("CAT", "")
    if filtered in _FILTERED:
        yield _FILTERED[filtered], f"SFV:{filtered}"
    if category in _CATEGORIES:
        yield f"it was taken for {_CATEGORIES[category]}", f"CAT:{category}"
    client = address_of(entries.get("CIP", ""))
    if client is not None and client != _NO_CLIENT:
        yield f"it came from the address {client}", f"CIP:{client}"


_NO_CLIENT: Final = "255.255.255.255"  # what stands there when the message came from within
