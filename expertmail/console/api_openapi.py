"""The part of the description that programs with tokens use. What comes in is described by the forms that check it."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel

from expertmail.console.api_chat_schema import chat_paths, chat_schemas
from expertmail.console.api_forms import (
    IncidentChange,
    NewCustomerNotification,
    NewIncident,
    NewNotification,
    NewTask,
    TaskChange,
)
from expertmail.console.api_operation import Nothing
from expertmail.console.api_operations import OPERATIONS, PLACES, SCHEMAS
from expertmail.console.api_schema import (
    FLAG,
    NUMBER,
    NUMBER_OR_NULL,
    TEXT,
    TEXT_OR_NULL,
    TIME,
    TIME_OR_NULL,
    TRY,
    Json,
    list_,
    object_,
    operation,
    ref,
    schema_of,
    words,
)
from outbound.model import DeliveryState, MailKind
from threads.api_token import Scope
from threads.model import (
    Assignee,
    Classification,
    EntryKind,
    Mark,
    Severity,
    State,
    TaskSource,
    TaskStatus,
    ThreadKind,
)

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


def api_schemas() -> Json:
    """The objects that go in and come out."""
    brief: Json = {
        "reference": TEXT,
        "kind": words(ThreadKind),
        "organisation": TEXT,
        "title": TEXT,
        "state": words(State),
        "severity": words(Severity, or_null=True),
        "classification": words(Classification, or_null=True),
        "assigned_to": words(Assignee),
        "opened_at": TIME,
        "updated_at": TIME,
    }
    task = {
        "number": NUMBER,
        "title": TEXT,
        "source": words(TaskSource),
        "status": words(TaskStatus),
        "updated_at": TIME,
    }
    entry = {
        "at": TIME,
        "kind": words(EntryKind),
        "actor": TEXT_OR_NULL,
        "mark": words(Mark),
        "mail": TEXT_OR_NULL,
        "text": TEXT_OR_NULL,
        "cut": FLAG,
        "number": NUMBER,
        "copy_of": NUMBER_OR_NULL,
    }
    sent = {
        "number": NUMBER,
        "kind": words(MailKind),
        "to": TEXT,
        "subject": TEXT,
        "message_id": TEXT,
        "created_at": TIME_OR_NULL,
        "state": words(DeliveryState),
        "next_attempt_at": TIME_OR_NULL,
        "last_reply": TEXT,
        "maybe_twice": FLAG,
        "tries": list_(TRY),
    }
    queued = {
        "number": NUMBER,
        "to": TEXT,
        "message_id": TEXT,
        "state": words(DeliveryState),
        "verdict": TEXT_OR_NULL,
        "reason": TEXT_OR_NULL,
    }
    previewed = {"to": TEXT, "language": TEXT, "subject": TEXT, "text": TEXT}
    made: Json = {
        "Incident": object_(
            {**brief, "sends_nothing_by_itself": TEXT_OR_NULL}, optional=("sends_nothing_by_itself",)
        ),
        "IncidentInFull": object_(
            {
                **brief,
                "tasks": list_(ref("Task")),
                "timeline": list_(object_(entry)),
                "timeline_complete": FLAG,
            }
        ),
        "Task": object_(task),
        "Queued": object_({"mails": list_(object_(queued)), "notes": list_(TEXT)}),
        "Preview": object_({"mails": list_(object_(previewed)), "notes": list_(TEXT)}),
        "Notification": object_(sent),
    }
    for form in (*_FORMS, *(one.form for one in OPERATIONS if one.form is not Nothing)):
        made |= schema_of(form)
    return {**made, **SCHEMAS, **chat_schemas()}


def api_paths() -> Json:
    """The requests."""
    paths = {**_paths(), **chat_paths()}
    for one in OPERATIONS:
        paths.setdefault(f"/api/v1{one.path}", {})[one.method.lower()] = operation(
            one.id,
            one.summary,
            one.scope,
            {str(status): told for status, told in one.answers.items()},
            path={name: PLACES[name] for name in one.places},
            form=one.form.__name__ if one.has_body else None,
            query=None if one.has_body or one.form is Nothing else one.form,
            key=one.key,
            more=one.refusals,
        )
    return paths


def _paths() -> Json:
    incident = {"reference": "Such as INC-000001."}
    return {
        "/api/v1/incidents": {
            "post": operation(
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
            "get": operation(
                "showIncident",
                "An incident with its tasks and its timeline, without notes and without the text of unproven mail.",
                Scope.READ_INCIDENTS,
                {"200": ("The incident.", "IncidentInFull")},
                path=incident,
            ),
            "patch": operation(
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
            "post": operation(
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
            "patch": operation(
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
            "post": operation(
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
            "post": operation(
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
            "get": operation(
                "showNotification",
                "How far a mail got.",
                Scope.READ_INCIDENTS,
                {"200": ("The mail and each try to deliver it.", "Notification")},
                path={"number": "The mail's number."},
            )
        },
    }
