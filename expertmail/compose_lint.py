"""What a writer should look at again before a letter goes. Pure: notes in plain words, and nothing is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from outbound.model import Rendered, Value
from outbound.variables import Variable, VariableType

SHOWN_SUBJECT = 78
"""What a telephone shows of a subject before it is cut."""


@dataclass(frozen=True, slots=True)
class _Script:
    """The characters that a language is written in, and the share of a text's letters that is of them at least.

    Japanese text about computers may be Latin for the most part; English text never has many other letters.
    """

    letters: re.Pattern[str]
    share: float


_KANA_AND_HAN = "\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uff66-\uff9f"
_SCRIPTS: Mapping[str, _Script] = {
    "en": _Script(re.compile(r"[A-Za-z\u00c0-\u024f]"), 0.5),
    "ja": _Script(re.compile(f"[{_KANA_AND_HAN}]"), 0.02),
}


def lint(mails: Sequence[Rendered], languages: Mapping[str, str], written: str) -> tuple[str, ...]:
    """The notes on a letter: a long subject, a language that a recipient does not read, and details that are left out.

    ``languages`` are those that the addresses (lower case) read, ``written`` is what experts wrote into the letter.
    """
    notes = [
        f"the subject has {len(mail.subject)} characters; telephones show some {SHOWN_SUBJECT}"
        for mail in mails[:1]
        if len(mail.subject) > SHOWN_SUBJECT
    ]
    for mail in mails:
        wanted = languages.get(mail.rcpt_to.lower(), mail.language)
        if _base(wanted) != _base(mail.language):
            notes.append(f"{mail.rcpt_to} reads {wanted}, and this kind of mail is in {mail.language}")
        if _other_script(written, wanted):
            notes.append(f"{mail.rcpt_to} reads {wanted}, and what you wrote does not look like it")
        if not mail.disclosure.full:
            notes.append(f"to {mail.rcpt_to}: {mail.disclosure.words}")
    return tuple(notes)


def written_in(variables: Sequence[Variable], words: Mapping[str, Value]) -> str:
    """The sentences among a letter's words; names, titles and choices tell no language."""
    texts: list[str] = []
    for one in variables:
        value = words.get(one.name)
        if one.type is VariableType.TEXT and isinstance(value, str):
            texts.append(value)
        elif one.type is VariableType.LINES and isinstance(value, tuple):
            texts.extend(item for item in value if isinstance(item, str))
    return "\n".join(texts)


def _base(language: str) -> str:
    return language.lower().partition("-")[0]


def _other_script(text: str, language: str) -> bool:
    script = _SCRIPTS.get(_base(language))
    letters = sum(character.isalpha() for character in text)
    if script is None or not letters:
        return False
    return len(script.letters.findall(text)) < script.share * letters
