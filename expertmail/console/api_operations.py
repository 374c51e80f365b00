"""All operations that are described as a table; the earlier ones are routes of ``api``."""

from __future__ import annotations

from typing import Final

from expertmail.console import (
    api_approvals,
    api_calls,
    api_contacts,
    api_customers,
    api_held,
    api_held_acts,
    api_incident_acts,
    api_incident_list,
    api_inquiries,
    api_messages,
    api_outbox,
    api_records,
    api_service_reviews,
    api_standing,
)
from expertmail.console.api_operation import Json, Operation

OPERATIONS: Final[tuple[Operation, ...]] = (
    *api_incident_list.OPERATIONS,
    *api_messages.OPERATIONS,
    *api_incident_acts.OPERATIONS,
    *api_calls.OPERATIONS,
    *api_held.OPERATIONS,
    *api_held_acts.OPERATIONS,
    *api_outbox.OPERATIONS,
    *api_standing.OPERATIONS,  # before any path that takes a number in this place
    *api_approvals.OPERATIONS,
    *api_customers.OPERATIONS,
    *api_contacts.OPERATIONS,
    *api_records.OPERATIONS,
    *api_inquiries.OPERATIONS,
    *api_service_reviews.OPERATIONS,
)
SCHEMAS: Final[Json] = {
    **api_incident_list.SCHEMAS,
    **api_messages.SCHEMAS,
    **api_calls.SCHEMAS,
    **api_held.SCHEMAS,
    **api_outbox.SCHEMAS,
    **api_approvals.SCHEMAS,
    **api_standing.SCHEMAS,
    **api_customers.SCHEMAS,
    **api_contacts.SCHEMAS,
    **api_records.SCHEMAS,
    **api_inquiries.SCHEMAS,
    **api_service_reviews.SCHEMAS,
}
PLACES: Final = {
    "reference": "Such as INC-000001.",
    "id": "The message's id.",
    "number": "The mail's number.",
    "contact": "The contact's number.",
}
"""What stands in a path, by its name there."""
