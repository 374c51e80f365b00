"""A thread's conversation for people: as a tree, why each mail is on it, and what waits outside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from expertmail.tables import MARK_STYLES, moment, plain, say, show_table
from outbound.store.by_thread import headers_of_thread
from threads.match import thread_keys
from threads.model import DamagedCopy, EntryKind, HeldItem, MatchRecord, TimelineEntry
from threads.reference_tree import Branch, Mail, conversation
from threads.store import Connection
from threads.store.match_records import headers_on
from threads.subject import MAX_SUBJECT
from verifier.encoded_word import decode
from verifier.message import read_message

MAX_INDENT: Final = 30
"""Steps to the right on a screen; what is deeper says how deep it is."""
MAX_WORDS: Final = 60
"""Characters of a mail's text in its line of the tree."""

_MAIL: Final = frozenset({EntryKind.MAIL_IN, EntryKind.MAIL_OUT})


def match_json(record: MatchRecord, references: Mapping[int, str]) -> dict[str, Any]:
    """A decision and its signals; threads by what people call them."""
    return {
        "rule": record.rule,
        "reason": record.reason,
        "standing": record.standing,
        "standing_reason": record.standing_reason,
        "signals": [
            {
                "rule": plain(one.rule),
                "key": one.key,
                "thread": references.get(one.thread_id, str(one.thread_id)),
                "direction": plain(one.direction),
                "strength": plain(one.strength),
                "followed": one.followed,
                "note": one.note,
            }
            for one in record.signals
        ],
    }


def say_match(record: MatchRecord, references: Mapping[int, str]) -> None:
    """Why a message is where it is, and each signal that names a thread."""
    say(f"    filed by {record.rule}: {record.reason}", style="dim")
    say(f"    sender: {record.standing_reason}", style="dim")
    say_signals(record, references)


def say_signals(record: MatchRecord, references: Mapping[int, str]) -> None:
    """Each signal that names a thread, and whether it was followed."""
    for one in record.signals:
        kind = f"{one.strength}, {one.direction}" if one.direction else one.strength.value
        led = "followed" if one.followed else f"not followed: {one.note}" if one.note else "not followed"
        thread = references.get(one.thread_id, str(one.thread_id))
        say(f"      {one.rule} {one.key} -> {thread} ({kind}): {led}", style="dim")


def say_outside(waiting: Sequence[HeldItem | DamagedCopy], reference: str) -> None:
    """What was held and seems to belong to a thread: never among the words of the conversation."""
    if not waiting:
        return
    say()
    say(f"Outside the conversation: waits for a decision and seems to belong to {reference}", style="bold")
    show_table(
        ("ID", "RECEIVED", "AUTHOR", "SUBJECT", "WHY"),
        [
            (one.id, "", "", "", one.sentence)
            if isinstance(one, DamagedCopy)
            else (
                one.copy.id,
                moment(one.copy.received_at),
                one.copy.author or "(unreadable)",
                one.copy.subject,
                one.copy.reason,
            )
            for one in waiting
        ],
        "",
    )


def tree_of(conn: Connection, thread_id: int, entries: Iterable[TimelineEntry]) -> tuple[Branch, ...]:
    """The thread's mails as they answer each other; ``Mail.number`` is the entry's id."""
    came, sent = headers_on(conn, thread_id), headers_of_thread(conn, thread_id)
    mails = []
    for entry in entries:
        if entry.kind not in _MAIL:
            continue
        header = came.get(entry.copy_id or "") or sent.get(entry.message_id or "", b"")
        message = read_message(header)
        keys = thread_keys(message)
        subject = ""
        for field in message.named(b"subject")[:1]:
            subject = decode(field.value[: MAX_SUBJECT * 4].decode("utf-8", "replace"))
        ancestors = keys.references or keys.in_reply_to[:1]
        mails.append(Mail(entry.id, entry.message_id, ancestors, subject, entry.at))
    return conversation(mails)


def tree_json(branches: Iterable[Branch]) -> list[dict[str, Any]]:
    """The tree as a flat list from the top down: however deep it is, any program reads it."""
    return [
        {"entry": None if branch.mail is None else branch.mail.number, "depth": depth}
        for branch, depth, _ in _walk(branches)
    ]


def say_tree(branches: Sequence[Branch], entries: Iterable[TimelineEntry]) -> None:
    """Print the tree, a line for each mail."""
    by_id = {entry.id: entry for entry in entries}
    open_at: list[bool] = []  # whether a line goes on downwards at each depth
    for branch, depth, more in _walk(branches):
        del open_at[depth:]
        open_at.append(more)
        stem = "".join("│  " if going else "   " for going in open_at[:-1][:MAX_INDENT])
        deep = f"({depth} deep) " if depth > MAX_INDENT else ""
        turn = "├─ " if more else "└─ "
        if branch.mail is None:
            say(f"{stem}{turn}{deep}(a mail that is not on record)", style="dim")
            continue
        entry = by_id[branch.mail.number]
        words = " ".join(entry.text.split())
        shown = words if len(words) <= MAX_WORDS else f"{words[:MAX_WORDS]}…"
        say(
            f"{stem}{turn}{deep}{moment(entry.at)}  {entry.kind.value}  {entry.actor}  [{entry.mark.value}]  {shown}",
            style=MARK_STYLES.get(entry.mark.value, "cyan"),
        )
    if not branches:
        say("No mail is on this thread yet.")


def _walk(branches: Iterable[Branch]) -> Iterator[tuple[Branch, int, bool]]:
    """Each branch before what hangs on it, with its depth and whether a sibling comes after it."""
    stack = [iter(_with_more(branches))]
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
            continue
        branch, more = found
        yield branch, len(stack) - 1, more
        stack.append(iter(_with_more(branch.under)))


def _with_more(branches: Iterable[Branch]) -> list[tuple[Branch, bool]]:
    every = list(branches)
    return [(branch, at < len(every) - 1) for at, branch in enumerate(every)]
