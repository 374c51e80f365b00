"""The part of the description that programs with tokens use. What comes in is described by the forms that check it."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from expertmail.console.api_forms import (
    IncidentChange,
    NewCustomerNotification,
    NewIncident,
    NewNotification,
    NewTask,
    TaskChange,
)
from expertmail.console.api_work import MAX_KEY
from outbound.model import DeliveryState, Failure, MailKind, TlsLevel
from threads.api_token import Scope
from threads.model import Assignee, Classification, EntryKind, Mark, Severity, State, TaskSource, TaskStatus

Json = dict[str, Any]

SECURITY_SCHEMES: Final[Json] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token made with `expertmail tokens add`. Its scopes: " + ", ".join(Scope) + ".",
    }
}
_FORMS: Final[tuple[type[BaseModel], ...]] = (
    NewIncident,
    IncidentChange,
    NewTask,
    TaskChange,
    NewNotification,
    NewCustomerNotification,
)
_PREVIEWED: Final = frozenset({"NewNotification", "NewCustomerNotification"})
"""The forms that may ask for a preview, which needs no key."""
_TEXT: Final[Json] = {"type": "string"}
_TEXT_OR_NULL: Final[Json] = {"type": ["string", "null"]}
_FLAG: Final[Json] = {"type": "boolean"}
_NUMBER: Final[Json] = {"type": "integer", "minimum": 1}
_TIME: Final[Json] = {"type": "string", "format": "date-time"}
_TIME_OR_NULL: Final[Json] = {"type": ["string", "null"], "format": "date-time"}
_REPLAYED: Final[Json] = {
    "Idempotent-Replayed": {
        "description": "`true` where the same request was done before; nothing was done now.",
        "schema": {"const": "true"},
    }
}


def _words(kind: Any, *, or_null: bool = False) -> Json:
    return {"enum": [*(one.value for one in kind), *([None] if or_null else [])]}


def _object(properties: Json, optional: tuple[str, ...] = ()) -> Json:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties}


def _list(of: Json) -> Json:
    return {"type": "array", "items": of}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def api_schemas() -> Json:
    """The objects that go in and come out."""
    brief: Json = {
        "reference": _TEXT,
        "organisation": _TEXT,
        "title": _TEXT,
        "state": _words(State),
        "severity": _words(Severity, or_null=True),
        "classification": _words(Classification, or_null=True),
        "assigned_to": _words(Assignee),
        "opened_at": _TIME,
        "updated_at": _TIME,
    }
    task = {
        "number": _NUMBER,
        "title": _TEXT,
        "source": _words(TaskSource),
        "status": _words(TaskStatus),
        "updated_at": _TIME,
    }
    entry = {
        "at": _TIME,
        "kind": _words(EntryKind),
        "actor": _TEXT_OR_NULL,
        "mark": _words(Mark),
        "text": _TEXT_OR_NULL,
        "cut": _FLAG,
    }
    one_try = {
        "started_at": _TIME,
        "finished_at": _TIME,
        "host": _TEXT,
        "code": {"type": "integer"},
        "reply": _TEXT,
        "failure": _words(Failure, or_null=True),
        "tls": _words(TlsLevel),
    }
    sent = {
        "number": _NUMBER,
        "kind": _words(MailKind),
        "to": _TEXT,
        "subject": _TEXT,
        "message_id": _TEXT,
        "created_at": _TIME_OR_NULL,
        "state": _words(DeliveryState),
        "next_attempt_at": _TIME_OR_NULL,
        "last_reply": _TEXT,
        "maybe_twice": _FLAG,
        "tries": _list(_object(one_try)),
    }
    queued = {
        "number": _NUMBER,
        "to": _TEXT,
        "message_id": _TEXT,
        "state": _words(DeliveryState),
        "verdict": _TEXT_OR_NULL,
        "reason": _TEXT_OR_NULL,
    }
    previewed = {"to": _TEXT, "language": _TEXT, "subject": _TEXT, "text": _TEXT}
    made: Json = {
        "Incident": _object(
            {**brief, "sends_nothing_by_itself": _TEXT_OR_NULL}, optional=("sends_nothing_by_itself",)
        ),
        "IncidentInFull": _object(
            {
                **brief,
                "tasks": _list(_ref("Task")),
                "timeline": _list(_object(entry)),
                "timeline_complete": _FLAG,
            }
        ),
        "Task": _object(task),
        "Queued": _object({"mails": _list(_object(queued)), "notes": _list(_TEXT)}),
        "Preview": _object({"mails": _list(_object(previewed)), "notes": _list(_TEXT)}),
        "Notification": _object(sent),
    }
    for form in _FORMS:
        schema = form.model_json_schema(ref_template="#/components/schemas/{model}")
        made |= schema.pop("$defs", {})
        made[form.__name__] = schema
    return made


def api_paths() -> Json:
    """The requests."""
    incident = {"reference": "Such as INC-000001."}
    return {
        "/api/v1/incidents": {
            "post": _operation(
                "openIncident",
                "Open an incident.",
                Scope.WRITE_INCIDENTS,
                {"201": ("It is open.", "Incident")},
                form="NewIncident",
                key=True,
                more=(404, 409),
            )
        },
        "/api/v1/incidents/{reference}": {
            "get": _operation(
                "showIncident",
                "An incident with its tasks and its timeline, without notes and without the text of unproven mail.",
                Scope.READ_INCIDENTS,
                {"200": ("The incident.", "IncidentInFull")},
                path=incident,
            ),
            "patch": _operation(
                "changeIncident",
                "Say where an incident stands; all of it is done or nothing.",
                Scope.WRITE_INCIDENTS,
                {"200": ("The incident as it is now.", "Incident")},
                path=incident,
                form="IncidentChange",
                more=(409,),
            ),
        },
        "/api/v1/incidents/{reference}/tasks": {
            "post": _operation(
                "addTask",
                "Add a task to an incident.",
                Scope.WRITE_INCIDENTS,
                {"201": ("It is there, and open.", "Task")},
                path=incident,
                form="NewTask",
                key=True,
                more=(409,),
            )
        },
        "/api/v1/incidents/{reference}/tasks/{task}": {
            "patch": _operation(
                "setTask",
                "Say where a task stands.",
                Scope.WRITE_INCIDENTS,
                {"200": ("The task as it is now.", "Task")},
                path={**incident, "task": "The task's number there."},
                form="TaskChange",
                more=(409,),
            )
        },
        "/api/v1/incidents/{reference}/notifications": {
            "post": _operation(
                "sendNotification",
                "Write to contacts of the incident's customer: composed, signed, judged by our own verifier, queued. "
                "`outside`, a reason, lets addresses that are no contact have it too, in `language`. It goes from "
                "`send_after` to `send_before`, at most 30 days ahead; without them at once, and for 7 days. "
                "With `dry_run` only composed and shown; it then needs no Idempotency-Key.",
                Scope.SEND_NOTIFICATIONS,
                {
                    "200": ("What would be sent (`dry_run`).", "Preview"),
                    "202": ("It is queued: a mail for each address.", "Queued"),
                },
                path=incident,
                form="NewNotification",
                key=True,
                more=(409,),
            )
        },
        "/api/v1/notifications": {
            "post": _operation(
                "sendCustomerNotification",
                "Write to contacts of a customer about no incident: contact-added, test-notification and service-review. "
                "All else is as for an incident; there is no `outside`.",
                Scope.SEND_NOTIFICATIONS,
                {
                    "200": ("What would be sent (`dry_run`).", "Preview"),
                    "202": ("It is queued: a mail for each address.", "Queued"),
                },
                form="NewCustomerNotification",
                key=True,
                more=(404, 409),
            )
        },
        "/api/v1/notifications/{number}": {
            "get": _operation(
                "showNotification",
                "How far a mail got.",
                Scope.READ_INCIDENTS,
                {"200": ("The mail and each try to deliver it.", "Notification")},
                path={"number": "The mail's number."},
            )
        },
    }


_ERRORS: Final = {
    400: "The request is no JSON object, or its Idempotency-Key is missing.",
    401: "There is no token that counts.",
    403: "The token has not the scope.",
    404: "There is no such thing, or the token may not touch it.",
    408: "The body did not arrive in time.",
    409: "It contradicts what is on record; the sentence says what.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    422: "A field is missing, unknown or unfit; the sentence names it.",
    429: "Too many requests without a token that counts; wait.",
    503: "Too many requests, or the database cannot be had; try again.",
}


def _operation(
    name: str,
    text: str,
    scope: Scope,
    answers: dict[str, tuple[str, str]],
    *,
    path: dict[str, str] | None = None,
    form: str | None = None,
    key: bool = False,
    more: tuple[int, ...] = (),
) -> Json:
    refused = {
        401,
        403,
        429,
        503,
        *more,
        *([404] if path else []),
        *([400, 408, 413, 415, 422] if form else []),
    }
    parameters: list[Json] = [
        {"name": one, "in": "path", "required": True, "description": said, "schema": _TEXT}
        for one, said in (path or {}).items()
    ]
    if key:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": form not in _PREVIEWED,
                "description": "The same for the same request, which is then done once.",
                "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY},
            }
        )
    told: Json = {
        "operationId": name,
        "summary": text,
        "description": f"Needs a token with the scope `{scope}`.",
        "security": [{"token": []}],
        "parameters": parameters,
        "responses": {
            **{
                status: {
                    "description": said,
                    **({"headers": _REPLAYED} if key and status in ("201", "202") else {}),
                    "content": {"application/json": {"schema": _ref(schema)}},
                }
                for status, (said, schema) in answers.items()
            },
            **{
                str(status): {
                    "description": _ERRORS[status],
                    "content": {"application/json": {"schema": _ref("Error")}},
                }
                for status in sorted(refused)
            },
        },
    }
    if form:
        told["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _ref(form)}},
        }
    return told
