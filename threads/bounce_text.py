"""What a bounce says whose maker writes for people only: whom the mail did not reach, why, and which mail it was.

No rule names a product. Makers differ in their sentences, but all put the recipient at the start of a line, behind a
label, or as the only stranger among the addresses, and the returned mail below a line that announces it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from threads.delivery_report import (
    MAX_DIAGNOSTIC,
    MAX_RECIPIENTS,
    Bounce,
    RecipientFate,
    address_in,
    addresses_in,
    bounce_of,
    fates_in,
    returned_message_id,
    with_status,
)
from threads.failure_words import MAX_WORDS, failure_status, meant_status, reply_class
from threads.match import message_ids
from verifier.charset import to_text
from verifier.message import Message, read_message
from verifier.parts import Part, body_bytes

# Characters of text that are looked at: makers write under 4,000 before the returned mail.
MAX_TEXT = 32_000
# Characters of a returned mail in which its header is looked for.
_MAX_RETURNED = 16_000
# Our own mail has one recipient in To; a returned newsletter's list is not read to its end.
_MAX_TO = 2_000

# Lines that announce the returned mail, or with which its header begins.
_RETURNED = re.compile(
    r"^[-*#=>~ \t]{0,80}(?:"
    r"(?:below (?:this line )?is|this is|included is|here is|the following is|attached is) (?:a copy|the (?:header|original|first))"
    r"|(?:the )?(?:header of the )?(?:your )?original (?:message|mail)(?: headers?| info| follows| as follows| text)?\b(?! was )"
    r"|unsent message|returned (?:message|mail)\b|undelivered message|message headers? follow|bounced e-?mail"
    r"|the header of the original|message header follows|copy of (?:the|your) (?:message|mail)"
    r"|(?:received|return-path|message-id|delivered-to|dkim-signature|mime-version|x-original-to):[ \t]*\S"
    r")",
    re.IGNORECASE | re.MULTILINE,
)
# At the start of a line, behind a reply code, a quotation mark, a bullet or nothing.
_LINE_START = re.compile(
    r"^(?:[ \t>*.-]{0,20})(?:[45]\d\d[ -](?:[245]\.\d{1,3}\.\d{1,3} )?)?[<\"']?(?=[^\s<>\"()\[\],;:@]{1,64}@|\"[^\"\n]{1,64}\"@)",
    re.MULTILINE,
)
# Sentences that end in the one address they are about.
_SENTENCE = re.compile(
    r"(?:member of (?:this |the )?(?:mailing )?list|delivering your mail to|could not be delivered to:?|deliver (?:the )?message to:?)"
    r"\s{0,8}[<\"']?(?=[^\s<>\"()\[\],;:@]{1,64}@)",
    re.IGNORECASE,
)
_LABELLED = re.compile(
    r"(?:rcpt to|recipient|target mail address|failed address|undeliverable to|delivered to|message to|your mail to"
    r"|deliver to|address)[ \t]{0,4}:?[ \t]{0,8}[<\"']?(?=[^\s<>\"()\[\],;:@]{1,64}@)",
    re.IGNORECASE,
)
_MAILER = re.compile(r"(?:mailer[-_]?daemon|post_?master|mail-daemon|no-?reply|abuse)@", re.IGNORECASE)
_CODE = re.compile(r"(?<![\w.])[45]\d\d[ -]|(?<![\w.])[45]\.\d{1,3}\.\d{1,3}(?![\w.]\d)")
_OWN_FIELDS = (b"to", b"cc", b"from", b"reply-to", b"return-path", b"sender", b"envelope-to", b"delivered-to")


@dataclass(frozen=True, slots=True)
class _Said:
    """What words say: a status, at least its class, and the words of the remote server."""

    status: str | None
    unspecified: str | None
    diagnostic: str | None


def read_plain(message: Message, parts: tuple[Part, ...], text: str, *, passing: bool) -> Bounce:
    """What the text of a bounce or delay says. ``passing``: the mail is still being tried."""
    text = text[:MAX_TEXT] or broken_body(message)
    returned = _RETURNED.search(text)
    said, below = (text, "") if returned is None else (text[: returned.start()], text[returned.start() :])
    if returned is not None and not said.strip():
        said, below = text, text
    original = returned_message_id(message, parts) or _message_id_in(below) or _message_id_in(text)
    fates = fates_in(text) or _failed_recipients(message) or _found(said, _own(message))
    if not fates:
        fates = tuple(map(RecipientFate, _returned_to(message, parts, below)))
    if not fates:
        status, diagnostic = _why("", _said_of(said, passing=passing), passing=passing)
        return bounce_of((RecipientFate(None, None, status, _action(passing=passing), diagnostic),), original)
    return bounce_of(tuple(_told(fates, said, passing=passing)), original)


def completed(report: Bounce, plain: Bounce) -> Bounce:
    """A report whose fields say not all, with what its text says of the same recipients."""
    if report.recipient is not None and report.status is not None:
        return report
    fates = []
    for fate in report.recipients:
        same = [other for other in plain.recipients if other.recipient == fate.recipient]
        fates.append(with_status(fate, same[0].status if same else plain.status))
    return bounce_of(tuple(fates), report.original_message_id or plain.original_message_id)


def broken_body(message: Message) -> str:
    """The body as it stands, for mail whose structure is so broken that no text was found in it."""
    raw = message.raw[message.body_start : message.body_start + MAX_TEXT]
    return to_text(raw, None)[0].replace("\r\n", "\n")


def _failed_recipients(message: Message) -> tuple[RecipientFate, ...]:
    """Exim's and Gmail's own field: addresses with commas between them."""
    found: dict[str, None] = {}
    for field in message.named(b"x-failed-recipients"):
        for word in to_text(field.value[:_MAX_TO], None)[0].split(","):
            address = address_in(word)
            if address is not None:
                found[address] = None
    return tuple(RecipientFate(address) for address in list(found)[:MAX_RECIPIENTS])


def _own(message: Message) -> frozenset[str]:
    """Addresses that stand for the maker and for whoever sent the returned mail."""
    found: set[str] = set()
    for name in _OWN_FIELDS:
        for field in message.named(name)[:1]:
            text = to_text(field.value[:_MAX_TO], None)[0]
            found.update(hit.group().lower() for hit in addresses_in(text))
    return frozenset(found)


def _found(said: str, own: frozenset[str]) -> tuple[RecipientFate, ...]:
    """The recipients that the words name: at a line's start, else behind a label, else the first stranger."""
    for pattern, every in ((_SENTENCE, True), (_LINE_START, True), (_LABELLED, False)):
        found = []
        for hit in pattern.finditer(said):
            address = address_in(said[hit.end() : hit.end() + 400])
            if address is not None:
                found.append(address)
        strangers = _strangers(found, own)
        if strangers:
            return tuple(map(RecipientFate, strangers if every else strangers[:1]))
    anywhere = [hit.group().rstrip(".") for hit in addresses_in(said)]
    strangers = _strangers(anywhere, own)
    return (RecipientFate(strangers[0]),) if strangers else ()


def _strangers(addresses: list[str], own: frozenset[str]) -> list[str]:
    """Each address once, without the maker's and the sender's own unless there is no other."""
    once = list(dict.fromkeys(addresses))
    others = [a for a in once if a.lower() not in own]
    return ([a for a in others if _MAILER.match(a) is None] or others)[:MAX_RECIPIENTS]


def _returned_to(message: Message, parts: tuple[Part, ...], below: str) -> list[str]:
    """To whom the returned mail went, by its own header."""
    for part in parts[1:]:
        if part.content_type in ("message/rfc822", "text/rfc822-headers"):
            header = read_message(body_bytes(message, part, _MAX_RETURNED))
            for field in header.named(b"to")[:1]:
                address = address_in(to_text(field.value[:_MAX_TO], None)[0])
                if address is not None:
                    return [address]
    for line in below[:_MAX_RETURNED].splitlines():
        if line[:3].lower() == "to:":
            address = address_in(line)
            return [] if address is None else [address]
    return []


def _told(fates: tuple[RecipientFate, ...], said: str, *, passing: bool) -> list[RecipientFate]:
    """Each recipient with the words that stand behind it, up to the next one's."""
    places = _own_places(fates, said)
    starts = sorted(at for at, _ in places.values())
    general = _said_of(said, passing=passing)
    # By address: a report may name one recipient under many original names.
    known: dict[str | None, tuple[str, str | None]] = {}
    told = []
    for fate in fates:
        if fate.recipient not in known:
            words, shown = _words_behind(fate.recipient or "", places, starts, said)
            own, diagnostic = _why(words, general, passing=passing)
            known[fate.recipient] = own, _diagnostic(shown) or diagnostic
        status, diagnostic = known[fate.recipient]
        told.append(
            RecipientFate(
                fate.recipient,
                fate.original_recipient,
                fate.status or status,
                fate.action or _action(passing=passing),
                fate.diagnostic or diagnostic,
            )
        )
    return told


def _words_behind(
    address: str, places: dict[str, tuple[int, bool]], starts: list[int], said: str
) -> tuple[str, str]:
    """What is said of one recipient, and what of it is shown to people; both empty where it stands nowhere."""
    if address not in places:
        return "", ""
    at, coded = places[address]
    # What stands before it in its own line belongs to it: "550 <a@b>... User unknown".
    line = max(said.rfind("\n", 0, at) + 1, at - 80)
    following = bisect_right(starts, at)
    end = starts[following] if following < len(starts) else len(said)
    if coded:
        end = min(end, max(said.find("\n", at), at))
    behind = said[at + len(address) : end]
    # Not the address itself, which may hold any word.
    words = said[line:at] + behind
    shown = said[line:end] if coded else behind
    return words[:MAX_WORDS], shown[:MAX_WORDS]


def _own_places(fates: tuple[RecipientFate, ...], said: str) -> dict[str, tuple[int, bool]]:
    """Where each recipient stands, and whether behind a reply code; no place is that of two.

    An address that begins another one would else be found in it, and a hundred such would each be told all of the text.
    """
    lines = _places(said)
    names = dict.fromkeys(fate.recipient for fate in fates if fate.recipient is not None)
    found: dict[str, tuple[int, bool]] = {}
    taken: set[int] = set()
    for name in sorted(names, key=lambda name: (name not in lines, -len(name))):
        at, coded = lines.get(name) or (said.find(name), False)
        while at in taken:
            at, coded = said.find(name, at + 1), False
        if at >= 0:
            found[name] = at, coded
            taken.add(at)
    return found


def _places(said: str) -> dict[str, tuple[int, bool]]:
    """Where each address starts a line first, and whether a reply code stands before it there."""
    found: dict[str, tuple[int, bool]] = {}
    for hit in _LINE_START.finditer(said):
        address = address_in(said[hit.end() : hit.end() + 400])
        if address is not None:
            found.setdefault(address, (hit.end(), any(map(str.isdigit, hit.group()))))
    return found


def _action(*, passing: bool) -> str:
    return "delayed" if passing else "failed"


def _why(words: str, general: _Said, *, passing: bool) -> tuple[str, str | None]:
    """Status and the remote's own words: from what is said of this recipient, else from all that is said."""
    own = _said_of(words, passing=passing)
    status = own.status or general.status or own.unspecified or general.unspecified
    return status or ("4.0.0" if passing else "5.0.0"), own.diagnostic or general.diagnostic


def _said_of(words: str, *, passing: bool) -> _Said:
    return _Said(
        failure_status(words) or meant_status(words, passing=passing), reply_class(words), _diagnostic(words)
    )


def _diagnostic(text: str) -> str | None:
    """The paragraph's lines from the first one with a code, else the first line that says something."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if _CODE.search(line[:500]):
            rest = []
            for following in lines[number : number + 8]:
                if not following.strip():
                    break
                rest.append(following.strip())
            # The mark between the address and the words is no part of them.
            return " ".join(rest).lstrip(" :>")[:MAX_DIAGNOSTIC]
    first = next((line.strip(" \t>:<\"'") for line in lines if line.strip(" \t>:<\"'.-*=")), None)
    return None if first is None else first[:MAX_DIAGNOSTIC] or None


def _message_id_in(text: str) -> str | None:
    """The first Message-ID field in a text, also where it is quoted."""
    for line in text.splitlines():
        label, colon, value = line[:1_200].lstrip(" >").partition(":")
        if colon and label.lower() == "message-id":
            found = message_ids(value.encode("utf-8", "replace"))
            if found:
                return found[0]
    return None
