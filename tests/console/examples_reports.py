"""Reports."""

from __future__ import annotations

from tests.console.examples import Example

EXAMPLES: tuple[Example, ...] = (
    Example("reports", lambda p: f"/reports?customer={p.contoso.id}", "contoso"),
    Example("reports-table", lambda p: f"/reports/messages.csv?customer={p.contoso.id}", "contoso"),
)
