"""A reading as the object that ``inspect --json`` prints; its shape is the outside contract's."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from threads.reading import Reading


def as_json(reading: Reading, file: str) -> dict[str, Any]:
    """The contract's object for one message, ready for ``json.dumps``."""
    return {
        "file": file,
        "kind": reading.kind.value,
        "subject": reading.subject,
        "base_subject": reading.base_subject,
        "from": reading.author,
        "message_id": reading.message_id,
        "in_reply_to": reading.in_reply_to[0] if reading.in_reply_to else None,
        "references": list(reading.references),
        "new_text": reading.body.new,
        "quoted_text": reading.body.quoted,
        "signature": reading.body.signature,
        "attachments": [asdict(attachment) for attachment in reading.attachments or ()],
        "inner_messages": reading.inner_messages,
        "bounce": None if reading.bounce is None else asdict(reading.bounce),
        "flags": [flag.value for flag in reading.flags],
    }
