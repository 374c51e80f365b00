"""Which thread does a message belong to? Pure; who may speak on it is another question (``standing``).

In this order: our own reply address, Message-IDs that we sent or stored (RFC 5322 3.6.4), a tag such as
[INC-000001] in the subject or an ancestor that a mail on record shares. ``signals`` finds and ranks them; here one is followed,
and of each other one it is said why not. Signals of one strength that name different threads are a conflict: nothing is guessed
and a person decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from threads.model import (
    Candidates,
    Direction,
    MatchRule,
    ReplyToken,
    Signal,
    SignalStrength,
    ThreadKeys,
    ThreadMatch,
)
from threads.signals import Signals, signals
from verifier.encoded_word import decode
from verifier.message import Message

# Long conversations carry hundreds of references; the ones that count are the newest, at the end.
MAX_REFERENCES = 200
# Of a field that names Message-IDs this many bytes are read, from its end: 200 IDs of some 160 octets each.
MAX_FIELD_BYTES = 32_768
# Message-IDs longer than a line of mail (RFC 5322 2.1.1) are not looked for.
MAX_MESSAGE_ID = 998
MAX_TAGS = 10
# Threads that a conflict names in words; the signals name each.
MAX_NAMES: Final = 3
# Subjects are read to this length: a tag stands at the front or after a few "Re:".
MAX_SUBJECT = 2_000

# No character of an ID is looked at twice: "<" cannot stand inside one.
_MESSAGE_ID = re.compile(r"<([^<>]*)>")
# Programs of East Asian languages widen the brackets, and some the hyphen.
_TAG = re.compile(
    r"[\[［【〔]\s{0,3}((?:INC|INQ|SVC)[-‐‑－][0-9]{1,10})\s{0,3}[\]］】〕]", re.IGNORECASE | re.ASCII
)
_HYPHENS: Final = str.maketrans("‐‑－", "---")
# Servers that give a message another Message-ID keep the one that its author's program wrote: Exchange and Outlook.com,
# Gmail, and what others call it. An answer may refer to either.
_OWN_IDS: Final = (
    b"x-microsoft-original-message-id",
    b"x-google-original-message-id",
    b"x-original-message-id",
    b"original-message-id",
)


def message_ids(value: bytes) -> tuple[str, ...]:
    """Message-IDs in a field value, in order, without angle brackets and without blanks inside them.

    Tolerant: folding, comments and words around them are skipped; bare ``a@b`` words count where there are
    no angle brackets at all. The last ones are kept beyond the cap.
    """
    text = value[-MAX_FIELD_BYTES:].decode("utf-8", "replace")
    found = _MESSAGE_ID.findall(text) if "<" in text else [w for w in text.split() if "@" in w]
    cleaned = ("".join(item.split()) for item in found)
    kept = dict.fromkeys(
        item for item in cleaned if item and "\0" not in item and len(item.encode()) <= MAX_MESSAGE_ID
    )
    return tuple(kept)[-MAX_REFERENCES:]


def subject_tags(subject: str) -> tuple[str, ...]:
    """References in square brackets, as they are shown: INC-000001."""
    tags: dict[str, None] = {}
    for hit in _TAG.findall(subject[:MAX_SUBJECT]):
        prefix, _, number = hit.upper().translate(_HYPHENS).partition("-")
        tags[f"{prefix}-{int(number):06d}"] = None
    return tuple(tags)[:MAX_TAGS]


def thread_keys(message: Message, reply: ReplyToken | None = None) -> ThreadKeys:
    """What a message carries that may name its thread; ``reply`` is what its recipient address said.

    Of a field that occurs twice (RFC 5322 3.6 allows one) the first counts.
    """
    in_reply_to: list[str] = []
    references: list[str] = []
    for field in message.named(b"in-reply-to")[:1]:
        in_reply_to += message_ids(field.value)
    for field in message.named(b"references")[:1]:
        references += message_ids(field.value)
    tags: tuple[str, ...] = ()
    for field in message.named(b"subject")[:1]:
        tags = subject_tags(decode(field.value[: MAX_SUBJECT * 4].decode("utf-8", "replace")))
    own_ids: list[str] = []
    for name in _OWN_IDS:
        if name in message.by_name:
            own_ids += message_ids(message.by_name[name][0].value)[:1]
    return ThreadKeys(reply, tuple(in_reply_to), tuple(references), tags, tuple(own_ids))


def match(keys: ThreadKeys, candidates: Candidates, at: datetime | None = None) -> ThreadMatch:
    """The thread that the keys name, with every signal and what became of it; a conflict names none.

    ``at`` is when the message came: reply addresses have their time.
    """
    found = signals(keys, candidates, at) if candidates.threads else None
    every = () if found is None else found.all
    if found is None or not every:
        return _NOTHING
    if any(signal.direction is Direction.MOVED for signal in found.chain):
        return _moved(found, candidates)
    proofs = [signal for signal in every if signal.strength is SignalStrength.PROOF]
    if proofs:
        return _decided(proofs, found, candidates)
    own = _organisations(candidates)
    records = [signal for signal in found.chain if signal.strength is SignalStrength.RECORD]
    if records:
        return _decided(_of_the_author(records, candidates, own), found, candidates)
    ancestors = [signal for signal in found.chain if signal.rule is MatchRule.ANCESTOR]
    # The nearest ancestor that is known of says most, and nothing of a conversation that several customers take part in.
    ancestors = [
        signal
        for signal in ancestors
        if signal.key == ancestors[0].key and candidates.threads[signal.thread_id].organisation_id in own
    ]
    if len(ancestors) > 1:
        ancestors = []
    hints = [*_of_the_author(list(found.tags), candidates, own), *ancestors]
    if hints:
        return _decided(hints, found, candidates)
    return ThreadMatch(None, MatchRule.NONE, _NOT_ENOUGH, _settled(every, None, ""))


_NOTHING: Final = ThreadMatch(None, MatchRule.NONE, "nothing in it names a thread")
_NOT_ENOUGH: Final = "nothing in it names a thread for certain"
_REASONS = {
    MatchRule.REPLY_ADDRESS: "it was sent to the reply address of {}",
    MatchRule.ANCESTOR: "it refers to the same earlier message as a mail on {}",
    MatchRule.SUBJECT_TAG: "its subject names {}",
}
_BY_DIRECTION = {
    Direction.MOVED: "it answers a mail that an expert moved to {}",
    Direction.OUT: "it answers a mail of ours on {}",
    Direction.HOP: "it answers a mail of ours on {}, by the Message-ID that our smarthost gave it",
    Direction.IN: "it answers a mail on record on {}",
}


def _decided(leading: list[Signal], found: Signals, candidates: Candidates) -> ThreadMatch:
    """Follow the first of ``leading``, which are of one strength, unless they name different threads."""
    named = {signal.thread_id for signal in leading}
    if len(named) > 1:
        names = _names(candidates.threads[number].reference for number in named)
        whose = "its reply address and references name" if _has_proof(leading) else "it names"
        note = f"signals of this strength name {names}"
        return ThreadMatch(
            None, MatchRule.CONFLICT, f"{whose} {names}", _settled(found.all, None, note, leading)
        )
    return _follow(leading[0], found, candidates, _STRONGER[leading[0].strength])


def _names(references: Iterable[str]) -> str:
    """A few of the references in words: it is said at each signal."""
    names = sorted(set(references))
    more = len(names) - MAX_NAMES
    return " and ".join(names) if more <= 0 else f"{', '.join(names[:MAX_NAMES])} and {more} more"


_STRONGER = {
    SignalStrength.PROOF: "{} is named by a proof",
    SignalStrength.RECORD: "{} is named by a reference to a mail on record",
    SignalStrength.HINT: "{} is named by what is nearer, or is of the author's own organisation",
}


def _moved(found: Signals, candidates: Candidates) -> ThreadMatch:
    """An expert moved a part of this conversation: where its nearest mail stands now, it goes on.

    That overrides the address and the mails of a thread which the conversation came from, and of no other one.
    """
    own = _organisations(candidates)
    known = [signal for signal in found.chain if signal.strength is not SignalStrength.HINT]
    nearest = _of_the_author([s for s in known if s.key == known[0].key], candidates, own)
    came_by = {signal.thread_id for signal in found.chain} | found.left
    address = found.address
    if address is not None and address.strength is SignalStrength.PROOF and address.thread_id not in came_by:
        return _decided([address, *nearest], found, candidates)
    if len({signal.thread_id for signal in nearest}) > 1:
        return _decided(nearest, found, candidates)
    return _follow(nearest[0], found, candidates, "an expert moved the conversation on to {}")


def _follow(signal: Signal, found: Signals, candidates: Candidates, otherwise: str) -> ThreadMatch:
    reference = candidates.threads[signal.thread_id].reference
    reason = _REASONS.get(signal.rule)
    if reason is None:
        reason = _BY_DIRECTION[signal.direction or Direction.IN]
    return ThreadMatch(
        signal.thread_id,
        signal.rule,
        reason.format(reference),
        _settled(found.all, signal.thread_id, otherwise.format(reference)),
    )


def _settled(
    every: tuple[Signal, ...], thread_id: int | None, note: str, disputed: list[Signal] | None = None
) -> tuple[Signal, ...]:
    """Each signal with what became of it: followed, or why not."""
    settled: list[Signal] = []
    at_odds = frozenset(disputed or ())
    for one in every:
        followed = one.thread_id == thread_id and not one.note
        why = one.note
        if not followed and not why:
            why = note
            if disputed is not None and one not in at_odds:
                why = (
                    "stronger signals name several threads"
                    if one.strength is not disputed[0].strength
                    else note
                )
            if thread_id is None and disputed is None:
                why = "it names a thread of another customer, or several"
        settled.append(Signal(one.rule, one.key, one.thread_id, one.direction, one.strength, followed, why))
    return tuple(settled)


def _organisations(candidates: Candidates) -> set[int]:
    """Whom the author's address or domain belongs to, whether or not it is proven that the author wrote this."""
    return {contact.organisation_id for contact in candidates.contacts} | set(candidates.domain_organisations)


def _of_the_author(found: list[Signal], candidates: Candidates, own: set[int]) -> list[Signal]:
    """Of signals that name several threads those of the author's own organisation, if only they can be meant."""
    if len({signal.thread_id for signal in found}) <= 1:
        return found
    mine = [s for s in found if candidates.threads[s.thread_id].organisation_id in own]
    return mine or found


def _has_proof(leading: list[Signal]) -> bool:
    return any(signal.strength is SignalStrength.PROOF for signal in leading)
