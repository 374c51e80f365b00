"""What a webhook is sent, and the signature by which its receiver knows that it is ours (Standard Webhooks). Pure.

``webhook-id`` is the same at each try: who has seen it before throws the copy away. ``webhook-timestamp`` is the time of this try in seconds
since 1970: who finds it more than five minutes off throws it away. ``webhook-signature`` is "v1," and HMAC-SHA256 of "ID.TIMESTAMP.BODY"
in base64; several with blanks between, while a secret is changed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

SECRET_BYTES: Final = 32
"""Random octets of a secret."""
_PREFIX: Final = "whsec_"
_AGENT: Final = "expertmail"


def secret_text(random: bytes) -> str:
    """A secret as it is shown once and given to a receiver."""
    return _PREFIX + base64.b64encode(random).decode()


def body_of(payload: Mapping[str, Any]) -> bytes:
    """The body: JSON in UTF-8, alike for equal payloads."""
    return json.dumps(payload, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode(
        "utf-8", "replace"
    )


def fields_of(event_id: str, body: bytes, secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """The header fields of one try, signed with each of the secrets."""
    stamp = str(int(now.timestamp()))
    return {
        "Content-Type": "application/json",
        "User-Agent": _AGENT,
        "webhook-id": event_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(_signature(event_id, stamp, body, one) for one in secrets),
    }


def _signature(event_id: str, stamp: str, body: bytes, secret: str) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = f"{event_id}.{stamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
