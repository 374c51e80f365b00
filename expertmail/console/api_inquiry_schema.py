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
_COUNT: Final[Json] = {"type": "integer", "minimum": 0}
_COUNT_OR_NULL: Final[Json] = {"type": ["integer", "null"], "minimum": 0}
_NUMBER: Final = object_({"number": _COUNT})
_INCIDENTS: Final = object_(dict.fromkeys(("opened", "resolved", "open"), _COUNT))
_SPREAD: Final = {
    **object_({"number": _COUNT, "median": _COUNT_OR_NULL, "most": _COUNT_OR_NULL}),
    "description": "In seconds; `most` is what 95 of 100 do not exceed. Null where there are none.",
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
            "tables": object_(
                {
                    "incidents": object_(
                        dict.fromkeys(("High", "Medium", "Low", "Informational", "total"), _INCIDENTS),
                        optional=("Low", "Informational"),  # there where there were any
                    ),
                    "times": object_(
                        dict.fromkeys(
                            ("first-answer", "until-resolved", "question-answer", "delivery"), _SPREAD
                        )
                    ),
                    "questions": object_(dict.fromkeys(("asked", "answered", "waiting"), _NUMBER)),
                    "mail": object_(dict.fromkeys(("delivered", "deferred", "refused", "returned"), _NUMBER)),
                    "forged": object_(dict.fromkeys(("as-us", "as-them", "unproven"), _NUMBER)),
                }
            ),
        }
    )
}
