"""The figures of a customer's month or quarter, over HTTP."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from expertmail.console.api_forms import Line, QueryForm
from expertmail.console.api_inquiry_schema import REVIEW_SCHEMAS
from expertmail.console.api_operation import Call, Operation, Told
from expertmail.console.api_work import customer_of
from expertmail.service_reviews import review_json
from outbound.review_period import last_month, period_named
from outbound.store.service_review import review
from threads.api_token import Scope


def _period(text: str) -> str:
    return period_named(text).name


class ServiceReview(QueryForm):
    """Of whom, and of which month (2026-10) or quarter (2026-Q3); without one of the last month."""

    organisation: Line
    period: Annotated[str, Field(max_length=10), AfterValidator(_period)] | None = None


def show(call: Call, form: ServiceReview) -> Told:
    """The figures as the mail of a review tells them."""
    period = last_month(call.now) if form.period is None else period_named(form.period)
    with call.database.reading() as conn:
        return Told(review_json(review(conn, customer_of(conn, form.organisation, call.token), period)))


SCHEMAS: Final = REVIEW_SCHEMAS
OPERATIONS: Final = (
    Operation(
        "GET",
        "/reviews",
        "show-service-review",
        Scope.READ_REPORTS,
        "What a month or quarter was like for a customer, in figures.",
        ServiceReview,
        show,
        {200: ("The figures.", "ServiceReview")},
        refusals=(404,),
    ),
)
