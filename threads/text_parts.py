"""Which parts of a message are its text to people, and which are other forms of the same text (RFC 2046 5.1)."""

from __future__ import annotations

from verifier.message import Message
from verifier.parts import Part, body_bytes

# Bytes of one text part, still encoded, that are read: a person writes less, and what a log file in a text part holds
# beyond is in the stored bytes.
MAX_PART_BYTES = 1_000_000
# Text parts that are put together; a message with more is a digest.
MAX_TEXT_PARTS = 50
# What machines put into a report for machines.
REPORT_TYPES = frozenset(
    {
        *("message/delivery-status", "message/global-delivery-status", "message/disposition-notification"),
        *("message/feedback-report", "text/rfc822-headers", "message/global-headers"),
        "message/global-disposition-notification",
    }
)
# Text types that are files to people: shown as attachments, not as text (RFC 2046 4.1.4 for all others).
TEXT_FILES = frozenset({"text/calendar", "text/directory", "text/vcard", "text/x-vcard", "text/rtf"})


class TextParts:
    """Text parts to read (``chosen``), in their order, and all parts that they stand for: the other alternatives too.

    ``shown`` holds the numbers of those. ``returned`` are texts behind the first one of a report.
    """

    def __init__(self, message: Message, parts: tuple[Part, ...]) -> None:
        self.message = message
        self.parts = parts
        self.chosen: list[Part] = []
        self.returned: list[Part] = []
        self.shown: set[int] = set()
        self.inside: dict[int, list[Part]] = {}
        for part in parts:
            if part.parent is not None:
                self.inside.setdefault(part.parent, []).append(part)
        if parts:
            self._visit(parts[0])

    def _visit(self, part: Part) -> None:
        """Recursive; the walker opens at most MAX_DEPTH containers inside each other."""
        inside = self.inside.get(part.number, [])
        if inside and part.content_type == "multipart/alternative":
            self._alternative(inside)
        elif part.multipart and inside:
            if part.content_type != "multipart/report":
                for child in inside:
                    self._visit(child)
                return
            # Of a report only its first part is for people (RFC 6522 3); some return the message as a plain text.
            self._visit(inside[0])
            for child in inside[1:]:
                if child.content_type in ("text/plain", "text/html") and _is_inline_text(child):
                    self.returned.append(child)
                    self.shown.add(child.number)
        elif (_is_inline_text(part) or (part.multipart and part.number == 0)) and len(
            self.chosen
        ) < MAX_TEXT_PARTS:
            # A multipart without parts, whose boundary is missing or never comes, is text to people.
            self.chosen.append(part)
            self.shown.add(part.number)

    def _alternative(self, inside: list[Part]) -> None:
        """The same text in several forms (RFC 2046 5.1.4): the plain one if it says anything."""
        before = len(self.chosen)
        plain = [child for child in inside if child.content_type == "text/plain"]
        others = [child for child in inside if child.content_type != "text/plain"]
        speaking = [
            child for child in plain if _is_inline_text(child) and _says_something(self.message, child)
        ]
        self.chosen += speaking[:1]
        if len(speaking) > 1:  # no form of the same text, unless they are equal or HTML by mistake
            known = [body_bytes(self.message, child, MAX_PART_BYTES).strip() for child in speaking]
            for number in range(1, min(len(speaking), MAX_TEXT_PARTS)):
                if known[number] not in known[:number] and known[number][:1] != b"<":
                    self.chosen.append(speaking[number])
        for child in () if speaking else others:
            self._visit(child)
            if len(self.chosen) > before:
                break
        related = [c for child in others if child.multipart for c in self.inside.get(child.number, [])]
        forms = [*plain, *(c for c in (*others, *related) if c.content_type == "text/html")]
        self.shown.update(form.number for form in forms)


def _is_inline_text(part: Part) -> bool:
    if not part.content_type.startswith("text/"):
        return False
    if part.number and (part.content_type in TEXT_FILES or part.content_type in REPORT_TYPES):
        return False
    return part.disposition != "attachment" and (part.filename is None or part.number == 0)


def _says_something(message: Message, part: Part) -> bool:
    return bool(body_bytes(message, part, MAX_PART_BYTES).strip())
