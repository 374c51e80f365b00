"""How questions to the experts, their answers, and service reviews are described (OpenAPI)."""

from __future__ import annotations

from typing import Final

from expertmail.console.api_schema import (
    FLAG,
    NUMBER,
    TEXT,
    TEXT_OR_NULL,
    TIME,
    Json,
    list_,
    object_,
    ref,
    words,
)
from outbound.model import DeliveryState
from threads.inquiry import AnswerChannel
from threads.model import AskedBy, State

_SECONDS: Final[Json] = {"type": ["number", "null"]}
_INQUIRY: Final[Json] = {
    "reference": TEXT,
    "organisation": TEXT,
    "title": TEXT,
    "state": words(State),
    "channel": words(AskedBy, or_null=True),
    "about": TEXT_OR_NULL,
    "asked_at": TIME,
    "asked_by": TEXT_OR_NULL,
    "text": TEXT,
    "seconds_to_first_answer": _SECONDS,
    "answers": list_(object_({"at": TIME, "channel": words(AnswerChannel), "by": TEXT, "text": TEXT})),
}
INQUIRY_SCHEMAS: Final[Json] = {
    "Inquiry": object_(_INQUIRY),
    "AnsweredInquiry": object_(
        {
            **_INQUIRY,
            "mails": list_(object_({"number": NUMBER, "to": TEXT, "state": words(DeliveryState)})),
        }
    ),
    "InquiryHistory": object_(
        {"since": TIME, "questions": list_(ref("Inquiry")), "csv": TEXT_OR_NULL, "complete": FLAG}
    ),
}
REVIEW_SCHEMAS: Final[Json] = {
    "ServiceReview": object_(
        {
            "organisation": TEXT,
            "period": TEXT,
            "begin": TIME,
            "end": TIME,
            "tables": {
                "type": "object",
                "description": "Each table with its rows, each row with its columns; times are in seconds, null where there are none.",
            },
        }
    )
}
