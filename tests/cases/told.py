"""What was done to a message in each case, in one sentence, for whoever reads the kept files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CHANGES_TOLD: Final[Mapping[str, str]] = {
    "trace fields": "Relays, a filter and the delivery added fields of their own on top.",
    "other order": "Fields of different names changed places.",
    "unsigned field refolded": "A Received field that nobody signed came on top, folded twice.",
    "signed field refolded": "The signed To was folded after its display name.",
    "names in capitals": "A relay wrote the names of all fields in capitals.",
    "blanks after colons": "Two blanks stand after the colon of Date where one was.",
    "empty lines at the end": "A store added two empty lines at the end of the body.",
    "blanks at line ends": "A gateway added a blank at the end of every line of the body.",
    "wider gaps": "The blanks between the words of the body were doubled.",
    "list footer": "A mailing list added its footer below the text.",
    "subject tag": "A mailing list put its name into the subject.",
    "re-encoded": "A server wrote the readable parts of the body anew in base64.",
    "Exchange": "A server took the message apart and wrote it anew: its own boundaries, charset names and fields.",
    "Outlook": "A saved copy whose header was rebuilt, with fields and parameters of its own.",
    "saved with LF": "Saved with lines that end in LF only; it is to be read as if they ended in CRLF.",
}
ATTACKS_TOLD: Final[Mapping[str, str]] = {
    "second From above": "A second From, the attacker's, stands above the signed one.",
    "second From below": "A second From, the attacker's, stands below the signed one.",
    "body replaced": "The body is another one.",
    "text appended after l=": "The signature says how much of the body it covers (l=), and text was appended below that.",
    "From not signed": "The sender's signature leaves out From, so anybody may have written it.",
    "Subject not signed, and changed": "The sender's signature leaves out Subject, which was changed.",
    "second Subject above the signed one": "A second Subject stands above the signed one; many programs show the first.",
    "second Content-Type": "A second Content-Type stands above the signed one and has the body read as HTML.",
    "Reply-To not signed, and added": "The signature does not say that there is no Reply-To, and one was added.",
    "signature expired": "The signature's time has passed (x=).",
    "key revoked": "The key was withdrawn: its record has an empty p=.",
    "key in test mode": "The key's record says that the domain only tests (t=y).",
    "key for the exact domain only": "The signature speaks for a subdomain (i=), which its key forbids (t=s).",
    "key of another type": "The signature says Ed25519, its key's record holds an RSA key.",
    "SHA-1": "The signature is a valid one by rsa-sha1, which nobody may use any more (RFC 8301).",
    "no signature": "The signature was taken away, as anybody can who writes such a message.",
    "signed by somebody else": "The author is the protected sender; the only signature is the attacker's.",
    "display name": "The author's name is the protected one, the address and its valid signature are the attacker's.",
    "display name in other letters": "The same, the name written with Cyrillic letters that look alike.",
    "display name with an invisible letter": "The same, with an invisible letter inside the name.",
    "address in the display name": "The protected address stands where the attacker's name belongs.",
    "address in a comment": "The protected address stands in a comment beside the attacker's.",
    "look-alike domain": "The author's domain looks like the protected one; it is registered, signed and has a policy.",
    "look-alike in other letters": "The same with an internationalised domain.",
    "subdomain trick": "The protected domain is the beginning of a subdomain of the attacker's.",
    "group": "From is a group with the protected name, the attacker's address inside.",
    "two authors": "From names the protected sender and the attacker.",
    "source route": "The protected address stands behind a source route through the attacker's domain.",
    "encoded address": "The protected address stands as an encoded word where the attacker's name belongs.",
    "NUL in the author": "A NUL follows the protected address; programs that stop at it show that address.",
    "blank before the colon": "A blank stands before the colon of From, so that some programs do not see it.",
    "bare line feed before the author": "A bare LF stands before From, so that some programs read it as part of another field.",
    "another author below the same signature": "From was replaced by a stranger below the protected sender's signature.",
}
