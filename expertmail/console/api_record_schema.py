"""What is answered from the audit trail, about codes and in reports, described."""

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
    or_null,
    words,
)
from outbound.model import DeliveryState, MailKind
from verifier.report import ClaimedBy

_COUNT: Final[Json] = {"type": "integer", "minimum": 0}
_SECONDS: Final[Json] = {"type": "number"}
_TIMES: Final = or_null(object_({"number": _COUNT, "median": _SECONDS, "p95": _SECONDS, "longest": _SECONDS}))
_NEXT: Final[Json] = {"type": ["integer", "null"]}

RECORD_SCHEMAS: Final[Json] = {
    "AuditRows": object_(
        {
            "rows": list_(
                object_(
                    {
                        "number": NUMBER,
                        "at": TIME,
                        "act": TEXT,
                        "by": TEXT_OR_NULL,
                        "subject": TEXT_OR_NULL,
                        "detail": TEXT_OR_NULL,
                        "digest": TEXT,
                    }
                )
            ),
            "next": _NEXT,
        }
    ),
    "AuditChain": object_(
        {
            "rows": _COUNT,
            "erased": _COUNT,
            "head": TEXT,
            "broken": or_null(object_({"number": NUMBER, "why": TEXT})),
            "guarded": FLAG,
        }
    ),
    "CodeFound": object_(
        {
            "mail": or_null(
                object_(
                    {
                        "number": NUMBER,
                        "kind": words(MailKind),
                        "written_at": TIME,
                        "to": TEXT,
                        "subject": TEXT,
                        "reference": TEXT_OR_NULL,
                        "state": words(DeliveryState),
                        "handed_over": FLAG,
                    }
                )
            )
        }
    ),
    "Report": object_(
        {
            "days": list_(TEXT),
            "messages": list_(
                object_({"day": TEXT, "verdict": TEXT, "disposition": TEXT, "kind": TEXT, "number": _COUNT})
            ),
            "forged_from": list_(object_({"client_ip": TEXT, "author": TEXT, "number": _COUNT})),
            "sent": list_(object_({"kind": TEXT, "state": TEXT, "number": _COUNT})),
            "delivery_seconds": _TIMES,
            "imitations": list_(object_({"day": TEXT, "trick": words(ClaimedBy), "number": _COUNT})),
            "answer_seconds": list_(object_({"organisation": TEXT, "times": _TIMES, "waiting": _COUNT})),
        }
    ),
}
