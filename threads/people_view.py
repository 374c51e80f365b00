"""The header as a mail program would show it to a person, by mail-parser. For eyes only.

Nothing is decided by it: the library drops addresses, reads the first of two From fields, and raises what
its parts raise. It gets the header alone, and whatever goes wrong in it is "not shown".
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from verifier.message import Message

# A header longer than this is no person's mail, and the library copies it several times over.
MAX_HEADER = 64 * 1024
MAX_SHOWN = 50  # addresses


@dataclass(frozen=True, slots=True)
class PeopleView:
    """Who it was sent to and when, as written by the sender; none of it is proven."""

    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    date: datetime | None = None


def people_view(message: Message) -> PeopleView | None:
    """What a mail program would show above the text; None where the library cannot read the header."""
    if message.body_start > MAX_HEADER:
        return None
    import mailparser  # noqa: PLC0415 -- with what it pulls in it takes a while to load; only people's views need it

    # It logs text that the sender chose.
    logging.getLogger("mailparser").setLevel(logging.CRITICAL)
    try:
        parsed: Any = mailparser.parse_from_bytes(message.raw[: message.body_start])
        return PeopleView(_shown(parsed.to), _shown(parsed.cc), parsed.date)
    except Exception:  # noqa: BLE001 -- it raises AttributeError, ValueError, KeyError and more; see the module's text
        return None


def _shown(pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(f"{name} <{address}>" if name else address for name, address in list(pairs)[:MAX_SHOWN])
