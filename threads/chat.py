"""A message of an incident's chat: by which number it is known on each side, and who of the customer's reads it by mail. Pure.

A portal numbers its messages, we number entries: each side's numbers are carried to the other one, so that a message that comes back is
known and put nowhere twice.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from threads.model import ActorKind, Mark, Thread, ThreadKind

MAX_NUMBER: Final = 200
"""Characters of the number that somebody else gives a message: its column holds no more."""
MAX_NAME: Final = 100
"""Characters of an author's name: a mail that tells of the message takes no more."""
CARRY_FOR: Final = timedelta(hours=24)
"""What could not go by mail for so long is told of by mail no more: by then somebody has to telephone."""
CONSOLE: Final = "console"
"""Who numbers what is written in our own console."""

_OURS: Final = re.compile(r"entry-[0-9]+", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """What somebody wrote. ``source`` is who numbered it, ``number`` their number of it.

    ``speaker`` is the expert or the customer. ``contact``: it is a contact of the customer's, as the portal says.
    """

    source: str
    number: str
    speaker: ActorKind
    name: str
    text: str
    contact: bool = False

    @property
    def mark(self) -> Mark:
        """How the timeline shows it: nobody here has seen a proof of a customer's words, the portal has."""
        return Mark.PORTAL if self.speaker is ActorKind.CUSTOMER else Mark.EXPERT

    def digest(self, about: str) -> str:
        """What it says on which thread, as one value: two messages under one number have to be equal in it."""
        said = [about.strip().upper(), self.speaker.value, self.contact, self.name, self.text]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def source_of(token_name: str) -> str:
    """Who a program's numbers are unique for: the name of a token is never given twice."""
    return f"token:{token_name}"


def entry_name(entry_id: int) -> str:
    """The number by which others know an entry of ours."""
    return f"entry-{entry_id}"


def is_ours(number: str) -> bool:
    """Whether a number is one that we have given, so that the message is an echo."""
    return _OURS.fullmatch(number.strip()) is not None


def mail_key(entry_id: int, contact_id: int) -> str:
    """The key under which an entry goes to one contact by mail, once."""
    return f"chat {entry_id} {contact_id}"


def no_chat(thread: Thread, *, responded: bool) -> str | None:
    """Why there is no chat about a thread, as a sentence; None if there is. ``responded``: a managed response was published."""
    if thread.kind is not ThreadKind.INCIDENT:
        return f"{thread.reference} is no incident, and so it has no chat."
    if not responded:
        return (
            f"{thread.reference} has no chat, for no managed response was published about it; write by mail."
        )
    return None
