"""What a writer should look at again before a letter goes. Pure: notes in plain words, and nothing is refused."""

from __future__ import annotations

from collections.abc import Sequence

from outbound.model import Rendered
from threads.model import Contact

SHOWN_SUBJECT = 78
"""What a telephone shows of a subject before it is cut."""


def lint(mails: Sequence[Rendered], contacts: Sequence[Contact]) -> tuple[str, ...]:
    """The notes on a letter: a long subject, a language that a recipient does not read, details that are left out."""
    notes = [
        f"the subject has {len(mail.subject)} characters; telephones show some {SHOWN_SUBJECT}"
        for mail in mails[:1]
        if len(mail.subject) > SHOWN_SUBJECT
    ]
    languages = {one.address.lower(): one.language for one in contacts}
    for mail in mails:
        wanted = languages.get(mail.rcpt_to.lower(), mail.language)
        if wanted.lower().partition("-")[0] != mail.language.partition("-")[0]:
            notes.append(f"{mail.rcpt_to} reads {wanted}, and this kind of mail is in {mail.language}")
    notes += [
        f"the mail to {mail.rcpt_to} says to see the portal and holds no details ({mail.disclosure.reason}); see that they "
        "stand in the portal"
        for mail in mails
        if not mail.disclosure.full
    ]
    return tuple(notes)
