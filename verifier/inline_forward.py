"""Whether a message holds another one inline: what a mail program copied there has lost all that could be checked."""

from __future__ import annotations

import re
from typing import Final

# What mail programs write above a message that they forward inline, in the languages of the service's customers.
_MARKER: Final = re.compile(
    r"^[-_> \t]*(?:"
    r"begin forwarded message|forwarded message|forwarded by|"
    r"inicio del mensaje reenviado|mensaje reenviado|"
    r"início da mensagem (?:re)?encaminhada|mensagem (?:re)?encaminhada|"
    r"anfang der weitergeleiteten nachricht|weitergeleitete nachricht|"
    r"début du message (?:réexpédié|transféré)|message (?:réexpédié|transféré|transmis)|"
    r"inizio messaggio inoltrato|messaggio inoltrato|"
    r"転送(?:された)?メッセージ"
    r")[ \t]*:?[-_ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_SUBJECT: Final = re.compile(r"\s*(?:fwd?|wg|tr|rv|enc|i|転送)\s*[:：]", re.IGNORECASE)
# The header that Outlook copies, with no marker of its own: an author with an address, and a date or a subject below.
_COPIED: Final = re.compile(
    r"^[*> \t]{0,4}(?:from|von|de|da|差出人)\s{0,2}[*:：][*: ]{0,3}[^\n]{0,200}@[^\n]{0,200}\n"
    r"(?:[^\n]{0,300}\n){0,2}?"
    r"[*> \t]{0,4}(?:sent|date|gesendet|datum|enviado|envoyé|inviato|subject|betreff|asunto|assunto|objet|oggetto|送信日時|件名)\b",
    re.IGNORECASE | re.MULTILINE,
)


# A word of each marker that is written in ASCII alone, in lower case: found in a fraction of the pattern's time.
_WORDS: Final = ("forwarded", "reenviado", "encaminhada", "weitergeleitete", "transmis", "inoltrato")


def _may_hold_marker(text: str) -> bool:
    """False where no marker can be. Letters beyond ASCII may fold to those of the words, so they do not tell."""
    if not text.isascii():
        return True
    lowered = text.lower()
    for word in _WORDS:  # noqa: SIM110 - a generator takes as long as the searches
        if word in lowered:
            return True
    return False


def holds_inline_forward(subject: str, text: str) -> bool:
    """Whether the text holds a forwarded message, by a marker, or by a copied header where the subject says so.

    A copied header alone is no sign: every reply of some programs quotes with one.
    """
    if _may_hold_marker(text) and _MARKER.search(text.replace("\r\n", "\n")):
        return True
    return _SUBJECT.match(subject) is not None and _COPIED.search(text.replace("\r\n", "\n")) is not None
