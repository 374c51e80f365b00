"""What is answered about mail that waits for a decision, described."""

from __future__ import annotations

from typing import Final

from expertmail.console.api_schema import (
    FLAG,
    NUMBER,
    TEXT,
    TEXT_OR_NULL,
    TIME,
    TIME_OR_NULL,
    Json,
    list_,
    object_,
    or_null,
    ref,
    words,
)
from threads.model import Disposition

_BRIEF: Final[Json] = {
    "id": TEXT,
    "disposition": words(Disposition),
    "why": TEXT,
    "received_at": TIME,
    "expires_at": TIME_OR_NULL,
    "legal_hold": FLAG,
    "author": TEXT_OR_NULL,
    "mail_from": TEXT,
    "rcpt_to": TEXT,
    "client_ip": TEXT,
    "helo": TEXT,
    "subject": TEXT,
    "message_id": TEXT_OR_NULL,
    "size": {"type": ["integer", "null"]},
    "verdict": TEXT,
    "sender": TEXT,
    "thread": TEXT_OR_NULL,
    "organisation": TEXT_OR_NULL,
    "asked": or_null(ref("HeldRequest")),
}

REASONS: Final[Json] = list_(
    object_(
        {
            "code": TEXT_OR_NULL,
            "text": TEXT_OR_NULL,
            "rfc": TEXT_OR_NULL,
            "effect": TEXT_OR_NULL,
        }
    )
)
FILES: Final[Json] = list_(
    object_(
        {
            "name": TEXT,
            "type": TEXT,
            "size": NUMBER | {"minimum": 0},
            "sha256": TEXT,
            "flags": list_(TEXT),
        }
    )
)

HELD_SCHEMAS: Final[Json] = {
    "HeldRequest": object_({"request": NUMBER, "by": TEXT, "at": TIME}),
    "HeldMessages": object_(
        {
            "messages": list_(object_(_BRIEF)),
            "damaged": list_(object_({"id": TEXT, "what_to_do": TEXT})),
            "next": TEXT_OR_NULL,
        }
    ),
    "HeldMessage": object_(
        {
            **_BRIEF,
            "asked_for": or_null(
                object_({"to": TEXT_OR_NULL, "organisation": TEXT_OR_NULL, "contact": TEXT_OR_NULL})
            ),
            "second_person": FLAG,
            "text": TEXT,
            "reasons": REASONS,
            "files": FILES,
        }
    ),
    "HeldDecision": object_(
        {
            "id": TEXT,
            "disposition": words(Disposition),
            "thread": TEXT_OR_NULL,
            "said": TEXT,
            "asked": or_null(ref("HeldRequest")),
        }
    ),
}
