"""Which thread does a message belong to? Pure; who may speak on it is another question (``standing``).

In this order: our own reply address, Message-IDs that we sent or stored (RFC 5322 3.6.4), a tag such as
[INC-000001] in the subject. Reply addresses and references to mail that we sent are proofs; when proofs
name different threads nothing is guessed and a person decides.
"""

from __future__ import annotations

import re

from threads.model import (
    Candidates,
    Direction,
    MatchRule,
    ReplyToken,
    Signal,
    ThreadKeys,
    ThreadMatch,
)
from verifier.encoded_word import decode
from verifier.message import Message

# Long conversations carry hundreds of references; the ones that count are the newest, at the end.
MAX_REFERENCES = 200
# Of a field that names Message-IDs this many bytes are read, from its end: 200 IDs of some 160 octets each.
MAX_FIELD_BYTES = 32_768
# Message-IDs longer than a line of mail (RFC 5322 2.1.1) are not looked for.
MAX_MESSAGE_ID = 998
MAX_TAGS = 10
# Subjects are read to this length: a tag stands at the front or after a few "Re:".
MAX_SUBJECT = 2_000

# No character of an ID is looked at twice: "<" cannot stand inside one.
_MESSAGE_ID = re.compile(r"<([^<>]*)>")
_TAG = re.compile(r"\[\s{0,3}((?:INC|INQ|SVC)-[0-9]{1,10})\s{0,3}\]", re.IGNORECASE | re.ASCII)


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
        prefix, _, number = hit.upper().partition("-")
        tags[f"{prefix}-{int(number):06d}"] = None
    return tuple(tags)[:MAX_TAGS]


def thread_keys(message: Message, reply: ReplyToken | None = None) -> ThreadKeys:
    """What a message carries that may name its thread; ``reply`` is what its recipient address said."""
    in_reply_to: list[str] = []
    references: list[str] = []
    for field in message.named(b"in-reply-to")[:1]:
        in_reply_to += message_ids(field.value)
    for field in message.named(b"references")[:1]:
        references += message_ids(field.value)
    tags: tuple[str, ...] = ()
    for field in message.named(b"subject")[:1]:
        tags = subject_tags(decode(field.value[: MAX_SUBJECT * 4].decode("utf-8", "replace")))
    return ThreadKeys(reply, tuple(in_reply_to), tuple(references), tags)


def match(keys: ThreadKeys, candidates: Candidates) -> ThreadMatch:
    """The thread that the keys name, with every signal; a conflict of proofs names none."""
    address, sent, stored, tagged = _signals(keys, candidates)
    signals = (*address, *sent, *stored, *tagged)
    proven = {signal.thread_id for signal in (*address, *sent)}
    if len(proven) > 1:
        names = " and ".join(sorted(candidates.threads[number].reference for number in proven))
        return ThreadMatch(
            None, MatchRule.CONFLICT, f"its reply address and references name {names}", signals
        )
    if address:
        return _found(address[0], "it was sent to the reply address of {}", candidates, signals)
    if sent:
        return _found(sent[0], "it answers a mail of ours on {}", candidates, signals)
    for found, reason in (
        (stored, "it answers a mail on record on {}"),
        (tagged, "its subject names {}"),
    ):
        named = {signal.thread_id for signal in found}
        if len(named) == 1:
            return _found(found[0], reason, candidates, signals)
        if named:
            names = " and ".join(sorted(candidates.threads[number].reference for number in named))
            return ThreadMatch(None, MatchRule.CONFLICT, f"it names {names}", signals)
    return ThreadMatch(None, MatchRule.NONE, "nothing in it names a thread")


def _found(signal: Signal, reason: str, candidates: Candidates, signals: tuple[Signal, ...]) -> ThreadMatch:
    reference = candidates.threads[signal.thread_id].reference
    return ThreadMatch(signal.thread_id, signal.rule, reason.format(reference), signals)


def _signals(
    keys: ThreadKeys, candidates: Candidates
) -> tuple[list[Signal], list[Signal], list[Signal], list[Signal]]:
    address: list[Signal] = []
    if keys.reply is not None and keys.reply.thread_id in candidates.threads:
        address.append(Signal(MatchRule.REPLY_ADDRESS, "reply address", keys.reply.thread_id))
    sent: list[Signal] = []
    stored: list[Signal] = []
    for message_id in keys.message_ids:
        known = [hit for hit in candidates.known.get(message_id, ()) if hit.thread_id in candidates.threads]
        ours = [hit for hit in known if hit.direction is Direction.OUT]
        # A customer may put any Message-ID on a mail, one of ours too: then only ours counts.
        for hit in ours or known:
            (sent if ours else stored).append(
                Signal(MatchRule.REFERENCES, message_id, hit.thread_id, hit.direction)
            )
    tagged = [
        Signal(MatchRule.SUBJECT_TAG, tag, candidates.tagged[tag])
        for tag in keys.tags
        if tag in candidates.tagged
    ]
    return address, sent, stored, tagged
