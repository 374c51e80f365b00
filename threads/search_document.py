"""What of a message can be found: words of its subject, of the people it names, of its attachments' names and of its new text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from threads.search_words import words_of
from verifier.charset import to_text
from verifier.encoded_word import decode
from verifier.message import Message, read_message
from verifier.parts import walk

MAX_WORDS: Final = 8_000
"""Words of the new text: some twenty pages. PostgreSQL knows 16,383 places in one document and a megabyte of words."""
MAX_OCTETS: Final = 400_000  # of these words together, in UTF-8
MAX_SUBJECT_WORDS: Final = 300
MAX_PEOPLE_WORDS: Final = 600  # some hundred addresses; who wrote stands first
MAX_FILES: Final = 100
MAX_FILE_WORDS: Final = 600
_FIELD_OCTETS: Final = 8_192  # of one header field that names people
_PEOPLE: Final = (b"from", b"to", b"cc")


@dataclass(frozen=True, slots=True)
class Document:
    """The words of one message, by where they stand in it, in their order."""

    subject: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    text: tuple[str, ...] = ()


def document(*, subject: str, envelope: tuple[str, ...], text: str, raw: bytes) -> Document:
    """Make the document of a message: its subject and new text as they were read, its addresses, and its bytes. Never raises.

    Names and addresses of From, To and Cc are taken as they are written: this is for finding, and proves nothing.
    """
    message = read_message(raw)
    people = " , ".join((*envelope, *_people(message)))
    return Document(
        tuple(words_of(subject, MAX_SUBJECT_WORDS)),
        tuple(words_of(people, MAX_PEOPLE_WORDS)),
        tuple(words_of(" , ".join(_file_names(message, raw)), MAX_FILE_WORDS)),
        _within(words_of(text, MAX_WORDS)),
    )


def _people(message: Message) -> list[str]:
    found = []
    for name in _PEOPLE:
        for field in message.named(name)[:1]:
            written, _ = to_text(field.value[:_FIELD_OCTETS], "utf-8")
            found.append(decode(written))
    return found


def _file_names(message: Message, raw: bytes) -> list[str]:
    """Names as their senders wrote them (RFC 2183 2.3, RFC 2045 5.1)."""
    if b"name" not in raw and b"name" not in raw.lower():  # nearly all: no look at the parts
        return []
    return [part.filename for part in walk(message) if part.filename is not None][:MAX_FILES]


def _within(words: list[str]) -> tuple[str, ...]:
    room = MAX_OCTETS
    for number, word in enumerate(words):
        room -= len(word.encode())
        if room < 0:
            return tuple(words[:number])
    return tuple(words)
