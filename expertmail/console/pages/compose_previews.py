"""Mails as they would be, kept in memory for who looks at them: a frame asks for each by itself."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Self

from expertmail.own_mail import html_of, text_of
from outbound.model import Rendered

MAX_KEPT: Final = 100
"""Letters in memory at one time, the latest ones; some 50 KB each."""
_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Preview:
    """One mail of a letter."""

    to: str
    subject: str
    disclosure: str
    text: str
    html: str
    raw: str

    @classmethod
    def of(cls, mail: Rendered) -> Self:
        """That of a mail before it is signed."""
        raw = mail.raw.decode("utf-8", "replace").replace("\r\n", "\n")
        return cls(
            mail.rcpt_to, mail.subject, mail.disclosure.words, text_of(mail.raw), html_of(mail.raw) or "", raw
        )


class Previews:
    """Bounded; each is for one session."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[int, tuple[Preview, ...]]] = OrderedDict()

    def keep(self, session_id: int, mails: tuple[Preview, ...]) -> str:
        """Keep the mails of a letter; the name by which they are found."""
        name = secrets.token_hex(_ID_BYTES)
        self._kept[name] = (session_id, mails)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return name

    def find(self, name: str, session_id: int) -> tuple[Preview, ...] | None:
        """What is kept by that name for that session."""
        owner, mails = self._kept.get(name, (None, ()))
        return mails if owner == session_id else None
