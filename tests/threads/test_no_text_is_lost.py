"""What Python's own library finds in the text parts of a public message is in ours: no word is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from html.parser import HTMLParser
from pathlib import Path

from threads.reading import ReadingFlag, read
from verifier.message import read_message
from verifier.parts import attached_messages, walk

WORD = re.compile(r"(?:[^\W_]|\ufffd)+")
MESSAGE = re.compile(rb"(?:\xef\xbb\xbf|>?From |\s*[!-9;-~]+[ \t]*:)")  # its first line is a field
NO_MAIL = frozenset({".json", ".cfg", ".list", ".html", ".htm", ".mbox", ".py", ".sh"})
REPLIES = frozenset({"email_reply_trimmer", "crisp", "alfonsrv", "zapier-erp", "github-erp", "quotequail"})
FILES = (
    "text/calendar",
    "text/rfc822-headers",
    "text/rfc822-header",
    "text/vcard",
    "text/x-vcard",
    "text/directory",
)
# Where the library's own reading is the poorer one, with the reason.
OTHERWISE_READ = {
    "example13.eml": "takes 'To : x' for text, a field of the old form (RFC 5322 4.5)",
    "019.eml": "takes 'Fro :x' for text, a field of the old form",
    "003.eml": "leaves quoted-printable as it is, since blanks follow the name of the encoding",
    "quoted-printable.eml": "a second alternative of the same text, HTML that is named plain",
    "enclosed-broken-body.eml": "leaves base64 that was cut off as it is",
    "008.eml": "alternatives inside alternatives: other forms of the one that is shown",
    "rhost-google-06.eml": "takes for text what is named base64, may be it, and is a word of five letters",
    "feedback-report.txt": "takes all for one plain text, since a line of the header is no field",
    "issue358.txt": "takes all for one plain text, since a line of the header is no field",
    "issue84": "takes all for one plain text, since a line of the header is no field",
}


class Words(HTMLParser):
    """Text between tags, without scripts, styles and the head."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        self.hidden += tag in ("script", "style", "head", "title")

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= bool(self.hidden) and tag in ("script", "style", "head", "title")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.found.append(data)


def text_parts(message: Message, alternative: bool = False) -> Iterator[Message]:
    """Text parts that are no files; of alternatives only the plain ones. Attached messages are read on their own."""
    if message.is_multipart():
        if message.get_content_maintype() != "message":
            inside = alternative or message.get_content_type() == "multipart/alternative"
            for part in message.get_payload():
                yield from text_parts(part, inside)
        return
    kind = message.get_content_type()
    if (
        message.get_content_maintype() == "text"
        and kind not in FILES
        and not message.get_filename()
        and message.get_content_disposition() != "attachment"
        and not (alternative and kind != "text/plain")
    ):
        yield message


def text_of(part: Message) -> str:
    octets = part.get_payload(decode=True) or b""
    try:
        text = octets.decode(part.get_content_charset() or "utf-8", "replace")
    except (LookupError, UnicodeError):
        text = octets.decode("utf-8", "replace")
    if part.get_content_type() == "text/html":
        reader = Words()
        reader.feed(text)
        reader.close()
        return " ".join(reader.found)
    return text


def lost(raw: bytes) -> list[str]:
    """Words that the library finds and we do not; where a charset was repaired, only ASCII can be compared."""
    reading = read(raw)
    words = set(WORD.findall(reading.body.text))
    text = "".join(reading.body.text.split())  # a word may be split between tags
    repaired = ReadingFlag.CHARSET_GUESSED in reading.flags
    return [
        word
        for part in text_parts(message_from_bytes(raw))
        for word in WORD.findall(text_of(part))
        if word not in words
        and word not in text
        and "\ufffd" not in word
        and not (repaired and not word.isascii())
    ]


def test_no_word_of_a_public_message_is_lost(shared_data: Path) -> None:
    count = 0
    failed = {}
    for path in sorted((shared_data / "mail").rglob("*")):
        if (
            not path.is_file()
            or path.suffix in NO_MAIL
            or path.name == "SOURCE.txt"
            or REPLIES & set(path.parts)
        ):
            continue
        raw = path.read_bytes()
        if not MESSAGE.match(raw):
            continue
        if b"\n" not in raw:
            raw = raw.replace(b"\r", b"\r\n")
        cut = ReadingFlag.TEXT_CUT in read(raw).flags  # told: what is over a megabyte is in the stored bytes
        inner = attached_messages(read_message(raw), walk(read_message(raw)))
        for one in [raw, *inner] if not cut else inner:
            count += 1
            if words := lost(one):
                failed[path.name] = words[:5]
    assert count > 1_400
    assert {name: words for name, words in failed.items() if name not in OTHERWISE_READ} == {}
    assert set(failed) == set(OTHERWISE_READ)  # and no reason outlives its message
