"""Reports."""

from __future__ import annotations

from tests.console.examples import Example

EXAMPLES: tuple[Example, ...] = (
    Example("reports", lambda p: f"/reports?customer={p.contoso.id}", "contoso"),
    Example("reports-tricks", lambda p: f"/reports/imitations.csv?customer={p.contoso.id}", "contoso"),
    Example("reports-answers", lambda p: f"/reports/answers.csv?customer={p.contoso.id}", "contoso"),
    Example("reports-table", lambda p: f"/reports/messages.csv?customer={p.contoso.id}", "contoso"),
)
