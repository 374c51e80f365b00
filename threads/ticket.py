"""Tickets: a few words that a browser keeps for us for a while, sealed so that nobody else makes or changes one. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

_SEAL_OCTETS = 32


def write_ticket(key: bytes, purpose: str, values: Mapping[str, str], at: datetime) -> str:
    """A ticket of today for one purpose, in URL-safe ASCII. Its values can be read by whoever has it."""
    text = json.dumps([int(at.timestamp()), dict(values)], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_seal(key, purpose, text) + text).decode()


def read_ticket(
    key: bytes, purpose: str, ticket: str, now: datetime, lasts: timedelta
) -> Mapping[str, str] | None:
    """What it says; None for one that is not ours, is for something else, or is over."""
    try:
        octets = base64.b64decode(ticket.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        return None
    seal, text = octets[:_SEAL_OCTETS], octets[_SEAL_OCTETS:]
    if not hmac.compare_digest(seal, _seal(key, purpose, text)):
        return None
    made, values = json.loads(text)
    at = datetime.fromtimestamp(made, UTC)
    return {str(name): str(value) for name, value in values.items()} if at <= now < at + lasts else None


def _seal(key: bytes, purpose: str, text: bytes) -> bytes:
    return hmac.digest(key, f"expertmail ticket 1 {purpose}\0".encode() + text, hashlib.sha256)
