"""What a Teams channel is shown of an incident: Adaptive Cards 1.4, for a workflow that posts what its webhook is sent. Pure.

Every word that somebody wrote is a TextRun: those are shown as they are, while a TextBlock and a FactSet read Markdown. What
shows as nothing or turns text round is written out. A message of a webhook is 28 KB at most, so long text ends early and says so.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from outbound.disclosure import Disclosure
from threads.model import EntryKind, Mark, Severity, State, Tlp

MAX_TEXT: Final = 5_000
"""Characters of an entry; with those that are written out, and escaped, within MAX_BODY."""
MAX_LINE: Final = 300
MAX_BODY: Final = 26_000
"""Octets of a message: Teams takes 28 KB, and the workflow adds its own."""
_ODD: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
_VERSION: Final = "1.4"
_SCHEMA: Final = "http://adaptivecards.io/schemas/adaptive-card.json"
_TYPE: Final = "application/vnd.microsoft.card.adaptive"

_SAID: Final = {
    EntryKind.MAIL_IN: "wrote by mail",
    EntryKind.MAIL_OUT: "wrote by mail",
    EntryKind.CHAT: "wrote",
    EntryKind.STATE: "changed the incident",
    EntryKind.CALL: "telephoned",
    EntryKind.EVENT: "told of a mail",
    EntryKind.NOTE: "noted",
}
_MARKS: Final = {
    Mark.VERIFIED: "verified contact",
    Mark.NOT_LISTED: "from a verified domain, not a listed contact",
    Mark.UNVERIFIED: "unverified",
    Mark.PORTAL: "signed in by the portal or Teams",
    Mark.REPORTED: "as an expert heard it",
    Mark.EXPERT: "Defender Experts",
    Mark.ASSISTANT: "virtual assistant",
    Mark.AUTOMATION: "automatic",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One entry of an incident, and where the incident stands. ``who`` and ``text`` are None where nobody knows who wrote it."""

    reference: str
    title: str
    state: State
    severity: Severity | None
    at: datetime
    kind: EntryKind
    who: str | None
    mark: Mark
    text: str | None
    cut: bool
    tlp: Tlp


def post_card(shown: Shown, disclosure: Disclosure) -> dict[str, Any]:
    """The card that an incident begins with: what it is, and the first entry that is told."""
    facts = [f"State: {shown.state}"]
    if shown.severity is not None:
        facts.append(f"Severity: {shown.severity}")
    title = shown.title if disclosure.full else "An incident"
    head = [
        _line(shown.reference, weight="Bolder", colour="Accent"),
        _line(title[:MAX_LINE], weight="Bolder", size="Large"),
        _line("  ".join(facts), subtle=True),
    ]
    return _card([*head, *_entry(shown, disclosure)], shown, disclosure)


def reply_card(shown: Shown, disclosure: Disclosure) -> dict[str, Any]:
    """The card of a further entry."""
    return _card(_entry(shown, disclosure), shown, disclosure)


def _entry(shown: Shown, disclosure: Disclosure) -> list[dict[str, Any]]:
    at = shown.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    if not disclosure.full:
        return [
            _line(f"There is news on {shown.reference}.", weight="Bolder"),
            _line(f"{at}. What it says is not shown here: please see the portal.", subtle=True),
        ]
    mark = _MARKS.get(shown.mark, shown.mark.value)
    if shown.text is None or shown.who is None:
        return [
            _line(f"A mail came that was {mark}.", weight="Bolder"),
            _line(f"{at}. Nobody knows who wrote it, so it is not shown here.", subtle=True),
        ]
    text = shown.text[:MAX_TEXT]
    more = shown.cut or len(shown.text) > MAX_TEXT
    lines = [
        _line(f"{shown.who[:MAX_LINE]} {_SAID[shown.kind]}", weight="Bolder"),
        _line(f"{mark}, {at}", subtle=True),
        _line(text),
    ]
    return [*lines, _line("There is more; please see the portal.", subtle=True)] if more else lines


def _card(body: list[dict[str, Any]], shown: Shown, disclosure: Disclosure) -> dict[str, Any]:
    return {
        "type": "AdaptiveCard",
        "$schema": _SCHEMA,
        "version": _VERSION,
        "fallbackText": f"There is news on {shown.reference}.",
        "body": [*body, _line(f"TLP:{shown.tlp}" if disclosure.full else disclosure.words, subtle=True)],
    }


def _line(
    text: str,
    *,
    weight: str = "Default",
    size: str = "Default",
    colour: str = "Default",
    subtle: bool = False,
) -> dict[str, Any]:
    """Some words as they are."""
    run = {
        "type": "TextRun",
        "text": written_out(text) or " ",
        "weight": weight,
        "size": size,
        "color": colour,
    }
    return {"type": "RichTextBlock", "inlines": [{**run, "isSubtle": subtle}]}


def written_out(text: str) -> str:
    """The text, with each character that shows as nothing or turns text round as its number."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(
        one if one == "\n" or unicodedata.category(one) not in _ODD else f"[U+{ord(one):04X}]"
        for one in text.replace("\r\n", "\n").replace("\t", "    ")
    )


def message_of(
    card: dict[str, Any], *, event: str, reference: str, entry: int, reply_to: str | None
) -> bytes:
    """What the workflow is sent: the card, and under ``expertmail`` where it belongs. ``reply_to`` is None for a new post."""
    message = {
        "type": "message",
        "attachments": [{"contentType": _TYPE, "contentUrl": None, "content": card}],
        "expertmail": {"event": event, "incident": reference, "entry": entry, "reply_to": reply_to},
    }
    made = _octets(message)
    if len(made) <= MAX_BODY:
        return made
    for block in card["body"]:  # characters that are written with many octets
        for run in block["inlines"]:
            if len(run["text"]) > MAX_LINE:
                run["text"] = f"{run['text'][:MAX_LINE]}… There is more; please see the portal."
    return _octets(message)


def _octets(message: dict[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def post_number(answer: bytes) -> str | None:
    """The number of the message in Teams in a workflow's answer (``messageId`` or ``id``); None where it does not say one."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    for name in ("messageId", "id"):
        number = found.get(name)
        if isinstance(number, str | int) and not isinstance(number, bool):
            text = str(number)
            if 0 < len(text) <= 200 and text.isascii() and text.isprintable():  # noqa: PLR2004 -- its column
                return text
    return None
